"""The verb `affect`."""

import json
from pathlib import Path

import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from tests.symbolic.affect.affect_files import HAPPY


def _affect(*arguments: str) -> int:
    return main("symbolic", VERBS, ["affect", *arguments])


def test_a_score_ends_in_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.abc").write_text(HAPPY)
    assert _affect(str(tmp_path / "a.abc"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["unit"] == "bars" and len(record["at"]) == len(record["valence"]) == len(record["arousal"]) == 24
    assert record["domain"] in ("in", "out") and len(record["low"][0]) == 2


def test_a_text_is_told_sentence_by_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("The sun rose over the sea. Everyone was happy and sang!")
    assert _affect(str(tmp_path / "a.txt")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("valence +") and "The sun rose over the sea." in lines[1]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"\0\1\2binary", "no text file"),
        ("a.wav", b"RIFF", "audio_bridge affect"),
        ("a.jpg", b"x", "name a score"),
        ("a.abc", b"", "holds no tune"),
    ],
)
def test_wrong_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert _affect(str(tmp_path / name)) in (1, 2)
    assert message in capsys.readouterr().err


def test_train_needs_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert _affect("train") == 2
    assert "--data NAME:PATH" in capsys.readouterr().err
