"""The queue of jobs: what a server and its workers share, whatever keeps it.

A job is one request of the closed list of verbs. Life: queued -> running -> done | failed | cancelled; each job ends
exactly once. A worker holds a running job by a lease that it renews every BEAT_SECONDS; a job whose lease has run out
is claimed by the next worker, MAX_TRIES times at most. Two lanes keep short jobs from waiting for long ones. Within a
lane clients take turns: a client's first waiting job stands before everybody's second.

Events are what a job tells while it runs, numbered from 1; a reader that was cut off asks for those after the last
number it has.

`SqliteQueue` is the queue of one machine, `RedisQueue` that of several with a shared folder.
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from symbolic.errors import UserError

BEAT_SECONDS = 1.0
LEASE_SECONDS = 5.0
MAX_TRIES = 3
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class StudioJob:
    """One job. Times are seconds since 1970; `take` is the folder that it fills; `limit_seconds` is processor time."""

    id: str
    take: str
    verb: str
    lane: str
    client: str
    options: dict[str, Any]
    limit_seconds: float
    state: str = "queued"
    turn: int = 0
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    lease: float = 0.0
    worker: str = ""
    tries: int = 0
    cancel: bool = False
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


class QueueFull(UserError):
    """No more jobs are taken: `of_client` says whether because of this client's own."""

    def __init__(self, message: str, retry_after_seconds: int, of_client: bool) -> None:
        super().__init__(message)
        self.retry_after_seconds, self.of_client = retry_after_seconds, of_client


class KeyReused(UserError):
    """An idempotency key that was used for another request."""


class JobQueue(Protocol):
    """What every queue can do. All methods are safe to call from several threads and processes."""

    def submit(self, job: StudioJob, idempotency_key: str = "", digest: str = "") -> StudioJob:
        """Add a job, or return the one that the same client made with this key. Raises QueueFull or KeyReused."""

    def claim(self, worker: str, lanes: tuple[str, ...]) -> StudioJob | None:
        """The next job of the first lane that has one, now running under a lease of `worker`."""

    def beat(self, id: str, worker: str) -> bool | None:
        """Renew the lease; True to go on, False when it is to be cancelled, None when it is no longer this worker's."""

    def finish(self, id: str, worker: str, state: str, result: dict[str, Any], error: str = "") -> bool:
        """End a running job; False when it is no longer this worker's."""

    def give_back(self, id: str, worker: str) -> None:
        """Put a running job back into the queue, as if it had not been tried."""

    def cancel(self, id: str) -> None:
        """End a queued job; ask for the end of a running one."""

    def get(self, id: str) -> StudioJob | None:
        """The job, or None."""

    def waiting(self) -> dict[str, int]:
        """Number of queued jobs of each lane."""

    def before(self, job: StudioJob) -> int:
        """How many jobs of its lane are to be claimed before a queued one."""

    def seconds_of(self, verb: str) -> float | None:
        """Mean seconds of the last jobs of a verb; None before the first."""

    def add_event(self, id: str, body: dict[str, Any]) -> None:
        """Tell something about a job."""

    def events(self, id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """(number, body) of the events after a number, in order."""

    def forget(self, take: str) -> None:
        """Remove the ended jobs of a take, and their events."""

    def close(self) -> None:
        """Give back connections."""


def new_id() -> str:
    """128 random bits, hexadecimal."""
    return secrets.token_hex(16)


def full(lane: str, n_waiting: int, seconds: float, of_client: bool) -> QueueFull:
    """The refusal of one job too many, with how long to wait."""
    wait = max(1, min(120, round(seconds)))
    whose = f"You have {n_waiting} jobs waiting" if of_client else f"{n_waiting} jobs are waiting"
    return QueueFull(f"{whose} in the {lane} queue, and that is full: try again in {wait} s.", wait, of_client)


def now() -> float:
    """Seconds since 1970, for leases that several processes compare."""
    return time.time()


def stale_leases(now: float) -> tuple[float, float]:
    """A lease that ends before the first moment has run out; one that ends after the second was given by a clock that
    has been set back since, and is not waited for."""
    return now, now + 2 * LEASE_SECONDS
