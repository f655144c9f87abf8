"""Control codes: what may be asked of a tune, as lines in front of its canonical text.

    R:reel           tune type, one of TYPES
    I:lowest D       lowest and highest note as written, accidentals aside
    I:highest b
    S:2              sections, 1 to 8
    B:9              bars of the first section, 1 to 32
    E:4              similarity of the second section to the first, 0 (nothing shared) to 10 (equal)
    B:9              bars of the second; a third has E: to the first, E: to the second, B:, and so on
    M:3/4            metre, key and mode need no code: they are the header of the tune itself
    L:1/8
    K:D
    de|f2fedB|...

S, B and E are those of TunesFormer (Wu, Li, Yu, Sun 2023, arXiv 2301.02884) and of the column `control code` of
IrishMAN, which is read as it stands. A section ends at || |] |: :: or :|, a second ending belongs to the section before
it, and the bars of a section are what its bar lines divide, pick-up and endings included. Similarity is
round(10 (1 - d / n)), d the edit distance (Levenshtein) of the two sections' texts, n the length of the longer; of a
section longer than MOST_COMPARED characters the beginning is compared, and a tune of more sections than can be asked
for has no similarities, so that the work grows with the text and not with its square. Texts
are canonical here, with no blanks, line ends or chord symbols of other collections, so E may differ by one or two from
IrishMAN's of the same tune. A piece without notes, such as [K:D], is counted with the section after it; of several
voices the first is read.

The codes are a function of the canonical text: `codes(score)` for a score, `codes_of(text)` for its text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic.errors import UserError
from symbolic.notation.abc_parser import Score, canonical
from symbolic.notation.theory import LETTERS, pitch_name

MOST_SECTIONS = 8
MOST_BARS = 32
MOST_SIMILAR = 10
MOST_COMPARED = 4096  # characters; the longest section of the three folk collections has 1,002
TYPES = (
    *("air", "barndance", "clog", "fling", "hornpipe", "jig", "march", "mazurka", "polka", "reel", "schottische"),
    *("slide", "slip jig", "strathspey", "waltz"),
)
STYLE_OF_METER = {"6/8": "jig", "9/8": "slip jig", "12/8": "slide", "3/4": "waltz", "2/4": "polka", "2/2": "reel"}
_ALIASES = {"double jig": "jig", "slipjig": "slip jig", "hop jig": "slip jig", "highland fling": "fling"}
LOWEST_POSITION, HIGHEST_POSITION = 14, 55  # C,, and b''; in steps of the staff, 28 is C

_BOUNDARY = re.compile(r":\||\|\||\|\]|\|:|::")
_BAR_LINE = re.compile(r":\||\|[|\]:]?|::")
_FIELDS = re.compile(r"\[[A-Za-z]:[^\]]*\]")
_NOTE = re.compile(r"""\[[A-Za-z]:[^\]]*\]|"[^"]*"|![^!]*!|\{[^}]*\}|(?P<note>[A-Ga-g][,']*)|z""")
_LINE = re.compile(r"[SBER]:[^|\n][^\n]*\n|I:[^\n]*\n")


@dataclass(frozen=True)
class Codes:
    """The form of a tune. `similarity` is of the second section to the first, the third to the first, the third to the
    second, ..., as written."""

    sections: int
    bars: tuple[int, ...]
    similarity: tuple[int, ...] = ()

    @property
    def in_range(self) -> bool:
        """Whether the codes can be written: at most 8 sections of at most 32 bars."""
        return 1 <= self.sections <= MOST_SECTIONS and all(1 <= n <= MOST_BARS for n in self.bars)


@dataclass(frozen=True)
class Asked:
    """What is asked of a tune; None and () are free. Made by `ask`, which checks it."""

    sections: int | None = None
    bars: tuple[int, ...] = ()
    similarity: tuple[int, ...] = ()
    rhythm: str | None = None
    lowest: str | None = None
    highest: str | None = None

    @property
    def lines(self) -> tuple[str | tuple[str, ...], ...]:
        """The lines in their order; for one that is free inside the form, the lines to choose from."""
        lines: list[str | tuple[str, ...]] = []
        lines += [f"R:{self.rhythm}\n"] if self.rhythm else []
        lines += [f"I:lowest {self.lowest}\n"] if self.lowest else []
        lines += [f"I:highest {self.highest}\n"] if self.highest else []
        if self.sections is None:
            return tuple(lines)
        free_bars, free_similarity = tuple(_bar_words()), tuple(_similarity_words())
        lines.append(f"S:{self.sections}\n")
        place = 0
        for section in range(self.sections):
            for _ in range(section):
                lines.append(f"E:{self.similarity[place]}\n" if self.similarity else free_similarity)
                place += 1
            lines.append(f"B:{self.bars[section]}\n" if self.bars else free_bars)
        return tuple(lines)

    @property
    def plan(self) -> tuple[int, ...] | None:
        """Bars of each section, 0 where they are free; None where no form is asked for."""
        return None if self.sections is None else self.bars or (0,) * self.sections

    @property
    def text(self) -> str:
        """For people, on one line; a free place is ?."""
        return " ".join(line.strip() if isinstance(line, str) else line[0][:2] + "?" for line in self.lines)


NOTHING_ASKED = Asked()


def ask(
    sections: int | None = None,
    bars: Sequence[int] = (),
    similarity: Sequence[int] = (),
    rhythm: str | None = None,
    lowest: str | None = None,
    highest: str | None = None,
) -> Asked:
    """Check what is asked. `bars` alone fix the number of sections. UserError says what does not fit."""
    n = sections if sections is not None else (len(bars) or None)
    if n is not None and not 1 <= n <= MOST_SECTIONS:
        raise UserError(f"{n} sections: ask for 1 to {MOST_SECTIONS}.")
    if n is None and similarity:
        raise UserError("--similarity compares sections: give their number with --sections, or their --bars.")
    if bars and len(bars) != n:
        raise UserError(f"{len(bars)} numbers of bars for {n} sections: give one for each.")
    if any(not 1 <= one <= MOST_BARS for one in bars):
        raise UserError(f"bars {' '.join(map(str, bars))}: a section has 1 to {MOST_BARS}.")
    n_pairs = n * (n - 1) // 2 if n else 0
    if similarity and len(similarity) != n_pairs:
        raise UserError(
            f"{len(similarity)} similarities for {n} sections: give {n_pairs}, of the second to the first, the third "
            "to the first, the third to the second, and so on."
        )
    if any(not 0 <= one <= MOST_SIMILAR for one in similarity):
        raise UserError(f"similarity {' '.join(map(str, similarity))}: each is 0 (nothing shared) to 10 (equal).")
    return Asked(n, tuple(bars), tuple(similarity), _known_type(rhythm), *_asked_range(lowest, highest))


def codes(score: Score) -> Codes:
    """The form of a score."""
    return codes_of(canonical(score))


def codes_of(text: str) -> Codes:
    """The form of a canonical text."""
    found = sections(music_of(text))
    compared = found if len(found) <= MOST_SECTIONS else []
    similarity = [_similarity(later, compared[j]) for i, later in enumerate(compared) for j in range(i)]
    return Codes(len(found), tuple(map(n_bars, found)), tuple(similarity))


def sections(music: str) -> list[str]:
    """The sections of a canonical line of music, each with the bar line that ends it; joined they are the line."""
    starts: list[int] = []
    begun = before = 0  # of the section; of what stands since the last sign
    for end in [*(match.end() for match in _BOUNDARY.finditer(music)), len(music)]:
        sounds, is_last = has_notes(music[before:end]), end == len(music)
        before = end
        goes_on = starts and (music[begun : begun + 1].isdigit() or (is_last and not sounds))
        if not goes_on and not sounds and not is_last:  # |: or [K:D] before the notes of a section
            continue
        if not goes_on:
            starts.append(begun)
        begun = end
    return [music[start:end] for start, end in zip(starts, [*starts[1:], len(music)], strict=True)]


def n_bars(section: str) -> int:
    """Bars of a section: the parts between its bar lines that hold notes or rests."""
    return sum(map(has_notes, _BAR_LINE.split(section)))


def has_notes(piece: str) -> bool:
    """Whether a piece of music holds a note or a rest."""
    return re.search(r"[A-Ga-gz]", _FIELDS.sub("", piece)) is not None


def encode(found: Codes) -> str:
    """The lines S:, B:, E: of a form; ValueError where it is out of range."""
    if not found.in_range:
        raise ValueError(f"{found} cannot be written as control codes")
    lines = Asked(found.sections, found.bars, found.similarity).lines
    return "".join(line for line in lines if isinstance(line, str))


def parse(text: str) -> Codes:
    """Read lines S:, B:, E:, as `encode` and IrishMAN write them. UserError where they are no form."""
    numbers = {letter: [int(n) for n in re.findall(rf"{letter}:\s*(\d+)", text)] for letter in "SBE"}
    n = numbers["S"][0] if len(numbers["S"]) == 1 else 0
    if len(numbers["B"]) != n or len(numbers["E"]) != n * (n - 1) // 2 or not n:
        raise UserError(f"control code {text!r}: expected S:n, then B: for each section and E: for each pair of them.")
    if any(value > MOST_SIMILAR for value in numbers["E"]):
        raise UserError(f"control code {text!r}: E: is 0 to {MOST_SIMILAR}.")
    return Codes(n, tuple(numbers["B"]), tuple(numbers["E"]))


def split(text: str) -> tuple[str, str]:
    """The code lines at the head of a text, and the tune after them."""
    end = 0
    while match := _LINE.match(text, end):
        end = match.end()
    return text[:end], text[end:]


def tune_type(rhythm: str) -> str:
    """An R: field as one of TYPES, or ''."""
    name = re.sub(r"[\s_-]+", " ", rhythm.strip().lower())
    name = _ALIASES.get(name, name)
    return name if name in TYPES else ""


def style_of(row: Mapping[str, Any]) -> str:
    """The style of a row of tunes/*.jsonl: its R: field, else a type that its title names, else the type that most
    tunes of its meter have; '' where nothing says it."""
    named = tune_type(str(row.get("rhythm") or ""))
    if named:
        return named
    title = " ".join([str(row.get("title") or ""), *(row.get("fields") or {}).get("T", [])]).lower()
    in_title = [name for name in TYPES if re.search(rf"\b{name}\b", title)]
    meter = re.match(r"M:(\S+)", str(row["text"]))
    return in_title[-1] if in_title else STYLE_OF_METER.get(meter[1] if meter else "", "")


def written_range(text: str) -> tuple[str, str] | None:
    """The lowest and the highest note of a canonical text as written, accidentals aside; None without notes."""
    lines = [line for line in text.splitlines() if not re.match(r"[A-Za-z]:(?![|:])", line)]
    names = {match["note"] for line in lines for match in _NOTE.finditer(line) if match["note"]}
    return (min(names, key=position), max(names, key=position)) if names else None


def range_lines(text: str) -> str:
    """The lines I:lowest and I:highest of a canonical text; '' where they are out of range."""
    found = written_range(text)
    if found is None or position(found[0]) < LOWEST_POSITION or position(found[1]) > HIGHEST_POSITION:
        return ""
    return f"I:lowest {found[0]}\nI:highest {found[1]}\n"


def words() -> list[str]:
    """Every code line but those that lead nowhere, for vocabularies that know lines as words (122)."""
    low = [f"I:lowest {name(p)}\n" for p in range(LOWEST_POSITION, HIGHEST_POSITION - 13)]
    high = [f"I:highest {name(p)}\n" for p in range(LOWEST_POSITION + 14, HIGHEST_POSITION + 1)]
    forms = [f"S:{n}\n" for n in range(1, MOST_SECTIONS + 1)] + _bar_words() + _similarity_words()
    return [*forms, *(f"R:{one}\n" for one in TYPES), *low, *high]


def position(note: str) -> int:
    """Place of a note on the staff, in steps: C is 28, c 35, D, 22."""
    octave = (5 if note[0].islower() else 4) + note.count("'") - note.count(",")
    return 7 * octave + LETTERS.index(note[0].upper())


def name(place: int) -> str:
    """The note at a place on the staff."""
    octave, step = divmod(place, 7)
    return pitch_name(LETTERS[step], octave)


def music_of(text: str) -> str:
    """The line of music of the (first) voice of a canonical text, without its line end."""
    lines = [line for line in text.split("\n") if line and not re.match(r"[A-Za-z]:(?![|:])", line)]
    return lines[0] if lines else ""


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and replacements.

    A column of the table is held in the bits of two integers (Myers 1999, as Hyyrö 2003 writes it), so that a row costs
    a few additions of long integers.
    """
    if not one or not other:
        return len(one) + len(other)
    places: dict[str, int] = {}
    for place, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << place
    every, last, distance = (1 << len(one)) - 1, 1 << (len(one) - 1), len(one)
    more, less = every, 0  # where the column grows, and where it falls, by one from row to row
    for character in other:
        equal = places.get(character, 0)
        same = (((equal & more) + more) ^ more) | equal | less
        grows, falls = less | ~(same | more) & every, more & same
        distance += bool(grows & last) - bool(falls & last)
        grows, falls = (grows << 1 | 1) & every, falls << 1 & every
        more, less = falls | ~(same | grows) & every, grows & same
    return distance


def _similarity(later: str, earlier: str) -> int:
    later, earlier = later[:MOST_COMPARED], earlier[:MOST_COMPARED]
    return round(MOST_SIMILAR * (1 - edit_distance(later, earlier) / max(len(later), len(earlier))))


def _bar_words() -> list[str]:
    return [f"B:{n}\n" for n in range(1, MOST_BARS + 1)]


def _similarity_words() -> list[str]:
    return [f"E:{n}\n" for n in range(MOST_SIMILAR + 1)]


def _known_type(rhythm: str | None) -> str | None:
    known = None if rhythm is None else tune_type(rhythm)
    if known == "":
        raise UserError(f"tune type {rhythm!r}: the codes know {', '.join(TYPES)}.")
    return known


def _asked_range(lowest: str | None, highest: str | None) -> tuple[str | None, str | None]:
    for note in (lowest, highest):
        if note is not None and not re.fullmatch(r"[A-G],*|[a-g]'*", note):
            raise UserError(
                f"range {note!r}: write a note as ABC does, without accidental: D, for low, D, d, d' for high."
            )
        if note is not None and not LOWEST_POSITION <= position(note) <= HIGHEST_POSITION:
            raise UserError(f"range {note}: notes go from {name(LOWEST_POSITION)} to {name(HIGHEST_POSITION)}.")
    if lowest and highest and position(lowest) > position(highest):
        raise UserError(f"range: the lowest note {lowest} is above the highest {highest}.")
    return lowest, highest
