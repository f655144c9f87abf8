"""Server-sent events of a job: each has its number as id, so a reader that comes back (Last-Event-ID) misses none."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from studio.server.service import Studio

POLL_SECONDS = 0.1
BEAT_SECONDS = 10.0  # a comment line at least so often, which shows that the connection lives


async def stream(studio: Studio, id: str, after: int) -> AsyncIterator[str]:
    """The events after a number, as they come, until the job has ended."""
    last_sent = time.monotonic()
    yield "retry: 1000\n\n"
    while not studio.is_ending:
        job = studio.queue.get(id)
        events = studio.queue.events(id, after)
        for number, body in events:
            after, last_sent = number, time.monotonic()
            yield _format(number, body)
        if job is None or (job.has_ended and not studio.queue.events(id, after)):
            if job is not None:
                yield _format(after, {"kind": "job", **studio.job_json(job)})
            return
        if time.monotonic() - last_sent > BEAT_SECONDS:
            last_sent = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


def _format(number: int, body: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {body.get('kind', 'message')}\ndata: {json.dumps(body)}\n\n"
