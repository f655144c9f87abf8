"""What a run tells: rows of metrics, the status line."""

import json
from pathlib import Path

import pytest
import torch

from symbolic import files
from symbolic.errors import UserError
from symbolic.training import metrics_log
from symbolic.training.metrics_log import Journal, Status

STATUS = Status(
    name="a",
    step=1200,
    steps=100_000,
    loss=1.2344,
    validation=1.4321,
    learning_rate=9.8e-4,
    tokens_per_second=12345.4,
    seconds_left=3723.0,
)


def note(log: Journal, *steps: int, loss: float = 2.0) -> None:
    for step in steps:
        log.add(step, torch.tensor(loss + step), torch.tensor(0.5), 1e-3)


def test_the_status_line_says_what_was_promised() -> None:
    expected = "a  step 1200/100000  loss 1.234  bits/byte 1.432  lr 9.8e-04  12,345 tokens/s  1:02:03 left"
    assert STATUS.line() == expected
    assert STATUS.narrow() == "1200/100000 loss 1.234 bits/byte 1.432 lr 9.8e-04 12,345 tok/s 1:02:03 left"


def test_every_step_has_a_row_and_every_flush_a_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(metrics_log.time, "perf_counter", lambda: now[0])
    log = Journal(tmp_path / "m.jsonl", 0, seconds=0.0, tokens_per_step=50)
    note(log, 1, 2, 3, 4)
    assert not log.due()
    now[0] += 2.0
    assert log.due()
    log.flush(flops_per_token=1e6, peak_flops=1e9)
    log.close()
    rows = list(files.read_jsonl(tmp_path / "m.jsonl"))
    assert [(row["step"], row["loss"]) for row in rows if row["kind"] == "train"] == [(1, 3), (2, 4), (3, 5), (4, 6)]
    assert rows[-1] == {
        "kind": "speed",
        "step": 4,
        "tokens_per_second": 100.0,  # 4 steps of 50 tokens in 2 seconds
        "model_flops_per_second": 1e8,
        "mfu": 0.1,
        "seconds": 2.0,
    }
    assert log.loss == 4.5


def test_time_between_flush_and_restart_is_not_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(metrics_log.time, "perf_counter", lambda: now[0])
    log = Journal(tmp_path / "m.jsonl", 0, seconds=7.0, tokens_per_step=1)
    now[0] = 50.0  # an evaluation
    log.restart_clock()
    note(log, 1)
    now[0] = 51.0
    log.flush(1.0)
    log.close()
    assert (log.seconds, log.tokens_per_second) == (8.0, 1.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(tmp_path: Path, bad: float) -> None:
    log = Journal(tmp_path / "m.jsonl", 0, 0.0, 1)
    note(log, 1)
    note(log, 2, loss=bad)
    with pytest.raises(UserError, match="step 2: the loss is"):
        log.flush(1.0)
    log.close()
    assert [row["step"] for row in metrics_log.read(tmp_path / "m.jsonl")] == [1]


def test_a_resumed_journal_drops_later_rows_and_the_torn_last(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    log = Journal(path, 0, 0.0, 1)
    note(log, 1, 2)
    log.flush(1.0)
    log.validated(2, {"bits_per_byte": 1.5})
    note(log, 3)
    log.flush(1.0)
    log.validated(3, {"bits_per_byte": 1.25})
    log.close()
    with open(path, "a") as file:
        file.write('{"kind": "train", "st')
    again = Journal(path, 2, 0.0, 1)
    again.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 2, 2]
    assert (again.best, again.latest, again.validations) == (1.5, 1.5, {2: 1.5})


def test_a_fresh_journal_starts_empty(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"kind": "train", "step": 1, "loss": 1.0}\n')
    log = Journal(tmp_path / "m.jsonl", 0, 0.0, 1)
    log.close()
    assert (tmp_path / "m.jsonl").read_text() == ""
    assert log.best == float("inf") and log.latest is None


def test_a_damaged_line_loses_that_line_only(tmp_path: Path) -> None:
    rows = [{"kind": "train", "step": step, "loss": 1.0} for step in range(1, 6)]
    lines = [json.dumps(row) for row in rows]
    for damaged in ("", "{", "[1]", lines[2].replace("loss", "lo\x00s"), lines[2][:-3], '{"step": 3}', "[" * 100_000):
        path = tmp_path / "metrics.jsonl"
        path.write_text("\n".join([*lines[:2], damaged, *lines[3:]]) + "\n")
        assert metrics_log.read(path) == [*rows[:2], *rows[3:]], damaged[:20]
