"""Result files: what they must hold, 'not run', ratios round by round."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_file
from symbolic.errors import UserError


def made(**extra: Any) -> dict[str, Any]:
    recorder = result_file.Recorder("speed", seed=3, settings={"tokens": 8}, config_digests={"a": "00"})
    recorder.measured([100.0, 110.0, 90.0], "tokens/s", path="ours")
    recorder.measured([50.0, 44.0, 60.0], "tokens/s", path="peer")
    recorder.not_run("the package peer2 is not installed", path="peer2")
    return {**recorder.result(), **extra}


def test_a_result_carries_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    result_file.write(path, made())
    found = result_file.read(path)
    assert {"commit", "cpu", "torch"} <= set(found["machine"])
    assert found["seed"] == 3 and found["versions"]["torch"] and found["config_digests"] == {"a": "00"}
    assert found["rows"][0]["repeats"] == [100.0, 110.0, 90.0]


def test_rows_of_an_earlier_call_are_kept_where_they_compare(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    result_file.write(path, made())
    recorder = result_file.Recorder("speed", settings={"tokens": 8})
    recorder.keep(path, lambda row: row["path"] == "peer")
    recorder.measured([1.0], "tokens/s", path="peer")
    kept = recorder.result()
    assert [row["path"] for row in kept["rows"]] == ["ours", "peer2", "peer"]
    assert kept["earlier"][0]["commit"] == made()["machine"]["commit"] and kept["config_digests"] == {"a": "00"}

    with pytest.raises(UserError, match="measured with another tokens"):
        result_file.Recorder("speed", settings={"tokens": 9}).keep(path, lambda row: False)
    result_file.write(path, made(machine={**made()["machine"], "cpu": "another"}))
    with pytest.raises(UserError, match="another machine"):
        result_file.Recorder("speed").keep(path, lambda row: False)


def test_ratio_is_taken_round_by_round() -> None:
    ours, peer = made()["rows"][:2]
    spread = result_file.ratio(ours, peer)
    assert spread == result_file.Spread(2.0, 1.5, 2.5)  # 100/50, 110/44, 90/60


def test_what_is_absent_is_not_run_and_never_zero() -> None:
    ours, _, absent = made()["rows"]
    assert absent["not_run"] == "the package peer2 is not installed" and "repeats" not in absent
    assert result_file.ratio(ours, absent) is None
    assert result_file.row_text(absent) == result_file.row_text(None) == "not run"


def test_spread_text_and_overlap() -> None:
    assert result_file.spread_text(result_file.spread([1200.0, 1500.0, 1300.0])) == "1,300 (1,200–1,500)"
    assert result_file.spread_text(result_file.spread([2.0]), 2) == "2.00"
    assert result_file.Spread(5, 4, 6).overlaps(result_file.Spread(7, 6, 8))
    assert not result_file.Spread(5, 4, 6).overlaps(result_file.Spread(8, 7, 9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"path": "x"}]}, "row 0 must have either"),
        ({"rows": [{"repeats": [1.0], "not_run": "why"}]}, "row 0 must have either"),
        ({"rows": [{"repeats": []}]}, "row 0 has no repeats"),
        ({"format": 2}, "format is 2"),
    ],
)
def test_faulty_results_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        result_file.write(tmp_path / "x.json", made(**change))
    assert not (tmp_path / "x.json").exists()


def test_find_and_select() -> None:
    result = made()
    assert result_file.find(result, path="peer") == result["rows"][1]
    assert result_file.find(result, path="nobody") is None
    assert len(result_file.select(result, unit="tokens/s")) == 2


def test_numbers_that_are_not_finite_are_not_results() -> None:
    with pytest.raises(AssertionError):
        result_file.Recorder("x").measured([float("nan")], "s")


def test_data_digest_changes_with_the_data(tmp_path: Path) -> None:
    assert result_file.data_digest(tmp_path) is None
    (tmp_path / "tunes").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "tunes" / f"{split}.jsonl").write_text(split)
    before = result_file.data_digest(tmp_path)
    (tmp_path / "tunes" / "test.jsonl").write_text("other")
    assert before and result_file.data_digest(tmp_path) != before
