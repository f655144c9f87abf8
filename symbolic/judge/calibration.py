"""Is a judge to be believed? Four questions, asked before its scores are.

Task: a judge that praises everything, or the first of two, or at random, gives numbers as smoothly as a good one. So it
is given human tunes and the same kind of tunes damaged (`symbolic.evaluate.baselines`) without being told, and has to
pass:

- *Answers*: the share of its answers that the rubric can read, at least ANSWERED.
- *Discrimination*: the area under the ROC curve, the probability that a human tune gets a higher score than a damaged
  one (ties count half; J. Hanley and B. McNeil, Radiology 143, 1982), at least AUC, and with an interval above 0.5. The
  interval is a bootstrap over tunes of both kinds.
- *Consistency*: Spearman's rank correlation between the tunes' scores in one run and in another (the mean over pairs of
  runs), at least CONSISTENT. A judge that gives every tune one score has none.
- *Position*: of pairs asked in both orders, the share whose answer names the same tune both times, at least SAME_TUNE,
  and the share of answers `first`, within FIRST_OFF of one half. Pairs are a human and a damaged tune, so there is an
  answer.

All shares are from 0 to 1. The thresholds are this project's choice, on the lenient side: a judge that fails them is of
no use, and one that passes is not thereby good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.evaluate.metrics.bootstrap import RESAMPLES, Interval, quantiles

Scores = Sequence[float] | NDArray[np.float64]
ANSWERED, AUC, CONSISTENT, SAME_TUNE, FIRST_OFF = 0.9, 0.75, 0.5, 0.7, 0.15


@dataclass(frozen=True)
class Check:
    """One criterion of the calibration: the value found (None where there was nothing to measure), the threshold, and
    whether it passes."""

    name: str
    value: float | None
    wanted: str
    passes: bool
    interval: Interval | None = None


def auc(human: Scores, damaged: Scores) -> float:
    """Return the probability that a human tune is scored above a damaged one, ties counting half.

    Raises ValueError where either set is empty.
    """
    a, b = np.asarray(human, np.float64), np.asarray(damaged, np.float64)
    if not len(a) or not len(b):
        raise ValueError("there are no scores to compare.")
    return float(((a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])).mean())


def auc_interval(human: Scores, damaged: Scores, seed: int = 0) -> Interval:
    """Bootstrap the interval of `auc` over the tunes of both sets."""
    rng = np.random.default_rng(seed)
    a, b = np.asarray(human, np.float64), np.asarray(damaged, np.float64)
    draws = [auc(rng.choice(a, len(a)), rng.choice(b, len(b))) for _ in range(RESAMPLES)]
    return quantiles(draws)


def consistency(runs: NDArray[np.float64]) -> float | None:
    """Return the mean Spearman correlation of the scores of two runs, over all pairs of runs.

    scores: (runs, tunes), NaN where an answer could not be read; a pair of runs counts with at least three tunes that
    both scored. None where no pair does.
    """
    found = []
    for one, other in combinations(runs, 2):
        both = np.isfinite(one) & np.isfinite(other)
        if both.sum() >= 3:
            found.append(_spearman(one[both], other[both]))
    return float(np.mean(found)) if found else None


def same_tune(pairs: Sequence[tuple[str | None, str | None]]) -> float | None:
    """Return the share of pairs, asked in both orders, whose two answers name the same tune.

    pairs: (answer, answer with the two tunes swapped), each `first` or `second`. None where no pair was answered twice.
    """
    both = [(a, b) for a, b in pairs if a and b]
    return sum(a != b for a, b in both) / len(both) if both else None


def share_first(pairs: Sequence[tuple[str | None, str | None]]) -> float | None:
    """Return the share of answers that are `first`: one half where the judge prefers no position."""
    answers = [answer for pair in pairs for answer in pair if answer]
    return sum(answer == "first" for answer in answers) / len(answers) if answers else None


def checks(
    human: NDArray[np.float64],
    damaged: NDArray[np.float64],
    pairs: Sequence[tuple[str | None, str | None]],
    answered: float,
    seed: int = 0,
) -> list[Check]:
    """Check every criterion. `human` and `damaged` are scores (runs, tunes), NaN where an answer could not be read."""
    a, b = _means(human), _means(damaged)
    area = auc(a, b) if len(a) and len(b) else None
    interval = auc_interval(a, b, seed) if area is not None else None
    again = consistency(np.concatenate([human, damaged], axis=1))
    same, first = same_tune(pairs), share_first(pairs)
    above = area is not None and interval is not None and area >= AUC and interval.low > 0.5
    return [
        Check("answers that can be read", answered, f"{ANSWERED} or more", answered >= ANSWERED),
        Check("human above damaged (AUC)", area, f"{AUC} or more, interval above 0.5", above, interval),
        Check(
            "asked again (rank correlation)", again, f"{CONSISTENT} or more", again is not None and again >= CONSISTENT
        ),
        Check("same tune in both orders", same, f"{SAME_TUNE} or more", same is not None and same >= SAME_TUNE),
        Check(
            "answers `first`",
            first,
            f"{0.5 - FIRST_OFF:.2f} to {0.5 + FIRST_OFF:.2f}",
            first is not None and abs(first - 0.5) <= FIRST_OFF,
        ),
    ]


def is_usable(found: Sequence[Check]) -> bool:
    """Return True if a judge passes every criterion."""
    return all(check.passes for check in found)


def as_record(check: Check) -> dict[str, Any]:
    """Return the checks as JSON-ready dictionaries."""
    record = {"name": check.name, "value": check.value, "wanted": check.wanted, "passes": check.passes}
    return record | ({"low": check.interval.low, "high": check.interval.high} if check.interval else {})


def _means(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the scores of each tune over runs; tunes without a score are left out."""
    some = np.isfinite(runs).any(axis=0)
    return np.nanmean(runs[:, some], axis=0) if some.any() else np.zeros(0)


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the rank correlation, with mean ranks for ties; 0 where one side never varies."""
    one, other = _ranks(a), _ranks(b)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rank the values from 0, ties by their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[place]
