"""Sections of an arc: stretches over which the mood is nearly one, by exact dynamic programming.

The cut minimises the sum of squared distances from each section's mean plus a penalty for every section (optimal
partitioning, Jackson and others 2005); sections are `least` long or longer in the arc's own weights (seconds, words).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

MIN_SECTIONS, MAX_SECTIONS = 1, 9
PENALTY = 0.15  # of one more section, in units of the arc's total squared spread
MOST_POINTS = 400  # longer arcs are cut on means of neighbours


def cuts(points: Any, weights: Sequence[float], least: float, fewest: int = 1, most: int = MAX_SECTIONS) -> list[int]:
    """Starts of the sections of an arc (n, 2) and its end: [0, ..., n]."""
    array, mass = np.asarray(points, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    n = len(array)
    if n > MOST_POINTS:
        edges = np.linspace(0, n, MOST_POINTS + 1).astype(int)
        merged = np.stack([np.average(array[a:b], axis=0, weights=mass[a:b]) for a, b in pairwise(edges)])
        sums = [float(mass[a:b].sum()) for a, b in pairwise(edges)]
        return [int(edges[i]) for i in cuts(merged, sums, least, fewest, most)]
    most = max(1, min(most, n, int(mass.sum() / least) if least > 0 else n))
    costs = _costs(array, mass, least)
    best, back = _partitions(costs, most)
    spread = max(float((mass[:, None] * (array - np.average(array, axis=0, weights=mass)) ** 2).sum()), 1e-9)
    candidates = [k for k in range(min(fewest, most), most + 1) if np.isfinite(best[k][n])] or [1]
    chosen = min(candidates, key=lambda k: best[k][n] + PENALTY * spread * k / 2)
    return _traced(back, chosen, n)


def _costs(array: Any, mass: Any, least: float) -> Any:
    """(n + 1, n + 1) squared distance of points i..j-1 from their mean; infinite where they weigh less than `least`."""
    n = len(array)
    weight = np.concatenate([[0.0], np.cumsum(mass)])
    first = np.vstack([np.zeros(2), np.cumsum(mass[:, None] * array, axis=0)])
    second = np.concatenate([[0.0], np.cumsum(mass * (array**2).sum(axis=1))])
    costs = np.full((n + 1, n + 1), np.inf)
    for start in range(n):
        held = weight[start + 1 :] - weight[start]
        squares = second[start + 1 :] - second[start]
        sums = ((first[start + 1 :] - first[start]) ** 2).sum(axis=1)
        whole = (held >= least - 1e-9) | ((start == 0) & (np.arange(start + 1, n + 1) == n))
        costs[start, start + 1 :] = np.where(whole, squares - sums / np.maximum(held, 1e-12), np.inf)
    return costs


def _partitions(costs: Any, most: int) -> tuple[list[Any], list[Any]]:
    """best[k][j]: least cost of the first j points in k sections, and where the last of them starts."""
    n = len(costs) - 1
    best, back = [np.concatenate([[0.0], np.full(n, np.inf)])], [np.zeros(n + 1, dtype=int)]
    for _ in range(most):
        totals = best[-1][:, None] + costs
        back.append(totals.argmin(axis=0))
        best.append(totals.min(axis=0))
    return best, back


def _traced(back: list[Any], n_sections: int, end: int) -> list[int]:
    places = [end]
    for k in range(n_sections, 0, -1):
        places.append(int(back[k][places[-1]]))
    return places[::-1]
