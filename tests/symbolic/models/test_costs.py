"""Operations and bytes against one another, and against the weights and states of models that are built."""

import pytest
import torch

from symbolic import models
from symbolic.models import costs
from tests.symbolic.models.conftest import SHAPES

PLAIN = [name for name in SHAPES if "hybrid" not in name]


@pytest.mark.parametrize("name", SHAPES)
def test_a_training_step_is_three_forward_passes(name: str) -> None:
    assert costs.training_flops(SHAPES[name], 128) == 3 * costs.forward_flops(SHAPES[name], 128)


@pytest.mark.parametrize("name", ["gpt2", "gpt2-modern", "mamba", "lstm"])
def test_decoding_a_row_costs_what_its_forward_pass_does(name: str) -> None:
    config, n = SHAPES[name], 64
    decoded = sum(costs.decoding_flops(config, position) for position in range(n))
    assert decoded == pytest.approx(n * costs.forward_flops(config, n))


@pytest.mark.parametrize("name", SHAPES)
def test_only_attention_costs_more_with_the_position(name: str) -> None:
    config = SHAPES[name]
    grows = costs.decoding_flops(config, 100) > costs.decoding_flops(config, 0)
    assert grows == (name in ("gpt2", "gpt2-modern", "mamba2-hybrid")) == (costs.state_bytes_per_token(config) > 0)


@pytest.mark.parametrize("name", PLAIN)
def test_every_matrix_multiplies_each_token_once(name: str) -> None:
    """Two operations a weight: the head is the embedding, whose rows are looked up; vectors are left out."""
    model = models.build(SHAPES[name])
    embeddings = ("wpe", "A_log", "dt_bias")
    weights = sum(
        p.numel() for key, p in model.named_parameters() if p.dim() > 1 and not any(e in key for e in embeddings)
    )
    assert costs.weight_flops(SHAPES[name]) == 2 * weights


@pytest.mark.parametrize("name", SHAPES)
def test_a_state_takes_the_bytes_that_it_is_said_to(name: str) -> None:
    config, n = SHAPES[name], 32
    state = models.build(config).new_state(1, n, torch.float32, "cpu")
    tensors = [x for x in _tensors(state) if x.is_floating_point()]
    assert sum(x.numel() * x.element_size() for x in tensors) == costs.state_bytes(config, n)


def _tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value if isinstance(value, (list, tuple)) else vars(value).values() if hasattr(value, "__dict__") else ()
    return [tensor for part in parts for tensor in _tensors(part)]
