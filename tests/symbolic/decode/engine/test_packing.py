"""Weights as the native step holds them: panels, padding, rounding."""

import numpy as np
import pytest
import torch

from symbolic.decode.engine import native_step, packing
from symbolic.decode.engine.kernel_library import Arena

pytestmark = pytest.mark.skipif(native_step.problem() is not None, reason="no C compiler")


def packed_words(weight: np.ndarray, kind: str, dtype: type) -> tuple[np.ndarray, int]:
    """The words of a matrix as (panels, n_words, panel, numbers a word), and its kind."""
    memory = Arena(1 << 20)
    packer = packing._Packer(memory, kind)
    matrix = packer.matrix(weight)
    start = matrix.words - memory._bytes.ctypes.data
    each = 4 // np.dtype(dtype).itemsize
    n = matrix.panels * matrix.n_words * packer.panel * each
    words = memory._bytes[start : start + n * np.dtype(dtype).itemsize].view(dtype)
    return words.reshape(matrix.panels, matrix.n_words, packer.panel, each), matrix.kind


def test_panels_hold_words_of_their_outputs_side_by_side() -> None:
    weight = np.random.default_rng(0).normal(size=(70, 20)).astype(np.float32)
    words, kind = packed_words(weight, "float32", np.float32)
    assert kind == 0
    assert np.array_equal(words[0, 5, :, 0], weight[: words.shape[2], 5])
    rest = weight[words.shape[2] :, 5]
    assert np.array_equal(words[1, 5, : len(rest), 0], rest) and not words[1, 5, len(rest) :].any()


def test_float32_that_fits_16_bits_is_held_so() -> None:
    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(1)).bfloat16().float().numpy()
    words, kind = packed_words(weight, "float32", np.uint16)
    assert kind == packing.EXACT
    assert np.array_equal((words[0, 3].astype(np.uint32) << 16).view(np.float32), weight[:, 6:8])


def test_int8_is_the_nearest_of_255_steps() -> None:
    weight = np.random.default_rng(2).normal(size=(64, 64)).astype(np.float32)
    words, _ = packed_words(weight, "int8", np.int8)
    held = words[0].transpose(1, 0, 2).reshape(64, 64)
    scale = np.abs(weight).max(1, keepdims=True) / 127
    assert np.abs(held * scale - weight).max() <= scale.max() * 0.5001 and np.abs(held).max() == 127


def test_bfloat16_is_that_of_pytorch() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(3))
    wanted = values.bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(packing.to_bfloat16(values.numpy()), wanted)
