"""Melodies to choose from."""

import pytest

from symbolic.affect.composing import melody_pool
from symbolic.affect.composing.arrangement import section_bars
from symbolic.errors import UserError
from symbolic.notation import abc_parser

TUNE = "X:1\nT:x\nM:4/4\nL:1/8\nK:D\nA2|d2fd a2fa|g2bg f2ag|e2gf edcB|A2ce d4|\n"
MINOR = TUNE.replace("K:D", "K:Em")


def test_the_first_full_bars_are_taken_and_the_pick_up_left_out() -> None:
    found = melody_pool.first_bars(TUNE, 2)
    assert found is not None and found.endswith("d2fda2fa|g2bgf2ag|\n")
    assert melody_pool.first_bars(TUNE, 5) is None


def test_tunes_in_another_metre_or_mode_are_not_used() -> None:
    assert len(melody_pool.of_tunes([TUNE, MINOR, TUNE.replace("4/4", "2/4")], bars=4)) == 1
    with pytest.raises(UserError, match="none of the 1 tunes"):
        melody_pool.chosen("gpt2-6m", [MINOR], 4, bars=4)


def test_given_tunes_need_no_model() -> None:
    found = melody_pool.chosen("no such model", [TUNE], 4, bars=4)
    assert [line.source for line in found] == ["tune 1"]


def test_a_pick_up_that_completes_the_last_bar_makes_it_full() -> None:
    text = abc_parser.canonical(abc_parser.parse("X:1\nM:4/4\nL:1/8\nK:D\nA2|d2fd a2fa|g2bg f2ag|A2ce d2:|\n"))
    assert melody_pool.without_pick_up(text).endswith("K:D\nd2fda2fa|g2bgf2ag|A2ced4:|\n")
    longer = abc_parser.canonical(abc_parser.parse(TUNE))
    assert melody_pool.without_pick_up(longer) == longer
    assert melody_pool.without_pick_up("no tune") == "no tune"


@pytest.mark.parametrize("meter", ["4/4", "6/8"])
def test_the_model_that_is_taken_by_default_writes_sections(meter: str) -> None:
    found = melody_pool.drawn(melody_pool.DEFAULT_MODEL, 2, bars=4, meter=meter)
    assert found and all(len(section_bars(line.text)) == 4 for line in found)
