"""One worker: claims jobs of its lanes one after another and carries them out.

A thread renews the lease while the main thread works, and learns from it that the job is to be cancelled or is no
longer this worker's. An action notices at its next event; one that does not notice within GRACE_SECONDS, or passes its
time-out, ends with the whole process, and the supervisor starts another.
"""

import contextlib
import os
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from studio.actions import models
from studio.actions.action_table import ACTIONS
from studio.actions.context import ActionContext, CancelledError, cpu_seconds
from studio.jobs.job_queue import BEAT_SECONDS, JobQueue, StudioJob
from studio.library import copied_passage, provenance, take_files
from symbolic import files
from symbolic.errors import UserError

IDLE_SECONDS = 0.04  # between two looks at an empty queue
GRACE_SECONDS = 0.8
WATCH_SECONDS = 0.2
PATIENCE = 20  # wall time allowed is so many times the processor's, for machines that are busy


class JobWorker:
    """Works until `stop` is set. `name` is unique among all workers of the queue."""

    def __init__(self, queue: JobQueue, data: Path, name: str, lanes: tuple[str, ...]) -> None:
        self.queue, self.data, self.name, self.lanes = queue, data, name, lanes
        self.stop = threading.Event()

    def run(self) -> None:
        """Claim and carry out jobs until told to stop."""
        end_with_parent()
        while not self.stop.is_set():
            job = self.queue.claim(self.name, self.lanes)
            if job is None:
                self.stop.wait(IDLE_SECONDS)
            else:
                self.carry_out(job)

    def carry_out(self, job: StudioJob) -> None:
        """Do one job; however it goes, it is ended or given back."""
        lease = _Lease(self.queue, job, self.name)
        try:
            result = self._do(job, lease)
        except CancelledError:
            lease.close()
            if self.stop.is_set() and not lease.is_cancelled:
                self.queue.give_back(job.id, self.name)
            elif not lease.is_lost:
                self.queue.finish(job.id, self.name, "cancelled", {})
        except UserError as error:
            lease.close()
            self.queue.finish(job.id, self.name, "failed", {}, str(error))
        except Exception as error:  # a fault of ours: told without its details, which may hold texts
            lease.close()
            _note_fault(job, error)
            text = f"the studio failed at it ({type(error).__name__}); try other options."
            self.queue.finish(job.id, self.name, "failed", {}, text)
        else:
            lease.close()
            self.queue.finish(job.id, self.name, "done", result)

    def _do(self, job: StudioJob, lease: "_Lease") -> dict[str, Any]:
        folder = self.data / "takes" / job.take
        if (folder / take_files.RECORD).is_file():  # a worker died between the last file and the end of the job
            earlier: dict[str, Any] = files.read_json(folder / take_files.RECORD)["result"]
            return earlier
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter(), time.process_time()
        context = ActionContext(
            folder,
            self.data,
            lambda event: self.queue.add_event(job.id, event),
            lambda: lease.is_cancelled or lease.is_lost or self.stop.is_set(),
        )
        result = ACTIONS[job.verb].load()(context, job.options)
        context.check()
        shared = self._shared(folder, job.options)
        seconds = {
            "wall": round(time.perf_counter() - started[0], 3), "cpu": round(time.process_time() - started[1], 3)
        }  # fmt: skip
        provenance.write(folder, _about(job, result), _kept(job.options, folder), result, seconds, shared)
        upload = job.options.get("upload")
        if upload:
            (self.data / "uploads" / upload).unlink(missing_ok=True)
        return result

    def _shared(self, folder: Path, options: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The longest passages shared with training tunes of the take's model, or of the usual one."""
        with contextlib.suppress(UserError):  # a model that is no longer there
            name = options.get("model") or options.get("melody_model") or models.choose(models.catalogue(), None)
            return copied_passage.of_take(folder, self.data / "cache", str(name))
        return None


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however it did."""
    parent = os.getppid()

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class _Lease:
    """The lease of one job, renewed by a thread until closed."""

    def __init__(self, queue: JobQueue, job: StudioJob, worker: str) -> None:
        self.queue, self.job, self.worker = queue, job, worker
        self.is_cancelled = self.is_lost = False
        self._closed = threading.Event()
        self._started, self._cpu = time.monotonic(), cpu_seconds()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The job is over: renew no more."""
        self._closed.set()
        self._thread.join()

    def _renew(self) -> None:
        last_beat = 0.0
        noticed: float | None = None
        while not self._closed.wait(WATCH_SECONDS):
            elapsed = time.monotonic() - self._started
            if cpu_seconds() - self._cpu > self.job.limit_seconds or elapsed > PATIENCE * self.job.limit_seconds:
                self._abort("failed", f"it took more than {self.job.limit_seconds:.0f} s of work and was stopped.")
            if elapsed - last_beat >= min(BEAT_SECONDS, 0.4):
                last_beat = elapsed
                state = self.queue.beat(self.job.id, self.worker)
                self.is_cancelled |= state is False
                self.is_lost |= state is None and not self._closed.is_set()
            if self.is_cancelled or self.is_lost:
                noticed = noticed if noticed is not None else elapsed
                if elapsed - noticed > GRACE_SECONDS:
                    self._abort("cancelled", "")

    def _abort(self, state: str, error: str) -> None:
        """End the job and this process: the main thread does not come back from what it does."""
        if self._closed.is_set():
            return
        if not self.is_lost:
            self.queue.finish(self.job.id, self.worker, state, {}, error)
        os._exit(3)


def _about(job: StudioJob, result: dict[str, Any]) -> dict[str, Any]:
    about = {name: job.options.get(f"_{name}", "") for name in ("work", "parent")}
    tunes = result.get("tunes") or [{}]
    title = job.options.get("title") or result.get("title") or tunes[0].get("title") or "untitled"
    return {"id": job.take, "verb": job.verb, "title": title, "created": job.created, **about}


def _kept(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Options without those of the studio's own; a file that was sent in is kept as the ABC that was read from it."""
    kept = {name: value for name, value in options.items() if not name.startswith("_") and name != "upload"}
    given = folder / "given.abc"
    if options.get("upload") and given.is_file():
        kept["abc"] = given.read_text(encoding="utf-8")
    return kept


def _note_fault(job: StudioJob, error: Exception) -> None:
    """Where a fault of ours happened, on standard error: files and lines, no texts of people."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
    with contextlib.suppress(OSError):
        os.write(2, f"fault in a {job.verb} job: {type(error).__name__} at {' < '.join(reversed(places))}\n".encode())
