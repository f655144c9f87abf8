"""A studio without a server: requests are queued in the library's own queue and a worker process carries them out.

A server on the same folder shows what was made, and its workers may carry it out as well.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio.actions import requests
from studio.jobs.job_queue import StudioJob
from studio.library.take_store import Take
from studio.server.problems import ProblemError
from studio.server.serve import Workers
from studio.server.service import Studio
from studio.settings import Settings
from symbolic.errors import UserError

WAIT_SECONDS = 600.0


class LocalStudio:
    """Makes takes for programs on this machine; `client` says whose they are. Use it as a context manager."""

    def __init__(self, settings: Settings, client: str, n_workers: int = 1) -> None:
        self.studio, self.client = Studio(settings), client
        self.workers = Workers(settings, n_workers)

    def __enter__(self) -> "LocalStudio":
        self.workers.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.studio.is_ending = True
        self.workers.__exit__(*error)
        self.studio.close()

    def make(self, verb: str, values: dict[str, Any]) -> dict[str, Any]:
        """The finished take of a request: {"id", "folder", "result", "files"}. UserError where it cannot be made."""
        return self.finish(self.submit(verb, values))

    def submit(self, verb: str, values: dict[str, Any]) -> StudioJob:
        """Queue a request whose values come as JSON would bring them. UserError names what is wrong."""
        if verb not in requests.VERBS:
            raise UserError(f"{verb}: no verb of the studio. There are: {', '.join(requests.VERBS)}.")
        try:
            request = requests.VERBS[verb].model_validate_json(json.dumps(values))
        except ValidationError as error:
            fault = error.errors()[0]
            raise UserError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}.") from error
        try:
            return self.studio.submit(verb, request, self.client, parent=getattr(request, "parent", None))
        except ProblemError as error:
            raise UserError(error.detail) from error

    def bring(self, data: bytes, kind: str) -> dict[str, Any]:
        """The take of a file's bytes; `kind` is abc, midi or musicxml. UserError where it cannot be read."""
        try:
            return self.finish(self.studio.queue_upload("import", data, kind, self.client))
        except ProblemError as error:
            raise UserError(error.detail) from error

    def finish(self, job: StudioJob) -> dict[str, Any]:
        """Wait for a job. UserError where it failed or was cancelled."""
        job = self.studio.wait(job.id, WAIT_SECONDS)
        if job.state != "done":
            self.studio.queue.cancel(job.id)
            raise UserError(job.error or f"it did not end ({job.state}): try again.")
        return self.about(self.studio.take(job.take))

    def about(self, take: Take) -> dict[str, Any]:
        """Where a take lies, what came of it, and what it was made from."""
        folder: Path = self.studio.takes.folder(take.id)
        record = self.studio.record(take.id)
        return {
            "id": take.id, "folder": str(folder), "files": sorted(record["files"]), "result": record["result"],
            "seed": record["options"].get("seed"), "command": record["command"],
            "terms": record["model"].get("terms", []),
        }  # fmt: skip
