"""A MIDI piece as canonical text: what a model of MIDI tokens learns from, as canonical ABC is for the others.

    MIDI 24            ticks to a quarter note
    M:0 4/4            time signatures: tick, metre
    Q:0 120            tempos: tick, quarter notes a minute
    I:0                an instrument (General MIDI's program from 0, or `drums`), then its notes:
    0 60 24            onset, pitch, length [, velocity]

Time is on a grid of 24 to the quarter: 32nd notes and triplets of 16ths are exact. Tempos are multiples of 5, 20 to
260; velocities are MidiTok's 32 steps and left out where all notes of a piece have one. Time signatures begin at bar
lines; those over halves and whole notes are written over quarters (2/2 as 4/4). Tracks of one program are one
instrument, in which a pitch that sounds is ended by its next beginning: MIDI tokens keep neither tracks nor unisons.
Controllers, pitch bends, words and names are left out; key signatures and title come with a piece that is read from a
file, but do not stand in its text.

Files are read by `symbolic.formats.smf`.
"""

import io
import itertools
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from symbolic.formats.smf import MidiSong, read_song
from symbolic.notation.performance import Sound, performance, signatures
from symbolic.notation.score import Score
from symbolic.notation.theory import FIFTHS, TICKS_PER_QUARTER, Key, Meter, NotationError

GRID = 24  # ticks to a quarter note
SCORE_TICKS = TICKS_PER_QUARTER // GRID  # of `symbolic.notation.score` to a tick here
HEAD = f"MIDI {GRID}"
DRUMS = -1  # MidiTok's program of the percussion
TEMPOS = range(20, 261, 5)
VELOCITIES = tuple(127 * step // 32 for step in range(1, 33))
DEFAULT_VELOCITY = 100
HIGHEST = 126  # MidiTok's upper limit of pitch leaves 127 out
MAX_BEATS = 12  # of a bar
DENOMINATORS = (4, 8, 16)
MOST_NOTES = 200_000
MOST_TICKS = 6 * 3600 * GRID * 4  # six hours at 240 quarters a minute
MIN_QPM, MAX_QPM = 5.0, 3000.0  # outside, a file's tempo is absurd
_NOTE_LINE = re.compile(r"(\d{1,8}) (\d{1,3}) (\d{1,8})(?: (\d{1,3}))?")


class PieceNote(NamedTuple):
    """Ticks of the grid, a MIDI pitch, and 0 or one of VELOCITIES."""

    onset: int
    pitch: int
    length: int
    velocity: int = 0


@dataclass(frozen=True)
class MidiPart:
    """The notes of one program, by onset and pitch; DRUMS is percussion."""

    program: int
    notes: tuple[PieceNote, ...]


@dataclass(frozen=True)
class MidiPiece:
    """A piece in canonical form; `metres` and `tempos` begin at tick 0."""

    metres: tuple[tuple[int, Meter], ...]
    tempos: tuple[tuple[int, int], ...]
    parts: tuple[MidiPart, ...]
    keys: tuple[tuple[int, Key], ...] = ()  # of a file's key signatures; the canonical text does not hold them
    title: str = ""  # nor the title

    @property
    def n_notes(self) -> int:
        """Notes of all parts."""
        return sum(len(part.notes) for part in self.parts)

    @property
    def n_ticks(self) -> int:
        """The end of the last note."""
        return max((note.onset + note.length for part in self.parts for note in part.notes), default=0)

    @property
    def seconds(self) -> float:
        """From 0 to the end of the last note, by its tempos."""
        ends = [*(tick for tick, _ in self.tempos[1:]), self.n_ticks]
        spans = ((max(0, min(end, self.n_ticks) - tick), qpm) for (tick, qpm), end in zip(self.tempos, ends))
        return sum(ticks / GRID * 60 / qpm for ticks, qpm in spans)


def is_piece(text: str) -> bool:
    """Whether a canonical text is a piece, not ABC."""
    return text.startswith("MIDI ")


def canonical(piece: MidiPiece) -> str:
    """The one spelling of a piece."""
    lines = [HEAD]
    lines += [f"M:{tick} {metre.text}" for tick, metre in piece.metres]
    lines += [f"Q:{tick} {qpm}" for tick, qpm in piece.tempos]
    for part in piece.parts:
        lines.append(f"I:{'drums' if part.program == DRUMS else part.program}")
        lines += [" ".join(map(str, note if note.velocity else note[:3])) for note in part.notes]
    return "\n".join(lines) + "\n"


def parse(text: str) -> MidiPiece:
    """Read canonical text. Raises NotationError `bad_piece` with the line, `no_notes`."""
    lines = text.splitlines()
    if not lines or lines[0] != HEAD:
        raise NotationError("bad_piece", f"a piece begins with {HEAD!r}.", 1)
    metres: list[tuple[int, Meter]] = []
    tempos: list[tuple[int, int]] = []
    notes: dict[int, list[PieceNote]] = {}
    own: list[PieceNote] | None = None
    for number, line in enumerate(lines[1:], start=2):
        if match := _NOTE_LINE.fullmatch(line):
            if own is None:
                raise NotationError("bad_piece", "a note stands before its instrument, a line I:.", number)
            own.append(_note(match))
        elif match := re.fullmatch(r"M:(\d{1,8}) (\d{1,2})/(4|8|16)", line):
            metres.append((int(match[1]), Meter(int(match[2]), int(match[3]))))
        elif match := re.fullmatch(r"Q:(\d{1,8}) (\d{1,3})", line):
            tempos.append((int(match[1]), int(match[2])))
        elif match := re.fullmatch(r"I:(drums|\d{1,3})", line):
            own = notes.setdefault(DRUMS if match[1] == "drums" else int(match[1]), [])
        else:
            raise NotationError("bad_piece", f"{line[:40]!r} is no line of a piece.", number)
    return arranged(metres, tempos, notes)


def arranged(
    metres: Iterable[tuple[int, Meter]], tempos: Iterable[tuple[int, float]], notes: dict[int, list[PieceNote]]
) -> MidiPiece:
    """The canonical piece of these events. Raises NotationError `no_notes`, `too_long`, `bad_metre`, `bad_tempo`."""
    parts = [MidiPart(program, _untangled(notes[program])) for program in sorted(notes) if notes[program]]
    if not parts:
        raise NotationError("no_notes", "the piece has no notes.")
    piece = MidiPiece(_on_bar_lines(metres), _tempos(tempos), _with_dynamics(parts))
    if piece.n_notes > MOST_NOTES:
        raise NotationError("too_long", f"it has {piece.n_notes:,} notes; at most {MOST_NOTES:,} are read.")
    if piece.n_ticks > MOST_TICKS:
        hours = piece.seconds / 3600
        raise NotationError("too_long", f"it lasts {hours:,.1f} hours and {piece.n_ticks // GRID:,} quarter notes.")
    end = piece.n_ticks
    return replace(
        piece,
        metres=tuple(m for m in piece.metres if m[0] < end),
        tempos=tuple(t for t in piece.tempos if t[0] < end),
    )


def transposed(piece: MidiPiece, semitones: int) -> MidiPiece:
    """Higher by `semitones`, drums as they are. Raises NotationError `transposition` beyond MIDI's range."""
    if not semitones:
        return piece
    pitches = [note.pitch for part in piece.parts if part.program != DRUMS for note in part.notes]
    if pitches and not 0 <= min(pitches) + semitones <= max(pitches) + semitones <= HIGHEST:
        raise NotationError("transposition", f"moved by {semitones} semitones the piece leaves MIDI's range.")
    return replace(piece, parts=tuple(_moved(part, semitones) for part in piece.parts))


def at_tempo(piece: MidiPiece, factor: float) -> MidiPiece:
    """Played `factor` times as fast; the notes' ticks stay."""
    return replace(piece, tempos=_tempos((tick, min(MAX_QPM, qpm * factor)) for tick, qpm in piece.tempos))


@dataclass(frozen=True)
class TempoSpread:
    """An arrangement of training shards: each document up to `share` slower or faster, drawn from seed and text."""

    share: float
    seed: int

    @property
    def name(self) -> str:
        """What tells it apart from others in a folder's name."""
        return f"tempo-{self.share:g}-{self.seed}"

    def __call__(self, text: str, row: dict[str, Any]) -> str:
        """The piece at its tempo."""
        draw = zlib.crc32(f"{self.seed} {text}".encode()) / 2**32  # in [0, 1)
        return canonical(at_tempo(parse(text), 1 + self.share * (2 * draw - 1)))


def voices(piece: MidiPiece) -> list[list[tuple[int, int]]]:
    """(pitch, ticks to the next) along the top line of each pitched part and, where it has chords, along its bottom
    line: what families and duplicates are found by."""
    found = []
    for part in piece.parts:
        if part.program != DRUMS:
            lines = [_line(part, top) for top in (True, False)]
            found += lines if lines[0] != lines[1] else lines[:1]
    return found or [_line(part, True) for part in piece.parts]


def content(piece: MidiPiece) -> list[list[tuple[int, int]]]:
    """(pitch, time to the next note) of every note of every part: what exact duplicates are found by. Lengths do not
    count, since another hand or another program's rounding changes them."""
    found = []
    for part in piece.parts:
        ends = [*(note.onset for note in part.notes[1:]), part.notes[-1].onset + part.notes[-1].length]
        found.append([(note.pitch, end - note.onset) for note, end in zip(part.notes, ends)])
    return found


def from_score(score: Score, *, repeats: bool = True, programs: Sequence[int] = ()) -> MidiPiece:
    """A score as it is played, or as it is written without `repeats`; voice v has program programs[v], else its own.

    A pick-up stands at the end of a full bar, so that bar lines fall where the metre has them.
    """
    from symbolic.formats.midi import score_qpm

    shift = _pickup_shift(score)
    notes: dict[int, list[PieceNote]] = {}
    for sound in performance(score, repeats=repeats):
        voice = score.voices[sound.voice]
        program = DRUMS if voice.drums else (voice.program or 0)
        program = programs[sound.voice] if sound.voice < len(programs) else program
        start, end = (_grid(sound.onset_ticks + shift + extra) for extra in (0, sound.ticks))
        notes.setdefault(program, []).append(PieceNote(start, sound.midi, max(1, end - start)))
    return arranged(_score_metres(score, repeats, shift), [(0, score_qpm(score))], notes)


def sounds(piece: MidiPiece) -> list[Sound]:
    """The notes at TICKS_PER_WHOLE, a voice for each pitched part."""
    pitched = [part for part in piece.parts if part.program != DRUMS]
    found = [
        Sound(voice, note.onset * SCORE_TICKS, note.length * SCORE_TICKS, note.pitch)
        for voice, part in enumerate(pitched)
        for note in part.notes
    ]
    return sorted(found, key=lambda sound: (sound.onset_ticks, sound.voice, sound.midi))


def from_midi(data: bytes) -> MidiPiece:
    """The piece in a MIDI file's bytes. Raises NotationError: those of `smf.read_song` and `arranged`."""
    return from_song(read_song(data))


def from_song(song: MidiSong) -> MidiPiece:
    """The canonical piece of a MIDI file's music."""
    tpq = song.ticks_per_quarter
    notes: dict[int, list[PieceNote]] = {}
    for part in song.parts:
        own = notes.setdefault(DRUMS if part.is_drums else part.program, [])
        for note in part.notes:
            onset, end = (_rounded(tick * GRID, tpq) for tick in (note.onset, note.end))
            if note.pitch <= HIGHEST:
                own.append(PieceNote(onset, note.pitch, max(1, end - onset), _nearest_velocity(note.velocity)))
    metres = [(_rounded(tick * GRID, tpq), _supported(*meter)) for tick, meter in song.meters]
    tempos = [(_rounded(tick * GRID, tpq), 60e6 / tempo if tempo else math.inf) for tick, tempo in song.tempos]
    keys = {_rounded(tick * GRID, tpq): signature_key(*key) for tick, key in song.keys}
    return replace(arranged(metres, tempos, notes), keys=tuple(_changes(keys)), title=song.title)


def from_symusic(native: Any) -> MidiPiece:
    """The canonical piece of a symusic Score in ticks."""
    tpq = native.ticks_per_quarter
    if sum(len(track.notes) for track in native.tracks) > MOST_NOTES:
        raise NotationError("too_long", f"it has more than {MOST_NOTES:,} notes.")
    notes: dict[int, list[PieceNote]] = {}
    for track in native.tracks:
        own = notes.setdefault(DRUMS if track.is_drum else int(track.program), [])
        for note in track.notes:
            onset, end = (_rounded(t * GRID, tpq) for t in (note.time, note.time + note.duration))
            if onset >= 0 and note.velocity and note.duration > 0 and note.pitch <= HIGHEST:
                own.append(PieceNote(onset, note.pitch, max(1, end - onset), _nearest_velocity(note.velocity)))
    metres = [
        (_rounded(one.time * GRID, tpq), _supported(one.numerator, one.denominator)) for one in native.time_signatures
    ]
    piece = arranged(metres, [(_rounded(one.time * GRID, tpq), one.qpm) for one in native.tempos], notes)
    keys = {
        _rounded(one.time * GRID, tpq): signature_key(int(one.key), bool(one.tonality))
        for one in native.key_signatures
        if abs(int(one.key)) <= 7
    }
    return replace(piece, keys=tuple(_changes(keys)))


def to_symusic(piece: MidiPiece) -> Any:
    """The piece as a symusic Score, GRID ticks to the quarter."""
    import symusic

    native: Any = symusic.Score(GRID)
    for part in piece.parts:
        track: Any = symusic.Track(program=max(part.program, 0), is_drum=part.program == DRUMS)
        for note in part.notes:
            track.notes.append(symusic.Note(note.onset, note.length, note.pitch, note.velocity or DEFAULT_VELOCITY))
        native.tracks.append(track)
    for tick, qpm in piece.tempos:
        native.tempos.append(symusic.Tempo(tick, qpm))
    for tick, metre in piece.metres:
        native.time_signatures.append(symusic.TimeSignature(tick, metre.numerator, metre.denominator))
    return native


def to_midi(piece: MidiPiece) -> bytes:
    """A type 1 MIDI file, written by mido: a conductor track, then a track and a channel for each part."""
    import mido

    midi = mido.MidiFile(type=1, ticks_per_beat=GRID)
    changes: list[tuple[int, Any]] = [
        (tick, mido.MetaMessage("time_signature", numerator=m.numerator, denominator=m.denominator))
        for tick, m in piece.metres
    ]
    changes += [(tick, mido.MetaMessage("set_tempo", tempo=round(60e6 / qpm))) for tick, qpm in piece.tempos]
    midi.tracks.append(_track(changes))
    pitched = (channel for channel in itertools.cycle(range(16)) if channel != 9)
    for part in piece.parts:
        midi.tracks.append(_track(_messages(part, 9 if part.program == DRUMS else next(pitched))))
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


# --- canonical form --------------------------------------------------------------------------------------------------


def _note(match: re.Match[str]) -> PieceNote:
    onset, pitch, length, velocity = (int(value or 0) for value in match.groups())
    if pitch > HIGHEST or not length:
        raise NotationError("bad_piece", f"the note {match[0]!r} lies outside MIDI's range or has no length.")
    return PieceNote(onset, pitch, length, _nearest_velocity(velocity) if velocity else 0)


def _untangled(notes: Iterable[PieceNote]) -> tuple[PieceNote, ...]:
    """By onset and pitch; of two beginnings of a pitch at once the longer stays, and a later one ends an earlier."""
    kept: dict[tuple[int, int], PieceNote] = {}
    for note in notes:
        place = (note.onset, note.pitch)
        if place not in kept or kept[place].length < note.length:
            kept[place] = note
    last: dict[int, tuple[int, int]] = {}
    for place in sorted(kept):
        before = last.get(place[1])
        if before is not None and kept[before].onset + kept[before].length > place[0]:
            kept[before] = kept[before]._replace(length=place[0] - before[0])
        last[place[1]] = place
    return tuple(kept[place] for place in sorted(kept))


def _with_dynamics(parts: list[MidiPart]) -> tuple[MidiPart, ...]:
    """Velocities only where they differ."""
    if len({note.velocity for part in parts for note in part.notes}) > 1:
        return tuple(
            MidiPart(part.program, tuple(n if n.velocity else n._replace(velocity=_nearest_velocity(DEFAULT_VELOCITY))
                                     for n in part.notes))
            for part in parts
        )  # fmt: skip
    return tuple(MidiPart(part.program, tuple(note._replace(velocity=0) for note in part.notes)) for part in parts)


def _nearest_velocity(velocity: int) -> int:
    return min(VELOCITIES, key=lambda step: abs(step - velocity))


def _tempos(tempos: Iterable[tuple[int, float]]) -> tuple[tuple[int, int], ...]:
    """On the grid of TEMPOS, the last of several at one tick, changes only."""
    at: dict[int, int] = {0: 120}
    for tick, qpm in sorted(tempos, key=lambda one: one[0]):
        if not MIN_QPM <= qpm <= MAX_QPM:
            raise NotationError("bad_tempo", f"a tempo of {qpm:,.4g} quarter notes a minute cannot be played.")
        at[max(0, tick)] = min(max(5 * round(qpm / 5), TEMPOS[0]), TEMPOS[-1])
    return tuple(_changes(at))


def _changes(at: dict[int, Any]) -> Iterator[tuple[int, Any]]:
    before = None
    for tick in sorted(at):
        if at[tick] != before:
            yield tick, at[tick]
        before = at[tick]


def _on_bar_lines(metres: Iterable[tuple[int, Meter]]) -> tuple[tuple[int, Meter], ...]:
    """Each change at the next bar line of the metre before it; the last of several there holds."""
    at: dict[int, Meter] = {0: Meter(4, 4)}
    for tick, metre in sorted(metres, key=lambda one: one[0]):
        start = max(at)
        bar = at[start].ticks // SCORE_TICKS
        at[start + -(-max(0, tick - start) // bar) * bar] = _supported(metre.numerator, metre.denominator)
    return tuple(_changes(at))


def _supported(numerator: int, denominator: int) -> Meter:
    """The meter over quarters, eighths or 16ths of at most MAX_BEATS that has its bar lines.

    A longer bar is counted in equal parts (15/8 in three of 5/8, 13/8 in eighths). Raises NotationError `bad_metre` for
    a meter without beats.
    """
    if numerator < 1:
        raise NotationError("bad_metre", f"the time signature {numerator}/{denominator} has no beats.")
    if denominator < DENOMINATORS[0]:
        numerator, denominator = numerator * DENOMINATORS[0] // denominator, DENOMINATORS[0]
    while denominator > DENOMINATORS[-1]:  # two bars of 3/32 are one of 3/16
        numerator, denominator = (numerator // 2 if numerator % 2 == 0 else numerator), denominator // 2
    parts = next(n for n in range(1, numerator + 1) if numerator % n == 0 and numerator // n <= MAX_BEATS)
    return Meter(numerator // parts, denominator)


def _moved(part: MidiPart, semitones: int) -> MidiPart:
    if part.program == DRUMS:
        return part
    return MidiPart(part.program, tuple(note._replace(pitch=note.pitch + semitones) for note in part.notes))


def _line(part: MidiPart, top: bool) -> list[tuple[int, int]]:
    """The highest or lowest note that begins at each onset, and the time to the next onset."""
    at: dict[int, PieceNote] = {}
    for note in part.notes:  # by onset, then pitch
        if top or note.onset not in at:
            at[note.onset] = note
    line = list(at.values())
    ends = [*(note.onset for note in line[1:]), line[-1].onset + line[-1].length]
    return [(note.pitch, end - note.onset) for note, end in zip(line, ends)]


def signature_key(sharps: int, is_minor: bool) -> Key:
    """The key of a MIDI key signature, -7 to 7 sharps."""
    place = sharps + 1 + 3 * is_minor  # of the tonic among the fifths F C G D A E B
    return Key(FIFTHS[place % 7] + {-1: "b", 0: "", 1: "#"}[place // 7], "m" * is_minor)


# --- from scores -----------------------------------------------------------------------------------------------------


def _grid(ticks: int) -> int:
    return _rounded(ticks, SCORE_TICKS)


def _rounded(numerator: int, denominator: int) -> int:
    return round(Fraction(numerator, denominator)) if numerator % denominator else numerator // denominator


def _pickup_shift(score: Score) -> int:
    """Ticks that a pick-up lacks to a full bar."""
    from symbolic.notation.score import bars

    measures = bars(score.voices[0], score.meter)
    full = score.meter.ticks
    if len(measures) > 1 and full and measures[0].ticks < full:
        return full - measures[0].ticks
    return 0


def _score_metres(score: Score, repeats: bool, shift: int) -> Iterator[tuple[int, Meter]]:
    """Free metre counts as 4/4."""
    last = Meter(4, 4)
    for tick, _, meter in signatures(score, repeats=repeats):
        if tick == 0 or (meter != last and not meter.is_free):
            last = Meter(4, 4) if meter.is_free else meter
            yield _grid(tick + shift) if tick else 0, last


# --- files -----------------------------------------------------------------------------------------------------------


def _messages(part: MidiPart, channel: int) -> list[tuple[int, Any]]:
    """Program, then note offs before note ons at one tick."""
    import mido

    events = []
    for note in part.notes:
        events.append((note.onset, 1, note.pitch, note.velocity or DEFAULT_VELOCITY))
        events.append((note.onset + note.length, 0, note.pitch, 0))
    found: list[tuple[int, Any]] = []
    if part.program != DRUMS:
        found.append((0, mido.Message("program_change", channel=channel, program=part.program)))
    for tick, on, pitch, velocity in sorted(events):
        kind = "note_on" if on else "note_off"
        found.append((tick, mido.Message(kind, channel=channel, note=pitch, velocity=velocity)))
    return found


def _track(events: list[tuple[int, Any]]) -> Any:
    import mido

    track, last = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda one: one[0]):
        track.append(message.copy(time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track
