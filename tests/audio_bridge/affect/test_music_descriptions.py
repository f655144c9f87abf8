"""Plans in words and back."""

import itertools

import pytest

from audio_bridge.affect import music_descriptions
from symbolic.affect.composing.arrangement import CHOICES, Controls


def test_every_plan_is_read_back_as_it_was() -> None:
    for values in itertools.product(*[tuple(choices)[:: max(1, len(choices) // 3)] for choices in CHOICES.values()]):
        controls = Controls(**dict(zip(CHOICES, values)))  # type: ignore[arg-type]
        text = music_descriptions.described(controls, ["sad", "lonely"], ["piano", "cello"])
        found = music_descriptions.understood(text)
        assert found is not None and found.controls == controls
        assert (found.mood, found.instruments) == (("sad", "lonely"), ("piano", "cello"))


@pytest.mark.parametrize("text", ["", "a nice song", "sad music, slow at x bpm"])
def test_other_texts_are_no_plan(text: str) -> None:
    assert music_descriptions.understood(text) is None


def test_mood_words_have_a_place() -> None:
    place = music_descriptions.mood_of(music_descriptions.described(Controls(), ["sad"]))
    assert place is not None and place[0] < 0 and place[1] < 0
