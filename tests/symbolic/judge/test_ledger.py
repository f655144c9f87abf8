"""Answers come back after a restart; a line cut short is asked again; another question is another name."""

from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.judge.chat import Reply
from symbolic.judge.ledger import Ledger, request_name

ANSWER = Reply("seven – “fine”", 120, 8)


def test_an_answer_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "answers" / "ledger.jsonl"
    ledger = Ledger(path)
    assert len(ledger) == 0 and ledger.get("a") is None and not path.exists()
    ledger.add("a", ANSWER, 1.23456)
    ledger.add("b", Reply("no", 1, 2), 0.5)
    again = Ledger(path)
    assert len(again) == 2 and again.get("a") == ANSWER and again.get("b") == Reply("no", 1, 2)


def test_a_last_line_cut_short_is_left_out_and_taken_off_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).add("a", ANSWER, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"request": "b", "te')
    again = Ledger(path)
    assert len(again) == 1 and again.get("b") is None and path.read_bytes() == whole
    again.add("b", ANSWER, 1.0)
    assert len(Ledger(path)) == 2


@pytest.mark.parametrize("line", ["{}", "[1]", "not JSON", '{"request": "a", "text": "x", "prompt_tokens": "many"}'])
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).add("a", ANSWER, 1.0)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"ledger\.jsonl:2"):
        Ledger(path)


def test_what_an_answer_depends_on_is_in_its_name() -> None:
    message = [{"role": "user", "content": "How is this?"}]
    name = request_name({"model": "m", "temperature": 0.5}, "rubric", message, 0)
    assert name == request_name({"temperature": 0.5, "model": "m"}, "rubric", message, 0)  # whatever the order
    others = {
        request_name({"model": "m", "temperature": 0.6}, "rubric", message, 0),
        request_name({"model": "m", "temperature": 0.5}, "another", message, 0),
        request_name({"model": "m", "temperature": 0.5}, "rubric", [*message, *message], 0),
        request_name({"model": "m", "temperature": 0.5}, "rubric", message, 1),
    }
    assert len(others) == 4 and name not in others
