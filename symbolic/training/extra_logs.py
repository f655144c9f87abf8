"""The metrics of a run in other forms, beside metrics.jsonl: `train.logs: csv tensorboard`.

    runs/NAME/metrics.csv    one row an entry of metrics.jsonl, a column for each key, empty where it has none
    runs/NAME/tensorboard/   event files, one scalar for each number: train/loss, validation/bits_per_byte, ...

Both are written as the run goes on, follow it over a resume, and hold nothing that metrics.jsonl does not.
"""

import csv
import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from symbolic import files, runs
from symbolic.errors import UserError

COLUMNS = (
    *("kind", "step", "loss", "learning_rate", "gradient_norm"),
    *("tokens_per_second", "model_flops_per_second", "mfu", "seconds"),
    *("bits_per_byte", "nats_per_token", "n_tunes", "n_bytes", "n_tokens"),
)


class ExtraLog(Protocol):
    """A form of the metrics: `add` takes an entry, `flush` brings what was added to the disk."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Add an entry."""

    def flush(self) -> None:
        """Bring what was added to the disk."""

    def close(self) -> None:
        """Close the files."""


def check(names: str) -> None:
    """Raise UserError where a form that is asked for needs a package that is absent."""
    if "tensorboard" in names.split() and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "train.logs: tensorboard needs the package of that name: pip install 'abc-symbolic[tensorboard]', or "
            "leave it out (metrics.jsonl and csv need nothing)."
        )


def open_logs(names: str, folder: Path, kept: Sequence[Mapping[str, Any]]) -> list[ExtraLog]:
    """Return the forms named, for a run whose metrics hold the rows `kept` so far."""
    kinds: dict[str, Callable[[Path, Sequence[Mapping[str, Any]]], ExtraLog]]
    kinds = {"csv": CSVLog, "tensorboard": TensorBoardLog}
    return [kinds[name](folder, kept) for name in dict.fromkeys(names.split())]


class CSVLog:
    """metrics.csv, begun anew with the rows that are kept; a key that comes later adds a column at the end."""

    def __init__(self, folder: Path, kept: Sequence[Mapping[str, Any]]) -> None:
        self.path, self.columns = runs.csv_file(folder), list(COLUMNS)
        self.file = self._begin(kept)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row; new keys begin the file anew with more columns."""
        if set(row) - set(self.columns):
            self.close()
            with open(self.path, encoding="utf-8", newline="") as file:
                before = list(csv.DictReader(file))
            self.file = self._begin([*before, row])
        else:
            self.file.write(self._line(row))

    def flush(self) -> None:
        """Bring the rows to the disk."""
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _begin(self, rows: Sequence[Mapping[str, Any]]) -> TextIO:
        """Write the header and rows, whole, and open the file for more."""
        self.columns += dict.fromkeys(key for row in rows for key in row if key not in self.columns)
        header = self._line(dict(zip(self.columns, self.columns, strict=True)))
        files.write_whole(self.path, header + "".join(map(self._line, rows)))
        return open(self.path, "a", encoding="utf-8", newline="")

    def _line(self, row: Mapping[str, Any]) -> str:
        buffer = io.StringIO()
        values = ("" if row.get(key) is None else row[key] for key in self.columns)
        csv.writer(buffer, lineterminator="\n").writerow(values)
        return buffer.getvalue()


class TensorBoardLog:
    """Event files; those of steps that are made again are hidden by the new ones."""

    def __init__(self, folder: Path, kept: Sequence[Mapping[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        last = max((row["step"] for row in kept), default=0)
        self.writer = SummaryWriter(str(runs.tensorboard_folder(folder)), purge_step=last + 1 if last else None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write each number of a row under its kind."""
        for key, value in row.items():
            if key not in ("kind", "step") and isinstance(value, int | float):
                self.writer.add_scalar(f"{row['kind']}/{key}", value, row["step"])

    def flush(self) -> None:
        """Bring the events to the disk."""
        self.writer.flush()

    def close(self) -> None:
        """Close the files."""
        self.writer.close()
