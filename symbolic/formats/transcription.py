"""A song or a piece of MIDI as a score: voices, bars, keys and tempos are decided here.

A part's notes that overlap are dealt out to lines, as many as it takes; each line is a voice with the part's name,
program and, for percussion, its drums. Keys without a signature are estimated by the profiles of Krumhansl and Kessler
(1982). Time is in ticks of the score (40,320 to the whole note).
"""

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile
from operator import itemgetter
from typing import TypeVar

from symbolic.formats.engraving import MOVED_TEMPO, Sign, Spelled, divided, measure_events, spelled
from symbolic.formats.midi_text import DRUMS, SCORE_TICKS, MidiPiece, PieceNote, signature_key
from symbolic.formats.quantise import WrittenTimes, written_times
from symbolic.formats.smf import DEFAULT_TEMPO, MidiSong
from symbolic.notation.score import Bar, Event, KeyChange, MeterChange, Score, TempoChange, Voice
from symbolic.notation.theory import TICKS_PER_QUARTER, Key, Meter, NotationError

MAX_SINGLE_LINES = 4  # with more notes at once, those of one onset and length are one chord
MAX_BARS = 20_000
NEAR_BAR_LINE = TICKS_PER_QUARTER // 4  # ticks between a change of meter and the bar line that it is meant for
MIDDLE = 60  # voices that lie lower on average get a bass clef
MAX_NUMERATOR = 64
DENOMINATORS = (1, 2, 4, 8, 16, 32, 64)
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

T = TypeVar("T")
Chord = list[PieceNote]  # of one onset and length
Line = list[Chord]  # chords that do not overlap


@dataclass(frozen=True)
class TimelinePart:
    """The notes of one instrument in ticks of the score."""

    name: str
    program: int | None
    is_drums: bool
    notes: tuple[PieceNote, ...]


@dataclass
class Timeline:
    """Music in ticks of the score, before it has voices and bars. `tempos` are values of Q: fields."""

    parts: list[TimelinePart]
    meters: list[tuple[int, Meter]]
    keys: list[tuple[int, Key]]
    tempos: list[tuple[int, str]]
    title: str = ""
    syllables: dict[int, str] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return max((note.onset + note.length for part in self.parts for note in part.notes), default=0)


def score_of_song(song: MidiSong, quantize: str = "auto") -> Score:
    """The score of a MIDI file's music; `quantize` "auto" (where it was played), "on" or "off".

    Raises NotationError: no_notes, bad_pitch, bad_tempo, too_long.
    """
    times = written_times(song, quantize)
    timeline = _timeline(song, times)
    timeline.losses.update(song.expression)
    velocities = [note.velocity for part in song.parts for note in part.notes]
    if len(set(velocities)) > 1:
        timeline.losses["notes whose loudness (velocity) is not written"] += len(velocities)
    if times.n_moved:
        timeline.losses[times.report()] += times.n_moved
    if times.n_ends_moved:
        timeline.losses["ends of notes moved to written places"] += times.n_ends_moved
    return engraved(timeline)


def score_of(piece: MidiPiece, title: str = "") -> Score:
    """The score of a piece of canonical MIDI; its percussion is left out. Raises NotationError no_notes, bad_pitch."""
    parts = [
        TimelinePart("", part.program, False, tuple(_scaled(note) for note in part.notes))
        for part in piece.parts
        if part.program != DRUMS
    ]
    if not parts:
        raise NotationError("no_notes", "it has only percussion, which ABC does not hold here.")
    meters = [(tick * SCORE_TICKS, meter) for tick, meter in piece.metres]
    keys = [(tick * SCORE_TICKS, key) for tick, key in piece.keys]
    tempos = [(tick * SCORE_TICKS, f"1/4={qpm}") for tick, qpm in piece.tempos]
    return engraved(Timeline(parts, meters, keys, tempos, title or piece.title))


def engraved(timeline: Timeline) -> Score:
    """A time line as a score. The key changes at bar lines; without a signature it is estimated."""
    keys = timeline.keys or [(0, estimated_key(timeline))]
    voiced = [(part, line) for part in timeline.parts for line in _lines_of(part)]
    bars, meter = _bars_with_pickup(timeline)
    sung = _sung_line(timeline.syllables, [line for part, line in voiced if not part.is_drums])
    n_unsung = len(timeline.syllables.keys() - {chord[0].onset for chord in sung or ()})
    if n_unsung:
        timeline.losses["syllables of lyrics at no note of the line that is sung"] += n_unsung
    voices = []
    for number, (part, line) in enumerate(voiced, start=1):
        tempos = timeline.tempos[1:] if number == 1 else []
        syllables = timeline.syllables if line is sung else {}
        events = _LineWriter(line, bars, keys, tempos, syllables, timeline.losses).events(meter)
        name = str(number) if len(voiced) > 1 else ""
        clef = "perc" if part.is_drums else _clef(line)
        clef = clef if name or clef != "treble" else ""
        voices.append(Voice(name, clef, events, title=part.name, program=part.program, drums=part.is_drums))
    fields = {"T": [timeline.title]} if timeline.title else {}
    if timeline.tempos:
        fields["Q"] = [timeline.tempos[0][1]]
    return Score(fields, meter, keys[0][1], voices, +timeline.losses)


def estimated_key(timeline: Timeline) -> Key:
    """The major or minor key whose profile fits the time that each pitch class sounds best."""
    weights = [0.0] * 12
    for part in timeline.parts:
        for note in part.notes if not part.is_drums else ():
            weights[note.pitch % 12] += note.length
    tonics = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    minors = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
    keys = [(Key(name), _MAJOR) for name in tonics] + [(Key(name, "m"), _MINOR) for name in minors]
    return max(keys, key=lambda one: _correlation(weights, one[1], one[0].tonic_pitch_class))[0]


def _correlation(weights: Sequence[float], profile: Sequence[float], tonic: int) -> float:
    mean, centre = sum(weights) / 12, sum(profile) / 12
    pairs = [(weights[(tonic + step) % 12] - mean, profile[step] - centre) for step in range(12)]
    size = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
    return sum(a * b for a, b in pairs) / size if size else 0.0


# --- time ------------------------------------------------------------------------------------------------------------


def _scaled(note: PieceNote) -> PieceNote:
    return note._replace(onset=note.onset * SCORE_TICKS, length=note.length * SCORE_TICKS)


def _timeline(song: MidiSong, times: WrittenTimes) -> Timeline:
    """The song at the times found for its notes; changes of tempo, meter and key are moved along."""
    first = min(times.places.values())
    shift = -math.floor(first) if first < 0 else 0
    ticks = sorted(times.places)

    def moved(tick: int) -> int:
        """Ticks of the score of something between the onsets."""
        if not times.is_played:
            return _score_ticks(Fraction(tick, song.ticks_per_quarter))
        nearest = ticks[min(bisect.bisect_left(ticks, tick), len(ticks) - 1)]
        return _score_ticks(max(times.places[nearest] + shift, Fraction(0))) if tick else 0

    parts = []
    for part in song.parts:
        notes = []
        for note in part.notes:
            onset, end = (
                _score_ticks(one + shift) for one in (times.places[note.onset], times.ends[note.onset, note.end])
            )
            notes.append(PieceNote(onset, note.pitch, end - onset, note.velocity))
        parts.append(TimelinePart(part.name, part.program, part.is_drums, tuple(sorted(notes))))
    losses = Counter(song.losses)
    meters = [] if times.tempo else [(moved(tick), _meter(*meter, losses)) for tick, meter in song.meters]
    keys = [(moved(tick), signature_key(*key)) for tick, key in song.keys]
    syllables = {moved(tick): text for tick, text in _syllables(song)}
    tempos = [(0, f"1/4={times.tempo:.0f}")] if times.tempo else [(moved(t), tempo) for t, tempo in _tempos(song)]
    return Timeline(parts, _changes(meters), _changes(keys), _changes(tempos), song.title, syllables, losses)


def _score_ticks(quarters: Fraction) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _tempos(song: MidiSong) -> Iterator[tuple[int, str]]:
    """(tick, value of a Q: field) of each tempo, exactly as the file has it. Raises NotationError `bad_tempo`."""
    for tick, microseconds in [*([] if song.tempos and not song.tempos[0][0] else [(0, DEFAULT_TEMPO)]), *song.tempos]:
        if not 20_000 <= microseconds <= 12_000_000:
            qpm = 60e6 / microseconds if microseconds else math.inf
            raise NotationError("bad_tempo", f"a tempo of {qpm:,.4g} quarter notes a minute cannot be played.")
        yield tick, f"1/4={exact_qpm(microseconds)}"


def exact_qpm(microseconds: int) -> str:
    """The shortest number of quarter notes a minute that is this tempo of MIDI again."""
    for digits in range(1, 12):
        text = f"{60e6 / microseconds:.{digits}g}"
        if "e" not in text and round(60e6 / float(text)) == microseconds:
            return text
    return f"{60e6 / microseconds:.12g}"


def _meter(numerator: int, denominator: int, losses: Counter[str]) -> Meter:
    """The meter in smallest terms that a score holds; one that it does not is counted in two smaller beats of it."""
    while denominator not in DENOMINATORS or numerator > MAX_NUMERATOR:
        if numerator % 2 or denominator == 1:
            losses[f"time signature of {numerator}/{denominator}, which ABC does not hold"] += 1
            return Meter(4, 4)
        numerator, denominator = numerator // 2, denominator // 2
    return Meter(numerator, denominator)


def _changes(changes: Iterable[tuple[int, T]]) -> list[tuple[int, T]]:
    """The last of several changes at one tick, and only what differs from before."""
    found: list[tuple[int, T]] = []
    for tick, value in sorted(dict(changes).items(), key=itemgetter(0)):
        if not found or found[-1][1] != value:
            found.append((tick, value))
    return found


def _syllables(song: MidiSong) -> Iterator[tuple[int, str]]:
    """(tick, syllable) of lyric events; where some end with a space, those without one go on to the next."""
    spaced = any(text.endswith((" ", "\r", "\n")) for _, text in song.lyrics)
    for tick, raw in song.lyrics:
        text = " ".join(raw.replace("/", " ").replace("\\", " ").split())
        if text:
            goes_on = spaced and not raw.endswith((" ", "\r", "\n", "-"))
            yield tick, text + ("-" if goes_on else "")


# --- voices ----------------------------------------------------------------------------------------------------------


def _lines_of(part: TimelinePart) -> list[Line]:
    """Lines of chords that do not overlap, the highest first."""
    if _polyphony(part.notes) <= MAX_SINGLE_LINES and not part.is_drums:
        return _lines([[note] for note in part.notes])
    return _lines(_chords(part.notes))


def _chords(notes: Iterable[PieceNote]) -> list[Chord]:
    """Notes of one onset and length, without doubled pitches, which go to chords of their own."""
    at: dict[tuple[int, int, int], Chord] = {}
    doubled: Counter[tuple[int, int, int]] = Counter()
    for note in notes:
        copy = doubled[note.onset, note.length, note.pitch]
        doubled[note.onset, note.length, note.pitch] += 1
        at.setdefault((note.onset, note.length, copy), []).append(note)
    return [at[place] for place in sorted(at)]


def _polyphony(notes: Iterable[PieceNote]) -> int:
    """The most notes that sound at once."""
    events = sorted((tick, step) for n in notes for tick, step in ((n.onset, 1), (n.onset + n.length, -1)))
    sounding = most = 0
    for _, step in events:
        sounding += step
        most = max(most, sounding)
    return most


def _lines(chords: list[Chord]) -> list[Line]:
    """Each chord goes to the free line whose last pitch is nearest; lines by their mean pitch, highest first."""
    lines: list[Line] = []
    for chord in sorted(chords, key=lambda one: (one[0].onset, -one[-1].pitch)):
        free = [line for line in lines if line[-1][0].onset + line[-1][0].length <= chord[0].onset]
        if free:
            min(free, key=lambda line: abs(line[-1][-1].pitch - chord[-1].pitch)).append(chord)
        else:
            lines.append([chord])
    return sorted(lines, key=lambda line: -sum(chord[-1].pitch for chord in line) / len(line))


def _clef(line: Line) -> str:
    pitches = [note.pitch for chord in line for note in chord]
    return "treble" if sum(pitches) >= MIDDLE * len(pitches) else "bass"


def _sung_line(syllables: dict[int, str], lines: Sequence[Line]) -> Line | None:
    """The line under which the most syllables have a note."""
    if not syllables or not lines:
        return None
    return max(lines, key=lambda line: sum(chord[0].onset in syllables for chord in line))


# --- bars ------------------------------------------------------------------------------------------------------------

Span = tuple[int, int, Meter]  # start, end, meter


def _bars_with_pickup(timeline: Timeline) -> tuple[list[Span], Meter]:
    """The bars to the end, and the meter of the piece: a first bar shorter than the second is a pick-up."""
    bars = list(_bars(timeline))
    if len(bars) > MAX_BARS:
        raise NotationError("too_long", f"it has more than {MAX_BARS:,} bars.")
    has_pickup = len(bars) > 1 and bars[0][1] < bars[1][1] - bars[1][0] and bars[0][2] != bars[1][2]
    if not has_pickup:
        return bars, bars[0][2]
    if timeline.end + bars[0][1] <= bars[-1][1]:  # the last bar lacks what the pick-up has
        bars[-1] = (bars[-1][0], bars[-1][1] - bars[0][1], bars[-1][2])
    meter = bars[1][2]
    return [(start, end, meter if not start else own) for start, end, own in bars], meter


def _bars(timeline: Timeline) -> Iterator[Span]:
    """Bars one after the other; a change of meter inside a bar ends it there, and one near a bar line begins with
    that."""
    changes = [(0, Meter(4, 4)), *timeline.meters]
    starts = [tick for tick, _ in changes]
    tick = 0
    while tick < timeline.end:
        before = changes[bisect.bisect_right(starts, tick) - 1][1]
        near = min(NEAR_BAR_LINE, before.ticks // 4)
        meter = changes[bisect.bisect_left(starts, tick + near) - 1][1]
        end = tick + meter.ticks
        following = bisect.bisect_left(starts, tick + near)
        if following < len(starts) and starts[following] <= end - near:
            end = starts[following]
        yield tick, end, meter
        tick = end


class _LineWriter:
    """Writes one line as the events of a voice, its notes cut at bar lines and changes of tempo and tied."""

    def __init__(
        self,
        line: Line,
        bars: Sequence[Span],
        keys: Sequence[tuple[int, Key]],
        tempos: Sequence[tuple[int, str]],
        syllables: dict[int, str],
        losses: Counter[str],
    ) -> None:
        self.line = line
        self.bars = bars
        self.keys = keys
        self.tempos = list(tempos)
        self.syllables = syllables
        self.losses = losses
        self.place = 0

    def events(self, meter: Meter) -> list[Event]:
        """All bars, with changes of key, meter and tempo."""
        events: list[Event] = []
        key = self.keys[0][1]
        for start, end, own in self.bars:
            new_key = self.keys[max(0, bisect.bisect_right(self.keys, start, key=itemgetter(0)) - 1)][1]
            if new_key != key:
                events.append(KeyChange(new_key))
                key = new_key
            if own != meter:
                events.append(MeterChange(own))
                meter = own
            events += [*measure_events(list(self.signs(start, end, key)), key), Bar("|")]
        events[-1] = Bar("|]")
        return events

    def signs(self, start: int, end: int, key: Key) -> Iterator[Sign]:
        """The chords of a bar and the rests between them."""
        tick = start
        while self.place < len(self.line) and self.line[self.place][0].onset < end:
            chord = self.line[self.place]
            begin, stop = max(chord[0].onset, start), chord[0].onset + chord[0].length
            if begin > tick:
                yield from self.pieces(tick, begin)
            pitches = tuple(spelled(note.pitch, key) for note in chord)
            text = self.syllables.get(begin, "") if begin == chord[0].onset else ""
            yield from self.pieces(begin, min(stop, end), pitches, is_tied=stop > end, text=text)
            tick = min(stop, end)
            if stop > end:
                return
            self.place += 1
        if tick < end:
            yield from self.pieces(tick, end)

    def pieces(
        self, begin: int, end: int, pitches: tuple[Spelled, ...] = (), *, is_tied: bool = False, text: str = ""
    ) -> Iterator[Sign]:
        """A chord or rest, cut where the tempo changes inside it."""
        inside = list(takewhile(lambda tick: tick < end, map(itemgetter(0), self.tempos)))
        for start, stop in divided(begin, end, inside):
            syllables = (text,) if text and start == begin else ()
            tie = bool(pitches) and (stop < end or is_tied)
            yield Sign(stop - start, pitches, tie, self.changes(start, stop), syllables=syllables)

    def changes(self, start: int, end: int) -> tuple[Event, ...]:
        """The changes of tempo before `end` that are not written yet; of several the last."""
        found = []
        while self.tempos and self.tempos[0][0] < end:
            tick, text = self.tempos.pop(0)
            self.losses[MOVED_TEMPO] += tick > start
            found = [TempoChange(text)]
        return tuple(found)
