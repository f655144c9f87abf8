"""Errors as the client sees them: RFC 9457 problem JSON under /api, a page elsewhere; what was wrong and what to do."""

import sqlite3
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from studio.actions.requests import fault_text
from studio.jobs.job_queue import KeyReused, QueueFull
from symbolic.errors import UserError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request", 401: "A token is needed", 403: "Refused", 404: "Not found", 405: "Method not allowed",
    408: "Too slow", 409: "Not yet", 413: "Too large", 415: "Unknown kind of file", 416: "Range not satisfiable",
    421: "Unknown host", 422: "Cannot be done", 429: "Too many requests", 500: "A fault of the studio",
    503: "The queue is full", 507: "No room on the disk",
}  # fmt: skip


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": title, "content": {MEDIA_TYPE: {}}}
    for status, title in _TITLES.items()
    if status not in (409, 416, 500)
}


class ProblemError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


def not_found(what: str) -> ProblemError:
    """404 for an id that names nothing."""
    return ProblemError(404, f"There is no such {what}. It may have been deleted; see /library.")


def body(status: int, detail: str) -> dict[str, Any]:
    """The JSON of a problem."""
    return Problem(title=_TITLES.get(status, "Error"), status=status, detail=detail).model_dump()


def answer(path: str, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """JSON for programs, a page for people."""
    if path.startswith("/api/"):
        return JSONResponse(body(status, detail), status, headers, MEDIA_TYPE)
    from studio.pages import rendering

    page = rendering.page("problem.html", title=_TITLES.get(status, "Error"), detail=detail, status=status)
    return Response(page, status, headers, "text/html; charset=utf-8")


def install(app: FastAPI) -> None:
    """Turn exceptions into problems."""

    def add(kind: type[Exception], convert: Any) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            status, detail, headers = convert(error)
            return answer(request.url.path, status, detail, headers)

        app.add_exception_handler(kind, handle)

    add(ProblemError, lambda error: (error.status, error.detail, error.headers))
    add(RequestValidationError, lambda error: (422, _validation_text(error), None))
    add(HTTPException, lambda error: (error.status_code, _http_text(error), error.headers))
    add(UserError, lambda error: (422, str(error), None))
    add(KeyReused, lambda error: (422, str(error), None))
    add(QueueFull, _full)
    add(sqlite3.OperationalError, _database)
    add(Exception, lambda error: (500, "The studio failed at this request. Try again; if it stays, report it.", None))


def _full(error: QueueFull) -> tuple[int, str, dict[str, str]]:
    return 429 if error.of_client else 503, str(error), {"Retry-After": str(error.retry_after_seconds)}


def _database(error: sqlite3.OperationalError) -> tuple[int, str, None]:
    if "locked" in str(error):
        return 503, "The studio's database is busy. Try again in a moment.", None
    return 507, f"The studio cannot write its database ({error}). Make room on its disk.", None


def _http_text(error: HTTPException) -> str:
    return "There is nothing at this address." if error.status_code == 404 else f"{error.detail}."


def _validation_text(error: RequestValidationError) -> str:
    """The first faults, each with its place; never the value."""
    parts = []
    for fault in error.errors()[:4]:
        place = ".".join(str(part) for part in fault["loc"][1:])
        parts.append(f"{place or 'the body'}: {fault_text(fault)}")
    return "; ".join(parts) + "."
