"""w: lines under notes, after the examples of ABC 2.1, section 5.1."""

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.reading.lyric_lines import lyric_text, syllables
from symbolic.notation.score import Note


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("syll-a-ble", ["syll-", "a-", "ble"]),
        ("syll-a--ble", ["syll-", "a-", "_", "ble"]),
        ("time__ on * the~one", ["time", "_", "_", "on", "", "the one"]),
        ("a|b well\\-known", ["a", "|", "b", "well‑known"]),
    ],
)
def test_signs(text: str, expected: list[str]) -> None:
    assert syllables(text) == expected


def test_verses_and_bars() -> None:
    score = parse("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\nw: one two | three\nw: ein- *-ne\nc2z2|\nw: last too many\n")
    notes = [event for event in score.voices[0].events if isinstance(event, Note)]
    assert [note.syllables for note in notes] == [
        ("one", "ein-"),
        ("two", ""),
        ("", "_"),
        ("", "ne"),
        ("three",),
        (),
        (),
        (),
        ("last",),
    ]
    assert score.losses == {"syllable without a note (w:)": 2}
    assert lyric_text(notes[:8], 0) == "one two * * three"


def test_a_field_goes_on() -> None:
    score = parse("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\nw: a b c\n+:d\n")
    assert [event.syllables for event in score.voices[0].events if isinstance(event, Note)] == [
        ("a",),
        ("b",),
        ("c",),
        ("d",),
    ]


def test_a_field_of_words_alone_goes_on() -> None:
    """Words after `+:` are no prose, also below the tune."""
    head = "X:1\nT:A title\n+:of two lines\nM:4/4\nL:1/4\nK:C\n"
    body = "CDEF|GABc|]\nw: one two three\n+: four five\nN:A note\n+:that goes on\n\nW:words below\n+:the tune\n"
    score = parse(head + body)
    syllables_of = [event.syllables for event in score.voices[0].events if isinstance(event, Note)]
    assert syllables_of == [("one",), ("two",), ("three",), ("four",), ("five",), (), (), ()]
    assert [score.fields[letter] for letter in "TNW"] == [
        ["A title of two lines"],
        ["A note that goes on"],
        ["words below the tune"],
    ]
    assert not score.losses
