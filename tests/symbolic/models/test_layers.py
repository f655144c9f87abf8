"""Layers against PyTorch's own, and a decoder's step against the whole row."""

import torch
from torch import nn

from symbolic.models import layers


def test_norm_is_pytorchs() -> None:
    torch.manual_seed(0)
    x, ours, theirs = torch.randn(2, 5, 24), layers.RMSNorm(24, eps=1e-5), nn.RMSNorm(24, eps=1e-5)
    ours.weight.data.normal_()
    theirs.weight.data.copy_(ours.weight)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert ours(x.double()).dtype == torch.float32  # in the type of the weight
    assert layers.wide(x.bfloat16()).dtype == torch.float32 and layers.wide(x.double()).dtype == torch.float64


def test_convolution_is_pytorchs_in_values_and_gradients() -> None:
    torch.manual_seed(0)
    ours, theirs = layers.CausalConvolution(6, 4), nn.Conv1d(6, 6, 4, groups=6, padding=3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 9, 6, requires_grad=True)
    y, expected = ours(x), theirs(x.transpose(1, 2))[..., :9].transpose(1, 2)
    assert torch.allclose(y, expected, atol=1e-6)
    gradients = torch.autograd.grad(y.square().sum(), [x, ours.weight, ours.bias])
    others = torch.autograd.grad(expected.square().sum(), [x, theirs.weight, theirs.bias])
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(gradients, others, strict=True))


def test_steps_of_a_convolution_are_its_row() -> None:
    torch.manual_seed(0)
    convolution, x = layers.CausalConvolution(6, 4), torch.randn(2, 7, 6)
    window, steps = torch.zeros(2, convolution.memory, 6), []
    for place in range(7):
        y, window = convolution.step(window, x[:, place])
        steps.append(y)
    assert torch.allclose(torch.stack(steps, dim=1), convolution(x), atol=1e-6)
    assert torch.equal(window, layers.last_inputs(x, torch.tensor([7, 7]), 3))


def test_last_inputs_of_padded_rows() -> None:
    x = torch.arange(1.0, 9.0).view(2, 4, 1)
    found = layers.last_inputs(x, torch.tensor([4, 2]), 3)
    assert found[..., 0].tolist() == [[2, 3, 4], [0, 5, 6]]
    assert layers.real_positions(torch.tensor([4, 2]), 4).tolist() == [[True] * 4, [True, True, False, False]]


def test_rows_of_a_state_are_replaced_and_forgotten() -> None:
    state = layers.RecurrentState(torch.ones(2, 3, 1, 4), torch.ones(2, 3, 4))
    other = layers.RecurrentState(torch.full((2, 2, 1, 4), 5.0), torch.full((2, 2, 4), 7.0))
    state.insert(torch.tensor([2, 0]), other)
    state.reset(torch.tensor([0]))
    assert state.window[0, :, 0, 0].tolist() == [0, 1, 5] and state.recurrence[1, :, 0].tolist() == [0, 1, 7]


def test_a_tied_head_is_the_embedding() -> None:
    embedding = nn.Embedding(10, 4)
    head = layers.tied_head(embedding, tied=True)
    assert head.weight is embedding.weight and layers.tied_head(embedding, tied=False).weight is not embedding.weight
    assert layers.logits(torch.randn(2, 4).double(), head).dtype == torch.float32
