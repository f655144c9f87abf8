"""The writer of stories that needs no model."""

import random
import re

import pytest

from symbolic.affect.story import story_grammar

MOODS = ("Q0", "Q1", "Q2", "Q3", "Q4")


def test_every_part_has_frames_of_every_mood_and_every_slot_has_a_list() -> None:
    phrases = story_grammar.phrases()
    known = {*story_grammar.cast_of(0).words(), *phrases.lists}
    for part, frames in phrases.frames.items():
        assert {mood for mood, _ in frames} == set(MOODS), part
        for _, frame in frames:
            assert set(re.findall(r"\{(\w+)\}", frame)) <= known, frame
    assert sum(len(frames) for frames in phrases.frames.values()) >= 100


@pytest.mark.parametrize("part", ["opening", "turn", "middle", "ending"])
@pytest.mark.parametrize("mood", MOODS)
def test_candidates_are_whole_sentences_of_the_cast(part: str, mood: str) -> None:
    cast = story_grammar.cast_of(5)
    found = story_grammar.candidates(part, mood, cast, 20, random.Random(1))
    assert len({candidate.text for candidate in found}) == len(found) > 3
    for candidate in found:
        assert re.fullmatch(r"[A-Z\"“].*[.!?\"]", candidate.text) and "{" not in candidate.text
        assert not re.search(r"\ba [aeio]", candidate.text), candidate.text
    others = {person.split("|")[0] for person in story_grammar.phrases().lists["people"]} - {cast.hero, cast.friend}
    assert not any(name in candidate.text for candidate in found for name in others)


def test_the_cast_is_two_persons() -> None:
    assert all(story_grammar.cast_of(seed).hero != story_grammar.cast_of(seed).friend for seed in range(40))
