"""Sampling rules on distributions worked out by hand, and frequencies at a fixed seed."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from symbolic.decode.engine import sampling
from symbolic.decode.engine.sampling import Sampling
from symbolic.errors import UsageError

PROBABILITIES = (0.15, 0.5, 0.1, 0.25)  # not in order: rules must not depend on it


def logits_of(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities]).log() + 3.7  # logits are known up to a constant


def kept(logits: Tensor) -> list[int]:
    return torch.nonzero(logits[0] > -math.inf).flatten().tolist()


@pytest.mark.parametrize(("k", "left"), [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3]), (99, [0, 1, 2, 3])])
def test_top_k(k: int, left: list[int]) -> None:
    assert kept(sampling.top_k(logits_of(*PROBABILITIES), k)) == left


@pytest.mark.parametrize(
    ("p", "left"), [(1e-9, [1]), (0.49, [1]), (0.51, [1, 3]), (0.74, [1, 3]), (0.76, [0, 1, 3]), (0.95, [0, 1, 2, 3])]
)
def test_top_p(p: float, left: list[int]) -> None:
    assert kept(sampling.top_p(logits_of(*PROBABILITIES), p)) == left


@pytest.mark.parametrize(("p", "left"), [(0.6, [1]), (0.49, [1, 3]), (0.29, [0, 1, 3]), (0.19, [0, 1, 2, 3])])
def test_min_p(p: float, left: list[int]) -> None:
    assert kept(sampling.min_p(logits_of(*PROBABILITIES), p)) == left


def test_temperature() -> None:
    """p^(1/t), normalised: at t = 1/2 the squares of 1/5 and 4/5, over their sum of 17/25."""
    torch.testing.assert_close(sampling.temperature(logits_of(0.2, 0.8), 0.5).softmax(-1), torch.tensor([[1, 16]]) / 17)


def test_equal_tokens_stay_or_go_together() -> None:
    equal = logits_of(0.1, 0.3, 0.3, 0.3)
    assert kept(sampling.top_k(equal, 2)) == [1, 2, 3]
    assert kept(sampling.top_p(equal, 0.5)) == [1, 2, 3]
    assert kept(sampling.min_p(equal, 0.9)) == [1, 2, 3]


def test_top_p_keeps_the_smallest_set_that_holds_the_mass() -> None:
    logits = 2 * torch.randn(50, 300, generator=torch.Generator().manual_seed(1))
    probabilities = logits.softmax(-1)
    for row, left in zip(probabilities, sampling.top_p(logits, 0.8) > -math.inf, strict=True):
        assert row[left].sum() >= 0.8 - 1e-5
        assert row[left].sum() - row[left].min() < 0.8
        assert row[left].min() > row[~left].max()


def test_rules_apply_in_order() -> None:
    """Top-p sees the tempered distribution (0.5 becomes 0.5^2 / 0.345 = 0.72), min-p what top-k left."""
    logits = logits_of(*PROBABILITIES)
    assert kept(sampling.restrict(logits, Sampling(temperature=0.5, top_p=0.7))) == [1]
    assert kept(sampling.restrict(logits, Sampling(temperature=1.0, top_p=0.7))) == [1, 3]
    assert kept(sampling.restrict(logits, Sampling(top_k=3, top_p=0.9, min_p=0.4))) == [1, 3]
    assert torch.equal(sampling.restrict(logits, Sampling()), logits)


@pytest.mark.parametrize(
    ("uniform", "token"), [(0.0, 0), (0.149, 0), (0.151, 1), (0.649, 1), (0.651, 2), (0.751, 3), (1 - 2**-53, 3)]
)
def test_sample_inverts_the_cumulative_distribution(uniform: float, token: int) -> None:
    drawn = sampling.sample(logits_of(*PROBABILITIES), torch.tensor([uniform], dtype=torch.float64))
    assert drawn.tolist() == [token]


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.6, 1 - 2**-53])
def test_excluded_tokens_are_never_drawn(uniform: float) -> None:
    logits = torch.tensor([[-math.inf, 1.0, -math.inf, -math.inf, 1.0, -math.inf]])
    assert sampling.sample(logits, torch.tensor([uniform], dtype=torch.float64)).item() in (1, 4)


def test_a_row_depends_on_nothing_else_in_the_batch() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = 3 * torch.randn(32, 200, generator=generator)
    uniforms = torch.rand(32, generator=generator, dtype=torch.float64)
    rules = Sampling(0.9, 50, 0.9, 0.02)
    together = sampling.choose(logits, uniforms, rules)
    alone = [sampling.choose(logits[i : i + 1], uniforms[i : i + 1], rules).item() for i in range(32)]
    assert together.tolist() == alone
    assert len(set(alone)) > 10


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Sampling(), (0.15, 0.5, 0.1, 0.25)),
        (Sampling(top_k=2), (0, 2 / 3, 0, 1 / 3)),
        (Sampling(temperature=0.5), tuple(p * p / 0.345 for p in PROBABILITIES)),
    ],
)
def test_frequencies(rules: Sampling, expected: tuple[float, ...]) -> None:
    n = 20_000
    uniforms = torch.from_numpy(np.random.default_rng(7).random(n))
    counts = sampling.choose(logits_of(*PROBABILITIES).expand(n, -1), uniforms, rules).bincount(minlength=4).tolist()
    chi_square = sum((count - n * p) ** 2 / (n * p) for count, p in zip(counts, expected, strict=True) if p)
    assert chi_square < 16.27  # the 99.9th percentile at three degrees of freedom
    assert all(count == 0 for count, p in zip(counts, expected, strict=True) if not p)


def test_greedy_takes_the_lowest_of_equals() -> None:
    assert sampling.choose(torch.tensor([[1.0, 5.0, 5.0]]), torch.tensor([0.99]), Sampling(0)).tolist() == [1]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"min_p": 1},
        {"min_p": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings)).replace("_", "-")):
        Sampling(**settings)  # type: ignore[arg-type]


def test_the_rest_is_the_place_in_the_tokens_own_share() -> None:
    """With shares 0.25 and 0.75 the number 0.625 lies half way through the second."""
    numbers = torch.tensor([0.0, 0.125, 0.25, 0.625, 0.9999])
    tokens, rests = sampling.sample_and_rest(logits_of(0.25, 0.75).expand(5, 2), numbers)
    assert tokens.tolist() == [0, 0, 1, 1, 1]
    assert rests.tolist() == pytest.approx([0.0, 0.5, 0.0, 0.5, 0.99987], abs=1e-4)
