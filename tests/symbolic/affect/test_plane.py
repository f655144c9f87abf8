"""Scales, arcs and their transformations."""

import numpy as np
import pytest

from symbolic.affect.plane import (
    DOMAINS,
    SCALES,
    Domain,
    arc,
    integrated,
    matched,
    quadrant,
    resampled_points,
    smoothed,
)
from symbolic.errors import UserError


@pytest.mark.parametrize("name", SCALES)
def test_ends_of_a_scale_become_minus_one_and_one(name: str) -> None:
    scale = SCALES[name]
    assert scale.signed([scale.low, (scale.low + scale.high) / 2, scale.high]).tolist() == [-1, 0, 1]


def test_a_wrong_scale_is_refused_with_the_one_that_fits() -> None:
    with pytest.raises(UserError, match=r"values from 2 to 8.5 are not on the scale `signed`.*`sam9` \(1 to 9\) fits"):
        SCALES["signed"].signed([2.0, 8.5], "file.csv")
    with pytest.raises(UserError, match="`emobank5`"):
        SCALES["unit"].signed([1.2, 4.9])


def test_missing_values_stay_missing() -> None:
    assert np.isnan(SCALES["sam9"].signed([np.nan, 5.0])).tolist() == [True, False]


def test_arc_is_weighted_by_time_and_prints_what_others_rely_on() -> None:
    found = arc("seconds", [0, 3], [[1.0, 0.0], [-1.0, 0.5]], 4.0)
    assert found.mean == pytest.approx((0.5, 0.125))
    assert {"unit", "at", "valence", "arousal", "end", "scale"} <= found.as_json().keys()


def test_matching_maps_mean_to_mean_and_back() -> None:
    points = np.array([[0.1, 0.2], [-0.2, 0.1]])
    there = matched(points, DOMAINS["score"], DOMAINS["text"])
    assert matched(there, DOMAINS["text"], DOMAINS["score"]) == pytest.approx(points)
    one = Domain("one", (0.5, 0.5), (0.1, 0.1))
    assert matched([[0.5, 0.5]], one, DOMAINS["words"])[0] == pytest.approx([0, 0])


def test_integration_moves_towards_the_input_at_its_time_constant() -> None:
    step = integrated(np.array([[0.0]] + [[1.0]] * 40), 4.0)[:, 0]
    assert step[4] == pytest.approx(1 - np.exp(-1), abs=1e-9)
    assert step[-1] > 0.99


def test_smoothing_and_resampling_keep_constants_and_ends() -> None:
    assert smoothed(np.ones((5, 2)), 3).tolist() == np.ones((5, 2)).tolist()
    points = resampled_points([[0, 0], [1, -1]], 3)
    assert points.tolist() == [[0, 0], [0.5, -0.5], [1, -1]]


def test_quadrants() -> None:
    assert [quadrant(*p) for p in ((0.1, 0.1), (-0.1, 0.1), (-0.1, -0.1), (0.1, -0.1))] == ["Q1", "Q2", "Q3", "Q4"]
