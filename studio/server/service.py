"""The studio behind the routes: takes requests on, finds jobs and takes, keeps the disk in bounds."""

import asyncio
import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from audio_bridge.lyrics import genre_styles
from studio.actions import models, requests, song_actions
from studio.actions.action_table import ACTIONS
from studio.actions.requests import StudioRequest
from studio.jobs.job_queue import StudioJob, new_id
from studio.jobs.open_queue import open_queue
from studio.library import take_files
from studio.library.take_store import Take, TakeStore
from studio.server.event_stream import OpenStreams
from studio.server.problems import ProblemError, not_found
from studio.settings import Settings
from symbolic import files

WAIT_SECONDS = 0.03  # between two looks at a job that somebody waits for
TIDY_SECONDS = 2.0  # between two looks at what ended jobs have left
STRAY_SECONDS = 86_400.0  # files that nothing tells of are kept so long: they may be another machine's, in the making
CANCEL_SECONDS = 2.0  # that a worker needs to notice that it is to stop
N_WORKERS = {"short": 2, "long": 1}  # that serve a lane, for the time left


class Studio:
    """What the routes call. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        settings.make_folders()
        self.settings = settings
        self.queue = open_queue(settings)
        self.takes = TakeStore(settings.data, settings.database)
        self.models = models.catalogue(settings.models)
        self.is_ending = False
        self._tidied = -TIDY_SECONDS
        self.making_samples = asyncio.Lock()
        self.streams = OpenStreams()

    def submit(
        self, verb: str, request: StudioRequest, client: str, *, key: str = "", parent: str | None = None
    ) -> StudioJob:
        """Queue a request. Raises ProblemError, QueueFull, KeyReused or UserError."""
        options = request.options()
        digest = hashlib.sha256(json.dumps([verb, options, parent], sort_keys=True).encode()).hexdigest()
        if "seed" not in request.model_fields_set:  # a repeated request draws another seed and is still the same
            fixed = {name: value for name, value in options.items() if name != "seed"}
            digest = hashlib.sha256(json.dumps([verb, fixed, parent], sort_keys=True).encode()).hexdigest()
        return self.queue_job(verb, options, client, key=key, digest=digest, parent=parent)

    def queue_job(
        self, verb: str, options: dict[str, Any], client: str, *, key: str = "", digest: str = "",
        parent: str | None = None,
    ) -> StudioJob:  # fmt: skip
        """Queue options that were checked before; the take has a row from now on."""
        self._check_disk()
        before = self.take(parent) if parent else None
        verb = options["until"] if verb == "song" else verb
        action, id = ACTIONS[verb], new_id()
        options = self._with_model(verb, options)
        options |= {"_work": before.work if before else id, "_parent": before.id if before else ""}
        job = StudioJob(new_id(), id, verb, action.lane, client, options, action.limit_seconds)
        job = self.queue.submit(job, key, digest)
        self.takes.add(job.take, before, verb, _title(options), job.id, client)
        return job

    def redo(self, id: str, request: requests.RedoRequest, client: str, key: str = "") -> StudioJob:
        """Another take of a song."""
        record = self.record(id)
        if record["verb"] not in ("words", "score", "song"):
            raise ProblemError(422, "Only songs have words and a melody to do otherwise. Vary the tune instead.")
        options = song_actions.next_options(record, request.redo, request.until, request.lyrics, request.seed)
        digest = hashlib.sha256(json.dumps([id, options], sort_keys=True).encode()).hexdigest() if key else ""
        return self.queue_job("song", options, client, key=key, digest=digest, parent=id)

    def again(self, record: Any, client: str, key: str = "") -> StudioJob:
        """The take that somebody's take.json describes, made once more."""
        if not isinstance(record, dict) or not isinstance(record.get("options"), dict):
            raise ProblemError(422, "This is not a take.json: it has no options.")
        verb = {"words": "song", "score": "song"}.get(str(record.get("verb")), str(record.get("verb")))
        if verb not in requests.VERBS:
            raise ProblemError(422, "This take.json is of something that cannot be made again here.")
        if record["options"].get("abc") == "":
            raise ProblemError(422, "It was made from a file that take.json does not hold: bring the file again.")
        known = requests.VERBS[verb].model_fields
        options = {name: value for name, value in record["options"].items() if name in known and value is not None}
        return self.submit(verb, requests.VERBS[verb].model_validate(options), client, key=key)

    def job(self, id: str) -> StudioJob:
        """The job, or 404."""
        found = self.queue.get(id)
        if found is None:
            raise not_found("job")
        return found

    def take(self, id: str) -> Take:
        """The take, or 404."""
        found = self.takes.get(id)
        if found is None:
            raise not_found("take")
        return found

    def record(self, id: str) -> dict[str, Any]:
        """take.json of a take; 409 while it is made."""
        take = self.take(id)
        record = self.takes.record(id)
        if record is None:
            raise ProblemError(409, self._unready(take), {"Retry-After": "1"})
        return record

    async def follow(self, id: str, seconds: float) -> StudioJob:
        """As `wait`, without holding a thread."""
        until = time.monotonic() + seconds
        while not (job := self.job(id)).has_ended and time.monotonic() < until and not self.is_ending:
            await asyncio.sleep(WAIT_SECONDS)
        return job

    def wait(self, id: str, seconds: float) -> StudioJob:
        """The job once it has ended, or as it is after so many seconds."""
        until = time.monotonic() + seconds
        job = self.job(id)
        while not job.has_ended and time.monotonic() < until and not self.is_ending:
            time.sleep(WAIT_SECONDS)
            job = self.job(id)
        return job

    def seconds_left(self, job: StudioJob) -> float | None:
        """An estimate for a waiting or running job, from what its kind has cost; None once it has ended."""
        if job.has_ended:
            return None
        cost = self.queue.seconds_of(job.verb) or ACTIONS[job.verb].seconds
        if job.state == "running":
            return round(max(0.2, cost - (time.time() - job.started)), 1)
        return round(cost * (1 + self.queue.before(job) / N_WORKERS[job.lane]), 1)

    def job_json(self, job: StudioJob) -> dict[str, Any]:
        """A job as the API shows it."""
        position = self.queue.before(job) + 1 if job.state == "queued" else None
        return {
            "id": job.id, "take": job.take, "verb": job.verb, "state": job.state, "error": job.error,
            "created": job.created, "started": job.started or None, "ended": job.ended or None,
            "position": position, "seconds_left": self.seconds_left(job), "seed": job.options.get("seed"),
            "result": job.result if job.state == "done" else None,
        }  # fmt: skip

    def take_json(self, take: Take) -> dict[str, Any]:
        """A take as the API shows it: its row, its record where it is whole, its files."""
        folder = self.takes.folder(take.id)
        job = self.queue.get(take.job) if take.job else None
        record = self.takes.record(take.id)
        state = "done" if record is not None else job.state if job is not None else "lost"
        return {
            "id": take.id, "work": take.work, "parent": take.parent or None, "verb": take.verb,
            "title": record["title"] if record is not None else take.title,
            "created": take.created, "starred": take.starred, "trashed": take.trashed, "state": state,
            "job": take.job or None, "files": take_files.present(folder), "record": record,
        }  # fmt: skip

    def delete(self, id: str) -> None:
        """Into the trash, or, from the trash, off the disk."""
        take = self.take(id)
        if not take.trashed:
            if take.job:
                self.queue.cancel(take.job)
            self.takes.mark(id, trashed=True)
            return
        if take.job and self.queue.get(take.job) is not None:
            self.wait(take.job, CANCEL_SECONDS)
        self.takes.delete(id)
        self.queue.forget(id)

    def queue_upload(self, verb: str, data: bytes, kind: str, client: str) -> StudioJob:
        """Queue `verb` (import, story) for the bytes of a file, which are kept until the job has ended."""
        self._check_disk()
        name = new_id()
        options = requests.VERBS[verb].model_validate({"abc": "X:1"}).options()
        files.write_whole(self._upload(name), data)
        try:
            return self.queue_job(verb, {**options, "abc": "", "upload": name, "kind": kind}, client)
        except BaseException:
            self._upload(name).unlink(missing_ok=True)
            raise

    def siblings(self, take: Take) -> list[Take]:
        """The takes of a take's work, oldest first, with the sizes of those that are whole."""
        for one in self.takes.takes_of(take.work):
            if not one.bytes:
                self.takes.record(one.id)
        return self.takes.takes_of(take.work)

    def tidy(self) -> None:
        """Note the sizes of takes that are whole now; remove what failed and cancelled jobs have left."""
        self._tidied = time.monotonic()
        for take in self.takes.unsettled():
            if self.takes.record(take.id) is not None:
                continue
            job = self.queue.get(take.job) if take.job else None
            if job is None or job.state in ("failed", "cancelled"):
                self.takes.discard(take.id)
                if job is not None and job.options.get("upload"):
                    self._upload(job.options["upload"]).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove uploads and folders of takes that nothing tells of: what killed processes have left."""
        before = time.time() - STRAY_SECONDS
        for path in self.takes.strays(before):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.settings.data / "uploads").iterdir():
            if take_files.changed(path) < before:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give back connections."""
        self.queue.close()
        self.takes.database.close()

    def _with_model(self, verb: str, options: dict[str, Any]) -> dict[str, Any]:
        options = dict(options)
        if ACTIONS[verb].needs_model:
            fills = verb in ("fill", "vary") or options.get("do") == "fill"
            options["model"] = models.choose(self.models, options.get("model"), infill=fills)
        elif verb == "condition":
            options["model"] = models.choose(self.models, options.get("model"), notation="audio")
        if verb in ("words", "score", "song"):
            genre_styles.find_style(options.get("genre") or genre_styles.DEFAULT_GENRE, None)  # UserError with the list
        if verb in ("score", "song"):
            options["melody_model"] = models.choose(self.models, options.get("melody_model"))
        return options

    def _upload(self, name: str) -> Path:
        return self.settings.data / "uploads" / name

    def _check_disk(self) -> None:
        if time.monotonic() - self._tidied >= TIDY_SECONDS:
            self.tidy()
        fault = self.settings.disk_fault()
        used, quota = self.takes.n_bytes(), self.settings.quota_bytes
        if used > quota:
            fault = f"The library holds {used / 2**30:.1f} of {quota / 2**30:.1f} GiB: empty its trash (/library)."
        if fault:
            raise ProblemError(507, fault)

    def _unready(self, take: Take) -> str:
        job = self.queue.get(take.job) if take.job else None
        if job is not None and job.state == "failed":
            return f"This take could not be made: {job.error}"
        return "This take was cancelled." if job is not None and job.has_ended else "This take is still being made."


def _title(options: dict[str, Any]) -> str:
    """A title for the library before there is a better one."""
    for line in str(options.get("abc") or "").splitlines()[:40]:
        if line.startswith("T:"):
            return line[2:].strip()[:200]
    return str(options.get("title") or "")[:200]
