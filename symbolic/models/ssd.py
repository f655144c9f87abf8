"""The recurrence of Mamba-2 (state-space duality): its definition, and its chunked matrix form.

Shapes   B rows, L positions, H heads, P channels a head, G groups of heads that share B and C, N state variables;
         in the chunked form Q positions a chunk, c chunks, J = H / G heads a group.
Symbols  x input (B, L, H, P); delta step size (B, L, H); A (H), negative; B, C (B, L, G, N) input and output maps;
         h state (B, H, N, P); y output (B, L, H, P).

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t^T
    y_t = C_t^T h_t

Every form returns (y, h_L), without the skip D x. A position whose delta is 0 leaves the state exactly as it was.

`native_mixer` is ssd.c, for training on a CPU: everything between the mixer's two projections in one pass over memory.

Papers: Dao & Gu 2024, Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State
Space Duality (arXiv:2405.21060), section 6.
"""

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbolic.models import compiler
from symbolic.models.attention import kind_of

SOURCE = Path(__file__).parent / "kernels" / "ssd.c"
MOST_TAPS = 8  # of the convolution, in ssd.c


def recurrence(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the definition: one position after the other."""
    n, L, H, P = x.shape
    h = x.new_zeros(n, H, B.shape[-1], P)
    y = []
    for t in range(L):
        h = ssd_step(h, x[:, t], delta[:, t], A, B[:, t])
        y.append(read_out(h, C[:, t]))
    return torch.stack(y, dim=1), h


def ssd_step(h: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """Compute h_t from h_{t-1} (B, H, N, P); x (B, H, P), delta (B, H), B (B, G, N)."""
    B = B.repeat_interleave(h.shape[1] // B.shape[1], dim=1)
    return torch.exp(delta * A)[..., None, None] * h + B[..., None] * (delta[..., None] * x)[..., None, :]


def read_out(h: Tensor, C: Tensor) -> Tensor:
    """Compute y_t = C_t^T h_t: h (B, H, N, P), C (B, G, N) -> (B, H, P)."""
    C = C.repeat_interleave(h.shape[1] // C.shape[1], dim=1)
    return (C[..., None, :] @ h).squeeze(-2)


def chunked_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int, products: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Compute the same by matrix products: attention-like inside a chunk, one state passed from chunk to chunk.

    Every exponent is a sum of delta A over a stretch of positions, so at most 0: nothing overflows. `products` is the
    type the matrices are multiplied in; decays and states stay in the type of x, but exponents are summed in float64:
    after one strong decay, the small differences of large float32 sums would be wrong in the fourth digit. Heads of a
    group stand side by side, J = H / G of them, so that what they share is multiplied once.
    """
    L, P, products = x.shape[1], x.shape[3], products or x.dtype
    G, kind = B.shape[2], x.dtype
    x, delta, B, C = (_split(t, min(chunk, L)) for t in (x, delta, B, C))  # (B, c, Q, ...)
    B, C = B.transpose(2, 3).to(products), C.transpose(2, 3).to(products)  # (B, c, G, Q, N)
    x = (x * delta[..., None]).unflatten(3, (G, -1)).transpose(2, 3)  # (B, c, G, Q, J, P)
    total = (delta * A).double().unflatten(3, (G, -1)).movedim(2, -1).cumsum(-1)  # (B, c, G, J, Q), since the start
    scores = _DecayedScores.apply((C @ B.transpose(-1, -2)).to(kind)[:, :, :, None], total)  # (B, c, G, J, Q, Q)
    within = (scores.to(products) @ x.to(products).transpose(3, 4)).to(kind).transpose(3, 4)  # (B, c, G, Q, J, P)
    left = torch.exp((total[..., -1:] - total).to(kind)).transpose(-1, -2)[..., None]  # decay until the chunk's end
    added = (B.transpose(-1, -2) @ (x * left).to(products).flatten(4)).to(kind).unflatten(-1, (-1, P))
    since = torch.exp(total.to(kind))  # decay since the chunk's start
    before, last = _pass_states(added, since[..., -1])
    carried = (C @ before.to(products).flatten(4)).to(kind).unflatten(-1, (-1, P))
    y = torch.addcmul(within, since.transpose(-1, -2)[..., None], carried)
    return y.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :L], last.transpose(2, 3).flatten(1, 2)


def _split(t: Tensor, chunk: int) -> Tensor:
    """Map (B, L, ...) -> (B, c, Q, ...), padded by zeros: delta = 0 is no step."""
    short = -t.shape[1] % chunk
    if short:
        t = torch.cat([t, t.new_zeros(t.shape[0], short, *t.shape[2:])], dim=1)
    return t.unflatten(1, (-1, chunk))


def _pass_states(added: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    """Return the state before each chunk, and after the last: added (B, c, G, N, J, P), decay (B, c, G, J)."""
    h, before = torch.zeros_like(added[:, 0]), []
    for c in range(added.shape[1]):
        before.append(h)
        h = torch.addcmul(added[:, c], decay[:, c, :, None, :, None], h)
    return torch.stack(before, dim=1), h


class _DecayedScores(torch.autograd.Function):
    """scores_ts exp(total_t - total_s) for s <= t, else 0: (..., Q, Q) and, in float64, (..., Q).

    Its own backward, because the exponent's gradient is the output's times the output: the largest tensors of the
    model are then read twice less than autograd would.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, total: Tensor) -> Tensor:
        Q, kind = total.shape[-1], scores.dtype
        future = torch.full((Q, Q), -math.inf, dtype=kind, device=total.device).triu_(1)
        # Masked before exp: above the diagonal the difference is positive and could overflow.
        decay = (total[..., :, None] - total[..., None, :]).to(kind).add_(future).exp_()
        decayed = scores * decay
        ctx.save_for_backward(decay, decayed)
        return decayed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, decayed = ctx.saved_tensors
        exponent, wide = gradient * decayed, torch.float64
        through_total = exponent.sum(-1, dtype=wide) - exponent.sum(-2, dtype=wide)
        return (gradient * decay).sum(-3, keepdim=True), through_total


# --- ssd.c -----------------------------------------------------------------------------------------------------------


def native_mixer(
    projected: Tensor,
    filter: Tensor,
    filter_bias: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    gain: Tensor,
    head_dim: int,
    n_groups: int,
    eps: float,
) -> Tensor:
    """Return the gated norm's output (B, L, D) from z, x, B, C, dt side by side (B, L, 2 D + 2 G N + H), of either
    type.

    The parameters are float32: the convolution's filter (K, D + 2 G N) and bias, dt_bias, A and skip (H), gain (D).
    """
    weights = [t.contiguous() for t in (filter, filter_bias, dt_bias, A, skip, gain)]
    assert all(t.dtype == torch.float32 for t in weights) and len(filter) <= MOST_TAPS
    out: Tensor = _mixer(projected.contiguous(), *weights, head_dim, n_groups, eps)[0]
    return out


@functools.cache
def problem() -> str | None:
    """Return why ssd.c cannot be used on this machine, and what to do; None when it can."""
    return compiler.problem_of(_library)


@functools.cache
def _library() -> ctypes.CDLL:
    library = compiler.build(SOURCE)
    library.state_size.restype = ctypes.c_int64
    return library


@torch.library.custom_op("abc_symbolic::mamba2_mixer", mutates_args=())
def _mixer(
    projected: Tensor,
    filter: Tensor,
    filter_bias: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    gain: Tensor,
    head_dim: int,
    n_groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    made = _made(projected, len(gain), head_dim, n_groups, filter.shape[1])
    weights = [filter, filter_bias, dt_bias, A, skip, gain]
    _call("ssd_forward", [projected, *weights, *made], projected, filter, head_dim, n_groups, eps)
    return made


@_mixer.register_fake
def _(
    projected: Tensor,
    filter: Tensor,
    filter_bias: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    gain: Tensor,
    head_dim: int,
    n_groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _made(projected, len(gain), head_dim, n_groups, filter.shape[1])


def _made(
    projected: Tensor, D: int, head_dim: int, n_groups: int, convolved: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return room for what the forward pass makes: its output; for the backward pass y, the norm's factors, chunks'
    states."""
    rows, L, _ = projected.shape
    out, y = (projected.new_empty(rows, L, D) for _ in range(2))
    scale = torch.empty(rows, L, n_groups, device=projected.device)
    sizes = [rows, L, D // head_dim, head_dim, (convolved - D) // (2 * n_groups)]
    kind = torch.bfloat16 if kind_of(projected.dtype) == 2 else torch.float32
    states = torch.empty(_library().state_size(*map(ctypes.c_int64, sizes)), dtype=kind, device=projected.device)
    return out, y, scale, states


@torch.library.custom_op("abc_symbolic::mamba2_mixer_backward", mutates_args=())
def _mixer_backward(
    saved: list[Tensor], gout: Tensor, head_dim: int, n_groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    projected, filter, _, dt_bias, _, _, gain, *_ = saved
    rows, (K, C), H = len(projected), filter.shape, len(dt_bias)
    gprojected = torch.empty_like(projected)
    sums = [torch.zeros(shape) for shape in [(rows, K, C), (rows, C), (rows, 3, H), (rows, len(gain))]]
    _call("ssd_backward", [*saved, gout, gprojected, *sums], projected, filter, head_dim, n_groups, eps)
    gfilter, gfilter_bias, gheads, ggain = (t.sum(0) for t in sums)
    return gprojected, gfilter, gfilter_bias, gheads, ggain


@_mixer_backward.register_fake
def _(
    saved: list[Tensor], gout: Tensor, head_dim: int, n_groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    projected, filter, filter_bias, dt_bias, _, _, gain, *_ = saved
    like = [projected, filter, filter_bias]
    first, second, third = (torch.empty_like(t) for t in like)
    return first, second, third, dt_bias.new_empty(3, len(dt_bias)), torch.empty_like(gain)


def _keep_mixer(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:7], *output[1:])
    ctx.shape = inputs[7:]


def _mixer_gradients(ctx: Any, gout: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    gradients = _mixer_backward(list(ctx.saved_tensors), gout.contiguous(), *ctx.shape)
    gprojected, gfilter, gfilter_bias, gheads, ggain = gradients
    return gprojected, gfilter, gfilter_bias, *gheads.unbind(), ggain, None, None, None


_mixer.register_autograd(_mixer_gradients, setup_context=_keep_mixer)


def _call(
    name: str, tensors: list[Tensor], projected: Tensor, filter: Tensor, head_dim: int, n_groups: int, eps: float
) -> None:
    assert all(t.is_contiguous() and t.device.type == "cpu" for t in tensors), name
    assert all(t.dtype in (projected.dtype, torch.float32) for t in tensors), name
    (rows, L, width), (K, C) = projected.shape, filter.shape
    H = (width - C) // (head_dim + 1)
    N = (C - H * head_dim) // (2 * n_groups)
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in tensors]
    sizes = [rows, L, H, head_dim, n_groups, N, K, kind_of(projected.dtype), torch.get_num_threads()]
    if getattr(_library(), name)(*pointers, ctypes.c_double(eps), *map(ctypes.c_int64, sizes)):
        raise MemoryError(f"{name} could not allocate its work space.")
