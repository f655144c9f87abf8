"""Full bars as an incremental rule: which bar lines may follow what has been written of a tune.

The rule is that of `symbolic.notation.validity`, which judges a finished tune; here it is kept while a tune
grows. The words are the same: a *piece* is what stands between two bar lines as written; a plain `|` ends a bar, every
other bar line may stand inside one; the pieces on its two sides, in playing order, are then parts of one bar.

A `FormState` is what must be known at a bar line: the meter, the parts of a bar that is not yet full (`Open`), the
state of the section that a repeat would go back to, and its first pieces, up to the first plain `|` (after which every
pass is the same). It is immutable and compares by value, so that rows of a batch share what is computed from it.
Lengths are ticks, 40,320 to a whole note.

Programs differ on what a repeat without its sign means; so that abc2midi, too, finds every bar full and no sign
missing (symbolic.evaluate.checkers.abc2midi), less is read than the checker counts as right:

- the pick-up of the tune stands alone; where the section is repeated, the end that leads back completes it;
- |: waits for its :| (or ::); :: and |1 stand only in a section that |: or :: opened, or in the first;
- a pick-up behind a bar line with which the tune begins, as | or ||, is not come back to;
- endings are |1, at the end of a bar, then :|2; nothing divides a first ending, and after the second a section is
  repeated only if |: opens it; a second ending that :| closes must have no pick-up to lead to;
- before a :| without |: stands no double bar line but one with which the tune begins: a repeat goes back to the latest
  double bar (ABC 2.1, section 4.8), or to the beginning, as programs please;
- in a section that is repeated the meter changes at its beginning only;
- || and |] stand inside a bar where a pick-up follows: as long as that of the tune, or at most a quarter of a bar, or
  where the tune has none half a bar;
- a short last bar is closed by a double bar line, or by nothing.

A requested form, sections and bars of each (`FormState.plan`), is counted as symbolic.notation.control_codes counts it:
a section ends at || |] |: :: :|, a second ending belongs to the section before it, and its bars are its pieces, pick-up
and endings included. A piece may then be only so long, and a bar line come only where, the rest of the plan can follow;
that is found by trying full bars and those that complete a pick-up. Under a plan the meter does not change.

Also left out: more than MAX_PARTS + 1 parts of a bar, a section whose first MAX_HEAD pieces hold no plain `|`.
"""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from symbolic.notation.theory import Meter

MIN_BARS = 3  # inner bars a tune must have to be checked: validity.MIN_BARS
MAX_PARTS = 2  # of an unfinished bar
MAX_HEAD = 3
_COUNTED = MIN_BARS + MAX_PARTS + 1  # counting further changes nothing
_NEAR_END = 6  # bars of a section before whose last ones are tried out one by one; those before are full
_GO_ON = ("|", "|1", ":|2")  # bar lines that end no section
_LEADING = ("|", "||", "|]")  # with which a tune may begin
# Every spelling of a bar line that is read. "\n" is the end of the tune where no bar line closes its last piece.
BAR_LINES = ("|", "||", "|]", "|:", ":|", "::", "|1", ":|2", "\n")


class BarPiece(NamedTuple):
    """A finished piece. divided: the next may belong to the same bar. outer: it is the tune's short first piece."""

    ticks: int
    bar_ticks: int
    divided: bool
    outer: bool = False


class Open(NamedTuple):
    """The parts of a bar that is not yet full, in ticks; 0 is none.

    inner: ticks of a bar that must still be completed. outer: the same counted from the tune's short first piece, which
    stands alone; a bar that begins after it must not come out full in that count, which the checker also makes.
    """

    outer: int = 0
    inner: int = 0
    bar_ticks: int = 0
    n_parts: int = 0


NOTHING_OPEN = Open()


class Repeat(IntEnum):
    """Whether a :| may or must end the section."""

    FIRST = 0  # it may: the tune begins here
    AFTER = 1  # it may: a :| stands before it
    OPENED = 2  # it must: |: or :: opened it
    NEVER = 3


class FormState(NamedTuple):
    """State of a tune at the beginning of a piece."""

    meter: Meter
    in_threes: bool = False  # the upper number of the header's M: is a multiple of three
    open: Open = NOTHING_OPEN
    head: tuple[BarPiece, ...] = ()  # of the section, up to its first plain |
    is_closed: bool = False  # a plain | has ended the head
    repeat: Repeat = Repeat.FIRST
    ending: int = 0  # the ending we are in, 0 before the first
    had_endings: bool = False
    n_bars: int = 0
    is_fresh: bool = True  # no piece yet
    pickup: int = 0  # ticks of the tune's short first piece
    opened: str = ""  # the bar line just read
    must_end: bool = False
    may_end: bool = False
    plan: tuple[int, ...] | None = None  # bars of the present section and of those to come, 0 for any; None: no plan
    n_pieces: int = 0  # of the present section, where there is a plan

    @property
    def max_ticks(self) -> int:
        """Most ticks of the piece that begins here; 0 if the plan cannot be kept."""
        return self.meter.ticks - self.open.inner if self.plan is None else _planned_max_ticks(self)

    @property
    def n_planned(self) -> int:
        """Fewest pieces that the plan still needs."""
        return sum(max(n, 1) for n in self.plan) - self.n_pieces if self.plan else 0

    @property
    def may_change_meter(self) -> bool:
        """True if [M:] may stand here: parts of a bar have one meter, and a repeat to its section's first."""
        is_fixed = self.plan is not None or self.open.inner
        return not (is_fixed or self.ending or self.must_end or (self.head and self.repeat == Repeat.OPENED))

    @property
    def waits(self) -> bool:
        """True if a :| must come."""
        return self.ending == 1 or self.repeat == Repeat.OPENED

    def with_meter(self, meter: Meter) -> "FormState":
        """Return the state after [M:]."""
        repeat = Repeat.NEVER if self.head else self.repeat
        return self._replace(meter=meter, repeat=repeat)


@lru_cache(maxsize=1 << 16)
def bar_lines(form: FormState, ticks: int) -> dict[str, FormState]:
    """Return the bar lines that may end a piece of `ticks`, each with the state after it; shared, not to be changed."""
    found = {text: close(form, ticks, text) for text in BAR_LINES}
    return {text: after for text, after in found.items() if after is not None and can_be_kept(after)}


@lru_cache(maxsize=1 << 16)
def can_be_kept(form: FormState) -> bool:
    """True if some continuation keeps the plan from here; always true without a plan."""
    if form.plan is None or form.must_end:
        return True
    if not form.plan[0]:  # of as many bars as it takes
        fixed = (form._replace(plan=(form.n_pieces + n, *form.plan[1:])) for n in range(1, _COUNTED + 1))
        return any(map(can_be_kept, fixed))
    while form.plan[0] - form.n_pieces > _NEAR_END:
        after = close(form, form.meter.ticks - form.open.inner, "|")
        if after is None:
            return False
        form = after
    return form.max_ticks > 0


@lru_cache(maxsize=1 << 16)
def _planned_max_ticks(form: FormState) -> int:
    """Return the ticks of the longest piece after which the plan can still be kept; 0 if there is none."""
    full = form.meter.ticks - form.open.inner
    lengths = {full} | {way.inner - taken for way in ways_back(form) for taken in (0, form.open.inner)}
    for ticks in sorted(lengths, reverse=True):
        if 0 < ticks <= full and bar_lines(form, ticks):
            return ticks
    return 0


def close(form: FormState, ticks: int, text: str) -> FormState | None:
    """Return the state after a piece of `ticks` and the bar line `text`.

    None if the bars could not all come out full, or would be too many or too few for the plan."""
    after = _closed(form, ticks, text)
    return after if after is None or form.plan is None else _with_plan(form, after, ticks, text)


def _with_plan(form: FormState, after: FormState, ticks: int, text: str) -> FormState | None:
    """Return the state after a bar line with the plan counted, or None if it breaks the plan."""
    if ticks == 0 or text == "\n":
        ends_section = form.n_pieces > 0 and text not in (*_GO_ON, "\n")
        return None if ends_section else after
    assert form.plan
    n, wanted, is_last = form.n_pieces + 1, form.plan[0], len(form.plan) == 1
    if wanted and n > wanted:
        return None
    if text in _GO_ON and not (text == "|" and is_last and n == wanted):
        return after._replace(n_pieces=n if wanted else 1, may_end=False) if n != wanted else None
    if wanted and n < wanted:
        return None
    if is_last:
        return after._replace(plan=(), n_pieces=0, must_end=True) if after.may_end else None
    return None if after.must_end else after._replace(plan=form.plan[1:], n_pieces=0, may_end=False)


def _closed(form: FormState, ticks: int, text: str) -> FormState | None:
    if ticks == 0 or form.must_end:
        return _opening(form, text) if ticks == 0 else None
    if text == "\n":
        after = close(form, ticks, "|]")
        return after if after is not None and after.may_end else None
    is_short = ticks < form.meter.ticks
    if form.is_fresh and is_short and form.opened in _LEADING:
        form = form._replace(repeat=Repeat.NEVER)
    piece = BarPiece(ticks, form.meter.ticks, divided=text not in ("|", "|1"), outer=form.is_fresh and is_short)
    open_ = after_piece(form.open, piece)
    after = None if open_ is None else _going_on(form, piece, open_, text)
    must_end = after is None
    if after is None:
        if not is_short or not _may_be_last(form, piece, open_, text):
            return None
        after = form
    n_bars = min(form.n_bars + (not piece.outer), _COUNTED)
    n_outer = after.open.n_parts + must_end if after.open.inner else is_short and not piece.outer
    may_end = n_bars - n_outer >= MIN_BARS and (must_end or not after.waits)
    if must_end and not may_end:
        return None
    pickup = ticks if piece.outer else form.pickup
    return after._replace(n_bars=n_bars, is_fresh=False, pickup=pickup, opened=text, must_end=must_end, may_end=may_end)


def _opening(form: FormState, text: str) -> FormState | None:
    """Return the state after a bar line where no piece has begun: at the tune's head, or after [K:] or [M:]."""
    if form.must_end or form.opened in ("|:", "::") or form.ending == 1:
        return None
    if text == "|:" and form.repeat != Repeat.OPENED:
        return _section(form, form.open, Repeat.OPENED)._replace(opened=text, may_end=False)
    is_double = text in ("||", "|]")
    may_stand = (text == "|" and not form.open.inner) or (is_double and form.repeat != Repeat.AFTER)
    if not may_stand or form.ending:
        return None
    is_new = is_double and form.repeat == Repeat.FIRST and not form.is_fresh
    return form._replace(opened=text, repeat=Repeat.NEVER if is_new else form.repeat)


def _going_on(form: FormState, piece: BarPiece, open_: Open, text: str) -> FormState | None:
    """Return the state after a bar line that does not end the tune, or None."""
    form = _with_head(form, piece)
    if text == "|:":
        return None if form.waits else _section(form, open_, Repeat.OPENED)
    if text in (":|", "::"):
        return _after_repeat(form, open_, text)
    if text == "|1":
        return _first_ending(form, open_)
    if text == ":|2":
        again = form.ending == 1 and after_pieces(open_, form.head) is not None
        return form._replace(open=NOTHING_OPEN, ending=2, repeat=Repeat.NEVER) if again else None
    return _after_bar_line(form, open_, text)


def _after_bar_line(form: FormState, open_: Open, text: str) -> FormState | None:
    """Return the state after | or a double bar line."""
    if text != "|" and (form.ending == 1 or (open_.inner and not _leads_on(form, open_))):
        return None
    if text == "|" or form.repeat == Repeat.OPENED:
        has_head = form.is_closed or form.ending or form.repeat == Repeat.NEVER or len(form.head) < MAX_HEAD
        return form._replace(open=open_) if has_head else None
    return _section(form, open_, Repeat.NEVER)


def _leads_on(form: FormState, open_: Open) -> bool:
    """True if the rest of the bar can be the pick-up of a section."""
    missing = open_.bar_ticks - open_.inner
    return missing == form.pickup or (4 if form.pickup else 2) * missing <= open_.bar_ticks


def _with_head(form: FormState, piece: BarPiece) -> FormState:
    """Add a piece to the section's first pieces; a pick-up is part of a bar when it is played again."""
    if form.is_closed or form.ending or form.repeat == Repeat.NEVER:
        return form
    first = piece._replace(divided=piece.divided and not piece.outer, outer=False)
    return form._replace(head=(*form.head, first), is_closed=not piece.divided)


def _section(form: FormState, open_: Open, repeat: Repeat) -> FormState:
    """Return the state at the beginning of a section."""
    return form._replace(open=open_, head=(), is_closed=False, ending=0, repeat=repeat)


def _first_ending(form: FormState, open_: Open) -> FormState | None:
    """Return the state in a first ending, or None if it could not lead back to the section's beginning."""
    if form.ending or form.repeat not in (Repeat.FIRST, Repeat.OPENED) or open_.inner:
        return None
    form = form._replace(open=NOTHING_OPEN, ending=1, had_endings=True)
    return form if any(after_pieces(way, form.head) is not None for way in ways_back(form)) else None


def ways_back(form: FormState) -> list[Open]:
    """Return what may be open where a repeat leads back to the section's beginning: nothing, or a bar that its first
    pieces complete; shortest first. Callers check which of them fit."""
    ways, reached, bar_ticks = [NOTHING_OPEN], 0, form.meter.ticks
    for piece in form.head:
        reached += piece.ticks
        if reached < bar_ticks:
            ways.append(Open(0, bar_ticks - reached, bar_ticks, 1))
    return sorted(ways, key=lambda way: way.inner)


def _after_repeat(form: FormState, open_: Open, text: str) -> FormState | None:
    """Return the state after a repeat sign, or None if the section does not fit what is open now."""
    again = after_pieces(open_, form.head)
    if form.ending == 1 and text == ":|":  # the second time the ending is left out
        return None if again is None else _section(form, NOTHING_OPEN, Repeat.NEVER)
    if form.ending == 2 and text == ":|":  # some play the section a third time
        return None if again is None or open_.inner else _section(form, NOTHING_OPEN, Repeat.NEVER)
    may_repeat = form.repeat in (Repeat.FIRST, Repeat.OPENED) or (form.repeat == Repeat.AFTER and text == ":|")
    if again is None or form.ending or not may_repeat:
        return None
    after = Repeat.OPENED if text == "::" else (Repeat.NEVER if form.had_endings else Repeat.AFTER)
    return _section(form, open_ if form.is_closed else again, after)


def _may_be_last(form: FormState, piece: BarPiece, open_: Open | None, text: str) -> bool:
    """True if the tune may end after this short piece, and only end."""
    if text == ":|" and form.ending == 2:
        return open_ is not None and after_pieces(open_, form.head) is not None and _ends(form.open, piece)
    return text in ("||", "|]") and not form.waits and _ends(form.open, piece)


def _ends(open_: Open, piece: BarPiece) -> bool:
    """True if the last parts in playing order fall short of a bar together."""
    return not open_.inner or (open_.bar_ticks == piece.bar_ticks and open_.inner + piece.ticks < piece.bar_ticks)


def after_pieces(open_: Open, pieces: tuple[BarPiece, ...]) -> Open | None:
    """Return what is open after the pieces are played, or None if a bar comes out wrong."""
    for piece in pieces:
        after = after_piece(open_, piece)
        if after is None:
            return None
        open_ = after
    return open_


def after_piece(open_: Open, piece: BarPiece) -> Open | None:
    """Return what is open after one more piece, or None if a bar comes out wrong."""
    outer, inner, bar_ticks, n_parts = open_
    if bar_ticks and bar_ticks != piece.bar_ticks:
        if inner:
            return None
        outer = 0
    from_outer = outer + piece.ticks if outer else (piece.ticks if piece.outer else 0)
    from_inner = 0 if piece.outer else inner + piece.ticks
    if from_outer == piece.bar_ticks != from_inner:
        return None
    if from_inner == piece.bar_ticks:
        return NOTHING_OPEN
    if not piece.divided or from_outer > piece.bar_ticks:
        from_outer = 0
    if from_inner and (not piece.divided or from_inner > piece.bar_ticks or n_parts >= MAX_PARTS):
        return None
    if not from_outer and not from_inner:
        return NOTHING_OPEN
    return Open(from_outer, from_inner, piece.bar_ticks, n_parts + 1 if from_inner else 0)
