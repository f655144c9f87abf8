"""Full bars as an incremental rule: which bar line may come after what has been written of a tune, read once.

The rule is that of `symbolic.evaluate.validity`, which judges a finished tune; here it is kept while a tune grows. The
words are the same: a *piece* is what stands between two bar lines as written; a plain `|` ends a bar, every other bar
line may stand inside one; the pieces on its two sides, in playing order, are then parts of one bar.

`Form` is what has to be remembered at a bar line: the metre, the parts of a bar that is not yet full (`Open`), and of
the section that a repeat would go back to its first pieces, up to the first plain `|` (after which every pass is the
same), and where its endings fork. Forms are immutable and compare by value, so rows of a batch share what is computed
of them. Lengths are ticks, 40,320 to a whole note.

What is not read, though the checker may count it full: more than MOST_PARTS + 1 parts of a bar, a section whose first
MOST_HEAD pieces hold no plain `|`, endings out of order, a tune that stops inside a first ending.
"""

from functools import lru_cache
from typing import NamedTuple

from symbolic.data.music import Meter

MIN_BARS = 3  # inner bars a tune must have to be checked: validity.MIN_BARS
MOST_PARTS = 2  # of an unfinished bar
MOST_HEAD = 3
UNPLAYED = -1  # in place of an ending's number
_COUNTED = MIN_BARS + MOST_PARTS + 1  # counting further changes nothing
# Every spelling of a bar line that is read. "\n" is the end of the tune where no bar line closes its last piece.
BAR_LINES = ("|", "||", "|]", "|:", ":|", "::", "|1", "||1", "[1", ":|2", ":|3", ":|4", "\n")


class Piece(NamedTuple):
    """A finished piece. `divided`: the next may belong to the same bar. `outer`: it need not fit, being the tune's
    short first or last piece."""

    ticks: int
    bar_ticks: int
    divided: bool
    outer: bool


class Open(NamedTuple):
    """The parts of a bar that is not yet full, in ticks; 0 is none.

    `inner` must still be completed. `outer` counts from the tune's short first piece, which may be part of a bar or
    stand alone; a bar that begins after it is in `inner`, so both may be open.
    """

    outer: int = 0
    inner: int = 0
    bar_ticks: int = 0
    n_parts: int = 0


NOTHING_OPEN = Open()


class Form(NamedTuple):
    """A tune at the beginning of a piece."""

    meter: Meter
    open: Open = NOTHING_OPEN
    head: tuple[Piece, ...] = ()  # of the section, up to its first plain |
    is_closed: bool = False  # a plain | has ended the head
    fork: Open | None = None  # what was open where the endings begin, where every pass has the same
    ending: int = 0  # the ending we are in, 0 before the first
    resumed: Open | None = None  # in an ending that is never played: what was open before it
    n_bars: int = 0
    is_fresh: bool = True  # no piece yet
    opened: str = ""  # the bar line just read
    has_repeat: bool = False  # the section began with |: and waits for its :|
    must_end: bool = False
    may_end: bool = False

    @property
    def room(self) -> int:
        """Ticks the piece that begins here may have."""
        return self.meter.ticks - self.open.inner

    @property
    def may_change_meter(self) -> bool:
        """Parts of a bar are of one metre, and an ending must still fit its section's beginning."""
        return not self.open.inner and self.ending not in (1, UNPLAYED) and not self.must_end


@lru_cache(maxsize=1 << 16)
def bar_lines(form: Form, ticks: int) -> dict[str, Form]:
    """The bar lines that may come after `ticks` of a piece, each with the form after it. Do not change the result."""
    found = {text: close(form, ticks, text) for text in BAR_LINES}
    return {text: after for text, after in found.items() if after is not None}


def close(form: Form, ticks: int, text: str) -> Form | None:
    """The form after a piece of `ticks` and the bar line `text`, or None where no full bars can come of it."""
    if ticks == 0 or form.must_end:
        return _opening(form, text) if ticks == 0 else None
    kind, ending = text.rstrip("1234").replace("[", ""), int(text[-1]) if text[-1].isdigit() else 0
    if text == "\n":
        after = close(form, ticks, "|")
        return after if after is not None and after.may_end else None
    is_short = ticks < form.meter.ticks
    piece = Piece(ticks, form.meter.ticks, text != "|", form.is_fresh and is_short)
    after = _going_on(form, piece, kind, ending)
    must_end = after is None
    if after is None:
        if not is_short or ending or kind in ("|:", "::") or not _may_be_last(form, piece, kind):
            return None
        after = form
    n_bars = min(form.n_bars + (not piece.outer), _COUNTED)
    n_outer = after.open.n_parts + must_end if after.open.inner else is_short and not piece.outer
    may_end = n_bars - n_outer >= MIN_BARS and after.ending not in (1, UNPLAYED)
    if must_end and not may_end:
        return None
    return after._replace(n_bars=n_bars, is_fresh=False, opened=text, must_end=must_end, may_end=may_end)


def _opening(form: Form, text: str) -> Form | None:
    """A bar line where no piece has begun: at the head of the tune, or after a change of key or metre."""
    if form.must_end or form.ending in (1, UNPLAYED) or form.opened in ("|:", "::"):
        return None
    if text == "|:":
        return _section(form, form.open)._replace(opened=text, has_repeat=True)
    return form._replace(opened=text) if text in ("|", "||", "|]") else None


def _going_on(form: Form, piece: Piece, kind: str, ending: int) -> Form | None:
    """The form after the bar line whatever follows, or None."""
    if form.ending == UNPLAYED:
        return _unplayed(form, piece, kind, ending)
    open_ = added(form.open, piece)
    if open_ is None:
        return None
    form = _with_head(form, piece)
    if kind in (":|", "::"):
        return _repeated(form, open_, kind, ending)
    if kind == "|:":
        return _section(form, open_)._replace(has_repeat=True) if form.ending != 1 else None
    if ending and form.ending == 2:  # played as though it were the section's own second pass: this ending is left out
        return form._replace(open=NOTHING_OPEN, ending=UNPLAYED, resumed=open_)
    if ending:
        return _forked(form, open_) if form.ending == 0 else None
    return form._replace(open=open_) if form.is_closed or form.ending or len(form.head) < MOST_HEAD else None


def _unplayed(form: Form, piece: Piece, kind: str, ending: int) -> Form | None:
    """Each piece of an ending that is never played must be full by itself. It lasts until the second ending."""
    if piece.ticks != piece.bar_ticks or (ending and (kind, ending) != (":|", 2)):
        return None
    if ending:
        assert form.resumed is not None
        return form._replace(open=form.resumed, ending=2, resumed=None)
    return form if kind in ("|", "||", "|]") else None


def _with_head(form: Form, piece: Piece) -> Form:
    if form.is_closed or form.ending:
        return form
    return form._replace(head=(*form.head, piece), is_closed=not piece.divided)


def _section(form: Form, open_: Open) -> Form:
    """A section begins."""
    return form._replace(open=open_, head=(), is_closed=False, fork=None, ending=0, has_repeat=False)


def _forked(form: Form, open_: Open) -> Form | None:
    """The first ending begins. It must be able to lead back to the section's beginning."""
    form = form._replace(open=open_, ending=1, fork=open_ if form.is_closed else None)
    return form if any(played(way, form.head) is not None for way in ways_back(form)) else None


def ways_back(form: Form) -> list[Open]:
    """What may be open where a repeat leads back to the section's beginning, by length: nothing, or what its first
    pieces complete. Not all need fit."""
    ways, reached, bar_ticks = [NOTHING_OPEN], 0, form.meter.ticks
    for piece in form.head:
        reached += piece.ticks
        if reached < bar_ticks:
            ways.append(Open(0, bar_ticks - reached, bar_ticks, 1))
    return sorted(ways, key=lambda way: way.inner)


def _repeated(form: Form, open_: Open, kind: str, ending: int) -> Form | None:
    """The section is played again: it must fit on what is open now."""
    has_repeat = kind == "::"
    if form.ending >= 2 and not ending:  # its last pass is over
        return _section(form, open_)._replace(has_repeat=has_repeat)
    if ending and (ending != form.ending + 1 or form.ending == 0):
        return None
    again = played(open_, form.head)
    if again is None:
        return None
    if form.ending:
        forked = again if form.fork is None else form.fork
        if ending:
            return form._replace(open=forked, ending=ending, has_repeat=False)
        return _section(form, forked)._replace(has_repeat=has_repeat)
    return _section(form, open_ if form.is_closed else again)._replace(has_repeat=has_repeat)


def _may_be_last(form: Form, piece: Piece, kind: str) -> bool:
    """Whether the tune may end after this short piece, though nothing but the end could follow it."""
    if kind != ":|" or form.ending >= 2:
        return _ends(form.open, piece)
    if form.ending == 1:
        return False
    first = added(form.open, piece._replace(outer=True))
    again = None if first is None else played(first, form.head)
    return again is not None and _ends(form.open if form.is_closed else again, piece)


def _ends(open_: Open, piece: Piece) -> bool:
    """The parts at the very end of the playing order may fall short together."""
    return not open_.inner or (open_.bar_ticks == piece.bar_ticks and open_.inner + piece.ticks < piece.bar_ticks)


def played(open_: Open, pieces: tuple[Piece, ...]) -> Open | None:
    """What is open after the pieces are played, or None where a bar comes out wrong."""
    for piece in pieces:
        after = added(open_, piece)
        if after is None:
            return None
        open_ = after
    return open_


def added(open_: Open, piece: Piece) -> Open | None:
    """What is open after one more piece, or None where a bar comes out wrong.

    Bars are counted from the earliest beginning that works, as the checker does: from the outer piece, else from the
    first that must fit.
    """
    outer, inner, bar_ticks, n_parts = open_
    if bar_ticks and bar_ticks != piece.bar_ticks:
        if inner:
            return None
        outer = 0
    from_outer = outer + piece.ticks if outer else (piece.ticks if piece.outer and not inner else 0)
    from_inner = inner + piece.ticks if inner or outer or not from_outer else 0
    if piece.bar_ticks in (from_outer, from_inner):
        return NOTHING_OPEN
    if not piece.divided or from_outer > piece.bar_ticks:
        from_outer = 0
    if from_inner and (not piece.divided or from_inner > piece.bar_ticks or n_parts >= MOST_PARTS):
        return None
    if not from_outer and not from_inner:
        return NOTHING_OPEN
    return Open(from_outer, from_inner, piece.bar_ticks, n_parts + 1 if from_inner else 0)
