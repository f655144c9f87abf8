"""Who is answered: hosts, origins, tokens, sizes, rates; and what every answer carries."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from studio.server.guards import CLIENTS_AT_ADDRESS, CSP, Buckets
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


def test_a_body_that_does_not_come_is_not_waited_for(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.server.guards.BODY_SECONDS", 0.05)
    answered: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Any) -> None:
        answered.extend([message["status"]] if "status" in message else [])

    for kind in (b"application/json", b"application/x-www-form-urlencoded"):
        path = "/api/v1/songs" if b"json" in kind else "/songs"
        headers = [(b"host", b"127.0.0.1"), (b"content-type", kind), (b"content-length", b"10")]
        scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
                 "root_path": "", "scheme": "http", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1),
                 "server": ("127.0.0.1", 8017)}  # fmt: skip
        asyncio.run(bench.client.app(scope, receive, send))
    assert answered == [408, 408]


def test_whoever_has_many_names_comes_from_one_address(build_bench: Callable[..., Any]) -> None:
    bench = build_bench(requests_per_second=0.001)
    cookies = [{"Cookie": f"studio_client={number}"} for number in range(CLIENTS_AT_ADDRESS * BURST + 3)]
    codes = [bench.client.get("/healthz", headers=headers).status_code for headers in cookies]
    assert codes.count(429) == 3


def test_others_reach_an_open_address_by_number_but_by_no_name(build_bench: Callable[..., Any]) -> None:
    bench = build_bench(token="abc-secret", host="0.0.0.0")
    hosts = ("192.168.1.5:8017", "[fd00::5]:8017", "evil.example")
    codes = [bench.client.get("/healthz", headers={"Host": host}).status_code for host in hosts]
    assert codes == [200, 200, 421]


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
