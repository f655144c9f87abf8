"""How far is one set of tunes from another? Precision, recall, density, coverage and the Fréchet distance.

Task: compare sets tune by tune rather than note by note, in a space of FEATURES numbers a tune (`features`), each
measured in standard deviations of the real tunes. The space is documented and musical, not learnt, so that anyone may
recompute it; a distance in it sees nothing that its features do not say.

    columns   what
    12        share of notes on each pitch class, from the tonic upwards
    9         share of steps: down by 8 or more, 5-7, 3-4, 1-2 semitones, none, and up likewise
    8         share of notes by length in eighths: < 1/2, 1/2, < 1, 1, < 2, 2, < 4, 4 or more
    2         notes in a bar: mean and standard deviation
    6         compass (semitones), mean pitch (MIDI), pitch-class entropy (bits), groove consistency, self-similarity,
              ln of the number of notes

- Precision: the share of tunes inside the real set's manifold, the union of balls around each real tune that reach its
  K-th nearest real neighbour. Recall: the share of real tunes inside the other set's. T. Kynkäänniemi et al., "Improved
  precision and recall metric for assessing generative models", NeurIPS 2019.
- Density: how many real balls hold a tune, over K; 1 is expected of real tunes, and it has no upper end. Coverage: the
  share of real balls that hold a tune. M. F. Naeem et al., "Reliable fidelity and diversity metrics", ICML 2020.
- Fréchet distance between the two normal distributions with the sets' means and covariances (D. Dowson and B. Landau,
  1982; of learnt features M. Heusel et al., NeurIPS 2017). 0 for equal ones; small sets lie above 0 by chance, so it is
  read beside that of as many real tunes (`frechet_floor`).

The four shares depend on the sizes of the sets: `neighbours` takes as many real tunes as there are others. Sets that
are compared with one another must be of one size.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symbolic.evaluate.metrics.histograms import DURATIONS, MOST_NOTES, Histograms

K = 5  # nearest neighbours, as Naeem et al.
MOST_TUNES = 1000  # of each set in `neighbours`: its cost is their product
FLOOR_DRAWS = 5
VALUES = ("compass", "mean_pitch", "pitch_class_entropy", "groove_consistency", "self_similarity")
FEATURES = 12 + 9 + 8 + 2 + len(VALUES) + 1
_STEPS = np.digitize(np.arange(-12, 13), (-7, -4, -2, 0, 1, 3, 5, 8))  # interval -> 0..8
_LENGTHS = np.array([*(_d for _d in map(float, DURATIONS)), 8.0])

Points = NDArray[np.float64]  # (tunes, FEATURES)


@dataclass(frozen=True)
class Space:
    """A feature space in standard deviations of the real tunes."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def place(self, raw: Points) -> Points:
        """Map features to points of this space; a feature that a tune lacks (NaN) is put at the real mean."""
        return np.nan_to_num((raw - self.mean) / self.deviation, nan=0.0)


def features(histograms: Histograms, values: Mapping[str, NDArray[np.float64]]) -> Points:
    """Compute raw features (tunes, FEATURES) of tunes with notes."""
    counts = np.arange(MOST_NOTES + 1)
    per_bar = _shares(histograms["notes_per_bar"])
    mean = per_bar @ counts
    spread = np.sqrt(np.maximum(per_bar @ counts**2 - mean**2, 0.0))
    n_notes = histograms["pitch_class"].sum(axis=1)
    columns = [
        _shares(histograms["pitch_class"]),
        _pooled(_shares(histograms["interval"]), _STEPS, 9),
        _pooled(_shares(histograms["duration"]), _length_bins(), 8),
        mean[:, None],
        spread[:, None],
        *(values[name][:, None] for name in VALUES),
        np.log(np.maximum(n_notes, 1))[:, None],
    ]
    return np.concatenate(columns, axis=1)


def space(raw: Points) -> Space:
    """Fit the space to real tunes; a column that never varies keeps its own unit."""
    deviation = np.nanstd(raw, axis=0)
    return Space(np.nan_to_num(np.nanmean(raw, axis=0)), np.where(deviation > 1e-9, deviation, 1.0))


def neighbours(tunes: Points, real: Points, seed: int = 0) -> dict[str, float]:
    """Compute precision, recall, density and coverage, of at most MOST_TUNES of each set; 0 where there are K tunes or
    fewer."""
    rng = np.random.default_rng(seed)
    n = min(len(tunes), len(real), MOST_TUNES)
    if n <= K:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), 0.0)
    a, b = tunes[rng.permutation(len(tunes))[:n]], real[rng.permutation(len(real))[:n]]
    across = _squared_distances(a, b)  # (tunes, real)
    inside_real = across <= _reach(b)[None]
    return {
        "precision": float(inside_real.any(axis=1).mean()),
        "recall": float((across <= _reach(a)[:, None]).any(axis=0).mean()),
        "density": float(inside_real.sum(axis=1).mean() / K),
        "coverage": float(inside_real.any(axis=0).mean()),
    }


def frechet(tunes: Points, real: Points) -> float:
    """Compute the Fréchet distance (squared, as is the custom); NaN where a set has fewer than two tunes."""
    if min(len(tunes), len(real)) < 2:
        return float("nan")
    a, b = np.cov(tunes, rowvar=False), np.cov(real, rowvar=False)
    root = _square_root(a)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum()
    shift = tunes.mean(axis=0) - real.mean(axis=0)
    return float(max(0.0, shift @ shift + np.trace(a) + np.trace(b) - 2 * cross))


def frechet_floor(real: Points, n_tunes: int, seed: int = 0) -> float:
    """Compute the distance of `n_tunes` real tunes (at most half of them) from the other real ones, mean of
    FLOOR_DRAWS."""
    rng = np.random.default_rng(seed)
    size = max(2, min(n_tunes, len(real) // 2))
    draws = [rng.permutation(len(real)) for _ in range(FLOOR_DRAWS)]
    return float(np.mean([frechet(real[draw[:size]], real[draw[size:]]) for draw in draws]))


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _pooled(shares: NDArray[np.float64], bins: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Add up columns by the bin that each belongs to."""
    return shares @ (bins[:, None] == np.arange(n)[None])


def _length_bins() -> NDArray[np.int64]:
    """Map lengths in eighths to bins 0..7; a length without a bin of its own counts as long."""
    edges = (0.5, 0.5 + 1e-6, 1.0, 1.0 + 1e-6, 2.0, 2.0 + 1e-6, 4.0)
    return np.digitize(_LENGTHS, edges)


def _squared_distances(a: Points, b: Points) -> NDArray[np.float64]:
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T, 0.0)


def _reach(points: Points) -> NDArray[np.float64]:
    """Compute the squared distance of each point to its K-th nearest other."""
    distances = _squared_distances(points, points)
    np.fill_diagonal(distances, -1.0)  # itself comes first, whatever rounding says
    return np.partition(distances, K, axis=1)[:, K]


def _square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the square root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
