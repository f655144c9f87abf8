"""Macros: the m: fields of ABC 2.1, section 9, which stand for music that is written out before a line is read.

`m:~G3 = G{A}G{F}G` is static: the text as it is. `m:~n3 = n{o}n{m}n` transposes: `n` is any note, the letters h to z
the notes from six steps below it to twelve above.
"""

import re
from functools import partial

_FIELD = re.compile(r"\s*(\S[^=]*?)\s*=\s*(.*?)\s*", re.DOTALL)
_NOTE = r"(?P<note>[A-Ga-g][,']*)"
_STEPS = "CDEFGAB"
MAX_LINE = 20_000  # characters of a line with its macros written out


class Macros:
    """The macros of a tune, applied in the order of their fields."""

    def __init__(self) -> None:
        self.rules: list[tuple[re.Pattern[str], str, bool]] = []  # what to find, what to write, whether it moves

    def add(self, value: str) -> bool:
        """Read the value of an m: field; False for what is no macro."""
        match = _FIELD.fullmatch(value)
        if match is None:
            return False
        target, text = match[1], match[2]
        moves = "n" in target
        pattern = _NOTE.join(map(re.escape, target.split("n", 1))) if moves else re.escape(target)
        self.rules.append((re.compile(pattern), text, moves))
        return True

    def applied(self, line: str) -> str:
        """A line of music with its macros written out; text in quotes is left alone."""
        for pattern, text, moves in self.rules:
            pieces = re.split(r'("[^"]*")', line)
            pieces[::2] = [
                pattern.sub(partial(_moved, text) if moves else text.replace("\\", r"\\"), piece)
                for piece in pieces[::2]
            ]
            line = "".join(pieces)[:MAX_LINE]
        return line


def _moved(text: str, match: re.Match[str]) -> str:
    """The replacement of a transposing macro at a note."""
    note = match["note"]
    octave = note.count("'") - note.count(",") + note[0].islower()
    place = _STEPS.index(note[0].upper()) + 7 * octave
    return re.sub("[h-z]", lambda letter: _spelled(place + ord(letter[0]) - ord("n")), text)


def _spelled(place: int) -> str:
    """The note so many steps above C."""
    octave, step = divmod(place, 7)
    letter = _STEPS[step]
    return letter.lower() + "'" * (octave - 1) if octave > 0 else letter + "," * -octave
