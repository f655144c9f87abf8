"""A story whose mood follows a plan."""

import re

import numpy as np
import pytest

from symbolic.affect import arc_measures
from symbolic.affect.story import story_choice, story_grammar, story_plan
from tests.symbolic.affect.story.test_story_plan import GLAD_SAD_GLAD

STORY = story_choice.write_story(story_plan.plan_of(GLAD_SAD_GLAD))


def test_the_story_follows_the_arc_by_both_readers() -> None:
    arcs = STORY.section_arcs()
    for name in ("planned", "measured"):
        assert arc_measures.correlation(arcs["target"][:, 0], arcs[name][:, 0]) > 0.7
        assert arcs[name][1, 0] < min(arcs[name][0, 0], arcs[name][2, 0])


def test_sentences_do_not_repeat_and_keep_the_cast() -> None:
    assert len(set(STORY.sentences)) == len(STORY.sentences)
    assert sum(STORY.cast.hero in text for text in STORY.sentences) >= 2
    assert STORY.text.count("\n\n") == 2 and STORY.text.split()[0] == STORY.sentences[0].split()[0]


def test_a_change_of_situation_is_told_as_a_turn() -> None:
    turns = {frame.text for frame in story_grammar.phrases().tales[STORY.cast.tale]["turn"]}
    starts = [re.escape(text).replace(r"\{", "{").replace(r"\}", "}") for text in turns]
    patterns = [re.sub(r"\{\w+\}", ".+", text) for text in starts]
    for number in (1, 2):
        first = STORY.of_section(number)[0]
        assert any(re.fullmatch(pattern, first) for pattern in patterns), first


def test_sentences_stand_in_the_music_s_time() -> None:
    starts = STORY.starts()
    assert starts == sorted(starts) and starts[0] == 0 and starts[-1] == 72
    assert len(starts) == len(STORY.sentences) + 1
    for number, section in enumerate(STORY.plan.sections):
        first = STORY.section_of.index(number)
        assert starts[first] == pytest.approx(section.start)


def test_the_same_seed_is_the_same_story_and_another_another() -> None:
    plan = story_plan.plan_of(GLAD_SAD_GLAD)
    assert story_choice.write_story(plan).text == STORY.text != story_choice.write_story(plan, 1).text


def test_the_record_holds_what_chose_and_what_measured() -> None:
    record = STORY.record()
    assert record["chosen_by"] != record["measured_by"]
    assert np.shape([section["measured"] for section in record["sections"]]) == (3, 2)
    assert [line["text"] for section in record["sections"] for line in section["sentences"]] == list(STORY.sentences)
