"""A studio in a temporary folder whose jobs are carried out when a test says so, in the test's own process."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `studio` is not installed")

from starlette.testclient import TestClient

from studio.actions import warm_models
from studio.jobs.worker import JobWorker
from studio.server import application
from studio.server.local_studio import LocalStudio
from studio.server.service import Studio
from studio.settings import Settings
from tests.studio.browser_pages import CHROMIUM

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n|:d|f2a g2f|e2d c2B|ABc d2e|f2d d2:|\n"
ADDRESS = "http://127.0.0.1:8017"


@dataclass
class Bench:
    """A client of the studio, the studio itself, and a worker that `work` lets run until nothing is queued."""

    client: TestClient
    studio: Studio
    worker: JobWorker

    def work(self) -> int:
        """Carry out all queued jobs; returns how many."""
        n_done = 0
        while (job := self.worker.queue.claim(self.worker.name, ("short", "long"))) is not None:
            self.worker.carry_out(job)
            n_done += 1
        return n_done

    def make(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post a request, carry it out, return the job."""
        answer = self.client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 202, answer.text
        self.work()
        job: dict[str, Any] = self.client.get(answer.headers["location"]).json()
        return job

    def file(self, take: str, name: str) -> bytes:
        """The bytes of a take's file."""
        return self.client.get(f"/api/v1/takes/{take}/files/{name}").content


@pytest.fixture
def build_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """A function that makes a bench with further settings."""
    opened: list[Bench] = []
    monkeypatch.setattr("studio.pages.page_routes.FIRST_WAIT_SECONDS", 0.0)

    def build(**settings: Any) -> Bench:
        app = application.build(Settings(data=tmp_path / "data", free_bytes=0, **settings))
        studio: Studio = app.state.studio
        client = TestClient(app, base_url=ADDRESS, follow_redirects=False, raise_server_exceptions=False)
        worker = JobWorker(studio.queue, studio.settings.data, "test", ("short", "long"))
        opened.append(Bench(client, studio, worker))
        return opened[-1]

    yield build
    for bench in opened:
        bench.client.close()
        bench.studio.close()
    warm_models.close()


@pytest.fixture
def bench(build_bench: Callable[..., Bench]) -> Bench:
    """A studio with the usual settings."""
    return build_bench()


@pytest.fixture
def local_studio(tmp_path: Path) -> Iterator[LocalStudio]:
    """A studio without a server whose jobs are carried out by a thread."""
    settings = Settings(data=tmp_path / "data", free_bytes=0)
    with LocalStudio(settings, "test", 0) as studio:
        worker = JobWorker(studio.studio.queue, settings.data, "thread", ("short", "long"))
        thread = threading.Thread(target=worker.run)
        thread.start()
        yield studio
        worker.stop.set()
        thread.join()
    warm_models.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, where it and the extra are installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no extra `studio-browser-tests`")
    if not CHROMIUM:
        pytest.skip("no Chromium; CHROMIUM names one")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()
