"""The arc of a score with the bundled weights."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect.hearing import score_affect
from symbolic.affect.hearing.note_table import NoteTable, of_abc
from symbolic.errors import UserError
from tests.symbolic.affect.affect_files import HAPPY, SAD


def test_fast_major_is_more_pleasant_and_excited_than_slow_minor() -> None:
    happy, sad = score_affect.score_arc(of_abc(HAPPY)), score_affect.score_arc(of_abc(SAD))
    assert happy.mean[0] > sad.mean[0] + 0.1
    assert happy.mean[1] > sad.mean[1] + 0.3
    assert (happy.unit, len(happy.at)) == ("bars", 24)
    assert np.all(np.array(happy.low) <= happy.points) and np.all(happy.points <= np.array(happy.high))


def test_deviations_have_no_level_of_their_own() -> None:
    table = of_abc(HAPPY)
    found = score_affect.deviations(table, score_affect.bundled().deviation)
    assert found.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_kinds_of_texture() -> None:
    assert score_affect.level_kind(of_abc(HAPPY)) == "melody"
    generator = np.random.default_rng(0)
    onset = np.sort(generator.uniform(0, 60, 300))
    ones = np.ones(300)
    played = NoteTable(
        onset, 2 * ones, generator.integers(40, 80, 300), 80 * ones.astype(int), np.arange(31.0) * 2, 120 * np.ones(30)
    )
    assert score_affect.level_kind(played) == "untimed"
    arc = score_affect.score_arc(played)
    assert "without tempo" in " ".join(arc.record["remarks"])


def test_top_line_is_the_highest_note_of_each_chord() -> None:
    line = score_affect.top_line(of_abc("X:1\nM:4/4\nL:1/4\nK:C\n[CEG]2 [DFA]2|c4|\n"))
    assert line.pitch.tolist() == [67, 69, 72]


def test_strange_music_is_said_to_be_strange() -> None:
    whistle = "X:1\nM:4/4\nL:1/32\nQ:1/4=300\nK:C\n" + "c'''d'''^c'''b''" * 40 + "|\n"
    assert score_affect.score_arc(of_abc(whistle)).record["domain"] == "out"


def test_one_note_is_refused() -> None:
    with pytest.raises(UserError, match=r"8 notes and .* in the score: 1,"):
        score_affect.score_arc(of_abc("X:1\nM:4/4\nL:1/4\nK:C\nC4|\n"))


def test_other_weights_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as weights"):
        score_affect.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "X:1\nM:4/4\nL:1/8\nK:none\n" + "C^F=B_e|^ga'_D=G|" * 6 + "\n",  # atonal, no tempo
        "X:1\nM:none\nL:1/4\nK:C\n" + "CDEF GABc" * 6 + "\n",  # no bar lines
        "X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\nCDEF|z4|z4|z4|GABc|\n",  # silent bars
    ],
)
def test_odd_music_has_an_arc_of_finite_values(text: str) -> None:
    found = score_affect.score_arc(of_abc(text))
    assert np.isfinite(found.points).all() and np.abs(found.points).max() <= 1


@pytest.mark.slow
def test_two_hours_of_music_are_heard() -> None:
    found = score_affect.score_arc(of_abc("X:1\nM:4/4\nL:1/2\nQ:1/4=60\nK:C\n" + "C2|E2|G2|E2|" * 450 + "\n"))
    assert found.record["end_seconds"] == 7200 and len(found.at) == 1800
