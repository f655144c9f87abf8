"""Transposition of canonical ABC text by semitones, key and notes together.

The text is rewritten symbol by symbol with one table for each key, so that a corpus in twelve keys costs seconds. Each
note keeps its place in the scale and its alteration against the key signature: in G, `=f` (lowered by one) becomes in A
`=g`. So unmarked notes stay unmarked, accidentals hold until the bar line as before, and
`transpose(transpose(x, n), -n) == x` unless the old key and the new one share a pitch with another spelling (F#, Gb).
"""

import re
from functools import lru_cache

from symbolic.notation.theory import (
    ACCIDENTAL_TEXT,
    ACCIDENTAL_VALUE,
    LETTERS,
    SEMITONES,
    Key,
    NotationError,
    Pitch,
    parse_key,
    pitch_name,
)

_NOTE = re.compile(
    r"""!.*?!|\[[MV]:[^\]]*\]|\[K:(?P<key>[^\]]*)\]|"(?P<chord>[^"]*)"|(?P<note>[\^_=]{0,2}[A-Ga-g][,']*)"""
)
_ROOT = re.compile(r"(?<![A-Za-z])([A-G][#b]?)")
_TONICS = ("C", "C#", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B", "Cb", "D#")


def transpose(text: str, semitones: int) -> str:
    """Canonical text `semitones` higher (lower when negative).

    Raises NotationError `transposition` when a note would need a triple accidental or leave MIDI's range.
    """
    if semitones == 0:
        return text
    lines = text.split("\n")
    keys: dict[str, Key] = {}  # by voice: a change holds in the later lines of its voice
    key: Key | None = None
    voice = ""
    for index, line in enumerate(lines):
        if line.startswith("K:"):
            key = parse_key(line[2:])
            lines[index] = f"K:{transposed_key(key, semitones).text}"
        elif line[:2] == "V:":
            voice = line
        elif key is not None:
            lines[index], keys[voice] = _music(line, keys.get(voice, key), semitones)
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def transposed_key(key: Key, semitones: int) -> Key:
    """The key `semitones` away, spelled with the fewest accidentals; at six, sharps or flats as the old key had."""
    pitch_class = (key.tonic_pitch_class + semitones) % 12
    found = [Key(tonic, key.mode) for tonic in _TONICS if Key(tonic).tonic_pitch_class == pitch_class]
    return min(found, key=lambda new: (abs(new.sharps), (new.sharps < 0) != (key.sharps < 0)))


def moved_pitch(pitch: Pitch, key: Key, semitones: int) -> Pitch:
    """A pitch of a tune in `key`, moved, on the same place of the new key's scale.

    An accidental that was written stays written; one that follows from the key or the bar is left to it.
    Raises NotationError `transposition` outside MIDI's range.
    """
    index = 7 * pitch.octave + LETTERS.index(pitch.letter) + _steps(key, transposed_key(key, semitones), semitones)
    octave, place = divmod(index, 7)
    if not 0 <= octave <= 9:
        raise NotationError("transposition", f"{pitch.text} moved by {semitones} semitones leaves MIDI's range.")
    midi = pitch.midi + semitones
    written = None if pitch.accidental is None else midi - 12 * (octave + 1) - SEMITONES[LETTERS[place]]
    return Pitch(LETTERS[place], octave, written, midi)


def moved_chord(symbol: str, key: Key, semitones: int) -> str:
    """A chord symbol of a tune in `key`, moved: root and bass."""
    return _ROOT.sub(lambda root: _root(root[1], key, semitones), symbol)


def _music(line: str, key: Key, semitones: int) -> tuple[str, Key]:
    """The line transposed, and the key at its end."""
    current = key
    table = _table(key, semitones)

    def replace(match: re.Match[str]) -> str:
        nonlocal current, table
        if note := match["note"]:
            return table.get(note) or table.setdefault(note, _note(note, current, semitones))
        if match["key"] is not None:
            current = parse_key(match["key"])
            table = _table(current, semitones)
            return f"[K:{transposed_key(current, semitones).text}]"
        if match["chord"] is not None:
            return '"' + moved_chord(match["chord"], current, semitones) + '"'
        return match[0]

    return _NOTE.sub(replace, line), current


@lru_cache(maxsize=4096)
def _table(key: Key, semitones: int) -> dict[str, str]:
    """Note spelling -> transposed spelling, filled as notes are met."""
    return {}


def _note(text: str, key: Key, semitones: int) -> str:
    mark = text[: len(text) - len(text.lstrip("^_="))]
    letter, marks = text[len(mark)], text[len(mark) + 1 :]
    octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
    new_key = transposed_key(key, semitones)
    index = 7 * octave + LETTERS.index(letter.upper()) + _steps(key, new_key, semitones)
    new_octave, place = divmod(index, 7)
    new_letter = LETTERS[place]
    if not 0 <= new_octave <= 9:
        raise NotationError("transposition", f"{text} moved by {semitones} semitones leaves MIDI's range.")
    if not mark:
        return pitch_name(new_letter, new_octave)
    value = new_key.accidentals[new_letter] + ACCIDENTAL_VALUE[mark] - key.accidentals[letter.upper()]
    if value not in ACCIDENTAL_TEXT:
        raise NotationError(
            "transposition", f"{text} moved from {key.text} to {new_key.text} needs a triple accidental."
        )
    return ACCIDENTAL_TEXT[value] + pitch_name(new_letter, new_octave)


def _steps(old: Key, new: Key, semitones: int) -> int:
    """Diatonic steps of the move: the number congruent to the tonics' distance that lies nearest to the semitones."""
    steps = (LETTERS.index(new.tonic[0]) - LETTERS.index(old.tonic[0])) % 7
    return min((steps + 7 * octaves for octaves in range(-12, 13)), key=lambda s: abs(s * 12 - semitones * 7))


def _root(root: str, key: Key, semitones: int) -> str:
    """A chord's root or bass, spelled as the new key spells that place of its scale where that needs no double sign."""
    new_key = transposed_key(key, semitones)
    place = (LETTERS.index(root[0]) + _steps(key, new_key, semitones)) % 7
    pitch_class = (Key(root).tonic_pitch_class + semitones) % 12
    offset = (pitch_class - SEMITONES[LETTERS[place]] + 6) % 12 - 6
    if offset in (-1, 0, 1):
        return LETTERS[place] + {-1: "b", 0: "", 1: "#"}[offset]
    names = [letter + sign for letter in LETTERS for sign in ("", "#", "b")]
    return next(name for name in names if Key(name).tonic_pitch_class == pitch_class)
