"""The schedule, and the rate of the very optimiser that is stepped."""

import math

import pytest
import torch
from torch import nn

from symbolic.config import TrainConfig
from symbolic.training import optim


def settings(**changes: object) -> TrainConfig:
    values: dict = {
        "steps": 100,
        "batch_size": 1,
        "learning_rate": 1e-2,
        "min_learning_rate_ratio": 0.1,
        "warmup_steps": 10,
        "evaluate_every": 100,
        "checkpoint_every": 100,
    }
    return TrainConfig(**{**values, **changes})


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.mixer = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.A_log = nn.Parameter(torch.zeros(4, 2))
        self.conv1d = nn.Conv1d(4, 4, 3, groups=4)


def test_warm_up_is_a_line_to_the_full_rate() -> None:
    train = settings()
    assert optim.learning_rate(0, train) == pytest.approx(1e-3)
    assert optim.learning_rate(4, train) == pytest.approx(5e-3)
    assert optim.learning_rate(9, train) == pytest.approx(1e-2)


def test_cosine_passes_the_middle_and_ends_at_the_ratio() -> None:
    train = settings()
    assert optim.learning_rate(54, train) == pytest.approx(1e-2 * 0.55)
    assert optim.learning_rate(99, train) == pytest.approx(1e-3)
    quarter = 1e-2 * (1 - 0.9 * (1 - math.cos(math.pi * 0.2)) / 2)
    assert optim.learning_rate(27, train) == pytest.approx(quarter)


def test_linear_decay_over_the_last_part_keeps_a_plateau() -> None:
    train = settings(decay="linear", decay_fraction=0.2, min_learning_rate_ratio=0.0)
    assert {optim.learning_rate(step, train) for step in range(10, 80)} == {1e-2}
    assert optim.learning_rate(80, train) == pytest.approx(1e-2 * 0.95)
    assert optim.learning_rate(99, train) == pytest.approx(0.0)


def test_without_decay_the_rate_stays() -> None:
    train = settings(decay_fraction=0.0)
    assert optim.learning_rate(99, train) == 1e-2


def test_the_rate_rises_and_falls_once() -> None:
    rates = [optim.learning_rate(step, settings()) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_the_optimiser_that_steps_has_the_rate() -> None:
    model = Small()
    optimizer = optim.build(model, settings(weight_decay=0.0))
    model.mixer.bias.grad = torch.ones(4)
    before = model.mixer.bias.detach().clone()
    optim.set_learning_rate(optimizer, 0.125)
    optimizer.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    # Adam's first update is the rate itself, whatever the gradient's size.
    torch.testing.assert_close(before - model.mixer.bias.detach(), torch.full((4,), 0.125))


def test_decay_is_on_matrices_only() -> None:
    decayed = {name for name, p in Small().named_parameters() if optim.decays(name, p)}
    assert decayed == {"embedding.weight", "mixer.weight"}


def test_decay_shrinks_matrices_and_leaves_the_rest() -> None:
    model = Small()
    optimizer = optim.build(model, settings(weight_decay=0.5))
    matrix, gain = model.mixer.weight.detach().clone(), model.norm.weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optim.set_learning_rate(optimizer, 0.1)
    optimizer.step()
    torch.testing.assert_close(model.mixer.weight.detach(), matrix * 0.95)
    assert torch.equal(model.norm.weight.detach(), gain)


def test_state_survives_by_name() -> None:
    torch.manual_seed(0)
    model, train = Small(), settings()
    twin = Small()
    twin.load_state_dict(model.state_dict())
    optimizer, other = optim.build(model, train), optim.build(twin, train)
    gradients = [torch.randn_like(p) for p in model.parameters()]
    for _ in range(3):
        _step(model, optimizer, gradients)
    twin.load_state_dict(model.state_dict())
    saved = optim.state(model, optimizer)
    assert {name.split(".")[0] for name in saved} == set(optim.MOMENTS)
    optim.load_state(twin, other, saved)
    for _ in range(2):
        _step(model, optimizer, gradients)
        _step(twin, other, gradients)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    saved.pop("exp_avg.mixer.weight")
    with pytest.raises(KeyError, match=r"exp_avg\.mixer\.weight"):
        optim.load_state(twin, other, saved)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, gradients: list[torch.Tensor]) -> None:
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        p.grad = gradient.clone()
    optimizer.step()


def test_two_updates_are_those_of_the_paper() -> None:
    """Kingma and Ba 2015, algorithm 1, with decoupled decay, by hand in float64."""
    model, beta1, beta2, eps, rate, decay = Small(), 0.8, 0.95, 1e-3, 0.05, 0.1
    optimizer = optim.build(model, settings(beta1=beta1, beta2=beta2, eps=eps, weight_decay=decay))
    optim.set_learning_rate(optimizer, rate)
    weight = model.mixer.weight.detach().double().clone()
    mean = torch.zeros_like(weight)
    square = torch.zeros_like(weight)
    for step, size in enumerate((1.0, 3.0), start=1):
        gradient = torch.full((4, 4), size)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        model.mixer.weight.grad = gradient.clone()
        optimizer.step()
        mean = beta1 * mean + (1 - beta1) * size
        square = beta2 * square + (1 - beta2) * size**2
        direction = mean / (1 - beta1**step) / ((square / (1 - beta2**step)).sqrt() + eps)
        weight = weight * (1 - rate * decay) - rate * direction
    torch.testing.assert_close(model.mixer.weight.detach().double(), weight, rtol=1e-5, atol=1e-6)


def test_the_number_of_steps_stays_exact_beside_weights_of_less_precision() -> None:
    """257 is no bfloat16: a moment is kept in its weight's precision, the count of steps in float32."""
    model, train = Small().to(torch.bfloat16), settings()
    optimizer = optim.build(model, train)
    saved = {
        f"{kind}.{name}": torch.full_like(p, 0.5) for kind in optim.MOMENTS[:2] for name, p in model.named_parameters()
    }
    saved |= {f"step.{name}": torch.tensor(257.0) for name, _ in model.named_parameters()}
    optim.load_state(model, optimizer, saved)
    for p in model.parameters():
        own = optimizer.state[p]
        assert own["step"].dtype == torch.float32 and float(own["step"]) == 257
        assert own["exp_avg"].dtype == torch.bfloat16 and own["exp_avg"].shape == p.shape
