"""The verb `compose`."""

import json
from pathlib import Path

import mido
import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from tests.symbolic.affect.composing.test_melody_pool import TUNE
from tests.symbolic.affect.composing.test_story_targets import STORY


def _compose(*arguments: str) -> int:
    return main("symbolic", VERBS, ["compose", *arguments])


def test_a_story_is_written_with_its_plan_and_midi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text(STORY)
    (tmp_path / "b.abc").write_text(TUNE)
    out = tmp_path / "out.abc"
    chosen = ("--tunes", str(tmp_path / "b.abc"), "--bars", "4", "--midi", "--json")
    assert _compose(str(tmp_path / "a.txt"), "-o", str(out), *chosen) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.with_suffix(".plan.json").read_text())
    assert mido.MidiFile(out.with_suffix(".mid")).length > 5
    assert out.read_text().startswith("X:1\n")


@pytest.mark.parametrize(
    ("story", "tunes", "message"),
    [("b.abc", "b.abc", "is music"), ("a.txt", "empty.abc", "holds no tune"), ("short.txt", "b.abc", "has 1 word;")],
)
def test_wrong_files_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], story: str, tunes: str, message: str
) -> None:
    for name, text in (("a.txt", STORY), ("b.abc", TUNE), ("empty.abc", ""), ("short.txt", "Hello")):
        (tmp_path / name).write_text(text)
    out = tmp_path / "out.abc"
    assert _compose(str(tmp_path / story), "-o", str(out), "--tunes", str(tmp_path / tunes), "--bars", "4") in (1, 2)
    assert message in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "a.mid"], "name a .abc file"),
        (["-o", "a.abc", "--bars", "1"], "2 to 32 bars"),
        (["-o", "a.abc", "--key", "Am"], "major key"),
        (["-o", "a.abc", "-n", "0"], "1 to 64"),
    ],
)
def test_wrong_options_write_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.txt").write_text(STORY)
    assert _compose("s.txt", *options) == 2
    assert message in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["s.txt"]
