"""A run's curve is what its files say, on every axis, finished or in progress."""

from pathlib import Path
from typing import Any

import pytest

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.errors import UserError
from symbolic.training import learning_curve

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "gpt2-debug.yaml"


def write_run(folder: Path, *, finished: bool = True, last: int = 40) -> configuration.Config:
    config = configuration.load(CONFIG, [("name", "gpt2-debug-seed3"), ("seed", "3")])
    files.write_whole(runs.config_file(folder), configuration.dump(config))
    files.write_json(runs.run_file(folder), {"summary": {"steps": 40}} if finished else {})
    rows: list[dict[str, Any]] = []
    for step in range(1, last + 1):
        rows.append({"kind": "train", "step": step, "loss": 5.0 - step / 20})
        if step % 10 == 0:
            rows.append({"kind": "speed", "step": step, "seconds": 2.0 * step})
            rows.append({"kind": "validation", "step": step, "bits_per_byte": 3.0 - step / 40})
    files.write_jsonl(runs.metrics_file(folder), rows)
    return config


def test_a_curve_has_its_place_on_every_axis(tmp_path: Path) -> None:
    config = write_run(tmp_path)
    curve = learning_curve.read(tmp_path)
    per_step = config.train.batch_size * config.train.accumulation * config.data.context
    assert curve.bits_per_byte == [2.75, 2.5, 2.25, 2.0]
    assert curve.steps == [10, 20, 30, 40] and curve.seconds == [20.0, 40.0, 60.0, 80.0]
    assert curve.tokens == [step * per_step for step in curve.steps]
    assert curve.flops[1] == 2 * curve.flops[0] > 0
    assert curve.training[0] == [1, 4.95] and len(curve.training) == 40
    assert curve.model == "gpt2-debug" and curve.finished and curve.last_step == 40


def test_a_run_in_progress_is_read_as_far_as_it_has_come(tmp_path: Path) -> None:
    write_run(tmp_path, finished=False, last=25)
    with open(runs.metrics_file(tmp_path), "a", encoding="utf-8") as file:
        file.write('{"kind": "train", "ste')  # a row being written
    curve = learning_curve.read(tmp_path)
    assert (curve.finished, curve.steps, curve.last_step) == (False, [10, 20], 25)
    runs.metrics_file(tmp_path).unlink()
    assert learning_curve.read(tmp_path).steps == []


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        learning_curve.read(tmp_path / "absent")


def test_a_value_between_two_validations_lies_between_them() -> None:
    assert learning_curve.at([10, 20], [3.0, 2.0], 15) == 2.5
    assert learning_curve.at([10, 20], [3.0, 2.0], 20) == 2.0
    assert learning_curve.at([10, 20], [3.0, 2.0], 21) is None
    assert learning_curve.at([10], [3.0], 10) == 3.0 and learning_curve.at([], [], 1) is None
