"""How sure is a figure? Intervals by drawing tunes again.

Task: say of a number measured on n tunes how far other n tunes of the same kind would move it. The unit that is drawn
is always the tune, since the notes and bars of one tune are not independent.

- `bootstrap` is for sums over sums (bits over bytes, errors over notes): n tunes drawn with replacement (B. Efron,
  "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979).
- `half_samples` is for any other measure of a set. Drawn with replacement a tune would meet itself, and whatever counts
  repeats or nearest neighbours would be wrong; so half of the tunes are drawn without replacement. The spread of such
  halves is, for smooth statistics, that of the whole set (J. Shao and C. F. J. Wu, "A general theory for jackknife
  variance estimation", Annals of Statistics 17, 1989: the delete-d jackknife with d = n / 2). Measures that depend on
  the number of tunes have the value of half of them; compare sets of equal size.

Intervals are the 2.5 and 97.5 % quantiles of the draws. The same seed gives the same draws.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
QUANTILES = (0.025, 0.975)


class Interval(NamedTuple):
    """An interval from the 2.5 to the 97.5 % quantile."""

    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Return True if the two intervals have a value in common."""
        return self.low <= other.high and other.low <= self.high


def bootstrap(
    totals: Sequence[float] | NDArray[np.float64],
    sizes: Sequence[float] | NDArray[np.float64],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap sum(totals) / sum(sizes), one of each per tune; a draw in which all sizes are 0 does not count.

    Raises ValueError without tunes, or when no size is above 0.
    """
    above, below = np.asarray(totals, np.float64), np.asarray(sizes, np.float64)
    if not below.sum() > 0:
        raise ValueError("there is nothing to draw from: all sizes are 0.")
    drawn = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    divisors = below[drawn].sum(axis=1)
    some = divisors > 0
    return quantiles(above[drawn].sum(axis=1)[some] / divisors[some])


def half_samples(n: int, draws: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Draw `draws` half samples: the sorted indices of n // 2 (at least one) of n tunes."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.sort(rng.permutation(n)[: max(1, n // 2)])


def quantiles(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """Return the interval of some draws."""
    low, high = np.quantile(np.asarray(values, np.float64), QUANTILES)
    return Interval(float(low), float(high))
