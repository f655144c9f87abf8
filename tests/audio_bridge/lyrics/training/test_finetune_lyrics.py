"""Fine-tuning of a causal model on songs: killed and gone on with, whole and by LoRA; the schedule; the errors."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from audio_bridge.lyrics.training import finetune_lyrics, prepare_lyrics
from audio_bridge.lyrics.writing import neural
from symbolic.errors import UsageError, UserError
from symbolic.files import read_json, read_jsonl
from symbolic.training import metrics_log, optim
from symbolic.training.loop import Loop


def random_gpt2(folder: Path, **shape: int) -> Path:
    """A random GPT-2 of transformers over bytes, as a folder."""
    import transformers

    from symbolic.tokens import characters

    characters.build().save(folder)
    shape = {"n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2, **shape}
    config = transformers.GPT2Config(vocab_size=768, bos_token_id=1, eos_token_id=2, **shape)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def figures(folder: Path) -> list[dict[str, Any]]:
    """Rows of losses and validations, without the seconds that they took."""
    rows = [row for row in read_jsonl(folder / "metrics.jsonl") if row["kind"] != "speed"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("rank", [0, 4])
def test_a_killed_fine_tuning_goes_on_with_the_same_losses(
    rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the base's dropout; killed between two saves, and once before the first."""

    base, data = random_gpt2(tmp_path / "base"), tmp_path / "data"
    prepare_lyrics.prepare(["bundled"], data, prepare_lyrics.LyricOptions(languages=("en",), most=12))
    config = finetune_lyrics.FineTune(name="t", base=str(base), data=str(data), epochs=2, batch_size=4, accumulation=2,
                               learning_rate=1e-2, context=64, evaluate_every=3, save_every=4, lora_rank=rank,
                               gradient_checkpointing=bool(rank))  # fmt: skip
    monkeypatch.setattr(metrics_log, "FLUSH_SECONDS", 0.0)
    whole = finetune_lyrics.finetune(config, tmp_path / "whole")
    update = Loop.update

    def killed(at: int) -> None:
        def dying(loop: Loop) -> None:
            update(loop)
            if loop.step == at:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Loop, "update", dying)
            finetune_lyrics.finetune(config, tmp_path / "cut", resume=(tmp_path / "cut").exists())

    killed(2)
    killed(6)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"kind": "trai')
    with pytest.raises(UsageError, match="Add --resume"):
        finetune_lyrics.finetune(config, tmp_path / "cut")
    other = dataclasses.replace(config, learning_rate=1e-3)
    with pytest.raises(UsageError, match="learning_rate differs"):
        finetune_lyrics.finetune(other, tmp_path / "cut", resume=True)
    resumed = finetune_lyrics.finetune(config, tmp_path / "cut", resume=True)
    rows = [figures(tmp_path / name) for name in ("whole", "cut")]
    assert rows[0] == rows[1] and whole["steps"] > 6
    assert resumed["best_bits_per_byte"] == whole["best_bits_per_byte"] < whole["bits_per_byte_before"]
    best = [(tmp_path / name / "best" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert best[0] == best[1]


def test_a_model_that_is_not_there_is_said_at_once_and_leaves_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[str] = []

    def no_network(name: str, **_: object) -> None:
        asked.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "model_info", no_network)
    config = finetune_lyrics.FineTune(name="t", base="nobody/nothing", data=str(tmp_path))
    with pytest.raises(UserError, match=r"no language model 'nobody/nothing': no network\. Give a run, a folder"):
        finetune_lyrics.finetune(config, tmp_path / "run")
    with pytest.raises(UserError, match="no language model 'nobody/nothing'"):
        neural.load("nobody/nothing")
    assert asked == ["nobody/nothing"] * 2 and not (tmp_path / "run").exists()
    (tmp_path / "empty").mkdir()
    for wrong in (str(tmp_path / "empty"), str(tmp_path / "absent"), "../x/y/z"):
        with pytest.raises(UserError, match="no language model"):
            finetune_lyrics.finetune(dataclasses.replace(config, base=wrong), tmp_path / "run")


def test_memory_of_fine_tuning_is_told_by_what_is_trained(tmp_path: Path) -> None:
    import transformers

    model = transformers.GPT2LMHeadModel.from_pretrained(random_gpt2(tmp_path / "base"))
    n = sum(p.numel() for p in model.parameters())
    config = finetune_lyrics.FineTune(name="t", base="", data="", batch_size=4)
    whole = finetune_lyrics.memory_bytes(model, config, n, 64)
    assert whole > 16 * n and finetune_lyrics.memory_bytes(model, config, n // 100, 64) < whole - 11 * n
    deep = transformers.GPT2LMHeadModel.from_pretrained(random_gpt2(tmp_path / "deep", n_layer=6))
    saving = dataclasses.replace(config, gradient_checkpointing=True)
    assert finetune_lyrics.memory_bytes(deep, saving, n, 64) < finetune_lyrics.memory_bytes(deep, config, n, 64)


@pytest.mark.slow
def test_finetuning_any_causal_checkpoint(tmp_path: Path) -> None:
    """A random GPT-2 of transformers: whole and LoRA lower the validation loss, the result loads plainly."""
    import transformers

    base, data = random_gpt2(tmp_path / "base"), tmp_path / "data"
    prepare_lyrics.prepare(["bundled"], data, prepare_lyrics.LyricOptions(languages=("en",)))
    for rank in (0, 4):
        config = finetune_lyrics.FineTune(
            name="t",
            base=str(base),
            data=str(data),
            epochs=1,
            batch_size=4,
            accumulation=1,
            learning_rate=2e-2,
            context=64,
            evaluate_every=100,
            lora_rank=rank,
        )
        summary = finetune_lyrics.finetune(config, tmp_path / f"out{rank}")
        assert summary["best_bits_per_byte"] < summary["bits_per_byte_before"] - 0.1
        weights = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / f"out{rank}" / "best").state_dict()
        assert not any("parametrizations" in name for name in weights)
        assert read_json(tmp_path / f"out{rank}" / "run.json")["terms"][0]["licence"] == "CC0 1.0"


def test_the_learning_rate_falls_on_the_line_of_the_library() -> None:
    """transformers' linear schedule one update on: it never repeats the highest rate, and the last has what is left."""
    config = finetune_lyrics.FineTune(name="t", base="", data="", learning_rate=1.0, warmup_fraction=0.2)
    rates = [optim.learning_rate(step, config.schedule(10)) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[-1] == pytest.approx(1 / 8)
    steps = [after - before for before, after in itertools.pairwise(rates[1:])]
    assert steps == pytest.approx([steps[0]] * 8) and steps[0] < 0
