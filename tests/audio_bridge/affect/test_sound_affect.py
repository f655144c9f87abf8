"""The arc of a recording."""

import numpy as np
import pytest

from audio_bridge.affect import sound_affect, sound_training
from audio_bridge.affect.sound_features import RATE
from symbolic.errors import UserError
from tests.audio_bridge.affect.test_sound_features import chord
from tests.audio_bridge.affect.test_sound_training import sounds


def test_an_arc_has_a_point_a_second_and_bounds() -> None:
    model = sound_training.train(sounds(), {"sources": []})
    samples = np.concatenate([chord((60, 64, 67), 8.0, 4.0), chord((60, 63, 67), 8.0, 1.0)])
    found = sound_affect.sound_arc(samples, model)
    assert found.unit == "seconds" and found.at == tuple(float(i) for i in range(13))
    assert found.end == pytest.approx(16, abs=0.3)
    assert np.mean(found.points, axis=0) == pytest.approx(found.record["level"], abs=0.02)
    assert all(low[0] <= v <= high[0] for low, v, high in zip(found.low, found.valence, found.high))


def test_noise_is_told_to_be_unlike_what_was_rated() -> None:
    model = sound_training.train(sounds(), {"sources": []})
    noise = np.random.default_rng(0).normal(0, 0.1, 8 * RATE).astype(np.float32)
    found = sound_affect.sound_arc(noise, model)
    assert found.record["domain"] == "out" and any("unlike" in remark for remark in found.record["remarks"])


def test_silence_is_refused() -> None:
    with pytest.raises(UserError, match="silent"):
        sound_affect.sound_arc(np.zeros(10 * RATE, np.float32), sound_training.train(sounds(), {"sources": []}))
