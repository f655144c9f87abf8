"""A survey as static pages for any web host: index.html a language, script, style; clips and answers stay with the API.

The API's studio must allow the host's origin: python -m studio serve --surveys FOLDER --allow-origin https://pages.example.org
"""

import re
import shutil
from pathlib import Path

from studio.pages import rendering
from studio.survey.survey_folder import Survey
from studio.survey.survey_routes import filled
from studio.survey.survey_session import SurveySession
from studio.survey.wording import wording
from symbolic import files
from symbolic.errors import UsageError

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
_ASSETS = ("survey.css", "survey.js", "icon.svg")


def write_bundle(survey: Survey, api: str, folder: Path) -> None:
    """Write the pages. `api` is an origin such as https://example.org:8017; UsageError for another form."""
    api = api.rstrip("/")
    if not _ORIGIN.fullmatch(api):
        raise UsageError(f"--api {api}: give an origin such as https://example.org or http://127.0.0.1:8017.")
    session = SurveySession(survey)
    with files.whole_folder(folder) as temporary:
        for name in _ASSETS:
            shutil.copyfile(rendering.HERE / "static" / name, temporary / name)
        for language in survey.spec.languages:
            texts, values = wording(language), session.overview(language)
            page = rendering.page(
                "survey.html", survey=survey.folder.name, language=language, rater="", texts=texts, overview=values,
                says={key: filled(texts[key], values) for key in texts}, names={}, api=api, base="",
            )  # fmt: skip
            name = "index.html" if language == survey.spec.languages[0] else f"{language}.html"
            files.write_whole(temporary / name, page)
