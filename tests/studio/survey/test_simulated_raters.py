"""Simulated raters answer every page of every design, and differences that were put in come out."""

from pathlib import Path

import pytest

from studio.survey.answer_store import AnswerStore
from studio.survey.results.answer_rows import rows_of
from studio.survey.results.survey_analysis import analyse
from studio.survey.simulated_raters import RaterModel, simulate_raters
from studio.survey.survey_folder import Survey, make_survey
from studio.survey.survey_spec import SurveySpec
from tests.studio.survey.conftest import write_tones


def test_a_gap_comes_out_and_simulation_is_said(survey: Survey, tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "a.sqlite")
    simulate_raters(survey, store, 20, RaterModel(gaps={"zebrafish": -1.0}, clip_sd=0.1, careless=0))
    found = analyse(rows_of(survey, store))
    means = found["kept"]["criteria"]["audio"]["systems"]
    assert found["simulated"] == 20 and means["quagga"]["mean"] - means["zebrafish"]["mean"] > 0.5
    assert all(rater.finished and rater.simulated for rater in store.raters())


@pytest.mark.parametrize("design", ["preference", "abx", "mushra", "similarity", "origin"])
def test_every_design_runs_from_clips_to_tables(tmp_path: Path, design: str) -> None:
    sources = {name: str(write_tones(tmp_path / name, 4, hz)) for name, hz in (("reference", 220.0), ("other", 250.0))}
    if design == "similarity":
        for i in range(4):
            (tmp_path / "reference" / f"{i}.txt").write_text(f"words {i}")
        sources = {"pairs": f"pairs:{tmp_path / 'reference'}"}
    human = ("reference",) if design == "origin" else ()
    spec = SurveySpec("d", sources, design=design, items=4, seconds=2.0, human=human)  # type: ignore[arg-type]
    survey = make_survey(spec, tmp_path / "d")
    store = AnswerStore(tmp_path / "a.sqlite")
    simulate_raters(survey, store, 6)
    tables = analyse(rows_of(survey, store), rules=spec.exclusions)["all"]
    table = tables["criteria"].get(design) or tables[design]
    assert table.get("systems") or table.get("pairs")
