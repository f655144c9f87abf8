"""music21's opinion of bars, and disagreements with ours."""

import random
from collections.abc import Sequence

import pytest

from symbolic.errors import UserError
from symbolic.evaluate.checkers import agreement
from symbolic.evaluate.checkers.abc2midi import Opinion
from symbolic.evaluate.report import tables
from symbolic.notation.validity import check

HEAD = "M:4/4\nL:1/4\nK:C\n"


def row(text: str) -> dict[str, object]:
    found = check(text)
    return {"is_right": found.is_right, "reason": found.reason, "n_full": found.n_full, "n_bars": found.n_bars}


@pytest.mark.slow
def test_bars_by_hand() -> None:
    cases = {
        "CDEF|CDEF|CDEF|CDEF|": 0,
        "C|CDEF|CDEF|CDE:|C|CDEF|CDEF|CDE:|": 0,  # pick-ups and what they take
        "CDEF|CDEF|CD|1EF:|2EF|]": 0,  # an ending inside a bar
        "CDEF|CDE|CDEF|CDEF|": 1,
        "CDEF|CDEFG|CDEF|CDEF|": 1,
        "CDEF|[M:3/4]CDE|CDE|CDE|": 0,
    }
    found = agreement.music21_opinions([HEAD + music for music in cases])
    assert [len(one.bar_warnings) for one in found] == list(cases.values()) and not any(one.errors for one in found)


@pytest.mark.slow
def test_what_no_parser_reads_is_an_error_of_that_tune_alone(real_tunes: list[str]) -> None:
    some = random.Random(0).sample(real_tunes, 2)
    found = agreement.music21_opinions([some[0], "X:1\nK:C\n", "\0", some[1]])
    assert len(found) == 4 and not found[0].errors and not found[3].errors


def test_disagreements_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [HEAD + "CDEF|CDEF|CDEF|CDEF|", HEAD + "CDEF|CDE|CDEF|CDEF|", "no tune"]

    def content(texts: Sequence[str]) -> list[Opinion]:
        return [Opinion() for _ in texts]

    def absent(texts: Sequence[str]) -> list[Opinion]:
        raise UserError("abc2midi is not installed.")

    monkeypatch.setattr(agreement, "music21_opinions", content)
    monkeypatch.setattr(agreement, "abc2midi_opinions", absent)
    found = agreement.compare(texts, [row(text) for text in texts], [4, 7, 9])
    assert found["programs"]["abc2midi"] == {"not_run": "abc2midi is not installed."}
    assert found["programs"]["music21"]["share_agreeing"] == pytest.approx(1 / 3)
    assert found["disagreements"] == [
        {"tune": 7, "ours": "3 of 4 bars full", "music21": "right"} | {"ours": found["disagreements"][0]["ours"]},
        {"tune": 9, "ours": "no_key", "music21": "right"},
    ]
    shown = "".join(map(tables.console, agreement.tables_of(found)))
    assert "abc2midi is not installed." in shown and "Where they disagree" in shown and "no_key" in shown


def test_a_child_that_dies_costs_one_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third tune kills the child after the answers before it."""

    def child(tunes: Sequence[str]) -> list[Opinion]:
        return [Opinion()] * min(len(tunes), 2)

    monkeypatch.setattr(agreement, "_child", child)
    found = agreement.music21_opinions(["x"] * 8)
    assert [bool(one.errors) for one in found] == [False, False, True] * 2 + [False, False]
