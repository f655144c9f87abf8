"""Requests that no honest client sends, by the API's own description and at random: none is a fault of ours."""

import json
import random
from collections import Counter
from typing import Any

import pytest

MANY = {"short": 10**9, "long": 10**9}
TEXTS = [
    "", " ", "\x00", "\ud7ff", "'; DROP TABLE job; --", "../../../etc/passwd", "%2e%2e%2f", "{{7*7}}", "${jndi:ldap://x}",
    "<script>window.xss=1</script>", "A" * 70_000, "\u202e\u0301" * 50, "1e999", "-1", "0x10", "true", "X:1\nK:C\nC|\n",
    "X:1\nT:<img src=x onerror=alert(1)>\nM:4/4\nL:1/8\nK:C\n" + "C" * 5000, "X:1\n" + "%" * 60_000,
    "file:///etc/passwd",
]  # fmt: skip
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    1.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None] * 100,
    *TEXTS,
]
NAMES = [
    "abc", "bars", "seed", "model", "n", "title", "lyrics", "until", "notes", "from", "to", "division", "key", "metre",
    "options", "verb", "variations", "parent", "temperature", "__proto__", "do", "first_bars", "redo", "starred",
]  # fmt: skip
KINDS = ["application/json", "text/plain", "application/x-www-form-urlencoded", "audio/midi", "multipart/form-data", ""]


@pytest.fixture
def open_bench(build_bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A studio that refuses nobody for coming too often, and waits for no worker."""
    monkeypatch.setattr("studio.server.job_routes.SCORE_SECONDS", 0.0)
    return build_bench(requests_per_second=1e9, max_queued=MANY, max_queued_of_client=MANY)


def paths(bench: Any) -> list[tuple[str, str]]:
    """Method and path of every operation, forms of the pages among them."""
    found = [
        (method.upper(), path)
        for path, methods in bench.client.get("/api/v1/openapi.json").json()["paths"].items()
        for method in methods
        if not path.endswith("/events")  # a stream
    ]
    forms = [
        "/songs",
        "/tunes",
        "/tunes/file",
        "/stories",
        "/stories/file",
        "/soundtracks",
        "/takes/{id}/next",
        "/takes/{id}/edit",
        "/takes/{id}/mark",
    ]
    return found + [("POST", path) for path in [*forms, "/jobs/{id}/cancel", "/trash/empty"]]


def body(rng: random.Random) -> bytes:
    """Broken, deep, wrong or nearly right."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(400))
    if kind == 1:
        depth = rng.randrange(1, 5000)
        return b"[" * depth + b"]" * rng.choice((depth, 0))
    values = {rng.choice(NAMES): rng.choice(VALUES) for _ in range(rng.randrange(6))}
    if kind == 2:
        pairs = (f"{name}={value}" for name, value in values.items())
        return "&".join(pairs).encode("utf-8", "surrogatepass")
    if kind == 3:
        return b"MThd" + rng.randbytes(rng.randrange(100))
    text = json.dumps(rng.choice([values, [values], values.get("abc"), {**values, "abc": TEXTS[16], "bars": "1"}]))
    return text.encode() if kind == 4 else text.encode("utf-16")


def attack(bench: Any, n: int, seed: int) -> Counter[int]:
    """Send `n` requests; returns how often each status came."""
    rng, statuses = random.Random(seed), Counter[int]()
    known = bench.client.post("/api/v1/tunes/import", json={"abc": TEXTS[16]}).json()
    operations = paths(bench)
    for _ in range(n):
        method, path = rng.choice(operations)
        id = rng.choice([known["id"], known["take"], "0" * 32, "x", "..", "%00", "a" * 500])
        for name in ("{id}", "{name}", "{verb}"):
            path = path.replace(
                name, rng.choice([id, "fill", "take.json", "tune.abc", "%2e%2e%2fx"]) if name != "{id}" else id
            )
        headers = {"Content-Type": rng.choice(KINDS)}
        if rng.random() < 0.1:
            headers["Idempotency-Key"] = rng.choice(["k", "k" * 500, "\t"])
        if rng.random() < 0.1:
            headers["Range"] = rng.choice(["bytes=0-", "bytes=-1", "bytes=9-1", "x", "bytes=" + "0-1," * 500])
        content = body(rng) if method in ("POST", "PUT", "PATCH") else None
        answer = bench.client.request(method, path, content=content, headers=headers)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (method, path, headers, (content or b"")[:300], answer.text[:300])
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "<script>window" not in answer.text and "onerror=alert(1)>" not in answer.text
    return statuses


def test_hostile_requests_are_refused(open_bench: Any) -> None:
    statuses = attack(open_bench, 300, 1)
    assert {404, 415, 422} & set(statuses) and sum(statuses.values()) == 300


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_hostile_requests_are_refused(open_bench: Any) -> None:
    statuses = attack(open_bench, 20_000, 2)
    print(dict(statuses))
