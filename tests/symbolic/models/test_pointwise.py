"""The native passes over channels equal the plain ones, in values and gradients, at widths that fill no vector."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from symbolic.models import pointwise
from symbolic.models.layers import RMSNorm

pytestmark = pytest.mark.skipif(pointwise.problem() is not None, reason=str(pointwise.problem()))
WIDTHS = [1, 20, 32, 256]
TYPES = [(torch.float32, 2e-6), (torch.bfloat16, 6e-3)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check(one: list[Tensor], truth: list[Tensor], tolerance: float) -> None:
    for i, (a, b) in enumerate(zip(one, truth, strict=True)):
        error = (a.double() - b).abs().max() / b.abs().max()
        assert error < tolerance, (i, error.item())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
def test_gelu(width: int, dtype: torch.dtype, tolerance: float) -> None:
    def run(u: Tensor, native: bool) -> list[Tensor]:
        leaf = u.clone().requires_grad_()
        y = pointwise.gelu(leaf, native)
        return [y, *torch.autograd.grad(y, leaf, noise(*u.shape, seed=1).to(u.dtype))]

    u = (noise(3, 37, width) * 3).to(dtype)
    check(run(u, True), run(u.double(), False), tolerance)


def test_gelu_far_out() -> None:
    u = torch.tensor([-1e30, -300.0, -10.0, -0.0, 0.0, 10.0, 300.0, 1e6])
    y = pointwise.gelu(u, True)
    torch.testing.assert_close(y, torch.tensor([-0.0, -0.0, -0.0, 0.0, 0.0, 10.0, 300.0, 1e6]))


@pytest.mark.parametrize("kind", [nn.LayerNorm, RMSNorm])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
def test_add_norm(kind: type[nn.Module], width: int, dtype: torch.dtype, tolerance: float) -> None:
    norm = kind(width)
    for i, parameter in enumerate(norm.parameters()):
        parameter.data = noise(width, seed=5 + i)

    def run(norm: nn.Module, x: Tensor, y: Tensor, native: bool) -> list[Tensor]:
        leaves = [x.clone().requires_grad_(), y.clone().requires_grad_()]
        total, n = pointwise.add_norm(leaves[0], leaves[1], norm, native)
        weights = [noise(*x.shape, seed=2).to(total.dtype), noise(*x.shape, seed=3).to(dtype).to(n.dtype)]
        return [total, n, *torch.autograd.grad((total, n), [*leaves, *norm.parameters()], weights)]

    x, y = noise(2, 70, width) + 2, noise(2, 70, width, seed=1).to(dtype)
    if width == 1 and kind is nn.LayerNorm:  # x - mean is 0: nothing to compare but that it is finite
        assert all(t.isfinite().all() for t in run(norm, x, y, True))
        return
    truth = run(copy.deepcopy(norm).double(), x.double(), y.double(), False)
    check(run(norm, x, y, True), truth, tolerance)


def test_norm_of_what_nobody_adds_to() -> None:
    """The last norm's sum is not used again: its gradient is absent, not zero."""
    norm, x, y = nn.LayerNorm(24), noise(1, 5, 24).requires_grad_(), noise(1, 5, 24, seed=1)
    gradients = [
        torch.autograd.grad(pointwise.add_norm(x, y, norm, native)[1], x, noise(1, 5, 24, seed=2))[0]
        for native in (True, False)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("taps", [2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1, 5), (2, 3, 16), (3, 70, 20), (1, 130, 33)])
@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
def test_convolve(taps: int, shape: tuple[int, int, int], dtype: torch.dtype, tolerance: float) -> None:
    """Over the edges of blocks of 64 positions, which are not the edges of rows."""
    rows, L, D = shape
    xz, filter, bias = noise(rows, L, 2 * D).bfloat16(), noise(taps, D, seed=1), noise(D, seed=2)

    def plain(xz: Tensor, filter: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        x, z = xz.chunk(2, dim=-1)
        padded = nn.functional.pad(x.transpose(1, 2), (taps - 1, 0))
        u = nn.functional.conv1d(padded, filter.t()[:, None], bias, groups=D)
        return nn.functional.silu(u.transpose(1, 2)), z

    def run(form: Callable[..., tuple[Tensor, Tensor]], *inputs: Tensor) -> list[Tensor]:
        leaves = [t.clone().requires_grad_() for t in inputs]
        x, z = form(*leaves)
        weights = [noise(rows, L, D, seed=seed).bfloat16().to(x.dtype) for seed in (3, 4)]
        return [x, z, *torch.autograd.grad((x, z), leaves, weights)]

    truth = run(plain, *(t.double() for t in (xz, filter, bias)))
    check(run(pointwise.convolve, xz.to(dtype), filter, bias), truth, tolerance)
