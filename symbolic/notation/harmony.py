"""Chord symbols for a melody: the likeliest path through chords, changing where people change them.

A hidden Markov model in the line of Raphael and Stoddard 2004 ("Functional harmonic analysis using probabilistic
models"), Simon, Morris and Basu 2008 ("MySong") and Allan and Williams 2005 ("Harmonising chorales by probabilistic
inference"), solved by Viterbi's algorithm. Its probabilities are counted from chord symbols that people wrote
(`harmony_model`); how much the notes weigh against the counts, and a bonus for every change, are set so that held-out
tunes have as many changes a bar as their own symbols have (experiments/harmony.py).

- States: the commonest chords of the counts that the key can spell; in a mode without counts of its own (Dorian,
  Mixolydian, ...) those whose notes are in the scale. The dominant of a minor key may have its raised third.
- A span is a beat group (`every="beat"`: half a bar in 4/4, 2/2, 6/8 and 12/8, a beat elsewhere) or a bar. A bar before
  the first full one has no chord.
- Emission: each note of each voice votes with log p(its interval above the root | chord) times its length in quarter
  notes times a weight by its place (downbeat, beat, between), and BASS for the lowest of several notes that sound at
  once. Graces do not vote.
- Transition: log p(chord | chord before, place in the section).

A symbol is written where the chord changes, and at the beginning. No note, bar line or other sign is touched:
`without(harmonised(text)) == without(text)`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple

from symbolic.errors import UserError
from symbolic.notation import harmony_model
from symbolic.notation.abc_parser import Bar, Note, Rest, canonical, parse
from symbolic.notation.chord_symbols import QUALITIES, parse_chord, root_name
from symbolic.notation.harmony_model import DegreeChord, HarmonyCounts, HarmonyModel, degree_chord, place_of
from symbolic.notation.score import ChordSymbol, Event, Grace, KeyChange, MeterChange, Score, Slur, Tuplet, Voice
from symbolic.notation.theory import LETTERS, SEMITONES, TICKS_PER_WHOLE, Key, Meter

Every = Literal["bar", "beat"]

DOWNBEAT, BEAT, BETWEEN = 1.6, 1.2, 0.8  # weight of a note by the place where it begins
BASS = 2.0  # times as much for the lowest of the notes that sound when it begins
NOTE_WEIGHT = 1.0  # of the notes against the counts
CHANGE_BONUS = 0.5  # nats for every change of chord
_MINOR_MODES = ("m", "dor", "phr", "loc")
_COUNTED_MODES = ("", "m")


@dataclass(frozen=True)
class Chord:
    """A chord of a key: its symbol and itself relative to the tonic."""

    symbol: str
    relative: DegreeChord


@dataclass
class HarmonySpan:
    """A stretch of melody that has one chord: the event before which its symbol stands, when it begins, its key, its
    place in the section, and the weight of each pitch class in it."""

    place: int
    onset: int
    key: Key
    begins_bar: bool
    section: int
    bar: int
    where: str = ""
    weights: dict[int, float] = field(default_factory=dict)


class _Heard(NamedTuple):
    """A note as it is written: ticks from the beginning, its MIDI pitch, and its weight by the place in its bar."""

    onset: int
    end: int
    midi: int
    weight: float


def harmonised(text: str, every: Every = "beat", *, model: HarmonyModel | None = None) -> str:
    """A canonical text with chord symbols above its (first) voice; those it had are replaced.

    `model` replaces the bundled counts. Raises UserError for a tune with nothing to harmonise.
    """
    score = parse(without(text))
    spans = spans_of(score, every)
    if not spans:
        raise UserError("the tune has no full bar to harmonise.")
    symbols = [chord.symbol for chord in _path(spans, every, model)]
    return canonical(_with_symbols(score, [(span.place, symbol) for span, symbol in zip(spans, symbols, strict=True)]))


def with_progression(text: str, bars: Sequence[Sequence[str]]) -> str:
    """A canonical text with a given progression (symbols of each bar) above its first voice, begun anew at each section
    and repeated as often as a section needs. Symbols of one bar share its beat groups."""
    score = parse(without(text))
    spans = spans_of(score, "beat")
    if not spans:
        raise UserError("the tune has no full bar to harmonise.")
    groups = [list(own) for _, own in groupby(spans, key=lambda span: (span.section, span.bar))]
    placed: list[tuple[int, str]] = []
    for group in groups:
        symbols = bars[group[0].bar % len(bars)]
        placed += [(span.place, symbols[i * len(symbols) // len(group)]) for i, span in enumerate(group)]
    return canonical(_with_symbols(score, placed))


def without(text: str) -> str:
    """A canonical text without its chord symbols."""
    return re.sub(r'"[^"\n]*"', "", text)


def chords(key: Key) -> list[Chord]:
    """The chords that a key's melody may have, commonest first."""
    model = harmony_model.bundled(_mode_of(key))
    scale = _scale(key)
    dominant = DegreeChord(7, "7" if key.mode in _COUNTED_MODES else "")
    found = []
    for relative in model.chords:
        name = root_name(key, relative.degree)
        classes = {(key.tonic_pitch_class + relative.degree + interval) % 12 for interval in relative.intervals}
        fits = key.mode in _COUNTED_MODES or classes <= scale or (relative == dominant and key.mode == "phr")
        if name is not None and fits:
            found.append(Chord(name + relative.family, relative))
    return found + [chord for chord in _scale_chords(key) if chord.symbol not in {one.symbol for one in found}]


def third_of(key: Key) -> int:
    """Semitones from the tonic to the third of its scale: 4 in major, 3 in minor."""
    letter = LETTERS[(LETTERS.index(key.tonic[0]) + 2) % 7]
    return (Key(letter).tonic_pitch_class + key.accidentals[letter] - key.tonic_pitch_class) % 12


def count_harmony(scores: Iterable[Score]) -> dict[str, HarmonyCounts]:
    """Count the chord changes and notes of tunes with chord symbols, major and minor apart; keys of another mode and
    tunes without symbols are left out."""
    counts = {"major": HarmonyCounts(), "minor": HarmonyCounts()}
    for score in scores:
        if score.key.mode not in _COUNTED_MODES:
            continue
        before, own = harmony_model.START, counts[_mode_of(score.key)]
        for span, symbol in zip(spans_of(score, "beat"), symbols_of(score, "beat"), strict=True):
            name = parse_chord(symbol)
            if name is None:
                continue
            chord = degree_chord(name, span.key.tonic_pitch_class)
            own.add_change(span.where, before, chord.text)
            own.add_notes(chord.family, {(pitch - name.root) % 12: w for pitch, w in span.weights.items()})
            before = chord.text
    return counts


def symbols_of(score: Score, every: Every = "beat") -> list[str]:
    """The chord symbol of a score in force over most of each span; '' before the first."""
    spans = spans_of(score, every)
    held: list[dict[str, int]] = [{} for _ in spans]
    onsets = [span.onset for span in spans]
    current, onset = "", 0
    for event in score.voices[0].events:
        if isinstance(event, ChordSymbol) and parse_chord(event.text):
            current = event.text
        elif isinstance(event, (Note, Rest)):
            place = bisect_right(onsets, onset) - 1
            if place >= 0:
                held[place][current] = held[place].get(current, 0) + event.ticks
            onset += event.ticks
    return [max(own, key=lambda symbol: own[symbol]) if own else "" for own in held]


def spans_of(score: Score, every: Every) -> list[HarmonySpan]:
    """The spans of a score's first voice with the weights of all voices' notes. A span begins where a symbol can stand:
    before a note, not inside a tuplet."""
    spans = _spans(score.voices[0], score.meter, score.key, every)
    n_bars = {span.section: span.bar + 1 for span in spans}
    for span in spans:
        span.where = place_of(span.bar, n_bars[span.section], begins_bar=span.begins_bar,
                              last_section=span.section == spans[-1].section)  # fmt: skip
    _vote(spans, [note for voice in score.voices for note in _heard(voice, score.meter)])
    return spans


def _with_symbols(score: Score, placed: Sequence[tuple[int, str]]) -> Score:
    """The score with a symbol before the events at places of its first voice, where the chord changes."""
    changes, last = [], ""
    for place, symbol in placed:
        if symbol != last:
            changes.append((place, symbol))
        last = symbol
    for place, symbol in reversed(changes):
        score.voices[0].events.insert(place, ChordSymbol(symbol))
    return score


def _mode_of(key: Key) -> str:
    return "minor" if key.mode in _MINOR_MODES else "major"


def _scale(key: Key) -> set[int]:
    return {(SEMITONES[letter] + sign) % 12 for letter, sign in key.accidentals.items()}


def _scale_chords(key: Key) -> list[Chord]:
    """The major and minor triads on the degrees of a key's scale."""
    scale, found = _scale(key), []
    for degree in range(12):
        for family in ("", "m"):
            classes = {(key.tonic_pitch_class + degree + interval) % 12 for interval in QUALITIES[family]}
            name = root_name(key, degree)
            if classes <= scale and name is not None:
                found.append(Chord(name + family, DegreeChord(degree, family)))
    return found


def _spans(voice: Voice, meter: Meter, key: Key, every: Every) -> list[HarmonySpan]:
    """The spans of a voice, yet without weights."""
    spans: list[HarmonySpan] = []
    position = in_tuplet = onset = section = bar = 0
    place: int | None = None
    is_open = _begins_whole(voice, meter)
    for index, event in enumerate(voice.events):
        if isinstance(event, KeyChange):
            key = event.key
        elif isinstance(event, MeterChange):
            meter = event.meter
        elif isinstance(event, Bar):
            if spans and spans[-1].section == section:
                if event.kind in ("||", "|]", "|:", ":|", "::"):
                    section, bar = section + 1, 0
                elif position:
                    bar = spans[-1].bar + 1
            position, in_tuplet, place, is_open = 0, 0, None, True
        elif isinstance(event, (Grace, Tuplet)) or (isinstance(event, Slur) and event.opens):
            place = index if place is None else place
            in_tuplet = event.count if isinstance(event, Tuplet) else in_tuplet
        elif isinstance(event, (Note, Rest)):
            begins = position == 0 or (
                every == "beat" and position % _group(meter) == 0 and _may_stand(place, in_tuplet, voice.events)
            )
            if is_open and begins:
                spans.append(HarmonySpan(index if place is None else place, onset, key, position == 0, section, bar))
            position, in_tuplet, place = position + event.ticks, max(0, in_tuplet - 1), None
            onset += event.ticks
    return spans


def _may_stand(place: int | None, in_tuplet: int, events: list[Event]) -> bool:
    """Whether a symbol may stand here: not between the notes of a tuplet."""
    return not in_tuplet or (place is not None and isinstance(events[place], Tuplet))


def _begins_whole(voice: Voice, meter: Meter) -> bool:
    """Whether the first bar is a full one."""
    ticks = 0
    for event in voice.events:
        if isinstance(event, (Note, Rest)):
            ticks += event.ticks
        elif isinstance(event, Bar) and ticks:
            break
    return ticks >= meter.ticks


def _group(meter: Meter) -> int:
    """Ticks of a beat group."""
    if meter.numerator % 2 == 0 and meter.numerator // (3 if meter.is_compound else 1) in (2, 4):
        return meter.ticks // 2
    return meter.beat_ticks


def _heard(voice: Voice, meter: Meter) -> Iterator[_Heard]:
    """The notes of a voice as it is written, each of a chord by itself."""
    onset = position = 0
    for event in voice.events:
        if isinstance(event, MeterChange):
            meter = event.meter
        elif isinstance(event, Bar):
            position = 0
        elif isinstance(event, (Note, Rest)):
            weight = DOWNBEAT if position == 0 else (BEAT if position % meter.beat_ticks == 0 else BETWEEN)
            for pitch in event.pitches if isinstance(event, Note) else ():
                yield _Heard(onset, onset + event.ticks, pitch.midi, weight)
            onset, position = onset + event.ticks, position + event.ticks


def _vote(spans: list[HarmonySpan], notes: list[_Heard]) -> None:
    """Give each note's weight to the span that it begins in; notes before the first span have none."""
    onsets = [span.onset for span in spans]
    sounding: list[_Heard] = []
    for onset, begun in groupby(sorted(notes), key=attrgetter("onset")):
        new = list(begun)
        sounding = [note for note in sounding if note.end > onset] + new
        lowest = min(note.midi for note in sounding)
        place = bisect_right(onsets, onset) - 1
        for note in new if place >= 0 else ():
            bass = BASS if len(sounding) > 1 and note.midi == lowest else 1.0
            weights, pitch_class = spans[place].weights, note.midi % 12
            quarters = (note.end - note.onset) * 4 / TICKS_PER_WHOLE
            weights[pitch_class] = weights.get(pitch_class, 0.0) + bass * note.weight * quarters


def _path(spans: list[HarmonySpan], every: Every, model: HarmonyModel | None) -> list[Chord]:
    """The likeliest chords (Viterbi)."""
    states = [chords(span.key) for span in spans]
    models = [model or harmony_model.bundled(_mode_of(span.key)) for span in spans]
    scores = [
        [NOTE_WEIGHT * _emission(own, chord, span) for chord in found]
        for own, span, found in zip(models, spans, states)
    ]
    start = harmony_model.START
    best = [
        score + models[0].log_change(start, chord.relative.text, spans[0].where)
        for score, chord in zip(scores[0], states[0], strict=True)
    ]
    back: list[list[int]] = []
    for i in range(1, len(spans)):
        arrivals = [
            [
                b + _change(models[i], old, new, spans[i].where, every)
                for b, old in zip(best, states[i - 1], strict=True)
            ]
            for new in states[i]
        ]
        back.append([arrival.index(max(arrival)) for arrival in arrivals])
        best = [max(arrival) + score for arrival, score in zip(arrivals, scores[i], strict=True)]
    state = best.index(max(best))
    path = [states[-1][state]]
    for found, pointers in zip(reversed(states[:-1]), reversed(back), strict=True):
        state = pointers[state]
        path.append(found[state])
    return path[::-1]


def _emission(model: HarmonyModel, chord: Chord, span: HarmonySpan) -> float:
    root = span.key.tonic_pitch_class + chord.relative.degree
    return sum(w * model.log_note(chord.relative.family, pitch - root) for pitch, w in span.weights.items())


def _change(model: HarmonyModel, old: Chord, new: Chord, where: str, every: Every) -> float:
    bonus = 0.0 if old.relative == new.relative else CHANGE_BONUS
    return model.log_change(old.relative.text, new.relative.text, where) + bonus
