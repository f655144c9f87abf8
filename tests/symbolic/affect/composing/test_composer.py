"""Music for a text."""

import pytest

from symbolic.affect.composing import composer
from symbolic.errors import UserError
from symbolic.notation import abc_parser
from tests.symbolic.affect.composing.test_melody_pool import TUNE
from tests.symbolic.affect.composing.test_story_targets import STORY


def test_a_story_becomes_a_piece_with_a_section_for_each_mood() -> None:
    made = composer.compose(STORY, tunes=[TUNE], bars=4)
    assert len(abc_parser.bars(abc_parser.parse(made.text).voices[0], abc_parser.parse(made.text).meter)) == 4 * len(
        made.plans
    )
    assert len(made.starts) == len(made.plans) + 1 and made.starts == sorted(made.starts)
    rows = made.record()["sections"]
    assert [row["text"] for row in rows] == [section.text for section in made.sections]
    assert rows[-1]["end"] == pytest.approx(made.starts[-1], abs=1e-3)
    assert {key: arc.shape for key, arc in made.arcs().items()} == dict.fromkeys(
        ("target", "predicted", "measured"), (len(made.plans), 2)
    )


def test_the_same_seed_makes_the_same_piece() -> None:
    one, other = (composer.compose(STORY, tunes=[TUNE], bars=4, seed=3) for _ in range(2))
    assert one.text == other.text and one.midi == other.midi


def test_a_text_in_another_language_is_refused() -> None:
    with pytest.raises(UserError, match="known to the reader"):
        composer.compose("Der Wald stand schwarz und schweiget. Niemand kam vorbei.", tunes=[TUNE], bars=4)
