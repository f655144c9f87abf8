"""The training loop: it learns, resumes bit for bit, stops cleanly, and its numbers are what they say."""

import argparse
import dataclasses
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from symbolic import command_line, config, files, models, runs, tokens
from symbolic.config import (
    Config,
    GPT2Config,
    GPT2ModernConfig,
    Mamba2Config,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
)
from symbolic.errors import UsageError, UserError
from symbolic.models import costs
from symbolic.progress import Console
from symbolic.training import checkpoint, likelihood, lora, metrics_log, optim, run_setup, train
from symbolic.training.loop import Loop
from symbolic.training.metrics_log import Status

ROOT = Path(__file__).resolve().parents[3]
SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64, dropout=0.1),
    "mamba": MambaConfig(n_layer=2, d_model=32),
    "mamba2": Mamba2Config(n_layer=2, d_model=32, d_state=16, head_dim=16, chunk_size=16),
    "gpt2-modern": GPT2ModernConfig(n_layer=2, n_embd=32, n_head=2, n_positions=64, dropout=0.1),
    "mamba2-hybrid": Mamba2HybridConfig(
        n_layer=2, attention_every=2, d_model=32, n_head=2, d_state=16, head_dim=16, chunk_size=16
    ),
}


def tune(generator: random.Random) -> str:
    notes = [generator.choice("GABcdef") + generator.choice(["", "2", "/2"]) for _ in range(48)]
    bars = ["".join(notes[start : start + 6]) for start in range(0, 48, 6)]
    return f"M:6/8\nL:1/8\nK:{generator.choice(['G', 'D', 'Em', 'Ador'])}\n|:{'|'.join(bars)}:|\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, generator = tmp_path_factory.mktemp("data"), random.Random(0)
    for split, n in (("train", 40), ("valid", 6), ("test", 2)):
        rows = [{"id": f"{split}{i}", "text": tune(generator)} for i in range(n)]
        files.write_jsonl(folder / "tunes" / f"{split}.jsonl", rows)
    files.write_json(folder / "sources.json", [{"name": "made", "terms": "none"}])
    return folder


def make(data: Path, model: str = "gpt2", **changes: Any) -> Config:
    settings: dict[str, Any] = {
        "steps": 20,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "warmup_steps": 5,
        "evaluate_every": 10,
        "checkpoint_every": 10,
        "optimizer": "muon" if model == "gpt2-modern" else "adamw",
    }
    return Config(
        name="a",
        model=SHAPES[model],
        tokenizer=config.TokenizerConfig(kind="grammar"),
        data=config.DataConfig(folder=str(data), context=64, transpose_low=-1, transpose_high=1),
        train=config.TrainConfig(**{**settings, **changes}),
        device="cpu",
        dtype="float32",
        threads=1,
    )


def quiet(status: Status) -> None:
    """Hear of progress without printing it."""


def losses(folder: Path) -> list[tuple[int, float, float]]:
    rows = metrics_log.read(runs.metrics_file(folder))
    return [(row["step"], row["loss"], row["gradient_norm"]) for row in rows if row["kind"] == "train"]


def validations(folder: Path) -> dict[int, float]:
    rows = metrics_log.read(runs.metrics_file(folder))
    return {row["step"]: row["bits_per_byte"] for row in rows if row["kind"] == "validation"}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logging moment after every step."""
    monkeypatch.setattr(metrics_log, "FLUSH_SECONDS", 0.0)


class Killed(Exception):
    """Stands for the death of the process."""


def kill_at(step: int) -> metrics_log.Reporter:
    def on_status(status: Status) -> None:
        if status.step >= step:
            raise Killed

    return on_status


def interrupt_at(step: int, number: int = signal.SIGINT) -> metrics_log.Reporter:
    def on_status(status: Status) -> None:
        if status.step == step:
            os.kill(os.getpid(), number)

    return on_status


@pytest.mark.parametrize("model", SHAPES)
def test_a_killed_run_resumes_to_bit_identical_losses(data: Path, tmp_path: Path, often: None, model: str) -> None:
    settings = make(data, model)
    train.train(settings, tmp_path / "straight", on_status=quiet)
    with pytest.raises(Killed):
        train.train(settings, tmp_path / "killed", on_status=kill_at(13))
    assert [step for step, _ in runs.checkpoints(tmp_path / "killed")] == [10]
    assert len(losses(tmp_path / "killed")) == 13
    torch.rand(7)  # another process draws other numbers first
    train.train(settings, tmp_path / "killed", resume=True, on_status=quiet)
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")
    assert validations(tmp_path / "killed") == validations(tmp_path / "straight")
    assert len(losses(tmp_path / "straight")) == 20


def test_it_learns_and_the_best_model_is_kept(data: Path, tmp_path: Path) -> None:
    summary = train.train(make(data, steps=40), tmp_path / "a", on_status=quiet)
    first = losses(tmp_path / "a")[0][1]
    assert first == pytest.approx(math.log(768), abs=0.2)
    assert summary["loss"] < first - 2
    found = validations(tmp_path / "a")
    assert sorted(found) == [10, 20, 30, 40]
    assert summary["best_bits_per_byte"] == min(found.values()) == found[summary["best_step"]]
    assert checkpoint.verify(runs.best_folder(tmp_path / "a"))["step"] == summary["best_step"]
    assert [step for step, _ in runs.checkpoints(tmp_path / "a")] == [30, 40]
    assert runs.resolve(tmp_path / "a") == runs.best_folder(tmp_path / "a")


def test_a_tokenizer_of_another_notation_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds ABC, which tokenizer.kind remi does not read"):
        remi = dataclasses.replace(make(data), tokenizer=config.TokenizerConfig(kind="remi"))
        train.train(remi, tmp_path / "run", on_status=quiet)
    assert not (tmp_path / "run").exists()


def test_the_validation_figure_is_that_of_the_saved_model(data: Path, tmp_path: Path) -> None:
    summary = train.train(make(data), tmp_path / "a", on_status=quiet)
    model, _ = models.load(summary["checkpoint"])
    tokenizer = tokens.load(summary["checkpoint"])
    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "valid.jsonl")]
    n_bytes = [len(text.encode()) for text in texts]
    scores = likelihood.score(model, tokenizer.encode_many(texts), n_bytes, context=64)
    assert likelihood.bits_per_byte(scores) == pytest.approx(summary["bits_per_byte"], rel=1e-6)


def test_the_rates_in_the_record_are_the_schedule_s(data: Path, tmp_path: Path) -> None:
    settings = make(data)
    train.train(settings, tmp_path / "a", on_status=quiet)
    rows = [row for row in metrics_log.read(runs.metrics_file(tmp_path / "a")) if row["kind"] == "train"]
    assert [row["learning_rate"] for row in rows] == [optim.learning_rate(step, settings.train) for step in range(20)]


def test_the_optimiser_that_steps_has_the_schedule_s_rate(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[set[float]] = []

    def build(model: torch.nn.Module, settings: config.TrainConfig) -> torch.optim.Optimizer:
        optimizer = real(model, settings)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append({group["lr"] for group in o.param_groups}))
        return optimizer

    real = optim.build
    monkeypatch.setattr(optim, "build", build)
    settings = make(data)
    train.train(settings, tmp_path / "a", on_status=quiet)
    assert rates == [{optim.learning_rate(step, settings.train)} for step in range(20)]
    assert len(set.union(*rates)) == 20


@pytest.mark.parametrize("accumulation", [2, 4, 8])
def test_accumulated_gradients_are_those_of_the_large_batch(accumulation: int) -> None:
    torch.manual_seed(0)
    model = models.build(dataclasses.replace(GPT2Config(n_layer=1, n_embd=16, n_head=2), dropout=0.0)).double()
    rows = torch.randint(0, 768, (8, 13))
    whole = train.accumulate(model, rows, 1, torch.float32)
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    parts = train.accumulate(model, rows, accumulation, torch.float32)
    found = [p.grad for p in model.parameters() if p.grad is not None]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)  # losses are summed in float32
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=0.0)


def test_accumulation_trains_as_the_large_batch_does(data: Path, tmp_path: Path) -> None:
    """The same tokens a step; only the order of float32 sums differs."""
    large, small = make(data, "mamba2", batch_size=4), make(data, "mamba2", batch_size=1, accumulation=4)
    train.train(large, tmp_path / "large", on_status=quiet)
    train.train(small, tmp_path / "small", on_status=quiet)
    one, other = losses(tmp_path / "large"), losses(tmp_path / "small")
    assert [loss for _, loss, _ in one] == pytest.approx([loss for _, loss, _ in other], rel=1e-3)
    assert one[0][1] == pytest.approx(other[0][1], rel=1e-6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_resume(data: Path, tmp_path: Path, often: None, number: int) -> None:
    folder, before = tmp_path / "a", signal.getsignal(signal.SIGINT)
    settings = make(data)
    with pytest.raises(train.Interrupted, match=r"saved at step 7\..*--resume") as caught:
        train.train(settings, folder, on_status=interrupt_at(7, number))
    assert caught.value.status == 128 + number
    assert signal.getsignal(signal.SIGINT) is before
    assert [step for step, _ in runs.checkpoints(folder)] == [7]
    train.train(settings, folder, resume=True, on_status=quiet)
    train.train(settings, tmp_path / "straight", on_status=quiet)
    assert losses(folder) == losses(tmp_path / "straight")


def test_a_signal_during_an_evaluation_leaves_it_for_the_resumed_run(
    data: Path, tmp_path: Path, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "BATCH_TOKENS", 64)
    settings = make(data, checkpoint_every=20)
    with pytest.raises(train.Interrupted, match="step 10"):
        train.train(settings, tmp_path / "a", on_status=interrupt_at(10))
    assert validations(tmp_path / "a") == {}
    assert [step for step, _ in runs.checkpoints(tmp_path / "a")] == [10]
    train.train(settings, tmp_path / "a", resume=True, on_status=quiet)
    assert sorted(validations(tmp_path / "a")) == [10, 20]


def test_resume_passes_over_a_broken_checkpoint(
    data: Path, tmp_path: Path, often: None, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make(data, checkpoint_every=5)
    train.train(settings, tmp_path / "straight", on_status=quiet)
    with pytest.raises(Killed):
        train.train(settings, tmp_path / "a", on_status=kill_at(13))
    weights = runs.checkpoint_folder(tmp_path / "a", 10) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    train.train(settings, tmp_path / "a", resume=True, on_status=quiet)
    said = capsys.readouterr().err
    assert f"{weights} holds 1,000 bytes" in said and "Trying the checkpoint before it" in said
    assert "step 5 of 20" in said
    assert losses(tmp_path / "a") == losses(tmp_path / "straight")


def test_a_finished_run_resumes_to_its_summary_at_once(data: Path, tmp_path: Path) -> None:
    settings = make(data)
    summary = train.train(settings, tmp_path / "a", on_status=quiet)
    before = runs.metrics_file(tmp_path / "a").read_bytes()
    assert train.train(settings, tmp_path / "a", resume=True, on_status=kill_at(0)) == summary
    assert runs.metrics_file(tmp_path / "a").read_bytes() == before


def test_a_run_is_not_overwritten_nor_resumed_under_other_settings(data: Path, tmp_path: Path, often: None) -> None:
    with pytest.raises(Killed):
        train.train(make(data), tmp_path / "a", on_status=kill_at(13))
    with pytest.raises(UsageError, match=r"exists\. Add --resume .* another --folder"):
        train.train(make(data), tmp_path / "a", on_status=quiet)
    with pytest.raises(UsageError, match=r"cannot resume .*: train\.learning_rate differs from .*--folder"):
        train.train(make(data, learning_rate=1e-3), tmp_path / "a", resume=True, on_status=quiet)
    assert len(losses(tmp_path / "a")) == 13
    summary = train.train(make(data, evaluate_every=20), tmp_path / "a", resume=True, on_status=quiet)
    assert summary["steps"] == 20


def test_a_folder_of_others_is_not_written_to(data: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.yaml").write_text("album: summer\n")  # of another program
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"photos is not empty and holds no run: choose another --folder"):
            train.train(make(data), tmp_path / "photos", resume=resume, on_status=quiet)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["config.yaml"]
    with pytest.raises(UsageError, match=r"config\.yaml is a file"):
        train.train(make(data), tmp_path / "photos" / "config.yaml", on_status=quiet)


def test_an_unknown_option_is_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["--train.stepz", "3"], ["--train.stepz=3"]):
        with pytest.raises(SystemExit) as caught:
            command_line.main(
                "symbolic", {"train": ("symbolic.training.train", "")}, ["train", "configs/gpt2-debug.yaml", *typed]
            )
        error = capsys.readouterr().err
        assert caught.value.code == 2 and error.count("\n") == 1
        assert error.startswith("error: --train.stepz: no such option: did you mean --train.steps?")


def test_resume_without_a_checkpoint_starts(data: Path, tmp_path: Path, often: None) -> None:
    with pytest.raises(Killed):
        train.train(make(data), tmp_path / "a", on_status=kill_at(3))
    assert runs.checkpoints(tmp_path / "a") == []
    train.train(make(data), tmp_path / "a", resume=True, on_status=quiet)
    assert [step for step, _, _ in losses(tmp_path / "a")] == list(range(1, 21))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(step: int, settings: config.TrainConfig) -> float:
        return float("inf") if step == 11 else real(step, settings)

    real = optim.learning_rate
    monkeypatch.setattr(optim, "learning_rate", diverge)
    with pytest.raises(UserError, match=r"step 13: the loss is nan.*step-00000010 is kept.*learning_rate"):
        train.train(make(data), tmp_path / "a", on_status=quiet)
    assert checkpoint.verify(runs.checkpoint_folder(tmp_path / "a", 10))["step"] == 10


def test_a_corpus_smaller_than_a_batch_writes_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"one batch needs"):
        train.train(make(data, batch_size=1000), tmp_path / "a", on_status=quiet)
    assert not (tmp_path / "a").exists()


def test_an_unprepared_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.jsonl"):
        train.train(make(tmp_path / "none"), tmp_path / "a", on_status=quiet)
    assert not (tmp_path / "a").exists()


def test_the_record_says_on_what_and_with_what(data: Path, tmp_path: Path) -> None:
    settings = make(data)
    summary = train.train(settings, tmp_path / "a", on_status=quiet)
    record = files.read_json(runs.run_file(tmp_path / "a"))
    assert record["summary"] == summary
    assert record["config_digest"] == config.digest(settings)
    assert record["terms"] == [{"name": "made", "terms": "none"}]
    assert record["machine"]["torch"] == torch.__version__
    assert record["paths"] == {"attention": "explicit"}
    assert config.load(runs.config_file(tmp_path / "a")) == settings


def test_the_printed_speed_is_tokens_over_seconds(data: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    summary = train.train(make(data), tmp_path / "a", on_status=quiet)
    assert 0 < summary["seconds"] < time.perf_counter() - began
    assert summary["tokens"] == 20 * 4 * 64
    assert summary["tokens_per_second"] == pytest.approx(summary["tokens"] / summary["seconds"])
    rows = [row for row in metrics_log.read(runs.metrics_file(tmp_path / "a")) if row["kind"] == "speed"]
    assert rows[-1]["seconds"] == pytest.approx(summary["seconds"])
    speeds = sorted(row["tokens_per_second"] for row in rows)
    assert speeds[0] <= summary["median_tokens_per_second"] <= speeds[-1]
    flops = costs.training_flops(SHAPES["gpt2"], 64) * summary["median_tokens_per_second"]
    assert summary["model_flops_per_second"] == pytest.approx(flops)
    assert f"{summary['median_tokens_per_second']:,.0f} tokens/s" in train.describe(summary)


def test_validation_tunes_are_spread_over_the_split(data: Path) -> None:
    settings = make(data)
    tokenizer = tokens.build("grammar")
    _, validation = run_setup._shards(settings, tokenizer, Console())
    chosen, n_bytes = run_setup._validation_tunes(validation, 3)
    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "valid.jsonl")]
    assert [tokenizer.decode(ids) for ids in chosen] == texts[::2]
    assert n_bytes == [len(text.encode()) for text in texts[::2]]
    assert (
        len(run_setup._validation_tunes(validation, 0)[0]) == len(run_setup._validation_tunes(validation, 99)[0]) == 6
    )


def test_bfloat16_trains_near_float32(data: Path, tmp_path: Path) -> None:
    wide = train.train(make(data, "mamba2"), tmp_path / "wide", on_status=quiet)
    settings = dataclasses.replace(make(data, "mamba2"), dtype="bfloat16")
    narrow = train.train(settings, tmp_path / "narrow", on_status=quiet)
    assert narrow["bits_per_byte"] == pytest.approx(wide["bits_per_byte"], rel=0.02)
    assert narrow["bits_per_byte"] != wide["bits_per_byte"]


def test_the_verb_prints_its_summary(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    (tmp_path / "x.yaml").write_text(config.dump(make(data)))
    assert train.run(parser.parse_args(["x.yaml", "--json", "--train.steps", "4", "--train.warmup_steps=1"])) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out.splitlines()[-1])
    assert (summary["steps"], summary["folder"]) == (4, "runs/a")
    assert "step 4/4" in captured.err and "tokens/s" in captured.err
    assert runs.resolve("a") == Path("runs/a/best")


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_exits_130_and_resumes(data: Path, tmp_path: Path) -> None:
    settings = make(data, steps=100_000, checkpoint_every=50_000, evaluate_every=50_000)
    (tmp_path / "x.yaml").write_text(config.dump(settings))
    command = [sys.executable, "-m", "symbolic", "train", str(tmp_path / "x.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "step 0/" not in (line := process.stderr.readline()) and "tokens/s" not in line:
        assert process.poll() is None, line
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(timeout=240) == 130
    assert "stopped and saved at step" in said and "train runs/a/config.yaml --resume" in said
    (step, _), *rest = runs.checkpoints(tmp_path / "runs" / "a")
    assert not rest and f"saved at step {step}." in said
    process.stderr.close()


@pytest.mark.filterwarnings("default")  # PyTorch's compiler hides warnings of its own in a way that fails as errors
def test_compiled_blocks_train_alike(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiler's front half only: generating code for the processor takes a minute and is not ours to test."""
    compiled: list[str] = []

    def compile_block(block: torch.nn.Module) -> None:
        compiled.append(type(block).__name__)
        real(block, backend="aot_eager")

    real = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", compile_block)
    plain = dataclasses.replace(make(data), model=GPT2Config(n_layer=2, n_embd=32, n_head=2))
    train.train(plain, tmp_path / "plain", on_status=quiet)
    assert compiled == []
    train.train(dataclasses.replace(plain, compile=True), tmp_path / "compiled", on_status=quiet)
    assert compiled == ["Block", "Block"]
    one, other = losses(tmp_path / "plain"), losses(tmp_path / "compiled")
    assert [loss for _, loss, _ in one] == pytest.approx([loss for _, loss, _ in other], rel=1e-3)
    names = [set(safe_open(tmp_path / n / "best" / "model.safetensors", "pt").keys()) for n in ("plain", "compiled")]
    assert names[0] == names[1]


def test_compiling_without_a_compiler_is_an_error(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_setup.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler"):
        train.train(dataclasses.replace(make(data), compile=True), tmp_path / "a", on_status=quiet)
    assert not (tmp_path / "a").exists()


def test_help_is_quick_and_lists_every_key() -> None:
    command = [sys.executable, "-m", "symbolic", "train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"--{key} " in done.stdout for key in config.keys())  # noqa: SIM118 (a function)
    code = "import sys; import symbolic.training.train; print('torch' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


def test_a_run_begins_with_another_model(data: Path, tmp_path: Path) -> None:
    train.train(make(data), tmp_path / "one", on_status=quiet)
    settings = dataclasses.replace(make(data, steps=1, warmup_steps=0), start=str(tmp_path / "one"))
    train.train(settings, tmp_path / "two", on_status=quiet)
    first, second = (losses(tmp_path / name)[0][1] for name in ("one", "two"))
    assert second < 0.8 * first
    record = checkpoint.verify(runs.best_folder(tmp_path / "two"))
    assert record["start"]["model"] == "a" and record["start"]["step"] == 20
    assert record["start"]["weights_sha256"] == files.sha256(runs.best_folder(tmp_path / "one") / "model.safetensors")
    assert files.read_json(runs.run_file(tmp_path / "two"))["start"] == record["start"]
    shutil.rmtree(tmp_path / "one")  # a run that goes on needs its start no more, and tells of it as it was
    longer = dataclasses.replace(settings, train=dataclasses.replace(settings.train, steps=2))
    train.train(longer, tmp_path / "two", resume=True, on_status=quiet)
    assert checkpoint.verify(runs.best_folder(tmp_path / "two"))["start"] == record["start"]


@pytest.mark.parametrize("model", ["gpt2", "mamba2"])
def test_lora_trains_factors_alone_and_saves_a_plain_model(data: Path, tmp_path: Path, often: None, model: str) -> None:
    """Killed and resumed its losses are bit-identical; the checkpoint is a usual one of the base's shape."""
    train.train(make(data, model), tmp_path / "base", on_status=quiet)
    settings = dataclasses.replace(make(data, model, lora_rank=4), start=str(tmp_path / "base"))
    train.train(settings, tmp_path / "straight", on_status=quiet)
    with pytest.raises(Killed):
        train.train(settings, tmp_path / "killed", on_status=kill_at(13))
    torch.rand(7)
    train.train(settings, tmp_path / "killed", resume=True, on_status=quiet)
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")
    assert validations(tmp_path / "killed") == validations(tmp_path / "straight")
    folder = runs.checkpoint_folder(tmp_path / "straight", 20)
    (base, _), (tuned, shape) = models.load(runs.best_folder(tmp_path / "base")), models.load(folder)
    changed = {name for name, t in tuned.state_dict().items() if not torch.equal(t, base.state_dict()[name])}
    assert shape == SHAPES[model] and changed
    assert all(name.rpartition(".")[0].rpartition(".")[2] in lora.TUNE_LAYERS for name in changed)
    moments = load_file(folder / checkpoint.TENSORS)
    assert all(".lora_" in name or name.startswith("random.") for name in moments)
    assert not (runs.best_folder(tmp_path / "straight") / checkpoint.TRAINED).exists()
    assert "by LoRA of rank 4" in runs.card_file(tmp_path / "straight").read_text()


def test_lora_refuses_what_it_cannot_go_on_from(data: Path, tmp_path: Path, often: None) -> None:
    with pytest.raises(UsageError, match="name it with --from"):
        train.train(make(data, lora_rank=4), tmp_path / "x", on_status=quiet)
    train.train(make(data, steps=10), tmp_path / "base", on_status=quiet)
    settings = dataclasses.replace(make(data, lora_rank=4), start=str(tmp_path / "base"))
    letters = dataclasses.replace(settings, tokenizer=config.TokenizerConfig(kind="characters"))
    with pytest.raises(UserError, match="the tokens here are others"):
        train.train(letters, tmp_path / "letters", on_status=quiet)
    with pytest.raises(Killed):
        train.train(settings, tmp_path / "run", on_status=kill_at(13))
    shutil.rmtree(tmp_path / "base")
    train.train(dataclasses.replace(make(data, steps=10), seed=7), tmp_path / "base", on_status=quiet)
    with pytest.raises(UserError, match="have changed since the run began"):
        train.train(settings, tmp_path / "run", resume=True, on_status=quiet)


def test_a_run_has_a_card_and_the_logs_that_are_asked_for(data: Path, tmp_path: Path) -> None:
    train.train(make(data, logs="csv"), tmp_path / "run", on_status=quiet)
    lines = runs.csv_file(tmp_path / "run").read_text().splitlines()
    assert len(lines) == 1 + len(metrics_log.read(runs.metrics_file(tmp_path / "run")))
    card = runs.card_file(tmp_path / "run").read_text()
    assert "# a" in card and "In progress" not in card and "| last | 20 |" in card
    with pytest.raises(UsageError, match=r"train\.logs: 'wandb' is not one of csv, tensorboard"):
        train.train(make(data, logs="wandb"), tmp_path / "other", on_status=quiet)


def signal_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    update = Loop.update

    def signalled(loop: Loop) -> None:
        update(loop)
        if loop.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Loop, "update", signalled)


def test_sigusr1_saves_and_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal_at(monkeypatch, 7, signal.SIGUSR1)
    summary = train.train(make(data, keep_checkpoints=9), tmp_path / "a", on_status=quiet)
    assert summary["steps"] == 20
    assert [step for step, _ in runs.checkpoints(tmp_path / "a")] == [7, 10, 20]


def test_sighup_saves_and_stops(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal_at(monkeypatch, 7, signal.SIGHUP)
    with pytest.raises(train.Interrupted, match="saved at step 7") as stopped:
        train.train(make(data), tmp_path / "a", on_status=quiet)
    assert stopped.value.status == 128 + signal.SIGHUP
    assert [step for step, _ in runs.checkpoints(tmp_path / "a")] == [7]


def test_a_checkpoint_is_due_by_the_clock(data: Path, tmp_path: Path) -> None:
    settings = make(data, checkpoint_every=1000, checkpoint_minutes=1e-9, keep_checkpoints=9)
    train.train(settings, tmp_path / "a", on_status=quiet)
    assert [step for step, _ in runs.checkpoints(tmp_path / "a")] == [8, 16, 20]


def test_a_finished_run_is_given_more_steps(data: Path, tmp_path: Path) -> None:
    train.train(make(data), tmp_path / "a", on_status=quiet)
    with pytest.raises(UsageError, match="learning_rate"):
        train.train(make(data, steps=30, learning_rate=1e-3), tmp_path / "a", resume=True, on_status=quiet)
    summary = train.train(make(data, steps=30), tmp_path / "a", resume=True, on_status=quiet)
    assert summary["steps"] == 30 and [step for step, _, _ in losses(tmp_path / "a")] == list(range(1, 31))
    with pytest.raises(UsageError, match=r"train.steps"):
        train.train(make(data, steps=10), tmp_path / "a", resume=True, on_status=quiet)


def test_the_tunes_of_the_validation_stay(data: Path, tmp_path: Path) -> None:
    train.train(make(data), tmp_path / "a", on_status=quiet)
    with pytest.raises(UsageError, match="evaluate_tunes"):
        train.train(make(data, steps=30, evaluate_tunes=3), tmp_path / "a", resume=True, on_status=quiet)


def test_positions_that_are_not_trained_are_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, shape = make(data, steps=1, warmup_steps=0), SHAPES["gpt2"]
    assert isinstance(shape, GPT2Config)
    wide = dataclasses.replace(settings, model=dataclasses.replace(shape, n_positions=96))
    train.train(wide, tmp_path / "a", on_status=quiet)
    assert "positions 65 to 96 are not trained, so tunes end at 64 tokens" in capsys.readouterr().err


def test_the_gradient_that_is_stepped_is_clipped(data: Path, tmp_path: Path) -> None:
    """After one update the first moments are (1 - beta1) times the gradient: their norm tells how long it was."""
    clip = 0.01
    run = make(data, steps=1, warmup_steps=1, evaluate_every=1, checkpoint_every=1, clip_norm=clip)
    train.train(run, tmp_path / "run", on_status=quiet)
    with safe_open(runs.checkpoint_folder(tmp_path / "run", 1) / checkpoint.TENSORS, "pt") as tensors:
        moments = [tensors.get_tensor(name) for name in tensors.keys() if name.startswith("exp_avg.")]  # noqa: SIM118
    norm = math.sqrt(sum(float(m.double().square().sum()) for m in moments)) / (1 - run.train.beta1)
    assert norm == pytest.approx(clip, rel=1e-3)
    assert losses(tmp_path / "run")[0][2] > 10 * clip  # as it is recorded: before clipping
