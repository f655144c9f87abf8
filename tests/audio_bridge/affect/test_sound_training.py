"""Training of the sound model."""

from pathlib import Path

import numpy as np
import pytest

from audio_bridge.affect import sound_affect, sound_training
from audio_bridge.affect.sound_training import heard_sound
from symbolic.affect.labels.rated_items import RatedItem
from tests.audio_bridge.affect.test_sound_features import chord


def sounds(n: int = 16) -> list[sound_training.HeardSound]:
    """Chords whose valence follows the mode and whose arousal follows the beat."""
    found = []
    for i in range(n):
        glad, fast = i % 2 == 0, i // 2 % 2 == 0
        target = (0.3 if glad else -0.3, 0.4 if fast else -0.4)
        samples = chord((60 + i % 5, (64 if glad else 63) + i % 5, 67 + i % 5), 8.0, 4.0 if fast else 1.0)
        arc = np.array([target, target]) + np.array([[-0.05, -0.05], [0.05, 0.05]])
        item = RatedItem(f"s{i}", f"g{i % 4}", target, arc=arc, at=np.array([0.0, 8.0]))
        found.append(heard_sound(item, samples, item.at))
    return found


def test_level_is_learnt_with_groups_apart_and_kept(tmp_path: Path) -> None:
    heard = sounds()
    predicted = sound_training.level_out_of_fold(heard)
    targets = np.array([sound.target for sound in heard])
    assert np.corrcoef(predicted[:, 0], targets[:, 0])[0, 1] > 0.8
    assert np.corrcoef(predicted[:, 1], targets[:, 1])[0, 1] > 0.8
    model = sound_training.train(heard, {"sources": []})
    sound_affect.save(model, tmp_path / "s.safetensors")
    again = sound_affect.load(tmp_path / "s.safetensors")
    assert again.level.predict(heard[0].features) == pytest.approx(model.level.predict(heard[0].features), abs=1e-4)


def test_ratings_are_brought_to_the_windows_that_they_cover() -> None:
    arc = np.array([[0.0, 0.0], [1.0, 1.0]])
    item = RatedItem("a", "a", (0.5, 0.5), arc=arc, at=np.array([4.0, 8.0]))
    heard = heard_sound(item, chord((60, 64, 67), 12.0), item.at)
    assert heard.ratings[0, 0] == pytest.approx(0.0) and heard.ratings[-1, 0] == pytest.approx(1.0)
    assert len(heard.rows) == len(heard.ratings) < 9  # what lies outside 4 to 10 s was not rated
