"""The experiment on round trips."""

from pathlib import Path

import pytest

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
