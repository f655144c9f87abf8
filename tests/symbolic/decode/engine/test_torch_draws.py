"""Draws by a model's own step: what a block returns and leaves pending, log-probabilities before any rule."""

import math

import pytest
import torch
from torch import Tensor

from symbolic.decode.engine import torch_draws
from symbolic.decode.engine.sampling import Sampling


class Counting:
    """A stand-in model of four tokens: the next token is the one read plus one, with probability 1/2."""

    def step(self, tokens: Tensor, state: list[list[int]]) -> Tensor:
        state.append(tokens.tolist())
        logits = torch.full((len(tokens), 4), math.log(1 / 6))
        return logits.index_put((torch.arange(len(tokens)), (tokens + 1) % 4), torch.tensor(math.log(1 / 2)))


def test_a_block_reads_what_it_drew() -> None:
    read: list[list[int]] = []
    pending = torch.tensor([0, 2])
    sampler = torch_draws.TorchSampler(Counting(), read, pending, Sampling(temperature=0), torch.zeros(4))
    tokens, log_probabilities = sampler.draw([0, 1], torch.zeros(3, 2, dtype=torch.float64))
    assert tokens == [[1, 2, 3], [3, 0, 1]] and read == [[0, 2], [1, 3], [2, 0]]
    assert pending.tolist() == [3, 1]
    assert log_probabilities == [pytest.approx([math.log(1 / 2)] * 3)] * 2


def test_log_probabilities_are_those_before_any_rule() -> None:
    bias = torch.tensor([0.0, float("-inf"), 0.0, 0.0])
    drawn = torch_draws.draw_step(
        Counting(), [], torch.tensor([0]), torch.tensor([0.0]).double(), Sampling(temperature=0.5), bias
    )
    assert drawn[0].tolist() == [0] and drawn[1].item() == pytest.approx(math.log(1 / 6))
