"""Tables of the affect experiments."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import affect_tables


def _write(folder: Path, name: str, rows: list[tuple[list[float], dict[str, object]]]) -> None:
    recorder = result_file.Recorder(name)
    for repeats, keys in rows:
        recorder.measured(repeats, "", **keys)
    result_file.write(folder / f"{name}.json", recorder.result())


def test_a_figure_stands_with_its_interval_and_what_is_missing_is_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_file, "EXPERIMENTS", tmp_path)
    keys = {"leg": "half way", "measure": "r"}
    _write(tmp_path, "affect_round_trip", [([0.5, 0.7], {**keys, "low": 0.4, "high": 0.8})])
    assert "| half way | 0.600 (0.40 to 0.80) | – |" in affect_tables.round_trip()


def test_the_map_marks_what_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_file, "EXPERIMENTS", tmp_path)
    keys = {"way": "melody and controls", "scorer": "other"}
    rows = [([v, 0.1], {**keys, "target": [target, 0.0]}) for target, v in ((-0.4, 0.1), (0.1, 0.2))]
    _write(tmp_path, "affect_composing", rows)
    assert affect_tables.reach().splitlines()[-1] == "| arousal +0.00 | +0.10, +0.10 | **+0.20, +0.10** |"


def test_every_table_has_a_name_of_a_section() -> None:
    assert all(name.startswith("affect_") and name.islower() for name in affect_tables.TABLES)
