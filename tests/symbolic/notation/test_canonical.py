"""One text for equal music: spellings by hand, voices bar by bar, and back again."""

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.canonical import canonical, interleaved

VOICES = "X:1\nM:3/4\nL:1/4\nK:C\nV:1\nCDE|F3|]\nV:2 clef=bass\nC,3|F,3|]\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("C D E F", "CDEF"),
        ("c'' C,,", "c''C,,"),
        ("L:1/4\nC D2", "C2D4"),  # lengths in eighths
        ("A>B", "A3/2B/2"),
        ("C/2 D// E3/2", "C/2D/4E3/2"),
        ("(3CDE", "(3CDE"),
        ("[CE]2 [C2E2]", "[CE]2[CE]2"),
        ("C8 | D8 |]", "C8|D8|]"),
    ],
)
def test_spellings(body: str, line: str) -> None:
    text = canonical(parse(f"X:1\nM:4/4\nL:1/8\nK:C\n{body}\n"))
    assert text == f"M:4/4\nL:1/8\nK:C\n{line}\n"
    assert canonical(parse(text)) == text


def test_voices_stand_one_after_the_other_or_bar_by_bar() -> None:
    score = parse(VOICES)
    head = "M:3/4\nL:1/8\nK:C\nV:1\nV:2 clef=bass\n"
    assert canonical(score) == head + "V:1\nC2D2E2|F6|]\nV:2\nC,6|F,6|]\n"
    assert interleaved(score) == head + "V:1\nC2D2E2|\nV:2\nC,6|\nV:1\nF6|]\nV:2\nF,6|]\n"
    for text in (canonical(score), interleaved(score)):
        assert canonical(parse(text)) == canonical(score)


def test_one_voice_has_one_spelling() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\nC8|]\n")
    assert interleaved(score) == canonical(score) and "V:" not in canonical(score)
