"""Every form of attention equals the definition in float64, in values and gradients, at awkward lengths and widths."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from symbolic import models
from symbolic.config import GPT2Config
from symbolic.errors import UsageError, UserError
from symbolic.models import attention
from symbolic.models import compiler as native

compiler = pytest.mark.skipif(attention.problem() is not None, reason=str(attention.problem()))
SHAPES = [(1, 1, 1, 5), (2, 37, 4, 8), (2, 64, 2, 64), (1, 300, 3, 32), (2, 129, 2, 80)]  # rows, T, heads, F


def inputs(rows: int, T: int, n_head: int, F: int) -> tuple[Tensor, Tensor]:
    """A projection's output and a gradient of y."""
    g = torch.Generator().manual_seed(0)
    return torch.randn(rows, T, 3 * n_head * F, generator=g) * 1.5, torch.randn(rows, T, n_head * F, generator=g)


def by(path: str, qkv: Tensor, gy: Tensor, n_head: int) -> list[Tensor]:
    """y and the gradient of qkv."""
    leaf = qkv.clone().requires_grad_()
    y = attention.attend(path, leaf, n_head, attention.causal_mask(qkv.shape[1], qkv))
    return [y, *torch.autograd.grad(y, leaf, gy)]


def errors(one: list[Tensor], truth: list[Tensor]) -> list[float]:
    return [((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip(one, truth, strict=True)]


@compiler
@pytest.mark.parametrize("shape", SHAPES)
def test_native_in_float32(shape: tuple[int, int, int, int]) -> None:
    qkv, gy = inputs(*shape)
    truth = by("explicit", qkv.double(), gy.double(), shape[2])
    assert max(errors(by("native", qkv, gy, shape[2]), truth)) < 3e-6


@compiler
@pytest.mark.parametrize("shape", SHAPES)
def test_native_in_bfloat16_is_no_worse_than_the_definition(shape: tuple[int, int, int, int]) -> None:
    qkv, gy = (t.bfloat16() for t in inputs(*shape))
    truth = by("explicit", qkv.double(), gy.double(), shape[2])
    ours, plain = (errors(by(path, qkv, gy, shape[2]), truth) for path in ("native", "explicit"))
    assert max(ours) < 0.006
    assert all(a <= b + 1e-6 for a, b in zip(ours, plain, strict=True))


@compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_native_does_not_depend_on_threads(dtype: torch.dtype) -> None:
    qkv, gy = (t.to(dtype) for t in inputs(3, 70, 2, 16))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = by("native", qkv, gy, 2)
        torch.set_num_threads(4)
        assert all(map(torch.equal, one, by("native", qkv, gy, 2)))
    finally:
        torch.set_num_threads(before)


@compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-6), (torch.bfloat16, 0.006)])
def test_without_the_processors_own_instructions(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same source, compiled for any processor of the kind: narrow vectors, no matrix unit."""
    qkv, gy = (t.to(dtype) for t in inputs(2, 129, 2, 20))
    library = native.build(attention.SOURCE, [flag for flag in native.FLAGS if not flag.startswith("-march")])
    monkeypatch.setattr(attention, "_library", lambda: library)
    truth = by("explicit", qkv.double(), gy.double(), 2)
    assert max(errors(by("native", qkv, gy, 2), truth)) < tolerance


@compiler
def test_nothing_leaks_from_the_future() -> None:
    qkv, gy = inputs(1, 80, 2, 16)
    changed = qkv.clone()
    changed[:, 50:] = 1e30
    one, other = (by("native", t, gy, 2)[0] for t in (qkv, changed))
    assert torch.equal(one[:, :50], other[:, :50])
    gy[:, :50] = 0
    assert by("native", qkv, gy, 2)[1][:, :50, :32].abs().max() == 0  # early queries have no gradient


@compiler
def test_large_scores_stay_finite() -> None:
    qkv, gy = inputs(1, 40, 1, 16)
    qkv[..., :32] *= 100
    for t in by("native", qkv, gy, 1):
        assert t.isfinite().all()


@compiler
def test_native_under_compile_is_one_opaque_operator() -> None:
    qkv, _ = inputs(1, 33, 2, 8)
    torch.library.opcheck(attention._attention, (qkv.requires_grad_(), 2))


def test_the_form_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    path: Callable[..., str] = attention.attention_path
    assert path("auto", "cuda", torch.float32) == "sdpa"
    assert path("auto", "cpu", torch.float64) == path("auto", "cpu", torch.float32, 0.1) == "explicit"
    with pytest.raises(UserError, match="float32 weights on a CPU without dropout"):
        path("native", "cpu", torch.float32, 0.1)
    with pytest.raises(UsageError, match="choose one of auto, explicit"):
        path("flash", "cpu", torch.float32)
    monkeypatch.setattr(attention, "problem", lambda: "no C compiler is on PATH.")
    assert path("auto", "cpu", torch.float32) == "explicit"
    with pytest.raises(UserError, match=r"no C compiler.*attention='explicit'"):
        path("native", "cpu", torch.float32)


@compiler
def test_a_model_trains_natively_and_says_so() -> None:
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=20)
    assert models.paths(models.build(config)) == {"attention": "native"}
    assert models.paths(models.build(config).bfloat16()) == {"attention": "explicit"}
