"""There and back."""

import numpy as np
import pytest

from symbolic.affect import round_trip
from symbolic.affect.round_trip import StepArc
from tests.symbolic.affect.composing.test_melody_pool import TUNE
from tests.symbolic.affect.composing.test_story_targets import STORY
from tests.symbolic.affect.story.test_story_plan import GLAD_SAD_GLAD


def test_an_arc_agrees_with_itself_and_not_with_its_reverse() -> None:
    arc = StepArc((0.0, 10.0, 20.0, 40.0), np.array([[0.1, 0.0], [-0.1, 0.1], [0.2, 0.3]]), "text")
    row = round_trip.compared("x", arc, arc)
    assert row["r"] == row["ccc"] == 1 and row["mae"] == 0 and row["constant"] == 0
    assert row["reversed"] < 0.5 and row["shuffles beaten"] > 0.7


def test_time_is_cut_alike_whatever_the_sections() -> None:
    points = np.array([[0.1, 0.0], [-0.1, 0.1]])
    one, other = StepArc((0.0, 1.0, 2.0), points, "text"), StepArc((5.0, 6.0, 6.5, 7.0), points[[0, 1, 1]], "text")
    assert one.sampled() == pytest.approx(other.sampled())


def test_music_comes_back_with_its_arousal() -> None:
    """Of a glad, a sad and a glad part the middle one is the calmest again. Of valence no such thing is claimed: the
    second scorer hears it otherwise than the one that chooses (affect_composing.json)."""
    found = round_trip.of_music(GLAD_SAD_GLAD, tunes=[TUNE], bars=4)
    half, back = found.table()
    assert half["r"] > 0.4 and half["r"] > half["reversed"] - 0.2
    assert back["sections"] == len(found.composition.plans) == 3
    assert found.last.points[:, 1].argmin() == found.first.points[:, 1].argmin() == 1


def test_a_story_comes_back() -> None:
    found = round_trip.of_text(STORY, tunes=[TUNE], bars=4)
    assert len(found.first.points) == len(found.composition.plans)
    assert all(np.isfinite(row["r"]) for row in found.table())
