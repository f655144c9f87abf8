"""The melody and controls nearest a target."""

import numpy as np
import pytest

from symbolic.affect.composing import melody_pool, mood_scorer, score_plan
from symbolic.affect.composing.arrangement import MODES, Controls, SectionMelody
from symbolic.affect.composing.score_plan import MoodPlan
from tests.symbolic.affect.composing.test_melody_pool import TUNE

POOL = melody_pool.of_tunes([TUNE, TUNE.replace("d2fd", "D2F2")], bars=4)


def test_the_search_comes_nearer_than_its_beginning() -> None:
    scorer = mood_scorer.bundled()
    for target in ((-0.2, -0.3), (0.4, 0.3), (-0.1, 0.3)):
        plan = score_plan.nearest(POOL[0], target, scorer)
        start = score_plan.start_of(target)
        assert plan.cost <= score_plan.judged(POOL[0], start, target, scorer).cost


def test_sad_targets_are_darker_and_slower_than_glad_ones() -> None:
    sad, glad = score_plan.planned([(-0.25, -0.35), (0.45, 0.2)], POOL)
    brightness = list(MODES)
    assert brightness.index(sad.controls.mode) > brightness.index(glad.controls.mode)
    assert sad.controls.qpm < glad.controls.qpm
    assert sad.predicted[0] < glad.predicted[0] and sad.predicted[1] < glad.predicted[1]


def test_a_target_out_of_reach_is_said() -> None:
    record = score_plan.planned([(-1.0, 1.0)], POOL[:1])[0].record()
    assert record["reached"] is False and record["miss"] > 0.3


def test_music_on_which_the_planning_models_part_costs_more() -> None:
    agreed, parted = (MoodPlan((0.1, 0.0), POOL[0], Controls(), (0.1, 0.1), doubt) for doubt in (0.0, 0.2))
    assert agreed.cost == agreed.miss == parted.miss < parted.cost
    table = score_plan.section_table(POOL[0], Controls())
    opinions = mood_scorer.bundled().opinions(table)
    plan = score_plan.judged(POOL[0], Controls(), (0.0, 0.0), mood_scorer.bundled())
    assert plan.doubt == pytest.approx(np.linalg.norm(opinions[0] - opinions[1]) / 2)
    assert plan.cost == pytest.approx(np.sqrt((opinions**2).sum(axis=1).mean()))


def test_of_many_melodies_those_that_begin_nearest_are_searched() -> None:
    scorer, target = mood_scorer.bundled(), (0.4, 0.3)
    pool = [SectionMelody(POOL[1].text.replace("D2F2", note)) for note in ("D2F2", "D4", "F4", "A4", "d4", "D3F")]
    found = score_plan.shortlist(pool, target, scorer)
    start = score_plan.start_of(target)
    costs = {line: score_plan.judged(line, start, target, scorer).cost for line in pool}
    assert len(found) == score_plan.SEARCHED < len(pool)
    assert max(costs[line] for line in found) <= min(cost for line, cost in costs.items() if line not in found)
    assert score_plan.shortlist(POOL, target, scorer) is POOL


def test_choices_follow_what_people_hear_in_a_mood() -> None:
    panic, calm, glad = (score_plan.choices_for(target) for target in ((-0.3, 0.6), (0.1, -0.5), (0.6, 0.4)))
    assert panic["dynamics"] == ("f", "ff") and calm["dynamics"] == ("pp", "p")
    assert min(panic["qpm"]) > max(calm["qpm"])
    assert glad["mode"] == ("lydian", "major", "mixolydian") and panic["mode"] == ("minor", "phrygian")
    assert "cluster" in panic["pattern"] and "cluster" not in glad["pattern"]
    for target in ((-0.9, 0.9), (0.9, -0.9), (0.0, 0.0)):
        choices = score_plan.choices_for(target)
        start = score_plan.start_of(target)
        assert all(choices.values()) and all(getattr(start, name) in values for name, values in choices.items())
