"""The report's folder: files, what is said of simulated raters, charts that are whole SVG."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from studio.survey.answer_store import AnswerStore
from studio.survey.results.survey_report import write_report
from studio.survey.simulated_raters import simulate_raters
from studio.survey.survey_folder import Survey
from symbolic.errors import UserError


def test_a_survey_without_answers_has_no_report(survey: Survey, tmp_path: Path) -> None:
    if (survey.folder / "answers.sqlite").exists():
        (survey.folder / "answers.sqlite").unlink()
    with pytest.raises(UserError, match="no answers yet"):
        write_report(survey, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_the_report_says_simulated_and_holds_every_answer(survey: Survey, tmp_path: Path) -> None:
    store = AnswerStore(survey.folder / "answers.sqlite")
    simulate_raters(survey, store, 8, seed=3)
    found = write_report(survey, tmp_path / "report")
    assert found["simulated"] == found["raters"] == len([r for r in store.raters() if r.simulated]) == 8
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "8 of 8 raters are simulated" in page and "zebrafish" in page and "<script" not in page
    drawings = sorted((tmp_path / "report").glob("*.svg"))
    assert {"answers-melody.svg", "means-melody.svg", "raters-melody.svg", "origin.svg"} <= {p.name for p in drawings}
    for path in drawings:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag.endswith("svg") and "simulated" in "".join(root.itertext()), path.name
    with (tmp_path / "report" / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(store.answers())
    assert found["answers"] == sum(row["kind"] == "main" for row in rows) == 8 * 8 * 8  # raters, clips, criteria
    assert json.loads((tmp_path / "report" / "analysis.json").read_text(encoding="utf-8"))["raters"] == 8
