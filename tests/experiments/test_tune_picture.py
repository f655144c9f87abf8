"""The picture of the first page: an SVG file of its own, and the tune that it shows."""

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import symbolic
from experiments import tune_picture
from symbolic.errors import UserError

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def test_picture_is_a_whole_svg_with_notes_of_the_tune_beside_it() -> None:
    root = ElementTree.parse(PICTURES / "tune.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    (score,) = symbolic.read(PICTURES / "tune.abc")
    assert symbolic.check((PICTURES / "tune.abc").read_text(encoding="utf-8")).is_right
    assert score.title == "Jig in D (gpt2-6m, seed 1)"
    assert (PICTURES / "tune.mp3").stat().st_size < 500_000


def test_standalone_has_a_name_space_a_ground_and_no_inherited_colour() -> None:
    made = tune_picture.standalone('<svg width="9"><path fill="currentColor"></path>&nbsp;</svg>')
    assert made.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="9"><rect')
    assert "currentColor" not in made and ElementTree.fromstring(made).tag.endswith("svg")


def test_browser_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="no-such-browser cannot engrave"):
        tune_picture.engraved("X:1\nK:C\nCDEF|]\n", "no-such-browser")


def test_page_without_a_drawing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = subprocess.CompletedProcess([], 0, stdout="<html></html>", stderr="")
    monkeypatch.setattr(tune_picture.subprocess, "run", lambda *_, **__: empty)
    with pytest.raises(UserError, match="drew nothing"):
        tune_picture.engraved("X:1\nK:C\nC|]\n", "chromium")
