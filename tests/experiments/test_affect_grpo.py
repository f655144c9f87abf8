"""The experiment on training by reward."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from experiments import affect_grpo
from experiments.affect_grpo import RewardedTune
from symbolic.config import GPT2Config
from symbolic.models import architectures
from tests.symbolic.affect.affect_files import HAPPY, SAD

TUNES = [
    RewardedTune((1, 5, 6, 7, 8), 2, ""),
    RewardedTune((1, 5, 9, 10), 2, ""),
    RewardedTune((1, 5, 11, 12, 13, 14), 2, ""),
]


def _model() -> torch.nn.Module:
    torch.manual_seed(0)
    return architectures.build(GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=2))


def test_only_drawn_ids_count() -> None:
    ids, is_own = affect_grpo.padded(TUNES)
    assert ids.shape == (3, 6) and is_own.shape == (3, 5)
    assert is_own.sum(dim=1).tolist() == [3, 2, 4]
    assert is_own[:, 0].tolist() == [0, 0, 0]


def test_a_step_makes_what_was_rewarded_likelier_and_the_reference_stays() -> None:
    policy = _model()
    reference = deepcopy(policy)
    optimiser = torch.optim.AdamW(policy.parameters(), lr=1e-2)
    ids, is_own = affect_grpo.padded(TUNES)
    before = (affect_grpo.log_probabilities(policy, ids) * is_own).sum(dim=1)
    first = affect_grpo.update(policy, reference, optimiser, TUNES, np.array([1.4, -0.7, -0.7]), 0.0)
    after = (affect_grpo.log_probabilities(policy, ids) * is_own).sum(dim=1)
    assert first == pytest.approx(0, abs=1e-5)  # of a policy that is its reference
    assert after[0] > before[0] and after[1] < before[1]
    kept = (affect_grpo.log_probabilities(reference, ids) * is_own).sum(dim=1)
    assert kept.tolist() == pytest.approx(before.tolist())


def test_the_weight_of_kl_keeps_the_policy_near() -> None:
    ends = []
    for weight in (0.0, 20.0):
        policy = _model()
        reference, optimiser = deepcopy(policy), torch.optim.AdamW(policy.parameters(), lr=1e-2)
        ends.append(
            [
                affect_grpo.update(policy, reference, optimiser, TUNES, np.array([1.4, -0.7, -0.7]), weight)
                for _ in range(20)
            ][-1]
        )
    assert ends[1] < 0.5 * ends[0]


def test_right_tunes_near_the_target_are_rewarded_most() -> None:
    glad, sad = (affect_grpo.point_of(text, by="reward") for text in (HAPPY, SAD))
    assert affect_grpo.reward(HAPPY, glad) == pytest.approx(0)
    assert affect_grpo.reward(SAD, glad) < -0.1
    assert affect_grpo.reward(HAPPY.replace("|", "", 1), glad) < affect_grpo.reward(HAPPY, glad)
    assert affect_grpo.reward("no music", sad) == affect_grpo.UNREADABLE
