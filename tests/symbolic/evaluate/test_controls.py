"""Controls keep what they promise to keep."""

import random

from symbolic.evaluate import controls

TUNE = "M:6/8\nL:1/8\nK:Em\nB|EGE GEG|ABA B2:|\n"
MUSIC = "B|EGE GEG|ABA B2:|"


def test_shuffling_keeps_header_and_characters() -> None:
    found = controls.shuffled(TUNE, random.Random(0))
    assert found.startswith("M:6/8\nL:1/8\nK:Em\n") and found != TUNE
    assert sorted(found) == sorted(TUNE)


def test_dropping_takes_its_share() -> None:
    long = TUNE[:-1] + "A" * 10_000 + "\n"
    found = controls.dropped(long, random.Random(0), 0.05)
    assert 0.94 < len(found) / len(long) < 0.96
    assert controls.dropped(TUNE, random.Random(0), 0.0) == TUNE


def test_random_characters_come_from_the_alphabet() -> None:
    letters = controls.alphabet([TUNE])
    assert letters == sorted(set(MUSIC))
    found = controls.random_characters(TUNE, random.Random(0), ["x"])
    assert found == "M:6/8\nL:1/8\nK:Em\n" + "x" * len(MUSIC) + "\n"
