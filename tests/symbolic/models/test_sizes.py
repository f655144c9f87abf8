"""The formulas count what is instantiated; the published shapes have their sizes; costs follow from the shapes."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import models
from symbolic.config import (
    GPT2Config,
    GPT2ModernConfig,
    LSTMConfig,
    Mamba2Config,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
)
from symbolic.models import costs, sizes

PUBLISHED: dict[str, tuple[ModelConfig, int]] = {
    "gpt2-6m": (GPT2Config(n_layer=7, n_embd=256, n_head=4), 5_987_584),
    "gpt2-60m": (GPT2Config(n_layer=12, n_embd=640, n_head=10), 60_230_400),
    "mamba-6m": (MambaConfig(n_layer=6, d_model=384), 6_080_640),
    "mamba-60m": (MambaConfig(n_layer=16, d_model=768), 60_936_960),
    "mamba2-6m": (Mamba2Config(n_layer=6, d_model=384, head_dim=32), 5_988_144),
    "mamba2-60m": (Mamba2Config(n_layer=16, d_model=768, d_state=128), 60_835_712),
    "lstm-6m": (LSTMConfig(n_layer=2, d_model=592), 6_071_552),
    "lstm-60m": (LSTMConfig(n_layer=2, d_model=1920), 60_487_680),
    "gpt2-modern-6m": (GPT2ModernConfig(n_layer=7, n_embd=264, n_head=4), 6_057_216),
    "mamba2-hybrid-6m": (Mamba2HybridConfig(n_layer=6, d_model=400, n_head=10, head_dim=32), 6_083_575),
}


def test_formula_counts_the_module(config: ModelConfig) -> None:
    assert sizes.parameters(config) == sum(p.numel() for p in models.build(config).parameters())


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_sizes(name: str) -> None:
    config, expected = PUBLISHED[name]
    with torch.device("meta"):
        instantiated = sum(p.numel() for p in models.build(config).parameters())
    assert sizes.parameters(config) == instantiated == expected
    nominal = sizes.nominal(name)
    assert nominal is not None and abs(expected / nominal - 1) < 0.02


@pytest.mark.parametrize("size", ["6m", "60m"])
def test_sizes_match_each_other(size: str) -> None:
    counts = [sizes.parameters(config) for name, (config, _) in PUBLISHED.items() if name.endswith(f"-{size}")]
    assert len(counts) == (6 if size == "6m" else 4) and max(counts) / min(counts) < 1.02


def test_mamba2_rows_suit_the_kernels() -> None:
    """causal-conv1d wants the rows of in_proj's output to be a multiple of 8 numbers long."""
    for name in ("mamba2-6m", "mamba2-60m"):
        with torch.device("meta"):
            model: Any = models.build(PUBLISHED[name][0])
        assert model.blocks[0].mixer.in_proj.out_features % 8 == 0


@pytest.mark.parametrize(("name", "expected"), [("gpt2-6m", 6e6), ("x_60m_long", 6e7), ("gpt2-debug", None)])
def test_nominal(name: str, expected: float | None) -> None:
    assert sizes.nominal(name) == expected


def test_verb_prints_json_last(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [Path(__file__).parents[3] / "configs" / f"{name}.yaml" for name in PUBLISHED]
    assert sizes.run(argparse.Namespace(configs=paths, json=True)) == 0
    lines = capsys.readouterr().out.splitlines()
    table = json.loads(lines[-1])
    assert {name: row["parameters"] for name, row in table.items()} == {n: p for n, (_, p) in PUBLISHED.items()}
    assert "60,230,400" in "\n".join(lines[:-1])


def count_flops(model: Any, tokens: torch.Tensor) -> int:
    """PyTorch's own count of matrix products (convolutions and recurrences are not among them)."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens)
    return counter.get_total_flops()


def test_flops_against_pytorch() -> None:
    context = 128
    tokens = torch.zeros(1, context, dtype=torch.long)
    gpt2 = GPT2Config(n_layer=3, n_embd=64, n_head=2, n_positions=context)
    computed = count_flops(models.build(gpt2, attention="explicit"), tokens) / context
    full = costs.forward_flops(gpt2, context) + gpt2.n_layer * 4 * 64 * (context - 1) / 2  # explicit: masked half too
    assert computed == full
    mamba2 = Mamba2Config(n_layer=3, d_model=64, d_state=16, head_dim=16, chunk_size=32)
    computed = count_flops(models.build(mamba2, scan="chunked"), tokens) / context  # PyTorch's matrix products
    assert computed == pytest.approx(costs.forward_flops(mamba2, context), rel=0.02)
    modern = GPT2ModernConfig(n_layer=3, n_embd=64, n_head=2, n_positions=context)
    assert count_flops(models.build(modern, attention="explicit"), tokens) / context == full
    hybrid = Mamba2HybridConfig(
        n_layer=3, attention_every=2, d_model=64, n_head=2, d_state=16, head_dim=16, chunk_size=32
    )
    computed = count_flops(models.build(hybrid, scan="chunked", attention="explicit"), tokens) / context
    masked = 4 * 64 * (context - 1) / 2  # the half of the attention layer that is not seen is computed too
    assert computed == pytest.approx(costs.forward_flops(hybrid, context) + masked, rel=0.02)
    mamba = MambaConfig(n_layer=3, d_model=64)
    computed = count_flops(models.build(mamba), tokens) / context
    without_scan = costs.weight_flops(mamba) - 2 * 3 * 128 * 4
    assert without_scan <= computed <= costs.forward_flops(mamba, context)


def test_decoding_costs() -> None:
    gpt2, mamba = PUBLISHED["gpt2-6m"][0], PUBLISHED["mamba-6m"][0]
    assert costs.decoding_flops(gpt2, 1000) > costs.decoding_flops(gpt2, 10) > 2 * 5.5e6
    assert costs.decoding_flops(mamba, 1000) == costs.decoding_flops(mamba, 10)
    assert costs.training_flops(gpt2, 512) == 3 * costs.forward_flops(gpt2, 512)
    mean = sum(costs.decoding_flops(gpt2, t) for t in range(64)) / 64
    assert mean == costs.forward_flops(gpt2, 64)


def test_state_bytes_are_what_is_allocated(config: ModelConfig) -> None:
    state = models.build(config).new_state(1, 40, torch.float32, "cpu")
    names = ("keys", "values", "window", "recurrence", "hidden", "cell")
    parts = [getattr(state, name) for name in names if hasattr(state, name)]
    assert costs.state_bytes(config, 40, itemsize=4) == sum(t.numel() * t.element_size() for t in parts)
