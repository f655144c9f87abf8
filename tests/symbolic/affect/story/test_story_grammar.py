"""The writer of stories that needs no model."""

import random
import re
from dataclasses import replace

import pytest

from symbolic.affect.story import story_grammar

MOODS = ("Q0", "Q1", "Q2", "Q3", "Q4")
PARTS = ("opening", "turn", "middle", "ending")
TALES = tuple(story_grammar.phrases().tales)
CAST = story_grammar.cast_of(5)


def test_every_part_of_every_tale_has_frames_of_every_mood_and_every_slot_has_a_list() -> None:
    phrases = story_grammar.phrases()
    known = {*CAST.words(), *phrases.lists}
    assert len(TALES) > 1 and set(phrases.places) == set(TALES)
    for tale, parts in phrases.tales.items():
        assert set(parts) == set(PARTS), tale
        for part, frames in parts.items():
            assert {frame.mood for frame in frames} == set(MOODS), (tale, part)
            for frame in frames:
                assert set(re.findall(r"\{(\w+)\}", frame.text)) <= known, frame
        assert sum(len(frames) for frames in parts.values()) >= 100, tale


@pytest.mark.parametrize("tale", TALES)
def test_a_turn_leads_from_every_situation_into_every_other_mood(tale: str) -> None:
    turns = story_grammar.phrases().tales[tale]["turn"]
    for situation in "TDG":
        for mood in MOODS:
            assert len([frame for frame in turns if frame.mood == mood and situation in frame.after]) >= 2


@pytest.mark.parametrize("tale", TALES)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("mood", MOODS)
def test_candidates_are_whole_sentences_of_the_cast(part: str, mood: str, tale: str) -> None:
    cast = replace(CAST, tale=tale)
    found = story_grammar.candidates(part, mood, cast, 20, random.Random(1))
    assert len({candidate.text for candidate in found}) == len(found) > 1
    for candidate in found:
        assert re.fullmatch(r"[A-Z\"“].*[.!?\"]", candidate.text) and "{" not in candidate.text
        assert not re.search(r"\ba [aeio]", candidate.text), candidate.text
    others = {person.split("|")[0] for person in story_grammar.phrases().lists["people"]} - {cast.hero, cast.friend}
    assert not any(name in candidate.text for candidate in found for name in others)


def test_the_friend_comes_back_only_after_having_been_away() -> None:
    returns = {frame.text for frame in story_grammar.phrases().tales["sea"]["turn"] if frame.after == "DG"}
    cast = replace(CAST, tale="sea")
    at_home = story_grammar.candidates("turn", "Q1", cast, 20, random.Random(2), after="T")
    from_danger = story_grammar.candidates("turn", "Q1", cast, 20, random.Random(2), after="D")
    assert not {candidate.frame for candidate in at_home} & returns
    assert {candidate.frame for candidate in from_danger} <= returns


def test_the_cast_is_a_woman_and_a_man_of_a_tale() -> None:
    people = dict(person.split("|") for person in story_grammar.phrases().lists["people"])
    casts = [story_grammar.cast_of(seed) for seed in range(40)]
    assert {cast.tale for cast in casts} == set(TALES)
    for cast in casts:
        assert {people[cast.hero], people[cast.friend]} == {"she", "he"} and people[cast.hero] == cast.pronoun
        assert cast.words()["friend_his"] == ("his" if cast.pronoun == "she" else "her")
