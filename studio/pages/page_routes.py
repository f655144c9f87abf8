"""The pages: forms that work without JavaScript (POST, redirect, GET) and what scripts add to them."""

from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from studio.actions import requests
from studio.actions.requests import StudioRequest
from studio.pages import arc_chart, rendering
from studio.server.job_routes import Client, Id, Service, queue_file
from studio.server.problems import ProblemError, not_found
from studio.server.service import Studio

router = APIRouter(include_in_schema=False)
FIRST_WAIT_SECONDS = 0.8  # a short job is often done by then, and its page whole at once
MAX_FIELDS = 60
SONG_VERBS = ("words", "score", "song")
LANGUAGES = {"": "English", "pt": "Portuguese", "es": "Spanish"}
EMOTION_VERBS = ("story", "soundtrack")
MAJOR_KEYS = ("C", "G", "D", "A", "E", "F", "Bb", "Eb")
METERS = ("4/4", "3/4", "2/4", "6/8")
EDITS: dict[str, type[StudioRequest]] = {
    "fill": requests.FillRequest, "vary": requests.VaryRequest, "continue": requests.ContinueRequest,
    "harmonise": requests.HarmoniseRequest, "transpose": requests.TransposeRequest, "render": requests.RenderRequest,
    "import": requests.ImportRequest, "story": requests.StoryRequest,
}  # fmt: skip
SHOWN_INSTRUMENTS = (
    "violin", "flute", "acoustic grand piano", "accordion", "acoustic guitar (nylon)", "clarinet", "cello", "trumpet"
)  # fmt: skip


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; 422 for more than MAX_FIELDS or a body that is no form."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise ProblemError(422, "The form has too many fields.") from error


Asked = TypeVar("Asked", bound=StudioRequest)
Form = Annotated[dict[str, str], Depends(read_form)]


@router.get("/")
def home(request: Request, studio: Service) -> Response:
    """The song form, filled from the address where it says something."""
    from audio_bridge.lyrics.genre_styles import styles

    return rendering.respond(
        request, "home.html", genres=list(styles()), languages=LANGUAGES, meters=METERS,
        values=dict(request.query_params),
    )  # fmt: skip


@router.post("/songs")
def start_song(studio: Service, client: Client, form: Form) -> Response:
    """Words for a song."""
    asked = _request(requests.SongRequest, {"until": "words", **form})
    return _to_take(studio, studio.submit("song", asked, client))


@router.post("/takes/{id}/next")
def next_take(studio: Service, client: Client, id: Id, form: Form) -> Response:
    """The next take of a song: `do` is words, melody, score or song."""
    do = form.get("do", "song")
    redo = do if do in ("words", "melody") else ""
    until = {"words": "words", "melody": "score"}.get(do, do)
    lyrics = form.get("lyrics", "").replace("\r\n", "\n").strip()
    before = str(studio.record(id)["result"].get("words", "")).strip()
    edited = lyrics if lyrics and lyrics != before and redo != "words" else None
    values = {"redo": redo, "until": until, **({"lyrics": edited} if edited else {})}
    return _to_take(studio, studio.redo(id, _request(requests.RedoRequest, values), client))


@router.get("/tune")
def new_tune(request: Request, studio: Service) -> Response:
    """The form for new tunes, and a place for one's own."""
    values = dict(request.query_params)
    return rendering.respond(request, "tune_new.html", models=_abc_models(studio), values=values)


@router.post("/tunes")
def write_tune(studio: Service, client: Client, form: Form) -> Response:
    """A new tune, or one of one's own."""
    if form.get("abc", "").strip():
        asked: StudioRequest = _request(requests.ImportRequest, form)
        return _to_take(studio, studio.submit("import", asked, client))
    asked = _request(requests.TuneRequest, form)
    return _to_take(studio, studio.submit("tune", asked, client))


@router.post("/tunes/file")
async def bring_file(request: Request, studio: Service, client: Client) -> Response:
    """A dropped file, as its raw bytes; answers where its page is."""
    job = await queue_file(studio, client, request, "import")
    return Response(f"/takes/{job.take}", media_type="text/plain")


@router.get("/emotion")
def emotion(request: Request, studio: Service) -> Response:
    """The forms for a story to music and for music to a story."""
    values = dict(request.query_params)
    return rendering.respond(
        request, "emotion.html", models=_abc_models(studio), instruments=SHOWN_INSTRUMENTS, meters=METERS,
        keys=MAJOR_KEYS, values=values,
    )  # fmt: skip


@router.post("/stories")
def tell_story(studio: Service, client: Client, form: Form) -> Response:
    """A story for a tune."""
    form = {**form, "abc": form.get("abc", "").replace("\r\n", "\n")}
    return _to_take(studio, studio.submit("story", _request(requests.StoryRequest, form), client))


@router.post("/stories/file")
async def tell_story_of_file(request: Request, studio: Service, client: Client) -> Response:
    """A story for a dropped file, sent as its raw bytes; answers where its page is."""
    job = await queue_file(studio, client, request, "story")
    return Response(f"/takes/{job.take}", media_type="text/plain")


@router.post("/soundtracks")
def score_story(studio: Service, client: Client, form: Form) -> Response:
    """Music for a story."""
    form = {**form, "story": form.get("story", "").replace("\r\n", "\n")}
    return _to_take(studio, studio.submit("soundtrack", _request(requests.SoundtrackRequest, form), client))


@router.post("/takes/{id}/edit")
def edit_take(studio: Service, client: Client, id: Id, form: Form) -> Response:
    """The tune of the editor, changed as `do` says."""
    do = form.get("do", "")
    if do not in EDITS:
        raise ProblemError(422, f"Choose one of: {', '.join(EDITS)}.")
    values = {**form, "abc": form.get("abc", "").replace("\r\n", "\n")}
    if do == "fill" and not values.get("bars", "").strip():
        raise ProblemError(422, "Say which bars to fill, as 3 or 5-8: select them in the score, or write them.")
    job = studio.submit(do, _request(EDITS[do], values), client, parent=id)
    return _to_take(studio, job)


@router.post("/takes/{id}/mark")
def mark(studio: Service, id: Id, form: Form) -> Response:
    """Star, trash, take back, delete."""
    take, do = studio.take(id), form.get("do", "")
    if do in ("star", "unstar"):
        studio.takes.mark(id, starred=do == "star")
    elif do == "restore":
        studio.takes.mark(id, trashed=False)
    elif do in ("trash", "delete"):
        studio.delete(id)
    where = f"/takes/{id}" if do in ("star", "unstar") and form.get("from") == "take" else "/library"
    return RedirectResponse(where + ("?show=trash" if take.trashed and where == "/library" else ""), 303)


@router.post("/jobs/{id}/cancel")
def cancel(studio: Service, id: Id) -> Response:
    """Stop a job."""
    job = studio.job(id)
    studio.queue.cancel(id)
    studio.wait(id, 2.0)
    return RedirectResponse(f"/takes/{job.take}", 303)


@router.post("/trash/empty")
def empty_trash(studio: Service) -> Response:
    """Delete everything in the trash."""
    for take in studio.takes.trash():
        studio.delete(take.id)
    return RedirectResponse("/library", 303)


@router.get("/works/{id}")
def work(studio: Service, id: Id) -> Response:
    """The newest take of a work."""
    takes = studio.takes.takes_of(id)
    if not takes:
        raise not_found("work")
    return RedirectResponse(f"/takes/{takes[-1].id}", 303)


@router.get("/takes/{id}")
def take_page(request: Request, studio: Service, id: Id, n: int = 1) -> Response:
    """A take: a song with its words, score and sound, or a tune in the editor; or how far it is."""
    take = studio.take(id)
    view = studio.take_json(take)
    job = studio.queue.get(take.job) if take.job else None
    siblings = studio.siblings(take)
    common: dict[str, Any] = {"take": view, "siblings": siblings, "form": FORMS[_kind(take.verb)][0]}
    if view["record"] is None:
        job_view = studio.job_json(job) if job else None
        sent = str(job.options.get("abc") or "") if job and take.verb == "import" else ""
        return rendering.respond(request, "working.html", job=job_view, sent=sent, **common)
    record = view["record"]
    common |= {"record": record, "result": record["result"], "again": _address(record)}
    if take.verb in SONG_VERBS:
        return rendering.respond(request, "song.html", abc=_text_of(studio, id, "song.abc"), **common)
    if take.verb in EMOTION_VERBS:
        charts = arc_chart.charts(record["result"])
        abc = _text_of(studio, id, "tune.abc")
        return rendering.respond(request, "emotion_take.html", charts=charts, abc=abc, **common)
    tunes = record["result"].get("tunes", [])
    number = n if 1 <= n <= len(tunes) else 1
    bars = record["options"].get("bars") if isinstance(record["options"].get("bars"), str) else ""
    return rendering.respond(
        request, "tune.html", tunes=tunes, number=number, bars=bars or "", models=_abc_models(studio),
        instruments=SHOWN_INSTRUMENTS, **common,
    )  # fmt: skip


@router.get("/library")
def library(request: Request, studio: Service, show: str = "all", page: int = 1) -> Response:
    """Everything that was made, newest first."""
    studio.tidy()
    size, page = 40, max(1, min(page, 100_000))
    show = show if show in ("all", "starred", "trash") else "all"
    found = studio.takes.newest(size + 1, size * (page - 1), trashed=show == "trash", starred=show == "starred")
    takes = [studio.take_json(take) for take in found[:size]]
    used = {"used": studio.takes.n_bytes(), "quota": studio.settings.quota_bytes}
    return rendering.respond(
        request, "library.html", takes=takes, show=show, page=page, has_more=len(found) > size, **used
    )


@router.get("/about")
def about(request: Request, studio: Service) -> Response:
    """Models, terms, licences."""
    from studio.library import provenance

    cards = [provenance.model_card(entry.name) for entry in studio.models if entry.notation != "audio"]
    return rendering.respond(request, "about.html", models=studio.models, cards=cards)


@router.get("/api/docs")
def api_docs(request: Request) -> Response:
    """The API's operations, from its own description."""
    operations = [
        {"method": method.upper(), "path": path, "text": one.get("description") or one.get("summary", "")}
        for path, methods in request.app.openapi()["paths"].items()
        for method, one in methods.items()
    ]
    return rendering.respond(request, "api.html", operations=operations)


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """Style sheets and scripts."""
    found = rendering.static(request, name)
    if found is None:
        raise not_found("file")
    return found


@router.get("/favicon.ico")
def icon() -> Response:
    """There is one in the pages' head."""
    return RedirectResponse("/static/icon.svg", 301)


def _request(model: type[Asked], form: dict[str, str]) -> Asked:
    """A form's fields as a request: empty ones are left out, unknown ones too. 422 names the field."""
    values = {name: value for name, value in form.items() if name in model.model_fields and value.strip()}
    if "constrain" in model.model_fields and "form" in form:
        values["constrain"] = form.get("constrain", "false")
    try:
        return model.model_validate(values, strict=False)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ProblemError(422, f"{'.'.join(map(str, fault['loc']))}: {requests.fault_text(fault)}.") from error


def _to_take(studio: Studio, job: Any) -> Response:
    """The page of a job's take, once it is there or soon."""
    studio.wait(job.id, FIRST_WAIT_SECONDS)
    return RedirectResponse(f"/takes/{job.take}", 303)


def _text_of(studio: Studio, id: str, name: str) -> str:
    """The text of a take's file, '' where there is none."""
    path = studio.takes.folder(id) / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _abc_models(studio: Studio) -> list[Any]:
    return [entry for entry in studio.models if entry.notation == "abc"]


FORMS = {  # of each kind of take: where its form is, and the fields that an address fills
    "song": ("/", ("genre", "language", "title", "artist", "first_line", "metre", "key", "chords", "seed")),
    "emotion": ("/emotion", ("title", "metre", "key", "bars", "n", "instrument", "seed")),
    "tune": ("/tune", ("model", "metre", "key", "first_bars", "n", "temperature", "seed")),
}


def _kind(verb: str) -> str:
    return "song" if verb in SONG_VERBS else "emotion" if verb in EMOTION_VERBS else "tune"


def _address(record: dict[str, Any]) -> str:
    """An address that fills the form with what this take was made from."""
    path, names = FORMS[_kind(record["verb"])]
    values = {name: record["options"].get(name) for name in names}
    query = urlencode({name: value for name, value in values.items() if value not in (None, "")})
    return f"{path}?{query}"
