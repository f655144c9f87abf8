"""Sections of an arc."""

import numpy as np
import pytest

from symbolic.affect import arc_sections


def test_cuts_stand_where_the_mood_changes() -> None:
    points = [(0.5, 0.5)] * 4 + [(-0.5, -0.4)] * 3 + [(0.4, -0.4)] * 5
    assert arc_sections.cuts(points, [1.0] * 12, least=2, fewest=1) == [0, 4, 7, 12]


def test_a_constant_arc_is_one_section_unless_more_are_asked() -> None:
    points = [(0.1, 0.1)] * 10
    assert arc_sections.cuts(points, [1.0] * 10, least=1) == [0, 10]
    assert len(arc_sections.cuts(points, [1.0] * 10, least=1, fewest=3)) == 4


@pytest.mark.parametrize("n", [1, 2, 7, 900])
def test_sections_cover_the_arc_and_are_long_enough(n: int) -> None:
    generator = np.random.default_rng(n)
    found = arc_sections.cuts(generator.normal(size=(n, 2)), [1.0] * n, least=4, fewest=3)
    assert found[0] == 0 and found[-1] == n and found == sorted(set(found))
    assert n < 8 or (min(np.diff(found)) >= 4 and len(found) <= 1 + arc_sections.MAX_SECTIONS)
