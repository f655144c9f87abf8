"""Chord symbols for a melody: the likeliest path through the chords of its key.

A hidden Markov model in the line of Raphael and Stoddard 2004 ("Functional harmonic analysis using probabilistic
models") and Allan and Williams 2005 ("Harmonising chorales by probabilistic inference"), solved by Viterbi's
algorithm. Nothing is learnt: the bundled collections carry hardly a chord symbol. The numbers below are a musician's
priors, set by hand and never tuned on the tunes that experiments/control.py measures them with.

- States: the triads on the seven degrees of the key's mode, and the dominant seventh; in minor also the major dominant
  and its seventh. A diminished triad is left out: accompanists play the dominant seventh instead.
- A span is a bar, or a beat group (`every="beat"`): half a bar in 4/4, 2/2, 6/8 and 12/8, a beat elsewhere. A bar
  before the first full one has no chord.
- Emission: each note of each voice votes for every chord with log p(its pitch class | chord) times its length in
  quarter notes times a weight by its place (downbeat, beat, between), and BASS for the lowest of several notes that
  sound at once. Graces do not vote.
- Transition: log p of the motion between the roots, in degrees, with a prior of the chord; the first chord and above
  all the last want to be the tonic.

A symbol is written where the chord changes, and at the beginning. No note, bar line or other sign is touched:
`without(harmonised(text)) == without(text)`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from math import log
from operator import attrgetter
from typing import Literal, NamedTuple

from symbolic.errors import UserError
from symbolic.notation.abc_parser import Bar, Note, Rest, canonical, parse
from symbolic.notation.score import ChordSymbol, Event, Grace, KeyChange, MeterChange, Slur, Tuplet, Voice
from symbolic.notation.theory import LETTERS, TICKS_PER_WHOLE, Key, Meter

Every = Literal["bar", "beat"]

ROOT, THIRD, FIFTH, SEVENTH, SCALE, OTHER = 0.28, 0.24, 0.22, 0.16, 0.045, 0.008  # p(pitch class | chord)
DOWNBEAT, BEAT, BETWEEN = 1.6, 1.2, 0.8  # weight of a note by the place where it begins
BASS = 2.0  # times as much for the lowest of the notes that sound when it begins
PRIOR = {0: 0.34, 1: 0.08, 2: 0.03, 3: 0.17, 4: 0.24, 5: 0.10, 6: 0.04}  # of degrees, tonic first, in major
MINOR_PRIOR = {0: 0.36, 1: 0.01, 2: 0.09, 3: 0.14, 4: 0.15, 5: 0.08, 6: 0.17}  # with the subtonic of modal tunes
STAY, BY_FOURTH, BY_FIFTH, BY_STEP, BY_THIRD = 0.30, 0.30, 0.18, 0.12, 0.10  # motion of the root
SEVENTH_SHARE = 0.25  # of dominants
TONIC_AT_END, TONIC_AT_START = 3.0, 1.0  # nats


@dataclass(frozen=True)
class Chord:
    """A chord of a key: its symbol, its degree (0 = tonic), and the pitch classes of root, third, fifth, seventh."""

    symbol: str
    degree: int
    classes: tuple[int, ...]


@dataclass
class _Span:
    """A stretch of melody: the event before which its symbol stands, when it begins, the weight of each pitch class."""

    place: int
    onset: int
    key: Key
    weights: dict[int, float] = field(default_factory=dict)


class _Heard(NamedTuple):
    """A note as it is written: ticks from the beginning, its MIDI pitch, and its weight by the place in its bar."""

    onset: int
    end: int
    midi: int
    weight: float


def harmonised(text: str, every: Every = "bar") -> str:
    """A canonical text with chord symbols above its (first) voice; those it had are replaced.

    Raises UserError for a tune with nothing to harmonise.
    """
    score = parse(without(text))
    voice = score.voices[0]
    spans = _spans(voice, score.meter, score.key, every)
    if not spans:
        raise UserError("the tune has no full bar to harmonise.")
    _vote(spans, [note for one in score.voices for note in _heard(one, score.meter)])
    events, last = list(voice.events), ""
    symbols = [chord.symbol for chord in _path(spans)]
    chosen: list[tuple[int, str]] = []
    for span, symbol in zip(spans, symbols, strict=True):
        if symbol != last:
            chosen.append((span.place, symbol))
        last = symbol
    for place, symbol in reversed(chosen):
        events.insert(place, ChordSymbol(symbol))
    voice.events = events
    return canonical(score)


def without(text: str) -> str:
    """A canonical text without its chord symbols."""
    return re.sub(r'"[^"\n]*"', "", text)


def chords(key: Key) -> list[Chord]:
    """The chords of a key, the tonic first."""
    start = LETTERS.index(key.tonic[0])
    letters = [LETTERS[(start + step) % 7] for step in range(7)]
    classes = [(Key(letter).tonic_pitch_class + key.accidentals[letter]) % 12 for letter in letters]
    names = [letter + {-1: "b", 0: "", 1: "#"}[key.accidentals[letter]] for letter in letters]
    found = []
    for degree in range(7):
        triad = tuple(classes[(degree + step) % 7] for step in (0, 2, 4))
        third, fifth = (triad[1] - triad[0]) % 12, (triad[2] - triad[0]) % 12
        if fifth == 7:
            found.append(Chord(names[degree] + ("m" if third == 3 else ""), degree, triad))
    major = (classes[4] + 4) % 12  # the dominant's third, raised in minor
    dominant = (classes[4], major, (classes[4] + 7) % 12)
    if third_of(key) == 3 and names[4] not in [chord.symbol for chord in found]:
        found.append(Chord(names[4], 4, dominant))
    if key.mode in ("", "m", "lyd"):
        found.append(Chord(f"{names[4]}7", 4, (*dominant, (classes[4] + 10) % 12)))
    return found


def third_of(key: Key) -> int:
    """Semitones from the tonic to the third of its scale: 4 in major, 3 in minor."""
    letter = LETTERS[(LETTERS.index(key.tonic[0]) + 2) % 7]
    return (Key(letter).tonic_pitch_class + key.accidentals[letter] - key.tonic_pitch_class) % 12


def _spans(voice: Voice, meter: Meter, key: Key, every: Every) -> list[_Span]:
    """The spans that get a chord, yet without weights. A span begins where a symbol can stand: before a note, not
    inside a tuplet."""
    spans: list[_Span] = []
    position = in_tuplet = onset = 0
    place: int | None = None
    is_open = _begins_whole(voice, meter)
    for index, event in enumerate(voice.events):
        if isinstance(event, KeyChange):
            key = event.key
        elif isinstance(event, MeterChange):
            meter = event.meter
        elif isinstance(event, Bar):
            position, in_tuplet, place, is_open = 0, 0, None, True
        elif isinstance(event, (Grace, Tuplet)) or (isinstance(event, Slur) and event.opens):
            place = index if place is None else place
            in_tuplet = event.count if isinstance(event, Tuplet) else in_tuplet
        elif isinstance(event, (Note, Rest)):
            begins = position == 0 or (
                every == "beat" and position % _group(meter) == 0 and _may_stand(place, in_tuplet, voice.events)
            )
            if is_open and begins:
                spans.append(_Span(index if place is None else place, onset, key))
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


def _vote(spans: list[_Span], notes: list[_Heard]) -> None:
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


def _path(spans: list[_Span]) -> list[Chord]:
    """The likeliest chords (Viterbi)."""
    states = [chords(span.key) for span in spans]
    scores = [
        [_emission(chord, span) + _prior(chord, span.key) for chord in found] for span, found in zip(spans, states)
    ]
    best = [score + TONIC_AT_START * (chord.degree == 0) for score, chord in zip(scores[0], states[0], strict=True)]
    back: list[list[int]] = []
    for before, found, here in zip(states, states[1:], scores[1:]):
        arrivals = [[b + _motion(old, new) for b, old in zip(best, before, strict=True)] for new in found]
        back.append([arrival.index(max(arrival)) for arrival in arrivals])
        best = [max(arrival) + score for arrival, score in zip(arrivals, here, strict=True)]
    best = [
        b + TONIC_AT_END * (chord.degree == 0 and len(chord.classes) == 3)
        for b, chord in zip(best, states[-1], strict=True)
    ]
    state = best.index(max(best))
    path = [states[-1][state]]
    for found, pointers in zip(reversed(states[:-1]), reversed(back), strict=True):
        state = pointers[state]
        path.append(found[state])
    return path[::-1]


def _emission(chord: Chord, span: _Span) -> float:
    scale = {(Key(letter).tonic_pitch_class + sign) % 12 for letter, sign in span.key.accidentals.items()}
    shares = dict(zip(chord.classes, (ROOT, THIRD, FIFTH, SEVENTH)))
    return sum(
        weight * log(shares.get(pitch_class, SCALE if pitch_class in scale else OTHER))
        for pitch_class, weight in span.weights.items()
    )


def _prior(chord: Chord, key: Key) -> float:
    share = (PRIOR if third_of(key) == 4 else MINOR_PRIOR)[chord.degree]
    return log(share * (SEVENTH_SHARE if len(chord.classes) == 4 else 1 - SEVENTH_SHARE * (chord.degree == 4)))


def _motion(old: Chord, new: Chord) -> float:
    """log p of the motion of the root, counted in degrees upwards."""
    return log(
        {0: STAY, 3: BY_FOURTH, 4: BY_FIFTH, 1: BY_STEP, 6: BY_STEP, 2: BY_THIRD, 5: BY_THIRD}[
            (new.degree - old.degree) % 7
        ]
    )
