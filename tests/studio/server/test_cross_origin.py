"""Pages of other origins: named paths and origins only, and never somebody's cookie."""

from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from studio.server.cross_origin import ALLOWED, CrossOrigin

PAGES = "https://pages.example.org"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """What the application sees of a request."""
    names = [name.decode() for name, _ in scope["headers"]]
    seen = {"allowed": scope.get("state", {}).get(ALLOWED, False), "cookie": "cookie" in names}
    await JSONResponse(seen)(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "origin", "opened"),
    [
        ("/open/a", PAGES, True),
        ("/open/a", PAGES + ".evil.example", False),
        ("/open/a", "http://pages.example.org", False),
        ("/closed", PAGES, False),
        ("/open/a", "null", False),
    ],
)
def test_only_named_paths_and_origins_are_opened(path: str, origin: str, opened: bool) -> None:
    client = TestClient(CrossOrigin(echo, ["/open/"], [PAGES]))
    answer = client.get(path, headers={"Origin": origin, "Cookie": "studio_token=x"})
    seen: dict[str, Any] = answer.json()
    assert seen == {"allowed": opened, "cookie": not opened}
    assert ("access-control-allow-origin" in answer.headers) == opened
    assert (answer.headers.get("cross-origin-resource-policy") == "cross-origin") == opened
