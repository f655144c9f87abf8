"""The chooser: human melodies are liked, three notes to and fro are not."""

import random

import pytest

from audio_bridge.lyrics.setting import melody_chooser
from symbolic.notation.abc_parser import melody, parse

# Traditional tunes, as most people sing them.
AULD = "M:4/4\nL:1/8\nK:F\nC2|F3F F2A2|G3F G2A2|F3F A2c2|d6d2|c3A A2F2|G3F G2A2|F3D D2C2|F6|]"
WATER = "M:4/4\nL:1/8\nK:C\nG2|c4 c2d2|e4 d2c2|d4 A4|z4 c2d2|e4 e2f2|g4 e2c2|d6 c2|d6 ef|g4 g2f2|e4 d2c2|A4 G4|c6|]"
TO_AND_FRO = [62, 64] * 14 + [60, 62]  # what version 0.1 chose for its own example


def _pitches(text: str) -> list[int]:
    return [midi for midi, _ in melody(parse(text))]


def test_features_by_hand() -> None:
    found = dict(zip(melody_chooser.FEATURES, melody_chooser.features([60, 62, 60, 60, 67])))
    assert found["distinct pitches"] == 3 and found["range"] == 7
    assert found["repeated notes"] == 1 / 4 and found["steps"] == 2 / 4 and found["leaps"] == 1 / 4
    assert found["to and fro"] == 1 / 3 and found["commonest pair"] == 2 / 4 and found["commonest pitch"] == 3 / 5
    assert found["turns"] == 1


def test_songs_of_people_are_liked_and_noise_and_monotony_are_not() -> None:
    human = max(melody_chooser.unlikeness(_pitches(text)) for text in (AULD, WATER))
    assert human < 1.0 < melody_chooser.unlikeness(TO_AND_FRO)
    rng = random.Random(0)
    noise = [rng.choice((53, 55, 57, 58, 60, 62, 64, 65, 67, 69, 70, 72)) for _ in range(32)]
    assert melody_chooser.unlikeness(noise) > human


def test_a_chorus_should_lie_above_its_verse() -> None:
    verse = _pitches(AULD)
    higher, lower = [p + 4 for p in verse], [p - 4 for p in verse]
    cost = melody_chooser.section_cost
    assert cost([verse, higher], ["verse", "chorus"]) == pytest.approx(melody_chooser.unlikeness(verse))
    assert cost([verse, lower], ["verse", "chorus"]) > cost([verse, higher], ["verse", "chorus"])


def test_norms_are_means_and_covariance_of_the_beginnings() -> None:
    made = melody_chooser.norms([_pitches(AULD), _pitches(WATER)])
    first = (melody_chooser.features(_pitches(AULD)[:32]) + melody_chooser.features(_pitches(WATER)[:32])) / 2
    assert made["mean"] == pytest.approx(list(first), abs=1e-5) and len(made["covariance"]) == len(first)
