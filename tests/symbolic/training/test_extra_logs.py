"""CSV and TensorBoard hold what metrics.jsonl holds, over a resume, too."""

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import runs
from symbolic.errors import UserError
from symbolic.training import extra_logs, metrics_log
from symbolic.training.metrics_log import Journal


def steps(log: Journal, *numbers: int) -> None:
    for step in numbers:
        log.add(step, torch.tensor(3.0 - step / 10), torch.tensor(1.0), 1e-3)
        log.flush(1e6)
    log.validated(numbers[-1], {"bits_per_byte": 2.5, "n_tunes": 4, "seconds": 0.5})


def table(folder: Path) -> list[dict[str, str]]:
    with open(runs.csv_file(folder), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_the_metrics_and_follows_a_resume(tmp_path: Path) -> None:
    path = runs.metrics_file(tmp_path)
    log = Journal(path, 0, 0.0, 64, logs="csv")
    steps(log, 1, 2, 3)
    assert len(table(tmp_path)) == 7  # on the disk while the run goes on
    log.close()
    log = Journal(path, 2, 0.0, 64, logs="csv")
    assert [row["step"] for row in table(tmp_path) if row["kind"] == "train"] == ["1", "2"]
    steps(log, 3, 4)
    log.close()
    rows = metrics_log.read(path)
    found = table(tmp_path)
    assert [(row["kind"], int(row["step"])) for row in found] == [(row["kind"], row["step"]) for row in rows]
    for one, other in zip(found, rows, strict=True):
        assert {key: float(value) for key, value in one.items() if key != "kind" and value} == pytest.approx(
            {key: value for key, value in other.items() if key != "kind" and value is not None}
        )


def test_a_key_that_comes_later_is_a_column_at_the_end(tmp_path: Path) -> None:
    log = extra_logs.CSVLog(tmp_path, [{"kind": "train", "step": 1, "loss": 2.0}])
    log.add({"kind": "validation", "step": 1, "syllables": 7, "loss": 1.0})
    log.add({"kind": "train", "step": 2, "loss": 1.5})
    log.close()
    assert list(table(tmp_path)[0])[-1] == "syllables"
    assert [(row["loss"], row["syllables"]) for row in table(tmp_path)] == [("2.0", ""), ("1.0", "7"), ("1.5", "")]


def test_without_being_asked_for_nothing_is_written(tmp_path: Path) -> None:
    log = Journal(runs.metrics_file(tmp_path), 0, 0.0, 64)
    steps(log, 1)
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_tensorboard_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    extra_logs.check("csv")
    with pytest.raises(UserError, match=r"pip install 'abc-symbolic\[tensorboard\]'"):
        extra_logs.check("csv tensorboard")


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_reads_the_scalars(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = runs.metrics_file(tmp_path)
    log = Journal(path, 0, 0.0, 64, logs="tensorboard")
    steps(log, 1, 2, 3)
    log.close()
    log = Journal(path, 2, 0.0, 64, logs="tensorboard")
    steps(log, 3, 4)
    log.close()
    read = EventAccumulator(str(runs.tensorboard_folder(tmp_path)))
    read.Reload()
    losses: list[Any] = read.Scalars("train/loss")
    assert [event.step for event in losses] == [1, 2, 3, 4]
    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [event.value for event in losses] == pytest.approx([r["loss"] for r in kept if r["kind"] == "train"])
    assert read.Scalars("validation/bits_per_byte")[-1].value == 2.5
