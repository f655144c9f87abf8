"""A client of the studio's REST API in the standard library alone: three other ways for bar 2 of a tune.

python client.py [http://127.0.0.1:8017]
"""

import json
import sys
import time
import urllib.request
import uuid
from typing import Any

TUNE = "X:1\nM:6/8\nL:1/8\nK:D\nd2f e2d|cBA B2c|d2f e2d|c2A A3|]\n"


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """Send JSON, or nothing, and read JSON."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


def fill(address: str, abc: str, bars: str, n: int = 3) -> list[str]:
    """ABC of `n` tunes with other bars."""
    job = ask(f"{address}/api/v1/tunes/fill", {"abc": abc, "bars": bars, "n": n})
    while job["state"] in ("queued", "running"):
        time.sleep(0.2)
        job = ask(f"{address}/api/v1/jobs/{job['id']}")
    if job["state"] != "done":
        raise SystemExit(job["error"])
    return [tune["abc"] for tune in job["result"]["tunes"]]


if __name__ == "__main__":
    for tune in fill(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8017", TUNE, "2"):
        print(tune)
