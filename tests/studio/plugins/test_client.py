"""The example client, against the studio of the tests."""

import json
import threading
from typing import Any

import pytest

from studio.plugins import client
from symbolic.notation.abc_parser import parse


def test_the_example_fills_a_bar(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(url: str, body: dict[str, Any] | None = None) -> Any:
        path = url.removeprefix("http://studio")
        answer = bench.client.get(path) if body is None else bench.client.post(path, json=body)
        bench.work()
        return json.loads(answer.content)

    monkeypatch.setattr(client, "ask", ask)
    tunes = client.fill("http://studio", client.TUNE, "2")
    assert len(tunes) == 3 and all(parse(tune).meter.text == "6/8" for tune in tunes)
    assert all("d2f e2d|" in tune for tune in tunes)


def test_it_sends_json_and_a_key_and_reads_json(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.server

    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.update(self.headers, body=self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b'{"state": "queued"}')

        def log_message(self, *words: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        assert client.ask(f"http://127.0.0.1:{server.server_port}/x", {"a": 1}) == {"state": "queued"}
    assert seen["body"] == b'{"a": 1}' and len(seen["Idempotency-Key"]) == 32
