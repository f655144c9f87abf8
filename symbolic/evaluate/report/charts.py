"""Line charts as inline SVG, drawn here so that a report needs neither a plotting library nor the network.

One chart for each pair of axes; one line for each curve, in its family's colour and pattern (`palette`). The y axis is
logarithmic, and says so, when the values span more than a factor of four. A curve of more than MAX_POINTS points is
drawn as the means of equal runs of points.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from symbolic.evaluate.report.palette import ink

WIDTH, HEIGHT = 680, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 12, 62  # margins, pixels
MAX_POINTS = 400
LOG_SPAN = 4.0


@dataclass(frozen=True)
class Curve:
    """One line: `y_label` and `x_label` name quantity and unit; curves that share both share a chart."""

    model: str
    family: str
    x: Sequence[float]
    y: Sequence[float]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class _Axis:
    """A scale from values to pixels."""

    low: float
    high: float
    start: float  # pixel of `low`
    end: float  # pixel of `high`
    log: bool = False

    def pixel(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = ((math.log(value) if self.log else value) - low) / (high - low)
        return self.start + place * (self.end - self.start)


def charts(curves: Iterable[Curve]) -> list[str]:
    """Draw one <figure> for each pair of axes, in the order in which they are first met; empty curves are left out."""
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        cleaned = _finite(curve)
        if cleaned.x:
            groups.setdefault((curve.x_label, curve.y_label), []).append(cleaned)
    return [_figure(group) for group in groups.values()]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) between low and high, about `count` of them."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _finite(curve: Curve) -> Curve:
    pairs = [(float(x), float(y)) for x, y in zip(curve.x, curve.y) if math.isfinite(x) and math.isfinite(y)]
    size = math.ceil(len(pairs) / MAX_POINTS) if len(pairs) > MAX_POINTS else 1
    runs = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    x, y = ([sum(p[axis] for p in run) / len(run) for run in runs] for axis in (0, 1))
    return Curve(curve.model, curve.family, x, y, curve.x_label, curve.y_label)


def _figure(curves: list[Curve]) -> str:
    x_axis, y_axis = _axes(curves)
    label = escape(curves[0].y_label + (", logarithmic" if y_axis.log else ""))
    parts = [_grid(x_axis, y_axis)]
    parts += [_line(curve, x_axis, y_axis) for curve in curves]
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}">{escape(curves[0].x_label)}</text>'
    )
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_spoken(curves))}">'
        f"<title>{escape(_spoken(curves))}</title>{''.join(parts)}</svg>"
    )
    return f'<figure class="chart"><figcaption>{label}</figcaption>{_legend(curves)}{svg}</figure>'


def _axes(curves: list[Curve]) -> tuple[_Axis, _Axis]:
    xs = [x for curve in curves for x in curve.x]
    ys = [y for curve in curves for y in curve.y]
    x_low, x_high = _room(0.0 if 0 < min(xs) < 0.2 * max(xs) else min(xs), max(xs), 0.0)
    log = min(ys) > 0 and max(ys) / min(ys) > LOG_SPAN
    if log:
        y_low, y_high = min(ys) / 1.05, max(ys) * 1.05
    else:
        y_low, y_high = _room(min(ys), max(ys), 0.05)
    return _Axis(x_low, x_high, LEFT, WIDTH - RIGHT), _Axis(y_low, y_high, HEIGHT - BOTTOM, TOP, log)


def _room(low: float, high: float, share: float) -> tuple[float, float]:
    """Widen a range a little at both ends, so that it is never empty."""
    if high == low:
        return low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    return low - share * (high - low), high + share * (high - low)


def _grid(x_axis: _Axis, y_axis: _Axis) -> str:
    parts = []
    for value in _log_ticks(y_axis) if y_axis.log else ticks(y_axis.low, y_axis.high):
        y = y_axis.pixel(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick y" x="{LEFT - 8}" y="{y + 4:.1f}">{_number(value)}</text>')
    bottom = HEIGHT - BOTTOM
    for value in ticks(x_axis.low, x_axis.high):
        x = x_axis.pixel(value)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(f'<text class="tick x" x="{x:.1f}" y="{bottom + 22}">{_number(value)}</text>')
    parts.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    return "".join(parts)


def _log_ticks(axis: _Axis) -> list[float]:
    """Return 1, 1.5, 2, 3, 5 and 7 times powers of ten: close enough for a span of less than two decades."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    steps = (1, 1.5, 2, 3, 5, 7) if axis.high / axis.low < 100 else (1,)
    return [v for p in powers for m in steps if axis.low <= (v := round(m * 10.0**p, 12)) <= axis.high]


def _line(curve: Curve, x_axis: _Axis, y_axis: _Axis) -> str:
    points = [f"{x_axis.pixel(x):.1f},{y_axis.pixel(y):.1f}" for x, y in zip(curve.x, curve.y)]
    dash = ink(curve.family).dash
    style = f' stroke-dasharray="{dash}"' if dash else ""
    x, y = points[-1].split(",")
    name = family_class(curve.family)
    return (
        f'<polyline class="line {name}" points="{" ".join(points)}"{style}/>'
        f'<circle class="dot {name}" cx="{x}" cy="{y}" r="3.5"/>'
    )


def _legend(curves: list[Curve]) -> str:
    """Write each line's sample, name and last value, as text that wraps on a narrow screen."""
    items = ""
    for curve in curves:
        dash = ink(curve.family).dash
        style = f' stroke-dasharray="{dash}"' if dash else ""
        sample = (
            f'<svg viewBox="0 0 36 8" aria-hidden="true"><line class="line" x1="1" x2="35" y1="4" y2="4"{style}/></svg>'
        )
        value = f"<span>{_number(curve.y[-1], 4)}</span>"
        items += f'<li class="{family_class(curve.family)}">{sample}<b>{escape(curve.model)}</b> {value}</li>'
    return f'<ul class="legend">{items}</ul>'


def family_class(family: str) -> str:
    """Return the CSS class of a family; a name that is not plain cannot leave the attribute."""
    return "family-" + "".join(c for c in family.lower() if c.isascii() and c.isalnum())


def _spoken(curves: list[Curve]) -> str:
    """Word what the chart shows, for those who hear the page."""
    ends = "; ".join(f"{c.model}: from {_number(c.y[0], 4)} to {_number(c.y[-1], 4)}" for c in curves)
    return f"Line chart of {curves[0].y_label} against {curves[0].x_label}. {ends}."


def _number(value: float, digits: int = 6) -> str:
    """Write plain digits with thousands separated; very large and small numbers with an exponent."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2g}"
    text = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}" if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text
