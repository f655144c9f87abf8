"""The experiment on search."""

import numpy as np
import pytest

from experiments import affect_search
from symbolic.affect.composing import melody_pool
from tests.symbolic.affect.composing.test_melody_pool import TUNE

POOL = melody_pool.of_tunes([TUNE], bars=4)


class Bowl(affect_search.Budget):
    """A round bowl in place of music: its lowest point is at .3 in every dimension."""

    def distance(self, numbers: np.ndarray) -> float:
        """Squared distance from the lowest point."""
        self.left -= 1
        found = float(((np.asarray(numbers) - 0.3) ** 2).sum())
        self.best = min(self.best, found)
        return found


@pytest.mark.parametrize("name", ["differential evolution", "CMA-ES"])
def test_clever_searches_find_the_bottom_of_a_bowl_before_chance_does(name: str) -> None:
    clever, chance = (Bowl(POOL, (0, 0), 1200) for _ in range(2))
    affect_search.METHODS[name](clever, np.random.default_rng(0))
    affect_search.random_search(chance, np.random.default_rng(0))
    assert clever.best < 0.01 < chance.best


@pytest.mark.parametrize("name", affect_search.METHODS)
def test_every_method_keeps_to_its_budget(name: str) -> None:
    budget = affect_search.Budget(POOL, (0.4, 0.3), 30)
    affect_search.METHODS[name](budget, np.random.default_rng(0))
    assert budget.left == 0 and np.isfinite(budget.best)
