"""Chord symbols and progressions as people write them."""

import pytest

from symbolic.errors import UsageError
from symbolic.notation.chord_symbols import key_of_chords, parse_chord, parse_progression, roman_chord, root_name
from symbolic.notation.theory import Key, parse_key


@pytest.mark.parametrize(
    ("text", "classes", "family"),
    [
        ("C", (0, 4, 7), ""), ("F#m", (6, 9, 1), "m"), ("Bb7", (10, 2, 5, 8), "7"), ("Am7", (9, 0, 4, 7), "m"),
        ("B°", (11, 2, 5), "dim"), ("Dmin", (2, 5, 9), "m"), ("Gsus", (7, 0, 2), ""), ("E♭maj7", (3, 7, 10, 2), ""),
    ],
)  # fmt: skip
def test_symbols(text: str, classes: tuple[int, ...], family: str) -> None:
    chord = parse_chord(text)
    assert chord is not None and chord.classes == classes and chord.family == family


def test_a_slash_names_the_bass_and_words_are_no_chords() -> None:
    chord = parse_chord("C/E")
    assert chord is not None and (chord.root, chord.bass) == (0, 4)
    assert [parse_chord(word) for word in ("Fine", "H", "D.C.", "", "Verse", "G/x")] == [None] * 6


def test_progressions() -> None:
    assert parse_progression("| Am | F | C G | % |") == [["Am"], ["F"], ["C", "G"], ["C", "G"]]
    assert parse_progression("Am | F\nC | G7 ||") == [["Am"], ["F"], ["C"], ["G7"]]
    for wrong, message in (("", "empty"), ("| Am | H |", "'H' is not a chord"), ("| % | C |", "none")):
        with pytest.raises(UsageError, match=message):
            parse_progression(wrong)


def test_roman_numerals_are_spelled_in_the_key() -> None:
    names = [roman_chord(numeral, parse_key("G")) for numeral in ("I", "vi", "V7", "bVII", "IVmaj7", "ii")]
    assert names == ["G", "Em", "D7", "F", "Cmaj7", "Am"]
    assert [roman_chord(numeral, parse_key("Am")) for numeral in ("i", "bVI", "bVII", "V7")] == ["Am", "F", "G", "E7"]
    assert roman_chord("bVI", parse_key("Eb")) is not None


@pytest.mark.parametrize("tonic", ["C", "Eb", "F#", "A", "Db"])
def test_every_root_sounds_where_it_should(tonic: str) -> None:
    for semitones in range(12):
        name = root_name(Key(tonic), semitones)
        if name is not None:
            chord = parse_chord(name)
            assert chord is not None and chord.root == (Key(tonic).tonic_pitch_class + semitones) % 12


@pytest.mark.parametrize(
    ("text", "key"),
    [("C Am F G", "C"), ("Am F C G", "Am"), ("D G A7 D", "D"), ("Em D C B7 Em", "Em"), ("F Bb C F", "F")],
)
def test_the_key_of_a_progression(text: str, key: str) -> None:
    assert key_of_chords(text.split()).text == key
