"""Training of the second scorer."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect.hearing import quadrant_model
from symbolic.affect.labels import rating_sets
from symbolic.affect.labels.rated_items import RatedItem
from symbolic.affect.learning import quadrant_training, score_training
from symbolic.affect.learning.score_training import HeardScore
from tests.symbolic.affect.affect_files import write_vgmidi


def _clips(scores: list[HeardScore]) -> list[HeardScore]:
    """The rated scores as clips of a quadrant each."""
    found = []
    for number, score in enumerate(scores):
        high = (score.item.target[0] > 0, score.item.target[1] > 0)
        name = {(True, True): "Q1", (False, True): "Q2", (False, False): "Q3", (True, False): "Q4"}[high]
        item = RatedItem(score.item.id, f"song {number}", quadrant=name)
        found.append(HeardScore(item, score.features, score.melody_features, score.bars, score.ratings))
    return found


def test_quadrants_are_learnt_and_brought_to_the_rated_scale(tmp_path: Path) -> None:
    _, rated = rating_sets.load(f"vgmidi:{write_vgmidi(tmp_path, 20)}")
    scores = score_training.heard_scores(rated)
    clips = _clips(scores)
    model = quadrant_training.train(clips, scores, {"sources": []})
    targets = np.array([score.item.target for score in scores])
    points = model.points(np.stack([score.features for score in scores]))
    assert points.mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=1e-6)
    assert np.corrcoef(points[:, 0], targets[:, 0])[0, 1] > 0.7
    quadrant_model.save(model, tmp_path / "q.safetensors")
    assert quadrant_model.load(tmp_path / "q.safetensors").points(scores[0].features) == pytest.approx(
        points[:1], abs=1e-4
    )
    assert quadrant_training.areas_out_of_fold(clips, 4)["valence"] > 0.7


def test_every_song_is_whole_in_one_half(tmp_path: Path) -> None:
    _, rated = rating_sets.load(f"vgmidi:{write_vgmidi(tmp_path, 12)}")
    clips = _clips(score_training.heard_scores(rated)) * 2
    one, other = quadrant_training.halves(clips)
    songs = [{clip.item.group for clip in half} for half in (one, other)]
    assert len(one) + len(other) == len(clips) and songs[0] and songs[1] and not songs[0] & songs[1]
