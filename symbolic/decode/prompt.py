"""Prompts: what a person fixes of a tune (metre, key, first bars), as the beginning of a canonical text.

A prompt is written as ABC, in any order and spelling that the parser reads: `K:Dmix`, `M:C| K:Ador`, or whole first
bars after the fields, `M:6/8 L:1/16 K:G |:g4e2 d4B2|`. Fields stand on lines, or side by side with blanks between. L
is the unit length of the bars given, not of the tune: canonical text is always L:1/8, and the bars are rewritten to
it.

Canonical text has the order M, L, K, music, and a model continues text from left to right. So fields are forced where
their place comes and what is free before them is drawn by the model first: for `K:Dmix` alone it draws the metre line,
then L and K are put in its place, then it goes on. The metre is then drawn without knowledge of the key to come.

Codes that are asked for (symbolic.notation.control_codes) stand before all. A model that was trained with codes, styles
or to fill in (`Prompt.steered`) draws metre and key among the lines that name one, and one that learnt styles first a
style where none is asked for. Styles and keys come as often as they were learnt: top-k, top-p and min-p leave out
nothing there. They hold for the metre of a style: a jig in 2/4 is an error of some book more often than a wish.

First bars are best ended by a bar line: what comes after a cut-off note, its length for example, may be split into
other tokens than the model was trained on.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from symbolic.decode.constraint import lexicon
from symbolic.errors import UserError
from symbolic.notation import abc_parser
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.canonical import DECORATIONS
from symbolic.notation.control_codes import NOTHING_ASKED, TYPES, Asked
from symbolic.notation.theory import parse_key, parse_meter

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

ALLOWED = (
    "Allowed are M: (metre, as M:6/8), K: (key, as K:Dmix), L: (unit length of the bars given) and then the first bars."
)
UNIT = "L:1/8\n"
MAX_LINE_TOKENS = 32  # a header line that the model has not ended by then is cut off
MAX_VOICES = 6  # that can be asked for with --voices
_FIELD = re.compile(
    r"([A-Za-z]):(?![|:])[ \t]*(\S*(?:[ \t]+(?:m|maj|min|ion|dor|phr|lyd|mix|aeo|loc)[A-Za-z]*(?=\s|$))?)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Choice:
    """One of these lines, which the model chooses.

    unless: a text that has a line with this beginning is left as it is. truncated: top-k, top-p and min-p hold here as
    they do in the music; else nothing is left out.
    """

    lines: tuple[str, ...]
    unless: str = ""
    truncated: bool = False


Piece = str | Choice | None  # fixed; one of some lines, as the model chooses; any line it draws


class DrawLine(Protocol):
    """Lets the model draw a line after each beginning: among some lines, or any."""

    def __call__(self, beginnings: list[str], number: int, choice: Choice | None = None, /) -> list[str]: ...


@dataclass(frozen=True)
class Prompt:
    """What is fixed, in canonical spelling; '' is free. `bars` is one line of music without its line end."""

    metre: str = ""
    key: str = ""
    bars: str = ""
    asked: Asked = NOTHING_ASKED
    steered: bool = False  # the model knows code lines
    styled: bool = False  # and those of styles, which it draws itself where none is asked for

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The beginning of the text from left to right."""
        if not self.steered:
            return self._header
        metres = tuple(f"M:{metre}\n" for metre in [*lexicon.meters(), "none"])
        keys = tuple(f"K:{key}\n" for key in lexicon.key_names())
        metre = f"M:{self.metre}\n" if self.metre else Choice(metres, truncated=bool(self.asked.rhythm))
        head: tuple[Piece, ...] = (metre,)
        if self.styled and not self.metre and not self.asked.lines:
            styles = tuple(f"R:{name}\n" for name in TYPES)
            head = (Choice((*styles, *metres)), Choice(metres, unless="M:", truncated=True))
        key = f"K:{self.key}\n" if self.key else Choice(keys)
        asked = (line if isinstance(line, str) else Choice(line) for line in self.asked.lines)
        return _joined(*asked, *head, UNIT, key, *([self.bars] if self.bars else []))

    @property
    def _header(self) -> tuple[Piece, ...]:
        metre = f"M:{self.metre}\n" if self.metre else None
        key = f"K:{self.key}\n" if self.key else None
        if self.bars:
            return _joined(metre, UNIT, key, self.bars)
        if key:
            return _joined(metre, UNIT, key)
        return _joined(metre, UNIT) if metre else ()

    @property
    def text(self) -> str:
        """For people: the fields and bars on one line."""
        fields = [f"M:{self.metre}" if self.metre else "", f"K:{self.key}" if self.key else "", self.bars]
        fields = [self.asked.text, *fields]
        return " ".join(part for part in fields if part)


def read_prompt(text: str) -> Prompt:
    """Read a prompt; line ends may be spelled `\\n`. UserError says which part is wrong and what is allowed."""
    fields, bars = _split(text.replace("\\n", "\n"))
    unknown = sorted(set(fields) - set("MLK"))
    if unknown:
        raise UserError(f"prompt: the field {unknown[0]}: cannot be prompted. {ALLOWED}")
    if "L" in fields and not bars:
        raise UserError(f"prompt: L:{fields['L']} is the unit length of first bars, and none follow. {ALLOWED}")
    return make_prompt(metre=fields.get("M"), key=fields.get("K"), bars=bars, unit=fields.get("L", "1/8"))


def make_prompt(*, metre: str | None = None, key: str | None = None, bars: str = "", unit: str = "1/8") -> Prompt:
    """Return a prompt from its parts; None is free."""
    return Prompt(
        metre="" if metre is None else _metre(metre),
        key="" if key is None else _key(key),
        bars=_bars(bars, metre or "4/4", key or "C", unit) if bars.strip() else "",
    )


def prefixes(prompt: Prompt, n: int, draw_line: DrawLine) -> list[str]:
    """Return the beginning of each of n tunes: forced pieces as they are, free lines from `draw_line(beginnings, pass
    number)`, those to choose among from `draw_line(beginnings, pass number, choice)`."""
    texts = [""] * n
    for number, piece in enumerate(prompt.pieces, start=1):
        if isinstance(piece, Choice):
            lines = draw_line(texts, number, piece)
            drawn = ["" if _has_line(text, piece.unless) else line for text, line in zip(texts, lines, strict=True)]
        else:
            drawn = [piece] * n if piece is not None else draw_line(texts, number)
        texts = [text + part for text, part in zip(texts, drawn, strict=True)]
    return texts


def line_of(tokenizer: "Tokenizer", tokens: list[int]) -> str:
    """Return the first line of what was drawn, with its line end, which is added where the model drew none."""
    return tokenizer.decode(tokens).partition("\n")[0] + "\n"


def _has_line(text: str, beginning: str) -> bool:
    return bool(beginning) and any(line.startswith(beginning) for line in text.splitlines())


def _joined(*pieces: Piece) -> tuple[Piece, ...]:
    """Return forced pieces that follow one another as one."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def _split(text: str) -> tuple[dict[str, str], str]:
    """Return the fields at the head of a prompt by letter, and what follows them."""
    fields: dict[str, str] = {}
    rest = text.strip()
    while match := _FIELD.match(rest):
        letter = match[1].upper()
        if letter in fields:
            raise UserError(f"prompt: the field {letter}: is given twice.")
        fields[letter] = match[2]
        rest = rest[match.end() :]
    return fields, rest


def _metre(text: str) -> str:
    try:
        return parse_meter(text).text
    except NotationError as error:
        raise UserError(f"prompt: {error}") from error


def _key(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]+[#b]?\s*[A-Za-z]*", text.strip() or "C"):
        raise UserError(f"prompt: K:{text} is not a key; write for example K:G, K:Bb, K:Em, K:Ador, K:Dmix.")
    try:
        return parse_key(text).text
    except NotationError as error:
        raise UserError(f"prompt: {error}") from error


def _bars(text: str, metre: str, key: str, unit: str) -> str:
    """Return the music line of the bars in canonical spelling. The key does not enter it; the metre only where tuplets
    have no ratio."""
    if re.search(r"^[A-Za-z]:(?![|:])|\[V:", text, re.MULTILINE):
        raise UserError(f"prompt: the first bars hold a field or a second voice: {text!r}. {ALLOWED}")
    try:  # three header lines, so that the bars' first line is number 1 in messages
        _check_letters(text)
        score = abc_parser.parse(f"M:{metre}\nL:{unit}\nK:{key}\n{text}\n", line=-2, strict=True)
    except NotationError as error:
        raise UserError(f"prompt: the first bars {text!r} cannot be read as ABC: {error} {ALLOWED}") from error
    if len(score.voices) > 1:
        raise UserError(f"prompt: the first bars hold an overlay (&), a second voice: {text!r}. {ALLOWED}")
    return abc_parser.canonical(score).splitlines()[3]


def _check_letters(text: str) -> None:
    """Refuse letters that ABC leaves to the user's own decorations: they would be dropped, and words pass for music."""
    for number, line in enumerate(text.splitlines(), start=1):
        for token in abc_parser.lex(line, number):
            if token.kind == "decoration" and len(token.text) == 1 and token.text not in DECORATIONS:
                raise NotationError("unknown_symbol", f"column {token.start + 1}: {token.text!r} is no note.", number)
