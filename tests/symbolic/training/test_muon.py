"""Muon is PyTorch's own where that computes in float32's place, turns gradients into orthogonal steps, and resumes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from symbolic import models
from symbolic.config import GPT2Config, GPT2ModernConfig, LSTMConfig, Mamba2Config, ModelConfig, TrainConfig
from symbolic.training import muon, optim

SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=16, vocab_size=20),
    "gpt2-modern": GPT2ModernConfig(n_layer=1, n_embd=16, n_head=2, n_positions=16, vocab_size=20),
    "mamba2": Mamba2Config(n_layer=1, d_model=16, d_state=4, head_dim=8, chunk_size=8, vocab_size=20),
    "lstm": LSTMConfig(n_layer=1, d_model=16, vocab_size=20),
}


def settings(**changes: Any) -> TrainConfig:
    given = {"steps": 10, "batch_size": 1, "learning_rate": 1e-2, "warmup_steps": 0, "evaluate_every": 1}
    return TrainConfig(**{**given, "checkpoint_every": 1, "decay_fraction": 0.0, "optimizer": "muon", **changes})


def gradients(model: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


@pytest.mark.parametrize("shape", [(8, 8), (6, 24), (24, 6), (3, 5, 9)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, ...]) -> None:
    u = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = muon.orthogonal(u, torch.float64)
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3
    left, sizes, right = torch.linalg.svd(u, full_matrices=False)
    inner = left.mT @ found @ right.mT  # diagonal: the directions are those of u
    torch.testing.assert_close(inner, torch.diag_embed(inner.diagonal(dim1=-2, dim2=-1)), rtol=0, atol=1e-9)
    torch.testing.assert_close(muon.orthogonal(1e3 * u, torch.float64), found, rtol=1e-5, atol=1e-6)
    assert sizes.shape[-1] == min(shape[-2:])


def test_zeros_stay_zeros() -> None:
    assert torch.equal(muon.orthogonal(torch.zeros(4, 6)), torch.zeros(4, 6).to(muon.orthogonal(torch.ones(4, 6))))


def test_updates_are_those_of_pytorch() -> None:
    """Their products are bfloat16's, so equality is to its rounding."""
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Linear(12, 30, bias=False), torch.nn.Linear(30, 12, bias=False))
    theirs = torch.nn.Sequential(torch.nn.Linear(12, 30, bias=False), torch.nn.Linear(30, 12, bias=False))
    theirs.load_state_dict(ours.state_dict())
    before = [p.detach().clone() for p in ours.parameters()]
    one = optim.build(ours, settings(muon_learning_rate=0.05, weight_decay=0.1))
    other = torch.optim.Muon(theirs.parameters(), lr=0.05, weight_decay=0.1, momentum=0.95)
    for seed in range(3):
        for model in (ours, theirs):
            gradients(model, seed)
        one.step()
        other.step()
    for p, q, start in zip(ours.parameters(), theirs.parameters(), before, strict=True):
        assert float((p - start).norm().detach()) > 0.1
        assert float((p - q).norm().detach() / (q - start).norm().detach()) < 0.02


@pytest.mark.parametrize("family", SHAPES)
def test_hidden_matrices_are_muons_and_nothing_else(family: str) -> None:
    model = models.build(SHAPES[family])
    names = {name for name, _, _ in muon.hidden_matrices(model)}
    expected = {
        name
        for name, p in model.named_parameters()
        if p.dim() == 2 and not name.endswith(("wte.weight", "wpe.weight", "embeddings.weight", "lm_head.weight"))
    }
    assert names == expected != set()
    optimizer = optim.build(model, settings())
    in_groups = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(in_groups) == sorted(id(p) for p in model.parameters())
    gradients(model, 0)
    optimizer.step()
    kinds = {name.split(".")[0] for name in optim.state(model, optimizer)}
    assert kinds == {muon.MOMENT, *optim.MOMENTS}


def test_a_step_is_as_wide_as_its_outputs_whichever_way_a_weight_lies() -> None:
    """The library keeps GPT-2's weights (in, out): the step of one is that of its transpose."""
    wide = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    sizes = []
    for rows_are_outputs, gradient in ((False, wide), (True, wide.T.contiguous())):
        p = torch.nn.Parameter(torch.zeros(gradient.shape))
        p.grad = gradient.clone()
        other = torch.nn.Parameter(torch.zeros(1))
        group = {"params": [p], "lr": 1.0, "rows_are_outputs": rows_are_outputs}
        muon.MuonAdamW([group], torch.optim.AdamW([other]), 0.9).step()
        sizes.append(p.detach() if rows_are_outputs else p.detach().T)
    torch.testing.assert_close(*sizes)
    assert float(torch.linalg.matrix_norm(sizes[0], 2)) == pytest.approx(2.0, rel=0.3)  # sqrt(64 / 16)


def test_both_rates_follow_one_schedule() -> None:
    optimizer = optim.build(models.build(SHAPES["gpt2"]), settings(muon_learning_rate=0.04))
    optim.set_learning_rate(optimizer, 0.005)
    rates = {muon.MOMENT in group: group["lr"] for group in optimizer.param_groups}
    assert rates == {True: pytest.approx(0.02), False: 0.005}


@pytest.mark.parametrize("family", SHAPES)
def test_state_put_back_goes_on_bit_for_bit(family: str) -> None:
    torch.manual_seed(0)
    model = models.build(SHAPES[family])
    optimizer = optim.build(model, settings())
    for seed in range(2):
        gradients(model, seed)
        optimizer.step()
    twin = models.build(SHAPES[family])
    twin.load_state_dict(model.state_dict())
    other = optim.build(twin, settings())
    saved: dict[str, Tensor] = {name: tensor.clone() for name, tensor in optim.state(model, optimizer).items()}
    optim.load_state(twin, other, saved)
    for seed in (5, 6):
        for one, its in ((model, optimizer), (twin, other)):
            gradients(one, seed)
            its.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    missing = next(name for name in saved if name.startswith(muon.MOMENT))
    saved.pop(missing)
    with pytest.raises(KeyError, match=missing.replace(".", r"\.")):
        optim.load_state(twin, other, saved)


@pytest.mark.parametrize("family", SHAPES)
def test_one_batch_is_learnt(family: str) -> None:
    torch.manual_seed(0)
    model: Any = models.build(SHAPES[family])
    tokens = torch.randint(0, 20, (2, 13), generator=torch.Generator().manual_seed(1))
    optimizer = optim.build(model, settings(muon_learning_rate=0.05, weight_decay=0.0))
    losses = []
    for _ in range(60):
        scores = model(tokens[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(scores, tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 2.5 and losses[-1] < 0.5
