"""Training on an invented VGMIDI in which valence follows the mode and arousal the tempo."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect import arc_measures
from symbolic.affect.hearing import score_affect
from symbolic.affect.labels.score_ratings import vgmidi
from symbolic.affect.learning import score_training
from tests.symbolic.affect.affect_files import write_vgmidi


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> list[score_training.HeardScore]:
    return score_training.heard_scores(vgmidi(write_vgmidi(tmp_path_factory.mktemp("vgmidi"))))


def test_series_apart_the_rules_of_the_data_are_found(scores: list[score_training.HeardScore]) -> None:
    targets = np.array([score.item.target for score in scores])
    found = arc_measures.agreement(score_training.level_out_of_fold(scores, "full"), targets)
    assert found["valence"]["r"] > 0.9 and found["arousal"]["r"] > 0.9
    assert arc_measures.agreement(score_training.mean_out_of_fold(scores), targets)["valence"]["r"] < 0.1


def test_rising_ratings_are_followed_by_position(scores: list[score_training.HeardScore]) -> None:
    arcs = score_training.deviations_out_of_fold(scores, "position")
    assert arc_measures.within_song(arcs, [score.ratings for score in scores]) == pytest.approx((1, 1), abs=0.02)


def test_a_trained_model_is_saved_and_read(scores: list[score_training.HeardScore], tmp_path: Path) -> None:
    model = score_training.train(scores, {"sources": []})
    score_affect.save(model, tmp_path / "m.safetensors")
    loaded = score_affect.load(tmp_path / "m.safetensors")
    features = score_training.level_features(scores, "full")
    assert loaded.level(features, "full") == pytest.approx(model.level(features, "full"), abs=1e-4)
    assert np.all(loaded.half_width("full") > 0)


def test_shuffling_deals_out_the_same_ratings(scores: list[score_training.HeardScore]) -> None:
    dealt = score_training.shuffled(scores, 1)
    assert sorted(s.item.target for s in dealt) == sorted(s.item.target for s in scores)
    assert [s.item.target for s in dealt] != [s.item.target for s in scores]
