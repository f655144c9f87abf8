"""Every form of both recurrences equals its definition, in values and gradients, at awkward lengths."""

import os
import sys
import types
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from symbolic.errors import UsageError, UserError
from symbolic.models import compiler as native
from symbolic.models import scan, ssd

LENGTHS = [1, 2, 31, 32, 33, 63, 64, 65, 200]
compiler = pytest.mark.skipif(scan.problem() is not None, reason=str(scan.problem()))


def mamba_inputs(length: int, channels: int = 24, states: int = 16, seed: int = 0) -> list[Tensor]:
    """x, dt, A, B, C, D, bias in float64, with decays from almost none to almost all."""
    g = torch.Generator().manual_seed(seed)
    x, dt, B, C, D, bias = (
        torch.randn(shape, generator=g, dtype=torch.float64)
        for shape in [(2, length, channels)] * 2 + [(2, length, states)] * 2 + [(channels,)] * 2
    )
    A = -torch.exp(torch.rand(channels, states, generator=g, dtype=torch.float64) * 6 - 3)
    return [x, dt, A, B, C, D, bias]


def outputs_and_gradients(
    form: Callable[..., tuple[Tensor, Tensor]], inputs: list[Tensor], dtype: torch.dtype
) -> list[Tensor]:
    """y, the last state, and the gradient of a random weighting of both with respect to every input."""
    leaves = [t.to(dtype).requires_grad_() for t in inputs]
    y, h = form(*leaves)
    g = torch.Generator().manual_seed(9)
    weights = [torch.randn(t.shape, generator=g, dtype=torch.float64).to(dtype) for t in (y, h)]
    return [y, h, *torch.autograd.grad([y, h], leaves, weights)]


def check_forms(one: list[Tensor], other: list[Tensor], tolerance: float) -> None:
    for i, (left, right) in enumerate(zip(one, other, strict=True)):
        error = (left.double() - right).abs().max() / right.abs().max().clamp(min=1e-30)
        assert error < tolerance, (i, error.item())


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("path", "dtype", "tolerance"),
    [
        ("chunked", torch.float64, 1e-12),
        ("chunked", torch.float32, 5e-6),
        pytest.param("native", torch.float32, 5e-6, marks=compiler),
    ],
)
def test_mamba_forms(path: str, dtype: torch.dtype, tolerance: float, length: int) -> None:
    inputs = mamba_inputs(length)
    truth = outputs_and_gradients(lambda *t: scan.selective_scan("recurrence", *t), inputs, torch.float64)
    check_forms(outputs_and_gradients(lambda *t: scan.selective_scan(path, *t), inputs, dtype), truth, tolerance)


@compiler
@pytest.mark.parametrize(("channels", "states", "threads"), [(1, 1, 1), (17, 5, 1), (40, 16, 3), (100, 3, 8)])
def test_native_shapes_and_threads(channels: int, states: int, threads: int) -> None:
    inputs = mamba_inputs(50, channels, states)
    truth = outputs_and_gradients(lambda *t: scan.selective_scan("recurrence", *t), inputs, torch.float64)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = outputs_and_gradients(lambda *t: scan.selective_scan("native", *t), inputs, torch.float32)
    finally:
        torch.set_num_threads(before)
    check_forms(result, truth, 5e-6)


@compiler
def test_native_exponential() -> None:
    """One step from h = 0 and a second with x = 0 leaves exp(delta A) as the ratio of outputs; softplus(64) is 64."""
    exponents = torch.linspace(-79, 0, 4000)
    ones = torch.ones(1, 2, len(exponents))
    x = ones * torch.tensor([1.0, 0.0])[None, :, None]
    none = torch.zeros(len(exponents))
    y, _ = scan.native_scan(x, ones * 64, exponents[:, None] / 64, ones[..., :1], ones[..., :1], none, none)
    error = (y[0, 1].double() / 64 / exponents.double().exp() - 1).abs()
    assert (error < 1e-7 * (2 - exponents)).all()  # the product delta A is itself rounded


@compiler
def test_native_softplus() -> None:
    """With x = B = C = 1 the first output is the step size itself."""
    dt = torch.linspace(-86.5, 90, 4001)
    one, none = torch.ones(1, 1, 1), torch.zeros(len(dt))
    y, _ = scan.native_scan(torch.ones(1, 1, len(dt)), dt[None, None], -torch.ones(len(dt), 1), one, one, none, none)
    error = (y[0, 0].double() / F.softplus(dt.double(), threshold=100) - 1).abs()
    assert (error < 1e-7 * (3 + dt.abs())).all()


@compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-6), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize(("channels", "length"), [(24, 50), (33, 17)])
def test_native_gate(dtype: torch.dtype, tolerance: float, channels: int, length: int) -> None:
    """y silu(z), whatever type what varies along the sequence has; the parameters stay float32."""
    x, dt, A, B, C, D, bias = mamba_inputs(length, channels)
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sequences = [t.bfloat16().double() for t in (x, dt, B, C, z)]  # the same numbers in every type

    def plain(x: Tensor, dt: Tensor, B: Tensor, C: Tensor, z: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        A, D, bias = rest
        y, h = scan.selective_scan("recurrence", x, dt, A, B, C, D, bias)
        return y * F.silu(z), h

    def gated(x: Tensor, dt: Tensor, B: Tensor, C: Tensor, z: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        A, D, bias = (t.float() for t in rest)
        x, dt, B, C, z = (t.to(dtype) for t in (x, dt, B, C, z))
        y, h = scan.native_scan(x, dt, A, B, C, D, bias, z)
        return y.double(), h.double()

    truth = outputs_and_gradients(plain, [*sequences, A, D, bias], torch.float64)
    check_forms(outputs_and_gradients(gated, [*sequences, A, D, bias], torch.float64), truth, tolerance)


@compiler
def test_native_operator_is_well_formed() -> None:
    """Shapes for the compiler, aliasing and the gradient's registration, by PyTorch's own check."""
    x, dt, A, B, C, D, bias = (t.float() for t in mamba_inputs(20))
    arguments = [t.requires_grad_() for t in (x, dt, bias, A.t().contiguous(), B, C, D)]
    torch.library.opcheck(scan._scan, [*arguments, None])


@pytest.mark.parametrize("path", ["recurrence", "chunked", pytest.param("native", marks=compiler)])
def test_no_step_keeps_the_state(path: str) -> None:
    inputs = [t.float() for t in mamba_inputs(40)]
    _, short_state = scan.selective_scan(path, *(t[:, :25] if t.dim() == 3 else t for t in inputs))
    inputs[1][:, 25:] = scan.NO_STEP
    _, state = scan.selective_scan(path, *inputs)
    inputs[0][:, 25:] = 1e6
    inputs[3][:, 25:] = -1e6
    _, other = scan.selective_scan(path, *inputs)
    assert torch.equal(state, other)
    torch.testing.assert_close(state, short_state, rtol=1e-5, atol=1e-6)


def mamba2_inputs(length: int, groups: int = 1, scale: float = 1.0) -> list[Tensor]:
    """x, delta, A, B, C in float64."""
    g = torch.Generator().manual_seed(0)
    x, B, C = (
        torch.randn(shape, generator=g, dtype=torch.float64)
        for shape in [(2, length, 4, 8), (2, length, groups, 6), (2, length, groups, 6)]
    )
    delta = F.softplus(torch.randn(2, length, 4, generator=g, dtype=torch.float64) * 3) * scale
    return [x, delta, -torch.rand(4, generator=g, dtype=torch.float64) * 2, B, C]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_mamba2_forms(dtype: torch.dtype, tolerance: float, groups: int, length: int) -> None:
    inputs = mamba2_inputs(length, groups)
    truth = outputs_and_gradients(ssd.recurrence, inputs, torch.float64)
    check_forms(outputs_and_gradients(lambda *t: ssd.chunked_scan(*t, chunk=64), inputs, dtype), truth, tolerance)


def test_mamba2_does_not_overflow() -> None:
    """Decays whose inverse is far outside float32: to divide by them, or to subtract their float32 sums, would show."""
    inputs = mamba2_inputs(130, scale=300.0)
    truth = outputs_and_gradients(ssd.recurrence, inputs, torch.float64)
    result = outputs_and_gradients(lambda *t: ssd.chunked_scan(*t, chunk=64), inputs, torch.float32)
    check_forms(result, truth, 2e-6)


def test_mamba2_products_in_bfloat16() -> None:
    inputs = [t.float() for t in mamba2_inputs(100)]
    exact, _ = ssd.chunked_scan(*inputs, chunk=32)
    rounded, _ = ssd.chunked_scan(*inputs, chunk=32, products=torch.bfloat16)
    error = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-5 < error < 2e-2 and rounded.dtype == torch.float32


def test_names() -> None:
    assert scan.scan_path("chunked", "mamba", "cpu") == "chunked"
    for family in scan.SCANS:
        assert scan.scan_path("auto", family, "cpu", torch.float64) == "chunked"
        with pytest.raises(UserError, match="on a CPU only"):
            scan.scan_path("native", family, "cpu", torch.float64)
    with pytest.raises(UsageError, match="choose one of auto, native"):
        scan.scan_path("fast", "mamba", "cpu")
    with pytest.raises(UserError, match="needs a CUDA device"):
        scan.scan_path("mamba_ssm", "mamba2", "cpu")


def test_kernels_of_mamba_ssm_must_load_to_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package without its compiled part serves Mamba-2, whose kernels are Triton's, and not Mamba-1."""
    monkeypatch.delenv("TRITON_F32_DEFAULT", raising=False)
    for function in (scan.mamba_ssm_problem, scan.mamba_ssm_kernel):
        function.cache_clear()
    assert scan.scan_path("auto", "mamba2", "cuda") == "chunked"
    with pytest.raises(UserError, match=r"mamba_ssm is not installed: .*--no-build-isolation"):
        scan.scan_path("mamba_ssm", "mamba2", "cuda")
    kernels = {"selective_scan_fn": lambda: "scan", "mamba_chunk_scan_combined": lambda: "chunks"}
    for module, function in scan.MAMBA_SSM.values():
        fake = types.ModuleType(module)
        setattr(fake, function, kernels[function])
        monkeypatch.setitem(sys.modules, module, fake)
    for function in (scan.mamba_ssm_problem, scan.mamba_ssm_kernel):
        function.cache_clear()
    assert scan.scan_path("auto", "mamba2", "cuda") == "mamba_ssm" and scan.mamba_ssm_kernel("mamba2")() == "chunks"
    assert os.environ["TRITON_F32_DEFAULT"] == "ieee"
    assert scan.scan_path("auto", "mamba2", "cuda", torch.float64) == "chunked"
    assert scan.scan_path("auto", "mamba", "cuda") == "chunked"
    with pytest.raises(UserError, match="selective_scan_cuda is not installed"):
        scan.scan_path("mamba_ssm", "mamba", "cuda")
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", types.ModuleType("selective_scan_cuda"))
    scan.mamba_ssm_problem.cache_clear()
    assert scan.scan_path("auto", "mamba", "cuda") == "mamba_ssm"
    for function in (scan.mamba_ssm_problem, scan.mamba_ssm_kernel):
        function.cache_clear()


def test_native_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, family in ((scan, "mamba"), (ssd, "mamba2")):
        monkeypatch.setattr(module, "problem", lambda: "no C compiler is on PATH: install one.")
        assert scan.scan_path("auto", family, "cpu") == "chunked"
        with pytest.raises(UserError, match=r"no C compiler.*use scan='chunked'"):
            scan.scan_path("native", family, "cpu")


@compiler
def test_compilation_from_nothing(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache folder is filled by one library; a PATH without compiler is reported, not raised."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scan._library.__wrapped__()
    (library,) = native.cache().iterdir()
    assert library.suffix == ".so"
    library.unlink()
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    scan._library.cache_clear()
    try:
        assert "no C compiler" in str(scan.problem.__wrapped__())
    finally:
        scan._library.cache_clear()
