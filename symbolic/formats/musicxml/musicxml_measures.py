"""Measures of a MusicXML part: what sounds when, read from its elements.

Positions and lengths are fractions of a quarter note from the beginning of the measure. A note with a type and a
time modification has the length that these give where `<duration>` is that length rounded (divisions of 256 hold no
septuplet); pitches are as they sound, so `<transpose>` is applied to notes and keys. Hidden rests and `<forward>` take
time. MusicXML 4.0: w3.org/2021/06/musicxml40.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from xml.etree.ElementTree import Element

from symbolic.notation.play_order import jump_signs
from symbolic.notation.score import Annotation, Direction, PartMark, WrittenOnly
from symbolic.notation.theory import FIFTHS, SEMITONES, Key, Meter

Spelled = tuple[str, int, int]  # letter, octave (4 holds middle C), alteration in semitones
MODES = {
    "": "major",
    "m": "minor",
    "dor": "dorian",
    "phr": "phrygian",
    "lyd": "lydian",
    "mix": "mixolydian",
    "loc": "locrian",
}
_MODE_OF = {name: mode for mode, name in MODES.items()} | {"ionian": "", "aeolian": "m"}
TYPES = {
    "maxima": Fraction(32),
    "long": Fraction(16),
    "breve": Fraction(8),
    "whole": Fraction(4),
    "half": Fraction(2),
    "quarter": Fraction(1),
    "eighth": Fraction(1, 2),
} | {name: Fraction(4, size) for name, size in (("16th", 16), ("32nd", 32), ("64th", 64), ("128th", 128))} | {
    name: Fraction(4, size) for name, size in (("256th", 256), ("512th", 512), ("1024th", 1024))
}  # fmt: skip
MARKS = {  # group of notations -> element -> decoration of ABC
    "articulations": {
        "staccato": ".",
        "accent": "L",
        "tenuto": "!tenuto!",
        "strong-accent": "!marcato!",
        "staccatissimo": "!wedge!",
        "breath-mark": "!breath!",
    },
    "technical": {
        "up-bow": "u",
        "down-bow": "v",
        "open-string": "!open!",
        "stopped": "!plus!",
        "snap-pizzicato": "!snap!",
        "thumb-position": "!thumb!",
    },
    "ornaments": {
        "trill-mark": "T",
        "turn": "!turn!",
        "inverted-turn": "!invertedturn!",
        "mordent": "M",
        "inverted-mordent": "P",
    },
    "notations": {"fermata": "H", "arpeggiate": "!arpeggio!"},
}
WEDGES = {  # type of a hairpin -> its names in ABC; the first two are those that are written
    "crescendo": ("crescendo(", "crescendo)", "<(", "<)"),
    "diminuendo": ("diminuendo(", "diminuendo)", ">(", ">)"),
}
# Where a drum set's notes stand on the staff; of several at one place the first is the one that is meant.
DRUM_PLACES = {36: "F4", 38: "C5", 42: "G5", 49: "A5", 51: "F5", 44: "D4", 48: "E5", 47: "D5", 45: "B4", 43: "A4"} | {
    41: "G4", 35: "E4", 57: "B5", 37: "C5", 40: "C5", 39: "C5", 46: "G5", 53: "F5", 59: "F5", 50: "E5"
}  # fmt: skip
DRUM_AT = {place: midi for midi, place in reversed(DRUM_PLACES.items())}
_SEEN_NOTATIONS = frozenset(["tied", "slur", "tuplet", "dynamics", "articulations", "technical", "ornaments"])
_SEEN_DIRECTIONS = frozenset(["segno", "coda", "words", "metronome", "dynamics", "wedge", "rehearsal", "octave-shift"])
DYNAMICS = frozenset(["pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff", "sfz"])
JUMPS = ("segno", "coda", "tocoda", "fine", "dacapo", "dalsegno")
SNARE = 38  # General MIDI's number for a drum whose part names none
MAX_MEASURE = Fraction(1024)  # quarter notes; longer is damage


@dataclass(slots=True, eq=False)
class SheetNote:
    """One pitch of a chord as it sounds; `follower` is the note that its tie leads to, `is_held` is True where that is
    not the next one, as in an arpeggio."""

    pitch: Spelled
    midi: int
    tie_starts: bool = False
    tie_stops: bool = False
    follower: "SheetNote | None" = None
    is_held: bool = False


@dataclass(slots=True, eq=False)
class Lyric:
    """A syllable of one verse: `syllabic` is single, begin, middle or end, or "stop" for the end of a line under the
    notes, which has no text."""

    verse: int
    syllabic: str
    text: str
    extends: bool = False


@dataclass(slots=True, eq=False)
class SheetChord:
    """Notes of one onset, length and voice; rests are not kept."""

    onset: Fraction
    length: Fraction
    staff: int
    voice: str
    notes: list[SheetNote]
    graces: list[Spelled] = field(default_factory=list)
    has_slash: bool = False  # its first grace is an acciaccatura
    marks: str = ""
    lyrics: list[Lyric] = field(default_factory=list)
    slurs: list[tuple[str, str]] = field(default_factory=list)  # (number, "start" or "stop")
    is_drum: bool = False
    instrument: str = ""

    @property
    def end(self) -> Fraction:
        """Where it ends in its measure."""
        return self.onset + self.length


@dataclass(slots=True)
class Barlines:
    """What the bar lines of a measure say; `times` is how often a repeat that ends here is played."""

    starts_repeat: bool = False
    ends_repeat: bool = False
    times: int = 2
    ending: str = ""
    ending_stops: bool = False
    style: str = ""


@dataclass(slots=True)
class SheetMeasure:
    """One measure of one part."""

    number: str = ""
    is_implicit: bool = False
    extent: Fraction = Fraction(0)
    keys: list[tuple[Fraction, Key, int]] = field(default_factory=list)  # with the staff, 0 for all
    meter: Meter | None = None
    clefs: dict[int, str] = field(default_factory=dict)
    chords: list[SheetChord] = field(default_factory=list)
    symbols: list[tuple[Fraction, Element]] = field(default_factory=list)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    dynamics: list[tuple[Fraction, int, str]] = field(default_factory=list)  # with the staff
    written: list[tuple[Fraction, WrittenOnly]] = field(default_factory=list)  # words, hairpins, rehearsal marks
    jumps: list[tuple[Fraction, str]] = field(default_factory=list)
    bars: Barlines = field(default_factory=Barlines)


class PartReader:
    """Reads the measures of one part in order; divisions, transposition and losses last from measure to measure."""

    def __init__(self, drums: dict[str, int], losses: Counter[str]) -> None:
        self.drums = drums  # instrument id -> MIDI note of a drum
        self.losses = losses
        self.divisions = Fraction(1)
        self.chromatic = self.diatonic = 0
        self.meter: Meter | None = None
        self.graces: dict[tuple[int, str], list[Spelled]] = {}
        self.has_slash: dict[tuple[int, str], bool] = {}  # whether the first of these graces has a slash
        self.grace_before: tuple[int, str] | None = None  # staff and voice of a grace that was just read
        self.wedges: dict[str, str] = {}  # number -> type of the hairpins that are open

    def read(self, element: Element) -> SheetMeasure:
        """One `<measure>`."""
        self.measure = SheetMeasure(element.get("number", ""), element.get("implicit") == "yes")
        self.cursor, self.counted = Fraction(0), Fraction(0)  # exactly, and in the file's rounded durations
        self.exact: dict[Fraction, Fraction] = {Fraction(0): Fraction(0)}
        self.last: SheetChord | None = None
        self.ratios = {_ratio(one) for one in element.iter("time-modification")}
        for child in element:
            reader = getattr(self, "read_" + child.tag.replace("-", "_"), None)
            if reader is not None:
                reader(child)
        return self.measure

    def read_attributes(self, element: Element) -> None:
        """Divisions, transposition, key, meter and clefs."""
        divisions = _number(element.findtext("divisions"))
        if divisions > 0:
            self.divisions = divisions
        for transpose in element.findall("transpose"):
            self.set_transposition(transpose)
        for key in element.findall("key"):
            self.measure.keys.append((self.cursor, self.key(key), int(_number(key.get("number")))))
        times = element.findall("time")
        if times and (self.measure.meter is None or not self.cursor):
            self.measure.meter = self.meter = _meter(times[0])
        for clef in element.findall("clef"):
            self.measure.clefs.setdefault(int(_number(clef.get("number"), 1)), _clef(clef))

    def set_transposition(self, element: Element) -> None:
        """From written to sounding: semitones and letters."""
        octaves = int(_number(element.findtext("octave-change")))
        chromatic = int(_number(element.findtext("chromatic")))
        letters = element.findtext("diatonic")
        diatonic = int(_number(letters)) if letters else round(chromatic * 7 / 12)
        self.chromatic, self.diatonic = chromatic + 12 * octaves, diatonic + 7 * octaves

    def key(self, element: Element) -> Key:
        """The sounding key of a `<key>`; one without fifths has C major's signature."""
        written = int(_number(element.findtext("fifths")))
        if abs(written) > 7 or element.find("key-step") is not None:
            self.losses["key signatures that ABC does not have, their accidentals written at the notes"] += 1
        sharps = written + 7 * self.chromatic - 12 * self.diatonic
        while abs(sharps) > 7:
            sharps -= 12 if sharps > 0 else -12
        return key_of(sharps, _MODE_OF.get((element.findtext("mode") or "major").strip().lower(), ""))

    def read_backup(self, element: Element) -> None:
        """Go back; what was rounded is found again by the place in the file's own durations."""
        self.grace_before = None
        self.counted = max(Fraction(0), self.counted - self.duration(element))
        self.cursor = self.exact.get(self.counted, self.counted)

    def read_forward(self, element: Element) -> None:
        """Go forward without a sound."""
        self.advance(self.duration(element), self.duration(element))

    def duration(self, element: Element) -> Fraction:
        """Length of a `<duration>` in quarters; 0 where it has none."""
        return max(Fraction(0), _number(element.findtext("duration")) / self.divisions)

    def advance(self, length: Fraction, counted: Fraction) -> None:
        """Move on by an exact length and by the one that the file's durations count."""
        self.cursor, self.counted = min(self.cursor + length, MAX_MEASURE), min(self.counted + counted, MAX_MEASURE)
        self.exact.setdefault(self.counted, self.cursor)
        self.measure.extent = max(self.measure.extent, self.cursor)

    def read_note(self, element: Element) -> None:
        """A note or rest; a chord's further notes stand at the onset of its first."""
        staff = int(_number(element.findtext("staff"), 1))
        voice = (element.findtext("voice") or "").strip()
        if element.find("grace") is not None:
            self.add_grace(element, staff, voice)
            return
        if element.find("chord") is None and element.find("rest") is not None:
            self.drop_graces(self.graces.pop((staff, voice), []))
        counted = self.duration(element)
        length = _exact_length(element, counted, self.divisions, self.ratios)
        rest = element.find("rest")
        if rest is not None and rest.get("measure") == "yes" and not self.cursor:
            length = self.within_measure(length)
        if element.find("chord") is not None and self.last is not None:
            self.add_to_chord(element, length, counted)
            return
        self.last = self.chord(element, self.cursor, length, staff, voice)
        self.last_counted = counted
        self.advance(length, counted)
        if self.last.notes and length > 0:
            self.measure.chords.append(self.last)

    def within_measure(self, length: Fraction) -> Fraction:
        """The length of a rest for a whole measure, some of which are written as a whole note in any meter."""
        full = Fraction(4 * self.meter.numerator, self.meter.denominator) if self.meter is not None else Fraction(0)
        return min(length, full) if full else length

    def chord(self, element: Element, onset: Fraction, length: Fraction, staff: int, voice: str) -> SheetChord:
        """Begin a chord with its first note; rests and cue notes give one without notes."""
        chord = SheetChord(onset, length, staff, voice, [])
        if element.find("rest") is None and element.find("cue") is None:
            self.decorate(chord, element)
            self.take_graces(chord, staff, voice)
            self.add_pitch(chord, element)
        elif element.find("cue") is not None and element.find("rest") is None:
            self.losses["cue notes, which are silent"] += 1
        return chord

    def add_to_chord(self, element: Element, length: Fraction, counted: Fraction) -> None:
        """One more note of the chord before; one of another length is a chord of its own."""
        last = self.last
        assert last is not None
        if length == last.length or counted == self.last_counted:
            if last.notes:
                self.decorate(last, element)
            self.add_pitch(last, element)
            return
        chord = self.chord(element, last.onset, length, last.staff, last.voice)
        self.measure.extent = max(self.measure.extent, chord.end)
        if chord.notes and length > 0:
            self.measure.chords.append(chord)

    def add_pitch(self, chord: SheetChord, element: Element) -> None:
        """Add one note's sounding pitch and ties to a chord; a doubled pitch is counted as a loss."""
        if element.find("rest") is not None or element.find("cue") is not None:
            return
        sounded, drawn = element.findall("tie"), element.findall("notations/tied")
        ties = {tie.get("type") for tie in sounded or drawn}
        instrument = element.find("instrument")
        chord.instrument = (instrument.get("id", "") if instrument is not None else "") or chord.instrument
        pitch = element.find("pitch")
        if pitch is not None:
            spelled, midi = self.sounding(pitch)
        else:
            chord.is_drum = True
            midi = self.drum(chord.instrument, element)
            spelled = _natural(midi)
        if all(note.midi != midi for note in chord.notes):
            chord.notes.append(SheetNote(spelled, midi, "start" in ties, "stop" in ties))
        elif "stop" not in ties:
            self.losses["notes that double another of their chord, written once"] += 1

    def drum(self, instrument: str, element: Element) -> int:
        """General MIDI's number of an unpitched note: its instrument's, else that of its place on the staff."""
        midi = self.drums.get(instrument, self.drums.get(""))
        if midi is not None:
            return midi
        self.losses["drum notes without a MIDI number, told by their place on the staff"] += 1
        step, octave = (element.findtext(f"unpitched/display-{name}") or "" for name in ("step", "octave"))
        return DRUM_AT.get(step.strip() + octave.strip(), SNARE)

    def add_grace(self, element: Element, staff: int, voice: str) -> None:
        """Keep a grace note for the next chord of its staff and voice."""
        pitch = element.find("pitch")
        if pitch is not None and element.find("cue") is None:
            self.grace_before = staff, voice
            if self.grace_before not in self.graces:
                self.has_slash[self.grace_before] = element.find("grace[@slash='yes']") is not None
            self.graces.setdefault(self.grace_before, []).append(self.sounding(pitch)[0])

    def take_graces(self, chord: SheetChord, staff: int, voice: str) -> None:
        """Give a chord the graces that wait for it: those of its staff and voice, or right before it on another
        staff."""
        before, self.grace_before = self.grace_before, None
        key = (staff, voice) if (staff, voice) in self.graces or before is None or before[1] != voice else before
        chord.graces, chord.has_slash = self.graces.pop(key, []), self.has_slash.pop(key, False)

    def drop_graces(self, graces: list[Spelled]) -> None:
        """Count graces that no note follows."""
        if graces:
            self.losses["grace notes that no note follows, which are not kept"] += len(graces)

    def finish(self) -> None:
        """Count what still waits where the part ends."""
        for graces in self.graces.values():
            self.drop_graces(graces)
        self.graces = {}

    def sounding(self, pitch: Element) -> tuple[Spelled, int]:
        """Spelling and MIDI number as the instrument sounds; quarter tones are rounded and counted."""
        alter = _number(pitch.findtext("alter"))
        letter = (pitch.findtext("step") or "C").strip().upper()[:1]
        letter = letter if letter in SEMITONES else "C"
        if alter.denominator != 1:
            self.losses["quarter tones, written as the nearest semitone"] += 1
        octave = int(_number(pitch.findtext("octave"), 4))
        midi = 12 * (octave + 1) + SEMITONES[letter] + round(alter) + self.chromatic
        if self.diatonic or self.chromatic:
            place = FIFTH_FREE.index(letter) + 7 * octave + self.diatonic
            letter, octave = FIFTH_FREE[place % 7], place // 7
        return (letter, octave, midi - 12 * (octave + 1) - SEMITONES[letter]), midi

    def decorate(self, chord: SheetChord, element: Element) -> None:
        """Marks, slurs and words of a note of a chord: what several of its notes have, the chord has once."""
        for notations in element.findall("notations"):
            for one in notations:
                slur = one.get("number", "1"), one.get("type", "")
                if one.tag == "slur" and slur[1] in ("start", "stop") and slur not in chord.slurs:
                    chord.slurs.append(slur)
                if one.tag == "dynamics":
                    self.add_dynamics(chord.onset, chord.staff, one)
                group = one if one.tag in ("articulations", "technical", "ornaments") else [one]
                for sign in group:
                    self.add_mark(chord, one.tag if group is one else "notations", sign.tag)
        verses = {lyric.verse for lyric in chord.lyrics}
        found = (lyric for one in element.findall("lyric") if (lyric := _lyric(one)) is not None)
        chord.lyrics += [lyric for lyric in found if lyric.verse not in verses]

    def add_dynamics(self, place: Fraction, staff: int, dynamics: Element) -> None:
        """Dynamic marks; one that ABC does not name (sfp, rfz) is kept as words."""
        for one in dynamics:
            text = " ".join((one.text or "").split()) if one.tag == "other-dynamics" else one.tag
            mark, words = (place, staff, text), (place, Annotation("_" + text))
            if text in DYNAMICS and mark not in self.measure.dynamics:
                self.measure.dynamics.append(mark)
            elif text and text not in DYNAMICS and words not in self.measure.written:
                self.measure.written.append(words)

    def add_mark(self, chord: SheetChord, group: str, name: str) -> None:
        """A decoration of a note; one that ABC does not name is counted."""
        mark = MARKS[group].get(name, "")
        if mark:
            chord.marks += mark if mark not in chord.marks else ""
        elif name not in _SEEN_NOTATIONS and name != "accidental-mark":
            self.losses[f"{name} marks, which are not kept"] += 1

    def read_direction(self, element: Element) -> None:
        """Tempo, dynamics, and the signs of a form."""
        place = max(Fraction(0), self.cursor + _number(element.findtext("offset")) / self.divisions)
        sound = element.find("sound")
        stated = _number(sound.get("tempo")) if sound is not None else Fraction(0)
        tempo = stated or next((_metronome(one) for one in element.iter("metronome")), Fraction(0))
        if tempo > 0:
            self.measure.tempos.append((place, float(tempo)))
        staff = int(_number(element.findtext("staff"), 1))
        for dynamics in element.iter("dynamics"):
            self.add_dynamics(place, staff, dynamics)
        if tempo <= 0 and element.find("direction-type/metronome") is not None:
            self.losses["metronome marks without a number, which are not kept"] += 1
        jumps = list(_jumps(element))
        self.measure.jumps += [(self.cursor, jump) for jump in jumps]
        for kind in (one for types in element.findall("direction-type") for one in types):
            if kind.tag == "words" and not jumps:
                self.add_words(place, kind, element.get("placement", ""))
            elif kind.tag == "rehearsal" and (name := " ".join((kind.text or "").split())):
                self.measure.written.append((place, PartMark(name)))
            elif kind.tag == "wedge":
                self.add_wedge(place, kind)
            elif kind.tag not in _SEEN_DIRECTIONS:
                self.losses[f"{kind.tag} marks, which are not kept"] += 1

    def add_words(self, place: Fraction, words: Element, placement: str) -> None:
        """Words at the staff, above it unless they say below."""
        text = " ".join((words.text or "").replace('"', "\u201d").split())
        if text and (signs := jump_signs(Annotation(text))):  # holds for all parts
            self.measure.jumps += [(place, sign.split()[0]) for sign in signs]
        elif text:
            self.measure.written.append((place, Annotation(("_" if placement == "below" else "^") + text)))

    def add_wedge(self, place: Fraction, wedge: Element) -> None:
        """The beginning or the end of a hairpin."""
        number, kind = wedge.get("number", "1"), wedge.get("type", "")
        if kind in WEDGES:
            self.wedges[number] = kind
            self.measure.written.append((place, Direction(WEDGES[kind][0])))
        elif kind == "stop" and number in self.wedges:
            self.measure.written.append((place, Direction(WEDGES[self.wedges.pop(number)][1])))

    def read_sound(self, element: Element) -> None:
        """A `<sound>` of its own: tempo and jumps."""
        if _number(element.get("tempo")) > 0:
            self.measure.tempos.append((self.cursor, float(_number(element.get("tempo")))))
        self.measure.jumps += [(self.cursor, name) for name in JUMPS if element.get(name)]

    def read_harmony(self, element: Element) -> None:
        """A chord symbol, spelled by `musicxml_harmony`."""
        place = self.cursor + _number(element.findtext("offset")) / self.divisions
        self.measure.symbols.append((max(Fraction(0), place), element))
        if element.find("frame") is not None:
            self.losses["fretboard diagrams, which are not kept"] += 1

    def read_figured_bass(self, element: Element) -> None:
        """Figures under the notes, which ABC does not have."""
        self.losses["figured bass marks, which are not kept"] += 1

    def read_barline(self, element: Element) -> None:
        """Repeats and endings."""
        bars, repeat, ending = self.measure.bars, element.find("repeat"), element.find("ending")
        if repeat is not None and repeat.get("direction") == "forward":
            bars.starts_repeat = True
        elif repeat is not None:
            bars.ends_repeat, bars.times = True, max(2, min(int(_number(repeat.get("times"), 2)), 16))
        if ending is not None and ending.get("type") == "start":
            bars.ending = _ending(ending.get("number", "")) or _ending(ending.text or "") or "1"
        elif ending is not None:
            bars.ending_stops = True
        if element.get("location", "right") == "right":
            bars.style = (element.findtext("bar-style") or "").strip()


FIFTH_FREE = "CDEFGAB"


def key_of(sharps: int, mode: str) -> Key:
    """The key of a signature (-7 to 7 sharps) and one of ABC's modes."""
    place = sharps + 1 - {"": 0, "m": -3, "dor": -2, "phr": -4, "lyd": 1, "mix": -1, "loc": -5}[mode]
    return Key(FIFTHS[place % 7] + {-1: "b", 0: "", 1: "#"}.get(place // 7, ""), mode)


@lru_cache(maxsize=1024)
def _number(text: str | None, default: int = 0) -> Fraction:
    """A decimal number of a file; what is none counts as `default`."""
    match = re.fullmatch(r"\s*([+-]?\d{1,9}(?:\.\d{0,9})?|[+-]?\.\d{1,9})\s*", text or "")
    return Fraction(match[1]) if match else Fraction(default)


def _ratio(modification: Element) -> Fraction:
    """By how much a time modification shortens notes; 1 where it names no numbers."""
    actual, normal = (_number(modification.findtext(name)) for name in ("actual-notes", "normal-notes"))
    return normal / actual if actual > 0 and normal > 0 else Fraction(1)


def _exact_length(element: Element, counted: Fraction, divisions: Fraction, ratios: set[Fraction]) -> Fraction:
    """The length by type, dots and time modification where the duration is that, rounded; else the duration. The last
    note of a tuplet may make up for the rounding of the others; one that does not say that it belongs to a tuplet of
    its measure (`ratios`) has the duration that fits there."""
    nearness = Fraction(1)  # divisions
    nominal = TYPES.get((element.findtext("type") or "").strip(), Fraction(0))
    nominal = nominal * (2 - Fraction(1, 2 ** min(len(element.findall("dot")), 8)))
    modification = element.find("time-modification")
    if modification is not None:
        nominal *= _ratio(modification)
        nearness = max(nearness, min(_number(modification.findtext("actual-notes")), nominal * divisions / 8))
    elif any(nominal * ratio == counted for ratio in ratios):
        return counted
    if element.find("duration") is None:
        return nominal
    return nominal if nominal and abs(nominal - counted) * divisions < nearness else counted


def _meter(element: Element) -> Meter:
    """Free meter for senza misura and for what is no meter; the sum of a composite one (3+2/8, 3/4+2/8)."""
    parts = [
        (sum(int(n) for n in re.findall(r"\d{1,3}", beats.text or "")), int(_number(kind.text)))
        for beats, kind in zip(element.findall("beats"), element.findall("beat-type"))
    ]
    parts = [(beats, kind) for beats, kind in parts if beats > 0 and kind in (1, 2, 4, 8, 16, 32, 64)]
    if not parts or element.find("senza-misura") is not None:
        return Meter(0, 1)
    kind = max(kind for _, kind in parts)
    beats = sum(beats * kind // own for beats, own in parts)
    return Meter(beats, kind) if beats <= 64 else Meter(0, 1)


def _clef(element: Element) -> str:
    """The clef's name in ABC."""
    sign, line = (element.findtext("sign") or "G").strip(), int(_number(element.findtext("line")))
    if sign == "percussion":
        return "perc"
    octave = {1: "+8", -1: "-8"}.get(int(_number(element.findtext("clef-octave-change"))), "")
    named = {("F", 0): "bass", ("F", 4): "bass", ("F", 3): "bass", ("C", 3): "alto", ("C", 4): "tenor"}
    return named.get((sign, line), "bass" if sign == "F" else "alto" if sign == "C" else "treble") + octave


def _natural(midi: int) -> Spelled:
    letter, alter = next(
        (name, alter) for alter in (0, 1) for name in SEMITONES if SEMITONES[name] + alter == midi % 12
    )
    return letter, midi // 12 - 1, alter


def _lyric(element: Element) -> Lyric | None:
    """A syllable; several texts joined by an elision are one."""
    text = " ".join((one.text or "").strip() for one in element if one.tag in ("text", "elision")).strip()
    text = re.sub(r"\s*[‿_]\s*", "‿", text)
    verse = _number(element.get("number"), 1)
    extend = element.find("extend")
    if not text:
        is_end = extend is not None and extend.get("type") == "stop"
        return Lyric(max(1, int(verse)), "stop", "") if is_end else None
    syllabic = [(one.text or "").strip() for one in element.findall("syllabic")] or ["single"]
    begins, ends = syllabic[0] in ("single", "begin"), syllabic[-1] in ("single", "end")
    kind = {(True, True): "single", (True, False): "begin", (False, True): "end", (False, False): "middle"}
    return Lyric(max(1, int(verse)), kind[begins, ends], text, extend is not None)


def _metronome(element: Element) -> Fraction:
    """Quarter notes a minute of a metronome mark; 0 where it names none."""
    unit, per_minute = (
        element.findtext("beat-unit"),
        re.search(r"\d{1,4}(?:\.\d{1,4})?", element.findtext("per-minute") or ""),
    )
    if unit is None or per_minute is None:
        return Fraction(0)
    dots = len(element.findall("beat-unit-dot"))
    return TYPES.get(unit.strip(), Fraction(1)) * (2 - Fraction(1, 2**dots)) * Fraction(per_minute[0])


def _jumps(element: Element) -> Iterator[str]:
    """The jumps that a direction asks for: by its sound, else by its sign or words."""
    sound = element.find("sound")
    named = [name for name in JUMPS if sound is not None and sound.get(name)]
    if named:
        yield from named
        return
    yield from (one.tag for kind in element.findall("direction-type") for one in kind if one.tag in ("segno", "coda"))
    words = " ".join((one.text or "") for one in element.iter("words")).lower()
    for name, pattern in (
        ("dacapo", r"\bd\.? ?c\.|\bda capo"),
        ("dalsegno", r"\bd\.? ?s\.|\bdal segno"),
        ("tocoda", r"\bto coda\b"),
        ("fine", r"^\s*fine\.?\s*$"),
    ):
        if re.search(pattern, words):
            yield name


def _ending(text: str) -> str:
    """Ending numbers as ABC writes them: '1', '1,2', '1-3'; '' where there are none."""
    numbers = re.findall(r"\d{1,2}(?:\s*-\s*\d{1,2})?", text)
    return ",".join(re.sub(r"\s", "", one) for one in numbers)
