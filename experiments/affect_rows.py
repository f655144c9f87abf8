"""Rows that the affect experiments share: figures of valence and arousal with 95 % intervals over whole groups."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from symbolic.affect import arc_measures

DRAWS = 300
DIMENSIONS = ("valence", "arousal")
Floats = NDArray[np.float64]


def record_level(
    recorder: result_file.Recorder, model: str, of: str, predicted: Any, targets: Any, groups: Sequence[str]
) -> dict[str, float]:
    """r, CCC and MAE of predictions (n, 2) beside targets (n, 2); groups are drawn whole for the intervals."""
    one, other = np.asarray(predicted, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    measures: dict[str, Callable[[Any, Any], float]] = {
        "r": arc_measures.correlation, "ccc": arc_measures.concordance, "mae": arc_measures.mean_absolute_error
    }  # fmt: skip
    found = {}
    for column, dimension in enumerate(DIMENSIONS):
        for name, measure in measures.items():
            x, y = one[:, column], other[:, column]
            value = measure(x, y)
            low, high = _interval(measure, x, y, groups)
            keys = {"model": model, "of": of, "dimension": dimension, "measure": name, "n": len(x)}
            recorder.measured([round(value, 4)], "", low=low, high=high, **keys)
            found[f"{name} {dimension[0].upper()}"] = value
    return found


def record_figure(
    recorder: result_file.Recorder,
    model: str,
    of: str,
    measure: str,
    figures: Callable[[NDArray[np.int64]], Sequence[float]],
    groups: Sequence[str],
) -> tuple[float, float]:
    """A figure of valence and one of arousal, which `figures` gives for the rows of some items, with 95 % intervals
    over whole groups."""
    whole, drawn = figures(np.arange(len(groups))), list[Sequence[float]]()

    def first(rows: NDArray[np.int64]) -> float:
        drawn.append(figures(rows))
        return float(drawn[-1][0])

    arc_measures.bootstrap_interval(first, groups, DRAWS)
    for column, dimension in enumerate(DIMENSIONS):
        low, high = np.percentile([pair[column] for pair in drawn], [2.5, 97.5]).round(4).tolist()
        keys = {"model": model, "of": of, "dimension": dimension, "measure": measure, "n": len(groups)}
        recorder.measured([round(float(whole[column]), 4)], "", low=low, high=high, **keys)
    return float(whole[0]), float(whole[1])


def record_values(recorder: result_file.Recorder, model: str, of: str, measure: str, pair: Sequence[float]) -> None:
    """One figure of valence and one of arousal, without an interval."""
    for dimension, value in zip(DIMENSIONS, pair):
        keys = {"model": model, "of": of, "dimension": dimension, "measure": measure}
        recorder.measured([round(float(value), 4)], "", **keys)


def printed(model: str, of: str, found: dict[str, float]) -> str:
    """A line for people."""
    figures = "  ".join(f"{name} {value:+.3f}" for name, value in found.items())
    return f"{of:28} {model:24} {figures}"


def _interval(measure: Callable[[Any, Any], float], x: Floats, y: Floats, groups: Sequence[str]) -> tuple[float, float]:
    return arc_measures.bootstrap_interval(lambda rows: measure(x[rows], y[rows]), groups, DRAWS)
