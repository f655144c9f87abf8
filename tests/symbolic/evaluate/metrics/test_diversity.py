"""Distinct runs and pairwise distances of sets made by hand."""

import math

import numpy as np

from symbolic.evaluate.metrics.diversity import RUN_NOTES, distinct_runs, mean_pairwise_distance, runs

UP = [60 + i * i for i in range(12)]  # intervals 1, 3, 5, ...: every run differs
DOWN = [200 - i * i for i in range(12)]


def test_runs_are_numbered_by_their_intervals() -> None:
    one, same, other, short = runs([[UP], [[p + 5 for p in UP]], [DOWN], [[60, 62]]])
    assert len(one) == len(UP) - RUN_NOTES + 1 and one.tolist() == same.tolist()
    assert not set(one.tolist()) & set(other.tolist()) and len(short) == 0


def test_a_set_of_one_tune_over_and_over() -> None:
    varied, same = runs([[UP], [DOWN]]), runs([[UP]] * 10)
    assert distinct_runs(varied) == 1.0 and distinct_runs(same) == 0.1
    assert mean_pairwise_distance(varied) == 1.0 and mean_pairwise_distance(same) == 0.0


def test_sampling_is_of_a_fixed_number() -> None:
    rng = np.random.default_rng(0)
    many = [rng.integers(0, 50, 100) for _ in range(200)]
    assert distinct_runs(many) == 50 / 5000 == distinct_runs(many)
    assert 0 < mean_pairwise_distance(many) < 1


def test_nothing_to_compare() -> None:
    assert math.isnan(distinct_runs([])) and math.isnan(mean_pairwise_distance(runs([[UP]]))) and runs([]) == []
