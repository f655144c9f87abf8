"""Sheets by the extra `engraving`: every note is drawn, files are what their names say, a missing extra is told."""

import re
import sys
from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.formats.page.engraved_files import sheets, write_sheets
from symbolic.notation.abc_parser import parse

TUNE = "X:1\nT:A tune\nC:Me\nM:4/4\nL:1/8\nK:G\nV:1\n|:GABc (3dedB2 [GB]2|1 G8:|2 B8|]\nV:2 clef=bass\nG,8|G,8|G,8|]\n"


@pytest.fixture
def verovio() -> None:
    pytest.importorskip("verovio")
    pytest.importorskip("typst")


def test_every_note_is_drawn(verovio: None) -> None:
    (page,) = sheets(parse(TUNE))
    assert len(re.findall(r'class="note\b', page)) == 10 + 1 + 1 + 3
    assert "A tune" in page and page.startswith("<svg")


def test_long_music_has_several_pages_and_files(verovio: None, tmp_path: Path) -> None:
    long = "X:1\nT:Long\nM:4/4\nL:1/16\nK:C\n" + "cdefgabc'c'bagfedc|" * 120 + "\n"
    written = write_sheets([parse(long)], tmp_path / "a.svg")
    assert len(written) > 1 and written[0].name == "a-1.svg"
    assert sum(len(re.findall(r'class="note\b', path.read_text())) for path in written) == 16 * 120


def test_pdf_and_png(verovio: None, tmp_path: Path) -> None:
    score = parse(TUNE)
    (pdf,) = write_sheets([score, score], tmp_path / "a.pdf")
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", data)) == 2
    (png,) = write_sheets([score], tmp_path / "a.png")
    head = png.read_bytes()[:24]
    assert head.startswith(b"\x89PNG") and abs(int.from_bytes(head[16:20], "big") - 1240) <= 1


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(UserError, match=r"abc-symbolic\[engraving\]"):
        write_sheets([parse(TUNE)], tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


def test_pictures_end_below_their_music_and_name_the_composer(verovio: None, tmp_path: Path) -> None:
    (page,) = sheets(parse(TUNE), is_picture=True)
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', page)[0])
    assert width == 2100 and height < 1000 and ">Me<" in page
    (png,) = write_sheets([parse(TUNE)], tmp_path / "a.png")
    head = png.read_bytes()[:24]
    assert int.from_bytes(head[20:24], "big") < int.from_bytes(head[16:20], "big")
