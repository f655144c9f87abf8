"""The modern GPT-2, beyond what all families are tested for: scores by distance, norms, a start at zero."""

from typing import Any

import pytest
import torch

from symbolic import models
from symbolic.config import GPT2ModernConfig
from symbolic.errors import UserError
from symbolic.models import attention
from symbolic.models.variants import gpt2_modern

CONFIG = GPT2ModernConfig(n_layer=2, n_embd=32, n_head=4, n_positions=64, vocab_size=50)


def test_rotation_makes_products_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def product(here: int, there: int) -> float:
        turn = gpt2_modern.rotation(torch.tensor([here, there]), 8)
        one, other = (gpt2_modern.rotate(x[None, None], turn[i][None])[0, 0] for i, x in enumerate((q, k)))
        return float(one @ other)

    assert product(5, 2) == pytest.approx(product(45, 42), abs=1e-12)
    assert product(5, 2) != pytest.approx(product(5, 3), abs=1e-3)
    turned = gpt2_modern.rotate(q[None, None], gpt2_modern.rotation(torch.tensor([7]), 8))
    assert float(turned.norm()) == pytest.approx(float(q.norm()))
    assert torch.equal(gpt2_modern.rotate(q[None, None], gpt2_modern.rotation(torch.tensor([0]), 8))[0, 0], q)


def test_a_pair_turns_by_the_rate_of_the_paper() -> None:
    turn = gpt2_modern.rotation(torch.tensor([3]), 4)[0]
    angles = torch.tensor([3.0, 3.0 / 100], dtype=torch.float64)  # 10000^(-2 / 4) = 1 / 100
    torch.testing.assert_close(turn, torch.cat([angles.cos(), angles.sin()]))


def test_scores_of_attention_are_bounded_by_the_norms() -> None:
    torch.manual_seed(0)
    model: Any = models.build(CONFIG).eval()
    x, turn = 100 * torch.randn(2, 10, 32), gpt2_modern.rotation(torch.arange(10), 8)
    q, k, _ = attention.heads(model.blocks[0].attn.project(x, turn).detach(), 4)
    assert float((q @ k.transpose(-1, -2)).abs().max()) <= 8 + 1e-3
    torch.testing.assert_close(q.square().mean(-1), torch.ones(2, 4, 10), rtol=1e-3, atol=0)


def test_every_layer_adds_nothing_at_first() -> None:
    torch.manual_seed(0)
    model: Any = models.build(CONFIG).eval()
    tokens = torch.tensor([[1, 5, 9]])
    x = model.transformer.embed(tokens)
    torch.testing.assert_close(model(tokens), gpt2_modern.norm(x) @ model.lm_head.weight.T)


def test_there_is_no_bias_gain_or_position_to_learn() -> None:
    names = [name for name, p in models.build(CONFIG).named_parameters() if p.dim() != 2]
    assert names == []


def test_a_row_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(UserError, match="65 tokens, but there is room for 64"):
        models.build(CONFIG)(torch.zeros(1, 65, dtype=torch.long))
