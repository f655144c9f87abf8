"""Playing order: repeats, endings, parts, jumps; what sounds and when."""

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.performance import performance
from symbolic.notation.theory import TICKS_PER_WHOLE


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
        ("|:C|1D:|2E||F:|", "CDCEFF"),  # goes back to the double bar
        ("|:C|1D:|2E|:F:|", "CDCEFF"),
        ("|:C|1D:|E:|", "CDCEE"),
        ("C|1D|2E", "CDCE"),  # a forgotten :|
        ("C||D:|", "CDD"),
        ("|:C||D:|", "CDCD"),  # a double bar inside |: :|
        ("C|D|]E|F:|", "CDEFEF"),
        ("CD||E|1F:|2G||A|1B:|2C|]", "CDEFEGABAC"),
        ("|:C|1D:|[M:3/4][2E|]", "CDCE"),
        ("|:C|1(D:|)[2E|]", "CDCE"),
        ("|::C::|D", "CCCD"),
        ("|:C:::|D", "CCCCD"),
        ("C:|2D|E", "CCDE"),  # the first time has no ending
        ("C:|D|2E|]", "CCDDE"),  # an ending is this section's only where it follows the repeat at once
        ("|:C|1D:|2E:|", "CDCE"),  # the last ending is closed
        ("|:C|1D:|2E|F|G:|", "CDCEFGEFG"),  # a long one is another section
        ("|:C|1D|2E|]", "CDCE"),
        ("|:C|1,3D:|2E:|4F|]", "CDCECDCF"),
        ("C | 62 | D", "CD"),  # a number that is no ending
        ("C|1.D:|2.E|]", "CDCE"),
        ('C["1"D:|["2"E|]', "CDCE"),
    ],
)
def test_repeats(body: str, played: str) -> None:
    assert names(body) == played


def test_repeats_can_be_left_out() -> None:
    assert names("CD:|EF:|", repeats=False) == "CDEF"


def test_absurd_endings_do_not_multiply() -> None:
    assert len(performance(parse("X:1\nM:none\nL:1/8\nK:C\n|:C|1-999999999D:|\n"))) == 32


def test_a_tie_ends_at_a_rest() -> None:
    """A tie joins notes that follow one another (ABC 2.1, 4.11); after a rest the note is struck anew."""
    unit = TICKS_PER_WHOLE // 8
    for body, sounds in (
        ("C-zC", [(0, 1), (2, 1)]),
        ("C-C", [(0, 2)]),
        ("C-|C2-|C", [(0, 4)]),
        ("C-DC", [(0, 1), (1, 1), (2, 1)]),
    ):
        found = [
            (s.onset_ticks // unit, s.ticks // unit) for s in performance(parse(f"X:1\nM:none\nL:1/8\nK:C\n{body}"))
        ]
        assert found == sounds, body
