"""Pitch, key and metre: the small arithmetic of staff notation, as ABC spells it.

Time is an integer number of ticks, 40,320 to a whole note: that divides 128th notes and 3-, 5-, 7- and 9-tuplets
exactly, so bar lengths are compared with `==`. Pitch is a MIDI number (60 = middle C = ABC `C`). A key signature is a
number of sharps (negative: flats) on the circle of fifths.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from symbolic.errors import UserError

TICKS_PER_WHOLE = 40320
TICKS_PER_QUARTER = TICKS_PER_WHOLE // 4
UNIT_TICKS = TICKS_PER_WHOLE // 8  # the canonical text is always L:1/8
LETTERS = "CDEFGAB"
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = "FCGDAEB"  # order in which sharps enter a signature; flats enter in reverse
ACCIDENTAL_TEXT = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
ACCIDENTAL_VALUE = {text: value for value, text in ACCIDENTAL_TEXT.items()}
# Sharps of a mode relative to the major key on the same tonic.
MODES = {"": 0, "m": -3, "dor": -2, "phr": -4, "lyd": 1, "mix": -1, "loc": -5}
_MODE_ALIASES = {"maj": "", "ion": "", "min": "m", "aeo": "m", "m": "m"}
_KEY = re.compile(r"\s*([A-G]|[a-g](?=[#b]?(?:m|\s|$)))([#b]?)\s*([A-Za-z]*)")
_FRACTION = r"\(?\d{1,2}(?:\+\d{1,2})*\)?/(?:1|2|4|8|16|32|64|128)"
_CLEF_WORDS = {"clef", "treble", "bass", "alto", "tenor", "perc", "none", "octave", "transpose", "t", "middle", "style"}


class NotationError(UserError):
    """ABC that cannot be read. `reason` is a slug to count by; `line` is 1-based in the file, or None."""

    def __init__(self, reason: str, message: str, line: int | None = None):
        super().__init__(message if line is None else f"line {line}: {message}")
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Key:
    """A key signature with its tonic: `Key("E", "m")` is E minor. `mode` is one of MODES."""

    tonic: str  # letter and optional # or b
    mode: str = ""

    @property
    def text(self) -> str:
        """The canonical ABC spelling: G, Em, Ador, Dmix, Glyd, Bphr, F#loc."""
        return self.tonic + self.mode

    @cached_property
    def sharps(self) -> int:
        """Position on the circle of fifths: 1 for G, -2 for Bb; 2 for Em + 1, and so on."""
        shift = {"#": 7, "b": -7}.get(self.tonic[1:], 0)
        return FIFTHS.index(self.tonic[0]) - 1 + shift + MODES[self.mode]

    @cached_property
    def accidentals(self) -> dict[str, int]:
        """Letter -> -1, 0 or 1, for all seven letters."""
        sharps = self.sharps
        if sharps >= 0:
            return {letter: int(FIFTHS.index(letter) < sharps) for letter in LETTERS}
        return {letter: -int(FIFTHS[::-1].index(letter) < -sharps) for letter in LETTERS}

    @property
    def tonic_pitch_class(self) -> int:
        """0 = C ... 11 = B."""
        return (SEMITONES[self.tonic[0]] + {"#": 1, "b": -1}.get(self.tonic[1:], 0)) % 12


def parse_key(text: str, line: int | None = None) -> Key:
    """Read the value of a K: field: `G`, `E Minor`, `A Mixolydian`, `F#m`, `Hp`; clefs after it are allowed.

    Raises NotationError `no_key` when empty, `bad_key` when it names no key of at most seven sharps or flats,
    `key_accidentals` for explicit accidentals, which no canonical spelling here carries.
    """
    words = text.split()
    if not words:
        raise NotationError("no_key", "the K: field is empty; write the key, for example K:G or K:Edor.", line)
    if words[0].lower() == "hp":  # Highland pipes sound F# and C#; HP only leaves the signature out
        return Key("A", "mix")
    if words[0].lower() in ("none", "exp") or words[0].split("=")[0].lower() in _CLEF_WORDS:
        return Key("C")
    match = _KEY.match(text.replace("♯", "#").replace("♭", "b"))
    if match is None:
        raise NotationError(
            "bad_key", f"K:{text.strip()} is not a key; write for example K:G, K:Bb, K:Em, K:Ador.", line
        )
    mode = _mode(match[3], text, line)
    if re.search(r"[\^_=]{1,2}[a-gA-G](?![\w-])", text[match.end() :]):
        raise NotationError(
            "key_accidentals", f"K:{text.strip()} has explicit accidentals; write them on the notes.", line
        )
    key = Key(match[1].upper() + match[2], mode)
    if abs(key.sharps) > 7:
        raise NotationError("bad_key", f"K:{text.strip()} would need {abs(key.sharps)} accidentals.", line)
    return key


def _mode(word: str, text: str, line: int | None) -> str:
    lowered = word.lower()
    if not word or lowered in _CLEF_WORDS:
        return ""
    mode = _MODE_ALIASES.get(lowered[:3], lowered[:3])
    if mode not in MODES or (len(lowered) < 3 and lowered != "m"):
        raise NotationError(
            "bad_key", f"K:{text.strip()}: '{word}' is not a mode; use m, dor, phr, lyd, mix or loc.", line
        )
    return mode


@dataclass(frozen=True)
class Meter:
    """A time signature. `Meter(0, 1)` is free metre (M:none), in which no bar has a wrong length."""

    numerator: int
    denominator: int

    @property
    def is_free(self) -> bool:
        """True for M:none."""
        return self.numerator == 0

    @property
    def is_compound(self) -> bool:
        """6/8, 9/8, 12/8 and their like: beats of three."""
        return self.numerator % 3 == 0 and self.numerator > 3

    @cached_property
    def ticks(self) -> int:
        """Length of a full bar in ticks; 0 for free metre."""
        return TICKS_PER_WHOLE * self.numerator // self.denominator

    @cached_property
    def beat_ticks(self) -> int:
        """Length of the unit that beams follow: a dotted quarter in 6/8, a quarter in 4/4, 2/2 and 3/4."""
        if self.is_free:
            return TICKS_PER_QUARTER
        if self.is_compound:
            return 3 * TICKS_PER_WHOLE // self.denominator
        return (
            max(TICKS_PER_WHOLE // self.denominator, TICKS_PER_QUARTER)
            if self.denominator >= 4
            else TICKS_PER_WHOLE // 2
        )

    @property
    def text(self) -> str:
        """The canonical ABC spelling: 6/8, 4/4 (for C), 2/2 (for C|), none."""
        return "none" if self.is_free else f"{self.numerator}/{self.denominator}"


def parse_meter(text: str, line: int | None = None) -> Meter:
    """Read the value of an M: field: `6/8`, `C`, `C|`, `(2+3)/8`, `none`.

    Raises NotationError `no_metre`, `bad_metre`.
    """
    value = text.replace(" ", "")
    if not value:
        raise NotationError("no_metre", "the M: field is empty; write the metre, for example M:6/8, or M:none.", line)
    if value in ("C", "C|"):
        return Meter(4, 4) if value == "C" else Meter(2, 2)
    if value.lower() == "none":
        return Meter(0, 1)
    numerator, denominator = 0, max((int(n) for n in re.findall(r"/(1|2|4|8|16|32|64|128)(?!\d)", value)), default=0)
    if re.fullmatch(rf"{_FRACTION}(?:\+{_FRACTION})*", value):
        for beats, unit in re.findall(r"([\d+]+)\)?/(\d+)", value):
            numerator += sum(map(int, filter(None, beats.split("+")))) * denominator // int(unit)
    if not 1 <= numerator <= 64:
        raise NotationError(
            "bad_metre", f"M:{text.strip()} is not a metre; write for example M:6/8, M:C or M:none.", line
        )
    return Meter(numerator, denominator)


@dataclass(frozen=True, slots=True)
class Pitch:
    """A written pitch: letter C..B, octave (4 holds middle C), explicit accidental -2..2 or None, and its sound."""

    letter: str
    octave: int
    accidental: int | None
    midi: int

    @property
    def text(self) -> str:
        """ABC spelling with its explicit accidental: ^f, C, c'."""
        mark = "" if self.accidental is None else ACCIDENTAL_TEXT[self.accidental]
        return mark + pitch_name(self.letter, self.octave)


def pitch_name(letter: str, octave: int) -> str:
    """ABC letter and octave marks: ('C', 4) -> C, ('C', 5) -> c, ('C', 3) -> C,"""
    if octave >= 5:
        return letter.lower() + "'" * (octave - 5)
    return letter + "," * (4 - octave)


def length_text(ticks: int) -> str:
    """Canonical ABC note length at L:1/8: '' for an eighth, `2`, `3/2`, `/2`, `3/4`."""
    text = _LENGTH_CACHE.get(ticks)
    return _length_text(ticks) if text is None else text


def _length_text(ticks: int) -> str:
    from math import gcd

    common = gcd(ticks, UNIT_TICKS)
    numerator, denominator = ticks // common, UNIT_TICKS // common
    text = "" if numerator == 1 and denominator > 1 else str(numerator)
    text += f"/{denominator}" if denominator > 1 else ""
    return "" if text == "1" else text


_LENGTH_CACHE: dict[int, str] = {
    UNIT_TICKS * n // d: _length_text(UNIT_TICKS * n // d) for n in range(1, 17) for d in (1, 2, 4)
}
