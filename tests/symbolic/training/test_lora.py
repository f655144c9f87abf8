"""LoRA by peft, held to the formula of the paper, on both ways in which a layer may store its weight."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

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
from symbolic.errors import UserError
from symbolic.training import lora

RANK, ALPHA = 2, 6.0


class Two(nn.Module):
    """A layer whose weight is (out, in), one whose weight is (in, out), and one that LoRA is not put on."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.head = nn.Linear(5, 7), Conv1D(3, 7), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.down(self.up(x)))


def adapted(dtype: torch.dtype = torch.float32) -> Two:
    """LoRA on `up` and `down`, its factors far from their zero at the start."""
    torch.manual_seed(0)
    model = Two().to(dtype)
    assert lora.attach(model, ("up", "down", "absent"), RANK, ALPHA) == 2
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.normal_()
    return model


def products(model: Two) -> list[torch.Tensor]:
    """B A of `up` and of `down`, (out, in)."""
    factors = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return [
        factors[f"{name}.lora_B.default.weight"] @ factors[f"{name}.lora_A.default.weight"] for name in ("up", "down")
    ]


def test_only_thin_float32_factors_are_trained_and_change_nothing_at_first() -> None:
    torch.manual_seed(0)
    model = Two().to(torch.bfloat16)
    x = torch.randn(4, 5, dtype=torch.bfloat16)
    before = model(x)
    lora.attach(model, ("up", "down"), RANK, ALPHA)
    assert torch.equal(model(x), before)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert [tuple(p.shape) for p in trained] == [(2, 5), (7, 2), (2, 7), (3, 2)]
    assert {p.dtype for p in trained} == {torch.float32}


def test_the_weights_are_those_of_the_formula() -> None:
    model = adapted()
    up, down = products(model)
    plain = Two()
    plain.load_state_dict(lora.merged_weights(model))
    scale = ALPHA / RANK
    torch.testing.assert_close(plain.up.weight, model.up.base_layer.weight + scale * up)
    torch.testing.assert_close(plain.down.weight, model.down.base_layer.weight + scale * down.T)
    x = torch.randn(4, 5)
    torch.testing.assert_close(plain(x), model(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_leaves_the_plain_model(dtype: torch.dtype) -> None:
    model = adapted(dtype)
    merged = lora.merged_weights(model)
    lora.merge(model)
    assert [type(layer) for layer in (model.up, model.down, model.head)] == [nn.Linear, Conv1D, nn.Linear]
    own = model.state_dict()
    assert list(own) == list(Two().state_dict()) == list(merged)
    assert all(torch.equal(own[name], merged[name]) for name in own)


def test_a_model_without_such_a_layer_is_refused() -> None:
    with pytest.raises(UserError, match="no layer of this model is known to LoRA"):
        lora.attach(Two(), ("q_proj",), RANK, ALPHA)


SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=32, vocab_size=20),
    "mamba": MambaConfig(n_layer=1, d_model=16, d_state=4, vocab_size=20),
    "mamba2": Mamba2Config(n_layer=1, d_model=16, d_state=4, head_dim=8, chunk_size=8, vocab_size=20),
    "gpt2-modern": GPT2ModernConfig(n_layer=1, n_embd=16, n_head=2, n_positions=32, vocab_size=20),
    "mamba2-hybrid": Mamba2HybridConfig(
        n_layer=2, attention_every=2, d_model=16, n_head=2, d_state=4, head_dim=8, chunk_size=8, vocab_size=20
    ),
}


@pytest.mark.parametrize("family", SHAPES)
def test_a_model_of_tunes_is_adapted_trained_and_saved_as_a_plain_one(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = models.build(SHAPES[family])
    tokens = torch.randint(0, 20, (2, 12), generator=torch.Generator().manual_seed(1))
    before, names, n = model(tokens).detach(), set(model.state_dict()), models.n_parameters(model)
    assert lora.plain(model) is model
    lora.adapt(model, RANK)
    torch.testing.assert_close(model(tokens), before)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained and all(".lora_" in name for name in trained) and models.n_parameters(model) == n
    model(tokens).square().mean().backward()
    with torch.no_grad():
        for name, p in model.named_parameters():
            assert (p.grad is not None) == (name in trained)
            if name in trained:
                p.normal_(std=0.2)
    state = torch.get_rng_state()
    models.save(lora.plain(model), tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    saved, _ = models.load(tmp_path)
    assert set(saved.state_dict()) == names
    after = saved(tokens).detach()
    torch.testing.assert_close(after, model.eval()(tokens).detach(), rtol=1e-4, atol=1e-5)
    assert float((after - before).abs().max()) > 1e-3


def test_an_lstm_has_no_layer_for_it() -> None:
    with pytest.raises(UserError, match="no layer of this model is known to LoRA"):
        lora.adapt(models.build(LSTMConfig(n_layer=1, d_model=16, vocab_size=20)), RANK)
