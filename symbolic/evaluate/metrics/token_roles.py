"""What each piece of a tune's text is: its role in the notation, and whether the tune has had its like before.

Task: a loss per token says little of music, since half of the tokens are lengths and bar lines that follow from what
stands before them. So the loss is split, by two questions asked of the place where a token begins.

`roles`: the word that covers it, words being those of the grammar tokenizer whatever tokenizer the model has: metre,
key, field (any other), pitch, accidental, length, bar line, rest, tuplet, chord symbol, decoration, other.

`occurrences`: folk tunes repeat phrases, and predicting a repeat needs copying rather than taste: attention can look a
phrase up, a state of constant size must have kept it.

    header     before the first note
    first      the last n notes before the place have not stood together earlier in this tune
    repeated   they have: what followed them then is a good guess (whether or not it is what follows now)

A note here is its pitch as written, accidental and octave mark included, without its length (grace notes and the notes
of chords count one by one). A token that is part of a note being spelled looks back on whole notes only. The first n
notes of a tune are `first`.

Places are counted in characters: for places in bytes, give the text with one character a byte (`as_bytes`).
"""

import re
from collections.abc import Sequence

from symbolic.tokens import grammar

NOTES = 4
OCCURRENCES = ("header", "first", "repeated")
_KINDS = {
    "metre": r"^M:(?![|:])[^\n<]*\n?|\[M:[^\]\n<]*\]",
    "key": r"^K:(?![|:])[^\n<]*\n?|\[K:[^\]\n<]*\]",
    "field": f"{grammar.FIELD}|{grammar.INLINE}",
    "chord symbol": grammar.QUOTED,
    "decoration": rf"{grammar.DECORATION}|[~HLMOPSTuv.]",
    "bar line": f"{grammar.ENDING}|{grammar.BAR}",
    "tuplet": grammar.TUPLET,
    "accidental": grammar.ACCIDENTAL,
    "pitch": grammar.PITCH,
    "length": grammar.LENGTH,
    "rest": "[zxZX]",
    "other": r".|\n",
}
ROLES = tuple(_KINDS)
_WORD = re.compile(
    "|".join(f"(?P<{name.replace(' ', '_')}>{pattern})" for name, pattern in _KINDS.items()), re.MULTILINE
)
# Inline fields, chord symbols and decorations are skipped; a rest is no note.
_SPELLED = re.compile(r'\[[A-Za-z]:[^\]]*\]|"[^"]*"|![^!\s]*!|(?P<note>[\^_=]{0,2}[A-Ga-g][,\']*)')


def as_bytes(text: str) -> str:
    """Return a text with one character for each byte of the UTF-8 text."""
    return text.encode("utf-8").decode("latin-1")


def words(text: str) -> list[tuple[str, int]]:
    """Yield (role, end) of every word, in order; together they cover the whole text."""
    return [(str(match.lastgroup).replace("_", " "), match.end()) for match in _WORD.finditer(text)]


def roles(text: str, starts: Sequence[int]) -> list[str]:
    """Return the role of the word at each place; places ascend and lie within the text."""
    found, passed, every = [], 0, words(text)
    for start in starts:
        while every[passed][1] <= start:
            passed += 1
        found.append(every[passed][0])
    return found


def occurrences(text: str, starts: Sequence[int], n: int = NOTES) -> list[str]:
    """Return `header`, `first` or `repeated` for each place of a canonical text; places ascend."""
    notes = _notes(text)
    body = notes[0][1] if notes else len(text)
    seen: set[tuple[str, ...]] = set()
    repeated = []  # whether the n notes up to and including note i have stood together before
    for i in range(len(notes)):
        phrase = tuple(name for name, _, _ in notes[max(0, i + 1 - n) : i + 1])
        repeated.append(len(phrase) == n and phrase in seen)
        seen.add(phrase)
    found, passed = [], 0
    for start in starts:
        while passed < len(notes) and notes[passed][2] <= start:
            passed += 1
        found.append("header" if start < body else "repeated" if passed and repeated[passed - 1] else "first")
    return found


def _notes(text: str) -> list[tuple[str, int, int]]:
    """Yield (spelling, start, end) of every note of the music, which begins after the K: line."""
    music = re.search(r"^K:.*\n", text, re.MULTILINE)
    if not music:
        return []
    matches = _SPELLED.finditer(text, music.end())
    return [(match["note"], match.start(), match.end()) for match in matches if match["note"]]
