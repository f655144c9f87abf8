"""Tables of results: one shape, written as Markdown, CSV, for the console and (by `page`) as HTML.

A cell is text, a whole number, a number, a `Share` (0 to 1, shown in percent) or None, which is 'not measured'. CSV
holds the bare values, so that pandas reads numbers; the others hold them as a person reads them.
"""

import csv
import io
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Share:
    """A proportion from 0 to 1."""

    value: float


Cell = str | int | float | Share | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; `note` says what a reader must know to read the numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), f"a row of {len(row)} cells under {len(self.columns)} columns"


def cell_text(cell: Cell) -> str:
    """Write a cell for people: 98.5 %, 1,234, 1.887, – for what was not measured."""
    if isinstance(cell, str):
        return cell
    value = cell_value(cell)
    if value is None:
        return MISSING
    if isinstance(cell, Share):
        return f"{100 * cell.value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}" if abs(value) < 100 else f"{value:,.1f}"


def cell_value(cell: Cell) -> Any:
    """Return the bare value of a cell, None for one that is missing or not a finite number."""
    value = cell.value if isinstance(cell, Share) else cell
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_number(cell: Cell) -> bool:
    """Return True if a cell is set flush right."""
    return not isinstance(cell, str)


def markdown(table: Table) -> str:
    """Write GitHub's Markdown, with the title in bold above and the note below."""
    texts = [[_markdown_text(cell_text(cell)) for cell in row] for row in table.rows]
    rule = ["---:" if right else "---" for right in _flush_right(table)]
    lines = [[_markdown_text(name) for name in table.columns], rule, *texts]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    note = f"\n{_markdown_text(table.note)}\n" if table.note else ""
    return f"**{_markdown_text(table.title)}**\n\n{body}\n{note}"


def comma_separated(table: Table) -> str:
    """Write RFC 4180 CSV of bare values with one header row; shares are from 0 to 1, missing cells are empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if (v := cell_value(cell)) is None else v for cell in row] for row in table.rows])
    return buffer.getvalue()


def console(table: Table) -> str:
    """Write aligned text for a terminal."""
    texts = [[_plain(name) for name in table.columns], *([_plain(cell_text(c)) for c in row] for row in table.rows)]
    widths = [max(_width(line[i]) for line in texts) for i in range(len(table.columns))]
    right = _flush_right(table)
    lines = ["  ".join(_padded(t, w, r) for t, w, r in zip(line, widths, right)).rstrip() for line in texts]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    note = [_plain(table.note)] if table.note else []
    return "\n".join([_plain(table.title), rule, lines[0], rule, *lines[1:], rule, *note]) + "\n"


def _flush_right(table: Table) -> list[bool]:
    """Return the columns without text, which are set flush right."""
    return [
        bool(table.rows) and all(is_number(row[i]) or row[i] == "" for row in table.rows)
        for i in range(len(table.columns))
    ]


def _markdown_text(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _plain(text: str) -> str:
    """Return one line without control characters: a title from a file must not drive the terminal."""
    return " ".join("".join(c if unicodedata.category(c) != "Cc" else " " for c in text).split())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
