"""Rows beside the native step: prompts of several lengths read at once are those read alone."""

import numpy as np
import pytest

from symbolic.decode.engine import native_step
from symbolic.decode.engine.native_rows import NativeRows
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.sampling_rules import Sampling
from tests.small_models import SHAPES, make_model

pytestmark = pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")


@pytest.mark.parametrize("family", SHAPES)
def test_rows_begun_together_are_rows_begun_alone(family: str) -> None:
    model, numbers = NativeModel(make_model(family), threads=1), np.random.default_rng(4).random((8, 3))
    prompts = [[1, 5, 6, 7], [1], [1, 40]]

    def rows(n: int) -> NativeRows:
        return NativeRows(model, Sampling(), np.zeros(96, np.float32), None, n, 8, 16, eos=None, guesses=False)

    together = rows(3)
    together.begin([2, 0, 1], prompts, numbers)
    tokens, _ = together.draw([0, 1, 2], 0, 8)
    for column, (row, prompt) in enumerate(zip([2, 0, 1], prompts, strict=True)):
        alone = rows(1)
        alone.begin([0], [prompt], numbers[:, column : column + 1])
        assert alone.draw([0], 0, 8)[0] == [tokens[row]]


def test_the_numbers_are_a_ring() -> None:
    model, numbers = NativeModel(make_model("mamba2"), threads=1), np.random.default_rng(5).random((6, 1))
    drawn = []
    for start in (0, 4):
        rows = NativeRows(model, Sampling(), np.zeros(96, np.float32), None, 1, 6, 16, eos=None, guesses=False)
        rows.begin([0], [[1]], np.roll(numbers, start, axis=0))
        drawn.append(rows.draw([0], start, 6)[0])
    assert drawn[0] == drawn[1]
