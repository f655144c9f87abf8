"""How training text is rearranged, so that a model learns to be steered and to fill in.

Codes. The lines of `symbolic.notation.control_codes` are put in front of a tune. All are left out of ALL_FREE of the
tunes, and of the others each group (tune type, range, form) of ONE_FREE, so that a model works with any of them or
none.

Styles. A line `R:jig` in front names the tune's style (one of control_codes.TYPES); STYLE_FREE of the tunes go without.
A tune that was transposed has the line TRANSPOSED, so that without it a model writes in the keys of its corpus.

Filling in. Some bars are taken out, each leaving a sign in its place, and are given after the end of the tune:

    I:fill                         a tune with bars taken out
    M:6/8
    L:1/8
    K:G
    |:GABd2B|?|?|c3B3:|            ? is HIDDEN, ASCII's "substitute"
    !ABcd3!G2Bd2B                  ! is ANSWER, ASCII's "group separator"

so that a model that reads from left to right knows both sides when it writes the middle: the layout prefix, suffix,
middle of Bavarian et al. 2022 (arXiv 2207.14255), with one sign a bar as in Donahue, Lee, Liang 2020 (arXiv
2005.05339) and MMM (Ens, Pasquier 2020, arXiv 2008.06048). Bar lines, endings and fields at the head of a bar stay in
place: how many bars are missing, and where repeats are, is known. HIDDEN and ANSWER are single bytes that no tune
holds, so every vocabulary of this project spells each in one token of its own.

An arrangement is drawn from a seed and the text alone: it does not depend on order, on workers or on how many tunes
there are.
"""

import re
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from symbolic import files
from symbolic.corpus.corpora import CONTROL_COLUMN
from symbolic.errors import UserError
from symbolic.notation import control_codes

if TYPE_CHECKING:
    from symbolic.config import DataConfig

FILL = "I:fill\n"
HIDDEN, ANSWER = "\x1a", "\x1d"
TRANSPOSED = "I:transposed\n"
ALL_FREE, ONE_FREE, STYLE_FREE = 0.2, 0.3, 0.25
SCATTERED = 0.25  # of the tunes with bars taken out; of the others they are neighbours
MOST_NEIGHBOURS = 8
FORMAT = 1  # raise it when the same settings give other texts

_BAR_LINE = re.compile(r"(?::\||\|[|\]:]?|::)(?:\d[\d,\-]*)?|\[\d[\d,\-]*")
_HEAD = re.compile(r"(?:\[[A-Za-z]:[^\]]*\])*")


class Span(NamedTuple):
    """Place of a bar's own text in a line of music, bar lines and the fields at its head left out."""

    start: int
    end: int


@dataclass(frozen=True)
class Arrangement:
    """How the documents of a training shard are made: lines in front, and the share of tunes with bars taken out."""

    control: Literal["none", "codes", "style"]
    infill: float
    seed: int

    @property
    def name(self) -> str:
        """Twelve digits that tell arrangements apart."""
        return files.digest(f"{FORMAT} {sorted(asdict(self).items())}")[:12]

    def __call__(self, text: str, row: Mapping[str, Any]) -> str:
        """Return the training text of a canonical text; `row` is the tune's row in tunes/train.jsonl."""
        generator = np.random.default_rng([self.seed, zlib.crc32(text.encode())])
        if generator.random() < self.infill:
            hidden = draw_hidden(len(bars(control_codes.music_of(text))), generator)
            return arrange(text, hidden) if hidden and "\nV:" not in text else text
        if self.control == "style":
            return drawn_style(text, row, generator) + text
        return drawn_codes(text, row, generator) + text if self.control == "codes" else text


def of(config: "DataConfig", seed: int) -> Arrangement | None:
    """Return the arrangement that a configuration asks for; None for tunes as they are."""
    is_rearranged = config.control != "none" or config.infill
    return Arrangement(config.control, config.infill, seed) if is_rearranged else None


def lines(config: "DataConfig") -> list[str]:
    """Return the lines that a configuration's training text has beyond those of tunes, for the vocabulary."""
    styles = [f"R:{name}\n" for name in control_codes.TYPES] + [TRANSPOSED]
    in_front = {"none": [], "codes": control_codes.words(), "style": styles}[config.control]
    return in_front + ([FILL] if config.infill else [])


def bars(music: str) -> list[Span]:
    """Find the bars of a line of music that hold notes or rests, by what stands between bar lines."""
    spans = []
    start = 0
    for begun, ended in [*(match.span() for match in _BAR_LINE.finditer(music)), (len(music), len(music))]:
        if control_codes.has_notes(music[start:begun]):
            head = _HEAD.match(music, start, begun)
            spans.append(Span(head.end() if head else start, begun))
        start = ended
    return spans


def arrange(text: str, hidden: Collection[int]) -> str:
    """Take bars out of a canonical text of one voice and give them at the end; bars are counted from 0."""
    framed, bodies = taken_out(text, hidden)
    return FILL + framed + "".join(ANSWER + body for body in bodies)


def taken_out(text: str, hidden: Collection[int]) -> tuple[str, list[str]]:
    """Split a text into the text with a sign for each hidden bar, and those bars."""
    music = control_codes.music_of(text)
    start = text.index(music, text.rindex("\nK:") + 1)
    spans = [span for index, span in enumerate(bars(music)) if index in hidden]
    bodies = [music[span.start : span.end] for span in spans]
    for span in reversed(spans):
        music = music[: span.start] + HIDDEN + music[span.end :]
    return text[:start] + music + text[start + len(control_codes.music_of(text)) :], bodies


def put_back(framed: str, bodies: Collection[str]) -> str:
    """Put the bars in the place of their signs: `put_back(*taken_out(text, hidden)) == text`."""
    parts = framed.split(HIDDEN)
    assert len(parts) == len(bodies) + 1, (len(parts), len(bodies))
    return parts[0] + "".join(body + part for body, part in zip(bodies, parts[1:], strict=True))


def draw_hidden(n_bars: int, generator: np.random.Generator) -> list[int]:
    """Draw the bars to take out: neighbours, or some scattered ones; at most half of all."""
    most = n_bars // 2
    if most < 1:
        return []
    if generator.random() < SCATTERED:
        n = int(generator.integers(1, most + 1))
        return sorted(generator.choice(n_bars, n, replace=False).tolist())
    n = int(generator.integers(1, min(most, MOST_NEIGHBOURS) + 1))
    first = int(generator.integers(n_bars - n + 1))
    return list(range(first, first + n))


def drawn_codes(text: str, row: Mapping[str, Any], generator: np.random.Generator) -> str:
    """Draw the code lines of a tune, some left out."""
    free = [generator.random() < share for share in (ALL_FREE, ONE_FREE, ONE_FREE, ONE_FREE)]
    groups = code_lines(text, row)
    return "" if free[0] else "".join(lines for lines, is_free in zip(groups, free[1:], strict=True) if not is_free)


def drawn_style(text: str, row: Mapping[str, Any], generator: np.random.Generator) -> str:
    """Return the line of a tune's style, unless it is left out, and that of a transposed tune."""
    name = "" if generator.random() < STYLE_FREE else control_codes.style_of(row)
    return (f"R:{name}\n" if name else "") + (TRANSPOSED if text != row["text"] else "")


def code_lines(text: str, row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the lines of type, range and form; '' for what the corpus does not say or the codes cannot. A form that
    came with the tune, as in IrishMAN, is taken as it is."""
    rhythm = control_codes.tune_type(str(row.get("rhythm") or ""))
    own = (row.get("fields") or {}).get(CONTROL_COLUMN)
    form = _own(own[0]) if own else None
    form = form or control_codes.codes_of(text)
    return (
        f"R:{rhythm}\n" if rhythm else "",
        control_codes.range_lines(text),
        control_codes.encode(form) if form.in_range else "",
    )


def _own(text: str) -> control_codes.Codes | None:
    try:
        return control_codes.parse(text)
    except UserError:  # damaged: the tune itself says what it is
        return None
