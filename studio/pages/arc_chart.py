"""Arcs of valence and arousal as lines of a chart: places in SVG units for the template `arcs.html`.

Each chart has one line for what was asked and one for what was measured, as steps over the sections; the vertical
scale is the chart's own, symmetric about 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, EDGE = 720.0, 160.0, 6.0  # SVG units
LEAST_SPAN = 0.05  # of valence or arousal, at the top of a chart
NAMES = (("Valence", "pleasant", "unpleasant"), ("Arousal", "excited", "calm"))


@dataclass(frozen=True)
class ArcChart:
    """One chart: names of its two ends, the two lines as `points` of a polyline, and the x of section borders."""

    name: str
    high: str
    low: str
    asked: str
    measured: str
    borders: tuple[float, ...]
    width: float = WIDTH
    height: float = HEIGHT
    edge: float = EDGE


def charts(result: dict[str, Any]) -> list[ArcChart]:
    """The charts of valence and arousal of a take's `result`; none where it has no sections."""
    sections = result.get("sections") or []
    if not sections:
        return []
    edges = [float(section["start"]) for section in sections] + [float(sections[-1]["end"])]
    return [_chart(column, sections, edges) for column in range(len(NAMES))]


def _chart(column: int, sections: Sequence[dict[str, Any]], edges: Sequence[float]) -> ArcChart:
    asked = [float(section["asked"][column]) for section in sections]
    measured = [float(section["measured"][column]) for section in sections]
    span = 1.15 * max(LEAST_SPAN, *(abs(value) for value in [*asked, *measured]))
    name, high, low = NAMES[column]
    borders = tuple(_x(seconds, edges) for seconds in edges[1:-1])
    return ArcChart(name, high, low, _steps(asked, edges, span), _steps(measured, edges, span), borders)


def _steps(values: Sequence[float], edges: Sequence[float], span: float) -> str:
    """A level for each section, as SVG points."""
    points = []
    for value, start, end in zip(values, edges, edges[1:]):
        y = HEIGHT / 2 * (1 - value / span)
        points += [f"{_x(seconds, edges):g},{y:.1f}" for seconds in (start, end)]
    return " ".join(points)


def _x(seconds: float, edges: Sequence[float]) -> float:
    return round(EDGE + (WIDTH - 2 * EDGE) * seconds / max(edges[-1], 1e-9), 1)
