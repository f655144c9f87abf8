"""Rows in tensors: the name of the step, and what a row begins and forgets."""

import numpy as np
import torch

from symbolic.decode.engine import torch_rows
from symbolic.decode.engine.cuda_graphs import GraphedModel
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.engine.torch_rows import TorchRows
from tests.small_models import make_model


def test_steps_are_named() -> None:
    model = make_model("gpt2")
    assert torch_rows.step_name(model) == "torch float32"
    assert torch_rows.step_name(model.to(torch.bfloat16)) == "torch bfloat16"
    assert torch_rows.step_name(GraphedModel(model)) == "CUDA graphs of the torch step"


def test_a_row_that_is_reset_draws_as_a_new_one() -> None:
    model, numbers = make_model("mamba2"), np.random.default_rng(6).random((10, 2))
    rows = TorchRows(model, Sampling(), np.zeros(96, np.float32), None, 2, 10, 16)
    rows.begin([0, 1], [[1, 5, 6], [1]], numbers)
    first = rows.draw([0, 1], 0, 5)[0]
    rows.reset([0])
    rows.begin([0], [[1, 5, 6]], np.roll(numbers[:, :1], 5, axis=0))
    assert rows.draw([0, 1], 5, 5)[0][0] == first[0]
