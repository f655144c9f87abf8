"""The selective scan of Mamba (Mamba-1): its definition, and the ways to compute it, chosen by name.

Shapes   B rows, L positions, D channels, N state variables of a channel.
Symbols  x input (B, L, D); dt raw step size (B, L, D) with its bias (D); A (D, N), negative; B, C (B, L, N) input and
         output maps; D (D) skip; h state (B, D, N); y output (B, L, D).

    delta_t = softplus(dt_t + bias)
    h_t     = exp(delta_t A) h_{t-1} + delta_t B_t x_t
    y_t     = C_t . h_t + D x_t

Every form returns (y, h_L). A position whose dt is `NO_STEP` leaves the state exactly as it was: that is how padding
is kept out. `recurrence` is the definition, one position at a time; `chunked` computes the same with hand-written
gradients, storing one state a chunk; `native` is scan.c, for a CPU; `mamba_ssm` is that package's CUDA kernel.

Papers: Gu & Dao 2023, Mamba: Linear-Time Sequence Modeling with Selective State Spaces (arXiv:2312.00752).
"""

import ctypes
import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from symbolic.errors import UsageError, UserError
from symbolic.models import compiler, ssd
from symbolic.models.layers import wide

SCANS = {
    "mamba": ("auto", "native", "chunked", "recurrence", "mamba_ssm"),
    "mamba2": ("auto", "native", "chunked", "recurrence", "mamba_ssm"),
}
SOURCE = Path(__file__).parent / "kernels" / "scan.c"
NO_STEP = -1e4  # softplus of it is 0 in every number type, and bfloat16 holds it
MAMBA_SSM = {  # family -> module and function of the package's kernel
    "mamba": ("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn"),
    "mamba2": ("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined"),
}
INSTALL = "install PyTorch first, then `pip install --no-build-isolation 'abc-symbolic[cuda]'`"
CHUNK = 32  # positions between stored states; the chunk's states (B, 32, D, N) should fit a processor's cache


def scan_path(name: str, family: str, device: torch.device | str, dtype: torch.dtype = torch.float32) -> str:
    """Return the form that runs for a requested name on a device; UserError when the one asked for cannot run there."""
    if name not in SCANS[family]:
        raise UsageError(f"scan={name!r} is not a form of {family}'s scan: choose one of {', '.join(SCANS[family])}.")
    cuda = torch.device(device).type == "cuda"
    if name == "auto":
        return _best(family, cuda, dtype)
    if name == "mamba_ssm" and not cuda:
        raise UserError("scan='mamba_ssm' needs a CUDA device; use scan='auto' here.")
    if name == "mamba_ssm" and (why := mamba_ssm_problem(family)):
        raise UserError(f"scan='mamba_ssm' cannot run: {why} Or use scan='auto'.")
    if name == "native" and (cuda or not _suits_native(family, dtype)):
        raise UserError("scan='native' computes in float32 on a CPU only: use scan='auto' here.")
    if name == "native" and (why := _no_native(family)):
        raise UserError(f"scan='native' cannot run: {why} Or use scan='chunked', which needs no compiler.")
    return name


@functools.cache
def mamba_ssm_problem(family: str) -> str | None:
    """Return why the CUDA kernel of the package mamba_ssm cannot be called for a family, and what to do; None when it
    can.

    The kernel is imported: the package is often there without its compiled part, which Mamba-1 needs.
    """
    try:
        if family == "mamba":
            importlib.import_module("selective_scan_cuda")
        mamba_ssm_kernel(family)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: {INSTALL}."
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"mamba_ssm does not load ({error}): {INSTALL}."
    return None


@functools.cache
def mamba_ssm_kernel(family: str) -> Callable[..., Any]:
    """Return the package's function for a family, whole: `torch.compile` would cut itself to pieces at it.

    Its Triton kernels multiply float32 in TF32 (10 bits) unless told otherwise: here float32 is float32.
    """
    os.environ.setdefault("TRITON_F32_DEFAULT", "ieee")
    module, function = MAMBA_SSM[family]
    kernel: Callable[..., Any] = torch.compiler.disable(getattr(importlib.import_module(module), function))
    return kernel


def selective_scan(
    path: str, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute (y, h_L) by the named form; the result is float32, or float64 where the inputs are."""
    if path == "mamba_ssm":
        return _mamba_ssm(x, dt, A, B, C, D, dt_bias)
    with torch.autocast(x.device.type, enabled=False):
        x, A, B, C, D, dt, dt_bias = (wide(t) for t in (x, A, B, C, D, dt, dt_bias))
        if path == "native":
            return native_scan(x, dt, A, B, C, D, dt_bias)
        delta = F.softplus(dt + dt_bias)
        y, h = (recurrence if path == "recurrence" else chunked_scan)(x, delta, A, B, C)
        return y + D * x, h


def recurrence(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the definition, without the skip: one position after the other."""
    h = x.new_zeros(x.shape[0], x.shape[2], A.shape[1])
    y = []
    for t in range(x.shape[1]):
        h = scan_step(h, x[:, t], delta[:, t], A, B[:, t])
        y.append((h @ C[:, t, :, None]).squeeze(-1))
    return torch.stack(y, dim=1), h


def scan_step(h: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """Compute h_t from h_{t-1} (B, D, N); x, delta (B, D); B (B, N)."""
    return torch.exp(delta[..., None] * A) * h + (delta * x)[..., None] * B[:, None]


def chunked_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same values and gradients, a chunk of positions at a time; only the steps h <- a h + b stay
    sequential."""
    return _Chunked.apply(x, delta, A, B, C)


class _Chunked(torch.autograd.Function):
    """Autograd through the recurrence would keep every state and sum A's gradient L times; this keeps one a chunk."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        h, y, starts = x.new_zeros(x.shape[0], x.shape[2], A.shape[1]), torch.empty_like(x), []
        for chunk in _chunks(x.shape[1]):
            starts.append(h)
            _, states = _states(h, x[:, chunk], delta[:, chunk], A, B[:, chunk])
            y[:, chunk] = (states @ C[:, chunk, :, None]).squeeze(-1)
            h = states[:, -1].clone()
        ctx.save_for_backward(x, delta, A, B, C, torch.stack(starts))
        return y, h

    @staticmethod
    def backward(ctx: Any, gy: Tensor, gh_last: Tensor) -> tuple[Tensor, ...]:
        x, delta, A, B, C, starts = ctx.saved_tensors
        gx, gdelta, gB, gC, gA = (torch.zeros_like(t) for t in (x, delta, B, C, A))
        carry = gh_last
        for chunk, start in reversed(list(zip(_chunks(x.shape[1]), starts))):
            u, d = x[:, chunk], delta[:, chunk]
            a, states = _states(start, u, d, A, B[:, chunk])
            gh, carry = _state_gradients(carry, a, gy[:, chunk], C[:, chunk])
            gC[:, chunk] = (gy[:, chunk, None] @ states).squeeze(2)
            gB[:, chunk] = ((d * u)[:, :, None] @ gh).squeeze(2)
            s = (gh @ B[:, chunk, :, None]).squeeze(-1)
            # d(delta A) = gh a h_{t-1}
            decay = gh.mul_(a).mul_(torch.cat([start[:, None], states[:, :-1]], dim=1))
            gx[:, chunk] = s * d
            gdelta[:, chunk] = s * u + (decay * A).sum(-1)
            gA += (decay * d[..., None]).sum((0, 1))
        return gx, gdelta, gA, gB, gC


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]


def _states(h: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Return decays and states of every position of a chunk, both (B, T, D, N), from the state before it."""
    a = torch.exp_(delta[..., None] * A)
    states = (delta * x)[..., None] * B[:, :, None]
    for t in range(x.shape[1]):
        h = states[:, t].addcmul_(a[:, t], h)
    return a, states


def _state_gradients(carry: Tensor, a: Tensor, gy: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Return gradients of a chunk's states, and of the state before it, from the gradient of the state after it."""
    gh = gy[..., None] * C[:, :, None]
    gh[:, -1] += carry
    for t in range(gy.shape[1] - 1, 0, -1):
        gh[:, t - 1].addcmul_(a[:, t], gh[:, t])
    return gh, a[:, 0] * gh[:, 0]


def _mamba_ssm(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor
) -> tuple[Tensor, Tensor]:
    x, dt, B, C = (t.to(x.dtype).transpose(1, 2).contiguous() for t in (x, dt, B, C))
    y, h = mamba_ssm_kernel("mamba")(
        x, dt, A.float(), B, C, D.float(), delta_bias=dt_bias.float(), delta_softplus=True, return_last_state=True
    )
    return y.transpose(1, 2), h


def _best(family: str, cuda: bool, dtype: torch.dtype) -> str:
    """Choose the fastest form that can run: nothing here raises, and the answer is what gets reported."""
    if cuda:
        return "chunked" if dtype == torch.float64 or mamba_ssm_problem(family) else "mamba_ssm"
    return "native" if _suits_native(family, dtype) and not _no_native(family) else "chunked"


def _suits_native(family: str, dtype: torch.dtype) -> bool:
    """Return whether weights of this type can be computed with: scan.c widens its inputs, ssd.c reads the weights."""
    return dtype in ((torch.float32, torch.bfloat16) if family == "mamba" else (torch.float32,))


def _no_native(family: str) -> str | None:
    """Return why the family's C source cannot be used on this machine, and what to do; None when it can."""
    return problem() if family == "mamba" else ssd.problem()


# --- scan.c ----------------------------------------------------------------------------------------------------------


def native_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    dt_bias: Tensor,
    z: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (y, h_L) with the skip, and y silu(z) where z (B, L, D) is given.

    x, dt, B, C, z are all float32 or all bfloat16, and y is like them; A, D, dt_bias and h are float32.
    """
    columns = [t.contiguous() for t in (x, dt, dt_bias, A.t(), B, C, D)]
    y, h, _ = _scan(*columns, None if z is None else z.contiguous())
    return y, h.transpose(1, 2)


@functools.cache
def problem() -> str | None:
    """Return why scan.c cannot be used on this machine, and what to do; None when it can."""
    return compiler.problem_of(_library)


@functools.cache
def _library() -> ctypes.CDLL:
    library = compiler.build(SOURCE)
    library.starts_size.restype = ctypes.c_int64
    return library


@torch.library.custom_op("abc_symbolic::selective_scan", mutates_args=())
def _scan(
    x: Tensor, dt: Tensor, bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    made = _made(x, A)
    _call("scan_forward", [x, dt, bias, A, B, C, D, z, *made], x, A)
    return made


@_scan.register_fake
def _(
    x: Tensor, dt: Tensor, bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    return _made(x, A)


def _made(x: Tensor, A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return room for y, for h_L and, for the backward pass, the states before every chunk of scan.c."""
    (rows, L, channels), N = x.shape, len(A)
    n_starts = _library().starts_size(*map(ctypes.c_int64, [rows, L, channels, N]))
    return torch.empty_like(x), A.new_empty(rows, N, channels), A.new_empty(n_starts)


@torch.library.custom_op("abc_symbolic::selective_scan_backward", mutates_args=())
def _scan_backward(saved: list[Tensor], z: Tensor | None, gy: Tensor, gh: Tensor | None) -> list[Tensor]:
    """Return gradients of x, dt, bias, A, B, C, D and, where there is a z, of it."""
    x, dt, _, A, B, C, _, _ = saved
    (rows, L, channels), N, groups = x.shape, len(A), _groups(len(x))
    gx, gdt, gA = torch.empty_like(x), torch.empty_like(dt), A.new_empty(rows, N, channels)
    gB, gC = (A.new_zeros(groups, rows, L, N) for _ in range(2))
    sums = A.new_zeros(rows, 2, channels)
    gz = [] if z is None else [torch.empty_like(z)]
    tensors = [*saved[:7], z, saved[7], gy, gh, gx, gdt, gA, gB, gC, sums, gz[0] if gz else None]
    _call("scan_backward", tensors, x, A)
    gbias, gD = sums.sum(0)
    return [gx, gdt, gbias.clone(), gA.sum(0), gB.sum(0).to(B.dtype), gC.sum(0).to(C.dtype), gD.clone(), *gz]


@_scan_backward.register_fake
def _(saved: list[Tensor], z: Tensor | None, gy: Tensor, gh: Tensor | None) -> list[Tensor]:
    return [torch.empty_like(t) for t in [*saved[:7], *([] if z is None else [z])]]


def _keep(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, output[2])


def _gradients(ctx: Any, gy: Tensor | None, gh: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *saved, z, starts = ctx.saved_tensors
    gy = torch.zeros_like(saved[0]) if gy is None else gy.contiguous()
    gradients = _scan_backward([*saved, starts], z, gy, None if gh is None else gh.contiguous())
    return (*gradients, None) if z is None else tuple(gradients)


_scan.register_autograd(_gradients, setup_context=_keep)


def _groups(rows: int) -> int:
    """Return groups of channels, so that every thread has work; B's and C's gradients are summed over them."""
    return -(-torch.get_num_threads() // rows)


def _call(name: str, tensors: list[Tensor | None], x: Tensor, A: Tensor) -> None:
    given = [t for t in tensors if t is not None]
    assert all(t.is_contiguous() and t.device.type == "cpu" for t in given), name
    assert all(t.dtype in (x.dtype, torch.float32) for t in given) and A.dtype == torch.float32, name
    pointers = [None if t is None else ctypes.c_void_p(t.data_ptr()) for t in tensors]
    narrowed, threads = x.dtype == torch.bfloat16, torch.get_num_threads()
    sizes = [*x.shape, len(A), _groups(len(x)), narrowed, threads]
    if getattr(_library(), name)(*pointers, *map(ctypes.c_int64, sizes)):
        raise MemoryError(f"{name} could not allocate its work space.")
