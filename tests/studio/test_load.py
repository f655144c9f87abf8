"""The load script counts what it should: a lost, doubled, unended or broken job is found."""

import json
from pathlib import Path

import pytest

from studio import load
from studio.jobs.job_queue import StudioJob, new_id
from studio.jobs.sqlite_queue import SqliteQueue
from studio.settings import Settings
from symbolic import files

LIMITS = {"short": 9, "long": 9}


def test_percentiles() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [load.percentile(values, share) for share in (50, 95, 100)] == [51.0, 96.0, 100.0]
    assert load.percentile([], 95) == 0.0


def test_faults_are_counted(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    queue = SqliteQueue(settings.database, LIMITS, LIMITS)
    jobs = [StudioJob(new_id(), new_id(), "tune", "short", "a", {}, 60.0) for _ in range(4)]
    for job in jobs:
        queue.submit(job)
    for _ in range(3):
        claimed = queue.claim("w", ("short",))
        assert claimed is not None
        queue.finish(claimed.id, "w", "done", {})
    whole, changed = (tmp_path / "takes" / job.take for job in jobs[:2])  # the third has no folder
    for folder in (whole, changed):
        folder.mkdir(parents=True)
        (folder / "tune.abc").write_text("X:1\n")
        record = {"files": {"tune.abc": {"sha256": files.sha256(folder / "tune.abc")}}}
        (folder / "take.json").write_text(json.dumps(record))
    (changed / "tune.abc").write_text("X:2\n")
    queue.add_event(jobs[0].id, {"kind": "end"})
    queue.close()
    counts = load.audit(tmp_path, [jobs[0].id, jobs[1].id, jobs[2].id, "gone"])
    assert counts == {"lost": 1, "unknown": 1, "doubled": 1, "unended": 1, "broken_takes": 2, "tried_again": 0}


@pytest.mark.slow
def test_a_small_load_with_kills_loses_nothing(tmp_path: Path) -> None:
    words = ["--users", "6", "--seconds", "20", "--kills", "4", "-o", str(tmp_path / "load.json")]
    assert load.main(words) == 0
    result = files.read_json(tmp_path / "load.json")
    assert sum(result["ended"].values()) >= 6 and sum(result["kills"].values()) == 4
    assert not any(status.startswith("5") and status != "503" for status in result["statuses"])
