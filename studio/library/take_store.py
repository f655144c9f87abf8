"""The library: a folder a take, a row a take.

The folders are the truth: `take.json` in each says what it is, and the rows can be made again from them (`rebuild`).
A *work* is the first take and all that were made from it; its id is that take's. Takes are never written over.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.jobs.sqlite_queue import Database
from studio.library import take_files
from symbolic import files
from symbolic.errors import UserError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS take (id TEXT PRIMARY KEY, work TEXT, parent TEXT, verb TEXT, title TEXT, job TEXT,
  client TEXT, created REAL, starred INTEGER DEFAULT 0, trashed INTEGER DEFAULT 0, bytes INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS take_work ON take (work, created);
CREATE INDEX IF NOT EXISTS take_bytes ON take (bytes);
"""
_DISCARDED = -1  # bytes of a take that failed or was cancelled


@dataclass(frozen=True)
class Take:
    """One row. `parent` is '' for the first take of a work; `bytes` is 0 until the take is known to be whole."""

    id: str
    work: str
    parent: str
    verb: str
    title: str
    job: str
    client: str
    created: float
    starred: bool = False
    trashed: bool = False
    bytes: int = 0


class TakeStore:
    """Takes in DATA/takes and their rows in the studio's database."""

    def __init__(self, data: Path, database: Path) -> None:
        self.takes = data / "takes"
        self.database = Database(database, _SCHEMA)

    def folder(self, id: str) -> Path:
        """Where the files of a take lie; `id` comes from a row."""
        return self.takes / id

    def add(self, id: str, parent: "Take | None", verb: str, title: str, job: str, client: str) -> Take:
        """A new row, in the work of its parent."""
        work = id if parent is None else parent.work
        take = Take(id, work, parent.id if parent else "", verb, title, job, client, time.time())
        values = (take.id, take.work, take.parent, verb, title, job, client, take.created)
        with self.database.change() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO take (id, work, parent, verb, title, job, client, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        return take

    def get(self, id: str) -> Take | None:
        """The take, or None."""
        rows = self.database.rows("SELECT * FROM take WHERE id = ?", id)
        return _take(rows[0]) if rows else None

    def record(self, id: str) -> dict[str, Any] | None:
        """take.json of a take that is whole; notes its size and title in the row the first time."""
        path = self.folder(id) / take_files.RECORD
        if not path.is_file():
            return None
        record: dict[str, Any] = files.read_json(path)
        n_bytes = sum(take_files.present(self.folder(id)).values())
        with self.database.change() as connection:
            query = "UPDATE take SET bytes = ?, title = ? WHERE id = ? AND bytes != ?"
            connection.execute(query, (n_bytes, str(record.get("title", ""))[:200], id, n_bytes))
        return record

    def takes_of(self, work: str) -> list[Take]:
        """The takes of a work, oldest first; those in the trash are left out."""
        query = "SELECT * FROM take WHERE work = ? AND trashed = 0 ORDER BY created"
        return [_take(row) for row in self.database.rows(query, work)]

    def newest(self, limit: int, offset: int, *, trashed: bool = False, starred: bool = False) -> list[Take]:
        """Takes for the library, newest first."""
        extra = " AND starred = 1" if starred else ""
        query = f"SELECT * FROM take WHERE trashed = ?{extra} ORDER BY created DESC LIMIT ? OFFSET ?"
        return [_take(row) for row in self.database.rows(query, int(trashed), limit, offset)]

    def mark(self, id: str, *, starred: bool | None = None, trashed: bool | None = None) -> None:
        """Star, unstar, put into the trash, take out of it."""
        marks = {name: value for name, value in (("starred", starred), ("trashed", trashed)) if value is not None}
        with self.database.change() as connection:
            for name, value in marks.items():
                connection.execute(f"UPDATE take SET {name} = ? WHERE id = ?", (int(value), id))

    def delete(self, id: str) -> None:
        """Remove a take's row and files for good."""
        with self.database.change() as connection:
            connection.execute("DELETE FROM take WHERE id = ?", (id,))
        shutil.rmtree(self.folder(id), ignore_errors=True)

    def trash(self) -> list[Take]:
        """Everything in the trash."""
        return [_take(row) for row in self.database.rows("SELECT * FROM take WHERE trashed = 1")]

    def n_bytes(self) -> int:
        """Bytes of all takes that are known to be whole, the trash included."""
        return int(self.database.rows("SELECT COALESCE(SUM(MAX(bytes, 0)), 0) FROM take")[0][0])

    def unsettled(self) -> list[Take]:
        """Takes whose size is not known yet: they are being made, or nobody has looked since."""
        return [_take(row) for row in self.database.rows("SELECT * FROM take WHERE bytes = 0")]

    def discard(self, id: str) -> None:
        """Remove what a take has left that will never be whole; its row says what became of it."""
        shutil.rmtree(self.folder(id), ignore_errors=True)
        with self.database.change() as connection:
            connection.execute("UPDATE take SET bytes = ? WHERE id = ?", (_DISCARDED, id))

    def strays(self, before: float) -> list[Path]:
        """Folders that no row and no take.json tells of, last changed before a moment (seconds since 1970)."""
        untold = (
            path for path in self.takes.iterdir()
            if not (path / take_files.RECORD).is_file() and self.get(path.name) is None
        )  # fmt: skip
        return [path for path in untold if take_files.changed(path) < before]

    def rebuild(self) -> int:
        """Make rows for folders that have none, from their take.json; returns how many."""
        n_added = 0
        for path in sorted(self.takes.glob(f"*/{take_files.RECORD}")):
            if self.get(path.parent.name) is None:
                n_added += self._add_from(path)
        return n_added

    def _add_from(self, path: Path) -> int:
        try:
            record = files.read_json(path)
            values = [str(record.get(name, "")) for name in ("work", "parent", "verb", "title")]
            created = float(record.get("created", 0.0))
        except (UserError, AttributeError, TypeError, ValueError):
            return 0
        n_bytes = sum(take_files.present(path.parent).values())
        with self.database.change() as connection:
            connection.execute(
                "INSERT INTO take (id, work, parent, verb, title, job, client, created, bytes)"
                " VALUES (?, ?, ?, ?, ?, '', '', ?, ?)",
                (path.parent.name, *values, created, n_bytes),
            )
        return 1


def _take(row: Any) -> Take:
    values = dict(row)
    flags = {name: bool(values[name]) for name in ("starred", "trashed")}
    return Take(**{**values, **flags, "bytes": max(0, values["bytes"])})
