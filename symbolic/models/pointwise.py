"""Passes over channels that surround the matrix products of every model: sums, norms, activations; plain and native.

Shapes   R positions (any leading sizes), N channels; x (R, N) the residual stream, float32 or wider; y (R, N) what is
         added to it.

    gelu(u)     = u / (1 + exp(-2 sqrt(2/pi) (u + 0.044715 u^3)))         which is u (1 + tanh(...)) / 2
    convolve    : x <- silu(b + sum_k w_k x_{t-K+1+k}),  z as it is; the two come side by side
    add_norm    : x' = x + y,  n = w (x' - mean(x')) / sqrt(var(x') + eps) + b     layer norm
                               n = w x' / sqrt(mean(x'^2) + eps)                   root-mean-square norm

Each function takes `native`: the plain form is the definition, the native one (pointwise.c) reads and writes memory
once and rounds to the type of y once, at the end. Sums are float32 in both.

Papers: Hendrycks & Gimpel 2016, Gaussian Error Linear Units (arXiv:1606.08415); Ba et al. 2016, Layer Normalization
(arXiv:1607.06450); Zhang & Sennrich 2019, Root Mean Square Layer Normalization (arXiv:1910.07467).
"""

import ctypes
import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.models import compiler as builder

SOURCE = Path(__file__).parent / "kernels" / "pointwise.c"
MOST_TAPS = 8  # of the convolution, in pointwise.c


def gelu(u: Tensor, native: bool) -> Tensor:
    """Return the tanh form of gelu ("gelu_new")."""
    return _gelu(u.contiguous()) if native else F.gelu(u, approximate="tanh")


def add_norm(x: Tensor, y: Tensor | None, norm: nn.Module, native: bool) -> tuple[Tensor, Tensor]:
    """Return (x + y, norm(x + y)) for a layer norm or a root-mean-square norm; `y` None stands for 0."""
    if y is None:
        return x, norm(x)
    if not native:
        x = x + y
        return x, norm(x)
    weight, shift = norm.weight, getattr(norm, "bias", None)
    assert isinstance(weight, Tensor) and isinstance(norm.eps, float) and x.dtype == weight.dtype == torch.float32
    total, n, _ = _add_norm(x.contiguous(), y.contiguous(), weight, shift, norm.eps)
    return total, n


def convolve(xz: Tensor, filter: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return mamba's (B, L, 2 D) -> x convolved and activated, z (both (B, L, D)), native; filter (K, D), bias (D)."""
    assert filter.dtype == bias.dtype == torch.float32 and len(filter) <= MOST_TAPS
    x, z = _convolve(xz.contiguous(), filter.contiguous(), bias)
    return x, z


@functools.cache
def problem() -> str | None:
    """Return why pointwise.c cannot be used on this machine, and what to do; None when it can."""
    return builder.problem_of(_library)


# --- pointwise.c -----------------------------------------------------------------------------------------------------


@functools.cache
def _library() -> ctypes.CDLL:
    library = builder.build(SOURCE)
    library.n_parts.restype = ctypes.c_int64
    return library


@torch.library.custom_op("abc_symbolic::gelu", mutates_args=())
def _gelu(u: Tensor) -> Tensor:
    y = torch.empty_like(u)
    _call("gelu_forward", [u, y], like=u)
    return y


@_gelu.register_fake
def _(u: Tensor) -> Tensor:
    return torch.empty_like(u)


@torch.library.custom_op("abc_symbolic::gelu_backward", mutates_args=())
def _gelu_backward(u: Tensor, gy: Tensor) -> Tensor:
    gu = torch.empty_like(u)
    _call("gelu_backward", [u, gy, gu], like=u)
    return gu


@_gelu_backward.register_fake
def _(u: Tensor, gy: Tensor) -> Tensor:
    return torch.empty_like(u)


def _keep_gelu(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


_gelu.register_autograd(lambda ctx, gy: _gelu_backward(*ctx.saved_tensors, gy.contiguous()), setup_context=_keep_gelu)


@torch.library.custom_op("abc_symbolic::add_norm", mutates_args=())
def _add_norm(x: Tensor, y: Tensor, weight: Tensor, shift: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    total, n, stats = torch.empty_like(x), torch.empty_like(y), x.new_empty(*x.shape[:-1], 2)
    _call("add_norm_forward", [x, y, weight, shift, total, n, stats], ctypes.c_double(eps), like=y)
    return total, n, stats


@_add_norm.register_fake
def _(x: Tensor, y: Tensor, weight: Tensor, shift: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(y), x.new_empty(*x.shape[:-1], 2)


@torch.library.custom_op("abc_symbolic::add_norm_backward", mutates_args=())
def _add_norm_backward(
    total: Tensor, weight: Tensor, shift: Tensor | None, stats: Tensor, gtotal: Tensor | None, gn: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    gx, gy = torch.empty_like(total), torch.empty_like(gn)
    sums = total.new_empty(_n_parts(total), 2, total.shape[-1])
    _call("add_norm_backward", [total, weight, shift, stats, gtotal, gn, gx, gy, sums], like=gn)
    return gx, gy, sums.sum(0)


@_add_norm_backward.register_fake
def _(
    total: Tensor, weight: Tensor, shift: Tensor | None, stats: Tensor, gtotal: Tensor | None, gn: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(total), torch.empty_like(gn), total.new_empty(2, total.shape[-1])


def _keep_norm(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)
    _, _, weight, shift, _ = inputs
    ctx.save_for_backward(output[0], weight, shift, output[2])


def _norm_gradients(ctx: Any, gtotal: Tensor | None, gn: Tensor, _: None) -> tuple[Tensor | None, ...]:
    total, weight, shift, stats = ctx.saved_tensors
    gtotal = None if gtotal is None else gtotal.contiguous()
    gx, gy, sums = _add_norm_backward(total, weight, shift, stats, gtotal, gn.contiguous())
    return gx, gy, sums[0], None if shift is None else sums[1], None


_add_norm.register_autograd(_norm_gradients, setup_context=_keep_norm)


@torch.library.custom_op("abc_symbolic::convolve", mutates_args=())
def _convolve(xz: Tensor, filter: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    x, z = (xz.new_empty(*xz.shape[:-1], len(bias)) for _ in range(2))
    _call("convolve_forward", [xz, filter, bias, x, z], *_taps(xz, filter), like=x)
    return x, z


@_convolve.register_fake
def _(xz: Tensor, filter: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    x, z = (xz.new_empty(*xz.shape[:-1], len(bias)) for _ in range(2))
    return x, z


@torch.library.custom_op("abc_symbolic::convolve_backward", mutates_args=())
def _convolve_backward(xz: Tensor, filter: Tensor, bias: Tensor, gx: Tensor, gz: Tensor) -> tuple[Tensor, Tensor]:
    gxz, sums = torch.empty_like(xz), filter.new_empty(_n_parts(gx), len(filter) + 1, len(bias))
    _call("convolve_backward", [xz, filter, bias, gx, gz, gxz, sums], *_taps(xz, filter), like=gx)
    return gxz, sums.sum(0)


@_convolve_backward.register_fake
def _(xz: Tensor, filter: Tensor, bias: Tensor, gx: Tensor, gz: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(xz), filter.new_empty(len(filter) + 1, len(bias))


def _keep_convolve(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _convolve_gradients(ctx: Any, gx: Tensor, gz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    gxz, sums = _convolve_backward(*ctx.saved_tensors, gx.contiguous(), gz.contiguous())
    return gxz, sums[:-1], sums[-1]


_convolve.register_autograd(_convolve_gradients, setup_context=_keep_convolve)


def _taps(xz: Tensor, filter: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return ctypes.c_int64(xz.shape[-2]), ctypes.c_int64(len(filter))


def _n_parts(x: Tensor) -> int:
    return int(_library().n_parts(ctypes.c_int64(x.numel() // x.shape[-1])))


def _call(name: str, tensors: list[Tensor | None], *more: Any, like: Tensor) -> None:
    """Call a function of pointwise.c over the positions and channels of `like`, whose type decides."""
    given = [t for t in tensors if t is not None]
    assert all(t.is_contiguous() and t.device.type == "cpu" for t in given), name
    assert like.dtype in (torch.float32, torch.bfloat16) and all(t.dtype in (like.dtype, torch.float32) for t in given)
    pointers = [None if t is None else ctypes.c_void_p(t.data_ptr()) for t in tensors]
    N, narrowed = like.shape[-1], like.dtype == torch.bfloat16
    numbers = map(ctypes.c_int64, [like.numel() // N, N, narrowed, torch.get_num_threads()])
    if getattr(_library(), name)(*pointers, *more, *numbers):
        raise MemoryError(f"{name} could not allocate its work space.")
