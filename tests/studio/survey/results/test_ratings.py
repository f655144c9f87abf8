"""The statistics of surveys: two published studies' tables, hand-worked examples, laws, and coverage in simulation."""

import math

import numpy as np
import pytest

from studio.survey.power_plan import simulated_ratings
from studio.survey.results import ratings

# Counts of the answers 1 to 5 of 40 people; clips 1 and 2 generated, clip 3 human (the seven-criteria study).
SEVEN = {
    1: {"audio": (3, 15, 8, 7, 7), "style": (1, 5, 11, 16, 7), "emotion": (10, 10, 7, 5, 8)},
    2: {"audio": (0, 2, 9, 17, 12), "style": (1, 5, 9, 20, 5), "emotion": (1, 5, 11, 17, 6)},
    3: {"audio": (0, 2, 8, 14, 16), "style": (0, 0, 5, 17, 18), "emotion": (1, 3, 6, 17, 13)},
}
SEVEN_MEANS = {
    1: {"audio": 3.0, "style": 3.575, "emotion": 2.775},
    2: {"audio": 3.975, "style": 3.575, "emotion": 3.55},
    3: {"audio": 4.1, "style": 4.325, "emotion": 3.95},
}
# Counts of the answers 0 to 5 of 27 people (the music-story study, table 2).
STORY = ((2, 2, 1, 7, 7, 8), (0, 2, 3, 5, 9, 8), (0, 1, 2, 4, 8, 12), (0, 3, 4, 2, 3, 15))


def spread(counts: tuple[int, ...], low: int) -> np.ndarray:
    return np.repeat(np.arange(low, low + len(counts)), counts).astype(float)


def test_the_seven_criteria_study_has_its_means_and_no_intervals() -> None:
    for criterion in ("audio", "style", "emotion"):
        values = np.stack([spread(SEVEN[clip][criterion], 1) for clip in SEVEN], axis=1)
        found = ratings.system_means(values, ["one", "two", "human"])
        assert [m.mean for m in found.values()] == pytest.approx([SEVEN_MEANS[clip][criterion] for clip in SEVEN])
        assert all(m.low is None and "needs at least 4" in m.reason for m in found.values())


def test_human_or_ai_of_the_seven_criteria_study() -> None:
    first, second = ratings.wilson(33, 40), ratings.wilson(25, 40)
    assert (first.low, first.high, first.p) == pytest.approx((0.6805, 0.9125, 4.23e-5), rel=1e-3)
    assert (second.low, second.high, second.p) == pytest.approx((0.4703, 0.7578, 0.1539), rel=1e-3)
    found = ratings.detection(33 + 25, 80, 15, 40)
    assert (found.d_prime, found.criterion, found.corrected) == (
        pytest.approx(0.916, abs=1e-3),
        pytest.approx(-0.140, abs=1e-3),
        False,
    )


def test_the_story_study_prints_its_standard_deviation_as_standard_error() -> None:
    sets = [spread(counts, 0) for counts in STORY]
    assert [s.mean() for s in sets] == pytest.approx([3.4444, 3.6667, 4.0370, 3.8519], abs=1e-4)
    assert [s.std(ddof=1) for s in sets] == pytest.approx([1.528, 1.240, 1.126, 1.512], abs=1e-3)
    assert [s.std(ddof=1) / math.sqrt(len(s)) for s in sets] == pytest.approx([0.294, 0.239, 0.217, 0.291], abs=1e-3)


@pytest.mark.parametrize(("n_raters", "n_clips"), [(20, 4), (40, 8)])
def test_intervals_of_a_difference_hold_what_they_say(n_raters: int, n_clips: int) -> None:
    """Two equal systems: 95 % intervals hold 0 in about 95 % of surveys, those that pool all answers in far fewer."""
    rng = np.random.default_rng(3)
    held = naive = 0
    n = 300
    for number in range(n):
        values, systems = simulated_ratings(n_raters, n_clips, 0.0, rng)
        found = ratings.difference(values, systems, "a", "b", resamples=300, seed=number)
        assert found.low is not None and found.high is not None
        held += found.low <= 0 <= found.high
        one, other = values[:, :n_clips].ravel(), values[:, n_clips:].ravel()
        half = 1.96 * math.sqrt(one.var() / one.size + other.var() / other.size)
        naive += abs(one.mean() - other.mean()) <= half
    assert 0.92 <= held / n <= 0.985  # 95 % within the noise of 300 surveys
    assert naive / n < 0.8


def test_a_real_difference_is_found_and_swapping_turns_it() -> None:
    values, systems = simulated_ratings(30, 8, 1.0, np.random.default_rng(0))
    one, other = (ratings.difference(values, systems, *pair) for pair in (("a", "b"), ("b", "a")))
    assert one.low is not None and one.low > 0 and one.p is not None and one.p < 0.05
    assert one.mean == pytest.approx(-other.mean)


def test_missing_answers_weigh_nothing() -> None:
    values = np.array([[1.0, np.nan, 3.0, 5.0], [np.nan, 3.0, 3.0, np.nan]])
    found = ratings.system_means(values, ["a", "a", "b", "b"])
    assert found["a"].mean == 2.0 and found["b"].mean == pytest.approx(11 / 3)


def test_holm_by_hand() -> None:
    assert ratings.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert ratings.holm([]) == [] and ratings.holm([0.9, 0.8]) == [1.0, 1.0]


def test_perfect_answers_need_the_correction() -> None:
    found = ratings.detection(10, 10, 0, 10)
    assert found.corrected and math.isfinite(found.d_prime) and found.criterion == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="human"):
        ratings.detection(1, 2, 0, 0)


def test_bradley_terry_of_two_is_the_share() -> None:
    strengths, regularised = ratings.bradley_terry(np.array([[0.0, 30.0], [10.0, 0.0]]))
    assert strengths == pytest.approx([0.75, 0.25]) and not regularised
    strengths, regularised = ratings.bradley_terry(np.array([[0.0, 5.0, 5.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]]))
    assert regularised and strengths[0] > strengths[1] > strengths[2] > 0


def test_bradley_terry_gives_back_its_strengths() -> None:
    true = np.array([0.5, 0.3, 0.2])
    wins = 1000 * true[:, None] / (true[:, None] + true[None, :])
    np.fill_diagonal(wins, 0.0)
    assert ratings.bradley_terry(wins)[0] == pytest.approx(true, abs=1e-6)


def test_alpha_of_krippendorffs_own_example() -> None:
    """K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, example C: nominal .743, ordinal .815,
    interval .849."""
    gap = np.nan
    data = np.array([
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ])  # fmt: skip
    found = [ratings.krippendorff_alpha(data, level) for level in ("nominal", "ordinal", "interval")]
    assert found == pytest.approx([0.743, 0.815, 0.849], abs=5e-4)
    assert ratings.krippendorff_alpha(np.ones((3, 4))) is not None and math.isnan(
        ratings.krippendorff_alpha(np.ones((3, 4)))
    )


def test_power_of_human_or_ai() -> None:
    assert ratings.binomial_power(40, 0.6) == pytest.approx(0.21, abs=0.005)
    assert (
        ratings.answers_needed(0.8) == 23 and ratings.answers_needed(0.7) == 54 and ratings.answers_needed(0.6) == 210
    )
    assert ratings.answers_needed(0.501, limit=50) is None
