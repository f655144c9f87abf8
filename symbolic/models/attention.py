"""Causal self-attention and the ways to compute it, chosen by name.

Shapes   B rows, T positions, H heads, F channels a head, E = H F; the projection's output (B, T, 3 E) holds queries,
         keys and values side by side, each with its heads side by side; y (B, T, E).

    y_t = sum_{s <= t} p_ts v_s,    p_t = softmax(q_t . k_s / sqrt(F) over s <= t)

`explicit` writes that out and is the definition; `sdpa` is PyTorch's own kernel; `native` is attention.c, for training
on a CPU with float32 weights, under autocast or not: blockwise, so that no T x T numbers are stored, blocks above the
diagonal skipped, gradients from the stored logarithms of the sums (Dao et al. 2022, FlashAttention, arXiv:2205.14135).
It takes bfloat16 and float32 and sums in float32; bfloat16 is multiplied by the processor's matrix unit (AMX) where
there is one, else widened.
"""

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from symbolic.errors import UsageError, UserError
from symbolic.models import compiler

ATTENTIONS = ("auto", "explicit", "sdpa", "native")
SOURCE = Path(__file__).parent / "kernels" / "attention.c"


def attention_path(name: str, device: torch.device | str, dtype: torch.dtype, dropout: float = 0.0) -> str:
    """Return the form that runs for a requested name and weights; UserError when the one asked for cannot run there."""
    if name not in ATTENTIONS:
        raise UsageError(f"attention={name!r}: choose one of {', '.join(ATTENTIONS)}.")
    cuda = torch.device(device).type == "cuda"
    unsuited = cuda or dtype != torch.float32 or dropout > 0
    if name == "auto":
        # On a CPU PyTorch's kernel is about half of a bfloat16 step; the written-out product is faster there.
        return "sdpa" if cuda else "explicit" if unsuited or problem() else "native"
    if name == "native" and unsuited:
        raise UserError(
            "attention='native' is for float32 weights on a CPU without dropout: use attention='auto' here."
        )
    if name == "native" and problem():
        raise UserError(
            f"attention='native' cannot run: {problem()} Or use attention='explicit': it needs no compiler."
        )
    return name


def attend(path: str, qkv: Tensor, n_head: int, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Map (B, T, 3 E) -> (B, T, E) by the named form; `mask` is `causal_mask`, which only `explicit` reads."""
    if path == "native":
        return native_attention(qkv, n_head)
    q, k, v = heads(qkv, n_head)
    if path == "sdpa":
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
    else:
        assert mask is not None
        y = explicit(q, k, v, mask, dropout)
    return y.transpose(1, 2).flatten(2)


def heads(qkv: Tensor, n_head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Map (B, T, 3 E) -> q, k, v (B, H, T, F)."""
    q, k, v = (part.unflatten(-1, (n_head, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
    return q, k, v


def explicit(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
    """Compute the definition, for queries (B, H, T, F) over keys and values (B, H, S, F); `mask` is added to the
    scores."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + mask
    return F.dropout(scores.softmax(-1), dropout, dropout > 0).to(v.dtype) @ v


def causal_mask(n: int, x: Tensor) -> Tensor:
    """Return 0 on and below the diagonal, -inf above, in the type the scores will have."""
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    return torch.full((n, n), -math.inf, dtype=dtype, device=x.device).triu_(1)


# --- decoding with a cache -------------------------------------------------------------------------------------------


def cache_mask(lengths: Tensor, filled: int, dtype: torch.dtype) -> Tensor:
    """Return (B, 1, 1, filled) to add to scores: 0 up to and with each row's own place `lengths` (B), -inf after it."""
    seen = torch.arange(filled, device=lengths.device) <= lengths[:, None]
    mask = torch.zeros(seen.shape, dtype=dtype, device=lengths.device).masked_fill_(~seen, -math.inf)
    return mask[:, None, None]


def attend_cache(
    q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, mask: Tensor
) -> Tensor:
    """Decode one position of every row: put k and v (B, H, F) at place `lengths` (B) of a layer's cache (B, H, M, F),
    and attend with q to what the mask lets through; (B, E)."""
    rows, filled = torch.arange(len(q), device=q.device), mask.shape[-1]
    keys[rows, :, lengths] = k.to(keys.dtype)
    values[rows, :, lengths] = v.to(values.dtype)
    seen = keys[:, :, :filled].to(q.dtype), values[:, :, :filled].to(q.dtype)
    return explicit(q[:, :, None], *seen, mask.to(q.dtype)).flatten(1)


# --- attention.c -----------------------------------------------------------------------------------------------------


def native_attention(qkv: Tensor, n_head: int) -> Tensor:
    """Map (B, T, 3 E) -> (B, T, E), both float32 or both bfloat16."""
    return _attention(qkv.contiguous(), n_head)[0]


@functools.cache
def problem() -> str | None:
    """Return why attention.c cannot be used on this machine, and what to do; None when it can."""
    return compiler.problem_of(_library)


def kind_of(dtype: torch.dtype) -> int:
    """Return how the C sources multiply: 0 float32, 1 bfloat16 widened to float32, 2 bfloat16 in the matrix unit
    (AMX)."""
    assert dtype in (torch.float32, torch.bfloat16)
    return 0 if dtype == torch.float32 else 1 + bool(_library().has_tiles())


@functools.cache
def _library() -> ctypes.CDLL:
    return compiler.build(SOURCE)


@torch.library.custom_op("abc_symbolic::causal_attention", mutates_args=())
def _attention(qkv: Tensor, n_head: int) -> tuple[Tensor, Tensor]:
    rows, T, E = _sizes(qkv)
    y, logs = qkv.new_empty(rows, T, E), qkv.new_empty(rows, n_head, T, dtype=torch.float32)
    _call("attention_forward", [qkv, y, logs], [rows, T, n_head, E // n_head], qkv.dtype)
    return y, logs


@_attention.register_fake
def _(qkv: Tensor, n_head: int) -> tuple[Tensor, Tensor]:
    rows, T, E = _sizes(qkv)
    return qkv.new_empty(rows, T, E), qkv.new_empty(rows, n_head, T, dtype=torch.float32)


@torch.library.custom_op("abc_symbolic::causal_attention_backward", mutates_args=())
def _attention_backward(qkv: Tensor, y: Tensor, gy: Tensor, logs: Tensor, n_head: int) -> Tensor:
    rows, T, E = _sizes(qkv)
    gqkv = torch.empty_like(qkv)
    _call("attention_backward", [qkv, y, gy, logs, gqkv], [rows, T, n_head, E // n_head], qkv.dtype)
    return gqkv


@_attention_backward.register_fake
def _(qkv: Tensor, y: Tensor, gy: Tensor, logs: Tensor, n_head: int) -> Tensor:
    return torch.empty_like(qkv)


def _sizes(qkv: Tensor) -> tuple[int, int, int]:
    rows, T, width = qkv.shape
    return rows, T, width // 3


def _keep(ctx: Any, inputs: tuple[Tensor, int], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], *output)
    ctx.n_head = inputs[1]


def _gradients(ctx: Any, gy: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
    qkv, y, logs = ctx.saved_tensors
    return _attention_backward(qkv, y, gy.contiguous(), logs, ctx.n_head), None


_attention.register_autograd(_gradients, setup_context=_keep)


def _call(name: str, tensors: list[Tensor], sizes: list[int], dtype: torch.dtype) -> None:
    assert all(t.is_contiguous() and t.device.type == "cpu" for t in tensors), name
    assert all(t.dtype in (dtype, torch.float32) for t in tensors), name
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in tensors]
    numbers = map(ctypes.c_int64, [*sizes, kind_of(dtype), torch.get_num_threads()])
    if getattr(_library(), name)(*pointers, *numbers):
        raise MemoryError(f"{name} could not allocate its work space.")
