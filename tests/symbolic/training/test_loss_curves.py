"""Fifty steps of each family lose what they lost when tests/golden/loss_curves.json was written.

A change of initialisation, loader, schedule, optimiser, clipping, accumulation or model moves the curve by more than
TOLERANCE; another processor or library moves it by rounding, which fifty steps of these small models do not blow up:
with weights changed by a millionth no loss moves by a tenth of TOLERANCE (the last test). A curve that is meant to
change is written anew with

    python tests/symbolic/training/test_loss_curves.py
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from symbolic import config, files, models, runs
from symbolic.config import Config, GPT2Config, LSTMConfig, Mamba2Config, MambaConfig, ModelConfig
from symbolic.training import metrics_log, train

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "loss_curves.json"
TOLERANCE = 2e-3  # nats a token; the curves fall by two
STEPS = 50
SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64),
    "mamba": MambaConfig(n_layer=2, d_model=32),
    "mamba2": Mamba2Config(n_layer=2, d_model=32, d_state=16, head_dim=16, chunk_size=16),
    "lstm": LSTMConfig(n_layer=2, d_model=32),
}


def tune(generator: random.Random) -> str:
    notes = [generator.choice("GABcdef") + generator.choice(["", "2", "/2"]) for _ in range(48)]
    bars = ["".join(notes[start : start + 6]) for start in range(0, 48, 6)]
    return f"M:6/8\nL:1/8\nK:{generator.choice(['G', 'D', 'Em', 'Ador'])}\n|:{'|'.join(bars)}:|\n"


def prepared(folder: Path) -> Path:
    generator = random.Random(0)
    for split, n in (("train", 40), ("valid", 4), ("test", 2)):
        rows = [{"id": f"{split}{i}", "text": tune(generator)} for i in range(n)]
        files.write_jsonl(folder / "tunes" / f"{split}.jsonl", rows)
    files.write_json(folder / "sources.json", [{"name": "made", "terms": "none"}])
    return folder


def settings(data: Path, family: str) -> Config:
    return Config(
        name=family,
        model=SHAPES[family],
        tokenizer=config.TokenizerConfig(kind="grammar"),
        data=config.DataConfig(folder=str(data), context=64, transpose_low=-1, transpose_high=1),
        train=config.TrainConfig(
            steps=STEPS, batch_size=8, accumulation=2, learning_rate=3e-3, warmup_steps=5, evaluate_every=STEPS,
            checkpoint_every=STEPS, clip_norm=1.0,
        ),
        device="cpu",
        dtype="float32",
        threads=1,
    )  # fmt: skip


def curve(data: Path, family: str, folder: Path) -> list[float]:
    """The loss of each step and, last, the validation figure."""
    train.train(settings(data, family), folder, on_status=lambda _: None)
    rows = metrics_log.read(runs.metrics_file(folder))
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    return losses + [row["bits_per_byte"] for row in rows if row["kind"] == "validation"][-1:]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("curves"))


@pytest.mark.parametrize("family", SHAPES)
def test_fifty_steps_lose_what_they_lost(family: str, data: Path, tmp_path: Path) -> None:
    written = json.loads(GOLDEN.read_text(encoding="utf-8"))[family]
    assert len(written) == STEPS + 1 and written[0] - written[-2] > 1.5
    assert curve(data, family, tmp_path / "run") == pytest.approx(written, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("family", SHAPES)
def test_rounding_does_not_grow_into_the_tolerance(
    family: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that begin a millionth off, ten times what processors differ by."""
    build = models.build

    def disturbed(*arguments: object, **options: object) -> torch.nn.Module:
        model: torch.nn.Module = build(*arguments, **options)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + 1e-6 * torch.randn(p.shape, generator=generator))
        return model

    monkeypatch.setattr(models, "build", disturbed)
    written = json.loads(GOLDEN.read_text(encoding="utf-8"))[family]
    found = curve(data, family, tmp_path / "run")
    assert found != written and found == pytest.approx(written, abs=TOLERANCE / 10)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        prepared(here / "data")
        curves = {family: curve(here / "data", family, here / family) for family in SHAPES}
    rounded = {family: [round(loss, 5) for loss in losses] for family, losses in curves.items()}
    GOLDEN.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    print({family: (losses[0], losses[-2], losses[-1]) for family, losses in rounded.items()}, file=sys.stderr)
