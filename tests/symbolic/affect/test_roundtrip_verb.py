"""The verb `roundtrip`."""

import json
from pathlib import Path

import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from tests.symbolic.affect.composing.test_melody_pool import TUNE
from tests.symbolic.affect.composing.test_story_targets import STORY


def test_a_story_s_round_trip_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.txt").write_text(STORY)
    (tmp_path / "t.abc").write_text(TUNE)
    options = ["--tunes", str(tmp_path / "t.abc"), "--bars", "4", "--json", "-o", str(tmp_path / "out")]
    assert main("symbolic", VERBS, ["roundtrip", str(tmp_path / "s.txt"), *options]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["leg"] for row in rows] == ["half way", "and back"]
    assert {"r", "ccc", "constant", "reversed", "shuffles beaten", "other arcs"} <= rows[0].keys()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"story.txt", "music.abc", "roundtrip.json"}


def test_a_key_of_one_s_own_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("symbolic", VERBS, ["roundtrip", "x.txt", "--key", "G"]) == 2
    assert "leave out" in capsys.readouterr().err
