"""Exact duplicates (in any key and unit of time) and near-duplicates of earlier tunes; the first of them is kept.

Nearness is the Jaccard similarity |A & B| / |A | B| of two tunes' sets of 7-note runs, each known by its 6 pitch
intervals. One changed note touches 7 runs, so at 0.8 a tune of 100 different runs may differ in one or two notes.
Rhythm does not count there. Variants that differ more stay, and the split keeps them together where they share a
phrase of 17 notes.

Candidates are found through an index of each tune's rarest runs only, as many as make sure that a pair at the
threshold shares one (prefix filtering: Chaudhuri et al. 2006, Bayardo et al. 2007): nothing is lost against comparing
all pairs. Any order of runs that all tunes share will do; rare ones first keeps the lists short, and how rare a run is
needs no exact count: runs are counted in a table of bytes by a part of their hash.

Tunes are taken a block at a time. The runs of those that stay go to disk as one sorted segment a block, in which the
next blocks look theirs up; so memory holds a block and the table, whatever the corpus.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus.cleaning import NEAR_DUPLICATE, RUN_NOTES
from symbolic.corpus.corpora import Rejection
from symbolic.corpus.phrase_index import PhraseIndex

BLOCK_TUNES = 2**13  # at most 2**15: a rank has 15 bits for them
TABLE_BITS = (16, 26)  # least and most: up to 64 MiB


@dataclass(frozen=True)
class Repeats:
    """For each tune, the index of its earlier exact and near duplicate (-1 if none) and their similarity, (n,)."""

    exact: NDArray[np.int64]
    near: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @property
    def stays(self) -> NDArray[np.bool_]:
        """Mask of the tunes that repeat no other, shape (n,)."""
        return (self.exact < 0) & (self.near < 0)


def repeats(corpus_index: PhraseIndex, threshold: float = NEAR_DUPLICATE) -> Repeats:
    """Find every tune that repeats an earlier, kept one; `threshold` is a Jaccard similarity."""
    exact = first_of(corpus_index.keys)
    near = np.full(len(exact), -1, dtype=np.int64)
    similarity = np.zeros(len(exact))
    candidates = np.flatnonzero(exact < 0)
    index = _Index(corpus_index, threshold)
    table = _Table(corpus_index)
    for begin in range(0, len(candidates), BLOCK_TUNES):
        block = _Block(corpus_index, candidates[begin : begin + BLOCK_TUNES], table, threshold)
        for tune, other, share in block.near(index):
            near[tune], similarity[tune] = other, share
        index.add(block, near)
    return Repeats(exact, near, similarity)


def rejections(corpus_index: PhraseIndex, found: Repeats) -> Iterator[Rejection]:
    """Yield a rejection for each duplicate: exact ones first, each kind in input order."""
    for tune in np.flatnonzero(found.exact >= 0).tolist():
        yield _rejection(corpus_index, tune, int(found.exact[tune]), "duplicate", "has the melody of")
    for tune in np.flatnonzero(found.near >= 0).tolist():
        wording = f"shares {found.similarity[tune]:.0%} of the {RUN_NOTES}-note runs of"
        yield _rejection(corpus_index, tune, int(found.near[tune]), "near_duplicate", wording)


def _rejection(corpus_index: PhraseIndex, tune: int, earlier: int, reason: str, wording: str) -> Rejection:
    own, other = corpus_index.card(tune), corpus_index.card(earlier)
    message = f"{wording} {other['id']} ({other['title']})."
    return Rejection(own["source"], own["file"], own["line"], reason, message, own["title"], other["id"])


def first_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for keys of shape (n, 2) the index of the first equal key, -1 for that first one itself; shape (n,)."""
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    begins = np.ones(len(keys), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1] if len(keys) else 0
    return np.where(first == np.arange(len(keys)), -1, first)


class _Table:
    """Approximate run counts, saturating at 255; runs whose hashes share their leading bits are counted together."""

    def __init__(self, corpus_index: PhraseIndex) -> None:
        n_runs = int(corpus_index.run_ends[-1]) if len(corpus_index) else 0
        bits = min(max(n_runs.bit_length(), TABLE_BITS[0]), TABLE_BITS[1])
        self.shift, self.counts = np.uint64(64 - bits), np.zeros(2**bits, dtype=np.uint8)
        for first in range(0, len(corpus_index), BLOCK_TUNES):
            runs = corpus_index.runs(first, min(first + BLOCK_TUNES, len(corpus_index)) - 1)
            place, n = np.unique(runs >> self.shift, return_counts=True)
            self.counts[place] = np.minimum(self.counts[place] + n, 255)

    def of(self, runs: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return counts of `runs`, same shape."""
        return self.counts[runs >> self.shift].astype(np.uint64)


class _Block:
    """A block of tunes with the prefix of each: its rarest runs."""

    def __init__(self, corpus_index: PhraseIndex, tunes: NDArray[np.int64], table: _Table, threshold: float) -> None:
        self.corpus_index, self.tunes, self.threshold = corpus_index, tunes, threshold
        first, sizes = int(tunes[0]), corpus_index.n_runs(tunes)
        owner = np.repeat(np.arange(len(tunes)), sizes)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        begins = corpus_index.run_ends[tunes] - sizes - (corpus_index.run_ends[first] - sizes[0])
        run = corpus_index.runs(first, int(tunes[-1]))[begins[owner] + place]
        rank = (owner.astype(np.uint64) << np.uint64(49)) | (table.of(run) << np.uint64(41)) | (run >> np.uint64(23))
        run = run[np.argsort(rank, kind="stable")]  # ties stay ordered by the whole hash
        wanted = np.where(sizes > 0, sizes - np.ceil(threshold * sizes).astype(np.int64) + 1, 0)
        inside = place < wanted[owner]
        self.prefix, self.owner, self.ends = run[inside], owner[inside], np.cumsum(wanted)

    def near(self, index: "_Index") -> Iterator[tuple[int, int, float]]:
        """Yield (tune, nearest earlier kept tune, similarity) for each near-duplicate of the block."""
        fresh: dict[int, list[int]] = defaultdict(list)  # a run -> tunes of this block that stay and have it in front
        owner, other = index.sharing(self)
        cuts = np.searchsorted(owner, np.arange(len(self.tunes) + 1))
        for place, tune in enumerate(self.tunes.tolist()):
            own = self.prefix[self.ends[place - 1] if place else 0 : self.ends[place]].tolist()
            found = {one for run in own if run in fresh for one in fresh[run]}
            others = np.array(sorted(found.union(other[cuts[place] : cuts[place + 1]].tolist())), dtype=np.int64)
            nearest, share = self._nearest(tune, others)
            if nearest >= 0:
                yield tune, nearest, share
            else:
                for run in own:
                    fresh[run].append(tune)

    def _nearest(self, tune: int, others: NDArray[np.int64]) -> tuple[int, float]:
        """Return the most similar of `others` (the first of equals) and its similarity, or (-1, 0.0) below the
        threshold."""
        own, sizes = self.corpus_index.runs(tune, tune), self.corpus_index.n_runs(others)
        fitting = alike(np.full(len(sizes), len(own)), sizes, self.threshold)
        others, sizes = others[fitting], sizes[fitting]
        if not len(others):
            return -1, 0.0
        theirs = np.concatenate([self.corpus_index.runs(other, other) for other in others.tolist()])
        place = np.minimum(np.searchsorted(own, theirs), len(own) - 1)
        shared = np.add.reduceat(own[place] == theirs, np.cumsum(sizes) - sizes, dtype=np.int64)
        similarity = shared / (len(own) + sizes - shared)
        best = int(similarity.argmax())
        return (int(others[best]), float(similarity[best])) if similarity[best] >= self.threshold else (-1, 0.0)


def alike(sizes: NDArray[np.int64], others: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
    """Return whether sets of these sizes can reach the Jaccard similarity `threshold`, elementwise."""
    return (threshold * sizes <= others) & (others <= sizes / threshold)


class _Index:
    """Prefix runs of the kept tunes: one sorted segment on disk per block."""

    def __init__(self, corpus_index: PhraseIndex, threshold: float) -> None:
        self.corpus_index, self.threshold, self.n_segments = corpus_index, threshold, 0

    def add(self, block: _Block, near: NDArray[np.int64]) -> None:
        """Append the kept tunes of a block as a segment."""
        tune = block.tunes[block.owner]
        stays = near[tune] < 0
        order = np.argsort(block.prefix[stays], kind="stable")
        runs, tunes = self._paths(self.n_segments)
        block.prefix[stays][order].tofile(runs)
        tune[stays][order].tofile(tunes)
        self.n_segments += 1

    def sharing(self, block: _Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return candidate pairs (index in the block, tune of an earlier block): share a prefix run, fit in size;
        sorted."""
        order = np.argsort(block.prefix)  # sorted questions walk a segment once
        runs, owners = block.prefix[order], block.owner[order]
        sizes = self.corpus_index.n_runs(block.tunes)
        pairs = [np.zeros(0, dtype=np.int64)]
        for number in range(self.n_segments):
            segment, tunes = map(np.fromfile, self._paths(number), (np.uint64, np.int64))
            low, high = np.searchsorted(segment, runs, "left"), np.searchsorted(segment, runs, "right")
            n = high - low
            owner = np.repeat(owners, n)
            other = tunes[np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(low, n)]
            fitting = alike(sizes[owner], self.corpus_index.n_runs(other), self.threshold)
            pairs.append(np.unique((owner[fitting] << 32) | other[fitting]))
        found = np.sort(np.concatenate(pairs))
        return found >> 32, found & (2**32 - 1)

    def _paths(self, number: int) -> tuple[Path, Path]:
        return (
            self.corpus_index.folder / f"near-{number:05d}.runs",
            self.corpus_index.folder / f"near-{number:05d}.tunes",
        )
