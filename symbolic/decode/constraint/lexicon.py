"""The words of canonical ABC that are made of several characters, with the room in the bar that each needs.

A word may come where the ticks left in the bar are at least its need. Lengths lie on a grid of 128th notes, so that
whatever a bar has left can be spelled; inside a tuplet the room left is off the grid, and what is needed includes the
shortest notes that bring it back.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from symbolic.notation.canonical import tuplet_time
from symbolic.notation.theory import FIFTHS, MODES, TICKS_PER_WHOLE, Key, Meter, length_text

GRID_TICKS = TICKS_PER_WHOLE // 128  # every length is a multiple: spelled in halves to sixteenths of an eighth
MOST_BAR_TICKS = 4 * TICKS_PER_WHOLE
# ABC 2.1, section 4.14: decorations in letters only, without those that have a sign of their own.
MARKS = (
    *("turn", "turnx", "invertedturn", "invertedturnx", "arpeggio", "tenuto", "slide", "breath", "wedge", "plus"),
    *("pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff", "sf", "sfz", "open", "thumb", "snap", "slur"),
    *("invertedfermata", "shortphrase", "mediumphrase", "longphrase", "dacapo", "dacoda", "fine", "crescendo"),
)
ROOTS = ("A", "A#", "Ab")  # for chords on every letter
# Those that abc2midi, too, knows.
QUALITIES = (
    *("", "m", "dim", "aug", "+", "sus", "sus2", "sus4", "5", "6", "7", "9", "11"),
    *("m6", "m7", "m9", "maj7", "maj9", "M7", "dim7", "m7b5", "7sus4"),
)


class OpenTuplet(NamedTuple):
    """`n_left` more notes, each `p` in the time of `q`."""

    p: int
    q: int
    n_left: int


class Spelling(NamedTuple):
    """A text, what it stands for, and the room it needs: the fewest ticks left in the bar with which it may come."""

    text: str
    value: object
    need: int = 0


class Spellings:
    """A set of texts, and for each beginning of one the completion that needs the least room, the shortest such, and
    the number of completions."""

    def __init__(self, spellings: Iterable[Spelling]) -> None:
        self.whole: dict[str, Spelling] = {}
        self.begun: dict[str, Spelling] = {}
        self.n_whole: Counter[str] = Counter()
        for spelling in sorted(spellings, key=lambda one: (one.need, len(one.text), one.text)):
            self.whole[spelling.text] = spelling
            for end in range(len(spelling.text) + 1):
                self.begun.setdefault(spelling.text[:end], spelling)
                self.n_whole[spelling.text[:end]] += 1


@lru_cache(maxsize=1 << 12)
def lengths(tuplet: OpenTuplet | None, phase_ticks: int) -> Spellings:
    """The lengths of a note, their value the written ticks. `phase_ticks` is what the room left has over the grid."""
    p, q, n_left = tuplet or OpenTuplet(1, 1, 1)
    found = []
    for written in range(GRID_TICKS, MOST_BAR_TICKS + 1, GRID_TICKS):
        sounding, rest = divmod(written * q, p)
        more = None if rest else completion(p, q, n_left - 1, (phase_ticks - sounding) % GRID_TICKS)
        if more is not None:
            found.append(Spelling(length_text(written), written, sounding + more))
    return Spellings(found)


@lru_cache(maxsize=1 << 12)
def completion(p: int, q: int, n_notes: int, phase_ticks: int) -> int | None:
    """The fewest ticks in which `n_notes` of a tuplet bring the room left back to the grid."""
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
    """The tuplets, their value the Tuplet. `in_threes`: the upper number of M: is a multiple of three, by which
    abc2midi decides how long a bare (5, (7 or (9 is; where it would decide otherwise they are not read."""
    meter = Meter(6, 8) if is_compound else Meter(4, 4)
    found = []
    for p, q, n_notes in product(range(2, 10), range(1, 10), range(1, 10)):
        need = completion(p, q, n_notes, 0)
        is_bare = n_notes == p and q == tuplet_time(p, meter)
        if is_bare and p in (5, 7, 9) and is_compound != in_threes:
            continue
        text = f"({p}" if is_bare else f"({p}:{q}:{n_notes}"
        if need is not None:
            found.append(Spelling(text, OpenTuplet(p, q, n_notes), need))
    return Spellings(found)


def metres() -> dict[str, Meter]:
    """Every metre that is read, by its text."""
    every = [Meter(n, d) for n in range(1, 65) for d in (1, 2, 4, 8, 16, 32, 64)]
    return {meter.text: meter for meter in every if meter.ticks <= MOST_BAR_TICKS}


def key_names() -> list[str]:
    """Every key of at most seven sharps or flats."""
    every = [Key(letter + sign, mode) for letter in FIFTHS for sign in ("", "#", "b") for mode in MODES]
    return [key.text for key in every if abs(key.sharps) <= 7]


def chord_symbols() -> Iterable[str]:
    """Accompaniment chords, with and without another bass."""
    for root, quality, bass in product(ROOTS, QUALITIES, ("", *ROOTS)):
        yield root + quality + (f"/{bass}" if bass else "")
