"""Measures of predicted against rated valence and arousal; every one has a floor that must stand beside it.

r is Pearson's correlation; CCC Lin's concordance, 2 cov / (var x + var y + (mean x - mean y)^2); MAE the mean absolute
error; slope and intercept those of the regression of ratings on predictions (1 and 0 when calibrated). Within-song
figures are of deviations from each song's own mean, since ratings hardly move inside a song and pooled frames measure
the song's level only. Functions take arrays (n,) unless said.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_SD = 0.02  # of a song's ratings, below which its arc has no shape to follow


def correlation(one: Any, other: Any) -> float:
    """Pearson's r; 0 where either is constant."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 1e-12 else 0.0


def concordance(one: Any, other: Any) -> float:
    """Lin's concordance correlation coefficient."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 1e-12 else 0.0


def mean_absolute_error(one: Any, other: Any) -> float:
    """Mean of |one - other|."""
    return float(np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)).mean())


def calibration(predicted: Any, rated: Any) -> tuple[float, float]:
    """Slope and intercept of the regression of ratings on predictions; slope 0 for constant predictions."""
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(rated, dtype=np.float64)
    variance = float(x.var())
    slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / variance if variance > 1e-12 else 0.0
    return slope, float(y.mean() - slope * x.mean())


def area_under_curve(scores: Any, positive: Any) -> float:
    """Probability that a positive scores above a negative, ties counted half (Mann-Whitney)."""
    from scipy.stats import rankdata

    labels = np.asarray(positive, dtype=bool)
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    if not n_positive or not n_negative:
        return 0.5
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[labels].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def agreement(predicted: Floats, rated: Floats) -> dict[str, dict[str, float]]:
    """r, CCC, MAE, slope and intercept of valence and arousal, from arrays (n, 2)."""
    found = {}
    for column, name in enumerate(("valence", "arousal")):
        x, y = predicted[:, column], rated[:, column]
        slope, intercept = calibration(x, y)
        row = {"r": correlation(x, y), "ccc": concordance(x, y), "mae": mean_absolute_error(x, y)}
        found[name] = {key: round(value, 4) for key, value in (row | {"slope": slope, "intercept": intercept}).items()}
    return found


def within_song(predicted: Sequence[Floats], rated: Sequence[Floats]) -> tuple[float, float]:
    """Mean r inside a song over songs whose ratings move (sd above LEAST_SD), for valence and arousal; arcs (n, 2)."""
    means = []
    for column in range(2):
        moving = [(p[:, column], y[:, column]) for p, y in zip(predicted, rated) if y[:, column].std() > LEAST_SD]
        means.append(float(np.mean([correlation(x, y) for x, y in moving])) if moving else 0.0)
    return means[0], means[1]


def bootstrap_interval(
    measure: Callable[[NDArray[np.int64]], float], groups: Sequence[str], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a measure of item indices, whole groups drawn with replacement."""
    names = sorted(set(groups))
    members = {name: np.flatnonzero(np.array(groups) == name) for name in names}
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = generator.integers(len(names), size=len(names))
        values.append(measure(np.concatenate([members[names[i]] for i in chosen])))
    low, high = np.percentile(values, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def arc_agreement(one: Floats, other: Floats) -> dict[str, float]:
    """Mean over valence and arousal of r, CCC and MAE between two arcs (n, 2) of equal length."""
    pairs = [(one[:, column], other[:, column]) for column in range(2)]
    measures: dict[str, Callable[[Any, Any], float]] = {
        "r": correlation, "ccc": concordance, "mae": mean_absolute_error
    }  # fmt: skip
    return {name: round(float(np.mean([measure(x, y) for x, y in pairs])), 4) for name, measure in measures.items()}


def control_arcs(arc: Floats, others: Sequence[Floats] = (), seed: int = 0) -> dict[str, Floats]:
    """Arcs that an arc's own must beat: constant, reversed, shuffled, position alone, and those of other pieces."""
    generator = np.random.default_rng(seed)
    controls = {
        "constant": np.repeat(arc.mean(axis=0, keepdims=True), len(arc), axis=0),
        "reversed": arc[::-1],
        "shuffled": arc[generator.permutation(len(arc))],
        "position": np.column_stack([np.linspace(-1, 1, len(arc))] * 2),
    }
    return controls | {f"other {i + 1}": other for i, other in enumerate(others)}


def share_of_shuffles_beaten(one: Floats, other: Floats, shuffles: int = 500, seed: int = 0) -> float:
    """Share of permutations of `one`'s sections whose mean r with `other` lies below the arc's own."""
    generator = np.random.default_rng(seed)
    own = arc_agreement(one, other)["r"]
    below = [arc_agreement(one[generator.permutation(len(one))], other)["r"] < own for _ in range(shuffles)]
    return float(np.mean(below))


def arc_distance(one: Floats, other: Floats) -> float:
    """Root mean square distance of two arcs (n, 2) of equal length."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def warped_distance(one: Floats, other: Floats) -> float:
    """Dynamic time warping: mean distance along the cheapest path between arcs (n, 2) and (m, 2)."""
    costs = np.linalg.norm(one[:, None] - other[None], axis=2)
    total = np.full((len(one) + 1, len(other) + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(len(one)):
        for j in range(len(other)):
            total[i + 1, j + 1] = costs[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return float(total[-1, -1] / max(len(one), len(other)))


def retrieval_rank(query: Floats, candidates: Sequence[Floats], right: int) -> int:
    """Rank (1 is best) of the right candidate by arc distance; candidates have the query's length."""
    distances = [arc_distance(query, candidate) for candidate in candidates]
    return 1 + sum(distance < distances[right] for i, distance in enumerate(distances) if i != right)
