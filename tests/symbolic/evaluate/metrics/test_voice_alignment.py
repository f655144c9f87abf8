"""Bars are compared by place: one voice has nothing to compare, a longer or missing bar is counted."""

import pytest

from symbolic.evaluate.metrics.voice_alignment import bars_that_differ
from symbolic.notation.abc_parser import parse


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("C4|D4|E4|]", (3, 0)),
        ("C4|D3|E4|]", (3, 1)),  # shorter
        ("C4|D4|]", (3, 1)),  # a bar is missing
        ("C4|D4|E4|F4|]", (4, 1)),  # one too many
        ("z4|D2 D2|(3E2E2E2|]", (3, 0)),  # as long, in other notes
    ],
)
def test_bars_of_two_voices(second: str, expected: tuple[int, int]) -> None:
    score = parse(f"X:1\nM:4/4\nL:1/4\nK:C\nV:1\nC4|D4|E4|]\nV:2\n{second}\n")
    assert bars_that_differ(score) == expected


def test_one_voice_has_none_to_compare() -> None:
    assert bars_that_differ(parse("X:1\nM:4/4\nL:1/4\nK:C\nC4|D3|]\n")) == (0, 0)
