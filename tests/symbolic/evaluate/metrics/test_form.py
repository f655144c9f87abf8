"""Grids, self-similarity and sections of hand-worked tunes."""

import math

import pytest

from symbolic.evaluate.metrics import form
from symbolic.evaluate.metrics.form import GRID, groove_consistency, self_similarity
from symbolic.notation.abc_parser import parse


def voice(music: str, metre: str = "4/4") -> tuple:
    score = parse(f"X:1\nM:{metre}\nL:1/4\nK:C\n{music}\n")
    return score.voices[0], score.meter.ticks


def test_a_grid_holds_what_sounds_and_where_it_begins() -> None:
    onsets, pitches = form.grids(*voice("C2zD|[CE]4|"))
    assert onsets.shape == pitches.shape == (2, GRID)
    assert [i for i in range(GRID) if onsets[0, i]] == [0, 36] and [i for i in range(GRID) if onsets[1, i]] == [0]
    assert pitches[0].tolist() == [60] * 24 + [form.SILENCE] * 12 + [62] * 12 and set(pitches[1]) == {64}


def test_a_bar_that_is_too_long_is_cut_and_a_short_one_is_like_nothing_after_its_end() -> None:
    _, pitches = form.grids(*voice("CCCCCC|CC|CC|"))
    assert set(pitches[0]) == {60}
    assert pitches[1].tolist() == [60] * 24 + [form._BEFORE] * 24
    assert self_similarity(pitches[1:]) == 0.5


def test_groove_by_hand() -> None:
    onsets, _ = form.grids(*voice("CDEF|CDEF|C4|"))
    assert groove_consistency(onsets[:2]) == 1.0
    assert groove_consistency(onsets[1:]) == 1 - 3 / GRID
    assert math.isnan(groove_consistency(onsets[:1]))


def test_self_similarity_looks_at_the_most_like_earlier_bar() -> None:
    _, pitches = form.grids(*voice("CDEF|GABc|CDEF|CDEG|"))
    assert self_similarity(pitches) == pytest.approx((0 + 1 + 0.75) / 3)
    assert self_similarity(form.grids(*voice("CDEF|" * 8))[1]) == 1.0
    assert math.isnan(self_similarity(pitches[:1]))


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("CDEF|" * 8, [8]),
        ("|:" + "CDEF|" * 7 + "CDEF:|:" + "CDEF|" * 3 + "C4:|", [8, 4]),
        ("C|CDEF|CDEF|CDEF|CDE:|G|CDEF|CDEF|CDEF|CDE|]", [4, 4]),  # pick-ups and what they take
        ("CDEF|CDEF|CDEF|1C4:|2E4||" + "CDEF|" * 4, [4, 4]),  # the second ending is no bar of its own
        ("CDEF||", [1]),
        ("CDEF|CDEF|[M:2/4]CD|CD||", [4]),
    ],
)
def test_sections(music: str, expected: list[int]) -> None:
    assert form.sections(*voice(music)) == expected


def test_free_metre_has_no_bars_to_count() -> None:
    free = voice("CDEF|CDEF|", "none")
    assert form.sections(*free) == [] and form.grids(*free)[0].shape == (0, GRID)
