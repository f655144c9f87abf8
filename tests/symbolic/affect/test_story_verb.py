"""The verb `story`."""

import json
from pathlib import Path

import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from tests.symbolic.affect.affect_files import HAPPY


def _story(*arguments: str) -> int:
    return main("symbolic", VERBS, ["story", *arguments])


def test_a_tune_becomes_a_story_with_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.abc").write_text(HAPPY)
    assert _story(str(tmp_path / "a.abc"), "-o", str(tmp_path / "s.txt"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "s.json").read_text())
    assert record["title"] == "Happy" and "Happy</h1>" in (tmp_path / "s.html").read_text()
    assert (tmp_path / "s.txt").read_text().strip()


def test_the_json_of_a_recording_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = [float(i) for i in range(40)]
    valence = [0.3] * 20 + [-0.2] * 20
    line = json.dumps({"unit": "seconds", "at": at, "valence": valence, "arousal": valence, "end": 43.0})
    (tmp_path / "arc.json").write_text("told first\n" + line + "\n")
    assert _story(str(tmp_path / "arc.json"), "-o", str(tmp_path / "s.txt")) == 0
    assert "43.0 s" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["sections"][-1]["end"] == 43.0


@pytest.mark.parametrize(
    "text", ["", "[]", '{"unit": "seconds"}', '{"unit":"seconds","at":[0],"valence":[7],"arousal":[0],"end":1}',
             '{"unit":"seconds","at":[0,1],"valence":[0],"arousal":[0],"end":1}', '{"unit":"seconds","at":[NaN],'
             '"valence":[0],"arousal":[0],"end":1}'],
)  # fmt: skip
def test_json_that_holds_no_arc(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "arc.json").write_text(text)
    assert _story(str(tmp_path / "arc.json"), "-o", str(tmp_path / "s.txt")) == 1
    assert "holds no arc" in capsys.readouterr().err and not (tmp_path / "s.txt").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "s.html"], "name a .txt file"),
        (["-o", "s.txt", "--sections", "0"], "1 to 9"),
        (["-o", "s.txt", "--endpoint", "http://localhost:1/v1"], "--model NAME"),
        (["-o", "s.txt", "--audio", "a.abc"], "a page plays"),
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
    Path("a.abc").write_text(HAPPY)
    assert _story("a.abc", *options) == 2
    assert message in capsys.readouterr().err and not Path("s.txt").exists()
