"""Templates and static files, compressed; every text is escaped by the template engine."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from studio.library import take_files

HERE = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """One file that the pages load, plain and compressed, with the digest of its bytes."""

    data: bytes
    compressed: bytes
    media_type: str
    etag: str


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals.update(label=take_files.label, in_order=take_files.in_order)
    made.filters["size"] = _size
    return made


def page(template: str, **values: Any) -> str:
    """A whole HTML page."""
    return str(_environment().get_template(template).render(**values))


def respond(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page as a response, compressed where the browser takes it."""
    data = page(template, **values).encode()
    headers = {"Vary": "Accept-Encoding"}
    if _takes_gzip(request):
        data = gzip.compress(data, 6, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, status, headers, "text/html; charset=utf-8")


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Every file that pages may load, by name; abcjs, its engraver and the player are those of every page."""
    from symbolic.formats.page.score_page import ASSETS

    shared = [ASSETS / name for name in ("abcjs-basic-min.js", "engrave.js", "note_player.js")]
    paths = [*sorted((HERE / "static").iterdir()), *shared]
    return {path.name: _read(path) for path in paths if path.suffix in _TYPES}


def static(request: Request, name: str) -> Response | None:
    """One of them as a response, 304 where the browser has it; None where there is none."""
    found = static_files().get(name)
    if found is None:
        return None
    headers = {"ETag": found.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(found.compressed, headers=headers, media_type=found.media_type)
    return Response(found.data, headers=headers, media_type=found.media_type)


def _read(path: Path) -> StaticFile:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:16]
    return StaticFile(data, gzip.compress(data, 9, mtime=0), _TYPES[path.suffix], f'"{digest}"')


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _size(n_bytes: int) -> str:
    """Bytes for people."""
    if n_bytes >= 2**30:
        return f"{n_bytes / 2**30:.1f} GB"
    return f"{n_bytes / 2**20:.1f} MB" if n_bytes >= 2**20 else f"{max(1, round(n_bytes / 1024))} kB"
