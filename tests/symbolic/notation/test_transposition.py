"""Up and down again is the same text; notes, keys and chord symbols move together."""

import random

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.score import melody
from symbolic.notation.theory import Key, NotationError
from symbolic.notation.transposition import transpose, transposed_key

TUNE = 'M:4/4\nL:1/8\nK:G\n"G"G2^c2 =f2|"D7/F#"f4 G4|[K:D]f8|\n'


def test_a_tune_by_hand() -> None:
    assert transpose(TUNE, 2) == 'M:4/4\nL:1/8\nK:A\n"A"A2^d2 =g2|"E7/G#"g4 A4|[K:E]g8|\n'
    assert transpose(TUNE, 0) == TUNE


def test_up_and_down_is_the_same_text_and_every_pitch_moves(real_tunes: list[str]) -> None:
    draw = random.Random(0)
    for text in draw.sample(real_tunes, 60):
        semitones = draw.choice([n for n in range(-5, 6) if n])
        moved = transpose(text, semitones)
        before, after = melody(parse(text)), melody(parse(moved))
        assert after == [(pitch + semitones, ticks) for pitch, ticks in before]
        if parse(moved).key == transposed_key(parse(text).key, semitones):
            assert [pitch for pitch, _ in melody(parse(transpose(moved, -semitones)))] == [pitch for pitch, _ in before]


@pytest.mark.parametrize(
    ("key", "semitones", "expected"),
    [
        ("G", 2, "A"),
        ("Em", 3, "Gm"),
        ("Ador", -2, "Gdor"),
        ("C", 1, "Db"),
        ("C", 6, "F#"),
        ("F", 6, "B"),
        ("Bb", 12, "Bb"),
    ],
)
def test_keys_have_the_fewest_accidentals(key: str, semitones: int, expected: str) -> None:
    tonic = key[:2] if key[1:2] in ("b", "#") else key[0]
    assert transposed_key(Key(tonic, key[len(tonic) :]), semitones).text == expected


def test_a_pitch_beyond_midi_is_refused() -> None:
    with pytest.raises(NotationError) as caught:
        transpose("M:4/4\nL:1/8\nK:C\nc''''''8|\n", 24)
    assert caught.value.reason == "transposition"
