"""Calibration on judges whose faults are known."""

import numpy as np
import pytest

from symbolic.judge.calibration import auc, auc_interval, checks, consistency, is_usable, same_tune, share_first

HUMAN, DAMAGED = np.tile(np.arange(6.0, 10.0), (3, 5)), np.tile(np.arange(1.0, 5.0), (3, 5))
FAIR = [("first", "second")] * 20  # the human tune stands first, then second


def failed(
    human: np.ndarray, damaged: np.ndarray, pairs: list[tuple[str | None, str | None]], answered: float = 1.0
) -> list[str]:
    found = checks(human, damaged, pairs, answered)
    assert is_usable(found) == all(check.passes for check in found)
    return [check.name for check in found if not check.passes]


def test_auc_by_hand() -> None:
    assert auc([3, 2], [1, 2]) == (1 + 1 + 1 + 0.5) / 4
    assert auc([1], [1]) == 0.5 and auc([2, 3], [1]) == 1.0 and auc([0], [1]) == 0.0
    with pytest.raises(ValueError, match="no scores"):
        auc([], [1])


def test_its_interval_holds_it_and_narrows_with_tunes() -> None:
    rng = np.random.default_rng(0)
    human, damaged = rng.normal(1, 1, 400), rng.normal(0, 1, 400)
    wide, narrow = auc_interval(human[:20], damaged[:20]), auc_interval(human, damaged)
    assert narrow.low < auc(human, damaged) < narrow.high  # 0.76 in expectation
    assert 0.70 < narrow.low < narrow.high < 0.82 and wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_good_judge_passes() -> None:
    assert failed(HUMAN, DAMAGED, FAIR) == []


def test_a_judge_that_praises_everything_fails() -> None:
    names = failed(np.full((3, 20), 9.0), np.full((3, 20), 9.0), FAIR)
    assert names == ["human above damaged (AUC)", "asked again (rank correlation)"]


def test_a_judge_that_draws_lots_fails() -> None:
    scores = np.random.default_rng(1).integers(1, 11, size=(2, 3, 20)).astype(float)
    assert "asked again (rank correlation)" in failed(scores[0], scores[1], FAIR)


def test_a_judge_that_takes_the_first_fails() -> None:
    assert failed(HUMAN, DAMAGED, [("first", "first")] * 20) == ["same tune in both orders", "answers `first`"]


def test_a_judge_that_refuses_fails() -> None:
    nothing = np.full((3, 20), np.nan)
    assert len(failed(nothing, nothing, [(None, None)] * 20, 0.0)) == 5
    assert failed(HUMAN, DAMAGED, FAIR, 0.8) == ["answers that can be read"]


def test_consistency_is_of_ranks_and_skips_what_was_not_read() -> None:
    one = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    assert consistency(np.stack([one, one**2])) == pytest.approx(1.0)
    assert consistency(np.stack([one, -one])) == pytest.approx(-1.0)
    assert consistency(np.stack([one, np.full(5, 7.0)])) == 0.0
    assert consistency(one[None]) is None


def test_pairs() -> None:
    pairs = [("first", "second"), ("second", "second"), ("first", None), (None, None)]
    assert same_tune(pairs) == 0.5 and share_first(pairs) == 2 / 5
    assert same_tune([]) is None and share_first([(None, None)]) is None
