"""`python -m studio survey`: from sources to a report on the command line."""

from pathlib import Path

import pytest

from symbolic.command_line import main
from tests.studio.survey.conftest import write_tones

VERBS = {"survey": ("studio.survey.survey_verb", "")}


def call(*arguments: object) -> int:
    return main("studio", VERBS, ["survey", *map(str, arguments)])


def test_make_simulate_report_export_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = write_tones(tmp_path / "runs/a", 5, 220.0), write_tones(tmp_path / "runs/b", 5, 260.0)
    pilot = tmp_path / "pilot"
    assert call("make", "--from", one, other, "--human", "b", "--items", 4, "--seconds", 2, "-o", pilot) == 0
    assert call("report", pilot) == 1 and "no answers yet" in capsys.readouterr().err
    assert call("simulate", pilot, "-n", 5) == 0 and call("report", pilot) == 0
    page = (pilot / "report" / "report.html").read_text(encoding="utf-8")
    assert "5 of 5 raters are simulated" in page and page.count("<svg") >= 15
    assert "5 raters (5 simulated)" in capsys.readouterr().out
    assert call("export", pilot) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("rater,system,value,criterion") and len(lines) == 1 + 5 * 11 * 8
    assert call("import", pilot / "report" / "answers.csv", "-o", tmp_path / "again") == 0
    assert (tmp_path / "again" / "report.html").is_file()


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("make", "-o", tmp_path / "x") == 2 and "--from" in capsys.readouterr().err
    assert call("make", "--from", "nowhere/x.abc", "-o", tmp_path / "x") == 2
    assert call("report", tmp_path / "none") == 1 and capsys.readouterr().err.count("\n") <= 2
