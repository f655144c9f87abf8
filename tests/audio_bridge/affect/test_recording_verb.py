"""The verb `affect` of recordings."""

import json
from pathlib import Path

import numpy as np
import pytest

from audio_bridge.__main__ import VERBS
from audio_bridge.affect import sound_affect, sound_training
from audio_bridge.affect.sound_features import RATE
from audio_bridge.sound.audio import Audio, write_audio
from symbolic.command_line import main
from tests.audio_bridge.affect.test_sound_features import chord
from tests.audio_bridge.affect.test_sound_training import sounds


def _affect(*arguments: str) -> int:
    return main("audio_bridge", VERBS, ["affect", *arguments])


def _written(path: Path, samples: np.ndarray) -> str:
    write_audio(Audio(samples[None], RATE), path)
    return str(path)


def test_a_recording_ends_in_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _written(tmp_path / "a.wav", chord((60, 64, 67), 12.0))
    weights = tmp_path / "sound-va.safetensors"
    sound_affect.save(sound_training.train(sounds(), {"sources": []}), weights)
    assert _affect(path, "--json", "--model", str(tmp_path)) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["unit"] == "seconds" and record["at"] == [float(i) for i in range(8)]
    assert len(record["valence"]) == len(record["arousal"]) == len(record["low"]) == 8
    assert record["domain"] in ("in", "out") and record["scale"] == "signed"


@pytest.mark.parametrize(("seconds", "gain", "message"), [(2.0, 1.0, "4 s are the least"), (6.0, 0.0, "is silent")])
def test_silence_and_a_moment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: float, gain: float, message: str
) -> None:
    path = _written(tmp_path / "a.wav", chord((60,), seconds) * np.float32(gain))
    assert _affect(path) == 1
    assert message in capsys.readouterr().err


def test_what_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp3").write_bytes(b"hello")
    assert _affect(str(tmp_path / "a.mp3")) in (1, 2) and "a.mp3" in capsys.readouterr().err
    assert _affect("train") == 2


def test_weights_are_trained_from_a_rated_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static = tmp_path / "static_annotations.csv"
    rows = ["song_id, valence_mean, arousal_mean"]  # DEAM's names begin with a blank
    for i in range(8):
        third = 64 if i % 2 else 63
        write_audio(Audio(chord((60, third, 67), 6.0, 4.0 if i < 4 else 1.0)[None], RATE), tmp_path / f"{i}.wav")
        rows.append(f"{i}, {6 if i % 2 else 4}, {7 if i < 4 else 3}")
    static.write_text("\n".join(rows) + "\n")
    assert _affect("train", "--data", f"deam-static:{tmp_path}", "-o", str(tmp_path / "w")) == 0
    assert "songs apart" in capsys.readouterr().out
    assert _affect(str(tmp_path / "1.wav"), "--json", "--model", str(tmp_path / "w")) == 0
    assert json.loads(capsys.readouterr().out)["valence"][0] > 0
