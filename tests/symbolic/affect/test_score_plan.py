"""The melody and controls nearest a target."""

import numpy as np

from symbolic.affect.composing import melody_pool, mood_scorer, score_plan
from tests.symbolic.affect.test_melody_pool import TUNE

POOL = melody_pool.of_tunes([TUNE, TUNE.replace("d2fd", "D2F2")], bars=4)


def test_the_search_comes_nearer_than_its_beginning() -> None:
    scorer = mood_scorer.bundled()
    for target in ((-0.2, -0.3), (0.4, 0.3), (-0.1, 0.3)):
        plan = score_plan.nearest(POOL[0], target, scorer)
        start = score_plan.STARTS[target[0] >= 0.15, target[1] >= 0.05]
        begun = scorer.point(score_plan.section_table(POOL[0], start))
        assert plan.miss <= np.hypot(*np.subtract(begun, target)) + 1e-9


def test_sad_targets_are_minor_and_slow_and_glad_ones_major() -> None:
    sad, glad = score_plan.planned([(-0.25, -0.35), (0.45, 0.2)], POOL)
    assert (sad.controls.mode, glad.controls.mode) == ("minor", "major")
    assert sad.controls.qpm < glad.controls.qpm
    assert sad.predicted[0] < glad.predicted[0] and sad.predicted[1] < glad.predicted[1]


def test_a_target_out_of_reach_is_said() -> None:
    record = score_plan.planned([(-1.0, 1.0)], POOL[:1])[0].record()
    assert record["reached"] is False and record["miss"] > 0.3
