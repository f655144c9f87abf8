"""The queue of one machine: two tables of an SQLite database in WAL mode.

Every change is one transaction that begins with BEGIN IMMEDIATE, so two processes never claim one job. A commit is in
the operating system's hands before it returns: killed processes lose nothing.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from studio.jobs.job_queue import ENDED, LEASE_SECONDS, MAX_TRIES, KeyReused, StudioJob, full, now, stale_leases
from symbolic.errors import UserError

BUSY_SECONDS = 10.0
VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, take TEXT, verb TEXT, lane TEXT, client TEXT, options TEXT,
  limit_seconds REAL, state TEXT, turn INTEGER, created REAL, started REAL, ended REAL, lease REAL, worker TEXT,
  tries INTEGER, cancel INTEGER, error TEXT, result TEXT);
CREATE INDEX IF NOT EXISTS job_waiting ON job (state, lane, turn, created);
CREATE INDEX IF NOT EXISTS job_take ON job (take);
CREATE TABLE IF NOT EXISTS event (job TEXT, n INTEGER, body TEXT, PRIMARY KEY (job, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (client TEXT, key TEXT, digest TEXT, job TEXT, PRIMARY KEY (client, key))
  WITHOUT ROWID;
"""
_PRAGMAS = (
    *("journal_mode = WAL", "synchronous = NORMAL", f"busy_timeout = {int(BUSY_SECONDS * 1000)}"),
    "cache_size = -256",  # KiB; every thread of the server has a connection, and the system keeps the file in memory
)
_COLUMNS = ", ".join(field.name for field in fields(StudioJob))
_STALE = "(lease < ? OR lease > ?)"
_LOST = "the worker died {tries} times on it."


class Database:
    """One SQLite file, a connection a thread."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path, self._local, self._connections = path, threading.local(), list[sqlite3.Connection]()
        try:
            with self.connection() as connection:
                connection.executescript(schema)
        except sqlite3.Error as error:
            why = "is there room on the disk, and is the file a database of the studio?"
            raise UserError(f"{path} cannot be opened ({error}): {why}") from error

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        if not hasattr(self._local, "connection"):
            made = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            made.row_factory = sqlite3.Row
            for pragma in _PRAGMAS:
                made.execute(f"PRAGMA {pragma}")
            self._local.connection = made
            self._connections.append(made)
        connection: sqlite3.Connection = self._local.connection
        return connection

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes in."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.connection().execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()


class SqliteQueue:
    """`JobQueue` in the studio's database; `max_queued` and `max_of_client` are jobs that may wait, by lane."""

    def __init__(self, path: Path, max_queued: dict[str, int], max_of_client: dict[str, int]) -> None:
        self.database = Database(path, _SCHEMA)
        self.max_queued, self.max_of_client = max_queued, max_of_client

    def submit(self, job: StudioJob, idempotency_key: str = "", digest: str = "") -> StudioJob:
        """See `JobQueue`."""
        with self.database.change() as connection:
            known = self._earlier(connection, job.client, idempotency_key, digest)
            if known is not None:
                return known
            n_own = self._check_room(connection, job)
            job = replace(job, turn=n_own, created=now())
            _insert(connection, job)
            if idempotency_key:
                row = (job.client, idempotency_key, digest, job.id)
                connection.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", row)
        return job

    def claim(self, worker: str, lanes: tuple[str, ...]) -> StudioJob | None:
        """See `JobQueue`."""
        if not self._has_work(lanes):
            return None
        with self.database.change() as connection:
            self._bury(connection)
            for lane in lanes:
                row = connection.execute(
                    "UPDATE job SET state = 'running', worker = ?, lease = ?, tries = tries + 1, started = ?"
                    " WHERE id = (SELECT id FROM job WHERE lane = ? AND (state = 'queued' OR"
                    f" (state = 'running' AND {_STALE})) ORDER BY turn, created LIMIT 1) RETURNING *",
                    (worker, now() + LEASE_SECONDS, now(), lane, *stale_leases(now())),
                ).fetchone()
                if row is not None:
                    return _job(row)
        return None

    def beat(self, id: str, worker: str) -> bool | None:
        """See `JobQueue`."""
        with self.database.change() as connection:
            row = connection.execute(
                "UPDATE job SET lease = ? WHERE id = ? AND worker = ? AND state = 'running' RETURNING cancel",
                (now() + LEASE_SECONDS, id, worker),
            ).fetchone()
        return None if row is None else not row["cancel"]

    def finish(self, id: str, worker: str, state: str, result: dict[str, Any], error: str = "") -> bool:
        """See `JobQueue`."""
        with self.database.change() as connection:
            done = connection.execute(
                "UPDATE job SET state = ?, ended = ?, error = ?, result = ? WHERE id = ? AND worker = ?"
                " AND state = 'running'",
                (state, now(), error, json.dumps(result), id, worker),
            ).rowcount
            if done:
                _append(connection, id, {"kind": "end", "state": state, "error": error})
        return bool(done)

    def give_back(self, id: str, worker: str) -> None:
        """See `JobQueue`."""
        with self.database.change() as connection:
            connection.execute(
                "UPDATE job SET state = 'queued', tries = tries - 1, worker = '' WHERE id = ? AND worker = ?"
                " AND state = 'running'",
                (id, worker),
            )

    def cancel(self, id: str) -> None:
        """See `JobQueue`."""
        with self.database.change() as connection:
            done = connection.execute(
                "UPDATE job SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'", (now(), id)
            ).rowcount
            if done:
                _append(connection, id, {"kind": "end", "state": "cancelled", "error": ""})
            connection.execute("UPDATE job SET cancel = 1 WHERE id = ? AND state = 'running'", (id,))

    def get(self, id: str) -> StudioJob | None:
        """See `JobQueue`."""
        rows = self.database.rows("SELECT * FROM job WHERE id = ?", id)
        return _job(rows[0]) if rows else None

    def waiting(self) -> dict[str, int]:
        """See `JobQueue`."""
        found = self.database.rows("SELECT lane, COUNT(*) AS n FROM job WHERE state = 'queued' GROUP BY lane")
        return dict.fromkeys(self.max_queued, 0) | {row["lane"]: row["n"] for row in found}

    def before(self, job: StudioJob) -> int:
        """See `JobQueue`."""
        query = "SELECT COUNT(*) FROM job WHERE state = 'queued' AND lane = ? AND (turn, created) < (?, ?)"
        return int(self.database.rows(query, job.lane, job.turn, job.created)[0][0])

    def seconds_of(self, verb: str) -> float | None:
        """See `JobQueue`."""
        query = (
            "SELECT AVG(ended - started) FROM (SELECT started, ended FROM job WHERE verb = ? AND state = 'done'"
            " ORDER BY ended DESC LIMIT 20)"
        )
        mean = self.database.rows(query, verb)[0][0]
        return None if mean is None else float(mean)

    def add_event(self, id: str, body: dict[str, Any]) -> None:
        """See `JobQueue`."""
        with self.database.change() as connection:
            _append(connection, id, body)

    def events(self, id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """See `JobQueue`."""
        found = self.database.rows("SELECT n, body FROM event WHERE job = ? AND n > ? ORDER BY n", id, after)
        return [(row["n"], json.loads(row["body"])) for row in found]

    def forget(self, take: str) -> None:
        """See `JobQueue`."""
        with self.database.change() as connection:
            gone = f"(SELECT id FROM job WHERE take = ? AND state IN {ENDED})"
            connection.execute(f"DELETE FROM event WHERE job IN {gone}", (take,))
            connection.execute(f"DELETE FROM idempotency WHERE job IN {gone}", (take,))
            connection.execute(f"DELETE FROM job WHERE take = ? AND state IN {ENDED}", (take,))

    def close(self) -> None:
        """See `JobQueue`."""
        self.database.close()

    def _earlier(self, connection: sqlite3.Connection, client: str, key: str, digest: str) -> StudioJob | None:
        if not key:
            return None
        query = "SELECT digest, job FROM idempotency WHERE client = ? AND key = ?"
        row = connection.execute(query, (client, key)).fetchone()
        if row is None:
            return None
        if row["digest"] != digest:
            raise KeyReused("this Idempotency-Key was used for another request: send a new one.")
        return _job(connection.execute("SELECT * FROM job WHERE id = ?", (row["job"],)).fetchone())

    def _check_room(self, connection: sqlite3.Connection, job: StudioJob) -> int:
        """The number of this client's jobs that are not ended. Raises QueueFull."""
        query = "SELECT client = ? AS own, state, COUNT(*) AS n FROM job WHERE lane = ? AND state IN ('queued',"
        counts = connection.execute(query + " 'running') GROUP BY own, state", (job.client, job.lane)).fetchall()
        n_own = sum(row["n"] for row in counts if row["own"])
        n_queued = sum(row["n"] for row in counts if row["state"] == "queued")
        seconds = self.seconds_of(job.verb) or 5.0
        if n_own >= self.max_of_client[job.lane]:
            raise full(job.lane, n_own, seconds, of_client=True)
        if n_queued >= self.max_queued[job.lane]:
            raise full(job.lane, n_queued, seconds * 4, of_client=False)
        return n_own

    def _has_work(self, lanes: tuple[str, ...]) -> bool:
        """Looked up without the write lock, since idle workers ask often."""
        marks = ", ".join("?" * len(lanes))
        query = f"SELECT 1 FROM job WHERE lane IN ({marks}) AND (state = 'queued' OR (state = 'running' AND {_STALE}))"
        return bool(self.database.rows(query + " LIMIT 1", *lanes, *stale_leases(now())))

    def _bury(self, connection: sqlite3.Connection) -> None:
        """End the jobs that were lost too often, and those whose cancelling nobody carried out."""
        query = f"SELECT id, tries, cancel FROM job WHERE state = 'running' AND {_STALE} AND (tries >= ? OR cancel)"
        for row in connection.execute(query, (*stale_leases(now()), MAX_TRIES)).fetchall():
            state = "cancelled" if row["cancel"] else "failed"
            error = "" if row["cancel"] else _LOST.format(tries=row["tries"])
            change = "UPDATE job SET state = ?, ended = ?, error = ? WHERE id = ?"
            connection.execute(change, (state, now(), error, row["id"]))
            _append(connection, row["id"], {"kind": "end", "state": state, "error": error})


def _insert(connection: sqlite3.Connection, job: StudioJob) -> None:
    values = [getattr(job, field.name) for field in fields(StudioJob)]
    packed = [json.dumps(value) if isinstance(value, dict) else value for value in values]
    connection.execute(f"INSERT INTO job ({_COLUMNS}) VALUES ({', '.join('?' * len(packed))})", packed)


def _append(connection: sqlite3.Connection, id: str, body: dict[str, Any]) -> None:
    query = "INSERT INTO event SELECT ?, COALESCE(MAX(n), 0) + 1, ? FROM event WHERE job = ?"
    connection.execute(query, (id, json.dumps(body), id))


def _job(row: sqlite3.Row) -> StudioJob:
    values = dict(row)
    for name in ("options", "result"):
        values[name] = json.loads(values[name])
    return StudioJob(**{**values, "cancel": bool(values["cancel"])})
