"""A score as MusicXML 4.0, a part for each voice, bars as long as they are.

Written are notes, chords, rests, ties, tuplets, graces, slurs, beams, bar lines, repeats and endings, key and meter
with their changes, clefs, chord symbols, title, composer, tempo and the decorations in MARKS; other decorations are
left out. A length that no note value has is written as tied notes. The same score gives the same text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import lcm
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from symbolic.formats.midi import stated_qpm
from symbolic.formats.musicxml.musicxml_harmony import KINDS
from symbolic.formats.musicxml.musicxml_measures import MODES, TYPES
from symbolic.notation.score import (
    Bar,
    ChordSymbol,
    Event,
    Grace,
    KeyChange,
    MeterChange,
    Note,
    Rest,
    Score,
    Slur,
    Tuplet,
    Voice,
)
from symbolic.notation.theory import SEMITONES, TICKS_PER_WHOLE, Key, Meter, NotationError, Pitch

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
    'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
)
TICKS_PER_QUARTER = TICKS_PER_WHOLE // 4
MARKS = {  # decoration -> (group of notations, element)
    ".": ("articulations", "staccato"),
    "L": ("articulations", "accent"),
    "!tenuto!": ("articulations", "tenuto"),
    "u": ("technical", "up-bow"),
    "v": ("technical", "down-bow"),
    "T": ("ornaments", "trill-mark"),
    "~": ("ornaments", "turn"),
    "!turn!": ("ornaments", "turn"),
    "M": ("ornaments", "mordent"),
    "P": ("ornaments", "inverted-mordent"),
    "H": ("", "fermata"),
}
DYNAMICS = {f"!{name}!": name for name in ("pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff", "sfz")}
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
CLEFS = {"treble": ("G", 2), "bass": ("F", 4), "alto": ("C", 3), "tenor": ("C", 4)}
_CHORD = re.compile(r"([A-G])([#b]?)([^/]*)(?:/([A-G])([#b]?))?")
_SUFFIXES = {suffix: kind for kind, suffix in reversed(KINDS.items())}
_SUFFIXES |= {"min": "minor", "-": "minor", "M7": "major-seventh", "sus": "suspended-fourth", "+": "augmented"}
_SUFFIXES["7sus4"] = "suspended-fourth"
_PLAIN = sorted((length for length in TYPES.values() if length <= 8), reverse=True)
_TYPE_OF = {length: name for name, length in TYPES.items()}


@dataclass
class Measure:
    """The events between two bar lines of a voice, with the meter in force and the bar lines beside it."""

    events: list[Event]
    meter: Meter
    left: Bar | None = None
    right: Bar | None = None
    starts_repeat: bool = False
    ending: str = ""
    ended: str = ""  # the number of an ending that ends here

    @property
    def ticks(self) -> int:
        """Its length."""
        return sum(event.ticks for event in self.events if isinstance(event, (Note, Rest)))


def to_musicxml(score: Score, *, title: str = "", composer: str = "") -> str:
    """MusicXML of a score; `title` and `composer` take the place of its own fields.

    Raises NotationError `inexpressible` for a length shorter than a 1024th note.
    """
    root = Element("score-partwise", version="4.0")
    work = SubElement(root, "work")
    SubElement(work, "work-title").text = title or score.title or "untitled"
    composers = composer or ", ".join(score.fields.get("C", []))
    if composers:
        identification = SubElement(root, "identification")
        SubElement(identification, "creator", type="composer").text = composers
    part_list = SubElement(root, "part-list")
    divisions = _divisions(score)
    for number, voice in enumerate(score.voices, start=1):
        _list_part(part_list, number, voice)
    for number, voice in enumerate(score.voices, start=1):
        root.append(_PartWriter(score, voice, divisions, is_first=number == 1).part(f"P{number}"))
    indent(root, " ")
    return HEAD + tostring(root, encoding="unicode") + "\n"


def _divisions(score: Score) -> int:
    """The smallest number of divisions to a quarter in which every length is whole."""
    timed = {(e.ticks, e.written): e for voice in score.voices for e in voice.events if isinstance(e, (Note, Rest))}
    return lcm(*((length / ratio).denominator for event in timed.values() for length, ratio in _pieces(event)))


def _list_part(part_list: Element, number: int, voice: Voice) -> None:
    part = SubElement(part_list, "score-part", id=f"P{number}")
    SubElement(part, "part-name").text = voice.title or voice.name or "Melody"
    if voice.program is None and not voice.drums:
        return
    played = SubElement(part, "midi-instrument", id=f"P{number}-I1")
    part.insert(1, instrument := Element("score-instrument", id=f"P{number}-I1"))
    SubElement(instrument, "instrument-name").text = voice.title or voice.name or ("Drums" if voice.drums else "Melody")
    if voice.drums:
        SubElement(played, "midi-channel").text = "10"
    SubElement(played, "midi-program").text = str((voice.program or 0) + 1)


class _PartWriter:
    """Writes the measures of one voice."""

    def __init__(self, score: Score, voice: Voice, divisions: int, *, is_first: bool) -> None:
        self.score = score
        self.voice = voice
        self.divisions = divisions
        self.is_first = is_first
        self.ties = dict(_ties(voice))
        self.slurs: list[int] = []
        self.opening: list[int] = []  # numbers of slurs that wait for their first note
        self.tuplets = _tuplet_places(voice)
        self.last_note = Element("note")

    def part(self, name: str) -> Element:
        """The `<part>` element."""
        part = Element("part", id=name)
        measures = list(_measures(self.voice, self.score.meter))
        numbers = count(1)
        for index, measure in enumerate(measures):
            is_short = not measure.meter.is_free and measure.ticks < measure.meter.ticks
            element = SubElement(part, "measure")
            if is_short and index:
                element.set("number", f"X{index}")
            else:
                element.set("number", "0" if is_short else str(next(numbers)))
            if is_short:
                element.set("implicit", "yes")
            self.fill(element, measure, is_first=not index)
        return part

    def fill(self, element: Element, measure: Measure, *, is_first: bool) -> None:
        """Bar lines, attributes and events of one measure."""
        _left_barline(element, measure)
        if is_first:
            self.add_first_attributes(element)
        beams = _beams(measure)
        for event in measure.events:
            self.add(element, event, beams.get(id(event), []))
        _right_barline(element, measure)

    def add_first_attributes(self, element: Element) -> None:
        attributes = SubElement(element, "attributes")
        SubElement(attributes, "divisions").text = str(self.divisions)
        _add_key(attributes, self.score.key)
        _add_time(attributes, self.score.meter)
        _add_clef(attributes, self.voice.clef)
        qpm = stated_qpm(self.score) if self.is_first else None
        if qpm is not None:
            _add_tempo(element, qpm)

    def add(self, element: Element, event: Event, beams: list[tuple[int, str]]) -> None:
        """Add one event."""
        match event:
            case Note():
                self.add_note(element, event, beams)
            case Rest():
                self.add_rest(element, event)
            case Grace():
                for pitch in event.pitches:
                    self.add_grace(element, pitch)
            case Slur():
                self.add_slur(event)
            case ChordSymbol():
                _add_harmony(element, event.text)
            case KeyChange():
                _add_key(SubElement(element, "attributes"), event.key)
            case MeterChange():
                _add_time(SubElement(element, "attributes"), event.meter)

    def add_slur(self, event: Slur) -> None:
        """A slur's beginning waits for the next note; its end is put on the last one."""
        if event.opens:
            self.opening.append(next(n for n in count(1) if n not in self.slurs and n not in self.opening))
        elif self.opening:
            self.opening.pop()
        elif self.slurs:
            SubElement(_notations(self.last_note), "slur", type="stop", number=str(self.slurs.pop()))

    def add_rest(self, element: Element, event: Rest) -> None:
        for length, ratio in _pieces(event):
            note = SubElement(element, "note")
            SubElement(note, "rest")
            self.add_length(note, length, ratio)
        self.add_tuplet(element, event)

    def add_note(self, element: Element, event: Note, beams: list[tuple[int, str]]) -> None:
        """A note or chord, in tied pieces where no note value has its length."""
        for mark in _decorations(event.marks):
            if mark in DYNAMICS:
                _add_dynamic(element, DYNAMICS[mark])
        pieces = list(_pieces(event))
        for index, (length, ratio) in enumerate(pieces):
            is_last = index == len(pieces) - 1
            for place, pitch in enumerate(event.pitches):
                note = SubElement(element, "note")
                if place:
                    SubElement(note, "chord")
                _add_pitch(note, pitch)
                left, right = self.ties[id(event)][place]
                ties = (["stop"] if left or index else []) + (["start"] if right or not is_last else [])
                SubElement(note, "duration").text = self.duration(length, ratio)
                for tie in ties:
                    SubElement(note, "tie", type=tie)
                self.add_type(note, length, ratio, pitch.accidental if not index else None)
                for level, kind in beams if not place and len(pieces) == 1 else []:
                    SubElement(note, "beam", number=str(level)).text = kind
                for tie in ties:
                    SubElement(_notations(note), "tied", type=tie)
                if not place:
                    self.last_note = note
                if not place and not index:
                    self.decorate(note, event)
        self.add_tuplet(element, event, len(event.pitches))

    def decorate(self, note: Element, event: Note) -> None:
        """Slurs that open and decorations."""
        for number in self.opening:
            SubElement(_notations(note), "slur", type="start", number=str(number))
        self.slurs += self.opening
        self.opening = []
        for mark in _decorations(event.marks):
            group, name = MARKS.get(mark, ("", ""))
            if name:
                notations = _notations(note)
                holder = notations if not group else _child(notations, group)
                SubElement(holder, name)

    def add_grace(self, element: Element, pitch: Pitch) -> None:
        note = SubElement(element, "note")
        SubElement(note, "grace", slash="yes")
        _add_pitch(note, pitch)
        SubElement(note, "voice").text = "1"
        SubElement(note, "type").text = "16th"
        if pitch.accidental is not None:
            SubElement(note, "accidental").text = ACCIDENTALS[pitch.accidental]

    def add_length(self, note: Element, length: Fraction, ratio: Fraction) -> None:
        SubElement(note, "duration").text = self.duration(length, ratio)
        self.add_type(note, length, ratio, None)

    def duration(self, length: Fraction, ratio: Fraction) -> str:
        """Divisions of a piece: its written length divided by its ratio."""
        duration = length / ratio * self.divisions
        if duration.denominator != 1:
            raise NotationError("inexpressible", "a length of this tune is no multiple of a MusicXML division.")
        return str(int(duration))

    def add_type(self, note: Element, length: Fraction, ratio: Fraction, accidental: int | None) -> None:
        """Voice, note value, dots, accidental and time modification, in the order of the schema."""
        SubElement(note, "voice").text = "1"
        plain = next(one for one in _PLAIN if one <= length)
        SubElement(note, "type").text = _TYPE_OF[plain]
        for _ in range({1: 0, Fraction(3, 2): 1, Fraction(7, 4): 2}[length / plain]):
            SubElement(note, "dot")
        if accidental is not None:
            SubElement(note, "accidental").text = ACCIDENTALS[accidental]
        if ratio != 1:
            modification = SubElement(note, "time-modification")
            SubElement(modification, "actual-notes").text = str(ratio.numerator)
            SubElement(modification, "normal-notes").text = str(ratio.denominator)

    def add_tuplet(self, element: Element, event: Note | Rest, n_pitches: int = 1) -> None:
        """Brackets at the first and the last note of a tuplet."""
        for kind in self.tuplets.get(id(event), ()):
            notes = element.findall("note")
            _notations(notes[-n_pitches]).insert(0, Element("tuplet", type=kind, number="1"))


# --- measures --------------------------------------------------------------------------------------------------------


def _measures(voice: Voice, meter: Meter) -> Iterator[Measure]:
    """The measures of a voice; bar lines with nothing between them are one."""
    measures: list[Measure] = []
    measure = Measure([], meter)
    for event in voice.events:
        if isinstance(event, Bar):
            measure = _close(measures, measure, event)
        else:
            if isinstance(event, MeterChange) and not measure.ticks:
                measure.meter = event.meter
            measure.events.append(event)
    if measure.ticks:
        measures.append(measure)
    elif measures:
        measures[-1].events += [event for event in measure.events if isinstance(event, Slur)]
    _imply_repeats(measures)
    _end_endings(measures)
    yield from measures


def _close(measures: list[Measure], measure: Measure, bar: Bar) -> Measure:
    """Put a bar line behind a measure that has begun, else before it; return the open measure."""
    if measure.ticks:
        measure.right = bar
        measures.append(measure)
        changes = [event.meter for event in measure.events if isinstance(event, MeterChange)]
        measure = Measure([], changes[-1] if changes else measure.meter)
    elif bar.ends_repeat and measures:
        last = measures[-1].right
        measures[-1].right = bar if last is None or not last.ends_repeat else last
    measure.starts_repeat = measure.starts_repeat or bar.starts_repeat
    measure.ending = bar.ending or measure.ending
    return measure


def _imply_repeats(measures: Sequence[Measure]) -> None:
    """Write the |: of a section that ends in :| and follows a :| without a |: of its own; ABC implies it."""
    for index, measure in enumerate(measures[:-1]):
        if measure.right is None or measure.right.kind != ":|" or measures[index + 1].ending:
            continue
        for later in measures[index + 1 :]:
            if later.starts_repeat:
                break
            if later.right is not None and later.right.ends_repeat:
                measures[index + 1].starts_repeat = True
                break


def _end_endings(measures: Sequence[Measure]) -> None:
    """An ending goes to the next bar line that is not a plain one, to the next ending, or to the last measure."""
    number = ""
    for index, measure in enumerate(measures):
        number = measure.ending or number
        beyond = measures[index + 1] if index + 1 < len(measures) else None
        special = measure.right is not None and measure.right.kind not in ("|", "")
        if number and (special or beyond is None or beyond.ending or beyond.starts_repeat):
            measure.ended, number = number, ""


def _left_barline(element: Element, measure: Measure) -> None:
    if not measure.starts_repeat and not measure.ending:
        return
    barline = SubElement(element, "barline", location="left")
    if measure.starts_repeat:
        SubElement(barline, "bar-style").text = "heavy-light"
    if measure.ending:
        SubElement(barline, "ending", number=_ending_text(measure.ending), type="start")
    if measure.starts_repeat:
        SubElement(barline, "repeat", direction="forward")


def _right_barline(element: Element, measure: Measure) -> None:
    kind = measure.right.kind if measure.right is not None else ""
    style = {"||": "light-light", "|]": "light-heavy", ":|": "light-heavy", "::": "light-heavy"}.get(kind)
    if style is None and not measure.ended:
        return
    barline = SubElement(element, "barline", location="right")
    SubElement(barline, "bar-style").text = style or "regular"
    if measure.ended:
        kind_of_end = "stop" if measure.right is not None and measure.right.ends_repeat else "discontinue"
        SubElement(barline, "ending", number=_ending_text(measure.ended), type=kind_of_end)
    if measure.right is not None and measure.right.ends_repeat:
        SubElement(barline, "repeat", direction="backward")


def _ending_text(ending: str) -> str:
    """Ending numbers as MusicXML has them: a list with commas."""
    numbers: list[int] = []
    for part in ending.split(","):
        low, _, high = part.partition("-")
        if low.isdigit():
            numbers += range(int(low), min(int(high) if high.isdigit() else int(low), int(low) + 16) + 1)
    return ",".join(map(str, numbers)) or "1"


# --- attributes, directions, harmony ---------------------------------------------------------------------------------


def _add_key(attributes: Element, key: Key) -> None:
    element = SubElement(attributes, "key")
    SubElement(element, "fifths").text = str(key.sharps)
    SubElement(element, "mode").text = MODES[key.mode]


def _add_time(attributes: Element, meter: Meter) -> None:
    time = SubElement(attributes, "time")
    if meter.is_free:
        SubElement(time, "senza-misura")
        return
    SubElement(time, "beats").text = str(meter.numerator)
    SubElement(time, "beat-type").text = str(meter.denominator)


def _add_clef(attributes: Element, name: str) -> None:
    base, _, octave = re.sub(r"([+-])8", r" \g<1>1", name or "treble").partition(" ")
    sign, line = CLEFS.get(base, CLEFS["treble"])
    clef = SubElement(attributes, "clef")
    SubElement(clef, "sign").text = sign
    SubElement(clef, "line").text = str(line)
    if octave:
        SubElement(clef, "clef-octave-change").text = str(int(octave))


def _add_tempo(element: Element, qpm: float) -> None:
    """A metronome mark in quarters, and the tempo for playback."""
    direction = SubElement(element, "direction", placement="above")
    metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
    SubElement(metronome, "beat-unit").text = "quarter"
    SubElement(metronome, "per-minute").text = f"{qpm:.10g}"
    SubElement(direction, "sound", tempo=f"{qpm:.10g}")


def _add_dynamic(element: Element, name: str) -> None:
    direction = SubElement(element, "direction", placement="below")
    SubElement(SubElement(SubElement(direction, "direction-type"), "dynamics"), name)


def _add_harmony(element: Element, text: str) -> None:
    """A chord symbol with our own text of its kind."""
    match = _CHORD.fullmatch(text)
    if match is None:
        return
    letter, accidental, suffix, bass, bass_accidental = match.groups()
    harmony = SubElement(element, "harmony")
    _add_step(harmony, "root", letter, accidental)
    named, degrees = _kind_and_degrees(suffix)
    kind = SubElement(harmony, "kind")
    kind.text = named
    if suffix:
        kind.set("text", suffix)
    if bass:
        _add_step(harmony, "bass", bass, bass_accidental)
    for sign, value in degrees:
        degree = SubElement(harmony, "degree")
        SubElement(degree, "degree-value").text = value
        SubElement(degree, "degree-alter").text = {"b": "-1", "#": "1"}.get(sign, "0")
        SubElement(degree, "degree-type").text = "alter" if value == "5" else "add"


def _kind_and_degrees(suffix: str) -> tuple[str, list[tuple[str, str]]]:
    """MusicXML's kind of a chord symbol's suffix, and (b, # or add; number) of each further degree."""
    for end in range(len(suffix), -1, -1):
        kind, rest = _SUFFIXES.get(suffix[:end]), suffix[end:]
        if kind is not None and re.fullmatch(r"\(?(?:(?:add|b|#)\d{1,2})*\)?", rest):
            return kind, re.findall(r"(add|b|#)(\d{1,2})", rest)
    return "other", []


def _add_step(harmony: Element, name: str, letter: str, accidental: str) -> None:
    holder = SubElement(harmony, name)
    SubElement(holder, f"{name}-step").text = letter
    if accidental:
        SubElement(holder, f"{name}-alter").text = "1" if accidental == "#" else "-1"


# --- notes -----------------------------------------------------------------------------------------------------------


def _add_pitch(note: Element, pitch: Pitch) -> None:
    element = SubElement(note, "pitch")
    alter = pitch.midi - 12 * (pitch.octave + 1) - SEMITONES[pitch.letter]
    SubElement(element, "step").text = pitch.letter
    if alter:
        SubElement(element, "alter").text = str(alter)
    SubElement(element, "octave").text = str(pitch.octave)


def _notations(note: Element) -> Element:
    """The notations of a note, which stand before its lyrics."""
    found = note.find("notations")
    return found if found is not None else SubElement(note, "notations")


def _child(parent: Element, name: str) -> Element:
    found = parent.find(name)
    return found if found is not None else SubElement(parent, name)


def _decorations(marks: str) -> list[str]:
    return re.findall(r"!\w+!|.", marks)


def _pieces(event: Note | Rest) -> Iterator[tuple[Fraction, Fraction]]:
    """(written length in quarters, ratio of written to sounding length) of the note values that make up a length.

    Raises NotationError `inexpressible` below a 1024th note.
    """
    written = Fraction(event.written, TICKS_PER_QUARTER)
    ratio = Fraction(event.written, event.ticks)
    odd = written.denominator
    while odd % 2 == 0:
        odd //= 2
    if odd > 1:  # a tuplet that the score does not spell as one
        normal = 2 ** (odd.bit_length() - 1)
        written, ratio = written * odd / normal, ratio * odd / normal
    while written > 0:
        plain = next((one for one in _PLAIN if one <= written), None)
        if plain is None:
            raise NotationError("inexpressible", "a note of this tune is shorter than a 1024th note.")
        dotted = [plain * factor for factor in (Fraction(7, 4), Fraction(3, 2), Fraction(1))]
        piece = next(one for one in dotted if one <= written)
        yield piece, ratio
        written -= piece


def _ties(voice: Voice) -> Iterator[tuple[int, list[tuple[bool, bool]]]]:
    """(identity, for each pitch: tied from the left, tied to the right) of each note; a tie needs its pitch on both
    sides."""
    timed = [event for event in voice.events if isinstance(event, (Note, Rest))]
    for before, note, after in zip([None, *timed], timed, [*timed[1:], None]):
        if isinstance(note, Note):
            left = {p.midi for p in before.pitches} if isinstance(before, Note) and before.tie else set()
            right = {p.midi for p in after.pitches} if isinstance(after, Note) and note.tie else set()
            yield id(note), [(p.midi in left, p.midi in right) for p in note.pitches]


def _tuplet_places(voice: Voice) -> dict[int, list[str]]:
    """Which notes (by identity) begin or end a tuplet's bracket."""
    places: dict[int, list[str]] = {}
    timed: list[Note | Rest] = []
    waiting = 0
    for event in voice.events:
        if isinstance(event, Tuplet):
            waiting, timed = event.count, []
        elif isinstance(event, (Note, Rest)) and waiting:
            timed.append(event)
            waiting -= 1
            if not waiting and len(timed) > 1:
                places.setdefault(id(timed[0]), []).append("start")
                places.setdefault(id(timed[-1]), []).append("stop")
    return places


# --- beams -----------------------------------------------------------------------------------------------------------


def _beams(measure: Measure) -> dict[int, list[tuple[int, str]]]:
    """(level, kind) of the beams of each note, by identity: notes shorter than a quarter within one beat."""
    found: dict[int, list[tuple[int, str]]] = {}
    for group in _beam_groups(measure):
        for place, (note, flags) in enumerate(group):
            before = group[place - 1][1] if place else 0
            after = group[place + 1][1] if place + 1 < len(group) else 0
            found[note] = [(level, _beam_kind(level, before, after)) for level in range(1, flags + 1)]
    return found


def _beam_kind(level: int, before: int, after: int) -> str:
    if before >= level:
        return "continue" if after >= level else "end"
    if after >= level:
        return "begin"
    return "forward hook" if after else "backward hook"


def _beam_groups(measure: Measure) -> Iterator[list[tuple[int, int]]]:
    """(identity, flags) of the notes of each beam of at least two."""
    beat = measure.meter.beat_ticks
    lead = measure.meter.ticks - measure.ticks if measure.meter.ticks > measure.ticks else 0
    group: list[tuple[int, int]] = []
    position, current = lead, -1
    for event in [*measure.events, None]:
        if event is not None and not isinstance(event, (Note, Rest)):
            continue
        flags = _flags(event) if isinstance(event, Note) else 0
        if group and (not flags or position // beat != current):
            if len(group) > 1:
                yield group
            group = []
        if flags and event is not None:
            group.append((id(event), flags))
            current = position // beat
        position += event.ticks if event is not None else 0


def _flags(note: Note) -> int:
    """Flags of a note: 1 for an eighth, 2 for a 16th; 0 for quarters and longer, and for what is written in pieces."""
    pieces = list(_pieces(note))
    plain = next(one for one in _PLAIN if one <= pieces[0][0])
    return max(0, (1 / plain).numerator.bit_length() - 1) if len(pieces) == 1 and plain < 1 else 0
