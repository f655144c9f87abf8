"""The queue of several machines, on a real server: workers of two processes, and what is said when there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from studio.jobs.job_queue import StudioJob, new_id
from studio.jobs.open_queue import open_queue
from studio.jobs.redis_queue import RedisQueue
from studio.settings import Settings
from symbolic.errors import UserError

_WORKER = """
import sys
from studio.jobs.redis_queue import RedisQueue
queue = RedisQueue(sys.argv[1], {}, {})
while (job := queue.claim(sys.argv[2], ("short",))) is not None:
    print(job.id)
    queue.finish(job.id, sys.argv[2], "done", {})
"""


def test_two_processes_share_the_jobs(redis_address: str) -> None:
    queue = RedisQueue(redis_address, {"short": 100}, {"short": 100})
    queue.redis.flushdb()
    jobs = [StudioJob(new_id(), new_id(), "tune", "short", "a", {}, 60.0) for _ in range(80)]
    for job in jobs:
        queue.submit(job)
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, redis_address, name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    claimed = [line for worker in workers for line in worker.communicate(timeout=120)[0].split()]
    assert sorted(claimed) == sorted(job.id for job in jobs)
    assert queue.waiting() == {"short": 0} and queue.redis.hlen("studio:open:short") == 0
    queue.close()


def test_an_address_without_a_server_is_said_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("redis", reason="the extra `studio-redis` is not installed")
    with pytest.raises(UserError, match="does not answer") as caught:
        open_queue(Settings(data=tmp_path, queue=f"unix://:secret@{tmp_path}/none.sock"))
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match="redis://HOST"):
        open_queue(Settings(data=tmp_path, queue="amqp://x"))
