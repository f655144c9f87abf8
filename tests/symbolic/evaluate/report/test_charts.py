"""Curves: scales, ticks, names, and colours that can be told apart."""

import math
import re
from itertools import pairwise

import pytest

from symbolic.evaluate.report.charts import MAX_POINTS, Curve, charts, family_class, ticks
from symbolic.evaluate.report.palette import DARK_BACKGROUND, FAMILIES, LIGHT_BACKGROUND, contrast, ink


def curve(y: list[float], model: str = "m", family: str = "gpt2", y_label: str = "loss") -> Curve:
    return Curve(model, family, list(range(len(y))), y, "step", y_label)


def points(figure: str) -> list[tuple[float, float]]:
    match = re.search(r'points="([^"]+)"', figure)
    assert match is not None
    return [tuple(map(float, pair.split(","))) for pair in match[1].split()]  # type: ignore[misc]


def test_a_straight_line_is_straight_and_rises_to_the_right() -> None:
    (figure,) = charts([curve([10.0, 11.0, 12.0, 13.0])])
    found = points(figure)
    xs, ys = [x for x, _ in found], [y for _, y in found]
    assert all(abs((b - a) - (xs[1] - xs[0])) < 0.11 for a, b in pairwise(xs)) and xs[1] > xs[0]
    assert all(abs((b - a) - (ys[1] - ys[0])) < 0.11 for a, b in pairwise(ys)) and ys[1] < ys[0]


def test_wide_spans_are_logarithmic_and_say_so() -> None:
    (figure,) = charts([curve([1.0, 10.0, 100.0])])
    ys = [y for _, y in points(figure)]
    assert abs((ys[0] - ys[1]) - (ys[1] - ys[2])) < 0.11
    assert "loss, logarithmic" in figure
    assert "logarithmic" not in charts([curve([1.0, 2.0, 3.0])])[0]


def test_one_chart_for_each_pair_of_axes() -> None:
    found = charts([curve([1, 2]), curve([1, 3], "b", "mamba2"), curve([5, 6], y_label="bits per byte"), curve([])])
    assert [figure.count("<polyline") for figure in found] == [2, 1]
    assert "m: from 1 to 2; b: from 1 to 3" in found[0]


def test_odd_values_do_not_break_it() -> None:
    assert charts([curve([math.nan, math.inf])]) == []
    for values in ([2.0], [0.0, 0.0], [-5.0, 5.0], [1e-9, 1e9]):
        (figure,) = charts([curve(values)])
        assert "nan" not in figure and "inf" not in figure.replace("inference", "")


def test_long_curves_are_averaged() -> None:
    (figure,) = charts([curve([float(i % 2) for i in range(100_000)])])
    assert len(points(figure)) <= MAX_POINTS


def test_names_are_escaped() -> None:
    (figure,) = charts([curve([1, 2], '<b a="', '"><script>', "<i>")])
    assert "<b a" not in figure and "<script" not in figure and "<i>" not in figure
    assert family_class('"><script>') == "family-script"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 2000), (1.3, 1.9), (-3, 11), (0.001, 0.0013)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 11 and all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    step = (found[1] - found[0]) / 10 ** math.floor(math.log10(found[1] - found[0]) + 1e-9)
    assert min(abs(step - m) for m in (1, 2, 5, 10)) < 1e-6


def test_inks_can_be_seen_and_told_apart() -> None:
    for family, colours in FAMILIES.items():
        assert contrast(colours.light, LIGHT_BACKGROUND) >= 3, family
        assert contrast(colours.dark, DARK_BACKGROUND) >= 3, family
    assert len({i.light for i in FAMILIES.values()}) == len({i.dash for i in FAMILIES.values()}) == len(FAMILIES)
    assert ink("something") == ink("something")
    assert round(contrast("#000000", "#ffffff")) == 21
