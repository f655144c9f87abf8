"""The experiment on round trips."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import affect_round_trip
from tests.symbolic.affect.affect_files import HAPPY


def test_a_mean_lies_inside_its_interval() -> None:
    low, high = affect_round_trip.interval([0.0, 1.0, 1.0, 0.0, 1.0])
    assert 0 <= low < 0.6 < high <= 1
    assert affect_round_trip.interval([0.5] * 4) == (0.5, 0.5)


def test_too_few_pieces_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.abc").write_text(HAPPY)
    assert affect_round_trip.main(["--scores", str(tmp_path), "--pieces", "3"]) == 1
    assert "fewer than --pieces 3" in capsys.readouterr().err


def test_stories_alone_keep_the_rows_of_the_music(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.abc").write_text(HAPPY)
    out = tmp_path / "round_trip.json"
    settings = {"pieces": 2, "n": 4, "bars": 8, "melodies": "affect_melodies.abc"}
    recorder = result_file.Recorder("affect_round_trip", settings=settings)
    recorder.measured([0.5], "", leg="half way", measure="r")
    recorder.measured([0.25], "", leg="and back", measure="r")
    recorder.measured([0.125], "", model="level", of="half way", dimension="valence", measure="r")
    recorder.write(out)
    assert affect_round_trip.main(["--scores", str(tmp_path), "--pieces", "2", "--told", "-o", str(out)]) == 0
    found = result_file.read(out)
    assert [row["repeats"] for row in result_file.select(found, leg="and back")] == [[0.25]]
    assert len(result_file.select(found, leg="half way", measure="r")[0]["repeats"]) == 2
    assert len(result_file.select(found, model="level", dimension="valence")) == 1
    assert result_file.select(found, leg="right story") and len(found["earlier"]) == 1
