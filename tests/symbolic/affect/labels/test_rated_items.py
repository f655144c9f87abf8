"""Tables of ratings as people write them."""

from pathlib import Path

import pytest

from symbolic.affect.labels.rated_items import LabelTable, file_in
from symbolic.errors import UserError


def _table(path: Path, text: str) -> LabelTable:
    path.write_text(text, encoding="utf-8")
    return LabelTable(path)


def test_blanks_marks_and_case_of_names_do_not_count(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", "\ufeffsong_id, Valence_mean ,extra\n1, 3.5,x\n")
    assert list(table.complete([table.column("valence_mean")], table.column("song_id"))) == [
        ("1", {"song_id": "1", "valence_mean": " 3.5", "extra": "x"}, [3.5])
    ]


def test_decimal_commas_with_semicolons(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", "id;valence;arousal\n1;0,5;-0,25\n")
    assert next(table.complete(["valence", "arousal"], "id"))[2] == [0.5, -0.25]


def test_gaps_and_doubles_are_counted(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", "id,valence\n1,NaN\n2,0.1\n2,0.3\n3,\n,0.2\n")
    assert [key for key, _, _ in table.complete(["valence"], "id")] == ["2"]
    assert table.remarks == (
        "a.csv: 3 rows without a number or an id left out",
        "a.csv: 1 rows with an id that came before left out",
    )


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    table = _table(tmp_path / "a.csv", "id,joy\n1,1\n")
    with pytest.raises(UserError, match="no column valence; it has id, joy"):
        table.column("valence")
    with pytest.raises(UserError, match=r"holds no x.csv or y.csv"):
        file_in(tmp_path, "x.csv", "y.csv")
