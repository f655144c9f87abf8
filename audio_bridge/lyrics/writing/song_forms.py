"""Song forms: which sections, how many lines, how many syllables a line, which lines rhyme.

    verse-chorus-verse-chorus            sections by name, in order
    --lines 4 --syllables 8 --rhyme ABAB
    --syllables 8,6,8,6 --rhyme XAXA     the ballad stanza

A `Stanza` is what a section must be. Sections of one kind have one stanza, so that one melody serves them; a chorus has
the same words each time.
"""

import re
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from audio_bridge.lyrics.genre_styles import GenreStyle, find_style
from audio_bridge.lyrics.lyric_text import KINDS, kind_of
from symbolic.errors import UsageError

DEFAULT_STRUCTURE = "verse-chorus-verse-chorus"
MOST_LINES = 32
MOST_SYLLABLES = 24
MOST_SECTIONS = 24


@dataclass(frozen=True)
class Stanza:
    """What a section must be: syllables of each line, and its rhyme scheme (X is free)."""

    syllables: tuple[int, ...]
    rhyme: str

    def __post_init__(self) -> None:
        assert len(self.syllables) == len(self.rhyme)


@dataclass(frozen=True)
class SongForm:
    """Sections in order by kind, and the stanza of each kind."""

    kinds: tuple[str, ...]
    stanzas: dict[str, Stanza]


def make(
    genre: GenreStyle | str = "",
    structure: str = DEFAULT_STRUCTURE,
    *,
    lines: int | None = None,
    syllables: str | None = None,
    rhyme: str | None = None,
) -> SongForm:
    """Return the form that options describe; what they leave open is the genre's, given as its style or by a name that
    `find_style` knows. UsageError names what cannot be."""
    kinds = structure_of(structure)
    form = (find_style(genre) if isinstance(genre, str) else genre).form
    verse, chorus, verse_rhyme, chorus_rhyme = (
        form[name] for name in ("verse", "chorus", "verse_rhyme", "chorus_rhyme")
    )
    stanzas = {}
    for kind in dict.fromkeys(kinds):
        is_chorus = kind in ("chorus", "pre-chorus")
        counts = _counts(syllables or (chorus if is_chorus else verse), lines)
        stanzas[kind] = Stanza(counts, _scheme(rhyme or (chorus_rhyme if is_chorus else verse_rhyme), len(counts)))
    return SongForm(kinds, stanzas)


def structure_of(text: str) -> tuple[str, ...]:
    """Parse `verse-chorus-verse` into kinds of sections; pre-chorus is one word."""
    names = [name.strip() for name in re.split(r"[-,\s]+", text.lower().replace("pre-", "pre_")) if name.strip()]
    kinds = [kind_of(name.replace("_", "-")) for name in names]
    if not kinds:
        raise UsageError("the structure is empty; write for example verse-chorus-verse-chorus.")
    wrong = next((name for name, kind in zip(names, kinds) if not kind or kind == "instrumental"), None)
    if wrong is not None:
        sung = ", ".join(kind for kind in KINDS if kind != "instrumental")
        raise UsageError(f"structure: {wrong!r} is no section; choose from {sung}, joined by hyphens.")
    if len(kinds) > MOST_SECTIONS:
        raise UsageError(f"structure: {len(kinds)} sections; at most {MOST_SECTIONS}.")
    return tuple(kinds)


def _counts(text: str, lines: int | None) -> tuple[int, ...]:
    """Parse `8` or `8,6,8,6`, repeated to the number of lines."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,3}", part) and 1 <= int(part) <= MOST_SYLLABLES for part in parts):
        raise UsageError(f"--syllables {text}: give numbers from 1 to {MOST_SYLLABLES}, as 8 or 8,6,8,6.")
    n = lines if lines is not None else max(4, len(parts)) if len(parts) == 1 else len(parts)
    if not 1 <= n <= MOST_LINES:
        raise UsageError(f"--lines {n}: give 1 to {MOST_LINES} lines a section.")
    counts = [int(part) for part in parts]
    return tuple(counts[i % len(counts)] for i in range(n))


def _scheme(text: str, n: int) -> str:
    """Return a rhyme scheme of n letters: repeated with letters that it has not where it is shorter, cut where it is
    longer. Capitals come first; MOST_LINES lines need some small letters, too."""
    letters = text.upper().strip()
    if not re.fullmatch(r"[A-Z]+", letters):
        raise UsageError(f"--rhyme {text}: write letters, as ABAB or AABB; X is a line that need not rhyme.")
    fresh = (c for c in ascii_uppercase + ascii_lowercase if c not in {*letters, "X", "x"})
    names = {(0, letter): letter for letter in letters}
    places = [(i // len(letters), letters[i % len(letters)]) for i in range(n)]
    for place in dict.fromkeys(places):
        if place not in names:
            names[place] = "X" if place[1] == "X" else next(fresh)
    return "".join(names[place] for place in places)
