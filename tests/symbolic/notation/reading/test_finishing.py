"""Names of voices, parts and play orders."""

import pytest

from symbolic.notation.abc_parser import TICKS_PER_WHOLE, parse, performance
from symbolic.notation.reading.finishing import name_voices, tidy
from symbolic.notation.score import Bar, Slur, Voice


def test_long_names_stay_apart() -> None:
    score = parse("X:1\nM:4/4\nK:C\nV:Second_Violin_part_1\nC8|\nV:Second_Violin_part_2\nE8|\nV:Flöte\nG8|\n")
    assert [voice.name for voice in score.voices] == ["1", "2", "3"]
    assert [voice.title for voice in score.voices] == ["Second_Violin_part_1", "Second_Violin_part_2", "Flöte"]
    assert [(sound.onset_ticks, sound.midi) for sound in performance(score)] == [(0, 60), (0, 64), (0, 67)]


def test_a_free_name_is_taken() -> None:
    voices = [Voice("2"), Voice("a b"), Voice("c d")]
    name_voices(voices)
    assert [voice.name for voice in voices] == ["2", "1", "3"]


def test_music_before_the_first_voice_is_its_own() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\nC8|\nV:1\nD8|\nV:2\nz8|E8|\n")
    assert [(s.voice, s.onset_ticks // 40320, s.midi) for s in performance(score)] == [
        (0, 0, 60),
        (0, 1, 62),
        (1, 1, 64),
    ]


@pytest.mark.parametrize(
    ("order", "played"),
    [
        ("AABB", "CCDD"),
        ("A2.B", "CCD"),
        ("(AB)2A", "CDCDC"),
        ("((AB)2A)2", "CDCDCCDCDC"),
        ("AXB", "CD"),
        ("slow", "CD"),
    ],
)
def test_play_orders(order: str, played: str) -> None:
    score = parse(f"X:1\nP:{order}\nM:4/4\nL:1/8\nK:C\nP:A\nC|\nP:B\nD|\n")
    assert "".join({60: "C", 62: "D"}[sound.midi] for sound in performance(score)) == played


def test_parts_hold_for_all_voices() -> None:
    score = parse("X:1\nP:ABA\nM:4/4\nL:1/8\nK:C\nV:1\nP:A\nC8|\nP:B\nD8|\nV:2\nE8|F8|\n")
    assert [sound.midi for sound in performance(score)] == [60, 64, 62, 65, 60, 64]


def test_stray_slurs_go() -> None:
    assert tidy([Bar("|"), Slur(False), Bar("|:")]) == [Bar("|:")]


def test_a_jump_stays_on_its_side_of_a_bar_line() -> None:
    header = "X:1\nM:4/4\nL:1/4\nK:C\nV:1\nV:2\n"
    for body in ("V:1\nCDEF|GABc|!D.C.!E4|]\nV:2\nC4|C4|C4|]\n", "V:1\nCDEF|GABc|E4!D.C.!|]\nV:2\nC4|C4|C4|]\n"):
        score = parse(header + body)
        ends = [max(s.onset_ticks + s.ticks for s in performance(score) if s.voice == voice) for voice in (0, 1)]
        assert ends[0] == ends[1] == 6 * TICKS_PER_WHOLE


@pytest.mark.parametrize(
    ("head", "clef"),
    [("K:C clef=bass", "bass"), ("K:C alto", "alto"), ("K:C perc", "perc"), ("K:C treble-8", "treble-8")]
    + [("V:1 clef=bass\nK:C", "bass"), ("K:C clef=treble", ""), ("K:C", "")],
)
def test_a_single_voice_keeps_its_clef(head: str, clef: str) -> None:
    (voice,) = parse(f"X:1\nM:4/4\nL:1/4\n{head}\nCDEF|\n").voices
    assert (voice.name, voice.clef) == ("", clef)
