"""The models learn: one batch is overfitted, under each number type; dropout and initial values do what they say."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from symbolic import models
from symbolic.config import GPT2Config, GPT2ModernConfig, LSTMConfig, Mamba2Config, MambaConfig, ModelConfig

LEARNT = 0.3  # nats a token


def overfit(model: "models.Model", tokens: Tensor, steps: int, dtype: torch.dtype) -> list[float]:
    """Losses on one batch until it is known by heart, of `steps` steps at most."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            scores = model(tokens[:, :-1])
        loss = F.cross_entropy(scores.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < LEARNT:
            break
    return losses


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_batch_is_learnt(config: ModelConfig, tokens: Tensor, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    steps = 300 if isinstance(config, LSTMConfig) else 60  # no norms: it learns by heart more slowly
    losses = overfit(models.build(config), tokens, steps, dtype)
    assert abs(losses[0] - math.log(config.vocab_size)) < 0.5
    assert losses[-1] < LEARNT


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    transformer = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=20, dropout=0.5)
    mamba = MambaConfig(n_layer=1, d_model=32, vocab_size=20, dropout=0.5)
    mamba2 = Mamba2Config(n_layer=1, d_model=32, head_dim=16, vocab_size=20, dropout=0.5)
    tokens = torch.arange(20)[None]
    made = [models.build(transformer, attention=form) for form in ("explicit", "sdpa")]
    for model in [*made, models.build(mamba), models.build(mamba2)]:
        model.train()
        assert not torch.equal(model(tokens), model(tokens))
        model.eval()
        assert torch.equal(model(tokens), model(tokens))


@pytest.mark.parametrize("n_embd", [64, 128])
def test_residual_projections_start_scaled(n_embd: int) -> None:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=8, n_embd=n_embd, n_head=2)
    block = models.build(config).blocks[0]
    torch.testing.assert_close(block.mlp.c_proj.weight.std().item(), 0.02 / 4, rtol=0.05, atol=0)
    torch.testing.assert_close(block.mlp.c_fc.weight.std().item(), 0.02, rtol=0.05, atol=0)


def test_mamba_starts_with_the_papers_step_sizes() -> None:
    torch.manual_seed(0)
    one = models.build(MambaConfig(n_layer=4, d_model=256)).blocks[0].mixer
    two = models.build(Mamba2Config(n_layer=4, d_model=1024, head_dim=16)).blocks[0].mixer
    for bias in (one.dt_proj.bias, two.dt_bias):
        delta = F.softplus(bias)
        assert 1e-3 * 0.99 < delta.min() < 2e-3 and 0.05 < delta.max() < 0.1 * 1.01
        assert abs(delta.log().mean().item() - math.log(1e-2)) < 0.4  # log-uniform: the mean is the middle
    torch.testing.assert_close(one.A_log.exp(), torch.arange(1.0, 17).expand(512, 16))
    assert 1 <= two.A_log.exp().min() < 2 and 15 < two.A_log.exp().max() <= 16
    assert torch.equal(one.D, torch.ones(512)) and torch.equal(two.D, torch.ones(128))


def test_forms_by_name_agree(config: ModelConfig, tokens: Tensor) -> None:
    if isinstance(config, LSTMConfig):
        assert models.paths(models.build(config)) == {"lstm": "torch, recurrence in float32"}
        return
    key = "attention" if isinstance(config, GPT2Config | GPT2ModernConfig) else "scan"
    names = {"attention": ["explicit", "sdpa", "auto"], "scan": ["auto", "chunked", "recurrence"]}[key]
    results = []
    for name in names:
        torch.manual_seed(0)
        model = models.build(config, **{key: name})
        assert name == "auto" or models.paths(model)[key] == name
        results.append(model(tokens))
    for other in results[1:]:
        torch.testing.assert_close(results[0], other, rtol=1e-4, atol=1e-5)


def test_bfloat16_weights_keep_decays_wide(config: ModelConfig, tmp_path: object) -> None:
    models.save(models.build(config), str(tmp_path))
    model, _ = models.load(str(tmp_path), "cpu", torch.bfloat16)
    kinds = {name: p.dtype for name, p in model.named_parameters()}
    wide = [name for name, kind in kinds.items() if kind == torch.float32]
    assert all(name.endswith(("A_log", "dt_bias", "dt_proj.bias", "mixer.D")) for name in wide)
    assert bool(wide) != isinstance(config, (GPT2Config, GPT2ModernConfig, LSTMConfig))
    assert model(torch.zeros(1, 5, dtype=torch.long)).dtype == torch.bfloat16


def test_a_larger_vocabulary_changes_only_the_embedding() -> None:
    config = MambaConfig(n_layer=1, d_model=16, vocab_size=20)
    larger = models.build(dataclasses.replace(config, vocab_size=1000))
    assert larger(torch.tensor([[999]])).shape == (1, 1, 1000)
