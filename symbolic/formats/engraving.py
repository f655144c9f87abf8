"""Notes to written music: spelling of pitches, accidentals, ties over bar lines, tuplets, voices of one instrument.

What MIDI does not say (letters, bars, voices) is decided here, and what MusicXML says is put into the events of
`symbolic.notation.score`, whose canonical ABC reads back as the same notes and lengths.

Keys without a signature are estimated by the profiles of Krumhansl and Kessler (1982).
"""

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from symbolic.formats.midi_text import DRUMS, SCORE_TICKS, MidiPart, MidiPiece, PieceNote
from symbolic.notation.score import Bar, Event, Grace, KeyChange, MeterChange, Note, Rest, Score, Tuplet, Voice
from symbolic.notation.theory import FIFTHS, LETTERS, SEMITONES, TICKS_PER_WHOLE, Key, Meter, NotationError, Pitch

Spelled = tuple[str, int, int]  # letter, octave (4 holds middle C), alteration -2..2
MOST_VOICES = 8
SHORTEST = TICKS_PER_WHOLE // 1024
LOWEST = 12  # MIDI pitch of C,,,,
MIDDLE = 60  # voices that lie lower on average get a bass clef
TUPLETS = ((3, 2), (5, 4), (7, 4), (6, 4), (9, 8))  # p notes in the time of q
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True, slots=True)
class Sign:
    """One note, chord or rest (no pitches) of a measure, with what is written at it.

    `tie` leads to the next sign; `before` are events that stand before its graces (chord symbols, changes of key, slurs
    that open), `after` those that stand behind it (slurs that close); `marks` are decorations in canonical ABC;
    `untied` and `syllables` are those of `notation.score.Note`.
    """

    ticks: int
    pitches: tuple[Spelled, ...] = ()
    tie: bool = False
    before: tuple[Event, ...] = ()
    graces: tuple[Spelled, ...] = ()
    marks: str = ""
    after: tuple[Event, ...] = ()
    untied: tuple[int, ...] = ()
    syllables: tuple[str, ...] = ()


def measure_events(signs: Sequence[Sign], key: Key) -> list[Event]:
    """The events of one measure: accidentals where the key or the bar so far say otherwise, tuplets where a length
    needs one."""
    speller = _BarSpeller(key)
    events: list[Event] = []
    for p, q, group in _tuplet_groups(signs):
        for place, sign in enumerate(group):
            events += sign.before
            speller.see(sign.before)
            if sign.graces:
                events.append(Grace(tuple(map(speller.pitch, sign.graces))))
            if p != q and not place:
                events.append(Tuplet(p, q, len(group)))
            events.append(_timed(sign, sign.ticks * p // q, speller))
            events += sign.after
    return events


def _timed(sign: Sign, written: int, speller: "_BarSpeller") -> Note | Rest:
    if not sign.pitches:
        return Rest(sign.ticks, written)
    pitches = tuple(map(speller.pitch, dict.fromkeys(sign.pitches)))
    return Note(pitches, sign.ticks, written, sign.tie, sign.marks, sign.untied, sign.syllables)


class _BarSpeller:
    """Accidentals of one measure: those of the key, and those written so far, which hold in all octaves."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.in_bar: dict[str, int] = {}

    def see(self, events: Iterable[Event]) -> None:
        """Take over changes of key."""
        for event in events:
            self.key = event.key if isinstance(event, KeyChange) else self.key

    def pitch(self, spelled: Spelled) -> Pitch:
        """The written pitch, with an accidental where it needs one."""
        letter, octave, alter = spelled
        midi = 12 * (octave + 1) + SEMITONES[letter] + alter
        if self.in_bar.get(letter, self.key.accidentals[letter]) == alter:
            return Pitch(letter, octave, None, midi)
        self.in_bar[letter] = alter
        return Pitch(letter, octave, alter, midi)


def score_of(piece: MidiPiece, title: str = "") -> Score:
    """A piece as a score: a voice for each note that sounds at once within a part, bars by its metres. The key changes
    at bar lines; without a signature it is estimated."""
    keys = piece.keys or ((0, estimated_key(piece)),)
    lines = [line for part in piece.parts if part.program != DRUMS for line in _voices(part)][:MOST_VOICES]
    if not lines:
        raise NotationError("no_notes", "it has only percussion, which ABC does not hold here.")
    if min(n.pitch for line in lines for chord in line for n in chord) < LOWEST:
        raise NotationError("bad_pitch", "it has notes below C,,,, (MIDI 12), which ABC does not hold here.")
    bars = list(_bars(piece))
    has_pickup = len(bars) > 1 and bars[0][1] < bars[1][1] - bars[1][0] and bars[0][2] != bars[1][2]
    metre = bars[1][2] if has_pickup else bars[0][2]
    if has_pickup and piece.n_ticks + bars[0][1] <= bars[-1][1]:  # the last bar lacks what the pick-up has
        bars[-1] = (bars[-1][0], bars[-1][1] - bars[0][1], bars[-1][2])
    bars = [(start, end, metre if has_pickup and not start else own) for start, end, own in bars]
    voices = [
        Voice(str(number) if len(lines) > 1 else "", _clef(line) if len(lines) > 1 else "", _written(line, bars, keys))
        for number, line in enumerate(lines, start=1)
    ]
    qpm = piece.tempos[0][1]
    fields = {"T": [title or piece.title]} if title or piece.title else {}
    return Score(fields | {"Q": [f"1/4={qpm}"]}, metre, keys[0][1], voices)


def estimated_key(piece: MidiPiece) -> Key:
    """The major or minor key whose profile fits the time that each pitch class sounds best."""
    weights = [0.0] * 12
    for part in piece.parts:
        if part.program != DRUMS:
            for note in part.notes:
                weights[note.pitch % 12] += note.length
    tonics = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    minors = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
    keys = [(Key(name), _MAJOR) for name in tonics] + [(Key(name, "m"), _MINOR) for name in minors]
    return max(keys, key=lambda one: _correlation(weights, one[1], one[0].tonic_pitch_class))[0]


def spelled(midi: int, key: Key) -> Spelled:
    """Letter, octave and alteration of a pitch: the name nearest to the key on the line of fifths."""
    names = [(letter, alter) for letter in LETTERS for alter in (-1, 0, 1)]
    fitting = [one for one in names if (SEMITONES[one[0]] + one[1] - midi) % 12 == 0]
    letter, alter = min(fitting, key=lambda one: abs(FIFTHS.index(one[0]) - 1 + 7 * one[1] - key.sharps - 2))
    return letter, (midi - alter - SEMITONES[letter]) // 12 - 1, alter


# --- lengths ---------------------------------------------------------------------------------------------------------


def _tuplet_groups(signs: Sequence[Sign]) -> Iterator[tuple[int, int, list[Sign]]]:
    """(p, q, signs) of runs that share a ratio; a run is closed when it fills a beat of its own, or at 32 signs."""
    group: list[Sign] = []
    ratio = (1, 1)
    for sign in signs:
        own = _ratio(sign.ticks)
        if group and (own != ratio or len(group) == 32 or _is_whole(group, ratio)):
            yield *ratio, group
            group = []
        ratio = own
        group.append(sign)
    if group:
        yield *ratio, group


def _is_whole(group: list[Sign], ratio: tuple[int, int]) -> bool:
    """Whether a tuplet has as much as p of its shortest notes, so that it ends where plain notes can go on."""
    p, q = ratio
    written = [sign.ticks * p // q for sign in group]
    return p != q and sum(written) % (p * min(written)) == 0


def _ratio(ticks: int) -> tuple[int, int]:
    """The tuplet that a length needs: (1, 1) for dyadic ones, and for those that no tuplet makes dyadic."""
    if _is_dyadic(ticks):
        return 1, 1
    return next(((p, q) for p, q in TUPLETS if ticks * p % q == 0 and _is_dyadic(ticks * p // q)), (1, 1))


def _is_dyadic(ticks: int) -> bool:
    """Whether a length is a whole number of 128th notes."""
    return ticks % (TICKS_PER_WHOLE // 128) == 0


# --- pitches ---------------------------------------------------------------------------------------------------------


def _correlation(weights: Sequence[float], profile: Sequence[float], tonic: int) -> float:
    mean, centre = sum(weights) / 12, sum(profile) / 12
    pairs = [(weights[(tonic + step) % 12] - mean, profile[step] - centre) for step in range(12)]
    size = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
    return sum(a * b for a, b in pairs) / size if size else 0.0


def _clef(line: Sequence[Sequence[PieceNote]]) -> str:
    pitches = [note.pitch for chord in line for note in chord]
    return "treble" if sum(pitches) >= MIDDLE * len(pitches) else "bass"


# --- voices and bars of a piece --------------------------------------------------------------------------------------

Chord = list[PieceNote]  # of one onset and length


def _voices(part: MidiPart) -> list[list[Chord]]:
    """Lines of chords that do not overlap, the highest first. With more notes at once than MOST_VOICES, or chords of
    one length throughout, notes of one onset and length are one chord."""
    single = [[note] for note in part.notes]
    return _lines(single) if _polyphony(part.notes) <= MOST_VOICES // 2 else _lines(_chords(part.notes))


def _chords(notes: Iterable[PieceNote]) -> list[Chord]:
    at: dict[tuple[int, int], Chord] = {}
    for note in notes:
        at.setdefault((note.onset, note.length), []).append(note)
    return [at[place] for place in sorted(at)]


def _polyphony(notes: Iterable[PieceNote]) -> int:
    """The most notes that sound at once."""
    events = sorted((tick, step) for n in notes for tick, step in ((n.onset, 1), (n.onset + n.length, -1)))
    sounding = most = 0
    for _, step in events:
        sounding += step
        most = max(most, sounding)
    return most


def _lines(chords: list[Chord]) -> list[list[Chord]]:
    """Each chord goes to the free line whose last pitch is nearest; lines by their mean pitch, highest first."""
    lines: list[list[Chord]] = []
    for chord in sorted(chords, key=lambda one: (one[0].onset, -one[-1].pitch)):
        free = [line for line in lines if line[-1][0].onset + line[-1][0].length <= chord[0].onset]
        if free:
            min(free, key=lambda line: abs(line[-1][-1].pitch - chord[-1].pitch)).append(chord)
        else:
            lines.append([chord])
    return sorted(lines, key=lambda line: -sum(chord[-1].pitch for chord in line) / len(line))


def _bars(piece: MidiPiece) -> Iterator[tuple[int, int, Meter]]:
    """(start, end, metre) of each bar to the end of the piece, in ticks of the piece."""
    starts = [tick for tick, _ in piece.metres]
    tick = 0
    while tick < piece.n_ticks:
        metre = piece.metres[bisect.bisect_right(starts, tick) - 1][1]
        yield tick, tick + metre.ticks // SCORE_TICKS, metre
        tick += metre.ticks // SCORE_TICKS


def _written(line: list[Chord], bars: Sequence[tuple[int, int, Meter]], keys: Sequence[tuple[int, Key]]) -> list[Event]:
    """The events of one voice, its notes cut at bar lines and tied."""
    events: list[Event] = []
    metre, place, key = bars[0][2], 0, keys[0][1]
    for start, end, own in bars:
        new_key = keys[max(0, bisect.bisect_right(keys, start, key=itemgetter(0)) - 1)][1]
        if new_key != key:
            events.append(KeyChange(new_key))
            key = new_key
        if own != metre:
            events.append(MeterChange(own))
            metre = own
        signs: list[Sign] = []
        tick = start
        while place < len(line) and line[place][0].onset < end:
            chord = line[place]
            begin, stop = max(chord[0].onset, start), chord[0].onset + chord[0].length
            if begin > tick:
                signs.append(Sign((begin - tick) * SCORE_TICKS))
            pitches = tuple(spelled(note.pitch, key) for note in chord)
            signs.append(Sign((min(stop, end) - begin) * SCORE_TICKS, pitches, stop > end))
            tick = min(stop, end)
            if stop > end:
                break
            place += 1
        if tick < end:
            signs.append(Sign((end - tick) * SCORE_TICKS))
        events += [*measure_events(signs, key), Bar("|")]
    events[-1] = Bar("|]")
    return events
