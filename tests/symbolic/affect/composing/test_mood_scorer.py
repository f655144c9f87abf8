"""The scorer that plans music."""

import numpy as np

from symbolic.affect.composing import mood_scorer
from symbolic.affect.hearing import note_table, quadrant_model, score_affect, score_features
from tests.symbolic.affect.affect_files import HAPPY, SAD


def test_its_opinions_are_those_of_its_two_models() -> None:
    table = note_table.of_abc(HAPPY)
    features = score_features.piece_features(table)
    level = score_affect.bundled().level(features, "melody" if table.is_melody else "full")[0]
    own = [level, quadrant_model.planning().points(features)[0]]
    assert np.allclose(mood_scorer.bundled().opinions(table), own)


def test_the_glad_lies_above_the_sad() -> None:
    glad, sad = (mood_scorer.bundled().opinions(note_table.of_abc(text)) for text in (HAPPY, SAD))
    assert (glad > sad).all()


def test_what_plans_and_what_measures_learnt_from_different_songs() -> None:
    planning, measuring = quadrant_model.planning().record, quadrant_model.bundled().record
    assert planning["songs"] == "planning half" and measuring["songs"] == "measuring half"
    assert planning["sources"][0]["sha256"] != measuring["sources"][0]["sha256"]
