"""A tune that the user brings, and what `generate` may do with it.

    continue     go on after its last bar, or after its first bars      (--continue [BARS])
    fill         write some bars anew                                   (--fill 5-8,12)
    vary         the same for bars, or for a share of them: that many bars, and at least one, are chosen by the seed,
                 for each tune anew                                     (--vary 5-8, --vary 0.25)
    transpose    semitones up or down (symbolic.notation.transposition)
    harmonise    chord symbols where people change them, at beat groups or bar lines, or a progression of the user's own
                 (symbolic.notation.harmony)

Bars are counted as written, from 1, by what stands between two bar lines; a short first bar (a pick-up) is bar 0.
Inside this package places of bars count from 0. All other bars are returned as they are: in the canonical text, byte
for byte. The last two need no model.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symbolic.command_line import choose_tune
from symbolic.data import augmentation
from symbolic.errors import UsageError, UserError
from symbolic.notation import abc_parser, control_codes
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.carried_marks import carry_marks
from symbolic.notation.chord_symbols import parse_progression
from symbolic.notation.layout import laid_out
from symbolic.notation.score import Score
from symbolic.notation.score import bars as measures

NOT_KEPT_FIELDS = "XMLKVIU"  # of the header: what an edit writes anew
ALL_BARS = sys.maxsize  # --continue without a number


@dataclass(frozen=True)
class GivenTune:
    """The tune that the user brings: its canonical text, title, other header fields (all lines of each, further titles
    under T), where it was read, and the score with all that canonical text leaves out."""

    text: str
    title: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    where: str = "the tune"
    score: Score | None = None

    def dressed(self, edited: Score, n_bars: int | None = None) -> Score:
        """Return an edit of the tune with its fields, lyrics, annotations and names; with `n_bars` in its first bars
        only."""
        edited.fields |= {letter: list(values) for letter, values in self.fields.items() if letter != "T"}
        edited.fields["T"] = [*edited.fields.get("T", [self.title])[:1], *self.fields.get("T", [])]
        if self.score is not None:
            carry_marks(self.score, edited, n_bars)
        return edited

    def text_for_people(self, text: str, number: int = 1) -> str:
        """Return ABC for people of an edit of the tune, given as canonical text."""
        score = self.dressed(abc_parser.parse(text))
        return laid_out(score, number=number, title=self.title, fields=self.fields)

    @property
    def has_pickup(self) -> bool:
        """True if its first bar is shorter than the meter."""
        score = abc_parser.parse(self.text)
        return not measures(score.voices[0], score.meter)[0].is_full

    @property
    def n_bars(self) -> int:
        """Number of bars as written, the pick-up included."""
        return len(augmentation.bars(control_codes.music_of(self.text)))


@dataclass(frozen=True)
class TuneEdit:
    """What to do with a tune: `kind` is continue, fill, or '' for nothing that needs a model.

    bars: places from 0 of the bars that are kept (continue) or written anew (fill).
    share: of all bars that is written anew, chosen by the seed; 0 where `bars` names them.
    description: the edit in words, for people.
    """

    given: GivenTune
    kind: str = ""
    bars: tuple[int, ...] = ()
    share: float = 0.0
    description: str = ""

    def bars_to_write(self, seed: int, index: int) -> tuple[int, ...]:
        """Return the places of the bars to write anew in tune `index` of `seed`."""
        if not self.share:
            return self.bars
        import numpy as np

        n = self.given.n_bars
        generator = np.random.default_rng([seed, index])
        return tuple(sorted(generator.choice(n, _n_varied(self.share, n), replace=False).tolist()))


def continue_edit(given: GivenTune, n_bars: int = ALL_BARS) -> TuneEdit:
    """Return the edit that goes on after the first `n_bars` bars of a tune, or after its last bar."""
    _check_single_voice(given, "going on (--continue)")
    places = tuple(range(_n_kept(given, n_bars)))
    where = "its last bar" if n_bars == ALL_BARS else f"bar {n_bars}"
    return TuneEdit(given, "continue", places, description=f"continued after {where}")


def fill_edit(given: GivenTune, bars: str) -> TuneEdit:
    """Return the edit that writes some bars anew, given as `5-8,12`."""
    _check_single_voice(given, "filling bars (--fill)")
    return TuneEdit(given, "fill", parse_bars(bars, given), description=f"bars {bars} filled")


def vary_edit(given: GivenTune, bars_or_share: str) -> TuneEdit:
    """Return the edit that writes some bars anew, or a share of all bars: `0.25`."""
    _check_single_voice(given, "varying (--vary)")
    if not re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+)(e[-+]?\d+)?|-?0+", bars_or_share):
        return TuneEdit(given, "fill", parse_bars(bars_or_share, given), description=f"bars {bars_or_share} varied")
    share = float(bars_or_share)
    if not 0 < share <= 1:
        pickup = ", and a pick-up, bar 0, is written anew with --fill 0" if not share else ""
        raise UsageError(f"--vary {bars_or_share}: a share of the bars is above 0.0 and at most 1.0, as 0.25{pickup}.")
    n = given.n_bars
    return TuneEdit(given, "fill", share=share, description=f"{_n_varied(share, n)} of {n} bars varied")


def _check_single_voice(given: GivenTune, what: str) -> None:
    if "\nV:" in given.text:
        raise UserError(f"{given.where}: {what} works on tunes of one voice, and this one has several.")


def _n_varied(share: float, n_bars: int) -> int:
    return max(1, round(share * n_bars))


def read_tune(path: Path, number: int | None = None) -> GivenTune:
    """Read the tune X:`number` of an .abc file, or its first, or the music of a MIDI or MusicXML file.

    UserError names the file and line of what is wrong.
    """
    if not path.is_file():
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'not there'}: name ABC, MIDI or MusicXML.")
    from symbolic.formats.convert import abc_text

    return pick_tune(abc_text(path), number, str(path))


def pick_tune(text: str, number: int | None = None, where: str = "the text") -> GivenTune:
    """Return one tune of an ABC text, as `read_tune` does; `where` stands in messages. Raises UsageError for a `number`
    that it does not have, UserError where the tune cannot be read."""
    tunes = abc_parser.split_tunes(text)
    if not tunes:
        raise UserError(f"{where} holds no tune: a tune begins with X: and has a K: field.")
    numbers = [_tune_number(tune.text) for tune in tunes]
    chosen = tunes[0 if number is None else choose_tune(numbers, number, where, "--number")]
    try:
        score = abc_parser.parse(chosen.text, chosen.line)
    except NotationError as error:
        raise UserError(f"{where}: {error}") from error
    fields = {letter: list(filter(None, lines)) for letter, lines in score.fields.items()}
    fields["T"] = fields.get("T", [])[1:]
    fields = {letter: lines for letter, lines in fields.items() if lines and letter not in NOT_KEPT_FIELDS}
    return GivenTune(abc_parser.canonical(score), score.title or "untitled", fields, where, score)


def _tune_number(text: str) -> int | None:
    match = re.search(r"^X:\s*(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else None


def parse_bars(text: str, given: GivenTune) -> tuple[int, ...]:
    """Parse bars written as `5-8,12` into sorted places from 0."""
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


def kept_text(given: GivenTune, n_bars: int) -> str:
    """Return the tune up to the end of its first `n_bars` bars, the bar line there included."""
    music = control_codes.music_of(given.text)
    spans = augmentation.bars(music)
    head = given.text[: len(given.text) - len(music) - 1]
    end = len(music) if n_bars >= len(spans) else spans[n_bars].start
    return head + (music[:end] if _ends_barred(music[:end]) else music[:end] + "|")


def transpose_and_harmonise(text: str, semitones: int = 0, harmonise: str = "") -> str:
    """Return a canonical text transposed, with chord symbols where asked.

    `harmonise` is "" (none), "bar" or "beat" (where they may change), or a progression such as `| Am | F | C | G |`.
    """
    try:
        text = abc_parser.transpose(text, semitones)
    except NotationError as error:
        raise UserError(f"--transpose {semitones}: {error}") from error
    if not harmonise:
        return text
    from symbolic.notation import harmony

    if harmonise in ("bar", "beat"):
        return harmony.harmonised(text, "bar" if harmonise == "bar" else "beat")
    return harmony.with_progression(text, parse_progression(harmonise))


def _n_kept(given: GivenTune, n_bars: int) -> int:
    if n_bars == ALL_BARS:
        return given.n_bars
    n, first = n_bars + given.has_pickup, 1 - given.has_pickup
    if not 1 <= n <= given.n_bars:
        last = given.n_bars - given.has_pickup
        raise UserError(f"--continue {n_bars}: the tune has {last} bars; {first} to {last} of them can be kept.")
    return n


def _ends_barred(music: str) -> bool:
    """True if a line of music ends with a bar line or the number of an ending."""
    return re.search(r"(?:[|:]\]?|[|:\[]\]?\d[\d,\-]*|\[[A-Za-z]:[^\]]*\])$", music) is not None


def changed_bars(before: str, after: str) -> Sequence[int]:
    """Return the places of the bars whose text differs between two texts with equally many bars."""
    one, other = (control_codes.music_of(text) for text in (before, after))
    pairs = zip(augmentation.bars(one), augmentation.bars(other), strict=True)
    return [place for place, (a, b) in enumerate(pairs) if one[a.start : a.end] != other[b.start : b.end]]
