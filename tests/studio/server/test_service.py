"""What the studio keeps on the disk: counted, bounded, and removed when nobody will need it."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from studio.server.service import STRAY_SECONDS

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"
BROKEN = b"MThd\x00\x00\x00\x06broken"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def upload(bench: Any, data: bytes) -> Any:
    return bench.client.put("/api/v1/tunes", content=data, headers={"Content-Type": "audio/midi"})


def test_takes_count_that_nobody_has_looked_at(bench: Any) -> None:
    bench.client.post("/api/v1/tunes/import", json={"abc": TUNE})
    bench.work()
    bench.studio.tidy()
    on_disk = sum(path.stat().st_size for path in bench.studio.takes.takes.glob("*/*"))
    assert bench.studio.takes.n_bytes() == on_disk > 0


def test_failed_and_cancelled_jobs_leave_nothing(bench: Any) -> None:
    failed = upload(bench, BROKEN).json()
    bench.work()
    assert bench.client.get(f"/api/v1/jobs/{failed['id']}").json()["state"] == "failed"
    cancelled = upload(bench, BROKEN).json()
    bench.client.delete(f"/api/v1/jobs/{cancelled['id']}")
    waiting = upload(bench, BROKEN).json()
    bench.studio.tidy()
    data = bench.studio.settings.data
    assert len(names(data / "uploads")) == 1  # of the job that waits
    assert names(data / "takes") == []
    states = [bench.client.get(f"/api/v1/takes/{job['take']}").json()["state"] for job in (failed, cancelled, waiting)]
    assert states == ["failed", "cancelled", "queued"]


def test_refused_uploads_leave_nothing(build_bench: Any) -> None:
    bench = build_bench(max_queued_of_client={"short": 1, "long": 1})
    assert [upload(bench, BROKEN).status_code for _ in range(3)] == [202, 429, 429]
    assert len(names(bench.studio.settings.data / "uploads")) == 1


def test_what_killed_processes_left_is_swept_once_it_is_old(bench: Any) -> None:
    job = bench.make("/tunes/import", {"abc": TUNE})
    data, old = bench.studio.settings.data, time.time() - STRAY_SECONDS - 60
    for name in ("takes/" + "a" * 32, "takes/" + "b" * 32):
        (data / name).mkdir()
    (data / "uploads" / "c").write_bytes(b"x")
    (data / "uploads" / "d").write_bytes(b"x")
    for name in ("takes/" + "a" * 32, "takes/" + job["take"], "uploads/c"):
        os.utime(data / name, (old, old))
    bench.studio.sweep()
    assert names(data / "takes") == sorted(["b" * 32, job["take"]])
    assert names(data / "uploads") == ["d"]


def test_a_take_deleted_while_it_is_made_does_not_come_back(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.server.service.CANCEL_SECONDS", 0.0)
    job = bench.client.post("/api/v1/tunes/import", json={"abc": TUNE}).json()
    for _ in range(2):
        bench.client.delete(f"/api/v1/takes/{job['take']}")
    assert bench.work() == 0 and bench.studio.takes.rebuild() == 0
    assert bench.client.get(f"/api/v1/takes/{job['take']}").status_code == 404
