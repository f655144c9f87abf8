"""Rows of the affect experiments."""

import numpy as np
import pytest

from benchmarks import result_file
from experiments import affect_rows


def test_figures_and_intervals_of_hand_worked_values() -> None:
    recorder = result_file.Recorder("x")
    targets = np.array([[0.0, 1.0], [0.2, 0.0], [0.4, 1.0], [0.6, 0.0]])
    found = affect_rows.record_level(recorder, "m", "all", targets + [0.1, 0.0], targets, ["a", "a", "b", "b"])
    assert found["r V"] == pytest.approx(1) and found["mae V"] == pytest.approx(0.1) and found["mae A"] == 0
    assert found["ccc V"] == pytest.approx(2 * 0.05 / (2 * 0.05 + 0.01)) and found["ccc A"] == pytest.approx(1)
    row = next(row for row in recorder.rows if row["measure"] == "mae" and row["dimension"] == "valence")
    assert (row["low"], row["high"], row["n"]) == (pytest.approx(0.1), pytest.approx(0.1), 4)


def test_a_pair_is_two_rows() -> None:
    recorder = result_file.Recorder("x")
    affect_rows.record_values(recorder, "m", "all", "AUC", (0.5, 0.75))
    assert [(row["dimension"], row["repeats"]) for row in recorder.rows] == [("valence", [0.5]), ("arousal", [0.75])]


def test_a_figure_of_some_rows_has_an_interval_over_groups() -> None:
    recorder, values = result_file.Recorder("x"), np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]])
    pair = affect_rows.record_figure(recorder, "m", "all", "mean", lambda rows: values[rows].mean(axis=0), list("abcd"))
    assert pair == (1.5, 4.0)
    for row, mean, step in zip(recorder.rows, pair, (1, 2)):
        assert 0 <= row["low"] < mean < row["high"] and (row["high"] - row["low"]) / step == pytest.approx(2.5, abs=0.6)
