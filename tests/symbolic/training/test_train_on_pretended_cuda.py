"""Training on a pretended CUDA device: losses of the CPU, no wait for the device inside a step, resuming, decoding.

The steps run the calls that a GPU would get; their kernels and speed are not seen (tests/pretended_cuda.py).
"""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import config, files, models, runs
from symbolic.config import Config, GPT2Config, LSTMConfig, Mamba2Config, MambaConfig, ModelConfig
from symbolic.decode.tune_writer import generate
from symbolic.training import metrics_log, train
from symbolic.training.loop import Loop
from symbolic.training.metrics_log import Status
from tests.pretended_cuda import PretendedDevice, pretended_cuda

SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=24),
    "mamba": MambaConfig(n_layer=1, d_model=16, d_state=4),
    "mamba2": Mamba2Config(n_layer=1, d_model=16, d_state=8, head_dim=8, chunk_size=8),
    "lstm": LSTMConfig(n_layer=1, d_model=16),
}
STEPS = 4


class Killed(Exception):
    """A process that dies."""


def quiet(status: Status) -> None:
    """Hear of progress without printing it."""


def kill(status: Status) -> None:
    if status.step == STEPS - 1:
        raise Killed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, generator = tmp_path_factory.mktemp("data"), random.Random(0)
    for split, n in (("train", 12), ("valid", 2), ("test", 2)):
        bars = [["".join(generator.choices("GABcdef", k=6)) for _ in range(4)] for _ in range(n)]
        rows = [{"id": f"{split}{i}", "text": f"M:6/8\nL:1/8\nK:G\n{'|'.join(tune)}|\n"} for i, tune in enumerate(bars)]
        files.write_jsonl(folder / "tunes" / f"{split}.jsonl", rows)
    files.write_json(folder / "sources.json", [{"name": "made", "terms": "none"}])
    return folder


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log every step, so that a status is heard after each."""
    monkeypatch.setattr(metrics_log.Journal, "due", lambda _: True)


@pytest.fixture
def update_waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(kind, place in the code) of each wait inside `Loop.update`, on the device that `watch` names."""
    seen: list[tuple[str, str]] = []
    update = Loop.update

    def watched(loop: Loop) -> None:
        before = len(WATCHED[-1].waits)
        update(loop)
        seen.extend(WATCHED[-1].waits[before:])

    monkeypatch.setattr(Loop, "update", watched)
    return seen


WATCHED = [PretendedDevice()]  # the last is the one in use; the first sees nothing


def make(data: Path, family: str, device: str, dtype: Any = "float32", **changes: Any) -> Config:
    settings: dict[str, Any] = {"steps": STEPS, "batch_size": 2, "learning_rate": 3e-3, "warmup_steps": 1}
    return Config(
        name="a",
        model=SHAPES[family],
        tokenizer=config.TokenizerConfig(kind="grammar"),
        data=config.DataConfig(folder=str(data), context=24, transpose_low=0, transpose_high=0),
        train=config.TrainConfig(**{**settings, "evaluate_every": 2, "checkpoint_every": 2, **changes}),
        device=device,
        dtype=dtype,
        threads=1,
    )


def figures(folder: Path) -> list[float]:
    """Losses, gradient norms and validation figures of a run, in order."""
    rows = metrics_log.read(runs.metrics_file(folder))
    steps = [figure for row in rows if row["kind"] == "train" for figure in (row["loss"], row["gradient_norm"])]
    return steps + [row["bits_per_byte"] for row in rows if row["kind"] == "validation"]


@pytest.mark.parametrize("family", SHAPES)
def test_a_run_has_the_values_of_the_cpu(
    family: str, data: Path, tmp_path: Path, update_waits: list[tuple[str, str]]
) -> None:
    """Killed, resumed from its checkpoint, finished, and its model drawn from by graphs."""
    train.train(make(data, family, "cpu"), tmp_path / "cpu", on_status=quiet)
    want = generate(tmp_path / "cpu", 3, max_tokens=12, device="cpu", step="torch")
    settings = make(data, family, "cuda")
    with pretended_cuda() as device:
        WATCHED.append(device)
        with pytest.raises(Killed):
            train.train(settings, tmp_path / "cuda", on_status=kill)
        assert [step for step, _ in runs.checkpoints(tmp_path / "cuda")] == [2]
        summary = train.train(settings, tmp_path / "cuda", resume=True, on_status=quiet)
        made = generate(
            tmp_path / "cuda", 3, max_tokens=12, device="cuda", step="torch" if family == "lstm" else "graph"
        )
        WATCHED.pop()
    assert update_waits == []
    assert summary["steps"] == STEPS and len(figures(tmp_path / "cuda")) == 2 * STEPS + 2
    assert figures(tmp_path / "cuda") == pytest.approx(figures(tmp_path / "cpu"), rel=2e-4)
    assert [tune.text for tune in made.tunes] == [tune.text for tune in want.tunes]


def test_bfloat16_and_accumulation_wait_for_nothing(
    data: Path, tmp_path: Path, update_waits: list[tuple[str, str]]
) -> None:
    with pretended_cuda() as device:
        WATCHED.append(device)
        settings = make(data, "gpt2", "cuda", "bfloat16", accumulation=2)
        summary = train.train(settings, tmp_path / "a", on_status=quiet)
        WATCHED.pop()
    assert update_waits == [] and 0 < summary["bits_per_byte"] < 10


def test_the_lstm_stays_out_of_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN's LSTM would run in float16 there, whatever type was asked for."""
    seen: list[tuple[torch.dtype, bool]] = []
    with pretended_cuda():
        model = models.build(SHAPES["lstm"]).to("cuda")
        plain = model.lstm.forward

        def forward(h: torch.Tensor, *state: Any) -> Any:
            seen.append((h.dtype, torch.is_autocast_enabled("cuda")))
            return plain(h, *state)

        monkeypatch.setattr(model.lstm, "forward", forward)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            model(torch.ones(1, 4, dtype=torch.long, device="cuda"))
        assert seen == [(torch.float32, False)] and model.path().endswith("float32")


def test_a_wait_inside_a_step_is_found_with_its_place(
    data: Path, tmp_path: Path, update_waits: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: the learning rate asks the device for the loss."""
    plain = train.accumulate

    def accumulate(*args: Any) -> torch.Tensor:
        loss = plain(*args)
        assert loss.item() > 0
        return loss

    monkeypatch.setattr(train, "accumulate", accumulate)
    with pretended_cuda() as device:
        WATCHED.append(device)
        train.train(make(data, "gpt2", "cuda", steps=1), tmp_path / "a", on_status=quiet)
        WATCHED.pop()
    ((kind, place),) = update_waits
    assert kind == "item" and "test_train_on_pretended_cuda.py" in place and "loss.item()" in place
