"""Each rule leaves out who breaks it and nobody else."""

from dataclasses import replace

import pytest

from studio.survey.results.answer_rows import AnswerRow
from studio.survey.results.exclusions import excluded_raters
from studio.survey.survey_spec import REFERENCE, ExclusionRules

RULES = ExclusionRules()
GOOD = [AnswerRow("good", "a", float(1 + i % 5), clip=f"c{i}", trial=i) for i in range(10)]
ATTENTION = AnswerRow("good", "", 4.0, clip="att", trial=20, kind="attention", expected=4.0)
REPEAT = replace(GOOD[0], kind="repeat", trial=21)
WHOLE = [*GOOD, ATTENTION, REPEAT]


def other_rater(rows: list[AnswerRow]) -> list[AnswerRow]:
    """The rows as those of "bad"."""
    return [replace(row, rater="bad") for row in rows]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*GOOD, replace(ATTENTION, value=2.0), REPEAT], "attention"),
        ([*GOOD[:2], ATTENTION, REPEAT], "fewer than"),
        ([*GOOD, ATTENTION, replace(REPEAT, value=5.0)], "differs by 4.0"),
        ([*(replace(row, value=3.0) for row in GOOD), ATTENTION], "one answer"),
        ([replace(row, criterion="mushra", system=REFERENCE, value=50.0 + row.trial) for row in GOOD], "reference"),
    ],
)
def test_a_broken_rule_is_named(rows: list[AnswerRow], reason: str) -> None:
    found = excluded_raters([*WHOLE, *other_rater(rows)], RULES, {"good": 10, "bad": 10})
    assert found.keys() == {"bad"} and reason in found["bad"]


def test_confidence_on_an_attention_clip_and_anchors_break_no_rule() -> None:
    sure = replace(ATTENTION, criterion="confidence", value=1.0)
    anchors = [
        replace(row, criterion="mushra", system=REFERENCE, control="anchor", value=20.0 + row.trial) for row in GOOD
    ]
    assert excluded_raters([*WHOLE, sure, *anchors], RULES, {"good": 10}) == {}
