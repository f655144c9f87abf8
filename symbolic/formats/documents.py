"""Files that come from outside: their kinds, their limits, their bytes, and the scores in them.

    for tune in read_tunes(Path("book.abc")):
        tune.score, tune.losses             # or tune.fault, why there is none

Everything that reads a file of somebody else's asks here what it is (`kind_of`), and
`file_bytes` how large it may be.
MIDI and MusicXML are read in the guarded process.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from symbolic import files
from symbolic.command_line import choose_tune
from symbolic.errors import UsageError, UserError
from symbolic.formats.file_bytes import read_bytes
from symbolic.formats.sandbox import Guard
from symbolic.formats.smf import sequences
from symbolic.notation import abc_parser
from symbolic.notation.abc_parser import RawTune
from symbolic.notation.score import Score
from symbolic.notation.theory import NotationError

# Of the name of a loss: what is counted, without the s of the plural, up to what is said of it; and words that agree.
_HEAD = re.compile(
    r"^((?!of )[A-Za-z][A-Za-z -]*?)s?"
    r"(?=$|,| \(| (?:of|over|with|without|that|which|whose|beside|inside|after|shorter|moved|read|not)\b)"
)
_AGREEING = (
    *(("that is", "that are"), ("which is", "which are"), ("as it is", "as they are"), ("as it goes", "as they go")),
    *(("that doubles", "that double"), ("it leaves", "they leave"), ("its", "their")),
)
MAX_SHOWN = 5  # tunes that a note about a loss names
KINDS = {
    ".abc": "abc",
    ".mid": "midi",
    ".midi": "midi",
    ".kar": "midi",
    ".rmi": "midi",
    ".smf": "midi",
    ".musicxml": "musicxml",
    ".xml": "musicxml",
    ".mxl": "musicxml",
}


@dataclass
class ReadTune:
    """One tune of a file: its place from 1, its score or why there is none."""

    number: int
    score: Score | None = None
    fault: NotationError | None = None

    @property
    def losses(self) -> Counter[str]:
        """What of it was read and could not be kept, by kind."""
        return self.score.losses if self.score is not None else Counter()


def kind_of(path: Path) -> str:
    """The kind of a file by its name's ending, of those in KINDS. Raises UsageError."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: its name must end in one of {', '.join(KINDS)}.")
    return kind


def read_text(path: Path | str) -> str:
    """The text of an ABC file: UTF-8 or Windows-1252. Raises UserError, also for a binary file."""
    data = read_bytes(path, "abc")
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path} is a binary file and no ABC text.")
    return files.decode(data).replace("\r\n", "\n")


def read_tunes(path: Path, tune: int | None = None, quantize: str = "auto") -> Iterator[ReadTune]:
    """The tunes of a file of any kind in KINDS: all, or the one that `choose_tune` finds. MIDI and MusicXML hold one,
    but for the sequences of type 2 MIDI.

    `quantize` ("auto", "on", "off") says whether MIDI is put on a written grid.

    Raises UserError where the file cannot be read or holds none, UsageError for a `tune` that it does not have.
    """
    kind = kind_of(path)
    if kind == "abc":
        raws = abc_parser.split_tunes(read_text(path))
        if not raws:
            raise UserError(f"{path} holds no tune: a tune starts with an X: field, and a K: field ends its header.")
        wanted = None if tune is None else choose_tune([_x_number(raw.text) for raw in raws], tune, path)
        yield from _parsed(raws if wanted is None else raws[wanted : wanted + 1])
        return
    with Guard() as guard:
        yield from _guarded(guard, path, kind, tune, quantize)


def _guarded(guard: Guard, path: Path, kind: str, tune: int | None, quantize: str) -> Iterator[ReadTune]:
    """The pieces of a MIDI or MusicXML file; of several, those without notes are left out."""
    data = read_bytes(path, kind)
    try:
        pieces = sequences(data) if kind == "midi" else [data]
        places = range(len(pieces)) if tune is None else [choose_tune([None] * len(pieces), tune, path)]
        if len(places) == 1:
            yield ReadTune(1, guard.score(kind, pieces[places[0]], quantize))
            return
    except NotationError as error:
        raise UserError(f"{path}: {error.reason}: {error}") from error
    found = [ReadTune(number, *_score_or_fault(guard, kind, piece, quantize)) for number, piece in enumerate(pieces, 1)]
    if all(one.score is None for one in found):
        raise UserError(f"{path}: no_notes: none of its {len(pieces)} sequences can be read.")
    yield from (one for one in found if one.fault is None or one.fault.reason != "no_notes")


def _score_or_fault(guard: Guard, kind: str, data: bytes, quantize: str) -> tuple[Score | None, NotationError | None]:
    try:
        return guard.score(kind, data, quantize), None
    except NotationError as error:
        return None, error


def read_scores(path: Path | str, tune: int | None = None) -> list[Score]:
    """Read the scores of a file of ABC, MIDI or MusicXML; of an .abc file all, or the tune X:N, else the N-th.

    Raises UserError where the file cannot be read, holds none, or one of them does not parse.
    """
    scores = []
    for found in read_tunes(Path(path), tune):
        if found.score is None:
            raise UserError(f"{path}, tune {found.number}: {found.fault}") from found.fault
        scores.append(found.score)
    return scores


def told(number: int, what: str) -> str:
    """A loss with its number: `1 line of text inside the tune`, `3 lines of text inside the tune`."""
    what = _HEAD.sub(r"\1" if number == 1 else r"\1s", what, count=1)
    for singular, plural in _AGREEING:
        what = re.sub(rf"\b{plural}\b", singular, what) if number == 1 else re.sub(rf"\b{singular}\b", plural, what)
    return f"{number:,} {what}"


def tell_losses(source: Path, tunes: list[ReadTune]) -> None:
    """Say on stderr which tunes could not be read, and what was lost: a line for each kind."""
    kinds: dict[str, list[tuple[int, int]]] = {}
    for tune in tunes:
        if tune.fault is not None:
            print(f"{source}, tune {tune.number}: {tune.fault.reason}: {tune.fault}", file=sys.stderr)
        for what, number in tune.losses.items():
            kinds.setdefault(what, []).append((tune.number, number))
    for what, found in kinds.items():
        shown = ", ".join(str(number) for number, _ in found[:MAX_SHOWN])
        more = f" and {len(found) - MAX_SHOWN:,} more" if len(found) > MAX_SHOWN else ""
        where = f"{source}, tune{'s' * (len(found) > 1)} {shown}{more}" if len(tunes) > 1 else str(source)
        print(f"note: {where}: {told(sum(number for _, number in found), what)}", file=sys.stderr)


def _x_number(text: str) -> int | None:
    """The number in a tune's X: field."""
    match = re.search(r"^X:\s*(\d{1,9})", text, re.MULTILINE)
    return int(match[1]) if match else None


def _parsed(raws: Iterable[RawTune]) -> Iterator[ReadTune]:
    for place, raw in enumerate(raws, start=1):
        try:
            yield ReadTune(place, abc_parser.parse(raw.text, raw.line))
        except NotationError as error:
            yield ReadTune(place, fault=error)
