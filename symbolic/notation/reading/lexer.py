"""The symbols of ABC music (ABC 2.1, section 4): the one lexer for every reader of ABC.

A line of music is cut into symbols of the kinds in SYMBOLS. What the standard reserves or ignores (`#`, `*`, `;`, `?`,
`@`, `+`, `y` spacers, `$` and `!` line ends) is read as space, so that the symbols together are the whole line.
"""

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from symbolic.notation.reading.text_strings import decode, without_quoted_umlauts
from symbolic.notation.theory import NotationError

CHORD_SYMBOL = r"[A-G][#b]?(?:maj|min|m|M|dim|aug|sus|add|\+|-|\d|\(|\)|#|b)*(?:/[A-G][#b]?)?"
LENGTH = r"(?:\d{1,7})?(?:/+\d{0,4})?"
_NUMBERS = r"\d+(?:[,.\-]\d+)*(?:\.(?=[ \t]))?"  # of an ending: "1", "1,3", "1-3", and a full stop before a space
_NOTE = rf"(?P<accidental>\^{{1,2}}|_{{1,2}}|=)?(?P<letter>[A-Ga-g])(?P<marks>[,']*)(?P<length>{LENGTH})"
SYMBOLS = (
    ("field", r"\[[A-Za-z]:[^\]]*\]"),
    ("quoted", r'"[^"]*"'),
    ("bar", rf"\.?(?::*\|[|:\]]*|\[\|[|:\]]*|::+)(?:[ \t]*\[?(?P<ending>{_NUMBERS}))?"),
    (
        "decoration",
        r"!(?P<name>[^!\n|]{1,40})!|\+(?P<plus>[^+\n|\"!\[\]]{1,60})\+(?P<plus_length>\d{0,3}(?:/\d{0,3})?)"
        r"|\.(?![(\-])|[~H-WYh-w]",
    ),
    ("ending", rf'\[[ \t]*(?:(?P<number>{_NUMBERS})|"(?P<named>\d[^"]*)")'),
    ("number", rf"^[ \t]*{_NUMBERS}(?=[ \t(A-Ga-g\[\"])"),  # of an ending whose bar line ends the line before
    ("note", _NOTE),
    ("microtone", r"[\^_]{1,2}\d{0,3}(?:/\d{0,3})?(?=[A-Ga-g])"),
    ("stray", r"[\^_=]{1,2}\d{0,3}"),  # an accidental that stands before no note
    ("rest", rf"[zx](?P<rest_length>{LENGTH})"),
    ("bar_rest", r"[ZX](?P<n_bars>\d{0,3})"),
    ("tuplet", r"\((?P<p>\d{1,2})(?::(?P<q>\d{0,2}))?(?::(?P<r>\d{0,2}))?"),
    ("overlay", r"\(&|&+\)?"),
    ("slur_open", r"\([,']?"),  # with abcm2ps's sign for its direction
    ("slur_close", r"\)"),
    ("named_ending", r'\[(?="[^"]*"[^\]|]*(?:\||$))'),  # ["Coda": the words are read on their own
    ("chord_open", r"\["),
    ("chord_close", rf"\](?P<chord_length>{LENGTH})"),
    ("grace_open", r"\{/?"),
    ("grace_close", r"\}"),
    ("broken", r">{1,3}|<{1,3}"),
    ("tie", r"-[,']?"),
    ("colon", r":(?P<closing>[ \t]+\|(?![|:\]]))?"),  # apart from its bar line, or instead of one
    ("space", r"[\s`\\*$;#@?]+|y[\d/]*|!|\.|\+|[,']+"),
)
_LEXER = re.compile("|".join(f"(?P<{kind}_>{pattern})" for kind, pattern in SYMBOLS))
_KIND_OF_GROUP = {f"{kind}_": kind for kind, _ in SYMBOLS}
# Between two exclamation marks that are line ends (abc2win) stands music, not the name of a decoration.
_MUSIC = re.compile(r"(?=.*[A-Ga-gzx])[A-Ga-gzx\^_=\[({~.][A-Ga-gzx,'\d/^_=<>(){}\[\]\-.~\"\s]*")
_NAMES_LIKE_MUSIC = re.compile(r"\(?f{1,4}\)?|[dD]\.?[cC]\.?|\(|\)|\.|~")
_SIGN = re.compile("[!+]")
_WORDS = re.compile(r"[A-Za-z.]+(?:[ ]+[A-Za-z.]+)*")
_OLD_CHORD = re.compile(rf"(?:(?:\^{{1,2}}|_{{1,2}}|=)?[A-Ga-g][,']*{LENGTH}-?)+")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
_ACCIDENTAL_SIGNS = str.maketrans({"♯": "^", "♭": "_", "♮": "=", "𝄪": "^^", "𝄫": "__", "’": "'", "\xa0": " "})
_OUTSIDE_QUOTES = re.compile(r'"[^"]*"|[^"]+|"')


class Token(NamedTuple):
    """One symbol of a music line: its kind (see SYMBOLS), text and column (0-based)."""

    kind: str
    text: str
    start: int


def lex(line: str, line_number: int | None = None) -> Iterator[Token]:
    """Yield the symbols of one line of music. Raises NotationError `unknown_symbol` with the column."""
    for kind, match in matches(line, line_number):
        yield Token(kind, match[0], match.start())


def matches(line: str, line_number: int | None = None) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield (kind, match) of the symbols of one line; the match's groups are those in SYMBOLS.

    Kinds beside those of SYMBOLS: `old_chord`, the notes between two plus signs. Raises as `lex`.
    """
    position = 0
    while position < len(line):
        for match in _LEXER.finditer(line, position):
            if match.start() != position:
                raise _unknown(line, position, line_number)
            kind = _KIND_OF_GROUP[match.lastgroup or ""]
            position = match.end()
            if kind != "decoration" or match[0][0] not in "!+":
                yield kind, match
                continue
            kind, match = _named(line, match)
            yield kind, match
            if position != match.end():  # no name: go on after its first sign
                position = match.end()
                break
        else:
            if position < len(line):
                raise _unknown(line, position, line_number)


def prepared(line: str, line_number: int | None = None) -> str:
    """A line of music in plain signs: HTML entities and the accidental signs of Unicode replaced, quotes decoded.

    Raises NotationError `unknown_symbol` for an entity that is no sign of music.
    """
    if line.isascii() and "&" not in line and "\\" not in line:
        return line
    line = without_quoted_umlauts(line)
    line = _ENTITY.sub(lambda match: _sign_of(match, line_number), line).translate({0xA0: " "})
    pieces = _OUTSIDE_QUOTES.findall(line)
    return "".join(_decoded(piece) if piece[0] == '"' else piece.translate(_ACCIDENTAL_SIGNS) for piece in pieces)


def _decoded(quoted: str) -> str:
    """What stands in quotation marks, with its mnemonics as the signs they mean."""
    return '"' + decode(quoted[1:-1]).replace('"', "'") + '"' if len(quoted) > 1 else quoted


def _sign_of(entity: re.Match[str], line_number: int | None) -> str:
    """The sign that an HTML entity stands for; what is none is left alone."""
    sign = html.unescape(entity[0])
    if entity.string[: entity.start()].count('"') % 2 == 1:
        return sign if sign == '"' else entity[0]  # in quotation marks
    if sign == entity[0] or sign.isascii() or ord(sign[0]) in _ACCIDENTAL_SIGNS:
        return sign
    raise NotationError(
        "unknown_symbol",
        f"column {entity.start() + 1}: {entity[0]!r} is an HTML entity and not ABC music.",
        line_number,
    )


def _named(line: str, match: re.Match[str]) -> tuple[str, re.Match[str]]:
    """What stands between two ! or two +: a decoration's name, an old-style chord, else the first sign as space."""
    if match["plus"] is not None:
        notes = match["plus"].replace(" ", "")
        if _OLD_CHORD.fullmatch(notes) and not re.fullmatch("f{1,4}", notes):
            return "old_chord", match
        if re.fullmatch(r"[A-Za-z.()<>\d]+", match["plus"]):
            return "decoration", match
    elif _is_decoration(match["name"]):
        return "decoration", match
    sign = _SIGN.match(line, match.start())
    assert sign is not None
    return "space", sign


def _is_decoration(name: str) -> bool:
    """True for a name, False for music that stands between two line ends."""
    if _NAMES_LIKE_MUSIC.fullmatch(name):
        return True
    if re.search(r"\s", name):
        return _WORDS.fullmatch(name) is not None and re.search("[h-tw]", name) is not None
    return _MUSIC.fullmatch(name) is None


def _unknown(line: str, position: int, line_number: int | None) -> NotationError:
    near = line[max(0, position - 8) : position + 8].strip()
    return NotationError(
        "unknown_symbol", f"column {position + 1}: {line[position]!r} (in {near!r}) is not ABC music.", line_number
    )
