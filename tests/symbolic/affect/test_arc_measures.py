"""Measures of agreement against values worked out by hand."""

import numpy as np
import pytest

from symbolic.affect import arc_measures


def test_concordance_punishes_shift_and_scale_where_correlation_does_not() -> None:
    x = np.array([0.0, 1.0, 2.0])
    assert arc_measures.correlation(x, 2 * x + 1) == pytest.approx(1)
    assert arc_measures.concordance(x, x) == pytest.approx(1)
    assert arc_measures.concordance(x, x + 1) == pytest.approx(2 * (2 / 3) / (4 / 3 + 1))  # 2 cov / (var + var + 1)
    assert arc_measures.correlation(x, np.ones(3)) == arc_measures.concordance(np.ones(3), np.ones(3)) == 0


def test_calibration_is_slope_and_intercept_of_ratings_on_predictions() -> None:
    assert arc_measures.calibration([0, 1, 2], [1, 3, 5]) == pytest.approx((2, 1))
    assert arc_measures.calibration([1, 1], [0, 2]) == (0, 1)


def test_area_counts_ties_half() -> None:
    assert arc_measures.area_under_curve([1, 2, 2, 3], [0, 0, 1, 1]) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert arc_measures.area_under_curve([1, 2], [1, 1]) == 0.5


def test_within_song_ignores_level_and_songs_that_do_not_move() -> None:
    rising = np.column_stack([np.linspace(0, 1, 8)] * 2)
    flat = np.zeros((8, 2))
    assert arc_measures.within_song([rising + 5, flat + 1], [rising, flat]) == pytest.approx((1, 1))


def test_bootstrap_draws_whole_groups() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0])
    low, high = arc_measures.bootstrap_interval(lambda rows: float(values[rows].mean()), ["a", "a", "b", "b"], 200)
    assert (low, high) == (0, 1)


def test_the_arc_itself_beats_its_controls() -> None:
    arc = np.column_stack([np.sin(np.linspace(0, 3, 9)), np.cos(np.linspace(0, 3, 9))])
    controls = arc_measures.control_arcs(arc)
    assert arc_measures.arc_agreement(arc, arc)["r"] == 1
    assert all(arc_measures.arc_agreement(arc, other)["ccc"] < 1 for other in controls.values())
    assert arc_measures.share_of_shuffles_beaten(arc, arc, 50) > 0.9


def test_retrieval_and_warping() -> None:
    arcs = [np.full((4, 2), level) for level in (0.0, 0.5, 1.0)]
    assert arc_measures.retrieval_rank(arcs[1], arcs, 1) == 1
    assert arc_measures.retrieval_rank(arcs[1] + 0.4, arcs, 0) == 3
    line = np.column_stack([[0, 0, 1, 1], [0, 0, 1, 1]]).astype(float)
    late = np.column_stack([[0, 0, 0, 1], [0, 0, 0, 1]]).astype(float)
    assert arc_measures.warped_distance(line, late) == 0 < arc_measures.arc_distance(line, late)
