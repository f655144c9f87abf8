"""The experiment on sound."""

import numpy as np

from experiments import affect_sound
from tests.audio_bridge.affect.test_sound_training import sounds


def test_floors_stand_beside_the_model_and_strangers_are_heard() -> None:
    heard = sounds()
    targets = np.array([sound.target for sound in heard])
    found = affect_sound.level_predictions(heard)
    errors = {name: np.abs(predicted - targets).mean() for name, predicted in found.items()}
    assert errors["13 features"] < errors["mean of the others"]
    assert affect_sound.heard_by_strangers(heard, heard[:4]).shape == (4, 2)
