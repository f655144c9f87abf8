"""ssd.c equals the mixer written out, in values and gradients, at awkward lengths and widths, under strong decays."""

import ctypes

import pytest
import torch
from torch import Tensor, nn

from symbolic.config import Mamba2Config
from symbolic.models import attention, compiler, ssd
from symbolic.models.mamba2 import Mixer

pytestmark = pytest.mark.skipif(ssd.problem() is not None, reason=str(ssd.problem()))
PORTABLE = ("-O1", *(flag for flag in compiler.FLAGS if not flag.startswith(("-march", "-O"))))  # a third of the time
SHAPES = {
    "published": Mamba2Config(n_layer=1, d_model=48, d_state=64, head_dim=32),
    "groups": Mamba2Config(n_layer=1, d_model=32, d_state=8, head_dim=8, n_groups=2),
    "odd": Mamba2Config(n_layer=1, d_model=18, d_state=5, head_dim=12, d_conv=3),
    "wide": Mamba2Config(n_layer=1, d_model=40, d_state=70, head_dim=40, d_conv=2),
}


def mixer(config: Mamba2Config, strength: float = 1.0) -> Mixer:
    """A mixer with random weights whose two projections do nothing."""
    torch.manual_seed(0)
    made = Mixer(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
        made.A_log.add_(torch.tensor(strength).log())
    made.in_proj, made.out_proj = nn.Identity(), nn.Identity()
    return made


def by(path: str, config: Mamba2Config, L: int, dtype: torch.dtype, strength: float = 1.0) -> dict[str, Tensor]:
    """The output, and the gradients of the input and of every parameter; parameters are float32 beside bfloat16."""
    made = mixer(config, strength).to(torch.float64 if dtype == torch.float64 else torch.float32)
    g = torch.Generator().manual_seed(1)
    width = sum(made.parts)
    projected = torch.randn(2, L, width, generator=g).bfloat16().to(dtype).requires_grad_()  # the same in every type
    out = made(projected, path)
    gout = torch.randn(out.shape, generator=g).bfloat16().to(out.dtype)
    leaves = {"projected": projected, **dict(made.named_parameters())}
    gradients = torch.autograd.grad(out, list(leaves.values()), gout)
    return {"out": out, **dict(zip(leaves, gradients, strict=True))}


def errors(one: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, float]:
    return {name: ((one[name].double() - t).abs().max() / t.abs().max()).item() for name, t in truth.items()}


@pytest.mark.parametrize("length", [1, 3, 64, 65, 150])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_in_float32(shape: str, length: int) -> None:
    truth = by("recurrence", SHAPES[shape], length, torch.float64)
    found = errors(by("native", SHAPES[shape], length, torch.float32), truth)
    assert max(found.values()) < 2e-5, found


@pytest.mark.parametrize("shape", list(SHAPES))
def test_in_bfloat16_is_no_worse_than_the_plain_form(shape: str) -> None:
    truth = by("recurrence", SHAPES[shape], 150, torch.float64)
    ours, plain = (errors(by(path, SHAPES[shape], 150, torch.bfloat16), truth) for path in ("native", "chunked"))
    assert max(ours.values()) < 0.06, ours
    assert sum(ours.values()) < 1.5 * sum(plain.values()), (ours, plain)


def test_strong_decays() -> None:
    """Exponents of thousands: to divide by decays, or to subtract float32 sums of exponents, would show."""
    config = SHAPES["published"]
    truth = by("recurrence", config, 130, torch.float64, strength=300.0)
    found = errors(by("native", config, 130, torch.float32, strength=300.0), truth)
    assert max(found.values()) < 2e-5, found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_the_processors_own_instructions(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same source, compiled for any processor of the kind: narrow vectors, no matrix unit."""
    config = SHAPES["odd"]
    truth = by("recurrence", config, 70, torch.float64)
    libraries = {module: compiler.build(module.SOURCE, PORTABLE) for module in (ssd, attention)}
    for module, library in libraries.items():
        monkeypatch.setattr(module, "_library", lambda library=library: library)
    libraries[ssd].state_size.restype = ctypes.c_int64
    assert attention.kind_of(torch.bfloat16) == 1
    found = errors(by("native", config, 70, dtype), truth)
    assert max(found.values()) < (2e-5 if dtype == torch.float32 else 0.06), found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_does_not_depend_on_threads(dtype: torch.dtype) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = by("native", SHAPES["groups"], 70, dtype)
        torch.set_num_threads(4)
        other = by("native", SHAPES["groups"], 70, dtype)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_operator_is_well_formed() -> None:
    made = mixer(SHAPES["odd"])
    projected = torch.randn(1, 20, sum(made.parts)).requires_grad_()
    weights = [made.conv1d.weight.squeeze(1).t().contiguous(), made.conv1d.bias, made.dt_bias, made._A(), made.D]
    weights = [t.detach().requires_grad_() for t in [*weights, made.norm.weight]]
    torch.library.opcheck(ssd._mixer, (projected, *weights, 12, 1, 1e-5))
