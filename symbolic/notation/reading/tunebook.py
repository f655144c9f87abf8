"""From a file to tunes and from a tune to its lines (ABC 2.1, section 2): what is text and what is music.

A tune begins at its X: field and ends at the first empty line after its music. Free text, typeset text (%%begintext),
HTML around a tune and mail signatures are not music; what is left out is counted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_INVISIBLE = re.compile("[\ufeff\x00\x1a\u200b]")  # byte order marks of joined files, DOS ends of files
_FIELD = re.compile(r"[ \t]*([A-Za-z+]):(?![|:])")  # `+:` goes on with the field before it
_HEADER_FIELDS = "MLQRZCOBSDFGHNIUm"
_HTML_END = re.compile(r"</\s*[A-Za-z]+[^>]*>|<(?:pre|html|body|head|table|div|hr|script)\b[^>]*>", re.IGNORECASE)
_HTML_BREAK = re.compile(r"<(?:br|p)\s*/?>|</(?:p|b|i|font|span|a|br|tt|em|strong)\s*>", re.IGNORECASE)
_SOFT_BREAK = re.compile(r"=(?:20)?\r?$", re.MULTILINE)
_SIGNATURE = re.compile(r"--\s*|[-_=*~]{4,}\s*")
_NOT_NOTATION = frozenset("hijklmnopqrstwIJKNQRVWY")  # letters that stand in no music without a U: field
AFTER_TUNE = "line of text after the tune"
INSIDE_TUNE = "line of text inside the tune"


class RawTune(NamedTuple):
    """The text of one tune as found, file-header fields included, and the 1-based line of its X: field."""

    text: str
    line: int


def split_tunes(text: str) -> list[RawTune]:
    """Cut a file into tunes at its X: fields. Fields before the first X: are the file header, inherited by every tune.

    A text without any X: field is one tune if it has a K: field, else there is none.
    """
    lines = _INVISIBLE.sub("", text).splitlines()
    starts = _beginnings(lines)
    if not starts:
        has_key = any(re.match(r"[ \t]*K:", line) for line in lines)
        return [RawTune("\n".join(lines) + "\n", 1)] if has_key else []
    header = [line for line in lines[: starts[0]] if _is_inherited(line)]
    tunes = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = "\n".join(lines[start:end]).rstrip()
        own = _header_letters(lines[start:end])
        inherited = "".join(line + "\n" for line in header if line[0] not in own)
        tunes.append(RawTune(inherited + body + "\n", start + 1 - inherited.count("\n")))
    return tunes


def tune_lines(text: str, first_line: int, losses: Counter[str]) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of what is notation in a tune: fields, directives (%%) and music, comments cut off.

    An empty string is yielded for nothing; what is left out is counted in `losses`.
    """
    block, has_music, ended = "", False, False
    has_key = goes_on = False  # goes_on: the words below the tune may have a line `+:`
    lines = _INVISIBLE.sub("", text).splitlines()
    if _SOFT_BREAK.search(text):
        lines = _without_soft_breaks(lines)
    for number, raw in enumerate(lines, start=first_line):
        if block or (block := _block(raw)):
            block = "" if re.match(rf"%%\s*end{block}", raw) else block
            continue
        line = raw if raw.startswith("%%") or "%" not in raw else _without_comment(raw)
        line, ends_here = _without_html(line.rstrip())
        is_field = _FIELD.match(line) is not None
        if ended:
            goes_on = is_field and (line[0] == "W" or (line[0] == "+" and goes_on))
            if goes_on:
                yield number, line
            elif line.strip() and not line.startswith("%%"):
                losses[AFTER_TUNE] += 1
        elif line.strip() and _SIGNATURE.fullmatch(line.strip()) and has_music:
            ended = True
        elif line.strip() and not is_field and line[0] != "%" and has_key and is_prose(line):
            losses[INSIDE_TUNE] += 1
        elif line.strip():
            has_key = has_key or (is_field and line.lstrip()[0] == "K")
            has_music = has_music or (has_key and not is_field and line[0] != "%")
            yield number, line
        elif not raw.strip():
            ended = has_music
        ended = ended or ends_here


def is_prose(line: str) -> bool:
    """True for a line of words: no bar line, no decoration (!trill!), and most of its words hold letters that no music
    has; a small letter before a note (tD) may be a sign of U:."""
    if "|" in line or re.search(r"!\(?[a-z]{3,20}[()]?!", line):
        return False
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r'"[^"]*"|![^!]*!|\+[a-z]+\+|\[[A-Za-z]:[^\]]*\]', " ", line))
    foreign = [
        sum(letter in _NOT_NOTATION for letter in word) for word in words if not re.fullmatch("[h-w][A-G]", word)
    ]
    n_words = sum(count > 0 for count in foreign)
    return 2 * n_words >= len(words) and (n_words > 1 or max(foreign, default=0) > 2)


def _without_soft_breaks(lines: list[str]) -> list[str]:
    """Lines of music out of a mail in quoted-printable: `=` at the end goes on in the next line, `=20` is a space,
    `=3D` is `=`. As many lines as before; a joined one is a comment."""
    found: list[str] = []
    open_at: int | None = None
    for line in lines:
        is_text = bool(_FIELD.match(line)) or line[:1] in ("%", "") or not line.strip()
        open_at = None if is_text else open_at
        goes_on = not is_text and line.endswith("=")
        if not is_text:
            line = re.sub(r"=(?:20)?$", " " if line.endswith("=20") else "", line).replace("=3D", "=")
        if open_at is not None:
            found[open_at] += line
            found.append("%")
        else:
            found.append(line)
        open_at = (len(found) - 1 if open_at is None else open_at) if goes_on else None
    return found


def _beginnings(lines: list[str]) -> list[int]:
    """The places of X: fields outside typeset text."""
    starts, block = [], ""
    for place, line in enumerate(lines):
        if block or (block := _block(line)):
            block = "" if re.match(rf"%%\s*end{block}", line) else block
        elif re.match(r"[ \t]*X:", line):
            starts.append(place)
    return starts


def _block(line: str) -> str:
    """The kind of block that a line opens (text, ps, svg, ...), or ''."""
    match = re.match(r"%%\s*begin(\w+)", line)
    return match[1] if match else ""


def _is_inherited(line: str) -> bool:
    return line.startswith("%%") or (line[1:2] == ":" and line[0] in _HEADER_FIELDS)


def _header_letters(lines: list[str]) -> set[str]:
    """The letters of the fields up to K:, the end of the header."""
    letters = set()
    for line in lines:
        if match := _FIELD.match(line):
            letters.add(match[1])
            if match[1] == "K":
                break
    return letters


def _without_comment(line: str) -> str:
    """The line up to its comment; `\\%` is a percent sign, and in music without words a line that goes on."""
    if r"\%" in line and not re.search(r'"|\[[A-Za-z]:', line) and not _FIELD.match(line):
        return line.split("%", maxsplit=1)[0]
    return re.split(r"(?<!\\)%", line, maxsplit=1)[0].replace(r"\%", "%")


def _without_html(line: str) -> tuple[str, bool]:
    """The line without tags, and whether one of them ends the tune."""
    if "<" not in line or line.startswith("%%") or _FIELD.match(line):
        return line, False
    line = _HTML_BREAK.sub(" ", line)
    match = _HTML_END.search(line)
    return (line[: match.start()], True) if match else (line, False)
