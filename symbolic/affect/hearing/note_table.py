"""A score as it sounds: notes in seconds with velocity, bar lines, tempo; from ABC, MIDI and MusicXML files.

    table = read(Path("tune.abc"))          # the first tune; repeats are played

ABC and MusicXML keep what a player would use: tempo changes inside the tune and dynamics such as !p! or !f!. MIDI is
taken as it was played, with its velocities, by mido (pure Python). Percussion is counted and left out: it has no pitch.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import mido
import numpy as np
from numpy.typing import NDArray

from symbolic.command_line import choose_tune
from symbolic.errors import UserError
from symbolic.formats import documents, midi
from symbolic.notation import abc_parser
from symbolic.notation.performance import unroll
from symbolic.notation.score import Bar, Event, Note, Rest, Score, TempoChange
from symbolic.notation.theory import TICKS_PER_QUARTER, Meter, NotationError

DEFAULT_VELOCITY = 80
DYNAMICS = {"pppp": 10, "ppp": 22, "pp": 36, "p": 50, "mp": 64, "mf": 80, "f": 96, "ff": 110, "fff": 120, "ffff": 127}
_MARK = re.compile(r"!(p{1,4}|f{1,4}|mp|mf)!")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NoteTable:
    """Notes by onset: `onset` and `duration` in seconds, MIDI `pitch`, `velocity` 1..127, (n,) each. `bar_starts` are
    seconds, the end of the last bar included; `qpm` is the tempo at each bar start."""

    onset: Floats
    duration: Floats
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    bar_starts: Floats
    qpm: Floats
    title: str = ""
    n_drums: int = 0
    remarks: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """The end of the last note."""
        return float((self.onset + self.duration).max(initial=0.0))

    @property
    def n_bars(self) -> int:
        """Bars, a pick-up included."""
        return len(self.bar_starts) - 1

    @property
    def is_melody(self) -> bool:
        """True where hardly ever more than one note sounds at once."""
        ends = self.onset + self.duration
        overlapping = np.minimum(ends[:-1], ends[1:]) - self.onset[1:] > 0.05 if len(ends) > 1 else np.zeros(1)
        return float(np.mean(overlapping)) < 0.1


class PlayedNote(NamedTuple):
    """A note in ticks of `TICKS_PER_QUARTER`."""

    onset: int
    ticks: int
    pitch: int
    velocity: int


def read(path: Path, tune: int | None = None) -> NoteTable:
    """The notes of a file; of an ABC file the first tune, or the one that `tune` names. Raises UserError where there is
    nothing to hear in it, UsageError for a file of another kind."""
    kind = documents.kind_of(path)
    try:
        if kind == "midi":
            return of_midi(midi.read_midi(path), path.stem)
        if kind == "abc":
            return of_abc(tune_text(path, tune))
        found = next(documents.read_tunes(path))
        assert found.score is not None
        return of_score(found.score)
    except NotationError as error:
        raise UserError(f"{path}: {error.reason}: {error}") from error


def tune_text(path: Path, tune: int | None = None) -> str:
    """The text of one tune of an ABC file, as `documents.read_tunes` chooses it. UserError where there is none."""
    raws = abc_parser.split_tunes(documents.read_text(path))
    if not raws:
        raise UserError(f"{path} holds no tune: a tune starts with an X: field, and a K: field ends its header.")
    numbers = [re.search(r"^X:\s*(\d{1,9})", raw.text, re.MULTILINE) for raw in raws]
    place = 0 if tune is None else choose_tune([int(found[1]) if found else None for found in numbers], tune, path)
    return raws[place].text


class Played(NamedTuple):
    """A score as played: the notes of each pitched voice, tempos (tick, quarters a minute), ticks of bar lines."""

    voices: list[list[PlayedNote]]
    tempos: list[tuple[int, float]]
    bar_ticks: list[int]
    score: Score


def of_abc(text: str) -> NoteTable:
    """The notes of one ABC tune, with its tempo changes and dynamics. Raises NotationError."""
    return _of_played(played_abc(text))


def of_score(score: Score) -> NoteTable:
    """The notes of a score as played. Raises NotationError."""
    return _of_played(played(score))


def played_abc(text: str) -> Played:
    """One ABC tune as played, with the Q: fields inside it. Raises NotationError."""
    return played(abc_parser.parse(text))


def played(score: Score) -> Played:
    """A score as played; tempo changes are those of the first voice that has any, each in force for what is written
    after it."""
    bar_ticks, tick = [0], 0
    for event in unroll(score.voices[0]):
        if isinstance(event, Bar):
            bar_ticks += [tick] if tick > bar_ticks[-1] else []
        elif isinstance(event, (Note, Rest)):
            tick += event.ticks
    bar_ticks += [tick] if tick > bar_ticks[-1] else []
    if len(bar_ticks) < 3 and score.meter.is_free:
        bar_ticks = [*range(0, tick, 4 * TICKS_PER_QUARTER), tick]
    voices = [list(_voice_notes(list(unroll(voice)))) for voice in score.voices if not voice.drums]
    return Played(voices, _tempos(score), bar_ticks, score)


def _of_played(music: Played) -> NoteTable:
    notes = [note for voice in music.voices for note in voice]
    if not notes:
        raise NotationError("no_notes", "it holds percussion only, which has no pitch to judge valence by.")
    table = table_of(notes, music.tempos, music.bar_ticks, music.score.title)
    if midi.stated_qpm(music.score) is None and len(music.tempos) == 1:
        return replace(table, remarks=(f"no tempo is given: taken as {music.tempos[0][1]:g} quarter notes a minute",))
    return table


def of_midi(file: mido.MidiFile, title: str = "") -> NoteTable:
    """The notes of a MIDI file; bars follow its time signatures, 4/4 until the first. Raises NotationError."""
    scale = Fraction(TICKS_PER_QUARTER, file.ticks_per_beat)
    notes: list[PlayedNote] = []
    n_drums, tempos, metres = 0, {0: 120.0}, {0: Meter(4, 4)}
    for track in file.tracks:
        for kind, tick, value in _track_events(track):
            at = round(tick * scale)
            if kind == "note":
                channel, pitch, velocity, end = value
                n_drums += channel == midi.DRUM_CHANNEL
                length = max(1, round(end * scale) - at)
                notes += [] if channel == midi.DRUM_CHANNEL else [PlayedNote(at, length, pitch, velocity)]
            elif kind == "tempo":
                tempos[at] = 60e6 / value
            else:
                metres[at] = value
    if not notes:
        only = "percussion only, which has no pitch to judge valence by" if n_drums else "no note"
        raise NotationError("no_notes", f"it holds {only}.")
    bar_ticks = _metre_bars(sorted(metres.items()), max(note.onset + note.ticks for note in notes))
    return table_of(notes, sorted(tempos.items()), bar_ticks, title, n_drums)


def _track_events(track: mido.MidiTrack) -> Iterator[tuple[str, int, Any]]:
    """(kind, tick, value): notes as (channel, pitch, velocity, end), tempos, time signatures. A release ends the oldest
    open note of its pitch; a note that is never released ends with its track."""
    tick = 0
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for message in track:
        tick += message.time
        if message.type == "set_tempo":
            yield "tempo", tick, message.tempo
        elif message.type == "time_signature":
            yield "metre", tick, Meter(message.numerator, message.denominator)
        elif message.type == "note_on" and message.velocity:
            sounding[message.channel, message.note].append((tick, message.velocity))
        elif message.type in ("note_on", "note_off") and sounding[message.channel, message.note]:
            start, velocity = sounding[message.channel, message.note].pop(0)
            yield "note", start, (message.channel, message.note, velocity, tick)
    for (channel, pitch), starts in sounding.items():
        for start, velocity in starts:
            yield "note", start, (channel, pitch, velocity, tick)


def table_of(
    notes: Sequence[PlayedNote], tempos: Sequence[tuple[int, float]], bar_ticks: list[int], title: str, n_drums: int = 0
) -> NoteTable:
    """A table of notes in ticks, tempos (tick, quarters a minute) from tick 0 on, and ticks of bar lines."""
    notes = sorted(notes)
    seconds = _clock(tempos)
    onset = seconds(np.array([n.onset for n in notes]))
    ends = seconds(np.array([n.onset + n.ticks for n in notes]))
    bar_array = np.array(bar_ticks)
    ticks = [tick for tick, _ in tempos]
    qpm = np.array([tempos[max(0, bisect_right(ticks, tick) - 1)][1] for tick in bar_ticks[:-1]])
    return NoteTable(
        onset,
        ends - onset,
        np.array([n.pitch for n in notes]),
        np.array([n.velocity for n in notes]),
        seconds(bar_array),
        qpm,
        title,
        n_drums,
    )


def _clock(tempos: Sequence[tuple[int, float]]) -> Callable[[NDArray], Floats]:
    """From ticks to seconds, by a piecewise linear map."""
    ticks = [tick for tick, _ in tempos]
    rates = [60.0 / qpm / TICKS_PER_QUARTER for _, qpm in tempos]
    spans = [(later - tick) * rate for tick, later, rate in zip(ticks, ticks[1:], rates)]
    starts = np.array([0.0, *accumulate(spans)])

    def seconds(at: NDArray) -> Floats:
        index = np.maximum(np.searchsorted(ticks, at, side="right") - 1, 0)
        return starts[index] + (at - np.array(ticks)[index]) * np.array(rates)[index]

    return seconds


def _voice_notes(events: Sequence[Event]) -> Iterator[PlayedNote]:
    """The notes of a voice in playing order: ties merged, dynamics held until the next mark, staccato notes halved,
    graces left out."""
    held: dict[int, PlayedNote] = {}
    onset, velocity = 0, DEFAULT_VELOCITY
    for event in events:
        if isinstance(event, Rest):
            yield from held.values()
            held, onset = {}, onset + event.ticks
        elif isinstance(event, Note):
            velocity = DYNAMICS[found[1]] if (found := _MARK.search(event.marks)) else velocity
            sounding = {}
            for pitch in sorted({p.midi for p in event.pitches}):
                first = held.pop(pitch, None)
                start = first.onset if first else onset
                ticks = (onset + event.ticks - start) // (2 if "." in event.marks else 1)
                sounding[pitch] = PlayedNote(start, ticks, pitch, first.velocity if first else velocity)
            yield from held.values()
            held = sounding if event.tie else {}
            yield from () if event.tie else sounding.values()
            onset += event.ticks
    yield from held.values()


def _tempos(score: Score) -> list[tuple[int, float]]:
    """(tick, quarter notes a minute) from tick 0 on, as played: a repeat goes back to the tempo of its place. Raises
    NotationError."""
    tempos, tick = [(0, midi.score_qpm(score))], 0
    voice = next((v for v in score.voices if any(isinstance(e, TempoChange) for e in v.events)), score.voices[0])
    in_force, qpm = {}, tempos[0][1]
    for event in voice.events:
        qpm = _qpm(event.text, score) or qpm if isinstance(event, TempoChange) else qpm
        in_force[id(event)] = qpm
    for event in unroll(voice):
        if isinstance(event, (Note, Rest)):
            if in_force[id(event)] != tempos[-1][1]:
                tempos = [one for one in tempos if one[0] < tick] + [(tick, in_force[id(event)])]
            tick += event.ticks
    return tempos


def _qpm(text: str, score: Score) -> float | None:
    return midi.stated_qpm(Score({"Q": [text]}, score.meter, score.key, []))


def _metre_bars(metres: Sequence[tuple[int, Meter]], end: int) -> list[int]:
    """Ticks at which bars begin, the end of the last included."""
    starts: list[int] = []
    for (tick, metre), following in zip(metres, [*(tick for tick, _ in metres[1:]), end]):
        if tick < end:
            starts += range(tick, max(min(following, end), tick + 1), max(1, metre.ticks))
    return [*starts, max(end, starts[-1] + 1)]
