"""A worker ends every job once: done, failed with a mend, cancelled, or given back."""

import json
from typing import Any

import pytest

from studio.actions.action_table import ACTIONS
from studio.jobs.job_queue import StudioJob, new_id
from symbolic.errors import UserError


def submit(bench: Any, verb: str = "transpose", **options: Any) -> StudioJob:
    made = StudioJob(new_id(), new_id(), verb, "short", "a", {"seed": 1, "_work": "w", "_parent": "", **options}, 60.0)
    submitted: StudioJob = bench.studio.queue.submit(made)
    return submitted


def test_a_take_is_whole_before_its_job_is_done(bench: Any) -> None:
    job = submit(bench, abc="X:1\nT:a\nM:4/4\nK:C\nCDEF GABc|\n", semitones=2)
    bench.work()
    record = json.loads((bench.studio.takes.folder(job.take) / "take.json").read_text(encoding="utf-8"))
    assert bench.studio.queue.get(job.id).state == "done"
    assert record["result"] == bench.studio.queue.get(job.id).result
    assert set(record["files"]) == {"given.abc", "tune.abc", "tune.mid", "tune.musicxml"}


def test_work_that_was_finished_by_a_dead_worker_is_not_done_again(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit(bench, abc="X:1\nT:a\nM:4/4\nK:C\nCDEF GABc|\n", semitones=2)
    bench.work()
    monkeypatch.setattr(type(ACTIONS["transpose"]), "load", lambda self: pytest.fail("done twice"))
    again = submit(bench, semitones=2)
    object.__setattr__(again, "take", job.take)
    claimed = bench.studio.queue.claim("test", ("short",))
    object.__setattr__(claimed, "take", job.take)
    bench.worker.carry_out(claimed)
    assert bench.studio.queue.get(claimed.id).state == "done"


def test_a_mistake_is_told_and_a_fault_of_ours_is_not_quoted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = submit(bench, abc="no tune", semitones=2)
    bench.work()
    assert "a tune begins with X:" in bench.studio.queue.get(wrong.id).error

    def fail(context: Any, options: Any) -> dict[str, Any]:
        raise ValueError("secret text")

    monkeypatch.setattr(type(ACTIONS["transpose"]), "load", lambda self: fail)
    faulty = submit(bench, abc="X:1\nK:C\nC|\n", semitones=2)
    bench.work()
    found = bench.studio.queue.get(faulty.id)
    assert found.state == "failed" and "secret" not in found.error and "ValueError" in found.error


def test_a_cancelled_job_ends_at_its_next_event(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit(bench, abc="", semitones=2)

    def endless(context: Any, options: Any) -> dict[str, Any]:
        import time

        bench.studio.queue.cancel(job.id)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            context.show(kind="text", text="x")
            time.sleep(0.01)
        raise UserError("was not cancelled")

    monkeypatch.setattr(type(ACTIONS["transpose"]), "load", lambda self: endless)
    bench.work()
    assert bench.studio.queue.get(job.id).state == "cancelled"


def test_a_worker_that_is_told_to_end_gives_its_job_back(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit(bench, abc="", semitones=2)

    def ends(context: Any, options: Any) -> dict[str, Any]:
        bench.worker.stop.set()
        context.check()
        return {}

    monkeypatch.setattr(type(ACTIONS["transpose"]), "load", lambda self: ends)
    claimed = bench.studio.queue.claim("test", ("short",))
    bench.worker.carry_out(claimed)
    found = bench.studio.queue.get(job.id)
    assert (found.state, found.tries) == ("queued", 0)
