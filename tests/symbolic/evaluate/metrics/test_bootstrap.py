"""Intervals against what is known of means."""

import numpy as np
import pytest

from symbolic.evaluate.metrics.bootstrap import Interval, bootstrap, half_samples, paired, quantiles, unpaired

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


def test_a_pair_is_told_apart_where_its_intervals_overlap() -> None:
    """Two models of which one is better by 1 % on every tune: tunes differ by far more than models."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(50, 400, 200).astype(float)
    bits = sizes * rng.gamma(4.0, 0.3, 200)
    better = bits * 0.99
    assert bootstrap(bits, sizes).overlaps(bootstrap(better, sizes))
    low, high = paired(bits, better, sizes)
    assert 0 < low < 0.01 * bits.sum() / sizes.sum() < high
    assert paired(better, bits, sizes) == pytest.approx((-high, -low))
    noise = bits * rng.normal(1.0, 0.02, 200)
    low, high = paired(bits, noise, sizes)
    assert low < 0 < high
    with pytest.raises(ValueError, match="200 and 199 tunes are no pairs"):
        paired(bits, better[1:], sizes)


def test_two_sets_of_tunes_differ_as_two_means_do() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(5.0, 2.0, 300), rng.normal(4.0, 1.0, 150)
    low, high = unpaired((one, np.ones(300)), (other, np.ones(150)))  # type: ignore[arg-type]
    width = 2 * 1.96 * np.sqrt(one.var() / 300 + other.var() / 150)
    assert low < one.mean() - other.mean() < high and high - low == pytest.approx(width, rel=0.15)
    assert unpaired((one, np.ones(300)), (one, np.ones(300)))[0] < 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to draw"):
        unpaired(([1.0], [0.0]), ([1.0], [1.0]))
