"""Spellings of canonical ABC that take several characters, each with the ticks it needs in the bar.

A spelling is allowed where at least `min_ticks` are left in the bar. Lengths lie on a grid of 128th notes, so that
whatever a bar has left can be spelled. Inside a tuplet the ticks left are off the grid, and `min_ticks` includes the
shortest notes that bring them back.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from symbolic.notation.canonical import tuplet_time
from symbolic.notation.theory import FIFTHS, MODES, TICKS_PER_WHOLE, Key, Meter, length_text

GRID_TICKS = TICKS_PER_WHOLE // 128  # every length is a multiple: spelled in halves to sixteenths of an eighth
MAX_BAR_TICKS = 4 * TICKS_PER_WHOLE
# ABC 2.1, section 4.14: decorations in letters only, without those that have a sign of their own, and without jumps
# (D.C., the way to the coda, Fine), after which other bars would have to be full.
MARKS = (
    *("turn", "turnx", "invertedturn", "invertedturnx", "arpeggio", "tenuto", "slide", "breath", "wedge", "plus"),
    *("pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff", "sf", "sfz", "open", "thumb", "snap", "slur"),
    *("invertedfermata", "shortphrase", "mediumphrase", "longphrase", "crescendo"),
)
ROOTS = ("A", "A#", "Ab")  # for chords on every letter
# Those that abc2midi, too, knows.
QUALITIES = (
    *("", "m", "dim", "aug", "+", "sus", "sus2", "sus4", "5", "6", "7", "9", "11"),
    *("m6", "m7", "m9", "maj7", "maj9", "M7", "dim7", "m7b5", "7sus4"),
)


class OpenTuplet(NamedTuple):
    """A tuplet with `n_left` notes to come, each sounding q/p of its written length."""

    p: int
    q: int
    n_left: int


class Spelling(NamedTuple):
    """A text, its value, and the fewest ticks left in the bar with which it is allowed."""

    text: str
    value: object
    min_ticks: int = 0


class Spellings:
    """A set of spellings by text.

    whole: complete texts. begun: for each beginning, the completion with the fewest `min_ticks`, then the shortest.
    n_whole: number of completions of each beginning.
    """

    def __init__(self, spellings: Iterable[Spelling]) -> None:
        self.whole: dict[str, Spelling] = {}
        self.begun: dict[str, Spelling] = {}
        self.n_whole: Counter[str] = Counter()
        for spelling in sorted(spellings, key=lambda spelling: (spelling.min_ticks, len(spelling.text), spelling.text)):
            self.whole[spelling.text] = spelling
            for end in range(len(spelling.text) + 1):
                self.begun.setdefault(spelling.text[:end], spelling)
                self.n_whole[spelling.text[:end]] += 1


@lru_cache(maxsize=1 << 12)
def lengths(tuplet: OpenTuplet | None, phase_ticks: int) -> Spellings:
    """Return the lengths of a note, valued in written ticks. `phase_ticks`: ticks left in the bar modulo the grid."""
    p, q, n_left = tuplet or OpenTuplet(1, 1, 1)
    found = []
    for written in range(GRID_TICKS, MAX_BAR_TICKS + 1, GRID_TICKS):
        sounding, rest = divmod(written * q, p)
        more = None if rest else completion(p, q, n_left - 1, (phase_ticks - sounding) % GRID_TICKS)
        if more is not None:
            found.append(Spelling(length_text(written), written, sounding + more))
    return Spellings(found)


@lru_cache(maxsize=1 << 12)
def completion(p: int, q: int, n_notes: int, phase_ticks: int) -> int | None:
    """Return the fewest ticks in which `n_notes` of a tuplet bring the ticks left back to the grid; None if none do."""
    if n_notes == 0:
        return None if phase_ticks else 0
    step = GRID_TICKS  # what is written of a note is a multiple, so that its sounding length is whole
    while step * q % p:
        step += GRID_TICKS
    sounding = step * q // p
    every = range(n_notes * sounding, (n_notes + GRID_TICKS) * sounding, sounding)
    return next((ticks for ticks in every if ticks % GRID_TICKS == phase_ticks), None)


@lru_cache(maxsize=4)
def tuplets(is_compound: bool, in_threes: bool) -> Spellings:
    """Return the tuplets, with an OpenTuplet as value.

    in_threes: the upper number of M: is a multiple of three, by which abc2midi decides how long a bare (5, (7 or (9 is;
    where its decision differs from the standard they are left out.
    """
    meter = Meter(6, 8) if is_compound else Meter(4, 4)
    found = []
    for p, q, n_notes in product(range(2, 10), range(1, 10), range(1, 10)):
        min_ticks = completion(p, q, n_notes, 0)
        is_bare = n_notes == p and q == tuplet_time(p, meter)
        if is_bare and p in (5, 7, 9) and is_compound != in_threes:
            continue
        text = f"({p}" if is_bare else f"({p}:{q}:{n_notes}"
        if min_ticks is not None:
            found.append(Spelling(text, OpenTuplet(p, q, n_notes), min_ticks))
    return Spellings(found)


def meters() -> dict[str, Meter]:
    """Return every meter that is allowed, by its text."""
    every = [Meter(n, d) for n in range(1, 65) for d in (1, 2, 4, 8, 16, 32, 64)]
    return {meter.text: meter for meter in every if meter.ticks <= MAX_BAR_TICKS}


def key_names() -> list[str]:
    """Return the names of all keys of at most seven sharps or flats."""
    every = [Key(letter + sign, mode) for letter in FIFTHS for sign in ("", "#", "b") for mode in MODES]
    return [key.text for key in every if abs(key.sharps) <= 7]


def chord_symbols() -> Iterable[str]:
    """Yield accompaniment chords, with and without another bass."""
    for root, quality, bass in product(ROOTS, QUALITIES, ("", *ROOTS)):
        yield root + quality + (f"/{bass}" if bass else "")
