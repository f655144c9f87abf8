"""Streams of events: every event once, the end told at once and again to who comes back, and not too many open."""

import asyncio
import json
from typing import Any

from studio.server import event_stream
from studio.server.event_stream import OpenStreams

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"


def events(text: str) -> list[tuple[int, dict[str, Any]]]:
    """Number and body of each event of a stream."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if block.startswith("id: ")]
    return [(int(lines[0][4:]), json.loads(lines[2][6:])) for lines in blocks]


def test_a_stream_ends_with_the_job_and_can_be_taken_up(bench: Any) -> None:
    job = bench.make("/tunes", {"seed": 3, "max_tokens": 60})
    url = f"/api/v1/jobs/{job['id']}/events"
    whole = events(bench.client.get(url).text)
    assert [body["kind"] for _, body in whole][-2:] == ["end", "job"]
    assert [number for number, _ in whole[:-1]] == list(range(1, len(whole)))
    rest = events(bench.client.get(url, headers={"Last-Event-ID": str(whole[0][0])}).text)
    assert rest == whole[1:]
    late = events(bench.client.get(url, headers={"Last-Event-ID": str(whole[-1][0])}).text)
    assert [body["kind"] for _, body in late] == ["job"]


def test_an_end_that_comes_while_it_is_read_is_told(bench: Any) -> None:
    job = bench.client.post("/api/v1/tunes/import", json={"abc": TUNE}).json()

    async def read() -> str:
        text = ""
        async for part in event_stream.stream(bench.studio, job["id"], 0):
            text += part
            if "retry" in part:
                await asyncio.to_thread(bench.work)
        return text

    assert [body["kind"] for _, body in events(asyncio.run(read()))][-2:] == ["end", "job"]


def test_nobody_opens_too_many(bench: Any) -> None:
    job = bench.client.post("/api/v1/songs", json={"until": "words"}).json()
    streams: OpenStreams = bench.studio.streams
    streams.of_client["a:testclient"] = event_stream.MAX_STREAMS_OF_CLIENT
    answer = bench.client.get(f"/api/v1/jobs/{job['id']}/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    streams.of_client.clear()
    bench.work()
    assert bench.client.get(f"/api/v1/jobs/{job['id']}/events").status_code == 200
    assert not streams.of_client  # what was read to its end is open no more
