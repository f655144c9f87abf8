"""The second scorer of scores."""

from symbolic.affect.hearing import note_table, quadrant_model
from tests.symbolic.affect.affect_files import HAPPY, SAD


def test_it_tells_the_glad_from_the_sad() -> None:
    glad, sad = (quadrant_model.point_of(note_table.of_abc(text)) for text in (HAPPY, SAD))
    assert glad[0] > sad[0] and glad[1] > sad[1] + 0.2


def test_tempo_fields_alone_do_not_move_it_but_density_does() -> None:
    assert "log_qpm" not in quadrant_model.NAMES and "log_onsets" in quadrant_model.NAMES


def test_its_card_names_its_data() -> None:
    assert {source["name"] for source in quadrant_model.bundled().record["sources"]} >= {"emopia"}
