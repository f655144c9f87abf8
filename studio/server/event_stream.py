"""Server-sent events of a job: each has its number as id, so a reader that comes back (Last-Event-ID) misses none."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.server.service import Studio

POLL_SECONDS = 0.1
MAX_LOOKS = 250.0  # a second, of all streams together: where more are open, each looks less often
LOOK_SECONDS = 2.0  # between two looks at the job itself, whose last event tells of its end
BEAT_SECONDS = 10.0  # a comment line at least so often, which shows that the connection lives
MAX_STREAMS, MAX_STREAMS_OF_CLIENT = 500, 20


async def stream(studio: "Studio", id: str, after: int) -> AsyncIterator[str]:
    """The events after a number, as they come, until the job has ended."""
    last_sent, last_look = time.monotonic(), -LOOK_SECONDS
    yield "retry: 1000\n\n"
    while not studio.is_ending:
        is_over = time.monotonic() - last_look >= LOOK_SECONDS
        for number, body in studio.queue.events(id, after):
            after, last_sent = number, time.monotonic()
            is_over |= body.get("kind") == "end"
            yield _format(number, body)
        if is_over:
            last_look = time.monotonic()
            job = studio.queue.get(id)
            if job is None or (job.has_ended and not studio.queue.events(id, after)):
                if job is not None:
                    yield _format(after, {"kind": "job", **studio.job_json(job)})
                return
        if time.monotonic() - last_sent > BEAT_SECONDS:
            last_sent = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(max(POLL_SECONDS, studio.streams.of_client.total() / MAX_LOOKS))


class OpenStreams:
    """How many streams are open, by client."""

    def __init__(self) -> None:
        self.of_client: Counter[str] = Counter()

    def has_room(self, client: str) -> bool:
        """Whether one more may be opened."""
        return self.of_client[client] < MAX_STREAMS_OF_CLIENT and self.of_client.total() < MAX_STREAMS

    async def counted(self, client: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
        """The same events, counted as a stream of the client's until they end or it goes away."""
        self.of_client[client] += 1
        try:
            async for event in events:
                yield event
        finally:
            self.of_client[client] -= 1
            self.of_client += Counter()  # forgets clients without streams


def _format(number: int, body: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {body.get('kind', 'message')}\ndata: {json.dumps(body)}\n\n"
