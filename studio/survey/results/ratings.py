"""Statistics of listening tests: means with intervals, human-or-AI, preferences, agreement, power.

Conventions
- `ratings` is float64 of shape (raters, clips), NaN where a rater did not answer; `systems` is a sequence of one system
  name a clip. A clip is one stimulus of one system (a tune, a recording, a pair).
- Raters *and* clips are samples: of people, and of what a system makes. An interval that draws only raters anew says
  nothing of another clip of the same system. So both are drawn anew, raters jointly for all systems and clips within
  their system (A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007). Below MIN_CLIPS clips a
  system no interval of a system can be had, and `MeanInterval.reason` says so.
- Intervals hold 95 %. The same seed gives the same draws.

Papers: E. B. Wilson, JASA 22, 1927 (shares); S. Holm, Scandinavian Journal of Statistics 6, 1979 (many criteria); N. A.
Macmillan and C. D. Creelman, "Detection Theory", 2005 (d'); D. R. Hunter, Annals of Statistics 32, 2004
(Bradley-Terry); K. Krippendorff, "Content Analysis", 2004 (alpha).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_CLIPS = 4  # a system; with fewer, two clips may decide everything
RESAMPLES = 2000
_QUANTILES = (0.025, 0.975)
_Z95 = 1.959963984540054
_BLOCK = 500  # resamples at a time: bounds memory

Ratings = NDArray[np.float64]


@dataclass(frozen=True)
class MeanInterval:
    """A mean or a difference of means with its 95 % interval; `reason` says why there is no interval. `p` (differences
    only) is the two-sided bootstrap p-value of no difference."""

    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class WilsonShare:
    """k of n with Wilson's 95 % interval and the exact two-sided p-value against 1/2."""

    k: int
    n: int
    share: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Detection:
    """How well AI is told from human: sensitivity d', criterion c (below 0: 'AI' is said readily), and whether the
    log-linear correction was needed because a rate was 0 or 1."""

    d_prime: float
    criterion: float
    hit_rate: float
    false_alarm_rate: float
    corrected: bool


def system_means(
    ratings: Ratings, systems: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, MeanInterval]:
    """Mean rating of each system with its two-way bootstrap interval, in order of first appearance."""
    names = list(dict.fromkeys(systems))
    draws = _draw_means(ratings, systems, names, resamples, seed)
    return {name: _mean_interval(ratings, systems, name, draws[:, i]) for i, name in enumerate(names)}


def difference(
    ratings: Ratings, systems: Sequence[str], one: str, other: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> MeanInterval:
    """Mean of `one` minus mean of `other`, from the same raters, with its interval and p-value."""
    draws = _draw_means(ratings, systems, [one, other], resamples, seed)
    gaps = draws[:, 0] - draws[:, 1]
    gaps = gaps[np.isfinite(gaps)]
    mean = _mean_of(ratings, systems, one) - _mean_of(ratings, systems, other)
    reason = _too_few(ratings, systems, one) or _too_few(ratings, systems, other)
    if reason or not len(gaps):
        return MeanInterval(mean, reason=reason or "no two answers can be compared")
    low, high = np.quantile(gaps, _QUANTILES)
    tail = min((gaps <= 0).sum(), (gaps >= 0).sum())
    return MeanInterval(mean, float(low), float(high), min(1.0, 2 * (int(tail) + 1) / (len(gaps) + 1)))


def _draw_means(
    ratings: Ratings, systems: Sequence[str], names: Sequence[str], resamples: int, seed: int
) -> NDArray[np.float64]:
    """(resamples, systems) means of raters and clips drawn with replacement; NaN where a draw holds no answer."""
    rng = np.random.default_rng(seed)
    answered = np.isfinite(ratings)
    values = np.where(answered, ratings, 0.0)
    columns = [np.flatnonzero(np.asarray(systems) == name) for name in names]
    blocks = []
    for start in range(0, resamples, _BLOCK):
        n = min(_BLOCK, resamples - start)
        rater_counts = rng.multinomial(len(ratings), np.full(len(ratings), 1 / len(ratings)), size=n)
        blocks.append(np.stack([_weighted(values, answered, rater_counts, c, rng) for c in columns], axis=1))
    return np.concatenate(blocks)


def _weighted(
    values: Ratings, answered: NDArray[np.bool_], rater_counts: NDArray[np.int64], columns: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """(n,) means over `columns` with raters weighted by their counts and clips drawn anew."""
    n_clips = len(columns)
    if not n_clips:
        return np.full(len(rater_counts), np.nan)
    clip_counts = rng.multinomial(n_clips, np.full(n_clips, 1 / n_clips), size=len(rater_counts))
    sums = ((rater_counts @ values[:, columns]) * clip_counts).sum(axis=1)
    sizes = ((rater_counts @ answered[:, columns].astype(np.int64)) * clip_counts).sum(axis=1)
    return np.divide(sums, sizes, out=np.full(len(sums), np.nan), where=sizes > 0)


def _mean_interval(ratings: Ratings, systems: Sequence[str], name: str, draws: NDArray[np.float64]) -> MeanInterval:
    mean, reason = _mean_of(ratings, systems, name), _too_few(ratings, systems, name)
    draws = draws[np.isfinite(draws)]
    if reason or not len(draws):
        return MeanInterval(mean, reason=reason or "nobody answered")
    low, high = np.quantile(draws, _QUANTILES)
    return MeanInterval(mean, float(low), float(high))


def _mean_of(ratings: Ratings, systems: Sequence[str], name: str) -> float:
    chosen = ratings[:, np.asarray(systems) == name]
    return float(np.nanmean(chosen)) if np.isfinite(chosen).any() else math.nan


def _too_few(ratings: Ratings, systems: Sequence[str], name: str) -> str:
    """Why no interval of a system can be had, or ''."""
    rated = int(np.isfinite(ratings[:, np.asarray(systems) == name]).any(axis=0).sum())
    n_raters = int(np.isfinite(ratings).any(axis=1).sum())
    if rated < MIN_CLIPS:
        return (
            f"{name} has {rated} rated clip{'s' * (rated != 1)}: an interval of a system needs at least {MIN_CLIPS}, "
            "because its clips are a sample too"
        )
    return "" if n_raters > 1 else "one rater alone gives no interval"


def wilson(k: int, n: int) -> WilsonShare:
    """WilsonShare k/n with Wilson's interval and the exact binomial test against 1/2. Raises ValueError for n = 0."""
    from scipy.stats import binomtest

    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no share.")
    share, z2 = k / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return WilsonShare(k, n, share, max(0.0, centre - half), min(1.0, centre + half), float(binomtest(k, n).pvalue))


def detection(hits: int, n_ai: int, false_alarms: int, n_human: int) -> Detection:
    """Signal detection of 'AI': `hits` of `n_ai` AI clips and `false_alarms` of `n_human` human clips were called
    AI."""
    from scipy.stats import norm

    if not n_ai or not n_human:
        raise ValueError("d' needs answers on AI clips and on human clips.")
    corrected = hits in (0, n_ai) or false_alarms in (0, n_human)
    more, bottom = (0.5, 1) if corrected else (0, 0)
    hit, false = (hits + more) / (n_ai + bottom), (false_alarms + more) / (n_human + bottom)
    z_hit, z_false = float(norm.ppf(hit)), float(norm.ppf(false))
    return Detection(z_hit - z_false, -(z_hit + z_false) / 2, hit, false, corrected)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def bradley_terry(wins: NDArray[np.float64], *, tolerance: float = 1e-10) -> tuple[NDArray[np.float64], bool]:
    """Strengths (n,) that sum to 1 from `wins` (n, n), wins[i, j] = how often i was preferred to j (a tie: 1/2 each).

    Where some set of systems never lost to the others there is no finite maximum; then half a win each way is added to
    each pair that met, and the second value is True.
    """
    wins = np.asarray(wins, np.float64)
    regularised = not _strongly_connected(wins > 0)
    if regularised:
        wins = wins + 0.5 * ((wins + wins.T) > 0)
    meetings = wins + wins.T
    strengths = np.full(len(wins), 1 / len(wins))
    for _ in range(10_000):
        shares = meetings / (strengths[:, None] + strengths[None, :])
        np.fill_diagonal(shares, 0.0)
        updated = wins.sum(axis=1) / np.maximum(shares.sum(axis=1), 1e-300)
        updated /= updated.sum()
        if np.abs(updated - strengths).max() < tolerance:
            break
        strengths = updated
    return updated, regularised


def _strongly_connected(edges: NDArray[np.bool_]) -> bool:
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(edges, directed=True, connection="strong")[0]) == 1


def krippendorff_alpha(ratings: Ratings, level: str = "ordinal") -> float:
    """Agreement of raters over clips: 1 full, 0 chance. `level`: nominal, ordinal or interval. NaN without variation.

    Clips with fewer than two answers do not count.
    """
    values = np.unique(ratings[np.isfinite(ratings)])
    counts = np.array([[(column == value).sum() for value in values] for column in ratings.T], np.float64)
    counts = counts[counts.sum(axis=1) > 1]
    if len(values) < 2 or not len(counts):
        return math.nan
    sizes = counts.sum(axis=1, keepdims=True)
    coincidences = ((counts[:, :, None] * counts[:, None, :]) / (sizes[:, :, None] - 1)).sum(axis=0)
    coincidences -= np.diag((counts / (sizes - 1)).sum(axis=0))
    totals = coincidences.sum(axis=1)
    distances = _distances(values, totals, level)
    expected = (np.outer(totals, totals) * distances).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * distances).sum() / expected) if expected > 0 else math.nan


def _distances(values: NDArray[np.float64], totals: NDArray[np.float64], level: str) -> NDArray[np.float64]:
    """(n, n) squared distances of rating values under a level of measurement."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return (values[:, None] - values[None, :]) ** 2
    if level != "ordinal":
        raise ValueError(f"level is {level!r}: choose nominal, ordinal or interval.")
    middles = np.cumsum(totals) - totals / 2  # ranks of the values' middles
    return (middles[:, None] - middles[None, :]) ** 2


def binomial_power(n: int, share: float, alpha: float = 0.05) -> float:
    """Chance that n answers with a true `share` are told from guessing by the exact two-sided test at level alpha."""
    from scipy.stats import binom

    tails = 2 * binom.cdf(np.arange(n // 2 + 1), n, 0.5)  # p-values of 0, 1, ... and, by symmetry, of n, n - 1, ...
    extreme = int((tails <= alpha).sum())  # that many outcomes at each end are significant
    return float(binom.cdf(extreme - 1, n, share) + binom.sf(n - extreme, n, share))


def answers_needed(share: float, power: float = 0.8, limit: int = 2000) -> int | None:
    """The number of answers from which on `power` is held against guessing; None above `limit`.

    Exact tests gain power in a saw-tooth: the number returned is the first from which the next ten hold it as well.
    """
    held = 0
    for n in range(5, limit + 1):
        held = held + 1 if binomial_power(n, share) >= power else 0
        if held == 10:
            return n - 9
    return None
