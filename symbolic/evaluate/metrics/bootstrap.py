"""How sure is a figure? Intervals by drawing tunes again.

Task: say of a number measured on n tunes how far other n tunes of the same kind would move it. The unit that is drawn
is always the tune, since the notes and bars of one tune are not independent.

- `bootstrap` is for sums over sums (bits over bytes, errors over notes): n tunes drawn with replacement (B. Efron,
  "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979).
- `paired` is for two such ratios of the same tunes, as the bits of two models: tunes are drawn once for both, so that
  what makes a tune hard for either does not blur their difference. An interval without 0 says that they differ. That
  two intervals of `bootstrap` overlap does not say that they do not.
- `unpaired` is for ratios of two sets of different tunes, each drawn by itself.
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
    ratios = _ratios(above, below, resamples, np.random.default_rng(seed))
    return quantiles(ratios[np.isfinite(ratios)])


def paired(
    one: Sequence[float] | NDArray[np.float64],
    other: Sequence[float] | NDArray[np.float64],
    sizes: Sequence[float] | NDArray[np.float64],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Of (sum(one) - sum(other)) / sum(sizes), the three of the same tunes in the same order. Raises as `bootstrap`."""
    above, below = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if above.shape != below.shape:
        raise ValueError(f"{len(above)} and {len(below)} tunes are no pairs.")
    return bootstrap(above - below, sizes, resamples=resamples, seed=seed)


def unpaired(
    one: tuple[Sequence[float], Sequence[float]],
    other: tuple[Sequence[float], Sequence[float]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap the difference of two ratios, each (totals, sizes) of its own tunes."""
    rng = np.random.default_rng(seed)
    ratios = [_ratios(np.asarray(a, np.float64), np.asarray(b, np.float64), resamples, rng) for a, b in (one, other)]
    differences = ratios[0] - ratios[1]
    return quantiles(differences[np.isfinite(differences)])


def half_samples(n: int, draws: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Draw `draws` half samples: the sorted indices of n // 2 (at least one) of n tunes."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.sort(rng.permutation(n)[: max(1, n // 2)])


def quantiles(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """Return the interval of some draws."""
    low, high = np.quantile(np.asarray(values, np.float64), QUANTILES)
    return Interval(float(low), float(high))


def _ratios(
    above: NDArray[np.float64], below: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return (resamples) sums over sums of tunes drawn with replacement; NaN for a draw in which all sizes are 0."""
    if not below.sum() > 0:
        raise ValueError("there is nothing to draw from: all sizes are 0.")
    drawn = rng.integers(len(above), size=(resamples, len(above)))
    divisors = below[drawn].sum(axis=1)
    return np.where(divisors > 0, above[drawn].sum(axis=1) / np.where(divisors > 0, divisors, 1.0), np.nan)
