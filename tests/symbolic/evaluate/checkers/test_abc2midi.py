"""A second opinion: what abc2midi says of right and wrong tunes, and that it can do no harm."""

from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.evaluate.checkers import abc2midi
from symbolic.evaluate.checkers.abc2midi import Opinion, abc2midi_opinions, normalise, read_abc2midi

pytestmark = pytest.mark.skipif(abc2midi.abc2midi_path() is None, reason="abc2midi is not installed")
HEADER = "M:4/4\nL:1/8\nK:G\n"


@pytest.mark.parametrize(
    ("music", "n_errors", "n_bar_warnings"),
    [
        ("c8|d8|e8|\n", 0, 0),
        ("G|c8|d8|e7:|\n", 0, 0),
        ("c8|d7|e8|\n", 0, 1),
        ("c8|d9|e8|\n", 0, 1),
        ("c8|d4-e4|f8|\n", 1, 0),  # a tie to another note
        ("c8|Hd8|e8|\n", 0, 0),  # a fermata does not lengthen the bar
        ('"Am"c8|"G7"d8|e6|]\n', 0, 0),  # nor is an accompaniment too long
    ],
)
def test_hand_worked_opinions(music: str, n_errors: int, n_bar_warnings: int) -> None:
    opinion = abc2midi_opinions([HEADER + music])[0]
    assert (len(opinion.errors), len(opinion.bar_warnings)) == (n_errors, n_bar_warnings)
    assert opinion.is_right == (not n_errors and not n_bar_warnings)


def test_a_tune_is_judged_by_itself() -> None:
    """Its neighbours in a batch do not matter."""
    right, wrong = HEADER + "c8|d8|e8|\n", HEADER + "c8|(3d(3|[[[\n"
    assert abc2midi_opinions([wrong, right, wrong, right]) == [
        abc2midi_opinions([one])[0] for one in [wrong, right] * 2
    ]


def test_only_notation_is_handed_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret.abc"
    secret.write_text("X:1\nK:C\nQQQ\n")
    text = (
        f"X:9\nT:title\n%%abc-include {secret}\nI:abc-include {secret}\nM:4/4\nK:C\nc8|[I:MIDI program 1]d8|%x\nw:la\n"
    )
    assert normalise(text) == "X:1\nM:4/4\nK:C\nc8|d8|\n"


@pytest.mark.parametrize("text", ["", "\x00\xff", "K:", "M:0/0\nK:C\n" + "(9" * 9000, "é" * 1000, "[" * 100_000])
def test_anything_gets_an_opinion(text: str) -> None:
    assert isinstance(abc2midi_opinions([text])[0], Opinion)


def test_reading_what_was_printed() -> None:
    printed = (
        "5.02 abc2midi\nError in line-char 5-3 : nested tuples\nWarning in line-char 5-9 : Slur within slur\n"
        "Warning in line-char 5-1 : Track 0 Bar 1 has 7/2 time units while the time signature has 4 in repeat\n"
    )
    opinion = read_abc2midi(printed)
    assert opinion.errors == ("nested tuples",) and opinion.warnings == ("Slur within slur",)
    assert len(opinion.bar_warnings) == 1


def test_without_abc2midi_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abc2midi, "abc2midi_path", lambda: None)
    with pytest.raises(UserError, match="pip install symusic"):
        abc2midi_opinions([HEADER])[0]
