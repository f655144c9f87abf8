"""Rubrics of the package, and answers read strictly."""

from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.judge.rubric import AnswerError, read

GOOD = '{"melody": 7, "rhythm": 1, "form": 10, "overall": 5}'


def test_the_prompt_holds_the_tune_and_nothing_else_is_replaced() -> None:
    system, user = read("tune").messages(tune="X:1\nK:G\n{first} GAB|\n")
    assert system["role"] == "system" and user["role"] == "user"
    assert "X:1\nK:G\n{first} GAB|" in user["content"] and "{tune}" not in user["content"]
    assert '{"melody": N' in user["content"]
    pair = read("pair").messages(first="ONE", second="TWO")[1]["content"]
    assert pair.index("ONE") < pair.index("TWO") and '{"better": "first"}' in pair


@pytest.mark.parametrize("text", [GOOD, f"  {GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```"])
def test_one_object_alone_is_read(text: str) -> None:
    assert read("tune").read_answer(text)["form"] == 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not one JSON object"),
        ("I am sorry, I cannot judge music.", "not one JSON object"),
        (f"Sure! {GOOD}", "not one JSON object"),
        (f"{GOOD} {GOOD}", "not one JSON object"),
        ("[" * 100_000, "not one JSON object"),
        (GOOD.replace("7", "7.5"), "melody is not a whole number"),
        (GOOD.replace("7", '"7"'), "melody is not a whole number"),
        (GOOD.replace("7", "11"), "from 1 to 10"),
        (GOOD.replace("7", "0"), "from 1 to 10"),
        (GOOD.replace("7", "true"), "melody is not a whole number"),
        (GOOD.replace("7", "NaN"), "melody is not a whole number"),
        (GOOD.replace('"melody": 7, ', ""), "not the fields"),
        (GOOD.replace("}", ', "why": "nice"}'), "not the fields"),
        (GOOD.replace('"melody": 7', '"melody": 7, "melody": 7'), "not one JSON object"),
        (f"[{GOOD}]", "not the fields"),
    ],
)
def test_anything_else_is_not_guessed_at(text: str, why: str) -> None:
    with pytest.raises(AnswerError, match=why):
        read("tune").read_answer(text)


def test_a_choice_is_one_of_the_words() -> None:
    assert read("pair").read_answer('{"better": "second"}') == {"better": "second"}
    with pytest.raises(AnswerError, match="not one of first, second"):
        read("pair").read_answer('{"better": "Second"}')


def test_a_rubric_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "swing.md"
    path.write_text(
        "# x\n\n## Scores\n\n- swing: 0 to 3\n\n## System\n\nS\n\n## Prompt\n\nP {tune}\n", encoding="utf-8"
    )
    rubric = read(str(path))
    assert (rubric.name, rubric.scales, rubric.choices) == ("swing", {"swing": (0, 3)}, {})
    assert rubric.digest != read("tune").digest
    path.write_text("## System\n\nS\n", encoding="utf-8")
    with pytest.raises(UserError, match="Scores or Choices, System and Prompt"):
        read(str(path))
    with pytest.raises(UserError, match="name one of pair, tune"):
        read("nothing")
