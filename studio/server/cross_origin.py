"""Pages of other origins that may call a part of the API: a survey's static pages on another host.

Only the paths and origins that were named are opened (https://fetch.spec.whatwg.org/#http-cors-protocol); no cookie is
accepted from there, so nobody else's session can be used.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "DELETE")
ALLOWED = "allowed_origin"  # in scope["state"]: the guards need not refuse this page of another site


class CrossOrigin:
    """ASGI middleware outside of the guards. `paths` are beginnings of paths, `origins` such as https://example.org."""

    def __init__(self, app: ASGIApp, paths: Sequence[str], origins: Sequence[str]) -> None:
        self.app, self.paths, self.origins = app, tuple(paths), frozenset(origins)
        self.cors = CORSMiddleware(app, allow_origins=list(origins), allow_methods=METHODS, allow_headers=["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, mark an allowed request, or let everything else through as it is."""
        is_open = scope["type"] == "http" and scope["path"].startswith(self.paths)
        if not is_open or Headers(scope=scope).get("origin") not in self.origins:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})[ALLOWED] = True
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"cookie"]

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cross-Origin-Resource-Policy"] = "cross-origin"
            await send(message)

        await self.cors(scope, receive, readable)
