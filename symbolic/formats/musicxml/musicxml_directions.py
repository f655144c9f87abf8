"""What stands beside the notes of a MusicXML measure: key, time, clef, tempo, dynamics, words, signs of a form, chord
symbols.
"""

import re
from xml.etree.ElementTree import Element, SubElement

from symbolic.formats.midi import quarters_a_minute
from symbolic.formats.musicxml.musicxml_harmony import KINDS
from symbolic.formats.musicxml.musicxml_measures import DYNAMICS, MODES, WEDGES
from symbolic.notation.theory import Key, Meter

CLEFS = {"treble": ("G", 2), "bass": ("F", 4), "alto": ("C", 3), "tenor": ("C", 4)}
_CHORD = re.compile(r"([A-G])([#b]?)([^/]*)(?:/([A-G])([#b]?))?")
_SUFFIXES = {suffix: kind for kind, suffix in reversed(KINDS.items())}
_SUFFIXES |= {"min": "minor", "-": "minor", "M7": "major-seventh", "sus": "suspended-fourth", "+": "augmented"}
_SUFFIXES["7sus4"] = "suspended-fourth"
_WEDGE_OF = {name: wedge for wedge, names in WEDGES.items() for name in names}
# Sign of a jump (`play_order.jump_signs`) -> attribute of <sound>, its value, words
_JUMPS = {
    "segno": ("segno", "segno", ""),
    "coda": ("coda", "coda", ""),
    "tocoda": ("tocoda", "coda", "To Coda"),
    "fine": ("fine", "yes", "Fine"),
    "dacapo": ("dacapo", "yes", "D.C."),
    "dalsegno": ("dalsegno", "segno", "D.S."),
}


def add_key(attributes: Element, key: Key) -> None:
    """A `<key>` with its mode."""
    element = SubElement(attributes, "key")
    SubElement(element, "fifths").text = str(key.sharps)
    SubElement(element, "mode").text = MODES[key.mode]


def add_time(attributes: Element, meter: Meter) -> None:
    """A `<time>`; free meter is senza misura."""
    time = SubElement(attributes, "time")
    if meter.is_free:
        SubElement(time, "senza-misura")
        return
    SubElement(time, "beats").text = str(meter.numerator)
    SubElement(time, "beat-type").text = str(meter.denominator)


def add_clef(attributes: Element, name: str, *, drums: bool = False) -> None:
    """A `<clef>` by its name in ABC; that of percussion for drums, too."""
    clef = SubElement(attributes, "clef")
    if drums or name.startswith("perc"):
        SubElement(clef, "sign").text = "percussion"
        return
    base, _, octave = re.sub(r"([+-])8", r" \g<1>1", name or "treble").partition(" ")
    sign, line = CLEFS.get(base, CLEFS["treble"])
    SubElement(clef, "sign").text = sign
    SubElement(clef, "line").text = str(line)
    if octave:
        SubElement(clef, "clef-octave-change").text = str(int(octave))


def add_tempo(element: Element, text: str) -> None:
    """The value of a Q: field: its words, a metronome mark (in dotted quarters for Q:3/8=, else in quarters), and the
    tempo for playback."""
    words = " ".join(re.findall(r'"([^"]*)"', text))
    qpm = quarters_a_minute(text)
    direction = SubElement(element, "direction", placement="above")
    if words:
        SubElement(SubElement(direction, "direction-type"), "words").text = words
    if qpm is not None and (not words or re.search(r"\d", re.sub(r'"[^"]*"', "", text))):
        metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
        SubElement(metronome, "beat-unit").text = "quarter"
        is_dotted = re.match(r'\s*(?:"[^"]*"\s*)?3/8\s*=', text) is not None
        if is_dotted:
            SubElement(metronome, "beat-unit-dot")
        SubElement(metronome, "per-minute").text = f"{qpm / 1.5 if is_dotted else qpm:.10g}"
    if qpm is not None:
        SubElement(direction, "sound", tempo=f"{qpm:.10g}")
    if not len(direction):
        element.remove(direction)


def add_sign(element: Element, name: str) -> bool:
    """A dynamic or a hairpin by its name in ABC; False for a name that is none."""
    wedge = _WEDGE_OF.get(name, "")
    if not wedge and name not in DYNAMICS:
        return False
    direction = SubElement(element, "direction", placement="below")
    kind = SubElement(direction, "direction-type")
    if wedge:
        SubElement(kind, "wedge", type="stop" if name.endswith(")") else wedge)
    else:
        SubElement(SubElement(kind, "dynamics"), name)
    return True


def add_jump(element: Element, sign: str) -> None:
    """Segno, coda, fine, D.C. and D.S., seen and played."""
    name, _, until = sign.partition(" al ")
    attribute, value, words = _JUMPS[name]
    direction = SubElement(element, "direction", placement="above")
    kind = SubElement(direction, "direction-type")
    if words:
        SubElement(kind, "words").text = words + (f" al {until.capitalize()}" if until else "")
    else:
        SubElement(kind, name)
    SubElement(direction, "sound", {attribute: value})


def add_words(element: Element, text: str) -> None:
    """An annotation, above or below the staff as its sign says."""
    place, words = ("below", text[1:]) if text[:1] == "_" else ("above", text[1:] if text[:1] in "^<>@" else text)
    direction = SubElement(element, "direction", placement=place)
    SubElement(SubElement(direction, "direction-type"), "words").text = words


def add_part_mark(element: Element, name: str) -> None:
    """The name of a part as a rehearsal mark."""
    direction = SubElement(element, "direction", placement="above")
    SubElement(SubElement(direction, "direction-type"), "rehearsal").text = name


def add_harmony(element: Element, text: str) -> None:
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
