"""A tune that the user brings, and what `generate` may do with it.

    --continue [BARS]     go on after its last bar, or after the first BARS
    --fill 5-8,12         write these bars anew (symbolic.decode.editing.infilling)
    --vary 5-8 | 0.25     the same; a number with a point, above 0.0 and up to 1.0, is a share: that many bars, and at
                          least one, are chosen by the seed, for each tune anew
    --transpose N         N semitones higher or lower (symbolic.notation.transposition)
    --harmonise [beat]    chord symbols, one a bar or one a beat group (symbolic.notation.harmony)

Bars are counted as written, from 1, by what stands between two bar lines; a short first bar (a pick-up) is bar 0. All
other bars are returned as they are: in the canonical text, byte for byte. The last two need no model.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.data import augmentation
from symbolic.errors import UsageError, UserError
from symbolic.notation import abc_parser, control_codes, harmony
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.score import bars as measures

KEPT_FIELDS = "RCOSBDZNQ"  # of the header, as they are
MOST_BYTES = 64 << 20
ALL_BARS = sys.maxsize  # --continue without a number


@dataclass(frozen=True)
class Given:
    """The tune that was brought: its canonical text, title and other fields."""

    text: str
    title: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def has_pickup(self) -> bool:
        """Whether its first bar is shorter than the metre."""
        score = abc_parser.parse(self.text)
        return not measures(score.voices[0], score.meter)[0].is_full

    @property
    def n_bars(self) -> int:
        """Bars as written, the pick-up included."""
        return len(augmentation.bars(control_codes.music_of(self.text)))


@dataclass(frozen=True)
class Task:
    """What to do: `kind` is continue, fill, or '' for nothing that needs a model. Bars are counted from 0."""

    given: Given
    kind: str
    bars: tuple[int, ...] = ()
    share: float = 0.0
    told: str = ""  # for people

    def chosen(self, seed: int, index: int) -> tuple[int, ...]:
        """The bars to be written anew in tune `index`."""
        if not self.share:
            return self.bars
        n = self.given.n_bars
        generator = np.random.default_rng([seed, index])
        return tuple(sorted(generator.choice(n, _n_varied(self.share, n), replace=False).tolist()))


def add_arguments(group: Any) -> None:
    """Declare the options."""
    group.add_argument("--tune", type=Path, metavar="FILE.abc", help="the tune")
    group.add_argument("--number", type=int, metavar="X", help="its X: number in the file (default: the first)")
    group.add_argument(
        "--continue", dest="go_on", type=int, nargs="?", const=ALL_BARS, metavar="BARS", help="go on after BARS bars"
    )
    group.add_argument("--fill", metavar="BARS", help="write these bars anew, as 5-8,12")
    group.add_argument("--vary", metavar="BARS|SHARE", help="the same, or a share of all bars, 0.0 to 1.0")
    group.add_argument("--transpose", type=int, metavar="N", help="semitones; also for tunes of the model")
    group.add_argument(
        "--harmonise",
        nargs="?",
        const="bar",
        choices=("bar", "beat"),
        help="chord symbols; also for tunes of the model",
    )


def task(args: argparse.Namespace) -> Task | None:
    """What is asked on a command line; None without a tune."""
    given_bars = {"--continue": args.go_on, "--fill": args.fill, "--vary": args.vary}
    asked = [name for name, value in given_bars.items() if value is not None]
    if args.tune is None:
        if asked or args.number is not None:
            raise UsageError(
                f"{asked[0] if asked else '--number'} works on a tune that you bring: name it with --tune."
            )
        return None
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]}: one at a time.")
    if not asked and args.transpose is None and not args.harmonise:
        raise UsageError("say what to do with the tune: --continue, --fill, --vary, --transpose or --harmonise.")
    given = read(args.tune, args.number)
    if asked and "\nV:" in given.text:
        raise UserError(f"{args.tune}: {asked[0]} works on tunes of one voice, and this one has several.")
    if args.go_on is not None:
        return Task(
            given, "continue", tuple(range(_kept(given, args.go_on))), told=_told("continued after", args.go_on)
        )
    if args.fill is not None:
        return Task(given, "fill", parse_bars(args.fill, given), told=f"bars {args.fill} filled")
    return _varied(given, args.vary) if args.vary is not None else Task(given, "")


def _varied(given: Given, text: str) -> Task:
    """The task of --vary with bars, or with a share of them."""
    if not re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+)(e[-+]?\d+)?|-?0+", text):
        return Task(given, "fill", parse_bars(text, given), told=f"bars {text} varied")
    share = float(text)
    if not 0 < share <= 1:
        pickup = ", and a pick-up, bar 0, is written anew with --fill 0" if not share else ""
        raise UsageError(f"--vary {text}: a share of the bars is above 0.0 and at most 1.0, as 0.25{pickup}.")
    n = given.n_bars
    return Task(given, "fill", share=share, told=f"{_n_varied(share, n)} of {n} bars varied")


def _n_varied(share: float, n_bars: int) -> int:
    return max(1, round(share * n_bars))


def read(path: Path, number: int | None = None) -> Given:
    """One tune of a file. UserError names the file and the line of what cannot be read."""
    if not path.is_file():
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'not there'}: name an .abc file.")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MB: cut the tune out of it.")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    tunes = abc_parser.split_tunes(text)
    if not tunes:
        raise UserError(f"{path} holds no tune: a tune begins with X: and has a K: field.")
    numbers = [int(found[1]) if (found := re.search(r"^X:\s*(\d+)", one.text, re.MULTILINE)) else 0 for one in tunes]
    if number is not None and number not in numbers:
        listed = ", ".join(map(str, numbers[:12])) + (", ..." if len(numbers) > 12 else "")
        raise UserError(f"{path} has no tune X:{number}; it has {listed}.")
    chosen = tunes[0 if number is None else numbers.index(number)]
    try:
        score = abc_parser.parse(chosen.text, chosen.line)
    except NotationError as error:
        raise UserError(f"{path}: {error}") from error
    fields = {letter: values[0] for letter, values in score.fields.items() if letter in KEPT_FIELDS and values[0]}
    return Given(abc_parser.canonical(score), score.title or "untitled", fields)


def parse_bars(text: str, given: Given) -> tuple[int, ...]:
    """Bars as `5-8,12` as places from 0."""
    shift = 0 if given.has_pickup else 1
    last = given.n_bars - 1 + shift
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        if match is None:
            raise UsageError(f"bars {text!r}: write them as 5, 5-8 or 5-8,12.")
        low, high = int(match[1]), int(match[2] or match[1])
        if not shift <= low <= high <= last:
            pickup = ", 0 being its pick-up" if shift == 0 else ""
            raise UserError(f"bars {part.strip()}: the tune has bars {shift} to {last}{pickup}.")
        chosen.update(range(low - shift, high - shift + 1))
    return tuple(sorted(chosen))


def kept_text(given: Given, n_bars: int) -> str:
    """The tune up to the end of its first n bars, with the bar line there and without its end."""
    music = control_codes.music_of(given.text)
    spans = augmentation.bars(music)
    head = given.text[: len(given.text) - len(music) - 1]
    end = len(music) if n_bars >= len(spans) else spans[n_bars].start
    return head + (music[:end] if _ends_barred(music[:end]) else music[:end] + "|")


def finished(text: str, args: argparse.Namespace) -> str:
    """A canonical text transposed and harmonised as asked."""
    try:
        text = abc_parser.transpose(text, args.transpose or 0)
    except NotationError as error:
        raise UserError(f"--transpose {args.transpose}: {error}") from error
    return harmony.harmonised(text, args.harmonise) if args.harmonise else text


def _kept(given: Given, n_bars: int) -> int:
    if n_bars == ALL_BARS:
        return given.n_bars
    n, first = n_bars + given.has_pickup, 1 - given.has_pickup
    if not 1 <= n <= given.n_bars:
        last = given.n_bars - given.has_pickup
        raise UserError(f"--continue {n_bars}: the tune has {last} bars; {first} to {last} of them can be kept.")
    return n


def _told(what: str, n_bars: int) -> str:
    return f"{what} its last bar" if n_bars == ALL_BARS else f"{what} bar {n_bars}"


def _ends_barred(music: str) -> bool:
    """Whether a line of music ends with a bar line or an ending's number."""
    return re.search(r"(?:[|:]\]?|[|:\[]\]?\d[\d,\-]*|\[[A-Za-z]:[^\]]*\])$", music) is not None


def changed(before: str, after: str) -> Sequence[int]:
    """Places of the bars whose text differs; the two have equally many."""
    one, other = (control_codes.music_of(text) for text in (before, after))
    pairs = zip(augmentation.bars(one), augmentation.bars(other), strict=True)
    return [place for place, (a, b) in enumerate(pairs) if one[a.start : a.end] != other[b.start : b.end]]
