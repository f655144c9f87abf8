"""Tune families and a split that keeps each of them whole, so that no test tune shares a phrase with a training tune.

A phrase is 17 successive notes of the written melody, compared by its 16 pitch intervals: transposition does not hide
it, rhythm is not looked at. Tunes that share a phrase are one family, and so are tunes joined by a chain of such pairs.
All voices count. Phrases are compared by 64-bit hashes; two phrases that met by chance would only join two families,
so the split stays free of leakage.

A chain can join many tunes. A family larger than a tenth of the smaller held-out set goes whole to train, where its
size does no harm: the held-out sets then hold many small families rather than one large one.

Which family is held out is decided by a hash of its seed and its smallest key, so the order of the input does not
matter, and tunes added later move few others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PHRASE_NOTES = 17
LARGE_FAMILY = 0.1  # of the smaller held-out set's size
TRAIN, VALID, TEST = "train", "valid", "test"
_MULTIPLIERS_SEED = 20_170  # fixes the hash; any number serves

Melody = Sequence[Sequence[int]]  # the MIDI pitches of each voice, in written order


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
        """Counts, and shares of the test tunes."""
        n = max(self.n_tunes, 1)
        shares = {"share_sharing": self.sharing / n, "share_half_covered": self.half_covered / n}
        return {"n_tunes": self.n_tunes, "sharing": self.sharing, "half_covered": self.half_covered, **shares}


def phrases(melodies: Sequence[Melody], length: int = PHRASE_NOTES) -> Phrases:
    """All windows of `length` notes of each melody; none crosses from one voice or tune into the next."""
    voices = [(tune, voice) for tune, melody in enumerate(melodies) for voice in melody if len(voice)]
    sizes = np.array([len(voice) for _, voice in voices], dtype=np.int64)
    owners = np.array([tune for tune, _ in voices], dtype=np.int64)
    pitches = np.concatenate([np.asarray(voice, dtype=np.int16) for _, voice in voices] or [np.zeros(0, np.int16)])
    n_notes = np.bincount(owners, weights=sizes, minlength=len(melodies)).astype(np.int64)
    first = _window_starts(sizes, length)
    tune = np.repeat(owners, sizes)[first]
    tune_start = np.cumsum(n_notes) - n_notes
    return Phrases(_numbered(_hashed(pitches, length)[first]), tune, first - tune_start[tune], n_notes, length)


def families(found: Phrases) -> NDArray[np.int64]:
    """The family of each tune, named by the smallest index of a tune in it."""
    some_tune = np.empty(_n_phrases(found), dtype=np.int64)  # with each phrase: any one will do
    some_tune[found.phrase] = found.tune
    other = some_tune[found.phrase]
    linked = other != found.tune
    return _components(found.tune[linked], other[linked], len(found.n_notes))


def split(
    family: Sequence[int] | NDArray[np.int64],
    keys: Sequence[str],
    *,
    valid_fraction: float = 0.05,
    test_fraction: float = 0.05,
    seed: int = 0,
) -> list[str]:
    """`train`, `valid` or `test` for each tune, no family in two of them; `keys` are the tunes' own, order-free names.

    The sets are filled to their share of the tunes, from both ends of one order that the seed shuffles.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for tune, one in enumerate(family):
        members[int(one)].append(tune)
    targets = {TEST: _target(test_fraction, keys, members), VALID: _target(valid_fraction, keys, members)}
    wanted = [n for n in targets.values() if n]
    largest = max(1, int(LARGE_FAMILY * min(wanted, default=0)))
    small = [group for group in members.values() if len(group) <= largest]
    small.sort(key=lambda group: _draw(seed, min(keys[tune] for tune in group)))
    assigned = [TRAIN] * len(keys)
    for name, order in ((TEST, small), (VALID, small[::-1])):
        _fill(assigned, name, order, targets[name])
    return assigned


def leakage(found: Phrases, assigned: Sequence[str], held_out: str = TEST) -> Leakage:
    """How much of the `held_out` tunes' phrases stands in train too."""
    names = np.asarray(assigned, dtype=object)
    in_train = np.zeros(_n_phrases(found), dtype=bool)
    in_train[found.phrase[(names == TRAIN)[found.tune]]] = True
    shared = (names == held_out)[found.tune] & in_train[found.phrase]
    covered = covered_notes(found, shared)
    tested = names == held_out
    sharing = int(np.count_nonzero(covered[tested] > 0))
    return Leakage(
        int(tested.sum()), sharing, int(np.count_nonzero((2 * covered >= found.n_notes)[tested & (covered > 0)]))
    )


def _window_starts(sizes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Where a window of `length` notes may start so that it stays within its voice."""
    position = np.arange(int(sizes.sum()), dtype=np.int64)
    end = np.repeat(np.cumsum(sizes), sizes)
    return position[position + length <= end]


def _hashed(pitches: NDArray[np.int16], length: int) -> NDArray[np.uint64]:
    """Multilinear hash, modulo 2^64, of the length - 1 intervals after each position."""
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
    """Equal hashes -> equal numbers from 0 on (numpy's `unique` does this, ten times slower)."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    numbers = np.zeros(len(hashes), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
    return numbers


def _n_phrases(found: Phrases) -> int:
    return int(found.phrase.max(initial=-1)) + 1


def _components(a: NDArray[np.int64], b: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Connected components of the graph with edges a-b: hook each root to its smallest neighbour, then flatten."""
    root = np.arange(n, dtype=np.int64)
    while True:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        if np.array_equal(low, high):
            return root
        np.minimum.at(root, high, low)
        while not np.array_equal(root, root[root]):
            root = root[root]


def _target(fraction: float, keys: Sequence[str], members: dict[int, Any]) -> int:
    """Tunes to hold out: at least one where something is to be held out and three families are there."""
    if fraction <= 0 or len(members) < 3:
        return 0
    return max(1, round(fraction * len(keys)))


def _draw(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()


def _fill(assigned: list[str], name: str, order: list[list[int]], target: int) -> None:
    taken = 0
    for group in order:
        if taken >= target:
            return
        if assigned[group[0]] == TRAIN:
            taken += len(group)
            for tune in group:
                assigned[tune] = name


def covered_notes(found: Phrases, shared: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Notes of each tune that lie in a shared window: the union of the windows, found with a difference array."""
    offsets = np.concatenate([[0], np.cumsum(found.n_notes)])
    change = np.zeros(offsets[-1] + 1, dtype=np.int64)
    first = offsets[found.tune[shared]] + found.start[shared]
    np.add.at(change, first, 1)
    np.add.at(change, first + found.length, -1)
    inside = np.concatenate([[0], np.cumsum(np.cumsum(change)[:-1] > 0)])
    return inside[offsets[1:]] - inside[offsets[:-1]]
