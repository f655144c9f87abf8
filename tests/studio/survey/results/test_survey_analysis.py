"""Rows to tables: exclusions by rule, tables by hand, and a whole survey of simulated raters."""

import dataclasses

import pytest

from studio.survey.results.answer_rows import AnswerRow
from studio.survey.results.exclusions import excluded_raters
from studio.survey.results.survey_analysis import analyse, matrix_of
from studio.survey.survey_spec import ExclusionRules


def rows(rater: str, values: dict[str, float], **more: object) -> list[AnswerRow]:
    return [
        AnswerRow(rater, clip[0], value, "audio", clip, clip[1:], trial=i, **more)  # type: ignore[arg-type]
        for i, (clip, value) in enumerate(values.items())
    ]


def test_the_matrix_has_a_row_a_rater_and_a_column_a_clip() -> None:
    values, systems, clips = matrix_of(rows("1", {"a1": 1, "b1": 4}) + rows("2", {"b1": 2}))
    assert systems == ["a", "b"] and clips == ["a1", "b1"] and values[0].tolist() == [1, 4] and values[1][1] == 2


def test_each_rule_excludes_whom_it_should() -> None:
    good = {f"a{i}": float(i % 5 + 1) for i in range(10)}
    attentive = [AnswerRow("1", "a", 4, "audio", "a1", kind="attention", expected=4)]
    careless = [AnswerRow("2", "a", 1, "audio", "a1", kind="attention", expected=4)]
    flat = rows("3", dict.fromkeys(good, 3.0))
    unsteady = rows("4", good) + [AnswerRow("4", "a", 5, "audio", "a0", kind="repeat")]
    few = rows("5", dict(list(good.items())[:2]))
    all_rows = rows("1", good) + attentive + rows("2", good) + careless + flat + unsteady + few
    found = excluded_raters(all_rows, ExclusionRules(), dict.fromkeys("12345", 10))
    assert set(found) == {"2", "3", "4", "5"} and "attention" in found["2"] and "one answer" in found["3"]
    lenient = ExclusionRules(False, 100.0, 0.0, 1.0)
    assert excluded_raters(all_rows, lenient, dict.fromkeys("12345", 10)) == {}


def test_practice_repeats_and_attention_never_count() -> None:
    counted = rows("1", {"a1": 2.0, "a2": 4.0}) + rows("2", {"a1": 3.0, "a2": 3.0})
    others = [dataclasses.replace(counted[0], value=5.0, kind=kind) for kind in ("practice", "repeat", "attention")]
    found = analyse(counted + others, rules=ExclusionRules(False, 100.0))
    assert found["all"]["criteria"]["audio"]["systems"]["a"]["mean"] == 3.0 and found["answers"] == 4


def test_human_or_ai_and_preferences() -> None:
    said = [AnswerRow(str(r), "ai", 1.0, "origin", f"x{i}", human=False) for r in range(4) for i in range(5)]
    said += [AnswerRow(str(r), "man", float(r == 0), "origin", f"h{i}", human=True) for r in range(4) for i in range(5)]
    table = analyse(said)["all"]["origin"]
    assert table["systems"]["ai"]["correct"]["share"] == 1.0 and table["systems"]["man"]["correct"]["k"] == 15
    assert table["detection"]["hit_rate"] > 0.95
    preferred = [AnswerRow(str(r), "a", 1.0 if r < 3 else -1.0, "preference", f"c{r}", other="b") for r in range(4)]
    found = analyse(preferred)["all"]["preference"]
    assert found["systems"]["a"]["strength"] == pytest.approx(0.75) and found["pairs"][0]["k"] == 3


def test_abx_counts_what_is_right() -> None:
    answers = [AnswerRow(str(i), "a", float(i % 2), "abx", "c", other="b", expected=1.0) for i in range(10)]
    assert analyse(answers)["all"]["abx"]["all"]["share"] == 0.5
