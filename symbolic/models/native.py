"""scan.c, compiled on demand with the system's C compiler and called through ctypes as PyTorch operators.

The shared library is kept in ~/.cache/abc-symbolic (or $XDG_CACHE_HOME/abc-symbolic), named by the digest of its
source, its flags and the processor, so that a change of any of them builds it again. `problem()` says in words why
it cannot be used, or None. The two operators carry shapes for torch.compile, which treats them as opaque.

Shapes as in scan.py, except that inside the kernel A and the states are (N, D): channels side by side.
"""

import ctypes
import functools
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbolic.files import digest

SOURCE = Path(__file__).with_name("scan.c")
FLAGS = ["-O3", "-march=native", "-std=gnu11", "-fno-math-errno", "-fPIC", "-shared", "-pthread"]
CHUNK = 32  # positions between stored states


def native_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
    """(y, h_L) with the skip: x, delta (B, L, D), A (D, N), B, C (B, L, N), D (D), all float32."""
    y, h, _ = _scan(x.contiguous(), delta.contiguous(), A.t().contiguous(), B.contiguous(), C.contiguous(), D)
    return y, h.transpose(1, 2)


@functools.cache
def problem() -> str | None:
    """Why the kernel cannot be used on this machine, and what to do; None when it can."""
    try:
        _library()
    except _NoCompilerError as error:
        return f"{error}: install one, for example `apt install gcc`."
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["without a message"])[-1]
        return f"the C compiler failed on {SOURCE} ({last}): set CC to another compiler."
    except OSError as error:
        return f"its library cannot be written or loaded ({error}): make {_cache()} writable or set XDG_CACHE_HOME."
    return None


class _NoCompilerError(Exception):
    """No program to compile with."""


@functools.cache
def _library() -> ctypes.CDLL:
    """Load the library, compiling it first where this machine has not."""
    path = _cache() / f"scan-{digest(SOURCE.read_text() + ' '.join(FLAGS) + _processor())[:20]}.so"
    if not path.exists():
        _compile(path)
    library = ctypes.CDLL(str(path))
    library.scan_forward.restype = library.scan_backward.restype = ctypes.c_int
    return library


def _compile(path: Path) -> None:
    asked = shlex.split(os.environ.get("CC", ""))
    compiler = asked or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    if not compiler or not shutil.which(compiler[0]):
        raise _NoCompilerError(f"CC is {asked[0]!r}, which is absent" if asked else "no C compiler is on PATH")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run(
            [*compiler, *FLAGS, "-o", str(made), str(SOURCE), "-lm"], check=True, capture_output=True, text=True
        )
        os.replace(made, path)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abc-symbolic"


def _processor() -> str:
    """What -march=native depends on: a home folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return (
        platform.machine() + platform.processor() + next((x for x in lines if x.startswith(("flags", "Features"))), "")
    )


@torch.library.custom_op("abc_symbolic::selective_scan", mutates_args=())
def _scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n, L, channels = x.shape
    N = A.shape[0]
    y, h = torch.empty_like(x), x.new_empty(n, N, channels)
    starts = x.new_empty(n, -(-L // CHUNK), N, channels)  # the state before each chunk, for the backward pass
    _call("scan_forward", [x, delta, A, B, C, D, y, h, starts], [n, L, channels, N, CHUNK, torch.get_num_threads()])
    return y, h, starts


@_scan.register_fake
def _(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n, L, channels = x.shape
    N = A.shape[0]
    return torch.empty_like(x), x.new_empty(n, N, channels), x.new_empty(n, -(-L // CHUNK), N, channels)


@torch.library.custom_op("abc_symbolic::selective_scan_backward", mutates_args=())
def _scan_backward(
    gy: Tensor, gh: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    n, L, channels = x.shape
    N, threads = A.shape[0], torch.get_num_threads()
    groups = -(-threads // n)  # of channels, so that every thread has work; B and C are summed over them below
    gx, gdelta = torch.empty_like(x), torch.empty_like(x)
    gA, gD = x.new_empty(n, N, channels), x.new_empty(n, channels)
    gB, gC = x.new_zeros(groups, n, L, N), x.new_zeros(groups, n, L, N)
    tensors = [gy, gh, x, delta, A, B, C, D, starts, gx, gdelta, gA, gB, gC, gD]
    _call("scan_backward", tensors, [n, L, channels, N, CHUNK, groups, threads])
    return gx, gdelta, gA.sum(0), gB.sum(0), gC.sum(0), gD.sum(0)


@_scan_backward.register_fake
def _(
    gy: Tensor, gh: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return tuple(torch.empty_like(t) for t in (x, delta, A, B, C, D))  # type: ignore[return-value]


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs, output[2])


def _gradients(ctx: Any, gy: Tensor | None, gh: Tensor | None, _: Tensor | None) -> tuple[Tensor, ...]:
    x, delta, A, B, C, D, starts = ctx.saved_tensors
    gy = torch.zeros_like(x) if gy is None else gy.contiguous()
    gh = x.new_zeros(x.shape[0], *A.shape) if gh is None else gh.contiguous()
    return _scan_backward(gy, gh, x, delta, A, B, C, D, starts)


_scan.register_autograd(_gradients, setup_context=_keep)


def _call(name: str, tensors: list[Tensor], sizes: list[int]) -> None:
    assert all(t.dtype == torch.float32 and t.is_contiguous() and t.device.type == "cpu" for t in tensors), name
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in tensors]
    status = getattr(_library(), name)(*pointers, *map(ctypes.c_int64, sizes))
    if status:
        raise MemoryError(f"{name} could not allocate its work space.")
