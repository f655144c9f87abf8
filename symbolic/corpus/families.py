"""Tune families and a split that keeps each of them whole, so that no test tune shares a phrase with a training tune.

A phrase is 17 successive notes of the written melody, compared by its 16 pitch intervals: transposition does not hide
it, rhythm is not looked at. Tunes that share a phrase are one family, and so are tunes joined by a chain of such pairs.
All voices count. Phrases are compared by 64-bit hashes; two phrases that met by chance would only join two families,
so the split stays free of leakage.

A chain can join many tunes. A family larger than a tenth of the smaller held-out set goes whole to train, where its
size does no harm: the held-out sets then hold many small families rather than one large one.

Which family is held out is decided by a hash of its seed and its smallest key, so the order of the input does not
matter, and tunes added later move few others.

Phrases are taken in parts, none of which needs to know the others as long as equal phrases lie in one: a corpus that
does not fit into memory comes as the buckets of an index (symbolic.corpus.phrase_index), a smaller one as one part.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PHRASE_NOTES = 17
LARGE_FAMILY = 0.1  # of the smaller held-out set's size
TRAIN, VALID, TEST = "train", "valid", "test"
_CODES = {TRAIN: 0, VALID: 1, TEST: 2}
_MULTIPLIERS_SEED = 20_170  # fixes the hash; any number serves

Melody = Sequence[Sequence[int]]  # the MIDI pitches of each voice, in written order


class Windows(NamedTuple):
    """Every window of n notes of every tune: the hash of its intervals, its tune, its first note among the tune's."""

    hash: NDArray[np.uint64]
    tune: NDArray[np.int64]
    start: NDArray[np.int64]
    n_notes: NDArray[np.int64]  # per tune


class PhrasePart(NamedTuple):
    """Some phrases with all tunes that have them, sorted by phrase."""

    phrase: NDArray[np.unsignedinteger]
    tune: NDArray[np.integer]
    start: NDArray[np.integer]

    def begins(self) -> NDArray[np.int64]:
        """Return where each phrase's records begin."""
        return np.flatnonzero(np.concatenate([np.ones(1, dtype=bool), self.phrase[1:] != self.phrase[:-1]]))


@dataclass(frozen=True)
class Phrases:
    """Every window of n notes of every tune: the number of its phrase (equal phrases, equal numbers), its tune, and its
    first note among the notes of the tune."""

    phrase: NDArray[np.int64]
    tune: NDArray[np.int64]
    start: NDArray[np.int64]
    n_notes: NDArray[np.int64]  # per tune
    length: int  # notes in a window


@dataclass(frozen=True)
class Leakage:
    """Of the test tunes: how many share a phrase with train, and how many are at least half covered by such phrases."""

    n_tunes: int
    sharing: int
    half_covered: int

    def as_dict(self) -> dict[str, float]:
        """Return counts, and shares of the test tunes."""
        n = max(self.n_tunes, 1)
        shares = {"share_sharing": self.sharing / n, "share_half_covered": self.half_covered / n}
        return {"n_tunes": self.n_tunes, "sharing": self.sharing, "half_covered": self.half_covered, **shares}


def windows(melodies: Sequence[Melody], length: int = PHRASE_NOTES) -> Windows:
    """Return all windows of `length` notes of each melody; none crosses from one voice or tune into the next."""
    voices = [(tune, voice) for tune, melody in enumerate(melodies) for voice in melody if len(voice)]
    sizes = np.array([len(voice) for _, voice in voices], dtype=np.int64)
    owners = np.array([tune for tune, _ in voices], dtype=np.int64)
    pitches = np.concatenate([np.asarray(voice, dtype=np.int16) for _, voice in voices] or [np.zeros(0, np.int16)])
    n_notes = np.bincount(owners, weights=sizes, minlength=len(melodies)).astype(np.int64)
    first = _window_starts(sizes, length)
    tune = np.repeat(owners, sizes)[first]
    tune_start = np.cumsum(n_notes) - n_notes
    return Windows(_hashed(pitches, length)[first], tune, first - tune_start[tune], n_notes)


def phrases(melodies: Sequence[Melody], length: int = PHRASE_NOTES) -> Phrases:
    """Return the windows of each melody, their phrases numbered."""
    found = windows(melodies, length)
    return Phrases(_numbered(found.hash), found.tune, found.start, found.n_notes, length)


def families(found: Phrases) -> NDArray[np.int64]:
    """Return the family of each tune, named by the smallest index of a tune in it."""
    return joined([_as_part(found)], len(found.n_notes))


def joined(parts: Iterable[PhrasePart], n_tunes: int, among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return the family of each of n tunes; those not `among` join no other."""
    root = np.arange(n_tunes, dtype=np.int64)
    for part in parts:
        if among is not None:
            part = PhrasePart(*(column[among[part.tune]] for column in part))
        if len(part.phrase):
            begins = part.begins()
            first = np.repeat(part.tune[begins], np.diff(begins, append=len(part.phrase)))
            linked = first != part.tune
            root = _components(part.tune[linked].astype(np.int64), first[linked].astype(np.int64), root)
    return root


def split(
    family: Sequence[int] | NDArray[np.int64],
    keys: Sequence[str],
    *,
    valid_fraction: float = 0.05,
    test_fraction: float = 0.05,
    seed: int = 0,
) -> list[str]:
    """Return `train`, `valid` or `test` for each tune, no family in two of them; `keys` are the tunes' own, order-free
    names.

    The sets are filled to their share of the tunes, from both ends of one order that the seed shuffles.
    """
    family = np.asarray(family, dtype=np.int64)
    _, group, sizes = np.unique(family, return_inverse=True, return_counts=True)
    targets = {TEST: _target(test_fraction, keys, sizes), VALID: _target(valid_fraction, keys, sizes)}
    wanted = [n for n in targets.values() if n]
    largest = max(1, int(LARGE_FAMILY * min(wanted, default=0)))
    ends = np.cumsum(sizes)
    members = np.argsort(group, kind="stable")  # of each group, one group after another
    small = np.flatnonzero(sizes <= largest) if wanted else np.zeros(0, dtype=np.int64)
    first = (int(end - size) for end, size in zip(ends[small], sizes[small]))
    draws = [_draw(seed, min(keys[int(t)] for t in members[a:b])) for a, b in zip(first, ends[small].tolist())]
    order = small[np.argsort(np.array(draws, dtype=np.uint64), kind="stable")]
    assigned = [TRAIN] * len(keys)
    for name, groups in ((TEST, order), (VALID, order[::-1])):
        taken = 0
        for one in groups.tolist():
            own = members[ends[one] - sizes[one] : ends[one]]
            if taken < targets[name] and assigned[own[0]] == TRAIN:
                taken += len(own)
                for tune in own:
                    assigned[tune] = name
    return assigned


def leakage(found: Phrases, assigned: Sequence[str], held_out: str = TEST) -> Leakage:
    """Return how much of the `held_out` tunes' phrases stands in train too."""
    return leakages([_as_part(found)], found.n_notes, [(codes(assigned), held_out)], found.length)[0]


def codes(assigned: Sequence[str]) -> NDArray[np.int8]:
    """Return a split as small numbers, for `leakages`; -1 there is a tune that takes no part."""
    return np.fromiter((_CODES[name] for name in assigned), dtype=np.int8, count=len(assigned))


def leakages(
    parts: Iterable[PhrasePart],
    n_notes: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.int8], str]],
    length: int = PHRASE_NOTES,
) -> list[Leakage]:
    """Return the leakage of several (split, held-out set) in one pass over the phrases."""
    covers = [_Cover(assigned == _CODES[held_out], n_notes, length) for assigned, held_out in splits]
    for part in parts:
        begins = part.begins() if len(part.phrase) else np.zeros(0, dtype=np.int64)
        if not len(begins):
            continue
        lengths = np.diff(begins, append=len(part.phrase))
        for cover, (assigned, _) in zip(covers, splits, strict=True):
            in_train = np.logical_or.reduceat(assigned[part.tune] == _CODES[TRAIN], begins)
            shared = np.repeat(in_train, lengths) & cover.tested[part.tune]
            cover.mark(part.tune[shared], part.start[shared])
    return [cover.leakage() for cover in covers]


class _Cover:
    """Which notes of the tested tunes lie in a shared phrase, a byte a note."""

    def __init__(self, tested: NDArray[np.bool_], n_notes: NDArray[np.int64], length: int) -> None:
        self.tested, self.length, self.n_notes = tested, length, n_notes[tested]
        self.offsets = np.zeros(len(tested), dtype=np.int64)
        self.offsets[tested] = np.cumsum(self.n_notes) - self.n_notes
        self.starts = np.zeros(int(self.n_notes.sum()), dtype=bool)

    def mark(self, tune: NDArray[np.integer], start: NDArray[np.integer]) -> None:
        self.starts[self.offsets[tune] + start] = True

    def leakage(self) -> Leakage:
        """A phrase lies within its tune, so the notes under those that begin up to length - 1 notes before are its."""
        inside = np.cumsum(self.starts, dtype=np.int32)
        inside[self.length :] -= inside[: -self.length].copy()
        under = np.concatenate([[0], np.cumsum(inside > 0)])
        ends = np.cumsum(self.n_notes)
        covered = under[ends] - under[ends - self.n_notes]
        half = np.count_nonzero((2 * covered >= self.n_notes)[covered > 0])
        return Leakage(len(self.n_notes), int(np.count_nonzero(covered)), int(half))


def _window_starts(sizes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return where a window of `length` notes may start so that it stays within its voice."""
    position = np.arange(int(sizes.sum()), dtype=np.int64)
    end = np.repeat(np.cumsum(sizes), sizes)
    return position[position + length <= end]


def _hashed(pitches: NDArray[np.int16], length: int) -> NDArray[np.uint64]:
    """Return the multilinear hash, modulo 2^64, of the length - 1 intervals after each position."""
    intervals = np.diff(pitches.astype(np.int64)).astype(np.uint64)
    odd = np.random.default_rng(_MULTIPLIERS_SEED).integers(2**63, size=length, dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    hashes = np.zeros(max(len(pitches), 0), dtype=np.uint64)
    n_windows = max(len(intervals) - (length - 1) + 1, 0)
    for offset in range(length - 1):
        hashes[:n_windows] += intervals[offset : offset + n_windows] * odd[offset]
    return hashes ^ (hashes >> np.uint64(29))


def _numbered(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number equal hashes alike, from 0 on (numpy's `unique` does this, ten times slower)."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    numbers = np.zeros(len(hashes), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
    return numbers


def _as_part(found: Phrases) -> PhrasePart:
    order = np.argsort(found.phrase, kind="stable")
    return PhrasePart(found.phrase[order].astype(np.uint64), found.tune[order], found.start[order])


def _components(a: NDArray[np.int64], b: NDArray[np.int64], root: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return connected components of those in `root` and the edges a-b: hook each root to its smallest neighbour,
    flatten."""
    while True:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        if np.array_equal(low, high):
            return root
        np.minimum.at(root, high, low)
        while not np.array_equal(root, root[root]):
            root = root[root]


def _target(fraction: float, keys: Sequence[str], families: NDArray[np.int64]) -> int:
    """Return tunes to hold out: at least one where something is to be held out and three families are there."""
    if fraction <= 0 or len(families) < 3:
        return 0
    return max(1, round(fraction * len(keys)))


def _draw(seed: int, key: str) -> int:
    """Draw 64 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8])


def covered_notes(found: Phrases, shared: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return notes of each tune that lie in a shared window: the union of the windows, found with a difference
    array."""
    offsets = np.concatenate([[0], np.cumsum(found.n_notes)])
    change = np.zeros(offsets[-1] + 1, dtype=np.int64)
    first = offsets[found.tune[shared]] + found.start[shared]
    np.add.at(change, first, 1)
    np.add.at(change, first + found.length, -1)
    inside = np.concatenate([[0], np.cumsum(np.cumsum(change)[:-1] > 0)])
    return inside[offsets[1:]] - inside[offsets[:-1]]
