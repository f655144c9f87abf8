"""Intervals against what is known of means."""

import numpy as np
import pytest

from symbolic.evaluate.metrics.bootstrap import Interval, bootstrap, half_samples, quantiles

VALUES = np.random.default_rng(0).normal(5.0, 2.0, 400)
EXPECTED = 2 * 1.96 * VALUES.std() / np.sqrt(len(VALUES))  # width of the normal interval of the mean


def test_bootstrap_of_a_mean() -> None:
    low, high = bootstrap(VALUES, np.ones(400))
    assert low < VALUES.mean() < high and high - low == pytest.approx(EXPECTED, rel=0.15)
    assert bootstrap(VALUES, np.ones(400)) == (low, high) != bootstrap(VALUES, np.ones(400), seed=1)


def test_a_ratio_weighs_by_size() -> None:
    low, high = bootstrap([10.0, 0.0], [10.0, 0.0])
    assert (low, high) == (1.0, 1.0)  # a draw without any size does not count
    with pytest.raises(ValueError, match="nothing to draw"):
        bootstrap([1.0], [0.0])


def test_halves_spread_as_the_whole_would() -> None:
    means = [VALUES[rows].mean() for rows in half_samples(400, 1000)]
    low, high = quantiles(means)
    assert high - low == pytest.approx(EXPECTED, rel=0.15)
    rows = next(half_samples(7, 1))
    assert len(rows) == len(set(rows.tolist())) == 3 and len(next(half_samples(1, 1))) == 1


def test_overlap() -> None:
    assert Interval(0, 1).overlaps(Interval(1, 2)) and not Interval(0, 1).overlaps(Interval(1.1, 2))
