"""The laws of both queues: a job is claimed by one worker at a time, ends once, and clients take turns."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from studio.jobs import job_queue, sqlite_queue
from studio.jobs.job_queue import ENDED, JobQueue, KeyReused, QueueFull, StudioJob, new_id
from studio.jobs.redis_queue import RedisQueue
from studio.jobs.sqlite_queue import SqliteQueue

LIMITS = {"short": 6, "long": 4}
MANY = {"short": 50, "long": 50}
Open = Callable[[dict[str, int], dict[str, int]], JobQueue]


def job(client: str = "a", lane: str = "short") -> StudioJob:
    return StudioJob(new_id(), new_id(), "tune", lane, client, {"seed": 1}, 60.0)


class Clock:
    """The time of both queues."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(sqlite_queue, "now", self.tick)
        patch.setattr(RedisQueue, "now", lambda queue: self.tick())

    def tick(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(params=["sqlite", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """A function that opens the same queue."""
    if request.param == "sqlite":
        yield lambda limits, own: SqliteQueue(tmp_path / "q.sqlite", limits, own)
        return
    address = request.getfixturevalue("redis_address")
    first = RedisQueue(address, {}, {})
    first.redis.flushdb()
    yield lambda limits, own: RedisQueue(address, limits, own)
    first.close()


@pytest.fixture
def queue(opened: Open) -> Iterator[JobQueue]:
    made = opened(LIMITS, {"short": 3, "long": 1})
    yield made
    made.close()


def test_clients_take_turns(queue: JobQueue) -> None:
    first, second = queue.submit(job("a")), queue.submit(job("a"))
    other = queue.submit(job("b"))
    claimed = [queue.claim("w", ("short",)) for _ in range(4)]
    assert [one.id for one in claimed if one] == [first.id, other.id, second.id]


def test_full_queues_refuse_and_say_when_to_come_back(queue: JobQueue) -> None:
    for _ in range(3):
        queue.submit(job("a"))
    with pytest.raises(QueueFull) as own:
        queue.submit(job("a"))
    for client in ("b", "c", "d"):
        queue.submit(job(client))
    with pytest.raises(QueueFull) as everybody:
        queue.submit(job("e"))
    assert (own.value.of_client, everybody.value.of_client) == (True, False)
    assert everybody.value.retry_after_seconds >= 1
    assert queue.waiting() == {"short": 6, "long": 0}


def test_a_key_means_one_job(queue: JobQueue) -> None:
    first = queue.submit(job("a"), "key", "digest")
    assert queue.submit(job("a"), "key", "digest").id == first.id
    assert queue.submit(job("b"), "key", "digest").id != first.id
    with pytest.raises(KeyReused):
        queue.submit(job("a"), "key", "another")


def test_a_lost_lease_is_claimed_again_and_the_loser_cannot_end_the_job(queue: JobQueue, clock: Clock) -> None:
    id = queue.submit(job()).id
    assert queue.claim("first", ("short",)) is not None
    assert queue.claim("second", ("short",)) is None
    clock.now += job_queue.LEASE_SECONDS + 1
    again = queue.claim("second", ("short",))
    assert again is not None and (again.id, again.tries) == (id, 2)
    assert queue.beat(id, "first") is None
    assert not queue.finish(id, "first", "done", {})
    assert queue.finish(id, "second", "done", {"x": 1})
    assert not queue.finish(id, "second", "failed", {})
    ends = [body for _, body in queue.events(id) if body["kind"] == "end"]
    assert ends == [{"kind": "end", "state": "done", "error": ""}]


def test_a_lease_of_a_clock_that_was_set_back_is_not_waited_for(queue: JobQueue, clock: Clock) -> None:
    id = queue.submit(job()).id
    assert queue.claim("dead", ("short",)) is not None
    clock.now -= 900.0
    again = queue.claim("other", ("short",))
    assert again is not None and again.id == id
    assert queue.claim("third", ("short",)) is None and queue.finish(id, "other", "done", {})


def test_a_job_that_kills_its_workers_fails(queue: JobQueue, clock: Clock) -> None:
    id = queue.submit(job()).id
    for _ in range(job_queue.MAX_TRIES):
        assert queue.claim("w", ("short",)) is not None
        clock.now += job_queue.LEASE_SECONDS + 1
    assert queue.claim("w", ("short",)) is None
    dead = queue.get(id)
    assert dead is not None and dead.state == "failed" and "3 times" in dead.error


def test_cancelling(queue: JobQueue) -> None:
    waiting, running = queue.submit(job("a")), queue.submit(job("b"))
    queue.cancel(waiting.id)
    assert queue.claim("w", ("short",)) is not None
    queue.cancel(running.id)
    assert queue.beat(running.id, "w") is False
    states = [found.state for id in (waiting.id, running.id) if (found := queue.get(id))]
    assert states == ["cancelled", "running"]


def test_no_job_is_claimed_twice_by_threads(opened: Open) -> None:
    queue = opened({"short": 100}, {"short": 100})
    ids = {queue.submit(job()).id for _ in range(60)}
    claimed: list[str] = []

    def work(name: str) -> None:
        while (one := queue.claim(name, ("short",))) is not None:
            claimed.append(one.id)
            queue.finish(one.id, name, "done", {})

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 60 and set(claimed) == ids
    queue.close()


def test_a_job_given_back_counts_as_not_tried(queue: JobQueue) -> None:
    id = queue.submit(job()).id
    assert queue.claim("w", ("short",)) is not None
    queue.give_back(id, "other")
    queue.give_back(id, "w")
    found = queue.get(id)
    assert found is not None and (found.state, found.tries) == ("queued", 0)
    assert queue.before(found) == 0 and queue.claim("v", ("short",)) is not None


def test_seconds_are_the_mean_of_what_was_done(queue: JobQueue, clock: Clock) -> None:
    assert queue.seconds_of("tune") is None
    for seconds in (1.0, 3.0):
        id = queue.submit(job()).id
        queue.claim("w", ("short",))
        clock.now += seconds
        queue.finish(id, "w", "done", {"tunes": [1]})
    assert queue.seconds_of("tune") == pytest.approx(2.0, abs=0.02)
    found = queue.get(id)
    assert found is not None and found.result == {"tunes": [1]} and found.options == {"seed": 1}


def test_forgetting_removes_jobs_and_events(queue: JobQueue) -> None:
    one = queue.submit(job())
    queue.claim("w", ("short",))
    queue.add_event(one.id, {"kind": "text"})
    queue.finish(one.id, "w", "done", {})
    queue.forget(one.take)
    assert queue.get(one.id) is None and queue.events(one.id) == []
    keyed = queue.submit(job(), "key", "digest")
    queue.cancel(keyed.id)
    queue.forget(keyed.take)
    assert queue.submit(job(), "key", "digest").id != keyed.id


class QueueMachine(RuleBasedStateMachine):
    """Submit, claim, beat, die, cancel and restart in any order: each job ends at most once, and stays ended."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock(self.patch)
        self.jobs: list[str] = []
        self.held: dict[str, str] = {}  # worker -> job
        self.ended: dict[str, str] = {}
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.queue = self.open_queue()

    def open_queue(self) -> JobQueue:
        return SqliteQueue(Path(self.folder.name) / "q.sqlite", MANY, MANY)

    @rule(client=st.sampled_from("abc"), lane=st.sampled_from(("short", "long")))
    def submit(self, client: str, lane: str) -> None:
        if len(self.jobs) < 40:
            self.jobs.append(self.queue.submit(job(client, lane)).id)

    @rule(worker=st.sampled_from(("w1", "w2")), lanes=st.sampled_from((("short",), ("long", "short"))))
    def claim(self, worker: str, lanes: tuple[str, ...]) -> None:
        if worker not in self.held and (one := self.queue.claim(worker, lanes)) is not None:
            self.held[worker] = one.id

    @rule(worker=st.sampled_from(("w1", "w2")))
    def beat(self, worker: str) -> None:
        if worker in self.held:
            self.queue.beat(self.held[worker], worker)

    @rule(worker=st.sampled_from(("w1", "w2")), state=st.sampled_from(ENDED))
    def finish(self, worker: str, state: str) -> None:
        if worker in self.held:
            id = self.held.pop(worker)
            if self.queue.finish(id, worker, state, {}):
                assert id not in self.ended
                self.ended[id] = state

    @rule(worker=st.sampled_from(("w1", "w2")))
    def die(self, worker: str) -> None:
        self.held.pop(worker, None)
        self.clock.now += job_queue.LEASE_SECONDS + 1

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.jobs:
            self.queue.cancel(data.draw(st.sampled_from(self.jobs)))

    @invariant()
    def ended_jobs_stay_ended(self) -> None:
        for id, state in getattr(self, "ended", {}).items():
            found = self.queue.get(id)
            assert found is not None and found.state == state
        for id in getattr(self, "jobs", []):
            found = self.queue.get(id)
            ends = [body for _, body in self.queue.events(id) if body["kind"] == "end"]
            assert found is not None and len(ends) == int(found.has_ended)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.queue.close()
            self.patch.undo()
            self.folder.cleanup()


QueueMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestQueueMachine = QueueMachine.TestCase
