"""What every loader returns: rated songs, pieces or sentences on -1..1, with the groups that a split must keep whole.

Tables are read by column names (leading blanks, a byte order mark and the case of letters do not count), with commas,
semicolons or tabs between columns and decimal commas where the columns are not parted by commas. Rows without a number
where one is needed, and ids that come twice, are left out and counted in `remarks`.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.plane import Scale
from symbolic.errors import UserError
from symbolic.files import delimiter, open_text

QUADRANTS = {"Q1": (1, 1), "Q2": (-1, 1), "Q3": (-1, -1), "Q4": (1, -1)}  # signs of valence and arousal


@dataclass(frozen=True)
class RatedItem:
    """One rated song, piece or sentence. `target` is (valence, arousal), NaN where only a quadrant is known; `arc` is
    (n, 2) at the times or bars `at`; `group` is the song, series or document that a split keeps together."""

    id: str
    group: str
    target: tuple[float, float] = (math.nan, math.nan)
    quadrant: str = ""
    split: str = ""
    text: str = ""
    path: Path | None = None
    at: NDArray[np.float64] | None = None
    arc: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class RatedSet:
    """A data set: its items, what was left out, its terms."""

    name: str
    items: tuple[RatedItem, ...]
    terms: str
    unit: str = ""
    remarks: tuple[str, ...] = field(default=())

    @property
    def targets(self) -> NDArray[np.float64]:
        """(n, 2) valence and arousal."""
        return np.array([item.target for item in self.items], dtype=np.float64).reshape(-1, 2)

    def of_split(self, *names: str) -> "RatedSet":
        """The items of some splits."""
        return RatedSet(
            self.name, tuple(i for i in self.items if i.split in names), self.terms, self.unit, self.remarks
        )


class LabelTable:
    """The rows of a CSV file by column name; counts what it leaves out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: dict[str, int] = {}
        try:
            with open_text(path) as file:
                head = file.readline()
                self.delimiter = delimiter(head)
                self.names = [_clean(name) for name in next(csv.reader([head], delimiter=self.delimiter), [])]
                reader = csv.reader(file, delimiter=self.delimiter)
                self.rows = [dict(zip(self.names, row)) for row in reader if any(cell.strip() for cell in row)]
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
        except csv.Error as error:
            raise UserError(f"{path} is not a table ({error}).") from error

    def column(self, *names: str) -> str:
        """The first of some names that the table has. UserError lists what it has instead."""
        found = next((_clean(name) for name in names if _clean(name) in self.names), None)
        if found is None:
            shown = ", ".join(self.names[:12]) or "no column at all"
            raise UserError(f"{self.path} has no column {' or '.join(names)}; it has {shown}.")
        return found

    def has(self, *names: str) -> bool:
        """Whether one of the names is a column."""
        return any(_clean(name) in self.names for name in names)

    def number(self, row: Mapping[str, str], column: str) -> float:
        """A cell as a number; NaN for an empty or unreadable one."""
        text = row.get(column, "").strip()
        if self.delimiter != "," and "." not in text:
            text = text.replace(",", ".")
        try:
            return float(text)
        except ValueError:
            return math.nan

    def complete(self, columns: Sequence[str], id_column: str) -> Iterator[tuple[str, dict[str, str], list[float]]]:
        """(id, row, numbers) of each row with a new id and a number in every column."""
        seen: set[str] = set()
        for row in self.rows:
            key = row.get(id_column, "").strip()
            numbers = [self.number(row, column) for column in columns]
            if not key or not all(map(math.isfinite, numbers)):
                self.count("without a number or an id")
            elif key in seen:
                self.count("with an id that came before")
            else:
                seen.add(key)
                yield key, row, numbers

    def count(self, fault: str) -> None:
        """Note that a row was left out."""
        self.faults[fault] = self.faults.get(fault, 0) + 1

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out, for people."""
        return tuple(f"{self.path.name}: {n} rows {fault} left out" for fault, n in self.faults.items())


def signed_pairs(pairs: Iterable[Sequence[float]], scale: Scale, source: str) -> NDArray[np.float64]:
    """(n, 2) on -1..1 from pairs on a scale. UserError where they do not lie on it, or there are none."""
    array = np.array([list(pair) for pair in pairs], dtype=np.float64).reshape(-1, 2)
    if not len(array):
        raise UserError(f"{source} holds no rated row.")
    return scale.signed(array, source)


def file_in(folder: Path, *names: str) -> Path:
    """The first of some paths that exists below a folder. UserError names what was looked for."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} holds no {' or '.join(names)}: name the folder that the data set was unpacked to.")


def _clean(name: str) -> str:
    return name.strip().lstrip("\ufeff").strip().lower()
