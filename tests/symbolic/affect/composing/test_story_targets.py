"""From sentences to targets for music."""

import numpy as np
import pytest

from symbolic.affect.composing import story_targets

STORY = (
    "The morning was bright and the happy children laughed and sang in the garden. It was a wonderful day. "
    "Then a terrible storm broke over the village and everyone was afraid! The bridge fell and two men died. "
    "In the quiet evening she sat alone by the window. The house was still and dark and she wept."
)


def test_sections_hold_every_sentence_once_in_order() -> None:
    found = story_targets.story_sections(STORY)
    assert " ".join(section.text for section in found) == STORY
    assert sum(section.share for section in found) == pytest.approx(1)


def test_the_glad_part_is_asked_gladder_than_the_terrible_one() -> None:
    found = story_targets.story_sections(STORY)
    assert len(found) >= 3
    assert found[0].target[0] > min(section.target[0] for section in found) + 0.2
    assert all(np.abs(section.target).max() <= story_targets.FARTHEST for section in found)


def test_one_sentence_is_one_section() -> None:
    assert len(story_targets.story_sections("They were happy and danced all night.")) == 1
