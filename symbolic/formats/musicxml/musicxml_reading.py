"""A score from a MusicXML file: every note where it sounds.

The parts' measures (`musicxml_measures`) are put together here: a measure is as long in all parts; repeats and endings
of any part hold for all; ties are followed through a part whatever the voice; notes of a part that overlap become
voices of their own. What cannot be kept is counted in the score's `losses`. Call it in the guarded process
(`symbolic.formats.sandbox`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import TypeGuard
from xml.etree.ElementTree import Element

from symbolic.formats.engraving import MOVED_TEMPO, ROUNDED_TUPLETS, Sign, divided, measure_events
from symbolic.formats.musicxml.musicxml_harmony import chord_text, no_chord
from symbolic.formats.musicxml.musicxml_measures import Lyric, PartReader, SheetChord, SheetMeasure, SheetNote, Spelled
from symbolic.formats.musicxml.xml_reading import score_root
from symbolic.notation.reading.finishing import tidy
from symbolic.notation.score import (
    Bar,
    ChordSymbol,
    Direction,
    Event,
    KeyChange,
    MeterChange,
    Score,
    Slur,
    TempoChange,
    Voice,
)
from symbolic.notation.theory import TICKS_PER_QUARTER, TICKS_PER_WHOLE, Key, Meter, NotationError

COARSE = TICKS_PER_WHOLE // 128  # grid for lengths that ticks do not hold
ROUNDED = frozenset([1, *(p for p, _ in ROUNDED_TUPLETS)])  # denominators of what is rounded to a tick
MAX_MEASURES = 20_000
MAX_NOTES = 200_000
MAX_VERSES = 12
DRUM_CHANNEL = "10"
AIMS = {"segno": "S", "coda": "O"}  # signs that jumps go to -> decorations of the first voice's note there
TIED_VOICE = (99, 0, "tied")  # where chains of ties stand that cross voices: after all staves


@dataclass(slots=True, eq=False)
class PlacedChord:
    """A chord on the time line of the piece, in ticks."""

    measure: int
    onset: int
    end: int
    chord: SheetChord
    key: tuple[int, int, str] = (0, 0, "")  # what orders voices: staff, number, name


@dataclass
class SheetPart:
    """One part of the file: its measures, and what the part list says of it."""

    name: str
    programs: dict[str, int]  # of its instruments by their identifiers, in the order of the part list
    is_drum: bool
    measures: list[SheetMeasure]
    reader: PartReader
    placed: list[PlacedChord] = field(default_factory=list)


def from_musicxml(data: bytes) -> Score:
    """The score in a MusicXML file's bytes, compressed (.mxl) or not; what it cannot hold is counted in its `losses`.

    Raises NotationError: bad_musicxml, too_large, no_notes, bad_pitch.
    """
    root = score_root(data)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise NotationError("bad_musicxml", f"it is no MusicXML score: its outermost element is <{root.tag[:40]}>.")
    return _Sheet(root).score()


class _Sheet:
    """Puts the parts of one file together."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.losses: Counter[str] = Counter()
        self.listed = {one.get("id", ""): one for one in root.iter("score-part")}
        self.parts = [self.part(name, measures) for name, measures in _parts(root)]
        self.n_measures = max((len(part.measures) for part in self.parts), default=0)
        if not self.n_measures:
            raise NotationError("no_notes", "it has no measures.")
        if self.n_measures > MAX_MEASURES:
            raise NotationError("too_long", f"it has {self.n_measures:,} measures; at most {MAX_MEASURES:,} are read.")
        for part in self.parts:
            part.measures += [SheetMeasure() for _ in range(self.n_measures - len(part.measures))]
        self.meters = self.meters_in_force()
        self.lengths = [self.length(index) for index in range(self.n_measures)]
        self.starts = list(accumulate(self.lengths, initial=0))

    def part(self, name: str, elements: list[Element]) -> SheetPart:
        """Read the measures of a part."""
        listed = self.listed.get(name, Element("score-part"))
        drums = {
            one.get("id", ""): int(number) - 1
            for one in listed.findall("midi-instrument")
            if (number := (one.findtext("midi-unpitched") or "").strip()).isdigit() and 1 <= int(number) <= 128
        }
        if len(drums) == 1:
            drums[""] = next(iter(drums.values()))
        reader = PartReader(drums, self.losses)
        measures = [reader.read(element) for element in elements]
        reader.finish()
        channels = {(one.text or "").strip() for one in listed.iter("midi-channel")}
        programs = {
            one.get("id", ""): min(max(int(number) - 1, 0), 127)
            for one in listed.findall("midi-instrument")
            if (number := (one.findtext("midi-program") or "").strip()).isdigit()
        }
        title = " ".join((listed.findtext("part-name") or "").split())
        return SheetPart(title, programs, channels == {DRUM_CHANNEL}, measures, reader)

    def meters_in_force(self) -> list[Meter]:
        """Of each measure; the first part that states one speaks for all."""
        found, meter = [], Meter(0, 1)
        for index in range(self.n_measures):
            stated = (part.measures[index].meter for part in self.parts)
            meter = next((one for one in stated if one is not None), meter)
            found.append(meter)
        return found

    def length(self, index: int) -> int:
        """Ticks of a measure, the same for all parts: as long as its longest part, at least as its meter says; a
        pick-up, and what is marked as irregular or completed by its neighbour, may be shorter."""
        extent = max((part.measures[index].extent for part in self.parts), default=Fraction(0))
        ticks, full = self.ticks(extent), self.meters[index].ticks
        if ticks >= full or not full:
            return ticks
        if not ticks:
            return full
        last = index == self.n_measures - 1
        return ticks if not index or last or self.is_irregular(index, ticks, full) else full

    def is_irregular(self, index: int, ticks: int, full: int) -> bool:
        """Whether a measure inside the piece is meant to be short."""
        here = [part.measures[index] for part in self.parts]
        beyond = [part.measures[index + 1] for part in self.parts]
        if any(measure.is_implicit for measure in here):
            return True
        if any(m.bars.ends_repeat for m in here) or any(m.bars.starts_repeat for m in beyond):
            return True
        neighbours = [self.ticks(max(part.measures[n].extent for part in self.parts)) for n in (index - 1, index + 1)]
        return full - ticks in neighbours

    def ticks(self, quarters: Fraction) -> int:
        """Ticks of a time; one that they do not hold exactly goes to the next tick where a tuplet (of 11, 13, 17 or 19)
        needs it, else to the next 128th note."""
        scaled = quarters * TICKS_PER_QUARTER
        return round(scaled) if scaled.denominator in ROUNDED else round(scaled / COARSE) * COARSE

    def score(self) -> Score:
        """Key and meter of the first measure stand in the header."""
        key = next((m.keys[0][1] for part in self.parts for m in part.measures[:1] if m.keys), Key("C"))
        voices = [voice for part in self.parts for voice in self.voices(part, key)]
        if not voices:
            raise NotationError("no_notes", "it has no notes.")
        for number, voice in enumerate(voices, start=1):
            voice.name = str(number) if len(voices) > 1 else ""
            voice.clef = voice.clef if len(voices) > 1 or voice.clef != "treble" else ""
        return Score(self.fields(), self.meters[0], key, voices, +self.losses)

    def fields(self) -> dict[str, list[str]]:
        """Title, composer and the tempo of the beginning as header fields."""
        titles = [self.root.findtext(path) or "" for path in ("work/work-title", "movement-title")]
        first = (tempo for part in self.parts for measure in part.measures[:1] for tempo in measure.tempos)
        tempo = next((qpm for place, qpm in first if not place), None)
        found = {
            "T": titles,
            "C": list(_creators(self.root)),
            "Q": [f"1/4={tempo:g}"] if tempo is not None else [],
            "Z": [f"abc-copyright {one.text}" for one in self.root.iter("rights") if (one.text or "").strip()],
        }
        tidied = {letter: [" ".join(text.split()) for text in texts] for letter, texts in found.items()}
        fields = {letter: list(dict.fromkeys(filter(None, texts))) for letter, texts in tidied.items() if any(texts)}
        for one in self.root.iter("miscellaneous-field"):
            letter, line = one.get("name", "").removeprefix("abc-"), " ".join((one.text or "").split())
            if one.get("name", "").startswith("abc-") and re.fullmatch("[A-Z]", letter) and line:
                fields.setdefault(letter, []).append(line)
        return fields

    def directions(self, index: int) -> Iterator[tuple[Fraction, Event]]:
        """Changes of tempo in a measure, of any part, without the one that the header holds."""
        seen = set()
        for part in self.parts:
            for place, qpm in part.measures[index].tempos:
                if (index or place) and (place, qpm) not in seen:
                    seen.add((place, qpm))
                    yield place, TempoChange(f"1/4={qpm:g}")

    def jumps(self, index: int) -> Iterator[tuple[Fraction, str]]:
        """Signs of a measure that change the order of playing, of any part: they hold for all voices."""
        seen = {name: place for part in reversed(self.parts) for place, name in reversed(part.measures[index].jumps)}
        for name, place in seen.items():
            yield place, self.jump_names[name]

    @cached_property
    def jump_names(self) -> dict[str, str]:
        """How ABC names each sign; a jump goes up to the coda, else to the fine, where the piece has one."""
        names = {name for part in self.parts for measure in part.measures for _, name in measure.jumps}
        until = "alcoda" if {"coda", "tocoda"} & names else "alfine" if "fine" in names else ""
        return {"segno": "segno", "coda": "coda", "tocoda": "dacoda", "fine": "fine"} | {
            "dacapo": f"D.C.{until}",
            "dalsegno": f"D.S.{until}",
        }

    def voices(self, part: SheetPart, key: Key) -> Iterator[Voice]:
        """The voices of a part, from the highest staff down, each without overlaps."""
        self.place(part)
        _follow_ties(part.placed)
        _name_voices(part.placed)
        clefs: dict[int, str] = {}
        for measure in part.measures:
            clefs = measure.clefs | clefs
        for index, line in enumerate(_lines(part.placed)):
            staff = Counter(placed.chord.staff for placed in line).most_common(1)[0][0]
            first = index == 0 and part is self.parts[0]
            events = _VoiceWriter(self, part, line, key, has_symbols=index == 0, is_first=first).events()
            drums = part.is_drum or all(placed.chord.is_drum for placed in line)
            clef = clefs.get(staff, clefs.get(1, "treble"))
            program = self.program(part, line)
            yield Voice("", "perc" if drums else clef, events, title=part.name, program=program, drums=drums)

    def program(self, part: SheetPart, line: list[PlacedChord]) -> int | None:
        """The General MIDI program that most notes of a voice have; a voice keeps one."""
        first = next(iter(part.programs.values()), None)
        heard = Counter(
            part.programs.get(placed.chord.instrument, first) for placed in line if not placed.chord.is_drum
        )
        if not heard:
            return first
        (program, number), others = heard.most_common(1)[0], heard.total()
        if others > number:
            self.losses["notes of a further instrument of their part, given the sound of the others"] += others - number
        return program

    def place(self, part: SheetPart) -> None:
        """Put the chords of a part on the time line; those that round to nothing are losses."""
        for index, measure in enumerate(part.measures):
            for chord in measure.chords:
                onset, end = (self.starts[index] + self.ticks(place) for place in (chord.onset, chord.end))
                scaled = [place * TICKS_PER_QUARTER for place in (chord.onset, chord.end)]
                if any(one.denominator not in ROUNDED for one in scaled):
                    self.losses["lengths that ABC cannot count, moved to the nearest 128th note"] += 1
                if end > onset:
                    part.placed.append(PlacedChord(index, onset, end, chord))
                else:
                    self.losses["notes shorter than a 128th note that cannot be counted"] += len(chord.notes)
        part.placed.sort(key=lambda placed: placed.onset)
        if sum(len(placed.chord.notes) for placed in part.placed) > MAX_NOTES:
            raise NotationError("too_long", f"it has more than {MAX_NOTES:,} notes.")


class _VoiceWriter:
    """Writes one line of chords as the events of a voice."""

    def __init__(
        self,
        sheet: _Sheet,
        part: SheetPart,
        line: list[PlacedChord],
        key: Key,
        *,
        has_symbols: bool,
        is_first: bool,
    ) -> None:
        self.sheet = sheet
        self.part = part
        self.key = key
        self.has_symbols, self.is_first = has_symbols, is_first
        self.staff = Counter(placed.chord.staff for placed in line).most_common(1)[0][0]
        self.by_measure: dict[int, list[PlacedChord]] = {}
        for placed in line:
            self.by_measure.setdefault(placed.measure, []).append(placed)
        self.slurs = _matched_slurs(line)
        self.syllables = _syllables(line)

    def events(self) -> list[Event]:
        """All measures, with changes of key and meter and bar lines."""
        events: list[Event] = []
        meter = self.sheet.meters[0]
        for index in range(self.sheet.n_measures):
            if self.sheet.meters[index] != meter:
                meter = self.sheet.meters[index]
                events.append(MeterChange(meter))
            _open_bar(events, self.bars(index))
            changes = self.changes(index)
            signs = list(self.signs(index, changes))
            self.count_moved(index, signs, changes)
            events += measure_events(signs, self.key)
            events += [event for place, event in changes if place >= self.sheet.starts[index + 1]]
            self.key = next((event.key for _, event in reversed(changes) if isinstance(event, KeyChange)), self.key)
            times = max(one.bars.times for one in self.bars(index))
            beyond = self.bars(index + 1) if index + 1 < self.sheet.n_measures else []
            events.append(Bar(_right_bar(self.bars(index), beyond), times=times))
        return tidy(events)

    def count_moved(self, index: int, signs: list[Sign], changes: list[tuple[int, Event]]) -> None:
        """Count the changes of tempo of a measure that stand where no sign begins."""
        starts = set(accumulate((sign.ticks for sign in signs), initial=self.sheet.starts[index]))
        moved = [event for place, event in changes if isinstance(event, TempoChange) and place not in starts]
        self.sheet.losses[MOVED_TEMPO] += len(moved)

    def bars(self, index: int) -> list[SheetMeasure]:
        return [part.measures[index] for part in self.sheet.parts]

    def signs(self, index: int, changes: list[tuple[int, Event]]) -> Iterator[Sign]:
        """The chords of a measure with rests between, cut where a symbol or a change of key stands in a rest, or
        the tempo changes."""
        start, end = self.sheet.starts[index], self.sheet.starts[index + 1]
        tick = start
        for placed in self.by_measure.get(index, []):
            if placed.onset > tick:
                yield from _rests(tick, placed.onset, changes)
            stop = min(placed.end, end)
            yield from self.pieces(placed, stop, changes)
            tick = stop
        if tick < end:
            yield from _rests(tick, end, changes)

    def changes(self, index: int) -> list[tuple[int, Event]]:
        """(tick, event) of the measure's changes of key, and of its chord symbols and words where this voice has them;
        what stands at the end of the measure or beyond comes before its bar line."""
        measure, start = self.part.measures[index], self.sheet.starts[index]
        found: list[tuple[int, Event]] = []
        key = self.key
        for place, new, staff in measure.keys:
            if new != key and staff in (0, self.staff):
                key = new
                found.append((start + self.sheet.ticks(place), KeyChange(new)))
        if self.has_symbols:
            for place, element in measure.symbols:
                text = chord_text(element, self.part.reader.diatonic, self.part.reader.chromatic)
                if any((one.text or "").strip() == "subtract" for one in element.iter("degree-type")):
                    self.sheet.losses["chord symbols without the degrees that they leave out"] += 1
                if text:
                    found.append((start + self.sheet.ticks(place), ChordSymbol(text)))
                elif (element.findtext("kind") or "").strip() == "none":
                    found += [(start + self.sheet.ticks(place), event) for event in no_chord(element)]
                else:
                    self.sheet.losses["chord symbols of a kind that ABC does not name"] += 1
            found += [(start + self.sheet.ticks(place), event) for place, event in measure.written]
        found += [(start + self.sheet.ticks(place), Direction(name)) for place, name in self.dynamics(measure)]
        found += [(start + self.sheet.ticks(place), Direction(name)) for place, name in self.sheet.jumps(index)]
        if self.is_first:
            found += [(start + self.sheet.ticks(place), event) for place, event in self.sheet.directions(index)]
        return sorted(found, key=lambda change: change[0])

    def dynamics(self, measure: SheetMeasure) -> Iterator[tuple[Fraction, str]]:
        """The dynamics of this voice's staff; a part of several staves often has one set between them."""
        staves = {staff for _, staff, _ in measure.dynamics}
        for place, staff, name in measure.dynamics:
            if staff == self.staff or len(staves) == 1:
                yield place, name

    def pieces(self, placed: PlacedChord, end: int, changes: list[tuple[int, Event]]) -> Iterator[Sign]:
        """A chord as one sign, or as several tied ones where the tempo changes inside it."""
        tempos = [place for place, event in changes if isinstance(event, TempoChange)]
        aims = [event.name for place, event in changes if place == placed.onset and self.is_aim(event)]
        changes = [(place, event) for place, event in changes if place != placed.onset or not self.is_aim(event)]
        for start, stop in divided(placed.onset, end, tempos):
            before = [event for place, event in changes if start <= place < stop]
            sign = self.sign(placed, stop - start, before, "".join(map(AIMS.__getitem__, aims)))
            if start > placed.onset:
                sign = replace(sign, before=tuple(before), graces=(), marks="", syllables=())
            yield sign if stop == end else replace(sign, tie=True, untied=(), after=())

    def is_aim(self, event: Event) -> TypeGuard[Direction]:
        """Whether a jump goes to an event that this voice has as a decoration, where a note begins there."""
        return self.is_first and isinstance(event, Direction) and event.name in AIMS

    def sign(self, placed: PlacedChord, ticks: int, before: list[Event], aims: str) -> Sign:
        """A chord with the events that stand before it; `aims` are the signs of jumps that are decorations of it."""
        chord = placed.chord
        opens, closes = self.slurs.get(id(placed), (0, 0))
        is_tied = any(note.follower is not None for note in chord.notes)
        untied = (place for place, note in enumerate(chord.notes) if note.follower is None)
        return Sign(
            ticks,
            tuple(_checked(note.pitch) for note in chord.notes),
            is_tied,
            (*before, *(Slur(True) for _ in range(opens))),
            tuple(map(_checked, chord.graces)),
            chord.marks + aims,
            tuple(Slur(False) for _ in range(closes)),
            tuple(untied) if is_tied else (),
            self.syllables.get(id(placed), ()),
            chord.has_slash,
        )


def _creators(root: Element) -> Iterator[str]:
    """Composers, then the others with what they did: `A. Writer (lyricist)`."""
    named = [(one.get("type", "composer"), (one.text or "").strip()) for one in root.iter("creator")]
    yield from (name for kind, name in named if kind == "composer" and name)
    yield from (f"{name} ({kind})" for kind, name in named if kind != "composer" and name)


# --- parts and voices ------------------------------------------------------------------------------------------------


def _parts(root: Element) -> Iterator[tuple[str, list[Element]]]:
    """(id, measures) of each part, whichever way round the file has them."""
    if root.tag == "score-partwise":
        for part in root.findall("part"):
            yield part.get("id", ""), part.findall("measure")
        return
    measures = root.findall("measure")
    names = dict.fromkeys(part.get("id", "") for measure in measures for part in measure.findall("part"))
    for name in names:
        yield name, [_of_part(measure, name) for measure in measures]


def _of_part(measure: Element, name: str) -> Element:
    """A measure of one part, out of a time-wise score."""
    found = Element("measure", measure.attrib)
    for part in measure.findall("part"):
        if part.get("id", "") == name:
            found.extend(list(part))
    return found


def _follow_ties(placed: list[PlacedChord]) -> None:
    """Join each note to the one that its tie leads to; chains that no single voice holds get a voice of their own."""
    at: dict[tuple[int, int], list[tuple[PlacedChord, SheetNote]]] = {}
    for one in placed:
        for note in one.chord.notes:
            if note.tie_stops:
                at.setdefault((one.onset, note.midi), []).append((one, note))
    loose = []
    for one in placed:
        for note in one.chord.notes:
            waiting = at.get((one.end, note.midi), []) if note.tie_starts else []
            if waiting:
                found = min(waiting, key=lambda other: _place(other[0]) != _place(one))
                waiting.remove(found)
                note.follower = found[1]
            elif note.tie_starts:
                loose.append((one, note))
    for one, note in loose:
        _hold_to_later_chord(placed, one, note, at)


def _hold_to_later_chord(
    placed: list[PlacedChord],
    one: PlacedChord,
    note: SheetNote,
    at: dict[tuple[int, int], list[tuple[PlacedChord, SheetNote]]],
) -> None:
    """A note of an arpeggio whose tie leads to a chord after the notes between: it lasts up to that chord, where this
    stands in the same measure or begins the next."""
    later = [
        (other, end)
        for (onset, midi), waiting in at.items()
        for other, end in waiting
        if midi == note.midi and onset > one.end and other.measure - one.measure in (0, 1)
    ]
    if not later:
        return
    other, end = min(later, key=lambda found: found[0].onset)
    begins = all(third.onset >= other.onset for third in placed if third.measure == other.measure)
    between = [third for third in placed if one.onset < third.onset < other.onset]
    struck = any(n.midi == note.midi for third in between for n in third.chord.notes)
    if struck or (other.measure != one.measure and not begins):
        return
    at[other.onset, note.midi].remove((other, end))
    note.follower, note.is_held = end, True
    stays = [n for n in one.chord.notes if n is not note]
    if not stays:
        one.end = other.onset
        return
    one.chord = replace(one.chord, notes=stays)
    alone = replace(one.chord, notes=[note], graces=[], marks="", lyrics=[], slurs=[])
    placed.append(replace(one, end=other.onset, chord=alone))


def _place(one: PlacedChord) -> tuple[str, int]:
    return one.chord.voice, one.chord.staff


def _name_voices(placed: list[PlacedChord]) -> None:
    """Set each chord's voice: the file's number, with the staff where one number stands on two staves at once."""
    shared = _shared_numbers(placed)
    for one in placed:
        voice, staff = one.chord.voice, one.chord.staff
        number = int(voice) if voice.isdigit() else 0
        one.key = (staff if not voice or voice in shared else 0, number, voice)
    staves: dict[tuple[int, int, str], Counter[int]] = {}
    for one in placed:
        staves.setdefault(one.key, Counter())[one.chord.staff] += 1
    home = {key: counts.most_common(1)[0][0] for key, counts in staves.items()}
    for one in placed:
        one.key = (home[one.key], one.key[1], one.key[2])


def _shared_numbers(placed: list[PlacedChord]) -> set[str]:
    """Voice numbers under which chords on two staves overlap."""
    ends: dict[str, dict[int, int]] = {}
    shared = set()
    for one in placed:
        own = ends.setdefault(one.chord.voice, {})
        if any(end > one.onset for staff, end in own.items() if staff != one.chord.staff):
            shared.add(one.chord.voice)
        own[one.chord.staff] = max(own.get(one.chord.staff, 0), one.end)
    return shared


def _lines(placed: list[PlacedChord]) -> Iterator[list[PlacedChord]]:
    """Chords voice by voice, without overlaps: what overlaps within a voice goes to further lines after it."""
    by_key: dict[tuple[int, int, str], list[PlacedChord]] = {}
    apart = _apart(placed)
    for one in placed:
        for part in _split_by_chain(one, apart):
            by_key.setdefault(part.key, []).append(part)
    for key in sorted(by_key):
        yield from _without_overlaps(by_key[key])


def _apart(placed: list[PlacedChord]) -> set[int]:
    """The notes (by identity) of chains of ties that no voice holds as it is."""
    home = {id(note): one for one in placed for note in one.chord.notes}
    chains: dict[int, list[SheetNote]] = {}
    number: dict[int, int] = {}
    for one in placed:
        for note in one.chord.notes:
            name = number.setdefault(id(note), id(note))
            chains.setdefault(name, []).append(note)
            if note.follower is not None:
                number[id(note.follower)] = name
    apart = [chain for chain in chains.values() if not _holds(chain, home) or any(note.is_held for note in chain)]
    return {id(note) for chain in apart for note in chain}


def _holds(chain: list[SheetNote], home: dict[int, PlacedChord]) -> bool:
    """Whether one voice holds a chain of tied notes."""
    return len({home[id(note)].key for note in chain}) == 1


def _split_by_chain(one: PlacedChord, apart: set[int]) -> Iterator[PlacedChord]:
    """A chord, its notes of chains that go apart as chords of their own."""
    stay = [note for note in one.chord.notes if id(note) not in apart]
    if len(stay) == len(one.chord.notes):
        yield one
        return
    if stay:
        yield replace(one, chord=replace(one.chord, notes=stay))
    for note in one.chord.notes:
        if id(note) in apart:
            alone = replace(one.chord, notes=[note], graces=[], marks="", lyrics=[], slurs=[])
            yield replace(one, chord=alone, key=TIED_VOICE)


def _without_overlaps(chords: list[PlacedChord]) -> list[list[PlacedChord]]:
    """Each chord goes to the first line that is free at its onset, of those its tie comes from first."""
    lines: list[list[PlacedChord]] = []
    for chord in sorted(chords, key=lambda one: one.onset):
        free = [line for line in lines if line[-1].end <= chord.onset]
        tied = [line for line in free if _leads_to(line[-1], chord)]
        free = tied or [line for line in free if line[-1].end < chord.onset or not _is_tied(line[-1])]
        if free:
            free[0].append(chord)
        else:
            lines.append([chord])
    return lines


def _leads_to(before: PlacedChord, after: PlacedChord) -> bool:
    return any(note.follower in after.chord.notes for note in before.chord.notes if note.follower is not None)


def _is_tied(chord: PlacedChord) -> bool:
    return any(note.follower is not None for note in chord.chord.notes)


def _syllables(line: list[PlacedChord]) -> dict[int, tuple[str, ...]]:
    """The syllables of each chord (by identity), a text a verse, as `notation.score.Note` has them; a line under the
    notes (`<extend>`) holds the syllable up to the next one or a rest."""
    verses = sorted({lyric.verse for placed in line for lyric in placed.chord.lyrics})[:MAX_VERSES]
    found: dict[int, tuple[str, ...]] = {}
    held: set[int] = set()
    end = 0
    for placed in line if verses else ():
        by_verse = {lyric.verse: lyric for lyric in placed.chord.lyrics}
        held = held if placed.onset == end else set()
        texts = [
            _syllable(by_verse[verse]) if verse in by_verse and by_verse[verse].text else "_" if verse in held else ""
            for verse in verses
        ]
        held = {lyric.verse for lyric in by_verse.values() if lyric.extends} | (held - set(by_verse))
        end = placed.end
        if any(texts):
            found[id(placed)] = tuple(texts)
    return found


def _syllable(lyric: Lyric) -> str:
    return lyric.text + ("-" if lyric.syllabic in ("begin", "middle") else "")


def _matched_slurs(line: list[PlacedChord]) -> dict[int, tuple[int, int]]:
    """(slurs that open, slurs that close) at each chord of a line, of slurs that begin and end in it."""
    found: dict[int, list[int]] = {}
    open_at: dict[str, list[PlacedChord]] = {}
    for one in line:
        for number, kind in sorted(one.chord.slurs, key=lambda slur: slur[1] == "start"):
            if kind == "start":
                open_at.setdefault(number, []).append(one)
            elif open_at.get(number):
                found.setdefault(id(open_at[number].pop()), [0, 0])[0] += 1
                found.setdefault(id(one), [0, 0])[1] += 1
    return {place: (opens, closes) for place, (opens, closes) in found.items()}


# --- measures --------------------------------------------------------------------------------------------------------


def _rests(start: int, end: int, changes: list[tuple[int, Event]]) -> Iterator[Sign]:
    """Silence, cut at each change that stands in it; one at an odd place comes before the rest that it stands in."""
    cuts = [start]
    for tick, _ in changes:
        if cuts[-1] < tick < end and _is_plain(tick - cuts[-1]) and _is_plain(end - tick):
            cuts.append(tick)
    for tick, stop in zip(cuts, [*cuts[1:], end]):
        yield Sign(stop - tick, before=tuple(event for place, event in changes if tick <= place < stop))


def _is_plain(ticks: int) -> bool:
    """Whether a rest of this length is written as one: in 128th notes or thirds of a 32nd."""
    return ticks % COARSE == 0 or ticks % (TICKS_PER_QUARTER // 24) == 0


def _open_bar(events: list[Event], measures: list[SheetMeasure]) -> None:
    """The bar line that a measure begins with, made one with that before it."""
    starts = any(measure.bars.starts_repeat for measure in measures)
    ending = next((measure.bars.ending for measure in measures if measure.bars.ending), "")
    if not starts and not ending:
        return
    before = events[-1] if events and isinstance(events[-1], Bar) else None
    if before is None:
        place = len(events)
        while place and isinstance(events[place - 1], MeterChange):
            place -= 1
        before = events[place - 1] if place and isinstance(events[place - 1], Bar) else None  # type: ignore[assignment]
        bar = _opened(before, starts, ending)
        if before is None:
            events.insert(place, bar)
        else:
            events[place - 1] = bar
    else:
        events[-1] = _opened(before, starts, ending)


def _opened(before: Bar | None, starts: bool, ending: str) -> Bar:
    if before is None:
        return Bar("|:" if starts else "", ending)
    if starts:
        return Bar("::" if before.ends_repeat else "|:", ending, before.times)
    return Bar(before.kind, ending, before.times)


def _right_bar(measures: Iterable[SheetMeasure], beyond: Iterable[SheetMeasure]) -> str:
    """The bar line that closes a measure: a repeat of any part, else the style of the first that has one. An ending
    that stops where neither a repeat nor another ending follows needs a double bar line in ABC."""
    bars = [measure.bars for measure in measures]
    if any(one.ends_repeat for one in bars):
        return ":|"
    style = next((one.style for one in bars if one.style), "")
    followed = [one.bars for one in beyond]
    goes_on = bool(followed) and not any(one.starts_repeat or one.ending for one in followed)
    plain = "||" if goes_on and any(one.ending_stops for one in bars) else "|"
    return {"light-heavy": "|]", "light-light": "||"}.get(style, plain)


def _checked(pitch: Spelled) -> Spelled:
    """Respell what has more than two accidentals; refuse what ABC has no letter for."""
    letter, octave, alter = pitch
    if not -2 <= alter <= 2:
        from symbolic.formats.engraving import spelled
        from symbolic.notation.theory import SEMITONES

        letter, octave, alter = spelled(12 * (octave + 1) + SEMITONES[letter] + alter, Key("C"))
    if not -1 <= octave <= 9:
        raise NotationError("bad_pitch", f"the pitch {letter}{octave} cannot be written in ABC.")
    return letter, octave, alter
