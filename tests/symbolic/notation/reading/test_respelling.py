"""Accidentals as canonical text needs them."""

from symbolic.notation.abc_parser import canonical, parse, performance
from symbolic.notation.reading.respelling import respell
from symbolic.notation.score import Bar, Note
from symbolic.notation.theory import Key, Pitch


def test_an_accidental_is_written_once_and_taken_back() -> None:
    events = [Note((Pitch("F", 4, None, midi),), 1, 1) for midi in (66, 66, 65)]
    mixed = [events[0], events[1], events[2], Bar("|"), Note((Pitch("F", 4, None, 65),), 1, 1)]
    respell(mixed, Key("C"))
    assert [e.pitches[0].accidental for e in mixed if isinstance(e, Note)] == [1, None, 0, None]


def test_a_key_of_its_own_sounds_as_before() -> None:
    score = parse("X:1\nM:none\nL:1/8\nK:D ^g^a\nGA|=GA|G\n")
    assert [sound.midi for sound in performance(score)] == [68, 70, 67, 70, 68]
    assert [sound.midi for sound in performance(parse(canonical(score)))] == [68, 70, 67, 70, 68]
