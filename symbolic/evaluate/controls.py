"""Text that is not music, made from music: what every measure of quality must tell from human tunes.

Each control keeps the header (up to and with the K: line, and the V: lines after it), the number of tunes and about
their length, and spoils the music: its letters and bar lines are as frequent as in the real tunes, or nearly so.
"""

import random
import re
from collections.abc import Sequence

_HEADER = re.compile(r"(?:[A-Za-z]:[^\n]*\n)*")


def shuffled(text: str, rng: random.Random) -> str:
    """The characters of the music in random order."""
    header, music = _parts(text)
    characters = list(music)
    rng.shuffle(characters)
    return header + "".join(characters) + "\n"


def dropped(text: str, rng: random.Random, share: float = 0.05) -> str:
    """The music with each character left out with probability `share`."""
    header, music = _parts(text)
    return header + "".join(c for c in music if rng.random() >= share) + "\n"


def random_characters(text: str, rng: random.Random, alphabet: Sequence[str]) -> str:
    """As many characters as the music has, each drawn evenly from `alphabet`."""
    header, music = _parts(text)
    return header + "".join(rng.choices(alphabet, k=len(music))) + "\n"


def alphabet(texts: Sequence[str]) -> list[str]:
    """The characters of the music of a set, sorted."""
    return sorted(set().union(*(_parts(text)[1] for text in texts)))


def _parts(text: str) -> tuple[str, str]:
    """Header lines, and the music without its line ends (voices run together: it is to be spoilt anyway)."""
    match = _HEADER.match(text)
    assert match is not None
    return match[0], text[match.end() :].replace("\n", "")
