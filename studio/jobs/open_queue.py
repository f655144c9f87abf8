"""The queue that the settings name."""

from studio.jobs.job_queue import JobQueue
from studio.settings import Settings
from symbolic.errors import UsageError


def open_queue(settings: Settings) -> JobQueue:
    """The queue of this machine, or a shared one. UsageError for an address that is none."""
    if not settings.queue:
        from studio.jobs.sqlite_queue import SqliteQueue

        return SqliteQueue(settings.database, settings.max_queued, settings.max_queued_of_client)
    if settings.queue.startswith(("redis://", "rediss://", "unix://")):
        from studio.jobs.redis_queue import RedisQueue

        return RedisQueue(settings.queue, settings.max_queued, settings.max_queued_of_client)
    raise UsageError(f"--queue {settings.queue}: give an address as redis://HOST:6379/0.")
