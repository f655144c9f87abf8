"""Is a set of tunes varied, or one tune over and over?

Task: what validity, likeness and copying cannot see: a model that writes the same few good tunes. Tunes are compared by
their *runs*, RUN_NOTES successive notes of the written melody known by their pitch intervals, so that transposition
hides nothing.

- Distinct runs, 0 to 1: of DRAWN runs drawn from all of the set's (of all, where there are fewer), the share that are
  different (distinct-n of J. Li et al., "A diversity-promoting objective function", NAACL 2016). The share falls with
  the number of runs looked at, hence the fixed number; compare sets of equal size.
- Mean pairwise distance, 0 to 1: 1 - |A & B| / |A | B| (Jaccard) of the sets of runs of two tunes, over PAIRS pairs
  drawn (of all pairs, where there are fewer).
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus import families
from symbolic.corpus.families import Melody

RUN_NOTES = 5
DRAWN = 5000
PAIRS = 2000


def runs(melodies: Sequence[Melody]) -> list[NDArray[np.int64]]:
    """Return the runs of each tune as numbers, equal runs being equal numbers; repeats within a tune are kept."""
    found = families.phrases(melodies, RUN_NOTES)
    return np.split(found.phrase, np.searchsorted(found.tune, np.arange(1, len(melodies)))) if len(melodies) else []


def distinct_runs(tunes: Sequence[NDArray[np.int64]], seed: int = 0) -> float:
    """Return the share of different runs among DRAWN runs; NaN without any."""
    every = np.concatenate([*tunes, np.zeros(0, np.int64)])
    if not len(every):
        return float("nan")
    drawn = np.random.default_rng(seed).permutation(every)[:DRAWN]
    return len(np.unique(drawn)) / len(drawn)


def mean_pairwise_distance(tunes: Sequence[NDArray[np.int64]], seed: int = 0) -> float:
    """Return the mean distance over pairs of tunes that have runs; NaN with fewer than two."""
    own = [frozenset(tune.tolist()) for tune in tunes if len(tune)]
    pairs = _pairs(len(own), np.random.default_rng(seed))
    if not pairs:
        return float("nan")
    return float(np.mean([1 - len(own[a] & own[b]) / len(own[a] | own[b]) for a, b in pairs]))


def _pairs(n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    if n * (n - 1) // 2 <= PAIRS:
        return list(combinations(range(n), 2))
    first = rng.integers(n, size=PAIRS)
    second = (first + rng.integers(1, n, size=PAIRS)) % n  # never the tune itself
    return list(zip(first.tolist(), second.tolist(), strict=True))
