"""Symbols of ABC: what is a decoration, a chord of old, a line end, a reserved sign."""

import pytest

from symbolic.notation.reading.lexer import lex, matches, prepared


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("!D.C. al Fine!c", ["decoration", "note"]),
        ("c!GAB!d", ["note", "space", "note", "note", "note", "space", "note"]),  # two line ends of abc2win
        ("!ff!c!5!d", ["decoration", "note", "decoration", "note"]),
        ("+trill+c+ff+d", ["decoration", "note", "decoration", "note"]),
        ("+ceg+ +^CE2+2", ["old_chord", "space", "old_chord"]),
        ("C#D@E*F", ["note", "space", "note", "space", "note", "space", "note"]),
        ("^/c", ["microtone", "note"]),
        ("A=>B_", ["note", "stray", "broken", "note", "stray"]),
        ("^3^F", ["stray", "note"]),
        ("a&b", ["note", "overlay", "note"]),
    ],
)
def test_kinds(line: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in matches(line)] == kinds
    assert "".join(token.text for token in lex(line)) == line


def test_plain_signs_outside_quotes() -> None:
    assert prepared('A&gt;B ♯f ♭b "B♭&amp;C" c') == 'A>B ^f _b "B♭&C" c'
