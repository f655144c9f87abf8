"""Arcs as lines: each section is one step, pleasant and excited are above the middle."""

from studio.pages import arc_chart

SECTIONS = [
    {"start": 0.0, "end": 10.0, "asked": [0.5, -0.2], "measured": [0.25, 0.1]},
    {"start": 10.0, "end": 40.0, "asked": [-0.5, 0.4], "measured": [-0.25, 0.2]},
]


def test_each_section_is_a_step() -> None:
    valence, arousal = arc_chart.charts({"sections": SECTIONS})
    assert (valence.name, arousal.name) == ("Valence", "Arousal")
    points = [tuple(map(float, point.split(","))) for point in valence.asked.split()]
    assert [x for x, _ in points] == [6.0, 183.0, 183.0, 714.0]
    assert points[0][1] == points[1][1] < arc_chart.HEIGHT / 2 < points[2][1] == points[3][1]
    assert valence.borders == (183.0,)
    assert all(0 <= y <= arc_chart.HEIGHT for _, y in points)


def test_no_sections_are_no_chart() -> None:
    assert arc_chart.charts({}) == arc_chart.charts({"sections": []}) == []
