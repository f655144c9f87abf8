"""The verb `soundtrack`."""

import json
from pathlib import Path

import pytest

from audio_bridge.__main__ import VERBS
from audio_bridge.sound.audio import read_wav
from symbolic.command_line import main
from tests.audio_bridge.affect.test_soundtrack import TEXT
from tests.symbolic.affect.composing.test_melody_pool import TUNE


def _soundtrack(*arguments: str) -> int:
    return main("audio_bridge", VERBS, ["soundtrack", *arguments])


def test_a_story_is_played_with_stems_and_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.txt").write_text(TEXT)
    (tmp_path / "t.abc").write_text(TUNE)
    out = tmp_path / "o.wav"
    options = ["--tunes", str(tmp_path / "t.abc"), "--bars", "2", "--stems", "--json"]
    assert _soundtrack(str(tmp_path / "s.txt"), "-o", str(out), *options) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads(out.with_suffix(".json").read_text())
    assert read_wav(out).seconds == pytest.approx(record["seconds"], abs=0.01)
    assert (tmp_path / "o-melody.wav").exists() and out.with_suffix(".abc").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "o.ogg"], ".wav"),
        (["-o", "o.wav", "--instruments", "piano"], "name two"),
        (["-o", "o.wav", "--instruments", "piano,nonsense"], "nonsense"),
    ],
)
def test_wrong_options(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.txt").write_text(TEXT)
    assert _soundtrack("s.txt", *options) in (1, 2)
    assert message in capsys.readouterr().err and not list(tmp_path.glob("o.*"))
