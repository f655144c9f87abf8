"""Macros are written out before the line is read."""

from symbolic.notation.abc_parser import melody, parse
from symbolic.notation.reading.macros import MAX_LINE, Macros

HEADER = "X:1\nM:4/4\nL:1/8\n"


def test_static_macros_and_their_order() -> None:
    score = parse(HEADER + "m:$A = CD\nm:$B=$A EF\nK:C\n$A c2 $A c2|\n")
    assert [midi for midi, _ in melody(score)] == [60, 62, 72, 60, 62, 72]
    assert not score.losses


def test_transposing_macros_move_with_the_note() -> None:
    macros = Macros()
    assert macros.add("~n2 = n{o}n{m}n") and not macros.add("no macro")
    assert macros.applied('~G2 ~c2 ~B,2 "~G2"') == 'G{A}G{F}G c{d}c{B}c B,{C}B,{A,}B, "~G2"'
    assert macros.applied("~b2 ~c'2") == "b{c'}b{a}b c'{d'}c'{b}c'"


def test_macros_that_multiply_stay_small() -> None:
    macros = Macros()
    for _ in range(30):
        macros.add("a = aa")
    assert len(macros.applied("a")) <= MAX_LINE
