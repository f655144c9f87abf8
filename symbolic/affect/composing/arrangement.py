"""A melody dressed for a mood: mode, tempo, register, dynamics, articulation, density and an accompaniment, in ticks.

A `SectionMelody` is a section of full bars in a major key. A mode is parallel: the tonic stays, degrees are lowered or
raised (Livingstone and others 2010: only rules on the score move valence, and the mode rule writes the parallel mode;
Temperley and Tan 2013: melodies sound less happy with each degree that is lowered from major). Chords come from
`symbolic.notation.harmony`, one a bar. Accompaniments are written around a register of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from symbolic.affect.hearing.note_table import NoteTable, PlayedNote, table_of
from symbolic.notation import abc_parser, harmony
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.score import Bar, ChordSymbol, Note, Rest
from symbolic.notation.theory import TICKS_PER_QUARTER, NotationError, parse_key

PATTERNS = ("none", "drone", "block", "broken", "pulse", "march", "dark", "storm", "bells", "tritone", "cluster")
MODES = {  # ABC's suffix of each, from the brightest to the darkest
    "lydian": "lyd", "major": "", "mixolydian": "mix", "dorian": "dor", "minor": "m", "phrygian": "phr",
    "locrian": "loc",
}  # fmt: skip
DENSITIES = ("bare", "sparse", "written", "busy")
DYNAMICS = {"pp": 36, "p": 50, "mp": 64, "mf": 80, "f": 96, "ff": 110}
QPM = (40, 48, 56, 66, 78, 92, 108, 126, 144, 164, 184)
SOFTER = 14  # velocity of the accompaniment below the melody's
STACCATO, LEGATO = 0.5, 0.98  # share of a note that sounds
CHORD_BASE, BASS_BASE = 52, 36  # lowest MIDI pitches of chords and basses
DARK_BASE, BELL_BASE = 40, 72


@dataclass(frozen=True)
class Controls:
    """What is asked of one section."""

    mode: str = "major"
    qpm: int = 92
    octave: int = 0
    dynamics: str = "mf"
    staccato: bool = False
    pattern: str = "block"
    density: str = "written"


# The order in which single controls are tried, each with its choices.
CHOICES: dict[str, Sequence[object]] = {
    "mode": tuple(MODES),
    "qpm": QPM,
    "pattern": PATTERNS,
    "dynamics": tuple(DYNAMICS),
    "octave": (-1, 0, 1),
    "staccato": (False, True),
    "density": DENSITIES,
}


@dataclass(frozen=True)
class SectionMelody:
    """A section of full bars: its canonical text in a major key, and where it comes from."""

    text: str
    source: str = ""
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", abc_parser.parse(self.text).key.text)

    def in_mode(self, mode: str) -> str:
        """The text in a mode on the same tonic; accidentals that are written stay."""
        return self.text.replace(f"K:{self.key}\n", f"K:{self.key}{MODES[mode]}\n", 1)


@dataclass(frozen=True)
class SectionBar:
    """One bar: melody notes and rests (pitch 0) with ticks, the chord's pitch classes from the root up."""

    melody: tuple[tuple[int, int], ...]
    chord: tuple[int, ...]
    ticks: int


def melody_line(text: str, source: str = "") -> SectionMelody | None:
    """A drawn tune as a melody of plain full bars in a major key; None where it is something else."""
    try:
        score = abc_parser.parse(text)
    except NotationError:
        return None
    measures = abc_parser.bars(score.voices[0], score.meter)
    if score.key.mode or len(score.voices) > 1 or score.meter.is_free or not all(m.is_full for m in measures):
        return None
    if any(isinstance(event, Bar) and event.ending for event in score.voices[0].events):
        return None
    score.voices[0].events = [
        Bar("|") if isinstance(event, Bar) else event
        for event in score.voices[0].events
        if not isinstance(event, ChordSymbol)
    ]
    is_spelled = all(_is_key(score.key.text + suffix) for suffix in MODES.values())
    return SectionMelody(abc_parser.canonical(score), source) if is_spelled else None


@lru_cache(maxsize=512)
def section_bars(text: str) -> tuple[SectionBar, ...]:
    """The bars of a section's canonical text with a chord each."""
    score = abc_parser.parse(harmony.harmonised(text, "bar"))
    home = score.key.tonic_pitch_class
    chord: tuple[int, ...] = (home, (home + harmony.third_of(score.key)) % 12, (home + 7) % 12)
    found: list[SectionBar] = []
    melody: list[tuple[int, int]] = []
    for event in [*score.voices[0].events, Bar("|")]:
        if isinstance(event, ChordSymbol):
            name = parse_chord(event.text)
            chord = name.classes if name is not None and len(name.classes) > 2 else chord
        elif isinstance(event, Note):
            melody.append((max(pitch.midi for pitch in event.pitches), event.ticks))
        elif isinstance(event, Rest):
            melody.append((0, event.ticks))
        elif isinstance(event, Bar) and melody:
            found.append(SectionBar(tuple(melody), chord, sum(ticks for _, ticks in melody)))
            melody = []
    return tuple(found)


def arranged(line: SectionMelody, controls: Controls) -> tuple[list[PlayedNote], list[PlayedNote], list[int]]:
    """Melody notes, accompaniment notes, and the ticks at which bars begin, the end included."""
    velocity = DYNAMICS[controls.dynamics]
    melody, accompaniment, starts = _placed(line, replace(controls, qpm=QPM[0], dynamics="mf"))
    return (
        [PlayedNote(*place, velocity) for place in melody],
        [PlayedNote(*place, max(20, velocity - SOFTER)) for place in accompaniment],
        list(starts),
    )


@lru_cache(maxsize=4096)
def _placed(
    line: SectionMelody, controls: Controls
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]], list[int]]:
    """(onset, ticks, pitch) of melody and accompaniment, and where bars begin: alike at every tempo and level."""
    melody, accompaniment, starts = [], [], [0]
    share = STACCATO if controls.staccato else LEGATO
    for bar in section_bars(line.in_mode(controls.mode)):
        tick = starts[-1]
        for pitch, ticks in melody_of(bar, controls):
            if pitch:
                melody.append((tick, max(1, round(ticks * share)), pitch))
            tick += ticks
        for onset, ticks, pitches in accompaniment_of(bar, controls):
            length = max(1, round(ticks * share))
            accompaniment += [(starts[-1] + onset, length, pitch) for pitch in pitches]
        starts.append(starts[-1] + bar.ticks)
    return melody, accompaniment, starts


def melody_of(bar: SectionBar, controls: Controls) -> list[tuple[int, int]]:
    """(pitch, ticks) of one bar's melody in its octave and density; pitch 0 is a rest.

    `sparse` holds the first note of each beat, `bare` that of each half bar; `busy` repeats notes of a beat or more.
    """
    shift = 12 * controls.octave
    notes = [(pitch and pitch + shift, ticks) for pitch, ticks in bar.melody]
    if controls.density == "busy":
        return [part for note in notes for part in _repeated(*note, _beat(bar.ticks) // 2)]
    if controls.density in ("sparse", "bare"):
        return _thinned(notes, _beat(bar.ticks) if controls.density == "sparse" else -(-bar.ticks // 2))
    return notes


def accompaniment_of(bar: SectionBar, controls: Controls) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(onset, ticks, pitches) of one bar, without gaps: no pitches is a rest."""
    shift = 12 * min(controls.octave, 0)
    chord, bass = _close(bar.chord, CHORD_BASE + shift), BASS_BASE + (bar.chord[0] - BASS_BASE) % 12
    beat = _beat(bar.ticks)
    if controls.pattern == "none":
        yield 0, bar.ticks, ()
    elif controls.pattern == "drone":
        yield 0, bar.ticks, (bass, bass + 7)
    elif controls.pattern == "block":
        yield 0, bar.ticks, _together(bass, *chord[:3])
    elif controls.pattern == "dark":
        low = _close(bar.chord, DARK_BASE)
        yield 0, bar.ticks, _together(bass - 12 if bass >= 40 else bass, *low[:3])
    elif controls.pattern == "storm":  # thick low chords, twice a beat
        low = _close(bar.chord, DARK_BASE)[:3]
        for onset in range(0, bar.ticks, beat // 2):
            thick = _together(bass - 12 if bass >= 40 else bass, *low, *(pitch + 12 for pitch in low))
            yield onset, min(beat // 2, bar.ticks - onset), thick
    elif controls.pattern == "bells":  # two long tones above the middle register
        high = _close(bar.chord, BELL_BASE + shift)
        yield 0, bar.ticks, _together(high[0], high[-1])
    elif controls.pattern == "tritone":  # held below the melody
        yield 0, bar.ticks, (bass, bass + 6)
    elif controls.pattern == "cluster":  # a semitone and a tritone over the bass, twice a beat
        for onset in range(0, bar.ticks, beat // 2):
            yield onset, min(beat // 2, bar.ticks - onset), (bass, bass + 1, bass + 6, bass + 7)
    elif controls.pattern == "broken":
        figure = (bass, chord[0], chord[1], chord[2], chord[1], chord[0], chord[2], chord[1])
        for i, onset in enumerate(range(0, bar.ticks, beat // 2)):
            yield onset, min(beat // 2, bar.ticks - onset), (figure[i % 8],)
    elif controls.pattern == "pulse":
        for i, onset in enumerate(range(0, bar.ticks, beat // 2)):
            yield onset, min(beat // 2, bar.ticks - onset), _together(bass + 12 * (i % 2), *chord[:3])
    else:  # march: bass and chord in turn
        for i, onset in enumerate(range(0, bar.ticks, beat)):
            yield onset, min(beat, bar.ticks - onset), (bass,) if i % 2 == 0 else chord[:3]


def section_table(line: SectionMelody, controls: Controls) -> NoteTable:
    """The section as it would sound, for judging."""
    melody, accompaniment, starts = arranged(line, controls)
    return table_of([*melody, *accompaniment], [(0, float(controls.qpm))], starts, "")


def neighbours(controls: Controls, name: str, choices: Sequence[object] | None = None) -> list[Controls]:
    """The controls with each other choice of one of them, of all or of some choices."""
    others = [value for value in choices or CHOICES[name] if value != getattr(controls, name)]
    return [replace(controls, **{name: value}) for value in others]  # type: ignore[arg-type]


def _is_key(text: str) -> bool:
    """True for a key of at most seven accidentals."""
    try:
        return abs(parse_key(text).sharps) <= 7
    except NotationError:
        return False


def _thinned(notes: Sequence[tuple[int, int]], cell: int) -> list[tuple[int, int]]:
    """The first note that begins in each stretch of `cell` ticks, held until the next; a rest gives way to a note."""
    kept: list[tuple[int, int]] = []
    tick, last = 0, -1
    for pitch, ticks in notes:
        if tick // cell != last or (pitch and not kept[-1][0]):
            kept.append((pitch, ticks))
        else:
            kept[-1] = (kept[-1][0], kept[-1][1] + ticks)
        last = tick // cell
        tick += ticks
    return kept


def _repeated(pitch: int, ticks: int, half: int) -> list[tuple[int, int]]:
    """A note of two halves of a beat or more as repeated halves, what is over in the first; rests as they are."""
    count = ticks // half
    if not pitch or count < 2:
        return [(pitch, ticks)]
    return [(pitch, ticks - (count - 1) * half), *[(pitch, half)] * (count - 1)]


def _together(*pitches: int) -> tuple[int, ...]:
    """Pitches from the lowest up, each once."""
    return tuple(sorted(set(pitches)))


def _close(classes: Sequence[int], base: int) -> tuple[int, ...]:
    """Pitches of a chord in close position from the lowest tone at or above `base` on."""
    pitches = sorted(base + (one - base) % 12 for one in classes)
    return tuple(int(p) for p in np.unique(pitches))


def _beat(bar_ticks: int) -> int:
    """A quarter note, or a third of the bar's half in 6/8, 9/8 and 12/8, so that a bar holds whole beats."""
    return TICKS_PER_QUARTER if bar_ticks % TICKS_PER_QUARTER == 0 else TICKS_PER_QUARTER // 2
