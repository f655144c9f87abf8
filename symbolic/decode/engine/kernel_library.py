"""The shared library of kernel/step.c: its structures as ctypes, built once; memory that a step streams through."""

import ctypes
import functools
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.models import compiler as builder

SOURCE = Path(__file__).parent / "kernel" / "step.c"
FLAGS = builder.FLAGS
LANES = 16  # of the widest vector


class CMatrix(ctypes.Structure):
    """Panels of a matrix; products.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("words", "bias", "scale", "sums")] + [
        (name, ctypes.c_int64) for name in ("kind", "panels", "n_words")
    ]


class CLayer(ctypes.Structure):
    """Weights of a layer; model.h."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("norm", "norm_bias", "norm2", "norm2_bias")),
        *((name, ctypes.c_void_p) for name in ("conv", "conv_bias", "A", "D")),
        *((name, CMatrix) for name in ("into", "out", "into2", "out2")),
    ]


class CModel(ctypes.Structure):
    """A model; model.h."""

    _fields_ = [
        *((n, ctypes.c_int64) for n in ("family", "n_layer", "n_embd", "embd", "inner", "n_head", "head", "n_state")),
        *((n, ctypes.c_int64) for n in ("maps", "groups", "n_inner", "conv", "vocab", "n_vocab", "cache")),
        *(("n_positions", ctypes.c_int64), ("query_scale", ctypes.c_float)),
        *((n, ctypes.c_void_p) for n in ("tokens", "positions", "norm", "norm_bias")),
        *(("scores", CMatrix), ("layers", ctypes.POINTER(CLayer))),
    ]


class CState(ctypes.Structure):
    """A state; model.h."""

    _fields_ = [
        ("blocks", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("keys", "values", "window", "recurrence", "lengths")),
    ]


class CRules(ctypes.Structure):
    """Settings of sampling; draw.h."""

    _fields_ = [*((n, ctypes.c_float) for n in ("temperature", "top_p", "log_min_p")), ("top_k", ctypes.c_int64)]


MOST_AHEAD = 4  # tokens of a pass that may be undone; model.h


class CAhead(ctypes.Structure):
    """What undoes tokens of a pass; model.h."""

    _fields_ = [
        ("window", ctypes.c_void_p * (MOST_AHEAD + 1)),
        ("rows", ctypes.c_void_p * 2),
        ("stride", ctypes.c_int64),
        ("n_held", ctypes.c_int64),
    ]


_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "team_new": (_POINTER, [_INTEGER] * 3),
    "team_size": (_INTEGER, [_POINTER]),
    "team_free": (None, [_POINTER]),
    "native_read": (ctypes.c_int, [*[_POINTER] * 3, _INTEGER, *[_POINTER] * 2, _INTEGER, *[_POINTER] * 2]),
    "native_run": (ctypes.c_int, [*[_POINTER] * 3, *[_INTEGER] * 4, *[_POINTER] * 3, _INTEGER, *[_POINTER] * 7]),
    "native_choose": (ctypes.c_int32, [*[_POINTER] * 5, ctypes.c_double, *[_POINTER] * 3]),
    "native_ahead": (_INTEGER, [*[_POINTER] * 4, _INTEGER, _POINTER, _INTEGER, *[_POINTER] * 7]),
    "native_ahead_read": (_INTEGER, [*[_POINTER] * 4, _INTEGER, *[_POINTER] * 2]),
    "native_ahead_keep": (None, [*[_POINTER] * 3, *[_INTEGER] * 2]),
    "native_ahead_begin": (None, [*[_POINTER] * 3, _INTEGER]),
    "native_ahead_end": (None, [*[_POINTER] * 4, _INTEGER]),
    "native_function": (None, [_INTEGER, _INTEGER, _POINTER, _POINTER]),
    "native_panel": (_INTEGER, []),
    "native_lanes": (_INTEGER, []),
    "native_instructions": (ctypes.c_char_p, []),
}


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library, compiled where this machine has not; BuildError where it cannot be."""
    built = builder.build(SOURCE, FLAGS)
    for function, (result, arguments) in _SIGNATURES.items():
        getattr(built, function).restype, getattr(built, function).argtypes = result, arguments
    return built


class Arena:
    """Zeroed memory that the system hands out as it is first touched, in large pages where it has them: streaming
    through megabytes of weights would otherwise spend a good part of its time on page tables."""

    def __init__(self, n_bytes: int) -> None:
        memory = mmap.mmap(-1, max(n_bytes, 1) + 64)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._bytes, self._used = np.frombuffer(memory, np.uint8), 0

    def array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the next free part, 64-byte aligned, as zeros of this shape."""
        n, start = math.prod(shape) * np.dtype(dtype).itemsize, self._used
        assert start + n <= len(self._bytes)
        self._used = start + -(-n // 64) * 64
        return self._bytes[start : start + n].view(dtype).reshape(shape)

    def put(self, values: np.ndarray) -> int:
        """Copy in; return the address."""
        place = self.array(values.shape, values.dtype)
        place[...] = values
        return address(place)


def address(values: np.ndarray) -> int:
    """Return where an array lies."""
    return int(values.ctypes.data)


def aligned_array(n: int) -> np.ndarray:
    """Return n float32 zeros at an address that is a multiple of 64 bytes."""
    values = np.zeros(n + LANES, np.float32)
    start = -(address(values) // 4) % LANES
    return values[start : start + n]
