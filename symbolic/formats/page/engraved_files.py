"""Sheets of scores as .svg, .pdf or .png: engraved by verovio, put on pages and into pixels by typst.

Both come with the extra `engraving`: verovio (verovio.org, LGPL-3.0) reads the score's MusicXML and draws SVG; typst
(typst.app, Apache-2.0) makes PDF and PNG of it. Pages of PDF are A4, in portrait; pictures are as wide, and as high as
their music.
"""

import base64
import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from symbolic import files
from symbolic.errors import UserError
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation.score import Score
from symbolic.notation.theory import NotationError

WIDTH, HEIGHT = 2100, 2970  # of A4, in tenths of a millimetre
OPTIONS = {"pageWidth": WIDTH, "pageHeight": HEIGHT, "scale": 100, "unit": 7.0, "breaks": "auto", "xmlIdSeed": 1}
OPTIONS |= {"footer": "none", "svgViewBox": True, "justifyVertically": False}
PPI = 150.0  # dots an inch of PNG


def write_sheets(scores: Sequence[Score], target: Path) -> list[Path]:
    """Write the sheets of the scores to one .pdf, or to a .svg or .png for each page, numbered where there are several.

    Raises UserError where the extra is not installed or a score cannot be engraved.
    """
    kind = target.suffix.lower().lstrip(".")
    pages = [page for score in scores for page in sheets(score, is_picture=kind != "pdf")]
    if kind == "pdf":
        files.write_whole(target, _on_pages(pages, "pdf"))
        return [target]
    contents: Sequence[str | bytes] = pages if kind == "svg" else [_on_pages([page], "png") for page in pages]
    several = len(contents) > 1
    written = []
    for number, content in enumerate(contents, start=1):
        path = target.with_name(f"{target.stem}-{number}{target.suffix}") if several else target
        files.write_whole(path, content)
        written.append(path)
    return written


def sheets(score: Score, *, is_picture: bool = False) -> list[str]:
    """The pages of a score as SVG, each of A4's size; those of a picture end below their music. Raises UserError."""
    verovio = _needed("verovio")
    try:
        document = _with_credits(to_musicxml(score), score)
    except NotationError as error:
        raise UserError(f"{score.title or 'the tune'} cannot be engraved: {error}") from error
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(OPTIONS | {"adjustPageHeight": is_picture})
    if not toolkit.loadData(document):
        raise UserError(f"{score.title or 'the tune'} cannot be engraved: verovio does not read it.")
    return [toolkit.renderToSVG(number) for number in range(1, toolkit.getPageCount() + 1)]


def _with_credits(document: str, score: Score) -> str:
    """MusicXML with title and composer as words on the first page, which is where verovio looks for both."""
    composer = ", ".join(score.fields.get("C", []))
    words = [("title", score.title or "untitled", "center")]
    words += [("composer", composer, "right")] if composer else []
    credits = "".join(
        f'<credit page="1"><credit-type>{kind}</credit-type><credit-words justify="{side}" halign="{side}" '
        f'valign="top">{escape(text)}</credit-words></credit>'
        for kind, text, side in words
    )
    return document.replace("<part-list>", credits + "<part-list>", 1)


def _on_pages(pages: Sequence[str], kind: str) -> bytes:
    """SVG pages as one PDF, or one page as PNG."""
    typst = _needed("typst")
    with tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(pages):
            Path(folder, f"{number}.svg").write_text(_without_gaps(page), encoding="utf-8")
            _write_font(page, Path(folder, "music.ttf"))
        height, page = ("100%", 'paper: "a4"') if kind == "pdf" else ("auto", "width: 210mm, height: auto")
        images = [f'#image("{number}.svg", width: 100%, height: {height})' for number in range(len(pages))]
        text = f"#set page({page}, margin: 0pt, fill: white)\n" + "\n#pagebreak()\n".join(images)
        source = Path(folder, "sheets.typ")
        source.write_text(text, encoding="utf-8")
        return bytes(typst.compile(str(source), format=kind, ppi=PPI, font_paths=[folder]))


def _without_gaps(page: str) -> str:
    """A page without the blanks between its elements, which typst takes for the text that a place belongs to."""
    return re.sub(r">\s+<", "><", re.sub(r'<title class="labelAttr">[^<]*</title>', "", page))


def _write_font(page: str, path: Path) -> None:
    """The music font that a page carries for signs among words, as a font that typst reads."""
    packed = re.search(r"@font-face\s*{[^}]*?base64,([A-Za-z0-9+/=]+)", page)
    if packed is None or path.exists():
        return
    fonts = _needed("fontTools.ttLib")
    _needed("brotli")  # unpacks WOFF2
    font = fonts.ttLib.TTFont(io.BytesIO(base64.b64decode(packed[1])))
    font.flavor = None
    font.save(path)


def _needed(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(
            f"sheets need {name.partition('.')[0]}: pip install 'abc-symbolic[engraving]'; -o PAGE.html needs nothing."
        ) from error
