"""A server that is killed at any moment has every answer that it acknowledged, once."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from studio.survey.answer_store import AnswerStore
from studio.survey.survey_folder import Survey
from symbolic import subprocess_limits


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(survey: Survey, data: Path, port: int) -> "subprocess.Popen[bytes]":
    words = [
        "serve",
        "--port",
        f"{port}",
        "--data",
        str(data),
        "--workers",
        "0",
        "--surveys",
        str(survey.folder.parent),
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "studio", *words], env=subprocess_limits.environment(), stdout=subprocess.DEVNULL
    )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return server
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def ask(port: int, path: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/surveys/pilot{path}", data, {"Content-Type": "application/json"}, method=method
    )
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if error.code != 429:  # faster than people click: wait, as the page does
                raise
            time.sleep(float(error.headers["Retry-After"]))


@pytest.mark.slow
def test_every_acknowledged_answer_survives_kill_9(survey: Survey, tmp_path: Path) -> None:
    rng, port = random.Random(2), free_port()
    server = serve(survey, tmp_path, port)
    rater = ask(port, "/raters", "POST", {"consent": True, "language": "en"})["rater"]
    given: dict[tuple[int, str], int] = {}
    n_kills, until = 0, time.monotonic() + rng.uniform(0.1, 1.0)
    try:
        while (trial := ask(port, f"/raters/{rater}")["trial"]) is not None:
            for criterion in trial["criteria"]:
                body = {"trial": trial["number"], "place": 0, "criterion": criterion["name"], "value": 1, "heard": 1.0}
                for _ in range(2):  # two tabs, or a double click
                    ask(port, f"/raters/{rater}/answers", "PUT", body)
                given[trial["number"], criterion["name"]] = 1
                if n_kills < 5 and time.monotonic() > until:
                    os.kill(server.pid, signal.SIGKILL)
                    server.wait()
                    server, n_kills = serve(survey, tmp_path, port), n_kills + 1
                    until = time.monotonic() + rng.uniform(0.05, 0.5)
    finally:
        server.kill()
        server.wait()
    kept = AnswerStore(survey.folder / "answers.sqlite").answers(rater)
    assert n_kills >= 3
    assert sorted((a.trial, a.criterion) for a in kept) == sorted(given)
