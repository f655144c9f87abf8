"""Rows to CSV and back; webMUSHRA's CSV; formulas made harmless."""

from pathlib import Path

import pytest

from studio.survey.results.answer_rows import AnswerRow, read_csv, to_csv
from symbolic.errors import UserError

WEBMUSHRA = (
    "session_test_id,email,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n"
    "t,a@b,trial1,reference,98,3000,\nt,a@b,trial1,C1,45,3000,\nt,c@d,trial1,C1,55,100,\n"
)


def test_csv_and_back(tmp_path: Path) -> None:
    rows = [
        AnswerRow("1", "a", 4.0, "audio", "c1", "0", 3, human=True, expected=None),
        AnswerRow("2", "b", 1.5, simulated=True),
    ]
    (tmp_path / "a.csv").write_text(to_csv(rows), encoding="utf-8")
    again = read_csv(tmp_path / "a.csv")
    assert again[0] == rows[0] and (again[1].value, again[1].simulated) == (1.5, True)


def test_formulas_are_text() -> None:
    assert "'=HYPERLINK" in to_csv([AnswerRow("1", "=HYPERLINK(1)", 1.0)])


def test_webmushra(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(WEBMUSHRA)
    rows = read_csv(tmp_path / "m.csv")
    assert [(r.rater, r.system, r.value, r.criterion) for r in rows] == [
        ("a@b", "reference", 98.0, "mushra"), ("a@b", "C1", 45.0, "mushra"), ("c@d", "C1", 55.0, "mushra"),
    ]  # fmt: skip


def test_plain_csv_with_other_names_and_commas(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("\ufeffparticipant;model;score\np1;x;3,5\n", encoding="utf-8")
    assert [(r.rater, r.system, r.value) for r in read_csv(tmp_path / "p.csv")] == [("p1", "x", 3.5)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "'rater'"),
        ("rater,system,value\n1,a,x\n", "line 2: value"),
        ("rater,system,value\n", "no answers"),
        ("", "none"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_csv(tmp_path / "x.csv")
