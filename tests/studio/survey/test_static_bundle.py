"""Static pages: a page a language, every file that they name is there, answers go to the API."""

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from studio.survey.static_bundle import write_bundle
from studio.survey.survey_folder import Survey
from symbolic.errors import UsageError


def test_every_file_that_a_page_names_is_there(survey: Survey, tmp_path: Path) -> None:
    write_bundle(survey, "https://example.org:8017/", tmp_path / "site")
    pages = sorted(path.name for path in (tmp_path / "site").glob("*.html"))
    assert pages == ["es.html", "index.html", "pl.html", "pt.html", "zh.html"]
    text = (tmp_path / "site" / "pl.html").read_text(encoding="utf-8")
    assert 'data-api="https://example.org:8017"' in text and "zebrafish" not in text
    for name in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert (tmp_path / "site" / name).is_file(), name
    with pytest.raises(UsageError, match="origin"):
        write_bundle(survey, "example.org", tmp_path / "other")
