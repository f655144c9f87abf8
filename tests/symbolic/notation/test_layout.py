"""ABC for people: beams by the meter, and what the user wrote."""

import pytest

from symbolic.notation.abc_parser import canonical, parse, pretty


@pytest.mark.parametrize(
    ("metre", "music"),
    [
        ("6/8", "FG| BAF G2A| BAF G2:|"),  # only the pick-up is counted from its end
        ("6/8", "BAF G2:|"),
        ("2/4", "|: e| ge ec| ge e2||"),
        ("4/4", "| GA| BA GA Bc d2| BA GA B2||\ncd| ed cB A2|1 GA B2:|2 GA B4|]"),
        ("6/8", "A| BAF G2:: FG| BAF G2|]"),
    ],
)
def test_beams_of_short_bars(metre: str, music: str) -> None:
    laid = pretty(canonical(parse(f"M:{metre}\nL:1/8\nK:G\n{music}\n")))
    assert laid.split("K:G\n")[1] == music + "\n"
