"""What only the queue in a file has: it is there again when it is opened anew, and idle workers write nothing."""

from pathlib import Path

import pytest

from studio.jobs.job_queue import StudioJob, new_id
from studio.jobs.sqlite_queue import SqliteQueue
from symbolic.errors import UserError

LIMITS = {"short": 5, "long": 5}


def test_jobs_and_events_are_there_after_a_restart(tmp_path: Path) -> None:
    first = SqliteQueue(tmp_path / "q.sqlite", LIMITS, LIMITS)
    job = first.submit(StudioJob(new_id(), new_id(), "tune", "short", "a", {"seed": 1}, 60.0))
    first.add_event(job.id, {"kind": "text"})
    first.close()
    second = SqliteQueue(tmp_path / "q.sqlite", LIMITS, LIMITS)
    assert second.get(job.id) == job
    assert second.events(job.id) == [(1, {"kind": "text"})]
    second.close()


def test_a_look_at_an_empty_queue_changes_nothing(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "q.sqlite", LIMITS, LIMITS)
    before = queue.database.connection().total_changes
    assert queue.claim("w", ("short", "long")) is None
    assert queue.database.connection().total_changes == before
    queue.close()


def test_a_database_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "q.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(UserError, match=r"q\.sqlite cannot be opened \(file is not a database\)"):
        SqliteQueue(tmp_path / "q.sqlite", {}, {})
