"""Bars of a given tune written anew, every other bar untouched.

The chosen bars are drawn one after another, each between the bar lines that the tune has there, so the number of bars,
repeats and endings stay. A model that was trained on tunes with bars taken out (symbolic.data.augmentation) reads the
whole tune with signs in place of the bars, then writes them: it knows both sides. Any other model is given what stands
before a bar, and no more.

What is drawn is made to fit without a change to its neighbours: a slur that crosses the border of a bar goes on or
ends in the new bar, a note that is tied into it begins it, no tie leads out, and fields at the head of a bar stay. The
canonical text of the result is that of the given tune but for the chosen bars; where it would not be (a tuplet that
runs on, text that is no music), the result is a fault.

With `constrain` each bar also has the length of the bar it replaces where that is part of a bar at a section's border,
else the length of the metre (`BarMask`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symbolic.data import augmentation
from symbolic.data.augmentation import ANSWER, FILL, HIDDEN
from symbolic.decode.constraint.automaton import CONTINUES, Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import NOTHING_OPEN, FormState, Open
from symbolic.decode.constraint.mark_mask import MarkMask
from symbolic.decode.constraint.shortest_ending import closing
from symbolic.decode.constraint.token_mask import IMPOSSIBLE, TokenMask
from symbolic.decode.engine import engine
from symbolic.errors import UserError
from symbolic.notation import abc_parser
from symbolic.notation.abc_parser import NotationError, Note, Rest
from symbolic.notation.score import Tuplet, WrittenBar, bars
from symbolic.notation.theory import Meter, parse_meter
from symbolic.tokens.counted import CountedTokenizer

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

MOST_TOKENS = 128  # of one bar
_END = re.compile(rf"[|\n{HIDDEN}{ANSWER}]|::|\[\d")
_CHANGE = re.compile(r"\[[A-Za-z]:")
_TIED = re.compile(r"[\^_=]{0,2}([A-Ga-g][,']*)[\d/]*-\)*$")


class Hole(NamedTuple):
    """A bar to be written: key, meter and length that it must have, and the slurs that cross its bar lines."""

    opening: str
    n_closed: int
    n_opened: int
    meter: Meter
    ticks: int


@dataclass(frozen=True)
class Filled:
    """A tune with its new bars; `fault` says why it cannot be read or would change other bars, '' otherwise."""

    text: str
    bodies: tuple[str, ...]
    fault: str = ""


def fill(
    source: Any,
    text: str,
    chosen: Sequence[int],
    *,
    n: int,
    constrain: bool,
    stream: int = 0,
    on_bar: Callable[[int, int, str], None] | None = None,
    **settings: Any,
) -> tuple[list[Filled], int]:
    """Return n tunes with the chosen bars (counted from 0) of a canonical text drawn anew, and the number of tokens
    drawn.

    on_bar(index, place, text) is called after each token, with what stands in the bar so far. `settings` go to
    `engine.generate`: sampling, seed, batch_size, eos, n_tokens. UserError where a bar cannot be taken out.
    """
    framed, old = augmentation.taken_out(text, chosen)
    parts = framed.split(HIDDEN)
    mask = BarMask(source.tokenizer, source.model.config.vocab_size) if constrain else None
    bodies: list[list[str]] = [[] for _ in range(n)]
    n_drawn = 0
    for number, hole in enumerate(holes(text, chosen)):
        beginnings = [_beginning(source.infill, framed, parts, done) + hole.opening for done in bodies]
        show = None if on_bar is None else partial(_show, on_bar, sorted(chosen)[number], hole.opening)
        raw, n_tokens = _draw(source, beginnings, hole, mask, stream + number, show, settings)
        n_drawn += n_tokens
        for done, body in zip(bodies, raw, strict=True):
            done.append(_mended(hole.opening + body, hole) or hole.opening + body)
    return [_filled(framed, tuple(done), len(old)) for done in bodies], n_drawn


def gone_on(kept: str, rest: str) -> Filled:
    """Return a kept beginning with what was drawn after it; slurs that are open at its end are closed after the first
    new note where the new bars do not close them themselves."""
    n_open = _crossing(kept.splitlines()[-1])[1]
    for text in dict.fromkeys((kept + rest, kept + _closing(rest, n_open))):
        try:
            if abc_parser.canonical(abc_parser.parse(text)).startswith(kept):
                return Filled(text, ())
        except NotationError as error:
            return Filled(text, (), f"{error.reason}: {error}")
    return Filled(kept + rest, (), "not_whole: the new bars change the last of the kept ones")


def _closing(rest: str, n_open: int) -> str:
    """Close slurs after the first note of new bars."""
    music, _, after = rest.partition("\n")
    try:
        return _with_slurs(music, n_open, 0) + "\n" * bool(after or rest.endswith("\n")) + after
    except NotationError:
        return rest


def holes(text: str, chosen: Sequence[int]) -> list[Hole]:
    """Return the hole that each chosen bar leaves. UserError where a bar changes key or metre in its middle or is part
    of a tuplet."""
    score = abc_parser.parse(text)
    start = text.rindex("\n", 0, -1) + 1
    music = text[start:-1]
    spans, measures = augmentation.bars(music), bars(score.voices[0], score.meter)
    if len(spans) != len(measures):
        raise UserError("the bars of this tune cannot be told apart: a bar holds grace notes only.")
    found = []
    for index in sorted(chosen):
        span = spans[index]
        body = music[span.start : span.end]
        if _CHANGE.search(body):
            raise UserError(f"bar {index + 1} ({body}) changes key or metre in its middle: choose another.")
        if (index and _runs_on(music[spans[index - 1].start : spans[index - 1].end])) or _runs_on(body):
            raise UserError(f"bar {index + 1} ({body}) shares a tuplet with its neighbour: choose another.")
        before = music[spans[index - 1].start : spans[index - 1].end] if index and index - 1 not in chosen else ""
        tied = _TIED.search(before)
        metres = re.findall(r"^M:(.*)|\[M:([^\]]*)\]", text[: start + span.start], re.MULTILINE)
        meter = parse_meter("".join(metres[-1]))
        found.append(Hole(tied[1] if tied else "", *_crossing(body), meter, _length(measures[index])))
    return found


def _length(measure: WrittenBar) -> int:
    """Return the ticks that the new bar must have."""
    partial = any(bar is None or bar.kind != "|" or bar.ending for bar in (measure.start, measure.end))
    return measure.ticks if partial and measure.ticks < measure.meter_ticks else measure.meter_ticks or measure.ticks


def _runs_on(body: str) -> bool:
    """True if a tuplet goes on beyond the end of a bar."""
    left = 0
    for event in abc_parser.parse(f"M:4/4\nL:1/8\nK:C\n{body}|C|\n").voices[0].events:
        if isinstance(event, abc_parser.Bar):
            return left > 0
        if isinstance(event, Tuplet):
            left = event.count
        elif isinstance(event, (Note, Rest)):
            left -= left > 0
    return False


def _crossing(body: str) -> tuple[int, int]:
    """Count the slurs that end in a bar and began before it, and those that begin in it and go on."""
    n_closed = n_open = 0
    for token in abc_parser.lex(body):
        if token.kind == "slur_open":
            n_open += 1
        elif token.kind == "slur_close":
            n_closed, n_open = n_closed + (n_open == 0), max(0, n_open - 1)
    return n_closed, n_open


def _beginning(infill: bool, framed: str, parts: Sequence[str], done: Sequence[str]) -> str:
    """Return the text that the model reads before it writes the next bar."""
    if infill:
        return FILL + framed + "".join(ANSWER + body for body in done) + ANSWER
    return augmentation.put_back(HIDDEN.join(parts[: len(done) + 1]), done)


def _show(on_bar: Callable[[int, int, str], None], place: int, opening: str, index: int, text: str) -> None:
    """Tell of a bar under way, without what ends it."""
    on_bar(index, place, opening + _END.split(text, maxsplit=1)[0])


def _draw(
    source: Any,
    beginnings: list[str],
    hole: Hole,
    mask: "BarMask | None",
    stream: int,
    show: Callable[[int, str], None] | None,
    settings: dict[str, Any],
) -> tuple[list[str], int]:
    """Draw the bar of one hole in each row; return the texts without what ended the bar, and the tokens drawn."""
    tokenizer = source.tokenizer
    texts = [""] * len(beginnings)
    n_drawn = 0

    def ends(index: int, token: int) -> bool:
        nonlocal n_drawn
        n_drawn += 1
        texts[index] += tokenizer.token_text(token)
        if show is not None:
            show(index, texts[index])
        return mask.is_at_end if mask else _END.search(texts[index]) is not None

    if mask:
        mask.begin(hole)
    drawn = engine.generate(
        source.model,
        [[tokenizer.bos, *ids] for ids in tokenizer.encode_many(beginnings)],
        max_new_tokens=MOST_TOKENS,
        mask=_with_marks(source, mask),
        on_token=ends,
        stream=stream,
        **settings,
    )
    bodies = [_END.split(text, maxsplit=1)[0].removesuffix(":") for text in texts]
    if mask:
        bodies = [mask.completed(body) for body in bodies]
    return bodies, n_drawn + sum(tune.finished == "eos" for tune in drawn)


def _with_marks(source: Any, mask: "BarMask | None") -> Any:
    """Return the mask that also allows the marks of a model of counted tokens."""
    if mask is None or not isinstance(source.tokenizer, CountedTokenizer):
        return mask
    return MarkMask(source.tokenizer, source.model.config.vocab_size, mask)


def _mended(raw: str, hole: Hole) -> str:
    """Spell a drawn bar canonically, with the slurs that cross its bar lines; '' if it cannot be read."""
    try:
        score = abc_parser.parse(f"M:{hole.meter.text}\nL:1/8\nK:C\n{raw}|C|\n")
    except NotationError:
        return ""
    body, _, rest = abc_parser.canonical(score).splitlines()[-1].rpartition("|C|")
    if rest or "|" in body or ":|" in body or not re.search("[A-Ga-gz]", body) or _runs_on(body):
        return ""
    return _with_slurs(re.sub(r"-(\)*)$", r"\1", body), hole.n_closed, hole.n_opened)


def _with_slurs(body: str, n_closed: int, n_opened: int) -> str:
    """End slurs after the first note of a bar, and begin others before its last."""
    symbols = _symbols(body)
    sounding = [place for place, (_, is_note) in enumerate(symbols) if is_note]
    texts = [text for text, _ in symbols]
    if n_closed:
        first = sounding[0] + 1 if sounding else 0
        first += texts[first : first + 1] == ["-"]
        texts.insert(first, ")" * n_closed)
    if n_opened:
        last = sounding[-1] + (n_closed > 0 and len(sounding) > 1) if sounding else len(texts)
        while 0 < last < len(texts) and re.fullmatch(r"\{.*|![^!]+!|[.~H-Wuv]", texts[last - 1]):
            last -= 1  # graces and decorations stay with their note
        texts.insert(last, "(" * n_opened)
    return "".join(texts)


def _symbols(body: str) -> list[tuple[str, bool]]:
    """Return the symbols of a bar, each with whether it is a note or a chord; a chord and a group of graces are one."""
    symbols: list[tuple[str, bool]] = []
    inside = ""
    for token in abc_parser.lex(body):
        if token.kind in ("chord_open", "grace_open"):
            inside = token.text
        elif inside:
            inside += token.text
            if token.kind in ("chord_close", "grace_close"):
                symbols.append((inside, token.kind == "chord_close"))
                inside = ""
        else:
            symbols.append((token.text, token.kind == "note"))
    return symbols


def _filled(framed: str, bodies: tuple[str, ...], n: int) -> Filled:
    assert len(bodies) == n
    text = augmentation.put_back(framed, bodies)
    try:
        again = abc_parser.canonical(abc_parser.parse(text))
    except NotationError as error:
        return Filled(text, bodies, f"{error.reason}: {error}")
    return Filled(text, bodies, "" if again == text else "not_whole: a new bar runs on into those after it")


class BarMask(TokenMask):
    """Token mask of one bar: it ends when it is full, with no symbol, tuplet or tie open.

    The rules are those of --constrain (symbolic.decode.constraint.automaton) inside a bar; bar lines, fields, the end
    of the tune and the sign ANSWER end it, and may come when it is full.
    """

    def __init__(self, tokenizer: "Tokenizer", vocab_size: int) -> None:
        super().__init__(tokenizer, Automaton(), vocab_size=vocab_size)
        self.is_at_end = False
        self.first = LexerState(Place.START)
        self.ends = {id for id, text in enumerate(self.vocabulary.texts) if text in ("|", ANSWER)} | {tokenizer.eos}
        self.banned = self._those(lambda text: not text or _is_banned(text))
        self.slur_ends = self._those(lambda text: re.fullmatch(r"\)+", text) is not None)
        self.words = self._those(lambda text: text[:1] in ('"', "!") and len(text) > 1)
        self.colons = self._those(lambda text: text.startswith(":"))
        self.after_bracket = self._those(lambda text: re.match(r"[\dH-Zh-z]", text) is not None)
        self.going_on = {
            place: self._those(lambda text, known=known: text[:1] in known and text != "")  # type: ignore[misc]
            for place, known in CONTINUES.items()
        }
        self.ending = np.zeros_like(self.banned)
        self.ending[sorted(self.ends)] = True

    def begin(self, hole: Hole) -> None:
        """Set the hole that rows started from now on write into."""
        missing = max(0, hole.meter.ticks - hole.ticks)
        if hole.meter.is_free or not hole.ticks:
            raise UserError("--constrain fills bars, and a bar without a metre has no length: leave out --constrain.")
        form = FormState(
            hole.meter,
            open=Open(inner=missing, bar_ticks=hole.meter.ticks, n_parts=1) if missing else NOTHING_OPEN,
            is_fresh=False,
            opened="|",
        )
        state = LexerState(Place.START, ticks_left=form.max_ticks, form=form, owed=Owed.NOTHING)
        self.first, n_read = self.automaton.read(hole.opening, state)
        assert n_read == len(hole.opening), hole

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a bar in a row, whatever its prompt."""
        self.rows[row] = self.row(self.first)
        self.tokens_left[row] = IMPOSSIBLE

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        if not self.allowed(row)[token]:
            return False
        self.advance(row, token)
        return True

    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed."""
        self.is_at_end = token in self.ends
        if not self.is_at_end:
            super().advance(row, token)

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that may extend the bar or end it."""
        state = self.rows[row].state
        mask = super().allowed(row) & ~self.banned
        if state.place != Place.TUPLET:
            mask &= ~self.colons
        if state.place in (Place.QUOTE, Place.NAME):
            mask &= ~self.words  # their first sign would be the end of this one, their last begin another
        if state.place == Place.BRACKET:
            mask &= ~self.after_bracket
        whole = self._whole(state)
        if whole is not None and whole.ticks_left == 0:
            mask &= self.slur_ends | self.going_on.get(state.place, self.slur_ends)
            if self.may_end(state):
                mask |= self.ending
        return mask

    def may_end(self, state: LexerState) -> bool:
        """True if the bar is full and no symbol, slur, tie or tuplet is open."""
        whole = self._whole(state)
        return whole is not None and (whole.place, whole.ticks_left, whole.tuplet, whole.n_slurs, whole.owed) == (
            *(Place.OPEN, 0, None, 0, Owed.NOTHING),
        ) and whole.text in ("note", "sound")  # fmt: skip

    def completed(self, body: str) -> str:
        """Complete a bar whose token budget ran out."""
        state, n_read = self.automaton.read(body, self.first)
        assert n_read == len(body), body
        while not self.may_end(state):
            character = closing(self.automaton, state)
            after = self.automaton.step(state, character)
            assert after is not None
            state, body = after, body + character
        return body

    def _whole(self, state: LexerState) -> LexerState | None:
        """Return the state with the unfinished symbol taken as complete; None if it is incomplete."""
        while state.place in CONTINUES:
            completed = self.automaton.completed(state)
            if completed is None:
                return None
            state = completed
        return state

    def _those(self, is_one: Callable[[str], bool]) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens whose text `is_one` accepts."""
        n_unused = self.vocabulary.size - len(self.vocabulary.texts)
        return np.array([bool(is_one(text)) for text in self.vocabulary.texts] + [False] * n_unused)


def _is_banned(text: str) -> bool:
    """True for bar lines, fields, and tokens in which something begins behind a note that may have filled the bar."""
    if re.match(r"[|\n]|:[|:]|\[[\dH-Zh-z|]", text) or "|" in text or "\n" in text:
        return True
    is_word = re.fullmatch(r'"[^"]*"|![^!]*!', text) is not None
    return re.search(r".[{\-(]", text) is not None or (re.search(r""".["!]""", text) is not None and not is_word)
