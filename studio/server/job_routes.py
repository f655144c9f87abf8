"""Routes that start jobs and follow them: songs, tunes, edits, scores of other programs."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from studio.actions import requests, tune_files
from studio.actions.requests import StudioRequest
from studio.jobs.job_queue import StudioJob
from studio.server import event_stream
from studio.server.problems import RESPONSES, ProblemError
from studio.server.service import Studio
from symbolic.errors import UserError

router = APIRouter(prefix="/api/v1", responses=RESPONSES)
SCORE_SECONDS = 10.0  # that a plug-in waits for an answer
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[
    str, Header(alias="Idempotency-Key", max_length=100, pattern=r"^[!-~]*$", description="one request, one job")
]
Number = Annotated[int, Header(alias="Last-Event-ID", ge=0, le=10**9)]
UPLOAD_TYPES = {
    "text/vnd.abc": "abc", "text/plain": "abc", "audio/midi": "midi", "audio/x-midi": "midi", "audio/mid": "midi",
    "application/vnd.recordare.musicxml": "musicxml", "application/vnd.recordare.musicxml+xml": "musicxml",
    "application/xml": "musicxml", "text/xml": "musicxml",
}  # fmt: skip


def studio_of(request: Request) -> Studio:
    """The application's studio."""
    found: Studio = request.app.state.studio
    return found


def client_of(request: Request) -> str:
    """Who asks."""
    return str(request.state.client)


Service = Annotated[Studio, Depends(studio_of)]
Client = Annotated[str, Depends(client_of)]


def accepted(studio: Studio, job: StudioJob) -> JSONResponse:
    """202 with the job's address."""
    return JSONResponse(studio.job_json(job), 202, {"Location": f"/api/v1/jobs/{job.id}"})


def _take_on(studio: Studio, verb: str, body: StudioRequest, client: str, key: str) -> JSONResponse:
    parent = getattr(body, "parent", None)
    return accepted(studio, studio.submit(verb, body, client, key=key, parent=parent))


@router.post("/songs", status_code=202)
def start_song(studio: Service, client: Client, body: requests.SongRequest, key: Key = "") -> Response:
    """Start a song, up to its words, its score or its sound."""
    return _take_on(studio, "song", body, client, key)


@router.post("/songs/{id}/redo", status_code=202)
def redo_song(studio: Service, client: Client, id: Id, body: requests.RedoRequest, key: Key = "") -> Response:
    """Make another take of a song: other words, another melody, or the next stages with edited words."""
    return accepted(studio, studio.redo(id, body, client, key))


@router.post("/tunes", status_code=202)
def write_tunes(studio: Service, client: Client, body: requests.TuneRequest, key: Key = "") -> Response:
    """Write new tunes."""
    return _take_on(studio, "tune", body, client, key)


@router.put("/tunes", status_code=202, openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}})
async def upload_tune(studio: Service, client: Client, request: Request) -> Response:
    """Bring a file: raw bytes of ABC, MIDI or MusicXML, named by Content-Type (application/octet-stream: guessed)."""
    return accepted(studio, await queue_file(studio, client, request, "import"))


async def queue_file(studio: Studio, client: str, request: Request, verb: str) -> StudioJob:
    """Queue `verb` for a file sent as raw bytes. 413 and 415 for files that are not read."""
    data = await request.body()
    kind = kind_of(request.headers.get("content-type", ""), data)
    if len(data) > tune_files.MAX_UPLOAD[kind]:
        raise ProblemError(413, f"{kind} files of at most {tune_files.MAX_UPLOAD[kind] >> 20} MiB are read.")
    return await run_in_threadpool(studio.queue_upload, verb, data, kind, client)


def kind_of(content_type: str, data: bytes) -> str:
    """abc, midi or musicxml, by the first bytes, else the type. 415 where it is none of them."""
    if data[:4] == b"MThd":
        return "midi"
    if data[:2] == b"PK" or re.match(rb"\s*<\?xml|\s*<score", data.removeprefix(b"\xef\xbb\xbf")[:200]):
        return "musicxml"
    kind = UPLOAD_TYPES.get(content_type.partition(";")[0].strip().lower(), "")
    if kind == "abc" or (not kind and re.search(rb"^[XK]:", data, re.MULTILINE)):
        return "abc"
    raise ProblemError(415, "This is neither ABC, MIDI nor MusicXML.")


def _add_edit_route(verb: str, model: type[StudioRequest], text: str) -> None:
    def edit(studio: Service, client: Client, body: Any, key: Key = "") -> Response:
        return _take_on(studio, verb, body, client, key)

    edit.__annotations__["body"] = model
    edit.__doc__ = text
    router.add_api_route(f"/tunes/{verb}", edit, methods=["POST"], status_code=202, operation_id=f"{verb}_tune")


for _verb, _model in requests.VERBS.items():
    if _verb not in ("song", "tune", "story", "soundtrack"):
        _add_edit_route(_verb, _model, str(_model.__doc__))


@router.post("/stories", status_code=202)
def tell_story(studio: Service, client: Client, body: requests.StoryRequest, key: Key = "") -> Response:
    """Write a story for a tune: its mood follows the music."""
    return _take_on(studio, "story", body, client, key)


@router.put("/stories", status_code=202, openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}})
async def tell_story_of_file(studio: Service, client: Client, request: Request) -> Response:
    """Write a story for a file: raw bytes of ABC, MIDI or MusicXML; the loudness of MIDI notes counts."""
    return accepted(studio, await queue_file(studio, client, request, "story"))


@router.post("/soundtracks", status_code=202)
def score_story(studio: Service, client: Client, body: requests.SoundtrackRequest, key: Key = "") -> Response:
    """Write and play music for a story."""
    return _take_on(studio, "soundtrack", body, client, key)


@router.post("/takes/again", status_code=202)
def make_again(studio: Service, client: Client, record: Annotated[dict[str, Any], Body()], key: Key = "") -> Response:
    """Make the take of a take.json once more."""
    from pydantic import ValidationError

    try:
        return accepted(studio, studio.again(record, client, key))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ProblemError(422, f"options.{'.'.join(map(str, fault['loc']))}: {requests.fault_text(fault)}.") from error


@router.post("/score/check")
def check_score(body: requests.CheckRequest) -> dict[str, Any]:
    """Read an ABC tune: its canonical text, or what is wrong and in which line."""
    try:
        given = tune_files.given_of(body.abc)
    except UserError as error:
        return {"ok": False, "line": getattr(error.__cause__, "line", None), "message": str(error)}
    return {
        "ok": True, "abc": tune_files.made(given, given.text).abc, "bars": given.n_bars, "pickup": given.has_pickup,
        "voices": given.text.count("\nV:") or 1,
    }  # fmt: skip


@router.post("/score/{verb}", response_model=None, responses={202: {"description": "A job that takes longer"}})
async def edit_score(
    studio: Service,
    client: Client,
    verb: Annotated[str, Path(pattern="^(fill|continue|vary|harmonise)$")],
    body: requests.GridRequest,
) -> Response:
    """Edit notes that another program sends; the answer has the new ones, or 202 and a job after 10 s."""
    options = {**body.options(), "do": verb}
    queued = await run_in_threadpool(studio.queue_job, "grid", options, client)
    job = await studio.follow(queued.id, SCORE_SECONDS)
    if job.state == "done":
        return JSONResponse(job.result)
    if job.has_ended:
        raise ProblemError(422, job.error or "It was cancelled.")
    return accepted(studio, job)


@router.get("/jobs/{id}")
def get_job(studio: Service, id: Id) -> dict[str, Any]:
    """Get a job: state, position, seconds left, result."""
    return studio.job_json(studio.job(id))


@router.delete("/jobs/{id}")
def cancel_job(studio: Service, id: Id) -> dict[str, Any]:
    """Cancel a job; one that has ended stays as it is."""
    studio.job(id)
    studio.queue.cancel(id)
    return studio.job_json(studio.job(id))


@router.get("/jobs/{id}/events", response_class=StreamingResponse)
async def follow_job(studio: Service, client: Client, id: Id, last: Number = 0) -> StreamingResponse:
    """Follow a job as server-sent events (text/event-stream)."""
    studio.job(id)
    if not studio.streams.has_room(client):
        raise ProblemError(429, "Too many streams are open: close one, or ask for the job.", {"Retry-After": "5"})
    events = studio.streams.counted(client, event_stream.stream(studio, id, last))
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
