"""A tune as something to sing: written out without repeats, its notes with their beats and phrase ends.

Metrical strength of an onset: 3 the bar's first beat, 2 the middle of 4/4, 2/2, 6/8, 12/8, 1 another beat, 0 between
beats (Lerdahl and Jackendoff 1983, chapter 4, the levels from the bar down to the beat). In free metre all have 1.

Phrases are found by dynamic programming in the manner of Temperley's Grouper (The Cognition of Basic Musical
Structures, 2001, chapter 3): a phrase ends where the time to the next onset and the silence are long, phrases have like
lengths, and those of a whole number of bars are preferred. `boundary` is 1 at the end of a phrase, 0.5 at a rest or a
long note inside one.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from symbolic.notation.abc_parser import canonical, parse
from symbolic.notation.performance import unroll
from symbolic.notation.score import Bar, Event, KeyChange, MeterChange, Note, Rest, Score, Slur, Voice
from symbolic.notation.theory import SEMITONES, TICKS_PER_QUARTER, Meter, Pitch

IDEAL_NOTES = 8  # of a phrase: a line of verse has six to ten syllables
_LENGTH_PENALTY = 1.6  # for each factor of two that a phrase is off the ideal duration
_ODD_PENALTY = 0.5  # for a phrase that is no whole number of bars


@dataclass(frozen=True, slots=True)
class SungNote:
    """A note to put a syllable on, ties merged. `events` are the indices of its Note events in the voice."""

    events: tuple[int, ...]
    onset_ticks: int
    ticks: int
    midi: int
    strength: int
    boundary: float = 0.0  # 0 to 1: how much a phrase ends with it
    rest_after: int = 0  # ticks of silence before the next note
    slurred: bool = False  # under one slur with the note before it

    @property
    def end_ticks(self) -> int:
        """When it ends."""
        return self.onset_ticks + self.ticks


def written_out(score: Score, times: int = 1, *, repeats: bool = True) -> Score:
    """Return the first voice as it is sung: repeats and endings played (if wanted), `times` over, bar lines plain."""
    events: list[Event] = []
    for turn in range(times):
        if turn:
            events += _back_to_start(score, events)
        events += unroll(score.voices[0]) if repeats else score.voices[0].events
    voice_out = Voice("", "", _joined_bars(events, score.meter))
    return respelled(Score(dict(score.fields), score.meter, score.key, [voice_out]))


def respelled(score: Score) -> Score:
    """Return the same sounding pitches after bar lines have moved: notes that would be read otherwise get an
    accidental."""
    notes = [e for e in score.voices[0].events if isinstance(e, Note)]
    for _ in range(len(notes)):
        read = [e for e in parse(canonical(score)).voices[0].events if isinstance(e, Note)]
        wrong = [i for i, (a, b) in enumerate(zip(notes, read)) if [p.midi for p in a.pitches] != _midis(b)]
        if not wrong:
            break
        note = notes[wrong[0]]  # the first only: its accidental may mend those behind it
        note.pitches = tuple(replace(p, accidental=_alteration(p)) for p in note.pitches)
    return score


def _midis(note: Note) -> list[int]:
    return [pitch.midi for pitch in note.pitches]


def _alteration(pitch: Pitch) -> int:
    return pitch.midi - (12 * (pitch.octave + 1) + SEMITONES[pitch.letter])


def sung_notes(score: Score) -> list[SungNote]:
    """Return the notes of a written-out tune (its first voice), with strengths and phrase ends."""
    notes = _notes(score)
    ends = set(phrase_ends(notes, score.meter))
    mean = sum(n.ticks for n in notes) / max(1, len(notes))
    return [
        replace(note, boundary=1.0 if i in ends else 0.5 if note.rest_after or note.ticks >= 2 * mean else 0.0)
        for i, note in enumerate(notes)
    ]


def phrase_ends(notes: list[SungNote], meter: Meter, n_phrases: int | None = None) -> list[int]:
    """Return the index of each phrase's last note; `n_phrases` fixes their number where the tune has as many notes."""
    if not notes:
        return []
    gaps = _gaps(notes)
    ideal = _ideal_ticks(notes, meter)
    if n_phrases is not None:
        n_phrases = max(1, min(n_phrases, len(notes)))
        ideal = (notes[-1].end_ticks - notes[0].onset_ticks) / n_phrases
    return _segmented(notes, gaps, ideal, meter, n_phrases)


def strength(position: int, meter: Meter) -> int:
    """Return metrical strength of a place in the bar, in ticks from its first beat."""
    if meter.is_free:
        return 1
    if position % meter.ticks == 0:
        return 3
    beat = meter.beat_ticks
    if position % beat:
        return 0
    n_beats = meter.ticks // beat
    return 2 if n_beats % 2 == 0 and position * 2 == meter.ticks else (2 if meter.is_compound and n_beats == 3 else 1)


def _back_to_start(score: Score, events: list[Event]) -> list[Event]:
    """Return a double bar, and the tune's own key and metre where they were changed."""
    back: list[Event] = [Bar("||")]
    if any(isinstance(e, KeyChange) for e in events):
        back.append(KeyChange(score.key))
    if any(isinstance(e, MeterChange) for e in events):
        back.append(MeterChange(score.meter))
    return back


def _joined_bars(events: list[Event], meter: Meter) -> list[Event]:
    """Return plain bar lines; none where a repeat met its pick-up in the middle of a bar, none doubled."""
    out: list[Event] = []
    for event in events:
        if not isinstance(event, Bar):
            out.append(event)
            continue
        if not event.kind:
            continue
        kind = "|" if event.kind in ("|", "|:") else "||"
        if not any(isinstance(e, (Note, Rest)) for e in out):
            continue
        last = next(i for i in range(len(out) - 1, -1, -1) if isinstance(out[i], (Note, Rest, Bar)))
        if isinstance(out[last], Bar):
            out[last] = Bar("||" if "||" in (kind, out[last].kind) else "|")  # type: ignore[union-attr]
        else:
            out.append(Bar(kind))
    out = _without_short_bars(out, meter)
    while out and isinstance(out[-1], Bar):
        out.pop()
    return [*out, Bar("|]")]


def _without_short_bars(events: list[Event], meter: Meter) -> list[Event]:
    """Leave out a bar line between two parts of one bar. Not the first: what comes before it is a pick-up."""
    lengths: list[tuple[int, int]] = []  # (index of the bar line, ticks before it)
    ticks = 0
    for i, event in enumerate(events):
        if isinstance(event, (Note, Rest)):
            ticks += event.ticks
        elif isinstance(event, Bar):
            lengths.append((i, ticks))
            ticks = 0
    lengths.append((len(events), ticks))
    dropped = {
        here[0]
        for k, (here, after) in enumerate(pairwise(lengths))
        if k and here[1] < meter.ticks and here[1] + after[1] == meter.ticks
    }
    return [event for i, event in enumerate(events) if i not in dropped]


def _notes(score: Score) -> list[SungNote]:
    """Return notes with their places in the bar."""
    found: list[SungNote] = []
    events = score.voices[0].events
    meter, onset, tied, silence = score.meter, 0, False, 0
    position = _first_position(events, meter)
    slurs, under = 0, False
    for i, event in enumerate(events):
        if isinstance(event, MeterChange):
            meter, position = event.meter, 0
        elif isinstance(event, Bar):
            position = 0
        elif isinstance(event, Slur):
            slurs += 1 if event.opens else -1
            under = under and slurs > 0
        elif isinstance(event, Rest):
            onset, position, silence, tied = onset + event.ticks, position + event.ticks, silence + event.ticks, False
        elif isinstance(event, Note):
            midi = max(p.midi for p in event.pitches)
            if tied and found and found[-1].midi == midi:
                found[-1] = replace(found[-1], events=(*found[-1].events, i), ticks=found[-1].ticks + event.ticks)
            else:
                if found:
                    found[-1] = replace(found[-1], rest_after=silence)
                place = strength(position, meter)
                found.append(SungNote((i,), onset, event.ticks, midi, place, slurred=under and slurs > 0))
            under, silence, tied = slurs > 0, 0, event.tie
            onset, position = onset + event.ticks, position + event.ticks
    return found


def _first_position(events: list[Event], meter: Meter) -> int:
    """Return where in the bar the tune begins: a pick-up stands at the bar's end."""
    ticks = 0
    for event in events:
        if isinstance(event, (Note, Rest)):
            ticks += event.ticks
        elif isinstance(event, Bar) and ticks:
            break
    return 0 if meter.is_free or ticks >= meter.ticks else meter.ticks - ticks


def _gaps(notes: list[SungNote]) -> list[float]:
    """Return how much each note is parted from the next: inter-onset interval and silence against the mean interval."""
    intervals = [b.onset_ticks - a.onset_ticks for a, b in pairwise(notes)]
    mean = sum(intervals) / max(1, len(intervals)) or 1.0
    gaps = [(interval + a.rest_after) / mean for interval, a in zip(intervals, notes)]
    return [*gaps, 4.0]


def _ideal_ticks(notes: list[SungNote], meter: Meter) -> float:
    """Return a whole number of bars (a power of two) that holds about IDEAL_NOTES notes."""
    total = notes[-1].end_ticks - notes[0].onset_ticks
    ideal = IDEAL_NOTES * total / len(notes)
    if meter.is_free:
        return ideal
    return meter.ticks * 2.0 ** max(0, round(math.log2(max(1.0, ideal / meter.ticks))))


def _segmented(
    notes: list[SungNote], gaps: list[float], ideal: float, meter: Meter, n_phrases: int | None
) -> list[int]:
    """Cut the notes into phrases (of which there are `n_phrases` where that is given) at the least cost."""
    n = len(notes)
    layers = n_phrases or 1
    free = n_phrases is None
    best: list[list[tuple[float, int]]] = [[(math.inf, -1)] * (n + 1) for _ in range(layers + 1)]
    best[0][0] = (0.0, -1)
    for layer in range(1, layers + 1):
        for end in range(1, n + 1):
            choices = []
            for start in range(max(0, end - 64 if free or n / layers < 32 else 0), end):
                before = best[layer][start] if free and start else best[layer - 1][start]
                if before[0] < math.inf:
                    choices.append((before[0] + _phrase_cost(notes, gaps, start, end, ideal, meter), start))
            best[layer][end] = min(choices, default=(math.inf, -1))
    ends, layer, end = [], layers, n
    while end > 0:
        ends.append(end - 1)
        end = best[layer][end][1]
        layer -= 0 if free and end else 1
    return ends[::-1]


def _phrase_cost(notes: list[SungNote], gaps: list[float], start: int, end: int, ideal: float, meter: Meter) -> float:
    ticks = (notes[end].onset_ticks if end < len(notes) else notes[-1].end_ticks) - notes[start].onset_ticks
    cost = _LENGTH_PENALTY * abs(math.log2(max(1, ticks) / ideal)) + 1.0 - min(2.0, gaps[end - 1]) / 2
    if not meter.is_free and ticks % meter.ticks:
        cost += _ODD_PENALTY
    return cost


def seconds_per_tick(qpm: float) -> float:
    """Return seconds per tick at `qpm` quarter notes a minute."""
    return 60.0 / qpm / TICKS_PER_QUARTER
