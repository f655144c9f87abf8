"""What stands before every request: whom it may come from, how large and how frequent it may be, and the headers of
every answer.

- Host must be this server's own name: a page of another site whose name was pointed at 127.0.0.1 is refused.
- A request that changes something must not come from another site's page (Origin, Sec-Fetch-Site).
- Where a token is set it must come as a cookie or as `Authorization: Bearer`; `?token=` on a page sets the cookie.
- Bodies are counted as they are read, and must be there in time. Each client has a bucket of requests, each address a
  larger one, since a client is whoever its cookie says.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.server import problems
from studio.server.cross_origin import ALLOWED
from studio.settings import BURST, Settings, is_address

_ABCJS_STYLE = "'sha256-BCpnf71gZdCsSCHDzyB1RsBbZ0qQdqseK6v+yJsgg30='"  # the one style element that abcjs adds
CSP = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_ABCJS_STYLE}; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a form of our own comes with Origin: null
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_JSON_BYTES, MAX_FORM_BYTES, MAX_UPLOAD_BYTES = 512 << 10, 256 << 10, 5 << 20
BODY_SECONDS = 30.0
CLIENTS_AT_ADDRESS = 10  # as many requests as of so many clients are taken from one address
CLIENT_COOKIE, TOKEN_COOKIE = "studio_client", "studio_token"
PUBLIC = ("/healthz", "/static/")
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_MAX_CLIENTS = 10_000


class BodyError(HTTPException):
    """The body has more bytes than are read (413), or takes longer to come than is waited (408)."""


class Guards:
    """ASGI middleware. `public` are beginnings of paths that need no token."""

    def __init__(self, app: ASGIApp, settings: Settings, public: Iterable[str] = ()) -> None:
        self.app, self.settings, self.public = app, settings, (*PUBLIC, *public)
        self.buckets = Buckets(settings.requests_per_second)
        self.addresses = Buckets(CLIENTS_AT_ADDRESS * settings.requests_per_second, CLIENTS_AT_ADDRESS * BURST)
        self.hosts = {*_LOCAL_NAMES, *settings.allowed_hosts}
        if not settings.is_local:
            self.hosts.add(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers, cookies = Headers(scope=scope), _cookies(scope)
        client = _client(scope, headers, cookies)
        refusal = self._refusal(scope, headers, cookies, client)
        scope.setdefault("state", {})["client"] = client
        send = self._dressed(scope, cookies, send)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            await self.app(scope, _counted(receive, _max_bytes(scope, headers)), send)
        except BodyError as error:  # where the route read the body itself
            await problems.answer(scope["path"], error.status_code, f"{error.detail}.")(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers, cookies: dict[str, str], client: str) -> Response | None:
        """Why the request is not let through, as an answer."""
        path = scope["path"]

        def refuse(status: int, text: str, more: dict[str, str] | None = None) -> Response:
            return problems.answer(path, status, text, more)

        if not self._is_own_name(_host_name(headers.get("host", ""))):
            return refuse(421, "This studio does not answer to that name. Start it with --allow-host NAME.")
        is_allowed = scope.get("state", {}).get(ALLOWED, False)
        if scope["method"] not in _SAFE and not is_allowed and _is_foreign(headers):
            return refuse(403, "The request comes from a page of another site.")
        wait = max(self.buckets.take(client), self.addresses.take(_address(scope)))
        if wait:
            return refuse(429, f"Too many requests: try again in {wait} s.", {"Retry-After": str(wait)})
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _max_bytes(scope, headers):
            limit = _max_bytes(scope, headers) >> 10
            return refuse(413, f"The body is larger than {limit} KiB, or its length is not stated: send less.")
        if self.settings.token and not path.startswith(self.public):
            return self._without_token(scope, headers, cookies, refuse)
        return None

    def _is_own_name(self, name: str) -> bool:
        """Whether this server is called so. Where others may come, also by any address: what leads another site's page
        here is always a name of that site's."""
        return name in self.hosts or (not self.settings.is_local and is_address(name))

    def _without_token(self, scope: Scope, headers: Headers, cookies: dict[str, str], refuse: Any) -> Response | None:
        """None with the right token; a redirect that sets the cookie; or a refusal."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if any(_equal(given, self.settings.token) for given in (bearer, cookies.get(TOKEN_COOKIE, ""))):
            return None
        try:
            query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50)
        except ValueError:
            query = []
        given = dict(query).get("token", "")
        if scope["method"] == "GET" and _equal(given, self.settings.token):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            answer = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(TOKEN_COOKIE, self.settings.token, httponly=True, samesite="strict")
            return answer
        text = "Open the address that the studio printed when it was started, or send Authorization: Bearer TOKEN."
        return refuse(401, text, {"WWW-Authenticate": "Bearer"})

    def _dressed(self, scope: Scope, cookies: dict[str, str], send: Send) -> Send:
        """`send` with the headers of every answer, and the client's cookie on pages."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                is_page = message["status"] < 400 and headers.get("content-type", "").startswith("text/html")
                if is_page and CLIENT_COOKIE not in cookies:
                    value = f"{CLIENT_COOKIE}={secrets.token_urlsafe(16)}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append("Set-Cookie", f"{value}; Max-Age=31536000")
            await send(message)

        return dressed


class Buckets:
    """A bucket of requests for each client, filled at a steady rate; the clients seen last are remembered."""

    def __init__(self, rate: float, size: int = BURST) -> None:
        self.rate, self.size = rate, float(size)
        self.levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> int:
        """Take one request; 0, or seconds to wait."""
        now = time.monotonic()
        level, then = self.levels.get(client, (self.size, now))
        level = min(self.size, level + (now - then) * self.rate)
        is_allowed = level >= 1.0
        self.levels[client] = (level - is_allowed, now)
        self.levels.move_to_end(client)
        if len(self.levels) > _MAX_CLIENTS:
            self.levels.popitem(last=False)
        return 0 if is_allowed else max(1, round((1.0 - level) / self.rate))


def _counted(receive: Receive, limit: int) -> Receive:
    """`receive` that raises BodyError past `limit` bytes, and where the whole body is not there in BODY_SECONDS."""
    n_bytes, is_whole, until = 0, False, time.monotonic() + BODY_SECONDS

    async def counted() -> Message:
        nonlocal n_bytes, is_whole
        if is_whole:  # what is awaited now is that the client goes away
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except TimeoutError as error:
            raise BodyError(408, f"The body was not there within {BODY_SECONDS:.0f} s: send it at once") from error
        n_bytes, is_whole = n_bytes + len(message.get("body", b"")), not message.get("more_body", False)
        if n_bytes > limit:
            raise BodyError(413, f"The body is larger than {limit >> 10} KiB: send less")
        return message

    return counted


def _max_bytes(scope: Scope, headers: Headers) -> int:
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json":
        return MAX_JSON_BYTES
    is_upload = scope["method"] == "PUT" and scope["path"].startswith("/api/")
    return MAX_UPLOAD_BYTES if is_upload else MAX_FORM_BYTES


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent the request. Programs send neither header."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")


def _host_name(host: str) -> str:
    """The name of a Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _cookies(scope: Scope) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _client(scope: Scope, headers: Headers, cookies: dict[str, str]) -> str:
    """Who asks, for fairness and limits: the page's cookie, else the address."""
    cookie = cookies.get(CLIENT_COOKIE, "")
    if cookie:
        return f"c:{cookie[:64]}"
    return f"a:{_address(scope)}"


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("", 0))[0])


def _equal(given: str, token: str) -> bool:
    return bool(given) and hmac.compare_digest(given.encode(), token.encode())
