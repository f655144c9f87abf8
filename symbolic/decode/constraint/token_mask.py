"""Token mask for `--constrain`: which next tokens leave enough budget to finish a valid tune.

A token is allowed when the automaton reads its characters (symbolic.decode.constraint.automaton) and the tokens that
are left of the budget suffice to finish the tune. Every vocabulary holds the single characters, so an ending of n
characters takes n tokens and the end-of-tune token. Near the limit no tuplet is begun any more; when the budget is used
up, the shortest valid completion is written (symbolic.decode.constraint.shortest_ending).

A sequence's state is a `ReducedState` (lexer state independent of meter and section) plus the form of the section, the
remaining ticks in the bar and the tied pitch. Reduced states recur, a trained model meets some hundreds of them, so
transitions are cached for each:

    take(row, token)   one look-up: the cached transition of a token, valid if at least `min_ticks` remain in the bar.
                       Bar lines and other tokens that depend on more are cached for the whole state.
    allowed(row)       the mask (V,), asked for only after a refused token: one comparison of `min_ticks` (V,), known
                       for each reduced state, with the remaining ticks. Equal masks are one array.

A transition is found by reading the token once in a bar of unbounded length, which tells how many ticks it needs.
Ticks are those of symbolic.notation.score: 40,320 a whole note.
"""

# V vocabulary entries

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symbolic.decode.constraint.automaton import CONTINUES, LETTERS, Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import NOTHING_OPEN, BarPiece, FormState, Open
from symbolic.decode.constraint.lexicon import GRID_TICKS
from symbolic.decode.constraint.shortest_ending import BAR_CHARACTERS, closing, max_characters
from symbolic.decode.constraint.token_trie import Trie, Vocabulary
from symbolic.decode.engine.mask import Mask
from symbolic.decode.prompt import Prompt
from symbolic.errors import UsageError, UserError
from symbolic.notation.canonical import DECORATIONS
from symbolic.notation.theory import Meter

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

UNBOUNDED_TICKS = GRID_TICKS << 16  # remaining ticks in the bar of a reduced state
IMPOSSIBLE = 1 << 30  # ticks that no bar has: the token is never allowed
MAX_CACHED = 1 << 17  # masks (100 MB at 768 tokens), transitions
TUPLET_CHARACTERS = 64  # upper bound on what a tuplet adds to the ending
TOKEN_CHARACTERS = 12  # upper bound on what any other token adds
MIN_CACHED_SUBTREE = 4  # tokens below a node of the trie from which on its readings are cached
NEAR_LIMIT = 256  # tokens: no ending is longer, tuplet included, except for the bars of a requested form
PITCH_PLACEHOLDER = "?"  # for the sequence's tied pitch, which is no part of a reduced state


class Transition(NamedTuple):
    """Cached transition: next reduced state, ticks consumed, tied pitch; valid if `min_ticks` remain in the bar."""

    target: "ReducedState"
    ticks: int
    pitch: str
    min_ticks: int


class ReducedState:
    """Lexer state independent of bar and section, with what is cached for it.

    transitions: by token; None where the position in the bar is not all that decides.
    min_ticks: (V,) int32, for each token the fewest remaining ticks with which it is allowed, IMPOSSIBLE where it is
    not or where more decides; None until a mask is asked for. thresholds: its distinct values, ascending.
    """

    __slots__ = ("min_ticks", "number", "state", "thresholds", "transitions")

    def __init__(self, number: int, state: LexerState) -> None:
        self.number = number
        self.state = state
        self.transitions: dict[int, Transition | None] = {}
        self.min_ticks: np.ndarray | None = None
        self.thresholds: list[int] = []


class SequenceState(NamedTuple):
    """State of one tune. `form_number` identifies `form` among those met so far, for cheap keys."""

    reduced: ReducedState
    form: FormState
    form_number: int
    ticks_left: int  # in the bar
    pitch: str  # that a tie would hold

    @property
    def state(self) -> LexerState:
        """The full lexer state."""
        return self.reduced.state._replace(form=self.form, ticks_left=self.ticks_left, pitch=self.pitch)


class TokenMask(Mask):
    """The mask of `--constrain` for one vocabulary, padded to `vocab_size`. Without `limit` a tune may be endless.

    counts: tokens judged (steps), refused, masks asked for; masks, readings of tokens and reduced states computed.
    """

    def __init__(
        self, tokenizer: "Tokenizer", automaton: Automaton | None = None, *, vocab_size: int | None = None
    ) -> None:
        self.automaton = automaton or Automaton()
        self.near_limit = NEAR_LIMIT + BAR_CHARACTERS * sum(max(n, 1) for n in self.automaton.plan or ())
        self.max_tokens: int | None = None
        self.context: int | None = None
        self.vocabulary = Vocabulary(tokenizer, vocab_size or tokenizer.vocab_size)
        self.depends_on_pitch = bool(self.vocabulary.mixed) or self.automaton.plan is not None
        self.counts = dict.fromkeys(("steps", "refused", "asked", "masks", "readings", "states"), 0)
        self.rows: dict[int, SequenceState] = {}
        self.tokens_left: dict[int, int] = {}
        self._states: dict[LexerState, ReducedState] = {}
        self._forms: dict[FormState, int] = {}
        self._masks: dict[Hashable, np.ndarray] = {}
        self._shared: dict[Hashable, np.ndarray] = {}
        self._starts: dict[str, tuple[SequenceState, int]] = {}
        self._after: dict[Hashable, SequenceState | None] = {}
        self._closings: dict[LexerState, int] = {}
        self._endings: dict[tuple[int, int], int] = {}
        self._known_readings: dict[tuple[int, LexerState], tuple[list[int], list[int]]] = {}

    def limit(self, max_tokens: int | None, context: int | None = None) -> None:
        """Set the budget of each tune: new tokens, the end-of-tune token included, and positions of the model."""
        self.max_tokens, self.context = max_tokens, context

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a tune with this prompt in a row. UserError if no valid tune begins so or the budget is too short."""
        text = "".join(self.vocabulary.texts[id] for id in prompt)
        started = self._starts.get(text)
        if started is None:
            state, n_read = self.automaton.read(text)
            if n_read < len(text):
                raise refusal(text, n_read)
            started = self.row(state), self.n_closing(state)
            cache_result(self._starts, text, started)
        self.rows[row], n_closing = started
        self.tokens_left[row] = self._budget(len(prompt))
        if self.tokens_left[row] < n_closing:
            raise UsageError(
                f"{self.tokens_left[row]} new tokens are too few: with --constrain this tune needs {n_closing} to be "
                "ended. Ask for more with --max-tokens, or shorten the prompt."
            )

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        self.counts["steps"] += 1
        at, tokens_left = self.rows[row], self.tokens_left[row]
        if token == self.vocabulary.eos:
            after = at if at.reduced.state.place == Place.END else None
        elif tokens_left <= self.near_limit and not self._leaves_enough(row, token):
            after = None
        else:
            after = self._next(at, token)
        if after is None:
            self.counts["refused"] += 1
            return False
        self.rows[row] = after
        self.tokens_left[row] = tokens_left - 1
        return True

    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed."""
        after = self._next(self.rows[row], token)
        assert after is not None, f"{self.vocabulary.texts[token]!r} is not allowed after {self.rows[row].state}"
        self.rows[row] = after
        self.tokens_left[row] -= 1

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that may come next; shared, not to be written to."""
        self.counts["asked"] += 1
        at = self.rows[row]
        key = at.reduced.number, at.form_number, at.ticks_left, at.pitch if self.depends_on_pitch else ""
        mask = self._masks.get(key)
        if mask is None:
            mask = self._mask(at)
            cache_result(self._masks, key, mask)
        if self.tokens_left[row] <= self.near_limit:
            return self._near_limit(at, mask, self.tokens_left[row])
        return mask

    def row(self, state: LexerState) -> SequenceState:
        """Split a full lexer state into the parts of a SequenceState."""
        if len(self._forms) > MAX_CACHED:
            self._forget()
        number = self._forms.setdefault(state.form, len(self._forms))
        return SequenceState(self._reduced_state(state), state.form, number, state.ticks_left, state.pitch)

    def n_closing(self, state: LexerState) -> int:
        """Count the tokens of the shortest valid completion: one a character, and the end-of-tune token."""
        begun: list[tuple[LexerState, int]] = []
        n_characters = 0
        while state not in self._closings and (character := closing(self.automaton, state)):
            begun.append((state, n_characters))
            after = self.automaton.step(state, character)
            assert after is not None
            state, n_characters = after, n_characters + 1
        n_tokens = n_characters + self._closings.get(state, 1)
        for one, n_before in begun:
            cache_result(self._closings, one, n_tokens - n_before)
        return n_tokens

    def _budget(self, n_prompt: int) -> int:
        """Return the new tokens a tune may have: a model of C positions draws one token more than it reads."""
        limits = [self.max_tokens, None if self.context is None else self.context + 1 - n_prompt]
        return min((limit for limit in limits if limit is not None), default=IMPOSSIBLE)

    def _ending(self, at: SequenceState) -> int:
        """Return an upper bound on the tokens that finish the tune after one more token that opens no tuplet."""
        key = at.reduced.number, at.form_number
        if key not in self._endings:
            most = max_characters(at.reduced.state, at.form) + 1 + TOKEN_CHARACTERS
            cache_result(self._endings, key, most)
        return self._endings[key]

    def _is_near(self, at: SequenceState, tokens_left: int) -> bool:
        """True if the end-of-budget filter may exclude anything."""
        return tokens_left <= self._ending(at) + TUPLET_CHARACTERS

    def is_near_limit(self, row: int) -> bool:
        """True if the end of the budget may exclude tokens in a row."""
        tokens_left = self.tokens_left[row]
        return tokens_left <= self.near_limit and self._is_near(self.rows[row], tokens_left)

    def _leaves_enough(self, row: int, token: int) -> bool:
        """True if the token survives the end-of-budget filter; builds no mask when only tuplet openers are excluded."""
        at, tokens_left = self.rows[row], self.tokens_left[row]
        if not self._is_near(at, tokens_left):
            return True
        if tokens_left > self._ending(at):
            return not self.vocabulary.begins_tuplet[at.reduced.state.place == Place.PAREN][token]
        return bool(self.allowed(row)[token])

    def _near_limit(self, at: SequenceState, mask: np.ndarray, tokens_left: int) -> np.ndarray:
        """Remove from a mask what would leave too few tokens to finish the tune."""
        if not self._is_near(at, tokens_left):
            return mask
        state = at.state
        if tokens_left > self._ending(at) or tokens_left > self.n_closing(state) + TOKEN_CHARACTERS:
            return mask & ~self.vocabulary.begins_tuplet[state.place == Place.PAREN]
        return self.vocabulary.only(closing(self.automaton, state))

    def _next(self, at: SequenceState, token: int) -> SequenceState | None:
        """Return the state after a token, whatever the budget; None if the token is not allowed."""
        known = at.reduced.transitions.get(token, _UNKNOWN)
        if known is _UNKNOWN:
            known = at.reduced.transitions[token] = self._transition(at.reduced, token)
        if known is not None:
            target, ticks, pitch, min_ticks = known
            if min_ticks > at.ticks_left:
                return None
            if PITCH_PLACEHOLDER in pitch:
                pitch = pitch.replace(PITCH_PLACEHOLDER, at.pitch)
            return SequenceState(target, at.form, at.form_number, at.ticks_left - ticks, pitch)
        pitch = at.pitch if at.reduced.state.owed == Owed.TIED_NOTE or "-" in self._text(token) else ""
        key = at.reduced.number, at.form_number, at.ticks_left, pitch, token
        after = self._after.get(key, _UNKNOWN)
        if after is _UNKNOWN:
            after = self._follow(at.state._replace(pitch=pitch), token)
            cache_result(self._after, key, after)
        return after

    def _transition(self, reduced: ReducedState, token: int) -> Transition | None:
        """Compute a transition in an unbounded bar, where `min_ticks` is the fewest remaining ticks it min_ticks.

        None if more than the position in the bar matters; a self-loop with IMPOSSIBLE for tokens without text."""
        text, before = self._text(token), reduced.state
        if not text:
            return Transition(reduced, 0, "", IMPOSSIBLE)
        is_tied = before.owed == Owed.TIED_NOTE
        is_planned = self.automaton.plan is not None  # then a tie must have a bar to go on in
        if before.place == Place.BAR or ("-" in text and (is_planned or not is_tied)):
            return None
        self.counts["readings"] += 1
        self.automaton.shortfall = -before.ticks_left
        state, n_read = self.automaton.read(text, before if is_tied else before._replace(pitch=PITCH_PLACEHOLDER))
        leaves_bar = state.follows_bar and not before.follows_bar
        if n_read < len(text) or state.form is not before.form or leaves_bar:
            return None
        min_ticks = before.ticks_left + self.automaton.shortfall
        return Transition(self._reduced_state(state), before.ticks_left - state.ticks_left, state.pitch, min_ticks)

    def _follow(self, state: LexerState, token: int) -> SequenceState | None:
        """Return the state after a token read from a full lexer state; None if it cannot be read."""
        self.counts["readings"] += 1
        text = self._text(token)
        after, n_read = self.automaton.read(text, state)
        return self.row(after) if n_read == len(text) else None

    def _text(self, token: int) -> str:
        """Return the characters of a token, '' for ids that are padding."""
        texts = self.vocabulary.texts
        return texts[token] if token < len(texts) else ""

    def _forget(self) -> None:
        """Clear every cache whose keys hold the number of a form."""
        for known in (self._forms, self._after, self._masks, self._starts, self._endings):
            known.clear()
        for row, at in self.rows.items():
            self.rows[row] = at._replace(form_number=self._forms.setdefault(at.form, len(self._forms)))

    # --- masks

    def _mask(self, at: SequenceState) -> np.ndarray:
        """Compute the mask of a state; equal masks are one array."""
        state, reduced, ticks_left = at.state, at.reduced, at.ticks_left
        if state.place == Place.BAR and (started := self.automaton.completed(state)):
            reduced, ticks_left = self._reduced_state(started), started.ticks_left
        begun = state.text if state.place == Place.BAR else ""
        ties = [] if self.automaton.plan is None else self.vocabulary.ties
        allowed = (
            *self.vocabulary.continuing_bar_line(begun, tuple(self._open_lines(state))),
            *(self._readable(self.vocabulary.after_digit, state) if state.place == Place.BAR else ()),
            *self._readable(self.vocabulary.mixed, state),
            *self._readable(ties, state),
        )
        min_ticks = self._min_ticks_of(reduced)
        key = reduced.number, bisect_right(reduced.thresholds, ticks_left), allowed
        found = self._shared.get(key)
        if found is None:
            self.counts["masks"] += 1
            mask = min_ticks <= ticks_left
            mask[ties] = False
            mask[list(allowed)] = True
            found = mask
            cache_result(self._shared, key, found)
        return found

    def _open_lines(self, state: LexerState) -> Mapping[str, FormState]:
        """Return the bar lines that may come next, an unfinished symbol taken as complete where it can be."""
        while state.place in (Place.NOTE, Place.LENGTH):
            completed = self.automaton.completed(state)
            if completed is None:
                return {}
            state = completed
        if state.place == Place.BAR:
            return self.automaton.lines_begun(state)
        return self.automaton.lines(state) if state.place == Place.OPEN else {}

    def _readable(self, ids: list[int], state: LexerState) -> list[int]:
        """Return those of the tokens that the automaton reads from a state."""
        texts = self.vocabulary.texts
        return [id for id in ids if self.automaton.read(texts[id], state)[1] == len(texts[id])]

    def _reduced_state(self, state: LexerState) -> ReducedState:
        """Return the reduced state of a full one; equal ones are one object."""
        key = _reduced(state)
        reduced = self._states.get(key)
        if reduced is None:
            reduced = self._states[key] = ReducedState(len(self._states), key)
        return reduced

    def _min_ticks_of(self, reduced: ReducedState) -> np.ndarray:
        if reduced.min_ticks is None:
            self.counts["states"] += 1
            reduced.min_ticks = self._min_ticks(reduced.state)
            reduced.thresholds = np.unique(reduced.min_ticks[reduced.min_ticks < IMPOSSIBLE]).tolist()
        return reduced.min_ticks

    def _min_ticks(self, state: LexerState) -> np.ndarray:
        """Compute (V,) int32: the fewest remaining ticks with which each token is allowed; bar lines left out.

        A token that does not continue the unfinished symbol completes it: its value follows from that of the state
        in which the symbol is complete."""
        vocabulary = self.vocabulary
        min_ticks = np.full(vocabulary.size, IMPOSSIBLE, dtype=np.int32)
        if state.place == Place.END:
            min_ticks[vocabulary.eos] = -IMPOSSIBLE  # however many ticks the last bar had left
        elif state.place in CONTINUES:
            self._walk(state, CONTINUES[state.place] if state.place != Place.BAR else "", min_ticks)
            self.automaton.shortfall = -state.ticks_left
            completed = None if state.place == Place.BAR else self.automaton.completed(state)
            if completed is not None:
                least, ticks = state.ticks_left + self.automaton.shortfall, state.ticks_left - completed.ticks_left
                others = vocabulary.elsewhere(CONTINUES[state.place])
                after_it = self._min_ticks_of(self._reduced_state(completed))
                min_ticks[others] = (after_it[others] + ticks).clip(least, IMPOSSIBLE)
        else:
            self._walk(state, _BEGINNINGS.get(state.place, vocabulary.trie.children), min_ticks)
        return min_ticks

    def _walk(self, state: LexerState, characters: Iterable[str], min_ticks: np.ndarray) -> None:
        """Write into `min_ticks` (V,) the tokens that begin with one of the characters and can be read."""
        ids, found = self._readings(self.vocabulary.trie, state, characters)
        if ids:
            min_ticks[ids] = found

    def _readings(self, trie: Trie, state: LexerState, characters: Iterable[str]) -> tuple[list[int], list[int]]:
        """Return the tokens below a node of the trie that can be read from a state, and the ticks that each needs."""
        automaton = self.automaton
        ids: list[int] = []
        min_ticks: list[int] = []
        for character in characters:
            child = trie.children.get(character)
            if child is None:
                continue
            automaton.shortfall = -state.ticks_left
            after = automaton.step(state, character)
            if after is None:
                continue
            least, ticks = state.ticks_left + automaton.shortfall, state.ticks_left - after.ticks_left
            ids += child.ids
            min_ticks += [least] * len(child.ids)
            if child.children:
                deeper, their_ticks = self._readings_below(child, _reduced(after))
                ids += deeper
                min_ticks += [max(least, ticks + further) for further in their_ticks]
        return ids, min_ticks

    def _readings_below(self, trie: Trie, state: LexerState) -> tuple[list[int], list[int]]:
        """Return `_readings` of every character, cached for large subtrees."""
        if trie.size < MIN_CACHED_SUBTREE:
            return self._readings(trie, state, trie.children)
        closed_by = _CLOSED_BY.get(state.place)
        if closed_by and trie.ends_in(closed_by):
            text = state.text[state.text.index("[") :] if state.place == Place.FIELD else state.text
            marks = state.marks if state.place == Place.NAME else ""
            state = LexerState(state.place, text, UNBOUNDED_TICKS, FormState(state.form.meter), marks=marks)
        key = id(trie), state
        found = self._known_readings.get(key)
        if found is None:
            found = self._readings(trie, state, trie.children)
            cache_result(self._known_readings, key, found)
        return found


def rules_after_prompt(prompt: Prompt) -> Automaton:
    """Return the rules for tunes that begin with a prompt and have the form it asks for.

    Bars without a meter allow every meter that they fit. UserError if no valid tune begins so.
    """
    if prompt.metre == Meter(0, 1).text:
        raise UsageError("--constrain fills bars, and M:none has none. Name a meter, as 6/8, or leave out --constrain.")
    automaton = Automaton(plan=prompt.asked.plan)
    head, music = f"L:1/8\nK:{prompt.key or 'C'}\n", prompt.bars
    meters = [prompt.metre] if prompt.metre else list(automaton.meters)
    read = {meter: automaton.read(f"M:{meter}\n{head}{music}")[1] - len(f"M:{meter}\n{head}") for meter in meters}
    fitting = [meter for meter, n_read in read.items() if n_read == len(music)]
    if not fitting:
        raise refusal(music or f"M:{prompt.metre}", max(0, *read.values()))
    return Automaton(fitting, prompt.asked.plan)


def refusal(text: str, n_read: int) -> UserError:
    """Return the error that says where a prompt stops being the beginning of a valid tune."""
    line = text.rfind("\n", 0, n_read) + 1
    return UserError(
        f"prompt: with --constrain no right tune begins with {text[line : n_read + 1]!r} (column {n_read - line + 1}). "
        "Its bars must be full but for a pick-up, in one voice and in a meter that can be counted. "
        "Mend the prompt, or leave out --constrain."
    )


_UNKNOWN: Any = object()
_PITCH = "^_=" + LETTERS
_MUSIC = _PITCH + 'z"{[(!' + DECORATIONS
# The characters that can begin a symbol at each place.
_BEGINNINGS = {
    Place.START: _MUSIC + "|\n",
    Place.OPEN: _MUSIC + "-)",
    Place.ACCIDENTAL: _PITCH,
    Place.MARK: _PITCH + "[!" + DECORATIONS,
    Place.BRACKET: _PITCH + "KM",
    Place.CHORD: _PITCH + "]",
    Place.GRACE: _PITCH + "}",
}
# What ends a symbol whose reading depends on nothing else (in a field also on the meter, in a name on the marks).
_CLOSED_BY = {Place.FIELD: "]", Place.QUOTE: '"', Place.NAME: "!"}
_SOME_PIECE = (BarPiece(1, 1, divided=True),)
_IN_BAR = {
    (compound, in_threes): FormState(
        Meter(6, 8) if compound else Meter(4, 4), in_threes, is_fresh=False, opened="|", must_end=True
    )
    for compound in (False, True)
    for in_threes in (False, True)
}


def _reduced(state: LexerState) -> LexerState:
    """Return the state with an unbounded bar and only those parts of its form that decide what may come."""
    ticks_left = UNBOUNDED_TICKS + state.ticks_left % GRID_TICKS
    if state.place == Place.END:
        return LexerState(Place.END, ticks_left=ticks_left)
    form = state.form
    pitch = state.pitch if state.owed == Owed.TIED_NOTE else ""
    if not state.follows_bar:
        return state._replace(ticks_left=ticks_left, form=_IN_BAR[form.meter.is_compound, form.in_threes], pitch=pitch)
    return state._replace(ticks_left=ticks_left, form=_reduced_form(form), pitch=pitch)


def _reduced_form(form: FormState) -> FormState:
    """Keep of a form, at the beginning of a piece, whether the meter may change and a bar line or the end may stand."""
    return FormState(
        form.meter,
        form.in_threes,
        Open(inner=1) if form.open.inner else NOTHING_OPEN,
        _SOME_PIECE if form.head else (),
        repeat=form.repeat,
        ending=form.ending,
        is_fresh=form.is_fresh,
        opened="|1" if form.opened[-1:].isdigit() else {"::": "|:", "|:": "|:", "": ""}.get(form.opened, "|"),
        must_end=form.must_end,
        may_end=form.may_end,
        plan=None if form.plan is None else (0,),
        n_pieces=min(form.n_pieces, 1),
    )


def cache_result(known: dict[Any, Any], key: Hashable, value: object) -> None:
    """Put a result into a cache, which is emptied first when it holds MAX_CACHED."""
    if len(known) >= MAX_CACHED:
        known.clear()
    known[key] = value
