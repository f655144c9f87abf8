"""Surveys on the studio's server: pages for raters under /surveys, their API, and results for whoever has the token.

GET  /surveys/{survey}                                   consent, in the rater's language
GET  /surveys/{survey}/{rater}                           the survey itself; the rater's own link
POST /api/v1/surveys/{survey}/raters                     consent given: a new rater
GET  /api/v1/surveys/{survey}/raters/{rater}             the next page
PUT  /api/v1/surveys/{survey}/raters/{rater}/answers     one answer; the same again changes nothing
GET  /api/v1/surveys/{survey}/raters/{rater}/clips/{name}    sound, with Range
DELETE /api/v1/surveys/{survey}/raters/{rater}           withdraw
GET  /api/v1/survey-results/{survey}, .../answers.csv    tables and answers (not open to raters)
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from studio.pages import rendering
from studio.server.application import Extension
from studio.server.problems import RESPONSES, ProblemError, not_found
from studio.survey.answer_store import Rater
from studio.survey.survey_folder import read_survey
from studio.survey.survey_session import SurveySession
from studio.survey.wording import FALLBACK, wording
from symbolic.errors import UserError

PUBLIC = ("/surveys/", "/api/v1/surveys/")
CROSS_ORIGIN = ("/api/v1/surveys/",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_PRIVATE = {"Cache-Control": "no-store"}
_NO_DATE = "Thu, 01 Jan 1970 00:00:00 GMT"


class Consent(BaseModel):
    """Consent to take part, and what the listener says of their sound."""

    model_config = ConfigDict(extra="forbid", strict=True)
    consent: bool
    language: str = Field(default=FALLBACK, max_length=8)


class ListeningSetup(BaseModel):
    """Whether the rater listens by headphones."""

    model_config = ConfigDict(extra="forbid", strict=True)
    headphones: bool


class GivenAnswer(BaseModel):
    """One answer; `heard` is the share of the clip that was played, 0 to 1."""

    model_config = ConfigDict(extra="forbid", strict=True)
    trial: int = Field(ge=0, le=10_000)
    place: int = Field(ge=0, le=100)
    criterion: str = Field(max_length=80)
    value: int = Field(ge=-1000, le=1000)
    heard: float = Field(ge=0.0, le=1.0)


class SurveyBook:
    """The surveys of a folder by name, opened when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, SurveySession] = {}

    def session(self, name: str) -> SurveySession:
        """A survey; 404 for none of that name."""
        if name not in self._open:
            if not _NAME.fullmatch(name) or not (self.folder / name / "survey.json").is_file():
                raise not_found("survey")
            self._open[name] = SurveySession(read_survey(self.folder / name))
        return self._open[name]

    def rater(self, name: str, id: str) -> tuple[SurveySession, Rater]:
        """A survey and one of its raters; 404 for an unknown link."""
        session = self.session(name)
        try:
            return session, session.rater(id)
        except KeyError as error:
            raise ProblemError(404, "There is no such link. Ask the person who sent it to you.") from error


def _book(request: Request) -> SurveyBook:
    book: SurveyBook = request.app.state.surveys
    return book


Book = Annotated[SurveyBook, Depends(_book)]
router = APIRouter(responses=RESPONSES)


def extension(folder: Path) -> Extension:
    """The routes of the surveys in a folder, for `application.build`."""
    return Extension(router, PUBLIC, CROSS_ORIGIN, {"surveys": SurveyBook(folder)})


@router.get("/surveys/{survey}", include_in_schema=False)
def consent_page(survey: str, request: Request, book: Book, language: str = "") -> Response:
    """Who asks, what is kept, and the button to begin."""
    session = book.session(survey)
    offered = session.survey.spec.languages
    chosen = language if language in offered else _preferred(request, offered)
    return _page(request, session, chosen, rater="")


@router.get("/surveys/{survey}/{rater}", include_in_schema=False)
def survey_page(survey: str, rater: str, request: Request, book: Book) -> Response:
    """The survey, where this rater left it."""
    session, known = book.rater(survey, rater)
    return _page(request, session, known.language or FALLBACK, rater=known.id)


@router.get("/surveys", include_in_schema=False)
def no_list() -> Response:
    """Surveys are not listed: their links are given to raters."""
    return RedirectResponse("/", 303)


def _page(request: Request, session: SurveySession, language: str, rater: str) -> Response:
    values, texts = session.overview(language), wording(language)
    return rendering.respond(
        request, "survey.html", survey=session.survey.folder.name, language=language, rater=rater, texts=texts,
        overview=values, says={key: filled(texts[key], values) for key in texts},
        names={code: wording(code)["language"] for code in session.survey.spec.languages},
    )  # fmt: skip


def filled(text: str, values: Mapping[str, Any]) -> str:
    """A text of the consent page with the numbers of `SurveySession.overview` in its blanks."""
    blanks = {
        "n": values["n_trials"],
        "minutes": values["minutes"],
        "contact": values["contact"],
        "days": values["days"],
    }
    return re.sub(r"{(n|minutes|contact|days)}", lambda match: str(blanks[match[1]]), text)


def _preferred(request: Request, offered: tuple[str, ...]) -> str:
    """The first language of the browser's list that the survey is offered in."""
    for part in request.headers.get("accept-language", "")[:200].split(","):
        code = part.split(";")[0].strip().split("-")[0].lower()
        if code in offered:
            return code
    return offered[0] if offered else FALLBACK


@router.post("/api/v1/surveys/{survey}/raters", status_code=201)
def enroll(survey: str, consent: Consent, book: Book) -> dict[str, Any]:
    """Begin a survey. Answers the rater's secret link."""
    if not consent.consent:
        raise ProblemError(422, "Nobody takes part without consent.")
    session = book.session(survey)
    rater = session.enroll(consent.language, {})
    return {"rater": rater.id, "link": f"/surveys/{survey}/{rater.id}", **session.state(rater)}


@router.get("/api/v1/surveys/{survey}/raters/{rater}")
def rater_state(survey: str, rater: str, book: Book) -> dict[str, Any]:
    """The next page of a rater, or the end."""
    session, known = book.rater(survey, rater)
    return session.state(known)


@router.put("/api/v1/surveys/{survey}/raters/{rater}/sound", status_code=204)
def note_sound(survey: str, rater: str, sound: ListeningSetup, book: Book) -> Response:
    """Keep whether headphones are worn."""
    session, known = book.rater(survey, rater)
    session.store.note_environment(known.id, {"headphones": sound.headphones})
    return Response(status_code=204)


@router.put("/api/v1/surveys/{survey}/raters/{rater}/answers", status_code=204)
def give_answer(survey: str, rater: str, answer: GivenAnswer, book: Book) -> Response:
    """Keep one answer. Sent twice it counts once."""
    session, known = book.rater(survey, rater)
    session.save(known, answer.trial, answer.place, answer.criterion, float(answer.value), answer.heard)
    return Response(status_code=204)


@router.get("/api/v1/surveys/{survey}/raters/{rater}/clips/{name}", response_class=FileResponse)
def clip(survey: str, rater: str, name: str, book: Book) -> Response:
    """The sound of a clip under the name that this rater knows it by."""
    session, known = book.rater(survey, rater)
    try:
        path = session.clip_path(known, name)
    except KeyError as error:
        raise ProblemError(404, "There is no such clip.") from error
    response = FileResponse(path, media_type="audio/mpeg", headers=_PRIVATE, stat_result=path.stat())
    response.headers["etag"] = f'"{name}"'  # a file's own would tell that two raters hear the same
    response.headers["last-modified"] = _NO_DATE
    return response


@router.delete("/api/v1/surveys/{survey}/raters/{rater}")
def withdraw(survey: str, rater: str, book: Book) -> dict[str, int]:
    """Delete all answers of a rater."""
    session, known = book.rater(survey, rater)
    return {"deleted": session.withdraw(known)}


@router.get("/api/v1/survey-results/{survey}")
def results(survey: str, book: Book) -> dict[str, Any]:
    """The analysis so far, as in report/analysis.json."""
    from studio.survey.results.survey_report import analysis_of

    try:
        found = analysis_of(book.session(survey).survey)[1]
    except UserError as error:
        raise ProblemError(409, str(error)) from error
    return dict(_finite(found))


@router.get("/api/v1/survey-results/{survey}/answers.csv", response_class=PlainTextResponse)
def answers_csv(survey: str, book: Book) -> Response:
    """One row an answer."""
    from studio.survey.results.answer_rows import rows_of, to_csv

    session = book.session(survey)
    return PlainTextResponse(
        to_csv(rows_of(session.survey, session.store)), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{survey}.csv"', **_PRIVATE},
    )  # fmt: skip


def _finite(value: Any) -> Any:
    """JSON has no NaN: None in its place."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
