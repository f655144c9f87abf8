"""Notes as notation programs and DAWs have them, edited as a tune and given back in the same form.

A grid is [[tick, "1/8", MIDI pitch or null], ...] with `division` ticks to the quarter note; a gap between two notes is
a rest. It becomes a score of one voice, is worked on as ABC, and what lies from `from` to `to` (or, for `continue`,
after the end) comes back as a grid, bar by bar, with the new bars' ABC for people.
"""

from fractions import Fraction
from typing import Any

from studio.actions import tune_actions
from studio.actions.context import ActionContext
from symbolic.decode.editing.edit import GivenTune
from symbolic.errors import UserError
from symbolic.formats.midi_text import GRID
from symbolic.formats.transcription import score_of
from symbolic.notation import abc_parser, harmony
from symbolic.notation.score import ChordSymbol, Note, Rest, Score
from symbolic.notation.theory import TICKS_PER_WHOLE, parse_key, parse_meter

Grid = list[list[Any]]


def edit_grid(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Do `do` (fill, continue, vary, harmonise) with a grid; returns {"notes", "abc", "from", "to"} or chords."""
    division = options["division"]
    score = score_of_grid(options["notes"], division, options["metre"], options["key"])
    text = abc_parser.canonical(score)
    if options["do"] == "harmonise":
        return {"chords": chords_of(abc_parser.parse(harmony.harmonised(text)), division), "abc": text}
    given = GivenTune(text, "score")
    asked = {"abc": f"X:1\nT:score\n{text}", "n": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    asked |= {"constrain": True, "model": options["model"], "seed": options["seed"], "max_tokens": 256}
    if options["do"] == "continue":
        result = tune_actions.go_on(context, {**asked, "keep_bars": None})
        start = bar_starts(given, division)[-1]
        end = start + options["n_bars"] * _from_score(score.meter.ticks, division)
    else:
        first, last = bars_between(given, options["start"], options["to"], division)
        shift = 0 if given.has_pickup else 1
        result = tune_actions.fill(context, {**asked, "bars": f"{first + shift}-{last + shift}"})
        starts = bar_starts(given, division)
        start, end = starts[first], starts[last + 1]
    tune = result["tunes"][0]
    if tune["fault"]:
        raise UserError(f"the new bars cannot be read ({tune['fault']}): try another take.")
    after = abc_parser.parse(tune["abc"])
    return {"notes": grid_of(after, division, start, end), "from": start, "to": end, "abc": tune["abc"]}


def score_of_grid(notes: Grid, division: int, metre: str, key: str) -> Score:
    """A score of one voice; the bars begin at tick 0. Raises NotationError or UserError."""
    from symbolic.formats import midi_text

    meter = parse_meter(metre)
    sounding = [
        midi_text.PieceNote(_to_grid(tick, division), pitch, max(1, round(Fraction(length) * 4 * GRID)))
        for tick, length, pitch in notes
        if pitch is not None
    ]
    if not sounding:
        raise UserError("there are no notes in it: select some, or write a few first.")
    part = midi_text.MidiPart(0, tuple(sorted(sounding)))
    score = score_of(midi_text.MidiPiece(((0, meter),), ((0, 120),), (part,), ((0, parse_key(key)),)))
    if len(score.voices) > 1:
        raise UserError("this works on one voice, and notes of this one sound together.")
    return score


def bar_starts(given: GivenTune, division: int) -> list[int]:
    """Ticks at which the bars begin, and the end of the last."""
    from symbolic.notation.score import bars

    score = abc_parser.parse(given.text)
    starts = [0]
    for bar in bars(score.voices[0], score.meter):
        starts.append(starts[-1] + bar.ticks)
    return [_from_score(tick, division) for tick in starts]


def bars_between(given: GivenTune, start: int, end: int, division: int) -> tuple[int, int]:
    """First and last bar, from 0, that lie between two ticks; all bars where `end` is 0."""
    starts = bar_starts(given, division)
    n = len(starts) - 1
    end = end or starts[-1]
    touched = [place for place in range(n) if starts[place] < end and starts[place + 1] > start]
    if not touched:
        raise UserError("there is no bar with notes in the selection.")
    return touched[0], touched[-1]


def grid_of(score: Score, division: int, start: int, end: int) -> Grid:
    """The notes and rests from one tick to another, lengths as fractions of a whole note, in written order."""
    grid: Grid = []
    tick = 0
    for event in score.voices[0].events:
        if not isinstance(event, (Note, Rest)):
            continue
        place = _from_score(tick, division)
        if start <= place < end:
            pitch = max(one.midi for one in event.pitches) if isinstance(event, Note) else None
            grid.append([place, _length(event.ticks), pitch])
        tick += event.ticks
    return grid


def chords_of(score: Score, division: int) -> list[list[Any]]:
    """[tick, "Am"] of each chord symbol."""
    found: list[list[Any]] = []
    tick = 0
    for event in score.voices[0].events:
        if isinstance(event, ChordSymbol):
            found.append([_from_score(tick, division), event.text])
        elif isinstance(event, (Note, Rest)):
            tick += event.ticks
    return found


def _to_grid(ticks: int, division: int) -> int:
    return round(Fraction(ticks * GRID, division))


def _from_score(ticks: int, division: int) -> int:
    return round(Fraction(ticks * 4 * division, TICKS_PER_WHOLE))


def _length(ticks: int) -> str:
    length = Fraction(ticks, TICKS_PER_WHOLE)
    return f"{length.numerator}/{length.denominator}"
