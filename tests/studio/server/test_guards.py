"""Who is answered: hosts, origins, tokens, sizes, rates; and what every answer carries."""

from collections.abc import Callable
from typing import Any

import pytest

from studio.server.guards import CSP, Buckets
from studio.settings import BURST


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8017", "127.0.0.1.evil.example", "", "[::2]:8017", "0.0.0.0"]
)
def test_other_names_are_refused(bench: Any, host: str) -> None:
    assert bench.client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8017", "LOCALHOST", "[::1]:8017"])
def test_own_names_are_answered(bench: Any, host: str) -> None:
    assert bench.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_other_sites_cannot_change_anything(bench: Any, headers: dict[str, str]) -> None:
    for path in ("/api/v1/songs", "/songs"):
        assert bench.client.post(path, json={}, headers=headers).status_code == 403
    assert bench.studio.queue.waiting() == {"short": 0, "long": 0}


def test_own_pages_and_programs_may(bench: Any) -> None:
    for headers in ({}, {"Origin": "http://127.0.0.1:8017"}, {"Sec-Fetch-Site": "same-origin"}):
        assert bench.client.post("/api/v1/songs", json={"until": "words"}, headers=headers).status_code == 202


def test_every_answer_has_the_headers(bench: Any) -> None:
    for path in ("/", "/api/v1/models", "/nothing", "/static/studio.css", "/api/v1/jobs/x"):
        answer = bench.client.get(path)
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert "unsafe" not in CSP


def test_a_token_opens_the_studio(build_bench: Callable[..., Any]) -> None:
    bench = build_bench(token="abc-secret", host="0.0.0.0")
    client = bench.client
    assert client.get("/healthz").status_code == 200
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert client.post("/api/v1/songs?token=abc-secret", json={}).status_code == 401
    assert client.get("/api/v1/models", headers={"Authorization": "Bearer abc-secret"}).status_code == 200
    answer = client.get("/?genre=folk&token=abc-secret")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?genre=folk")
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=strict" in answer.headers["set-cookie"]
    assert client.get("/").status_code == 200


def test_bodies_are_bounded(bench: Any) -> None:
    assert (
        bench.client.post(
            "/api/v1/songs", content=b"{}" + b" " * (600 << 10), headers={"Content-Type": "application/json"}
        ).status_code
        == 413
    )

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    answer = bench.client.put("/api/v1/tunes", content=endless(), headers={"Content-Type": "text/vnd.abc"})
    assert answer.status_code == 413
    answer = bench.client.post("/api/v1/songs", content=b"{}", headers={"Content-Length": "-5"})
    assert answer.status_code == 413


def test_one_client_cannot_take_all(build_bench: Callable[..., Any]) -> None:
    bench = build_bench(requests_per_second=0.001)
    codes = [bench.client.get("/healthz").status_code for _ in range(BURST + 5)]
    assert codes.count(429) == 5
    assert bench.client.get("/healthz", headers={"Cookie": "studio_client=other"}).status_code == 200


def test_buckets_fill_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("studio.server.guards.time.monotonic", lambda: clock[0])
    buckets = Buckets(10.0)
    assert [buckets.take("a") for _ in range(BURST)] == [0] * BURST
    assert buckets.take("a") == 1
    clock[0] += 0.5
    assert [buckets.take("a") for _ in range(6)] == [0] * 5 + [1]
