"""Put a studio under load, kill it at random moments, and count what was lost, doubled or broken.

    python -m studio.load --users 100 --seconds 600 -o studio_load.json
    python -m studio.load --users 20 --seconds 300 --kills 60 -o studio_kills.json
    python -m studio.load --songs 10 -o studio_songs.json

Starts a server of its own in a temporary folder. At first all users ask for words at once; the last answer is the
`last_first_lyric_seconds`. Then each makes songs' words, tunes, fills and transpositions one after another, follows
each job by its events, and thinks for some seconds. A request that meets a dead server is sent again with its
Idempotency-Key, a stream is taken up at the last event seen.

With --songs one user alone asks for whole songs, one after another, and the seconds until the words, the first sound
and the end are noted.

At the end every accepted job must have ended once (one `end` event in the log, one row), a done one must have its
files as take.json describes them, and no job may be there that nobody has asked for. The result is one JSON file with
the machine's load, since a busy machine is slow.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.jobs.sqlite_queue import SqliteQueue
from studio.library import take_files
from studio.settings import Settings
from symbolic import files, machine
from symbolic.errors import UserError

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"
THINK_SECONDS = 8.0  # mean, between two wishes of a user
KILL_SECONDS = 1.5  # mean, from the moment when everything runs again to the next kill
MEMORY_SECONDS = 30.0  # between two looks at the web process's memory
DRAIN_SECONDS = 300.0  # for the jobs that are open at the end
PATIENCE_SECONDS = 30.0  # of a client with one request
FAULTS = ("lost", "unknown", "doubled", "unended", "broken_takes")  # counts that must be 0
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/songs", {"until": "words"}),
    ("/tunes", {"max_tokens": 120}),
    ("/tunes/fill", {"abc": TUNE, "bars": "2-3", "n": 3}),
    ("/tunes/transpose", {"abc": TUNE, "semitones": 3}),
)


@dataclass
class LoadReport:
    """What the users saw: seconds of API calls, job ids, refusals and faults by status."""

    api_seconds: list[float] = field(default_factory=list)
    first_lyrics: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    unreachable: int = 0


class Server:
    """A studio of its own on a free port, which can be killed and is started again."""

    def __init__(self, data: Path, n_workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = ["serve", "--port", str(self.port), "--data", str(data), "--workers", str(n_workers)]
        self.words = [sys.executable, "-m", "studio", *words]
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def workers(self) -> list[int]:
        """Process ids of the workers: the children of its child, without the one that reads training tunes."""
        found = [worker for supervisor in _children(self.process.pid) for worker in _children(supervisor)]
        own = os.getpriority(os.PRIO_PROCESS, 0)
        return [worker for worker in found if _niceness(worker) == own]

    def rss_mib(self) -> float:
        """Resident memory of the web process, MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self) -> float:
        """Processor time of the web process since it was started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> float:
        """SIGTERM; returns the seconds until it has ended."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - started


class LoadUser:
    """One client with a cookie of its own."""

    def __init__(self, port: int, name: str, report: LoadReport, rng: random.Random) -> None:
        self.port, self.name, self.report, self.rng = port, name, report, rng

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Ask for words at once, then for anything, until it is over."""
        started = time.monotonic()
        if await self.wish(*REQUESTS[0]):
            self.report.first_lyrics.append(time.monotonic() - started)
        while not is_over():
            await asyncio.sleep(self.rng.expovariate(1 / THINK_SECONDS))
            await self.wish(*self.rng.choice(REQUESTS))

    async def wish(self, path: str, body: dict[str, Any]) -> bool:
        """Submit a request until it is accepted, follow the job to its end, fetch its take; False where refused."""
        key = secrets.token_hex(8)
        status, answer = await self.persist("POST", f"/api/v1{path}", body, {"Idempotency-Key": key})
        if status != 202:
            return False
        self.report.accepted.append(answer["id"])
        await self.follow(answer["id"])
        status, job = await self.persist("GET", f"/api/v1/jobs/{answer['id']}")
        self.report.ended[job.get("state", str(status))] += 1
        await self.persist("GET", f"/api/v1/takes/{answer['take']}")
        return True

    async def persist(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """A request, again and again while the server is away."""
        for _ in range(200):
            started = time.monotonic()
            try:
                status, answer = await asyncio.wait_for(self.send(method, path, body, headers), PATIENCE_SECONDS)
            except (OSError, EOFError, TimeoutError, ValueError):
                self.report.unreachable += 1
                await asyncio.sleep(0.5)
                continue
            self.report.api_seconds.append(time.monotonic() - started)
            self.report.statuses[status] += 1
            return status, answer
        raise UserError(f"the server was away for too long at {method} {path.split('/')[3]}")

    async def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request on a connection of its own; status and JSON."""
        async with self.connection(method, path, body, headers) as (reader, status):
            data = await reader.read()
        return status, json.loads(data)

    async def follow(self, id: str, see: Callable[[dict[str, Any]], None] = lambda event: None) -> None:
        """Read the events of a job until it has ended, and take the stream up again where it broke."""
        last = 0
        for _ in range(400):
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                headers = {"Last-Event-ID": str(last)}
                async with self.connection("GET", f"/api/v1/jobs/{id}/events", None, headers) as (reader, _status):
                    while line := await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS):
                        if line.startswith(b"id: "):
                            last = int(line[4:])
                        elif line.startswith(b"data: "):
                            see(json.loads(line[6:]))
                        elif line.startswith((b"event: end", b"event: job")):
                            return
            await asyncio.sleep(0.5)

    async def song(self, seed: int) -> dict[str, float]:
        """Seconds from the request to the words, the first sound and the end of a whole song, the processor time that
        the worker had spent on it by then (`_cpu`), and its length."""
        started = time.monotonic()
        seconds: dict[str, float] = {}

        def see(event: dict[str, Any]) -> None:
            moments = {"words": event.get("text"), "first_sound": "backing.wav" in event.get("files", ())}
            for name, is_there in moments.items():
                if is_there and name not in seconds:
                    seconds[name] = round(time.monotonic() - started, 3)
                    seconds[f"{name}_cpu"] = event["cpu_seconds"]
            seconds["song_cpu"] = event.get("cpu_seconds", seconds.get("song_cpu", 0.0))

        _, answer = await self.persist("POST", "/api/v1/songs", {"seed": seed})
        await self.follow(answer["id"], see)
        seconds["song"] = round(time.monotonic() - started, 3)
        _, job = await self.persist("GET", f"/api/v1/jobs/{answer['id']}")
        if job["state"] != "done":
            raise UserError(f"the song of seed {seed} was not made: {job['error']}")
        return {**seconds, "music": job["result"]["seconds"]}

    @contextlib.asynccontextmanager
    async def connection(self, method: str, path: str, body: Any, headers: dict[str, str] | None) -> Any:
        """Open a connection, send a request, read status and headers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            data = b"" if body is None else json.dumps(body).encode()
            lines = [f"{method} {path} HTTP/1.0", f"Host: 127.0.0.1:{self.port}", f"Cookie: studio_client={self.name}"]
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            await writer.drain()
            status = int((await reader.readline()).split()[1:2][0]) if not reader.at_eof() else 0
            while (await reader.readline()).strip():
                pass
            yield reader, status
        except IndexError as error:
            raise EOFError from error
        finally:
            writer.close()


async def kill_at_random(server: Server, n_kills: int, until: float, rng: random.Random) -> Counter[str]:
    """kill -9 a worker (two times of three) or the web server, at random moments while both run; a server is started
    again. Ends after n_kills, or at a moment of the monotonic clock."""
    killed: Counter[str] = Counter()
    probe = LoadUser(server.port, "probe", LoadReport(), rng)
    while killed.total() < n_kills:
        await answering(server, probe)
        await asyncio.sleep(rng.uniform(0.0, 2 * KILL_SECONDS))
        if time.monotonic() > until:
            break
        if rng.random() < 2 / 3:
            with contextlib.suppress(ProcessLookupError, IndexError):  # it has just ended
                os.kill(rng.choice(server.workers()), signal.SIGKILL)
                killed["worker"] += 1
        else:
            server.process.kill()
            server.process.wait()
            killed["web"] += 1
            server.start()
    return killed


async def answering(server: Server, probe: LoadUser) -> None:
    """Wait until the server answers and has workers."""
    while True:
        with contextlib.suppress(OSError, EOFError, ValueError, TimeoutError):
            await asyncio.wait_for(probe.send("GET", "/healthz"), PATIENCE_SECONDS)
            if server.workers():
                return
        await asyncio.sleep(0.05)


async def memory_series(server: Server, found: list[float]) -> None:
    """Add the web process's memory (MiB) to `found` every MEMORY_SECONDS, until cancelled."""
    while True:
        await asyncio.sleep(MEMORY_SECONDS)
        found.append(round(server.rss_mib(), 1))


async def warm_up(server: Server, report: LoadReport) -> dict[str, float]:
    """Wait for the server and for its workers; the seconds that each took from the start."""
    first = LoadUser(server.port, "first", report, random.Random(0))
    seconds = {}
    while "answers" not in seconds:
        with contextlib.suppress(OSError, EOFError, ValueError):
            await first.send("GET", "/healthz")
            seconds["answers"] = round(time.monotonic() - server.started, 2)
        await asyncio.sleep(0.02)
    await first.wish(*REQUESTS[3])
    seconds["first_job_done"] = round(time.monotonic() - server.started, 2)
    report.api_seconds.clear()
    report.unreachable = 0
    return seconds


async def run_load(server: Server, n_users: int, seconds: float, n_kills: int, seed: int) -> dict[str, Any]:
    """All users at once, for so many seconds or until the last kill; returns what they saw."""
    report, rng = LoadReport(), random.Random(seed)
    start_seconds = await warm_up(server, report)
    before, cpu_before = server.rss_mib(), server.cpu_seconds()
    until = time.monotonic() + seconds
    users = [LoadUser(server.port, f"user{i}", report, random.Random(seed + i)) for i in range(n_users)]
    killer = asyncio.create_task(kill_at_random(server, n_kills, until, rng))
    memory: list[float] = []
    watcher = asyncio.create_task(memory_series(server, memory))

    def is_over() -> bool:
        return time.monotonic() > until or (n_kills > 0 and killer.done())

    await asyncio.gather(*(user.live(is_over) for user in users))
    killed = await killer
    watcher.cancel()
    web_cpu = server.cpu_seconds() - (0.0 if killed["web"] else cpu_before)
    return {
        "accepted": report.accepted, "ended": dict(report.ended), "kills": dict(killed),
        "statuses": {str(status): n for status, n in sorted(report.statuses.items())},
        "requests": len(report.api_seconds), "unreachable": report.unreachable,
        "api_ms": {f"p{share}": round(1000 * percentile(report.api_seconds, share), 1) for share in (50, 95, 100)},
        "last_first_lyric_seconds": round(max(report.first_lyrics, default=0.0), 2),
        "web_mib": {"before": round(before, 1), "after": round(server.rss_mib(), 1)},
        "web_mib_series": memory,
        "web_cpu_seconds": round(web_cpu, 2),
        "start_seconds": start_seconds,
    }  # fmt: skip


async def run_songs(server: Server, n_songs: int, seed: int) -> list[dict[str, float]]:
    """The seconds of songs that one user asks for, the first of which warms the workers up and is left out."""
    report = LoadReport()
    await warm_up(server, report)
    user = LoadUser(server.port, "singer", report, random.Random(seed))
    return [await user.song(seed + number) for number in range(n_songs + 1)][1:]


def measure(n_users: int, seconds: float, n_kills: int, n_workers: int, seed: int) -> dict[str, Any]:
    """Load a studio of its own in a temporary folder, and count what came of the jobs."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), n_workers)
        try:
            seen = asyncio.run(run_load(server, n_users, seconds, n_kills, seed))
        finally:
            ended = server.stop()
        counts = audit(Path(folder), seen.pop("accepted"))
    return {**seen, **counts, "stop_seconds": round(ended, 2)}


def measure_songs(n_songs: int, n_workers: int, seed: int) -> list[dict[str, float]]:
    """The seconds of whole songs in a studio of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), n_workers)
        try:
            return asyncio.run(run_songs(server, n_songs, seed))
        finally:
            server.stop()


def audit(data: Path, accepted: Sequence[str]) -> dict[str, int]:
    """Count in the queue and on the disk: lost, doubled, unended and broken must all be 0."""
    settings = Settings(data=data)
    queue = SqliteQueue(settings.database, settings.max_queued, settings.max_queued_of_client)
    rows = [row["id"] for row in queue.database.rows("SELECT id FROM job")]
    found = {id: job for id in rows if (job := queue.get(id)) is not None}
    ends = {id: sum(body["kind"] == "end" for _, body in queue.events(id)) for id in found}
    broken = [job for job in found.values() if job.state == "done" and not is_whole(data / "takes" / job.take)]
    queue.close()
    return {
        "lost": len(set(accepted) - set(found)),
        "unknown": len(set(found) - set(accepted)),
        "doubled": len(accepted) - len(set(accepted)) + sum(n > 1 for n in ends.values()),
        "unended": sum(not job.has_ended or ends[id] == 0 for id, job in found.items()),
        "broken_takes": len(broken),
        "tried_again": sum(job.tries > 1 for job in found.values()),
    }  # fmt: skip


def is_whole(folder: Path) -> bool:
    """Whether every file of a take is as take.json says, and none is unfinished."""
    record = folder / take_files.RECORD
    listed: dict[str, Any] = files.read_json(record)["files"] if record.is_file() else {}
    return bool(listed) and all(
        (folder / name).is_file() and files.sha256(folder / name) == about["sha256"] for name, about in listed.items()
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` percent of all do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


def _niceness(process: int) -> int | None:
    try:
        return os.getpriority(os.PRIO_PROCESS, process)
    except ProcessLookupError:
        return None


def _children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load, print and write the result."""
    parser = argparse.ArgumentParser(prog="python -m studio.load", description="Load a studio and kill it.")
    parser.add_argument("--users", type=int, default=100, metavar="N")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill -9 at random moments, then end")
    parser.add_argument("--songs", type=int, default=0, metavar="N", help="instead: N whole songs, one after another")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    load_before = os.getloadavg()[1]
    if args.songs:
        found: dict[str, Any] = {"songs": measure_songs(args.songs, args.workers, args.seed)}
    else:
        found = {"users": args.users, "seconds": args.seconds}
        found |= measure(args.users, args.seconds, args.kills, args.workers, args.seed)
    result = {
        "workers": args.workers, "seed": args.seed, **found, "machine": machine.card(),
        "load_average_5min": {"before": load_before, "after": os.getloadavg()[1]},
    }  # fmt: skip
    print(json.dumps(result))
    if args.output:
        files.write_json(args.output, result)
    return int(any(result.get(name, 0) for name in FAULTS))


if __name__ == "__main__":
    sys.exit(main())
