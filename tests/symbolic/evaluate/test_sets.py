"""Sets of tunes from files and folders; a tune that cannot be read keeps its place."""

import json
from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.evaluate import sets

TUNE = "X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:G\nG2B2 d2g2|]\n"


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_tunes_of_an_abc_file(tmp_path: Path) -> None:
    path = tmp_path / "two.abc"
    path.write_text(TUNE.format(n=1) + "\n" + TUNE.format(n=2), encoding="utf-8")
    first, second = sets.read_tunes(path)
    assert (first.title, second.title) == ("Tune 1", "Tune 2") and "X:2" in second.text
    assert first.id != second.id


def test_rows_keep_id_and_title(tmp_path: Path) -> None:
    write_rows(tmp_path / "set.jsonl", [{"id": "a", "title": "A\ud800", "text": "x"}, {"text": ""}])
    first, second = sets.read_tunes(tmp_path / "set.jsonl")
    assert (first.id, first.text, second.id, second.text) == ("a", "x", "2", "")
    assert first.title == "A?"  # half a surrogate pair, which no file can hold


def test_a_prepared_folder_gives_its_test_tunes(tmp_path: Path) -> None:
    for split, n in (("train", 3), ("valid", 1), ("test", 2)):
        write_rows(tmp_path / "tunes" / f"{split}.jsonl", [{"id": f"{split}{i}", "text": "x"} for i in range(n)])
    assert [tune.id for tune in sets.read_tunes(tmp_path)] == ["test0", "test1"]
    human = sets.read_human(tmp_path)
    assert (len(human.train), len(human.held_out), human.summary) == (3, 2, {})
    write_rows(tmp_path / "tunes" / "test.jsonl", [])
    with pytest.raises(UserError, match="empty"):
        sets.read_human(tmp_path)


def test_a_set_that_is_not_split_is_its_own_human_column(tmp_path: Path) -> None:
    write_rows(tmp_path / "set.jsonl", [{"id": "a", "text": "x"}, {"id": "b", "text": ""}])
    human = sets.read_human(tmp_path / "set.jsonl")
    assert [tune.id for tune in human.held_out] == ["a"] and human.test == []


def test_a_set_without_tunes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.abc").write_text("no tune\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"empty\.abc"):
        sets.read_tunes(tmp_path / "empty.abc")
    write_rows(tmp_path / "rows.jsonl", [{"text": "x"}, {"words": "y"}])
    with pytest.raises(UserError, match="row 2"):
        sets.read_tunes(tmp_path / "rows.jsonl")


def test_text_as_a_model_reads_it() -> None:
    assert sets.canonical_text(TUNE.format(n=1)) == "M:4/4\nL:1/8\nK:G\nG2B2d2g2|]\n"
    assert sets.canonical_text("X:1\nT:a\n% words\nK:H\n((\n") == "K:H\n((\n"
    assert sets.canonical_text("X:1\n") == "\n"
