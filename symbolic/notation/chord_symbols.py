"""Accompaniment chords as people write them: `Am7`, `F#`, `Bb/D`; and progressions such as `| Am | F | C G | % |`.

A symbol is a root, a quality and perhaps a bass. Pitch classes count semitones from C. A progression is bars of
symbols: those of one bar share it equally, `%` repeats the bar before.
"""

import re
from dataclasses import dataclass

from symbolic.errors import UsageError, UserError
from symbolic.notation.theory import LETTERS, SEMITONES, Key

# Semitones above the root, by the quality as it is written behind the root; the first spelling is the canonical one.
QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10), "maj7": (0, 4, 7, 11), "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9), "9": (0, 4, 7, 10, 2), "m9": (0, 3, 7, 10, 2), "maj9": (0, 4, 7, 11, 2), "add9": (0, 4, 7, 2),
    "sus4": (0, 5, 7), "sus2": (0, 2, 7), "7sus4": (0, 5, 7, 10), "dim": (0, 3, 6), "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10), "aug": (0, 4, 8), "5": (0, 7), "13": (0, 4, 7, 10, 9), "7b9": (0, 4, 7, 10, 1),
}  # fmt: skip
_SPELLINGS = {"maj": "", "M": "", "min": "m", "-": "m", "min7": "m7", "-7": "m7", "M7": "maj7", "Δ": "maj7",
              "sus": "sus4", "°": "dim", "o": "dim", "+": "aug", "ø": "m7b5", "°7": "dim7", "o7": "dim7", "2": "add9",
              "7+5": "aug"}  # fmt: skip
_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/\s]*)(?:/([A-G])([#b♯♭]?))?")
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
MAX_BARS = 256
# Degrees of the scale that name a root so many semitones above the tonic.
_LETTER_STEPS = (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True)
class ChordName:
    """A parsed symbol: `root` and `bass` are pitch classes, `intervals` semitones above the root."""

    text: str
    root: int
    intervals: tuple[int, ...]
    bass: int

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes, the root first."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def has_minor_third(self) -> bool:
        """Whether the chord is minor or diminished."""
        return 3 in self.intervals and 4 not in self.intervals

    @property
    def family(self) -> str:
        """The nearest of the plain qualities: '' (major), m, 7 or dim."""
        if self.has_minor_third:
            return "m" if 7 in self.intervals else "dim"
        return "7" if 10 in self.intervals else ""


def parse_chord(text: str) -> ChordName | None:
    """Read a chord symbol; None where the text is none (an annotation, a word)."""
    match = _SYMBOL.fullmatch(text.strip())
    if match is None:
        return None
    quality = match[3].strip("()")
    quality = _SPELLINGS.get(quality, quality)
    if quality not in QUALITIES:
        return None
    root = (SEMITONES[match[1]] + _SIGNS[match[2]]) % 12
    bass = root if match[4] is None else (SEMITONES[match[4]] + _SIGNS[match[5]]) % 12
    plain = text.strip().replace("♯", "#").replace("♭", "b")
    return ChordName(plain, root, QUALITIES[quality], bass)


def parse_progression(text: str) -> list[list[str]]:
    """Read `| Am | F | C G | % |` as the symbols of each bar. Raises UsageError for what is no chord, UserError for a
    progression that is too long."""
    bars: list[list[str]] = []
    for part in re.split(r"[|\n]+", text.replace("||", "|")):
        words = part.split()
        if not words:
            continue
        if words == ["%"]:
            if not bars:
                raise UsageError(f"--chords {text!r}: '%' repeats the bar before, and there is none.")
            words = bars[-1]
        wrong = next((word for word in words if parse_chord(word) is None), None)
        if wrong is not None:
            raise UsageError(f"--chords: {wrong!r} is not a chord; write for example | Am | F | C | G7 |.")
        bars.append(words)
    if not bars:
        raise UsageError("--chords is empty; write for example | Am | F | C | G |.")
    if len(bars) > MAX_BARS:
        raise UserError(f"--chords has {len(bars)} bars; at most {MAX_BARS} are read.")
    return bars


def root_name(key: Key, semitones: int) -> str | None:
    """The name of the note so many semitones above a key's tonic, spelled in the key; None where it would need a double
    accidental."""
    semitones %= 12
    letter = LETTERS[(LETTERS.index(key.tonic[0]) + _LETTER_STEPS[semitones]) % 7]
    for candidate in (_diatonic_letter(key, semitones), letter):
        if candidate is None:
            continue
        sign = (key.tonic_pitch_class + semitones - SEMITONES[candidate] + 6) % 12 - 6
        if abs(sign) <= 1:
            return candidate + ("", "#", "b")[sign]
    return None


def roman_chord(text: str, key: Key) -> str:
    """The symbol of a Roman numeral in a key: in G, `I` -> G, `vi` -> Em, `iim7` -> Am7, `bVII` -> F, `V9` -> D9.

    Degrees count along the major scale on the key's tonic, in minor too: `bVI` in Am is F.
    """
    match = re.fullmatch(r"(b|#)?([IVivi]+)(.*)", text)
    degrees = ("I", "II", "III", "IV", "V", "VI", "VII")
    if match is None or match[2].upper() not in degrees:
        raise UserError(f"{text!r} is not a chord's Roman numeral; write for example I, vi, V7, bVII.")
    semitones = _MAJOR_SCALE[degrees.index(match[2].upper())] + {None: 0, "b": -1, "#": 1}[match[1]]
    name = root_name(key, semitones)
    if name is None:
        raise UserError(f"the chord {text} cannot be spelled in {key.text}.")
    minor = "m" if match[2].islower() and not match[3].startswith(("dim", "m")) else ""
    return name + minor + match[3]


def key_of_chords(names: list[str]) -> Key:
    """The major or minor key whose scale holds most of the chords' notes; the first and last chord weigh as tonics."""
    chords = [chord for name in names if (chord := parse_chord(name))]
    tonics = [(letter + sign, mode) for letter in LETTERS for sign in ("", "b", "#") for mode in ("", "m")]
    keys = [Key(tonic, mode) for tonic, mode in tonics if abs(Key(tonic, mode).sharps) <= 6]

    def fit(key: Key) -> tuple[float, int]:
        scale = {(SEMITONES[letter] + sign) % 12 for letter, sign in key.accidentals.items()}
        inside = sum(pitch in scale for chord in chords for pitch in chord.classes)
        home = [c.root == key.tonic_pitch_class and c.has_minor_third == (key.mode == "m") for c in chords]
        return inside + 3.0 * home[0] + 2.0 * home[-1] + 0.1 * sum(home), -abs(key.sharps)

    return max(keys, key=fit)


def _diatonic_letter(key: Key, semitones: int) -> str | None:
    wanted = (key.tonic_pitch_class + semitones) % 12
    return next((x for x, sign in key.accidentals.items() if (SEMITONES[x] + sign) % 12 == wanted), None)
