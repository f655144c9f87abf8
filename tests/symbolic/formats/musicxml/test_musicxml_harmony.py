"""Chord symbols of MusicXML: kinds, texts, degrees, transposition."""

from xml.etree.ElementTree import fromstring

import pytest

from symbolic.formats.musicxml.musicxml_harmony import chord_text, no_chord


def harmony(root: str, kind: str, more: str = "", text: str = "") -> str:
    alter = f"<root-alter>{root.count('#') - root.count('b')}</root-alter>"
    shown = f' text="{text}"' if text else ""
    return f"<harmony><root><root-step>{root[0]}</root-step>{alter}</root><kind{shown}>{kind}</kind>{more}</harmony>"


DEGREE = "<degree><degree-value>9</degree-value><degree-alter>1</degree-alter><degree-type>add</degree-type></degree>"
BASS = "<bass><bass-step>G</bass-step></bass>"


@pytest.mark.parametrize(
    ("xml", "letters", "semitones", "text"),
    [
        (harmony("C", "major"), 0, 0, "C"),
        (harmony("Bb", "minor-seventh"), 0, 0, "Bbm7"),
        (harmony("F#", "half-diminished"), 0, 0, "F#m7b5"),
        (harmony("C", "dominant", DEGREE), 0, 0, "C7#9"),
        (harmony("C", "major", BASS), 0, 0, "C/G"),
        (harmony("C", "none"), 0, 0, ""),
        (harmony("C", "minor-major"), 0, 0, ""),  # no kind of MusicXML's
        (harmony("A", "other", text="sus4"), 0, 0, "Asus4"),
        (harmony("D", "major"), -1, -2, "C"),  # a clarinet in B flat
        (harmony("C", "minor"), -1, -2, "Bbm"),
        (harmony("E", "major"), -2, -3, "C#"),  # a clarinet in A
        ("<harmony><kind>major</kind></harmony>", 0, 0, ""),
    ],
)
def test_chord_symbols(xml: str, letters: int, semitones: int, text: str) -> None:
    assert chord_text(fromstring(xml), letters, semitones) == text


def test_where_no_chord_is_played_it_is_said() -> None:
    assert [event.text for event in no_chord(fromstring(harmony("C", "none")))] == ["^N.C."]
    assert [event.text for event in no_chord(fromstring(harmony("C", "none", text="tacet")))] == ["^tacet"]
    assert not list(no_chord(fromstring('<harmony><kind text="">none</kind></harmony>')))
