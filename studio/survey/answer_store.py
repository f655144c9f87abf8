"""Raters and answers in SQLite: every answer is saved as it is given, an answer given twice counts once.

    rater   id (128 random bits), number (which row of the square), language, started, finished, withdrawn, environment
    answer  (rater, trial, place, criterion) -> value, heard, answered, changes

A rater's link is the id and nothing else: no name, no address is asked for or kept. Withdrawal deletes the answers and
keeps the empty row, so that the number (and with it the order) is not given out twice.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rater (
    id TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL, language TEXT NOT NULL, started REAL NOT NULL,
    finished REAL, withdrawn REAL, simulated INTEGER NOT NULL DEFAULT 0, environment TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS answer (
    rater TEXT NOT NULL REFERENCES rater(id), trial INTEGER NOT NULL, place INTEGER NOT NULL, criterion TEXT NOT NULL,
    value REAL NOT NULL, heard REAL NOT NULL, answered REAL NOT NULL, changes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (rater, trial, place, criterion)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Rater:
    """One rater: `number` from 0 chooses the order of trials; times are seconds since 1970."""

    id: str
    number: int
    language: str
    started: float
    finished: float | None
    withdrawn: float | None
    simulated: bool
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A value on one criterion for the clip at `place` of a trial; `heard` is the share of the clip that was heard."""

    rater: str
    trial: int
    place: int
    criterion: str
    value: float
    heard: float
    answered: float = 0.0


class AnswerStore:
    """The answers of one survey. Safe for several processes: SQLite in WAL mode, one transaction a call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def enroll(self, language: str, environment: Mapping[str, Any] | None = None, simulated: bool = False) -> Rater:
        """A new rater with the next number."""
        with self._transaction() as connection:
            number = connection.execute("SELECT COALESCE(MAX(number) + 1, 0) FROM rater").fetchone()[0]
            values = (
                secrets.token_urlsafe(16),
                number,
                language,
                time.time(),
                simulated,
                json.dumps(environment or {}),
            )
            connection.execute(
                "INSERT INTO rater (id, number, language, started, simulated, environment) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
        rater = self.rater(values[0])
        assert rater is not None
        return rater

    def rater(self, id: str) -> Rater | None:
        """One rater by id; None for an unknown one."""
        with self._connection() as connection:
            row = connection.execute("SELECT * FROM rater WHERE id = ?", (id,)).fetchone()
        return _rater(row) if row else None

    def raters(self) -> list[Rater]:
        """All raters in the order they came."""
        with self._connection() as connection:
            return [_rater(row) for row in connection.execute("SELECT * FROM rater ORDER BY number")]

    def note_environment(self, id: str, facts: Mapping[str, Any]) -> None:
        """Add facts such as `headphones` to a rater's row."""
        with self._transaction() as connection:
            row = connection.execute("SELECT environment FROM rater WHERE id = ?", (id,)).fetchone()
            merged = {**json.loads(row["environment"]), **facts}
            connection.execute("UPDATE rater SET environment = ? WHERE id = ?", (json.dumps(merged), id))

    def save(self, answer: Answer) -> None:
        """Keep an answer. The same again changes nothing; another value replaces the old and counts a change."""
        self.save_all([answer])

    def save_all(self, answers: Sequence[Answer]) -> None:
        """Keep several answers, all or none."""
        values = [(a.rater, a.trial, a.place, a.criterion, a.value, a.heard, time.time()) for a in answers]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO answer (rater, trial, place, criterion, value, heard, answered)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET value = excluded.value, heard = MAX(heard, excluded.heard),"
                " answered = excluded.answered, changes = changes + 1 WHERE value != excluded.value",
                values,
            )

    def answers(self, rater: str | None = None) -> list[Answer]:
        """All answers, or those of one rater, in order of raters and trials."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT answer.* FROM answer JOIN rater ON rater.id = answer.rater WHERE ? IS NULL OR rater = ?"
                " ORDER BY rater.number, trial, place, criterion",
                (rater, rater),
            )
            return [Answer(*(row[name] for name in Answer.__dataclass_fields__)) for row in rows]

    def finish(self, id: str) -> None:
        """Note that a rater came to the end; the first time counts."""
        with self._transaction() as connection:
            connection.execute("UPDATE rater SET finished = ? WHERE id = ? AND finished IS NULL", (time.time(), id))

    def withdraw(self, id: str) -> int:
        """Delete all answers and facts of a rater; how many answers there were."""
        with self._transaction() as connection:
            n = connection.execute("DELETE FROM answer WHERE rater = ?", (id,)).rowcount
            connection.execute(
                "UPDATE rater SET withdrawn = ?, environment = '{}', language = '' WHERE id = ? AND withdrawn IS NULL",
                (time.time(), id),
            )
        return int(n)


def _rater(row: sqlite3.Row) -> Rater:
    values = {name: row[name] for name in Rater.__dataclass_fields__}
    return Rater(**{**values, "simulated": bool(row["simulated"]), "environment": json.loads(row["environment"])})
