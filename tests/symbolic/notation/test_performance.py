"""Playing order: repeats, endings, parts, jumps; what sounds and when."""

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.performance import performance


def names(body: str, **options: bool) -> str:
    """The pitches that a body in C major plays, as letters (all inside one octave)."""
    letters = dict(zip((60, 62, 64, 65, 67, 69, 71), "CDEFGAB"))
    return "".join(letters[s.midi] for s in performance(parse(f"X:1\nM:none\nL:1/8\nK:C\n{body}"), **options))


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("CD:|EF:|", "CDCDEFEF"),
        ("C|:D:|E", "CDDE"),
        ("|:C|1D:|2E|]", "CDCE"),
        ("|:C|1D:|2E:|3F|]", "CDCECF"),
        ("|:C|1,2D:|3E|]", "CDCDCE"),
        ("C::D::E:|", "CCDDEE"),
        ("|:C|1D:|2E||F:|", "CDCEF"),  # the last pass is over, and no |: opens another
        ("|:C|1D:|2E|:F:|", "CDCEFF"),
        ("|:C|1D:|E:|", "CDCEE"),
        ("C|1D|2E", "CD"),
    ],
)
def test_repeats(body: str, played: str) -> None:
    assert names(body) == played


def test_repeats_can_be_left_out() -> None:
    assert names("CD:|EF:|", repeats=False) == "CDEF"


def test_absurd_endings_do_not_multiply() -> None:
    assert len(performance(parse("X:1\nM:none\nL:1/8\nK:C\n|:C|1-999999999D:|\n"))) == 32
