"""Charts of a survey as SVG text: answers as diverging stacked bars, means and shares with intervals, raters by clips.

Colours stay apart under colour-vision deficiency (orange to blue through grey, P. A. Green's survey rule of one hue a
side), every bar carries its number as text, and text takes the page's colour, so that a chart reads on light and dark.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 720
_LABEL, _RIGHT, _ROW = 170, 60, 26
LIKERT = ("#b35806", "#f1a340", "#b7b7b7", "#7aa6d6", "#2166ac")
_HEAT = ("#fde8c9", "#f6b26b", "#d98032", "#8a5a8a", "#3b3b8f")


def likert_bars(systems: Mapping[str, Mapping[str, Any]], scale: tuple[float, float], title: str) -> str:
    """Shares of each answer, stacked about the middle of the scale; a system a row."""
    levels = [f"{value:g}" for value in range(int(scale[0]), int(scale[1]) + 1)]
    middle = (len(levels) - 1) / 2
    rows = []
    for name, table in systems.items():
        shares = _shares(table["counts"], levels)
        left = sum(share * (1.0 if i < middle else 0.5 if i == middle else 0.0) for i, share in enumerate(shares))
        rows.append((name, shares, left))
    bars = "".join(_likert_row(row, i, levels) for i, row in enumerate(rows))
    legend = _legend(levels, len(rows))
    return _svg(title, len(rows) * _ROW + 62, bars + legend)


def _shares(counts: Mapping[str, int], levels: Sequence[str]) -> list[float]:
    total = sum(counts.get(level, 0) for level in levels)
    return [counts.get(level, 0) / total if total else 0.0 for level in levels]


def _likert_row(row: tuple[str, list[float], float], number: int, levels: Sequence[str]) -> str:
    name, shares, left = row
    half = (WIDTH - _LABEL - _RIGHT) / 2
    x, y = _LABEL + half - left * half, 30 + number * _ROW
    parts = [_text(_LABEL - 8, y + 15, name, "end")]
    for i, share in enumerate(shares):
        width = share * half
        parts.append(
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{likert_colour(i, len(levels))}"/>'
        )
        if width > 22:
            parts.append(_text(x + width / 2, y + 14, f"{share:.0%}", "middle", _ink_on(i, len(levels))))
        x += width
    return "".join(parts)


def likert_colour(level: int, n_levels: int) -> str:
    """The colour of one of n answers, from worst to best."""
    place = level / max(1, n_levels - 1) * (len(LIKERT) - 1)
    return _mix(LIKERT[int(place)], LIKERT[min(len(LIKERT) - 1, int(place) + 1)], place - int(place))


def _ink_on(level: int, n_levels: int) -> str:
    return "#ffffff" if level in (0, n_levels - 1) else "#111111"


def _legend(levels: Sequence[str], n_rows: int) -> str:
    y = 38 + n_rows * _ROW
    step = (WIDTH - _LABEL - _RIGHT) / len(levels)
    parts = []
    for i, level in enumerate(levels):
        x = _LABEL + i * step
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="14" height="14" fill="{likert_colour(i, len(levels))}"/>')
        parts.append(_text(x + 20, y + 12, level))
    return "".join(parts)


def interval_dots(
    rows: Sequence[Mapping[str, Any]], low: float, high: float, title: str, mark: float | None = None
) -> str:
    """A dot and an interval a row: {label, mean, low, high}; an absent interval is said in words. `mark` is a line."""
    span = WIDTH - _LABEL - _RIGHT
    parts = [_axis(low, high, len(rows))]
    if mark is not None:
        x = _LABEL + (mark - low) / (high - low) * span
        parts.append(f'<line x1="{x:.1f}" y1="26" x2="{x:.1f}" y2="{30 + len(rows) * _ROW}" class="mark"/>')
    for i, row in enumerate(rows):
        y = 40 + i * _ROW
        parts.append(_text(_LABEL - 8, y + 4, str(row["label"]), "end"))
        if row["mean"] is None:
            continue
        x = _LABEL + (row["mean"] - low) / (high - low) * span
        if row.get("low") is not None:
            ends = [_LABEL + (min(max(row[k], low), high) - low) / (high - low) * span for k in ("low", "high")]
            parts.append(f'<line x1="{ends[0]:.1f}" y1="{y}" x2="{ends[1]:.1f}" y2="{y}" class="interval"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" class="dot"/>')
        parts.append(_text(WIDTH - _RIGHT + 8, y + 4, f"{row['mean']:.2f}"))
    return _svg(title, 58 + len(rows) * _ROW, "".join(parts))


def _axis(low: float, high: float, n_rows: int) -> str:
    y = 30 + n_rows * _ROW
    ticks = [low + i * (high - low) / 4 for i in range(5)]
    parts = [f'<line x1="{_LABEL}" y1="{y}" x2="{WIDTH - _RIGHT}" y2="{y}" class="axis"/>']
    for tick in ticks:
        x = _LABEL + (tick - low) / (high - low) * (WIDTH - _LABEL - _RIGHT)
        parts.append(_text(x, y + 18, f"{tick:.3g}", "middle"))
    return "".join(parts)


def heat_map(matrix: Sequence[Sequence[float | None]], scale: tuple[float, float], title: str) -> str:
    """Raters down, clips across; empty cells were not answered."""
    n_clips = max((len(row) for row in matrix), default=0)
    cell = min(22.0, (WIDTH - 60) / max(1, n_clips))
    parts = [_text(4, 42, "rater"), _text(52, 24, "clip")]
    for r, row in enumerate(matrix):
        for c, value in enumerate(row):
            if value is None:
                continue
            place = (value - scale[0]) / max(1, scale[1] - scale[0]) * (len(_HEAT) - 1)
            fill = _mix(_HEAT[int(place)], _HEAT[min(len(_HEAT) - 1, int(place) + 1)], place - int(place))
            x, y = 52 + c * cell, 30 + r * cell
            label = f"rater {r + 1}, clip {c + 1}: {value:g}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" fill="{fill}">'
                f"<title>{label}</title></rect>"
            )
    return _svg(title, 36 + len(matrix) * cell, "".join(parts))


def _mix(one: str, other: str, share: float) -> str:
    pairs = [(int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = "") -> str:
    colour = f' fill="{fill}"' if fill else ' class="label"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{colour}>{html.escape(text)}</text>'


def _svg(title: str, height: float, body: str) -> str:
    name = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}" '
        'font-family="system-ui, sans-serif" font-size="12">'
        "<style>.label{fill:#222}.axis,.interval{stroke:#222}.interval{stroke-width:3}.dot{fill:#2166ac}"
        ".mark{stroke:#b35806;stroke-dasharray:5 4}"
        "@media (prefers-color-scheme:dark){.label{fill:#e8e8e8}.axis,.interval{stroke:#e8e8e8}"
        ".dot{fill:#7ab3e8}}</style>"
        f'<text x="4" y="16" class="label" font-weight="600">{name}</text>{body}</svg>'
    )
