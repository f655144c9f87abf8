"""Samplers without a mask: native calls draw what the model's own step draws."""

import numpy as np
import pytest
import torch

from symbolic.decode.engine import native_step
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.samplers import NativeSampler
from symbolic.decode.engine.sampling import Sampling
from symbolic.decode.engine.torch_draws import TorchSampler
from tests.small_models import make_model


@pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")
def test_both_samplers_draw_the_same_tokens() -> None:
    model, numbers = make_model("mamba2"), torch.rand(6, 3, dtype=torch.float64)
    bias = torch.zeros(96)
    bias[:2] = float("-inf")
    native = NativeModel(model, weights="float32")
    of_torch = TorchSampler(model, model.new_state(3, 8, torch.float32, "cpu"), torch.ones(3).long(), Sampling(), bias)
    of_native = NativeSampler(native, native.new_state(3, 8), np.ones(3, np.int32), Sampling(), bias.numpy(), None)
    tokens, log_probabilities = of_torch.draw([0, 1, 2], numbers)
    assert of_native.draw([0, 1, 2], numbers.numpy())[0] == tokens
    for sampler in (of_torch, of_native):
        assert sampler.pending.tolist() == [row[-1] for row in tokens]
    assert all(value < 0 for row in log_probabilities for value in row)
