"""Lyrics under the notes: the w: fields of ABC 2.1, section 5.

A syllable goes to each note. `-` goes on to the next syllable of a word, `_` holds a syllable for a further note, `*`
leaves a note without one, `~` joins two words under a note, `|` goes on to the next bar.
"""

import re
from collections.abc import Sequence

from symbolic.notation.reading.text_strings import encode
from symbolic.notation.score import Bar, Event, Note

HARD_HYPHEN = "\N{NON-BREAKING HYPHEN}"  # \- of the source: a hyphen that belongs to the word
_SIGN = re.compile(r"\\-|[-_*|]|[^\s\-_*|\\]+|\\|\s+")


def set_lyrics(events: Sequence[Event], text: str, verse: int) -> int:
    """Give the notes among `events` the syllables of a w: field as those of `verse` (0 is the first).

    Returns the number of syllables for which there was no note.
    """
    slots: list[Note | None] = [
        event if isinstance(event, Note) else None for event in events if isinstance(event, (Note, Bar))
    ]
    place = unplaced = 0
    for syllable in syllables(text):
        while place < len(slots) and slots[place] is None and syllable != "|":
            place += 1
        if syllable == "|":
            place = next((i + 1 for i in range(place, len(slots)) if slots[i] is None), len(slots))
        elif place < len(slots):
            note = slots[place]
            assert note is not None
            note.syllables += ("",) * (verse - len(note.syllables)) + (syllable,)
            place += 1
        else:
            unplaced += syllable not in ("", "_")
    return unplaced


def syllables(text: str) -> list[str]:
    """The syllables of a w: field, one a note: `hap-`, `py`, `_` for a held one, '' for none, `|` for a bar's end."""
    found: list[str] = []
    word = ""
    for sign in _SIGN.findall(text):
        if sign == "\\-":
            word += HARD_HYPHEN
        elif sign == "-":
            hyphen_after = bool(word)
            if hyphen_after:
                found.append(word + "-")
            elif found:
                found.append("_")  # a second hyphen: a note more for the syllable before
            word = ""
        elif sign in "_*|" or sign.isspace():
            found += [word] if word else []
            word = ""
            found += {"_": ["_"], "*": [""], "|": ["|"]}.get(sign, [])
        else:
            word += sign.replace("~", " ")
    return found + ([word] if word else [])


def lyric_text(notes: Sequence[Note], verse: int) -> str:
    """A w: field for the notes of a line; '' where the verse has nothing there."""
    found = [note.syllables[verse] if verse < len(note.syllables) else "" for note in notes]
    while found and not found[-1]:
        found.pop()
    text = ""
    for syllable in found:
        if syllable == "_":
            text = text.rstrip() + "_"
        else:
            gap = "" if text.endswith(("-", " ")) or not text else " "
            text += gap + _written(syllable) + ("" if syllable.endswith("-") else " ")
    return text.strip()


def _written(syllable: str) -> str:
    """A syllable with the signs of w: fields that it holds itself out of the way."""
    inner, hyphen = (syllable[:-1], "-") if syllable.endswith("-") else (syllable, "")
    inner = encode(re.sub(r"[*|_\\]", "", inner)).replace("-", HARD_HYPHEN)
    return (inner.replace(" ", "~").replace(HARD_HYPHEN, "\\-") or "*") + hyphen
