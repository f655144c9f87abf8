"""JobWorker processes for a queue, started and watched by one supervisor.

    python -m studio work --data DATA                                    # beside `serve --workers 0`
    python -m studio work --data SHARED --queue redis://queue:6379/0     # on every further machine

The supervisor loads the models once and forks its workers, which share that memory: a worker that was killed is
replaced in milliseconds with warm models. The first worker takes short jobs only, so those never wait for a song; the
others take long jobs first. Workers end with the supervisor, and the supervisor with the process that started it
(--with-parent). What a killed worker was at is claimed again when its lease has run out.
"""

import argparse
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from studio.settings import DATA, Settings

POLL_SECONDS = 0.05
INDEX_NICE = 10
END_SECONDS = 2.0  # from SIGTERM to SIGKILL
MAX_STARTS = 20  # within START_WINDOW_SECONDS: more means that workers cannot run at all
START_WINDOW_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="FOLDER", help="the studio's folder (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--queue", default="", metavar="URL", help="redis://HOST:PORT/DB (default: SQLite in --data)")
    parser.add_argument("--models", nargs="+", default=[], metavar="RUN", help="further models that may be asked for")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")


def run(args: argparse.Namespace) -> int:
    """Start workers and watch them until told to end."""
    settings = Settings(data=args.data.absolute(), queue=args.queue, models=tuple(args.models))
    settings.make_folders()
    return Supervisor(settings, args.workers, os.getppid() if args.with_parent else None).run()


class Supervisor:
    """Keeps `n_workers` processes alive. `parent` is the process id to end with, or None."""

    def __init__(self, settings: Settings, n_workers: int, parent: int | None) -> None:
        self.settings, self.n_workers, self.parent = settings, n_workers, parent
        self.children: dict[int, int] = {}  # process id -> place
        self.is_ending = False
        self.starts: list[float] = []
        self.indexer = 0  # process id of the child of `_index`, 0 once it has ended

    def run(self) -> int:
        """Warm up, fork, watch; returns the exit status."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        _warm(self.settings)
        places = list(range(self.n_workers))
        self._index()
        while not self.is_ending:
            for place in places:
                self._fork(place)
            places = self._wait()
            if self.parent is not None and os.getppid() != self.parent:
                break
        self._end_children()
        return 0

    def _fork(self, place: int) -> None:
        now = time.monotonic()
        self.starts = [start for start in self.starts if now - start < START_WINDOW_SECONDS] + [now]
        if len(self.starts) > MAX_STARTS + self.n_workers:
            time.sleep(1.0)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _work(self.settings, place, self.n_workers)
        self.children[child] = place

    def _index(self) -> None:
        """A child that makes what takes are compared with, once, while the workers work."""
        sys.stdout.flush()
        self.indexer = os.fork()
        if self.indexer == 0:
            _make_index(self.settings)

    def _wait(self) -> list[int]:
        """Places of children that have ended, once there is one or it is time to look up."""
        time.sleep(POLL_SECONDS)
        ended = []
        while self.children:
            child, _ = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                break
            self.indexer = 0 if child == self.indexer else self.indexer
            if child in self.children:
                ended.append(self.children.pop(child))
        return ended

    def _end(self, *_: Any) -> None:
        self.is_ending = True

    def _end_children(self) -> None:
        if self.indexer:
            os.kill(self.indexer, signal.SIGKILL)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for child in self.children:
                os.kill(child, sign)
            until = time.monotonic() + END_SECONDS
            while self.children and time.monotonic() < until:
                self._wait()


def _warm(settings: Settings) -> None:
    """Load what jobs will need; forked workers share it."""
    import torch

    from studio.actions import models, warm_models

    torch.set_num_threads(1)  # and no thread pool that would not survive a fork
    catalogue = models.catalogue(settings.models)
    names = {models.choose(catalogue, None), models.choose(catalogue, None, infill=True)}
    warm_models.warm(sorted(names))
    gc.collect()
    gc.freeze()  # what is loaded stays: collections pass it over, and forked workers go on sharing its memory


def _work(settings: Settings, place: int, n_workers: int) -> None:
    """A child's whole life."""
    from studio.actions import warm_models
    from studio.jobs.open_queue import open_queue
    from studio.jobs.worker import JobWorker

    status = 1
    try:
        lanes = ("short",) if place == 0 and n_workers > 1 else ("long", "short")
        queue = open_queue(settings)
        worker = JobWorker(queue, settings.data, f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}", lanes)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the supervisor decides
        _be_quiet()
        worker.run()
        warm_models.close()
        status = 0
    except BaseException as error:
        os.write(2, f"a worker ended: {type(error).__name__}\n".encode())
    finally:
        os._exit(status)


def _make_index(settings: Settings) -> None:
    """A child's whole life: it gives way to the workers, and ends with the supervisor."""
    from studio.actions import models
    from studio.jobs.worker import end_with_parent
    from studio.library import copied_passage

    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.nice(INDEX_NICE)
        end_with_parent()
        _be_quiet()
        names = [entry.name for entry in models.catalogue(settings.models) if entry.notation == "abc"]
        copied_passage.build(settings.cache, names)
    except BaseException as error:
        os.write(2, f"takes are not compared with training tunes: {type(error).__name__}\n".encode())
    finally:
        os._exit(0)


def _be_quiet() -> None:
    """Actions print progress and texts for a terminal: none of that belongs in a log."""
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
