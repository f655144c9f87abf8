"""The verb view: a page of any file, several files on one, what cannot be shown is named."""

from pathlib import Path

import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.formats.convert import to_abc
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.view import viewed_tunes
from symbolic.notation import abc_parser

TUNE = "X:1\nT:One\nM:4/4\nL:1/8\nK:G\nGABc dedB|G8|]\n"


def test_every_kind_on_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = abc_parser.parse(TUNE)
    (tmp_path / "a.abc").write_text(TUNE + "\nX:2\nT:Bad\nK:C\nCDE§\n\nX:7\nT:Two\nM:3/4\nL:1/4\nK:C\nCDE|]\n")
    (tmp_path / "b.mid").write_bytes(to_midi(score))
    (tmp_path / "c.musicxml").write_text(to_musicxml(score))
    names = [str(tmp_path / name) for name in ("a.abc", "b.mid", "c.musicxml")]
    assert main("symbolic", VERBS, ["view", *names, "-o", str(tmp_path / "all.html")]) == 0
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert page.count('<article class="tune"') >= 4 and "asks nothing of the network" in page
    assert "tune 2" in capsys.readouterr().err
    assert main("symbolic", VERBS, ["view", names[0], "--tune", "7"]) == 0
    one = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert one.count('<article class="tune"') == 1 and "Two" in one


def test_what_is_shown_is_what_convert_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text(TUNE)
    (viewed,) = viewed_tunes(path)
    assert viewed.abc == to_abc(abc_parser.parse(TUNE)) and viewed.name == "a"


def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.abc").write_text(TUNE)
    (tmp_path / "empty.abc").write_text("hello\n")
    assert main("symbolic", VERBS, ["view", str(tmp_path / "a.abc"), "-o", str(tmp_path / "a.doc")]) == 2
    assert main("symbolic", VERBS, ["view", str(tmp_path / "a.txt")]) == 2
    assert main("symbolic", VERBS, ["view", str(tmp_path / "empty.abc")]) == 1
    assert "holds no tune" in capsys.readouterr().err
