"""Kept bars of a tune that is continued: read as the rules have them, or the bar that breaks them named."""

import pytest

from symbolic.decode.editing.kept_bars import automaton_after
from symbolic.errors import UserError

HEAD = "M:6/8\nL:1/8\nK:C\n"


def test_right_bars_are_read_to_their_end() -> None:
    text = HEAD + "A|BcdEFG|ABcdef|"
    assert automaton_after(text).read(text)[1] == len(text)


@pytest.mark.parametrize(
    ("music", "message"),
    [
        ("ABcdef|ABcdefg|", "bar 2 holds 7/8 of 6/8"),
        ("ABcdef|ABc|ABcdef|", "bar 2 holds 3/8 of 6/8"),
        ("A|BcdEFG|ABcde|ABcdef|", "bar 2 holds 5/8 of 6/8"),  # behind a pick-up, which is bar 0
    ],
)
def test_a_bar_of_the_wrong_length_is_named(music: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        automaton_after(HEAD + music)


def test_a_change_of_meter_is_counted_in_the_new_one() -> None:
    with pytest.raises(UserError, match=r"bar 3 holds 6/8 of 4/4"):
        automaton_after(HEAD + "ABcdef|ABcdef|[M:4/4]ABcdef|ABcdefga|")
