"""From rows of answers to the tables of a report: all raters, and again after exclusions.

Practice, repeated and attention trials never count. A mean's interval draws raters and clips anew (ratings.py);
differences between systems carry Holm-adjusted p-values over the criteria. Answers of one rater are not independent, so
shares of human-or-AI have, beside Wilson's interval, one that draws raters and clips.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from studio.survey.results import ratings
from studio.survey.results.answer_rows import AnswerRow, raters_of
from studio.survey.results.exclusions import excluded_raters
from studio.survey.survey_spec import ExclusionRules

NOT_SCALES = ("origin", "confidence", "preference", "abx")


def analyse(
    rows: Sequence[AnswerRow],
    *,
    rules: ExclusionRules | None = None,
    planned: Mapping[str, int] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything a report shows, as plain data: `all` and `kept` hold the same tables."""
    reasons = excluded_raters(rows, rules or ExclusionRules(), planned)
    main = [row for row in rows if row.kind == "main"]
    kept = [row for row in main if row.rater not in reasons]
    return {
        "raters": len(raters_of(rows)),
        "simulated": sum({row.rater: row.simulated for row in rows}.values()),
        "answers": len(main),
        "excluded": reasons,
        "all": tables_of(main, seed),
        "kept": tables_of(kept, seed),
    }


def tables_of(rows: Sequence[AnswerRow], seed: int = 0) -> dict[str, Any]:
    """Tables of one selection of rows, by criterion."""
    criteria = list(dict.fromkeys(row.criterion for row in rows))
    scales = [c for c in criteria if c not in NOT_SCALES]
    tables: dict[str, Any] = {
        "criteria": {c: _scale_table([r for r in rows if r.criterion == c], seed) for c in scales}
    }
    tables["differences"] = _differences(rows, scales, seed)
    for name, table in (("origin", _origin_table), ("preference", _preference_table), ("abx", _abx_table)):
        own = [row for row in rows if row.criterion == name]
        if own:
            tables[name] = table(own, seed)
    return tables


def matrix_of(rows: Sequence[AnswerRow]) -> tuple[ratings.Ratings, list[str], list[str]]:
    """(raters, clips) values with NaN where there is none; the system of each clip; the clips. Several answers of a
    rater to one clip are averaged."""
    raters = {rater: i for i, rater in enumerate(raters_of(rows))}
    keys = list(dict.fromkeys((row.label, row.clip or row.item) for row in rows))
    column = {key: i for i, key in enumerate(keys)}
    sums, counts = np.zeros((len(raters), len(keys))), np.zeros((len(raters), len(keys)))
    for row in rows:
        place = raters[row.rater], column[row.label, row.clip or row.item]
        sums[place] += row.value
        counts[place] += 1
    values = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return values, [label for label, _ in keys], [clip for _, clip in keys]


def _scale_table(rows: Sequence[AnswerRow], seed: int) -> dict[str, Any]:
    values, systems, clips = matrix_of(rows)
    means = ratings.system_means(values, systems, seed=seed)
    spread = {name: [row.value for row in rows if row.label == name] for name in means}
    levels = sorted({row.value for row in rows})
    return {
        "systems": {
            name: {
                **asdict(interval),
                "n": len(spread[name]),
                "sd": float(np.std(spread[name], ddof=1)) if len(spread[name]) > 1 else None,
                "standard_error": _standard_error(spread[name]),
                "counts": {f"{level:g}": spread[name].count(level) for level in levels} if len(levels) <= 11 else {},
            }
            for name, interval in means.items()
        },
        "alpha": _number(ratings.krippendorff_alpha(values)),
        "clips": [
            {
                "clip": clip,
                "system": system,
                "mean": _number(float(np.nanmean(column))),
                "n": int(np.isfinite(column).sum()),
            }
            for clip, system, column in zip(clips, systems, values.T, strict=True)
        ],
        "matrix": [[_number(v) for v in row] for row in values],
    }


def _standard_error(values: Sequence[float]) -> float | None:
    """Of the mean of one clip over raters: sd / sqrt(n). Never the standard deviation itself."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _differences(rows: Sequence[AnswerRow], scales: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Every pair of systems on every scale, p-values adjusted by Holm over the scales of a pair."""
    found = []
    labels = list(dict.fromkeys(row.label for row in rows))
    matrices = {c: matrix_of([row for row in rows if row.criterion == c]) for c in scales}
    for one, other in itertools.combinations(labels, 2):
        pairs = []
        for criterion, (values, systems, _) in matrices.items():
            if one in systems and other in systems:
                gap = ratings.difference(values, systems, one, other, seed=seed)
                pairs.append({"criterion": criterion, "one": one, "other": other, **asdict(gap)})
        tested = [pair for pair in pairs if pair["p"] is not None]
        for pair, adjusted in zip(tested, ratings.holm([pair["p"] for pair in tested]), strict=True):
            pair["p_holm"] = adjusted
        found += pairs
    return found


def _origin_table(rows: Sequence[AnswerRow], seed: int) -> dict[str, Any]:
    """Of each system how often it was called AI; how often rightly; d' over all."""
    right = [_with_value(row, float((row.value == 0) == row.human)) for row in rows]
    values, systems, _ = matrix_of(right)
    means = ratings.system_means(values, systems, seed=seed)
    table: dict[str, Any] = {"systems": {}}
    for name, interval in means.items():
        own = [row for row in rows if row.label == name]
        n_right = sum((row.value == 0) == row.human for row in own)
        table["systems"][name] = {
            "human": own[0].human,
            "said_ai": asdict(ratings.wilson(sum(row.value == 1 for row in own), len(own))),
            "correct": asdict(ratings.wilson(n_right, len(own))),
            "correct_two_way": asdict(interval),
        }
    ai, human = ([row for row in rows if row.human is side] for side in (False, True))
    if ai and human:
        found = ratings.detection(sum(r.value == 1 for r in ai), len(ai), sum(r.value == 1 for r in human), len(human))
        table["detection"] = asdict(found)
    return table


def _with_value(row: AnswerRow, value: float) -> AnswerRow:
    return AnswerRow(**{**asdict(row), "value": value})


def _preference_table(rows: Sequence[AnswerRow], seed: int) -> dict[str, Any]:
    """Bradley-Terry strengths with intervals over raters; each pair's share. A value of 1 prefers the row's clip (place
    0), -1 the other, 0 neither."""
    labels = list(dict.fromkeys(name for row in rows for name in (row.system, row.other)))
    wins = _wins(rows, labels)
    strengths, regularised = ratings.bradley_terry(wins)
    intervals = _strength_intervals(rows, labels, seed)
    pairs = []
    for i, j in itertools.combinations(range(len(labels)), 2):
        n = round(wins[i, j] + wins[j, i])
        if n:
            share = ratings.wilson(math.floor(wins[i, j]), n)
            pairs.append({"one": labels[i], "other": labels[j], "wins": wins[i, j], **asdict(share)})
    systems = {
        name: {"strength": float(strengths[i]), "low": intervals[i][0], "high": intervals[i][1]}
        for i, name in enumerate(labels)
    }
    return {"systems": systems, "pairs": pairs, "regularised": regularised}


def _wins(rows: Sequence[AnswerRow], labels: Sequence[str]) -> Any:
    place = {name: i for i, name in enumerate(labels)}
    wins = np.zeros((len(labels), len(labels)))
    for row in rows:
        one, other = place[row.system], place[row.other]
        wins[one, other] += (row.value + 1) / 2
        wins[other, one] += (1 - row.value) / 2
    return wins


def _strength_intervals(
    rows: Sequence[AnswerRow], labels: Sequence[str], seed: int, draws: int = 300
) -> list[tuple[float, float]]:
    """Quantiles of the strengths over raters drawn anew."""
    by_rater = {rater: [row for row in rows if row.rater == rater] for rater in raters_of(rows)}
    tables = np.stack([_wins(own, labels) for own in by_rater.values()])
    rng = np.random.default_rng(seed)
    drawn = [
        ratings.bradley_terry(tables[rng.integers(len(tables), size=len(tables))].sum(axis=0))[0] for _ in range(draws)
    ]
    low, high = np.quantile(np.stack(drawn), (0.025, 0.975), axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _abx_table(rows: Sequence[AnswerRow], seed: int) -> dict[str, Any]:
    """How often X was matched rightly, over all pairs and for each pair of systems."""
    table: dict[str, Any] = {
        "all": asdict(ratings.wilson(sum(r.value == r.expected for r in rows), len(rows))),
        "pairs": [],
    }
    pairs = sorted({tuple(sorted((row.system, row.other))) for row in rows})
    for pair in pairs:
        own = [row for row in rows if tuple(sorted((row.system, row.other))) == pair]
        share = ratings.wilson(sum(row.value == row.expected for row in own), len(own))
        table["pairs"].append({"one": pair[0], "other": pair[1], **asdict(share)})
    return table


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
