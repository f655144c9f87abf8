"""The function behind the verb: tunes as texts, as a file, of MIDI; what is written of them."""

import json
from pathlib import Path

import pytest

from symbolic.errors import UsageError, UserError
from symbolic.evaluate import evaluation, sets
from symbolic.evaluate.comparison import CONTROLS


def test_texts_and_a_file_of_them_measure_the_same(data: Path, tmp_path: Path) -> None:
    texts = [tune.text for tune in sets.read_human(data).test[:4]]
    rows = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts, start=1)]
    (tmp_path / "made.jsonl").write_text("\n".join(rows), encoding="utf-8")
    given = evaluation.evaluate(texts, data)
    read = evaluation.evaluate(tmp_path / "made.jsonl", data)
    assert given.measures == read.measures and given.measures["n_tunes"] == 4
    assert list(given.columns) == ["tunes", *list(read.columns)[1:]]
    assert set(CONTROLS) < set(given.columns)
    assert [row["parses"] for row in given.rows] == [True] * 4


def test_what_is_written_can_be_written_again(data: Path, tmp_path: Path) -> None:
    found = evaluation.evaluate([tune.text for tune in sets.read_human(data).test[:2]], data)
    for _ in range(2):
        evaluation.check_folder(tmp_path / "out")
        evaluation.write(found, tmp_path / "out", html=True)
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["measures"]["tunes"] == found.measures and scores["provenance"]["against"] == str(data)
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"holds other files \(mine\.txt\)"):
        evaluation.check_folder(tmp_path / "out")


def test_what_is_absent_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tunes"):
        evaluation.evaluate([], data)
    with pytest.raises(UserError, match="--against"):
        evaluation.evaluate(["X:1\nM:4/4\nL:1/8\nK:C\nCDEF|"], tmp_path / "absent")


def test_two_sets_are_told_apart_where_they_differ(data: Path, tmp_path: Path, broken: str) -> None:
    """The same tunes are not told apart; tunes of which half do not parse are."""
    texts = [tune.text for tune in sets.read_human(data).test]
    spoilt = [broken if number % 2 else text for number, text in enumerate(texts)]
    (tmp_path / "spoilt.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in spoilt), encoding="utf-8")
    found = evaluation.evaluate(texts, data, beside=tmp_path / "spoilt.jsonl")
    assert list(found.columns)[:2] == ["tunes", "spoilt"]
    parse = found.extra["differences"]["shares"]["share_that_parse"]
    assert parse["value"] == 1 - found.columns["spoilt"]["share_that_parse"] and 0 < parse["low"] < parse["value"]
    table = next(one for one in found.tables if one.title == "tunes less spoilt, percentage points")
    told = {str(row[0]): row[3] for row in table.rows}
    assert told["tunes that parse"] == "yes" and told["tunes with a copied 17-note phrase"] == "no"
    same = evaluation.evaluate(texts[:8], data, beside=texts[:8])
    assert list(same.columns)[:2] == ["tunes", "tunes (2)"]
    assert all(one["value"] == 0 for one in same.extra["differences"]["shares"].values())
