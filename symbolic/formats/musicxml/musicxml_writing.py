"""A score as MusicXML 4.0, a part for each voice, bars as long as they are.

Written are notes, chords, rests, ties, tuplets, graces, slurs, beams, lyrics, bar lines, repeats and endings, key and
meter with their changes, clefs, chord symbols, tempo, dynamics, words, the signs of D.C. and D.S., the decorations in
MARKS, drums as unpitched notes, title and composer; the other header fields are miscellaneous fields. What has no
place is counted in `losses`. A length that no note value has is written as tied notes. The same score gives the same
text.
"""

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import count
from math import lcm
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from symbolic.formats.midi import stated_qpm
from symbolic.formats.musicxml.musicxml_bars import Measure, add_left_barline, add_right_barline, measures_of
from symbolic.formats.musicxml.musicxml_directions import (
    add_clef,
    add_harmony,
    add_jump,
    add_key,
    add_part_mark,
    add_sign,
    add_tempo,
    add_time,
    add_words,
)
from symbolic.formats.musicxml.musicxml_measures import DRUM_PLACES, DYNAMICS, MARKS, TYPES
from symbolic.notation.layout import has_own_beams
from symbolic.notation.play_order import jump_signs, played_parts
from symbolic.notation.reading.lyric_lines import HARD_HYPHEN
from symbolic.notation.score import (
    Annotation,
    ChordSymbol,
    Direction,
    Event,
    Grace,
    KeyChange,
    MeterChange,
    Note,
    PartMark,
    Rest,
    Score,
    Slur,
    TempoChange,
    Tuplet,
    Voice,
)
from symbolic.notation.theory import SEMITONES, TICKS_PER_QUARTER, Pitch

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
    'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
)
MAX_ODD = 63  # odd part of the denominator of a length, up to which it is written as a tuplet
MAX_TUPLET = 64  # notes of a tuplet
MAX_DIVISIONS = 2_000_000  # to a quarter; programs hold durations in 32 bits
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
MARK_OF = {
    **{mark: ("articulations", name) for name, mark in MARKS["articulations"].items()},
    **{mark: ("technical", name) for name, mark in MARKS["technical"].items()},
    **{mark: ("ornaments", name) for name, mark in reversed(MARKS["ornaments"].items())},
    **{mark: ("", name) for name, mark in MARKS["notations"].items()},
    "~": ("ornaments", "turn"),
}
KEPT_FIELDS = "XTCQMLKVIUPw"  # those that the music says, beside the miscellaneous ones
_PLAIN = sorted((length for length in TYPES.values() if length <= 8), reverse=True)
_TYPE_OF = {length: name for name, length in TYPES.items()}


def to_musicxml(score: Score, *, title: str = "", composer: str = "", losses: Counter[str] | None = None) -> str:
    """MusicXML of a score; `title` and `composer` take the place of its own fields; what is left out is added to
    `losses`, by kind.

    Raises NotationError `bad_tempo` for a tempo that cannot be played.
    """
    losses = Counter() if losses is None else losses
    root = Element("score-partwise", version="4.0")
    work = SubElement(root, "work")
    SubElement(work, "work-title").text = title or score.title or "untitled"
    _identify(root, score, composer)
    part_list = SubElement(root, "part-list")
    if score.voices[0].part_order:
        score = played_parts(score)
        losses["play order of parts (P:), written out as it is played"] += 1
    divisions, is_exact = _divisions(score, is_exact=True), True
    if divisions > MAX_DIVISIONS:
        divisions, is_exact = _divisions(score, is_exact=False), False
    for number, voice in enumerate(score.voices, start=1):
        _list_part(part_list, number, voice)
    for number, voice in enumerate(score.voices, start=1):
        root.append(_PartWriter(score, voice, divisions, losses, number, is_exact=is_exact).part())
    indent(root, " ")
    return HEAD + tostring(root, encoding="unicode") + "\n"


def _identify(root: Element, score: Score, composer: str) -> None:
    """Composer, and the other header fields of ABC under their letters."""
    composer = composer or ", ".join(score.fields.get("C", []))
    others = [(letter, line) for letter, lines in score.fields.items() if letter not in KEPT_FIELDS for line in lines]
    others += [("T", line) for line in score.fields.get("T", [])[1:]]
    if not composer and not others:
        return
    identification = SubElement(root, "identification")
    if composer:
        SubElement(identification, "creator", type="composer").text = composer
    if others:
        holder = SubElement(identification, "miscellaneous")
        for letter, line in others:
            SubElement(holder, "miscellaneous-field", name=f"abc-{letter}").text = line


def _divisions(score: Score, *, is_exact: bool) -> int:
    """The fewest divisions of a quarter in which every length is whole; `is_exact` as for `_with_ratios`."""
    timed = {(e.ticks, e.written, ratio): e for voice in score.voices for e, ratio in _with_ratios(voice, is_exact)}
    lengths = ((length / own).denominator for (_, _, ratio), e in timed.items() for length, own in _pieces(e, ratio))
    return lcm(*lengths)


def _list_part(part_list: Element, number: int, voice: Voice) -> None:
    part = SubElement(part_list, "score-part", id=f"P{number}")
    SubElement(part, "part-name").text = voice.title or voice.name or "Melody"
    if voice.short_title:
        SubElement(part, "part-abbreviation").text = voice.short_title
    if voice.drums:
        _list_drums(part, number, voice)
    elif voice.program is not None:
        name = voice.title or voice.name or "Melody"
        SubElement(SubElement(part, "score-instrument", id=f"P{number}-I1"), "instrument-name").text = name
        played = SubElement(part, "midi-instrument", id=f"P{number}-I1")
        SubElement(played, "midi-program").text = str(voice.program + 1)


def _list_drums(part: Element, number: int, voice: Voice) -> None:
    """An instrument for each drum, on channel 10."""
    pitches = sorted({pitch.midi for event in voice.events if isinstance(event, Note) for pitch in event.pitches})
    for midi in pitches:
        instrument = SubElement(part, "score-instrument", id=f"P{number}-I{midi + 1}")
        SubElement(instrument, "instrument-name").text = f"Drum {midi}"
    for midi in pitches:
        played = SubElement(part, "midi-instrument", id=f"P{number}-I{midi + 1}")
        SubElement(played, "midi-channel").text = "10"
        SubElement(played, "midi-program").text = str((voice.program or 0) + 1)
        SubElement(played, "midi-unpitched").text = str(midi + 1)


class _PartWriter:
    """Writes the measures of one voice."""

    def __init__(
        self, score: Score, voice: Voice, divisions: int, losses: Counter[str], number: int, *, is_exact: bool
    ) -> None:
        self.score = score
        self.voice = voice
        self.divisions = divisions
        self.losses = losses
        self.name = f"P{number}"
        self.is_first = number == 1
        self.ties = dict(_ties(voice))
        self.ratios = {id(event): ratio for event, ratio in _with_ratios(voice, is_exact)}
        self.has_own_beams = has_own_beams(voice.events)
        self.lyrics = dict(_lyrics(voice))
        self.slurs: list[int] = []
        self.opening: list[int] = []  # numbers of slurs that wait for their first note
        self.tuplets = _tuplet_places(voice)
        self.last_note = Element("note")

    def part(self) -> Element:
        """The `<part>` element."""
        part = Element("part", id=self.name)
        numbers = count(1)
        for index, measure in enumerate(measures_of(self.voice, self.score.meter)):
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
        add_left_barline(element, measure)
        if is_first:
            self.add_first_attributes(element)
        beams = _beams(measure, self.ratios, self.has_own_beams)
        for event in measure.events:
            self.add(element, event, beams.get(id(event), []))
        add_right_barline(element, measure)

    def add_first_attributes(self, element: Element) -> None:
        attributes = SubElement(element, "attributes")
        SubElement(attributes, "divisions").text = str(self.divisions)
        add_key(attributes, self.score.key)
        add_time(attributes, self.score.meter)
        add_clef(attributes, self.voice.clef, drums=self.voice.drums)
        if self.is_first:
            stated_qpm(self.score)  # refuses a tempo that cannot be played
            for text in self.score.fields.get("Q", [])[:1]:
                add_tempo(element, text)

    def add(self, element: Element, event: Event, beams: list[tuple[int, str]]) -> None:
        """Add one event."""
        match event:
            case Note():
                self.add_note(element, event, beams)
            case Rest():
                self.add_rest(element, event)
            case Grace():
                for pitch in event.pitches:
                    self.add_grace(element, pitch, slashed=event.slashed)
            case Slur():
                self.add_slur(event)
            case ChordSymbol():
                add_harmony(element, event.text)
            case KeyChange():
                add_key(SubElement(element, "attributes"), event.key)
            case MeterChange():
                add_time(SubElement(element, "attributes"), event.meter)
            case Annotation() | Direction() | TempoChange() | PartMark():
                self.add_written(element, event)

    def add_written(self, element: Element, event: Annotation | Direction | TempoChange | PartMark) -> None:
        """Add what is only written beside the notes."""
        jumps = jump_signs(event)
        for sign in jumps:
            add_jump(element, sign)
        if jumps:
            return
        match event:
            case Annotation():
                add_words(element, event.text)
            case TempoChange():
                add_tempo(element, event.text)
            case PartMark():
                add_part_mark(element, event.name)
            case Direction():
                if not add_sign(element, event.name):
                    self.losses["decoration that MusicXML has no sign for"] += 1

    def add_slur(self, event: Slur) -> None:
        """A slur's beginning waits for the next note; its end is put on the last one."""
        if event.opens:
            self.opening.append(next(n for n in count(1) if n not in self.slurs and n not in self.opening))
        elif self.opening:
            self.opening.pop()
        elif self.slurs:
            SubElement(_notations(self.last_note), "slur", type="stop", number=str(self.slurs.pop()))

    def add_rest(self, element: Element, event: Rest) -> None:
        for length, ratio in _pieces(event, self.ratios[id(event)]):
            note = SubElement(element, "note")
            SubElement(note, "rest")
            self.add_length(note, length, ratio)
        self.add_tuplet(element, event)

    def add_note(self, element: Element, event: Note, beams: list[tuple[int, str]]) -> None:
        """A note or chord, in tied pieces where no note value has its length."""
        for sign in jump_signs(event):
            add_jump(element, sign)
        for mark in _decorations(event.marks):
            if mark.strip("!") in DYNAMICS:
                add_sign(element, mark.strip("!"))
        pieces = _pieces(event, self.ratios[id(event)])
        for index, (length, ratio) in enumerate(pieces):
            is_last = index == len(pieces) - 1
            for place, pitch in enumerate(event.pitches):
                note = SubElement(element, "note")
                if place:
                    SubElement(note, "chord")
                self.add_pitch(note, pitch)
                left, right = self.ties[id(event)][place]
                ties = (["stop"] if left or index else []) + (["start"] if right or not is_last else [])
                SubElement(note, "duration").text = self.duration(length, ratio)
                for tie in ties:
                    SubElement(note, "tie", type=tie)
                self.add_instrument(note, pitch)
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
            group, name = MARK_OF.get(mark, ("", ""))
            if name:
                notations = _notations(note)
                holder = notations if not group else _child(notations, group)
                SubElement(holder, name)
            elif mark.strip("!") not in DYNAMICS and not jump_signs(Direction(mark.strip("!"))) and mark not in "SO":
                self.losses["decoration that MusicXML has no sign for"] += 1
        note.extend(self.lyrics.get(id(event), []))

    def add_pitch(self, note: Element, pitch: Pitch) -> None:
        """The pitch as it sounds; of drums the place on the staff."""
        if not self.voice.drums:
            _add_pitch(note, pitch)
            return
        place = DRUM_PLACES.get(pitch.midi, "C5")
        unpitched = SubElement(note, "unpitched")
        SubElement(unpitched, "display-step").text = place[0]
        SubElement(unpitched, "display-octave").text = place[1]

    def add_instrument(self, note: Element, pitch: Pitch) -> None:
        if self.voice.drums:
            SubElement(note, "instrument", id=f"{self.name}-I{pitch.midi + 1}")

    def add_grace(self, element: Element, pitch: Pitch, *, slashed: bool) -> None:
        note = SubElement(element, "note")
        SubElement(note, "grace", {"slash": "yes"} if slashed else {})
        self.add_pitch(note, pitch)
        self.add_instrument(note, pitch)
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
        assert duration.denominator == 1, "divisions hold every length of the score"
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
        if _is_tuplet(ratio):
            modification = SubElement(note, "time-modification")
            SubElement(modification, "actual-notes").text = str(ratio.numerator)
            SubElement(modification, "normal-notes").text = str(ratio.denominator)

    def add_tuplet(self, element: Element, event: Note | Rest, n_pitches: int = 1) -> None:
        """Brackets at the first and the last note of a tuplet."""
        for kind in self.tuplets.get(id(event), ()):
            notes = element.findall("note")
            _notations(notes[-n_pitches]).insert(0, Element("tuplet", type=kind, number="1"))


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
    if found is None:
        found = Element("notations")
        note.insert(len(note) - len(note.findall("lyric")), found)
    return found


def _child(parent: Element, name: str) -> Element:
    found = parent.find(name)
    return found if found is not None else SubElement(parent, name)


def _decorations(marks: str) -> list[str]:
    return re.findall(r"!\w+!|.", marks)


def _with_ratios(voice: Voice, is_exact: bool) -> Iterator[tuple[Note | Rest, Fraction]]:
    """The notes and rests of a voice, with the ratio of their written to their sounding length; where ticks only round
    a tuplet's (11 notes in the time of 8) it is the tuplet's own, unless `is_exact` is False."""
    p, q, left = 1, 1, 0
    for event in voice.events:
        if isinstance(event, Tuplet):
            p, q, left = event.p, event.q, event.count
        elif isinstance(event, (Note, Rest)):
            ratio = Fraction(event.written, event.ticks)
            if is_exact and left and abs(Fraction(event.written * q, p) - event.ticks) <= 1:
                ratio = Fraction(p, q)
            left = max(0, left - 1)
            yield event, ratio


def _pieces(event: Note | Rest, ratio: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
    """(written length in quarters, ratio of written to sounding length) of the note values that make up a length.

    A length that is neither made of note values nor of a tuplet's is one piece of the nearest value, whose ratio is no
    tuplet's (`_is_tuplet`).
    """
    return _pieces_of(event.written, ratio)


@lru_cache(maxsize=4096)
def _pieces_of(ticks: int, ratio: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
    written, first_ratio = Fraction(ticks, TICKS_PER_QUARTER), ratio
    pieces: list[tuple[Fraction, Fraction]] = []
    odd = written.denominator
    while odd % 2 == 0:
        odd //= 2
    if odd > MAX_ODD:
        return _unspelled(written / ratio)
    if odd > 1:  # a tuplet that the score does not spell as one
        normal = 2 ** (odd.bit_length() - 1)
        written, ratio = written * odd / normal, ratio * odd / normal
    while written > 0:
        plain = next((one for one in _PLAIN if one <= written), None)
        if plain is None:
            return _unspelled(Fraction(ticks, TICKS_PER_QUARTER) / first_ratio)
        dotted = [plain * factor for factor in (Fraction(7, 4), Fraction(3, 2), Fraction(1))]
        piece = next(one for one in dotted if one <= written)
        pieces.append((piece, ratio))
        written -= piece
    return tuple(pieces)


def _unspelled(sounding: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
    """One piece of the note value nearest to a length in quarters that none has."""
    nearest = min(_PLAIN, key=lambda one: abs(one - sounding))
    return ((nearest, nearest / sounding),)


def _is_tuplet(ratio: Fraction) -> bool:
    return ratio != 1 and max(ratio.numerator, ratio.denominator) <= MAX_TUPLET


def _ties(voice: Voice) -> Iterator[tuple[int, list[tuple[bool, bool]]]]:
    """(identity, for each pitch: tied from the left, tied to the right) of each note; a tie needs its pitch on both
    sides."""
    timed = [event for event in voice.events if isinstance(event, (Note, Rest))]
    for before, note, after in zip([None, *timed], timed, [*timed[1:], None]):
        if isinstance(note, Note):
            left = {p.midi for p in before.tied_pitches} if isinstance(before, Note) else set()
            right = {p.midi for p in after.pitches} if isinstance(after, Note) else set()
            right &= {p.midi for p in note.tied_pitches}
            yield id(note), [(p.midi in left, p.midi in right) for p in note.pitches]


def _lyrics(voice: Voice) -> Iterator[tuple[int, list[Element]]]:
    """(identity, `<lyric>` elements) of each note that has a syllable; `_` lengthens the one before, by a line that has
    an end of its own where a note without a syllable (`*`) follows."""
    notes = [event for event in voice.events if isinstance(event, Note)]
    found: dict[int, list[Element]] = {}
    for verse in range(max((len(note.syllables) for note in notes), default=0)):
        last, goes_on, ended = Element("lyric"), False, True
        texts = [note.syllables[verse] if verse < len(note.syllables) else "" for note in notes]
        for note, syllable, following in zip(notes, texts, [*texts[1:], ""]):
            holds = syllable == "_" and not ended and last.find("text") is not None
            ended = not syllable or (syllable == "_" and ended)
            if holds and last.find("extend") is None:
                SubElement(last, "extend", type="start")
            if holds and not following:
                end = Element("lyric", number=str(verse + 1))
                SubElement(end, "extend", type="stop")
                found.setdefault(id(note), []).append(end)
            if syllable in ("", "_"):
                continue
            begins, ends = not goes_on, not syllable.endswith("-")
            goes_on = not ends
            last = Element("lyric", number=str(verse + 1))
            kind = {(True, True): "single", (True, False): "begin", (False, True): "end", (False, False): "middle"}
            SubElement(last, "syllabic").text = kind[begins, ends]
            SubElement(last, "text").text = syllable.removesuffix("-").replace(HARD_HYPHEN, "-")
            found.setdefault(id(note), []).append(last)
    yield from found.items()


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


def _beams(measure: Measure, ratios: dict[int, Fraction], has_own: bool) -> dict[int, list[tuple[int, str]]]:
    """(level, kind) of the beams of each note, by identity: notes shorter than a quarter within one beat, or up to a
    space where the writer's own beams are known (`has_own`)."""
    found: dict[int, list[tuple[int, str]]] = {}
    for group in _beam_groups(measure, ratios, has_own):
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


def _beam_groups(measure: Measure, ratios: dict[int, Fraction], has_own: bool) -> Iterator[list[tuple[int, int]]]:
    """(identity, flags) of the notes of each beam of at least two."""
    beat = measure.meter.beat_ticks
    lead = measure.meter.ticks - measure.ticks if measure.meter.ticks > measure.ticks else 0
    group: list[tuple[int, int]] = []
    position, current, ended = lead, -1, False
    for event in [*measure.events, None]:
        if event is not None and not isinstance(event, (Note, Rest)):
            continue
        flags = _flags(event, ratios[id(event)]) if isinstance(event, Note) else 0
        if group and (not flags or (ended if has_own else position // beat != current)):
            if len(group) > 1:
                yield group
            group = []
        if flags and event is not None:
            group.append((id(event), flags))
            current, ended = position // beat, event.spaced
        position += event.ticks if event is not None else 0


def _flags(note: Note, ratio: Fraction) -> int:
    """Flags of a note: 1 for an eighth, 2 for a 16th; 0 for quarters and longer, and for what is written in pieces."""
    pieces = _pieces(note, ratio)
    plain = next(one for one in _PLAIN if one <= pieces[0][0])
    return max(0, (1 / plain).numerator.bit_length() - 1) if len(pieces) == 1 and plain < 1 else 0
