r"""Grammar tokens that count down: room left in the bar on every note, bars left in the section on every bar line.

The *counted text* of a tune is its text with marks in it, each from @ to ; and the engine of the tokenizer reads that:

    M:6/8\nL:1/8\nK:G\n  @S2;@B8;  d@0; |@B8;  G 2@4;  B@3;  d 2@1;  B@0; |@B7; ... g 3@0; :: @S1;@B8; ... :|\n

- `@5;` stands after each note, chord and rest: so many eighths (of tuplets a fraction) are left of the bar, `@?;` for a
  number that the vocabulary lacks. It makes one word with a common length. What comes right before a bar line has
  `@0;`, unless it ends a section in a bar that is short by what the pick-up has: that is left of the bar, too.
- `|@B3;` is a plain bar line, and `|1@B3;` one with a first ending, with the number of bars left in the section.
- `@S2;@B8;` begins each section: sections left, this one included, and the bars of this one. Only `@B1;` begins a later
  ending (`:|2`), which continues its section. `@S+;` and `@B+;` are more than MAX_SECTIONS or MAX_BARS.
- `@D1;` follows each @B of a section whose last bar is short by an eighth.
- A section ends at || |] |: :| or ::. Its bars are the pieces between bar lines that hold notes, or bars taken out
  (symbolic.data.augmentation), a pick-up at its head not counted; one that stands alone before |: is marked `@B0;` and
  is no section.
- `@@` is an @ of the text itself.

So a model says how long a bar and a section will be before it writes them, and all that is left is to count down. Marks
are a function of the text, `strip(count(text)) == text` for every string, and counted text takes about 1.45 tokens for
each token of plain grammar. The kinds ROOMS and SECTIONS count one of the two alone.

Wang et al. 2025, NotaGen (arXiv:2502.18008) counts bars down; Kermarec et al. 2022 (arXiv:2301.13383) put the place
in the metric grid into tokens.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from tokenizers import models

from symbolic.notation.canonical import tuplet_time
from symbolic.notation.theory import UNIT_TICKS, Meter, NotationError, parse_meter
from symbolic.tokens import grammar
from symbolic.tokens.tokenizer import Tokenizer, assemble, byte_vocabulary, spell

KIND, ROOMS, SECTIONS = "counted", "counted-rooms", "counted-sections"
KINDS = (KIND, ROOMS, SECTIONS)
VOCAB_SIZE = 1024  # with the lines of control codes
MAX_SECTIONS, MAX_BARS = 8, 32
MAX_PAIRED_BARS = 24  # bars left that make one word with a last bar that is short by 1 or 2
_MISSING = ("1", "2", "3", "4", "1/2", "6")  # eighths, the common first
FREE = Meter(0, 1)

_MARK = re.compile(r"@@|@[^@;]*;")
_FIELD = re.compile(r"[A-Za-z]:(?![|:])")
_WORD = re.compile(
    rf"(?P<inline>{grammar.INLINE})|{grammar.QUOTED}|{grammar.DECORATION}|\{{[^}}]*\}}"
    rf"|(?P<bar>(?:{grammar.BAR})(?P<number>\d+(?:[,\-]\d+)*)?|\[\d+(?:[,\-]\d+)*)"
    r"|\((?P<p>\d)(?::(?P<q>\d*))?(?::(?P<count>\d*))?"
    rf"|(?P<note>(?:\[(?:(?:{grammar.ACCIDENTAL})?{grammar.PITCH})+\]|{grammar.PITCH}|z)"
    rf"(?P<length>{grammar.LENGTH})?)|(?P<hidden>\x1a)|(?P<answer>\x1d)"
)
_HALF, _QUARTER, _THIRD = Fraction(1, 2), Fraction(1, 4), Fraction(1, 3)


def _grid(step: Fraction | int, most: int) -> list[Fraction]:
    """Return multiples of `step` from 0 to `most`."""
    return [Fraction(step) * n for n in range(int(most / Fraction(step)) + 1)]


_ROOMS = sorted({*_grid(_HALF, 16), *_grid(_QUARTER, 8), *_grid(_THIRD, 8)})  # in eighths
_KNOWN_ROOMS = frozenset(_ROOMS)
_PAIRS = {  # lengths, and the rooms they make one word with
    "2": _grid(_HALF, 8), "3": _grid(1, 9), "4": _grid(1, 8), "6": _grid(1, 6), "3/2": _grid(_HALF, 8),
    "/2": sorted({*_grid(_HALF, 8), *_grid(_THIRD, 4)}), "/4": _grid(_QUARTER, 4), "3/4": _grid(_QUARTER, 4),
}  # fmt: skip


@dataclass
class _Piece:
    """What stands between two bar lines: where it begins, the bar line there, its notes' ends and sounding ticks."""

    start: int
    opening: str  # the bar line as written; "" at the beginning of the line
    meter: Meter
    ends: list[int]
    ticks: list[Fraction]
    is_hidden: bool = False
    missing: Fraction = Fraction(0)  # ticks that the bar at the end of a section leaves to a pick-up

    @property
    def is_bar(self) -> bool:
        return self.is_hidden or bool(self.ticks)

    @property
    def is_short(self) -> bool:
        return bool(self.ticks) and not self.is_hidden and sum(self.ticks) < self.meter.ticks

    @property
    def begins_part(self) -> bool:
        """Whether the bar line before it ends a section, or an ending that a later one follows."""
        return not self.opening or self.opening.rstrip("0123456789,-") not in ("|", "[")

    @property
    def begins_section(self) -> bool:
        return self.begins_part and (self.opening[-1:] == "1" or not self.opening[-1:].isdigit())


class CountedTokenizer(Tokenizer):
    """A tokenizer that takes and gives plain text, and whose engine reads counted text; marks have no bytes."""

    def encode(self, text: str) -> list[int]:
        """Return ids of the counted text of `text`, without BOS and EOS."""
        return self.encode_counted(count(text, self.kind))

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return ids of each text."""
        return super().encode_many([count(text, self.kind) for text in texts])

    def encode_counted(self, counted: str) -> list[int]:
        """Return ids of a counted text as it stands."""
        return super().encode(counted)

    def counted_text(self, ids: Iterable[int]) -> str:
        """Return counted text of `ids`."""
        return b"".join(self.engine_bytes(id) for id in ids).decode("utf-8", errors="replace")

    def token_bytes(self, id: int) -> bytes:
        """Return bytes of one id in the plain text: none for a mark alone."""
        return self._plain[id] if id in self._plain else self.engine_bytes(id)

    @cached_property
    def _plain(self) -> dict[int, bytes]:
        """Bytes in the plain text of the ids that hold a mark."""
        raw = ((id, self.engine_bytes(id)) for id in range(self.n_tokens))
        return {id: strip(word.decode()).encode() for id, word in raw if len(word) > 1 and b"@" in word}


def build(kind: str, vocab_size: int, lines: Iterable[str] = ()) -> CountedTokenizer:
    """Return the vocabulary of grammar words, of the marks of `kind`, and of further field `lines`."""
    vocabulary = byte_vocabulary()
    words = [word for name, words in grammar.pieces().items() if name != "inline" for word in words]
    marks = mark_words(kind)
    for word in [*words, *marks, *lines]:
        vocabulary.setdefault(spell(word), len(vocabulary))
    model = models.BPE(vocab=vocabulary, merges=[], ignore_merges=True)
    return CountedTokenizer(assemble(model, _pattern(marks)), kind, vocab_size)


def mark_words(kind: str) -> list[str]:
    """Return the words with marks in the vocabulary of `kind`."""
    sections = [f"@S{n};" for n in (*range(1, MAX_SECTIONS + 1), "+")]
    bars = [f"@B{n};" for n in (*range(MAX_BARS + 1), "+")]
    short = [f"@D{missing};" for missing in (*_MISSING, "?")]
    both = [bar + short_by for short_by in short[:2] for bar in bars[:MAX_PAIRED_BARS]]
    counts = [*sections, *bars, *short, *both, *(f"|{mark}" for mark in (*bars, *both))] if kind != ROOMS else []
    rooms = [f"@{room};" for room in (*_ROOMS, "?")]
    pairs = [f"{length}@{room};" for length, left in _PAIRS.items() for room in left]
    return ["@@", *counts, *([*rooms, *pairs] if kind != SECTIONS else [])]


def strip(counted: str) -> str:
    """Return the text that was counted."""
    return _MARK.sub(lambda mark: "@" if mark[0] == "@@" else "", counted)


def count(text: str, kind: str = KIND) -> str:
    """Return the counted text of a text; metres are those of its fields."""
    meter = FREE
    lines = []
    for line in text.split("\n"):
        if line.startswith("M:"):
            meter = _meter(line[2:])
        is_music = line and not _FIELD.match(line)
        lines.append(_counted_line(line, meter, kind) if is_music else line.replace("@", "@@"))
    return "\n".join(lines)


def room_text(ticks: Fraction | int) -> str:
    """Return a room as its mark writes it, in eighths: 5, 5/2, 16/3; ? for one that the vocabulary lacks."""
    eighths = Fraction(ticks) / UNIT_TICKS
    return str(eighths) if eighths in _KNOWN_ROOMS else "?"


def _pattern(marks: list[str]) -> str:
    """Return the pattern of words: marks are words before all others, and no other word holds an @."""
    alternatives = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    return f"{alternatives}|{grammar.PATTERN.replace('<]', '<@]')}"


def _counted_line(line: str, meter: Meter, kind: str) -> str:
    pieces = _pieces(line, meter)
    marks: dict[int, str] = {}
    if "\x1d" not in line:
        parts = _parts(pieces)
        if kind != ROOMS:
            _mark_sections(parts, marks)
    if kind != SECTIONS:
        for piece in pieces:
            _mark_rooms(piece, marks)
    texts, before = [], 0
    for place in sorted(marks):
        texts += [line[before:place].replace("@", "@@"), marks[place]]
        before = place
    return "".join(texts) + line[before:].replace("@", "@@")


def _pieces(line: str, meter: Meter) -> list[_Piece]:
    """Return the pieces of a line of music, one more than its bar lines."""
    pieces = [_Piece(0, "", meter, [], [])]
    ratio, n_tuplet = Fraction(1), 0
    for word in _WORD.finditer(line):
        piece = pieces[-1]
        if word["note"]:
            piece.ends.append(word.end())
            piece.ticks.append(_ticks(word["length"]) * (ratio if n_tuplet else 1))
            n_tuplet = max(0, n_tuplet - 1)
        elif word["bar"] or word["answer"]:
            pieces.append(_Piece(word.end(), word[0], meter, [], []))
            n_tuplet = 0
        elif word["p"]:
            ratio, n_tuplet = _tuplet(word, piece.meter)
        elif word["hidden"]:
            piece.is_hidden = True
        elif word["inline"] and word["inline"][1] == "M":
            meter = _meter(word["inline"][3:-1])
            piece.meter = piece.meter if piece.ticks else meter  # inside a bar it is meant for the next one
    return pieces


def _meter(text: str) -> Meter:
    try:
        return parse_meter(text)
    except NotationError:
        return FREE


def _tuplet(word: re.Match[str], meter: Meter) -> tuple[Fraction, int]:
    """Return the factor of the next notes' lengths, and how many they are."""
    p = int(word["p"])
    q = int(word["q"] or 0) or tuplet_time(p, meter)
    return Fraction(q, max(p, 1)), int(word["count"] or p)


def _ticks(length: str | None) -> Fraction:
    """Return ticks of a length as written; 0 for what is none, such as 1/0."""
    match = re.fullmatch(r"(\d*)(/*)(\d*)", length or "")
    assert match is not None
    below = int(match[3]) if match[3] else 2 ** len(match[2])
    return Fraction(UNIT_TICKS * int(match[1] or 1), below) if below else Fraction(0)


def _parts(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Return the pieces of each section, later endings apart; the short last bars of sections are noted."""
    parts: list[list[_Piece]] = []
    for piece in pieces:
        if piece.begins_part:
            parts.append([])
        parts[-1].append(piece)
    for part in parts:
        held = [piece for piece in part if piece.is_bar]
        if held and held[-1].is_short and (len(held) > 1 or not part[0].begins_section):
            held[-1].missing = held[-1].meter.ticks - sum(held[-1].ticks, Fraction(0))
    return parts


def _mark_rooms(piece: _Piece, marks: dict[int, str]) -> None:
    room = piece.missing
    for end, ticks in zip(reversed(piece.ends), reversed(piece.ticks), strict=True):
        marks[end] = f"@{room_text(room)};"
        room += ticks


def _mark_sections(parts: list[list[_Piece]], marks: dict[int, str]) -> None:
    """Count from the end backwards: what is left is what was passed."""
    n_sections, closing = 0, ""
    for part in reversed(parts):
        first, held = part[0], [piece for piece in part if piece.is_bar]
        if held:
            leads_in = len(held) == 1 and first.is_short and closing == "|:"
            n_sections += first.begins_section and not leads_in
            _mark_bars(part, marks, has_pickup=first.begins_section and first.is_short and (len(held) > 1 or leads_in))
            if first.begins_section:
                n = max(1, n_sections) if n_sections <= MAX_SECTIONS else "+"
                marks[first.start] = f"@S{n};" + marks[first.start]
        closing = first.opening or closing


def _mark_bars(part: list[_Piece], marks: dict[int, str], has_pickup: bool) -> None:
    missing = sum((piece.missing for piece in part), Fraction(0)) / UNIT_TICKS
    short = f"@D{missing if str(missing) in _MISSING else '?'};" if missing else ""
    n_bars = 0
    for piece in reversed(part):
        n_bars += piece.is_bar
        if piece is part[0] or piece.opening[0] == "|":
            n = n_bars - (has_pickup and piece is part[0])
            marks[piece.start] = f"@B{n if n <= MAX_BARS else '+'};" + short
