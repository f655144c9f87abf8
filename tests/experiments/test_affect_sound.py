"""The experiment on sound."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from audio_bridge.affect import sound_training
from benchmarks import result_file
from experiments import affect_sound
from symbolic.affect.labels.rated_items import RatedSet
from tests.audio_bridge.affect.test_sound_training import sounds


def test_floors_stand_beside_the_model_and_strangers_are_heard() -> None:
    heard = sounds()
    targets = np.array([sound.target for sound in heard])
    found = affect_sound.level_predictions(heard)
    errors = {name: np.abs(predicted - targets).mean() for name, predicted in found.items()}
    assert errors["13 features"] < errors["mean of the others"]
    assert affect_sound.heard_by_strangers(heard, heard[:4]).shape == (4, 2)


def test_other_instruments_and_another_font_stand_beside_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, asked = sounds(), []

    def played(rated: RatedSet, soundfont: Path | None, program: int | None, jobs: int) -> object:
        asked.append((soundfont, program))
        return [sound for sound in heard if sound.item in rated.items]

    monkeypatch.setattr(sound_training, "played_scores", played)
    recorder = result_file.Recorder("affect_sound")
    rated = RatedSet("vgmidi", tuple(sound.item for sound in heard), "")
    args = Namespace(others=10, soundfont=Path("other.sf2"), jobs=1)
    affect_sound.stranger_rows(recorder, heard, rated, args)
    assert {row["of"] for row in recorder.rows} == {"the same pieces", *affect_sound.OTHERS, "another SoundFont"}
    assert asked == [(None, program) for program in affect_sound.OTHERS.values()] + [(Path("other.sf2"), None)]
