"""Chord symbols: hand-worked cadences, and no note touched in any real tune."""

import random
import re

import pytest

from symbolic.errors import UserError
from symbolic.notation import abc_parser, harmony
from symbolic.notation.theory import parse_key


def test_notes_are_untouched(real_tunes: list[str]) -> None:
    n = 0
    for text in random.Random(0).sample(real_tunes, 24):
        for every in ("bar", "beat"):
            try:
                made = harmony.harmonised(text, every)  # type: ignore[arg-type]
            except UserError:
                continue
            assert harmony.without(made) == harmony.without(text)
            assert abc_parser.canonical(abc_parser.parse(made)) == made
            assert harmony.harmonised(made, every) == made  # type: ignore[arg-type]
            n += '"' in made
    assert n > 25


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "M:3/4\nL:1/8\nK:D\nde|f2fedB|A2AFA2|B2BdB2|A2AFA2|ceABce|d6|]\n",
            'de|"D"f2fedB|A2AFA2|"G"B2BdB2|"D"A2AFA2|"A7"',
        ),
        (
            "M:4/4\nL:1/8\nK:Am\nA2c2e2c2|d2f2a2f2|e2^g2b2^g2|a8|]\n",
            '"Am"A2c2e2c2|"Dm"d2f2a2f2|"E7"e2^g2b2^g2|"Am"a8|]',
        ),
        ("M:4/4\nL:1/8\nK:Ador\nA2c2e2c2|G2B2d2B2|A2c2e2c2|A8|]\n", '"Am"A2c2e2c2|"G"G2B2d2B2|"Am"A2c2e2c2|A8|]'),
        ("M:4/4\nL:1/8\nK:C\nCEGc|:(3GBdfd{e}d2G2|c8:|\n", '"G7"(3GBdfd{e}d2G2|"C"c8:|'),
    ],
)
def test_cadences_by_hand(text: str, expected: str) -> None:
    assert expected in harmony.harmonised(text, "bar")


def test_all_voices_count_and_the_bass_most() -> None:
    """One tune with no bass, over two basses, and with the bass in chords."""
    head = "M:4/4\nL:1/8\nK:C\n"
    alone = "c4e4|c4c4|d4d4|c8|]\n"
    assert chord_names(head + alone) == ["C", "G7", "C"]
    for bass, names in (
        ("C,8|A,,4F,4|G,8|C,8|]\n", ["C", "F", "G", "C"]),
        ("A,8|F,8|G,8|A,8|]\n", ["Am", "F", "G", "Am"]),
    ):
        voices = head + f"V:1\nV:2 clef=bass\nV:1\n{alone}V:2\n{bass}"
        assert chord_names(voices) == names
        assert chord_names(voices.replace(f"V:1\n{alone}V:2\n{bass}", f"V:1\n{bass}V:2\n{alone}")) == names
    assert chord_names(head + "[CGc]4e4|[FAc]4[Fc]4|[GBd]4d4|[CEc]8|]\n") == ["C", "F", "G", "C"]


def chord_names(text: str) -> list[str]:
    return re.findall('"([^"]*)"', harmony.harmonised(abc_parser.canonical(abc_parser.parse(text)), "bar"))


def test_beats_change_inside_a_bar() -> None:
    made = harmony.harmonised("M:4/4\nL:1/8\nK:C\nCEGcGBdB|cGECDFGB|CEGcGBdB|c8|]\n", "beat")
    assert made.splitlines()[3].startswith('"C"CEGc"G7"GBdB|"C"cGEC')


def test_chords_of_keys() -> None:
    in_g = [c.symbol for c in harmony.chords(parse_key("G"))]
    assert in_g[:4] == ["G", "D7", "C", "D"] and {"Am", "Bm", "Em"} <= set(in_g)
    assert [c.symbol for c in harmony.chords(parse_key("Ebm"))][:1] == ["Ebm"]
    assert "E7" in [c.symbol for c in harmony.chords(parse_key("Am"))]
    assert {c.symbol for c in harmony.chords(parse_key("Dmix"))} >= {"D", "Em", "G", "Am", "Bm", "C"}


def test_a_reel_changes_and_twinkle_ends_at_home() -> None:
    twinkle = "M:4/4\nL:1/8\nK:C\nC2C2G2G2|A2A2G4|F2F2E2E2|D2D2C4|G2G2F2F2|E2E2D4|G2G2F2F2|E2E2D4|"
    twinkle += "C2C2G2G2|A2A2G4|F2F2E2E2|D2D2C4|]\n"
    names = re.findall('"([^"]*)"', harmony.harmonised(twinkle))
    assert names[-2:] == ["G7", "C"] and {"C", "F", "G7"} <= set(names)
    reel = "M:4/4\nL:1/8\nK:Edor\n|:E2BEdEBE|E2BEAFDF|E2BEdEBE|BABcdAFD:|\n"
    assert len(re.findall('"([^"]*)"', harmony.harmonised(reel))) >= 3


def test_a_progression_of_one_s_own() -> None:
    text = "M:4/4\nL:1/8\nK:Am\nA8|A4c4|e8|c8||A8|A8|]\n"
    made = harmony.with_progression(text, [["Am"], ["F", "G"]])
    assert made.splitlines()[3] == '"Am"A8|"F"A4"G"c4|"Am"e8|"F"c8||"Am"A8|"F"A8|]'
    assert harmony.without(made) == text


def test_counting_reads_back_the_symbols() -> None:
    score = abc_parser.parse('M:4/4\nL:1/8\nK:C\n"C"C4"F"F4|"G7"B8|"C"c8|]\n')
    assert harmony.symbols_of(score) == ["C", "F", "G7", "C"]
    counts = harmony.count_harmony([score])["major"]
    assert counts.changes["final downbeat"] == {"7:7": {"0:": 1}}
    assert counts.notes["7"][4] > 0  # the B over G7


def test_a_pick_up_alone_has_no_chord() -> None:
    with pytest.raises(UserError, match="no full bar"):
        harmony.harmonised("M:4/4\nL:1/8\nK:C\nGABc\n")
