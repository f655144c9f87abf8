"""The loop on a model of one number, whose losses and rates are known by hand."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbolic import files, runs
from symbolic.config import TrainConfig
from symbolic.errors import UserError
from symbolic.progress import Console
from symbolic.training import loop, metrics_log, optim
from symbolic.training.checkpoint import TrainingProgress
from symbolic.training.loop import Interrupted, Plan, Watch


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor([4.0]))


class NumberLearner:
    """Loss x squared; `scores` are the validation figures that it will have, by step."""

    scaler = cost = peak = None

    def __init__(self, settings: TrainConfig, scores: dict[int, float]) -> None:
        self.model = Number()
        self.optimizer = optim.build(self.model, settings)
        self.scores, self.saved = scores, []  # type: ignore[var-annotated]

    def gradients(self, step: int) -> Tensor:
        loss = (self.model.x**2).sum()
        loss.backward()
        return loss.detach()

    def evaluate(self, step: int, watch: Watch) -> dict[str, Any]:
        watch(1, 1)
        return {"loss": self.scores[step], "size": 3}

    def save(self, folder: Path, step: int, seconds: float, with_moments: bool) -> None:
        self.saved.append((folder.name, step, with_moments))
        files.write_json(folder / "training.json", {})


def settings(**changes: Any) -> TrainConfig:
    base = {"steps": 8, "batch_size": 1, "learning_rate": 0.1, "warmup_steps": 2, "evaluate_every": 2}
    return TrainConfig(**{**base, "checkpoint_every": 3, **changes})


def plan(folder: Path, train: TrainConfig, **changes: Any) -> Plan:
    return Plan(
        name="x", folder=folder, settings=train, tokens_per_step=1, how_to_resume="Go on with: GO", measure="loss",
        remedy=lambda kept: f"Mend it; {kept and kept.name}.", unit="nats",
        describe=lambda values: f", {values['size']} clips",
        **changes,
    )  # fmt: skip


def carry_out(
    learner: NumberLearner, what: Plan, step: int = 0, show: metrics_log.Reporter = lambda status: None
) -> loop.Loop:
    return loop.carry_out(learner, what, TrainingProgress(step), Console(), show)


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in metrics_log.read(runs.metrics_file(folder)) if row["kind"] == kind]


def test_what_is_due_when(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = settings()
    learner = NumberLearner(train, {2: 3.0, 4: 1.0, 6: 2.0, 8: 1.5})
    run = carry_out(learner, plan(tmp_path, train))
    assert (run.log.best, run.log.best_step, run.log.latest) == (1.0, 4, 1.5)
    assert learner.saved == [
        ("best", 2, False), ("step-00000003", 3, True), ("best", 4, False), ("step-00000006", 6, True),
        ("step-00000008", 8, True),
    ]  # fmt: skip
    assert [step for step, _ in runs.checkpoints(tmp_path)] == [6, 8]
    assert "step 4: validation 1.0000 nats, 3 clips" in capsys.readouterr().err
    found = rows(tmp_path, "train")
    assert [row["learning_rate"] for row in found] == [optim.learning_rate(step, train) for step in range(8)]
    assert found[0]["loss"] == 16.0 and found[0]["gradient_norm"] == 8.0
    assert rows(tmp_path, "speed")[-1]["model_flops_per_second"] is None


def test_the_first_model_is_scored_where_that_is_asked_for(tmp_path: Path) -> None:
    train = settings(steps=2)
    learner = NumberLearner(train, {0: 1.0, 2: 2.0})
    run = carry_out(learner, plan(tmp_path, train, evaluate_first=True))
    assert run.log.validations == {0: 1.0, 2: 2.0}
    assert learner.saved == [("best", 0, False), ("step-00000002", 2, True)]


def test_patience_ends_a_run_and_a_resumed_one_stays_ended(tmp_path: Path) -> None:
    train = settings(steps=100)
    scores = {2: 2.0, 4: 1.0, 6: 1.0, 8: 1.5}
    learner = NumberLearner(train, scores)
    run = carry_out(learner, plan(tmp_path, train, patience=2))
    assert (run.step, run.is_out_of_patience, run.log.best_step) == (8, True, 4)
    assert learner.saved[-1] == ("step-00000008", 8, True)
    again = NumberLearner(train, {})
    assert carry_out(again, plan(tmp_path, train, patience=2), step=8).step == 8 and again.saved == []


def test_a_signal_ends_in_a_saved_state_and_the_way_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_log, "FLUSH_SECONDS", 0.0)
    train = settings()
    learner = NumberLearner(train, {2: 1.0, 4: 1.0})

    def show(status: metrics_log.Status) -> None:
        if status.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"stopped and saved at step 5\. Go on with: GO") as stopped:
        carry_out(learner, plan(tmp_path, train), show=show)
    assert stopped.value.status == 128 + signal.SIGTERM
    assert learner.saved[-1] == ("step-00000005", 5, True)


def test_a_loss_that_is_not_finite_names_what_is_kept_and_the_remedy(tmp_path: Path) -> None:
    train = settings(evaluate_every=100)
    learner = NumberLearner(train, {})

    def gradients(step: int) -> Tensor:
        return NumberLearner.gradients(learner, step) * (float("nan") if step == 4 else 1.0)

    learner.gradients = gradients  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"step 5: the loss is nan.*step-00000003 is kept\. Mend it; step-00000003\."):
        carry_out(learner, plan(tmp_path, train))


def test_the_scaler_of_float16_leaves_out_a_step_that_overflows(tmp_path: Path) -> None:
    train = settings(steps=2, evaluate_every=100, warmup_steps=0)
    learner = NumberLearner(train, {2: 1.0})
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    before = learner.model.x.item()

    def gradients(step: int) -> Tensor:
        loss = (learner.model.x**2).sum() * (1e38 if step == 0 else 1.0)
        learner.scaler.scale(loss).backward()  # type: ignore[attr-defined]
        return torch.tensor(1.0)

    learner.gradients = gradients  # type: ignore[method-assign]
    seen: list[float] = []
    learner.optimizer.register_step_post_hook(lambda *_: seen.append(learner.model.x.item()))
    carry_out(learner, plan(tmp_path, train))
    norms = [row["gradient_norm"] for row in rows(tmp_path, "train")]
    assert norms[0] == 0.0 and norms[1] == pytest.approx(2 * before)
    assert seen[0] == before > seen[1]
