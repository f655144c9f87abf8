"""From the arc of music to the plan of a story."""

import numpy as np
import pytest

from symbolic.affect.plane import DOMAINS, arc
from symbolic.affect.story import story_plan


def music(points: list[tuple[float, float]], seconds: float = 4.0) -> story_plan.Arc:
    """An arc of bars that last `seconds` each."""
    starts = [seconds * i for i in range(len(points))]
    record = {"seconds": starts, "end_seconds": seconds * len(points)}
    return arc("bars", range(1, len(points) + 1), points, len(points) + 1, record=record)


GLAD_SAD_GLAD = music([(0.3, 0.3)] * 6 + [(-0.2, -0.2)] * 6 + [(0.3, 0.2)] * 6)


def test_sections_follow_the_mood_in_seconds() -> None:
    plan = story_plan.plan_of(GLAD_SAD_GLAD)
    assert [(s.start, s.end) for s in plan.sections] == [(0, 24), (24, 48), (48, 72)]
    assert plan.shape == "fall and rise"
    assert [section.part for section in plan.sections] == ["opening", "turn", "turn"]
    assert plan.sections[1].target[0] < DOMAINS["text"].mean[0] < plan.sections[0].target[0]


def test_a_story_can_be_read_while_the_music_plays() -> None:
    plan = story_plan.plan_of(GLAD_SAD_GLAD)
    words = sum(s.n_sentences for s in plan.sections) * story_plan.WORDS_A_SENTENCE
    assert words == pytest.approx(72 * story_plan.WORDS_A_SECOND, rel=0.1)


def test_an_arc_that_hardly_moves_keeps_its_shape_at_the_spread_of_texts() -> None:
    flat = music([(0.16 + 0.01 * v, 0.05) for v in (1, 1, 1, -1, -1, -1, 1, 1, 1)])
    targets = np.array([section.target for section in story_plan.plan_of(flat).sections])
    assert targets[:, 0].std() == pytest.approx(story_plan.SHAPE_SD * DOMAINS["text"].sd[0], rel=0.2)
    assert targets[:, 1].std() < 1e-9


@pytest.mark.parametrize(("bars", "seconds"), [(1, 5.0), (2, 2.0), (3600, 2.0)])
def test_a_moment_and_two_hours(bars: int, seconds: float) -> None:
    points = [(0.3 * np.sin(i / 40), 0.2 * np.cos(i / 30)) for i in range(bars)]
    plan = story_plan.plan_of(music(points, seconds))
    assert 1 <= len(plan.sections) <= story_plan.MOST
    assert plan.sections[-1].end == pytest.approx(bars * seconds)
    assert sum(s.n_sentences for s in plan.sections) <= story_plan.MOST_SENTENCES + story_plan.MOST
    assert bool(plan.remarks) == (bars > 1000)


@pytest.mark.parametrize("values", [[0, 1, 2], [2, 1, 0], [1, 0, 1], [0, 1, 0]])
def test_shapes_are_told_apart(values: list[float]) -> None:
    names = {(0, 1, 2): "rise", (2, 1, 0): "fall", (1, 0, 1): "fall and rise", (0, 1, 0): "rise and fall"}
    assert story_plan.shape_of(values) == names[tuple(values)]  # type: ignore[index]
    assert story_plan.shape_of([0.1] * 4) == "steady"
