"""The mask of `--constrain`: of each row the tokens after which a right tune can still be ended in time.

A token may come when the automaton reads its characters (symbolic.decode.constraint.automaton) and the row's tokens
that are left are enough to end the tune. Every vocabulary has the single bytes, so an ending of n characters is n
tokens and the end of tune. Near the limit no tuplet is begun any more, and when the ending is due it is written out
(symbolic.decode.constraint.shortest_ending).

Cost. A row is a `Core`, what its state is without metre, section and room, with its form, its room left and the pitch
that a tie would hold. A trained model meets some hundreds of cores. The engine asks about the token that was drawn
(`take`): where nothing but the room decides, as for notes, a core remembers the fewest ticks of room with which the
token may come and what it leads to, found by reading it once in a bar without end; other tokens, as bar lines, are
remembered for the whole state. In the steady state that is one look-up. Masks (`allowed`) are wanted only where a token
was refused. Then each core knows for every token the room it needs, found once by walking the vocabulary; so a mask is
one comparison, and of the rooms that give the same comparison only one is kept.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from symbolic.decode.constraint.automaton import CONTINUES, LETTERS, Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import NOTHING_OPEN, BarPiece, FormState, Open
from symbolic.decode.constraint.lexicon import GRID_TICKS
from symbolic.decode.constraint.shortest_ending import BAR_CHARACTERS, closing, most_characters
from symbolic.decode.constraint.token_trie import Trie, Vocabulary
from symbolic.decode.prompt import Prompt
from symbolic.errors import UsageError, UserError
from symbolic.notation.canonical import DECORATIONS
from symbolic.notation.theory import Meter

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

ENDLESS = GRID_TICKS << 16  # room left in the bar of a core
NEVER = 1 << 30  # ticks that no bar has
MOST_REMEMBERED = 1 << 17  # masks (100 MB at 768 tokens), transitions
TUPLET_CHARACTERS = 64  # that the longest tuplet can add to an ending
TOKEN_CHARACTERS = 12  # that any other token can add
MOST_REPEATED = 4  # tokens below a node of the trie that are walked again rather than remembered
NEAR_LIMIT = 256  # tokens; no ending, tuplet included, is longer, but for the bars of a form that is asked for
SOME_PITCH = "?"  # stands for the pitch of a row, of which a core does not know


class Step(NamedTuple):
    """What a token leads to where there are `need` ticks of room: the core after it, the ticks it takes, the pitch."""

    core: "Core"
    taken: int
    pitch: str
    need: int


class Core:
    """A state without the bar and section it is in. `after` holds the tokens that were asked about: a Step, or None
    where more than the room decides. `needs` (V,), once a mask is wanted, is for each token the least room with which
    it may come, NEVER for those that may not or that need more than room; `rooms`: these needs, rising."""

    __slots__ = ("after", "needs", "number", "rooms", "state")

    def __init__(self, number: int, state: LexerState) -> None:
        self.number = number
        self.state = state
        self.after: dict[int, Step | None] = {}
        self.needs: np.ndarray | None = None
        self.rooms: list[int] = []


class SequenceState(NamedTuple):
    """Where one tune stands. `number` is the form's."""

    core: Core
    form: FormState
    number: int
    left: int  # ticks of room in the bar
    pitch: str

    @property
    def state(self) -> LexerState:
        """The whole state."""
        return self.core.state._replace(form=self.form, left=self.left, pitch=self.pitch)


class Constraint:
    """A `Mask` of the engine for one vocabulary, padded to `vocab_size`, that judges single tokens. Before `limit` is
    called a tune may be endless.

    counts: tokens asked about, refused ones, masks asked for; masks, readings of a token and cores worked out.
    """

    def __init__(
        self, tokenizer: "Tokenizer", automaton: Automaton | None = None, *, vocab_size: int | None = None
    ) -> None:
        self.automaton = automaton or Automaton()
        self.near_limit = NEAR_LIMIT + BAR_CHARACTERS * sum(max(n, 1) for n in self.automaton.plan or ())
        self.most_tokens: int | None = None
        self.context: int | None = None
        self.vocabulary = Vocabulary(tokenizer, vocab_size or tokenizer.vocab_size)
        self.depends_on_pitch = bool(self.vocabulary.mixed) or self.automaton.plan is not None
        self.counts = dict.fromkeys(("steps", "refused", "asked", "masks", "readings", "cores"), 0)
        self.rows: dict[int, SequenceState] = {}
        self.tokens_left: dict[int, int] = {}
        self._cores: dict[LexerState, Core] = {}
        self._forms: dict[FormState, int] = {}
        self._masks: dict[Hashable, Tensor] = {}
        self._shared: dict[Hashable, Tensor] = {}
        self._starts: dict[str, tuple[SequenceState, int]] = {}
        self._after: dict[Hashable, SequenceState | None] = {}
        self._closings: dict[LexerState, int] = {}
        self._endings: dict[tuple[int, int], int] = {}
        self._known_readings: dict[tuple[int, LexerState], tuple[list[int], list[int]]] = {}

    def limit(self, most_tokens: int | None, context: int | None = None) -> None:
        """End the tunes in `most_tokens` new tokens, their end included, and in the positions of the model."""
        self.most_tokens, self.context = most_tokens, context

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins a tune whose prompt is `prompt`. UserError where no right tune begins so."""
        text = "".join(self.vocabulary.texts[id] for id in prompt)
        started = self._starts.get(text)
        if started is None:
            state, n_read = self.automaton.read(text)
            if n_read < len(text):
                raise refusal(text, n_read)
            started = self.row(state), self.n_closing(state)
            remember(self._starts, text, started)
        self.rows[row], needed = started
        self.tokens_left[row] = self._budget(len(prompt))
        if self.tokens_left[row] < needed:
            raise UsageError(
                f"{self.tokens_left[row]} new tokens are too few: with --constrain this tune needs {needed} to be "
                "ended. Ask for more with --max-tokens, or shorten the prompt."
            )

    def take(self, row: int, token: int) -> bool:
        """Go on with a token that was drawn; False where it may not come, and then nothing changes."""
        self.counts["steps"] += 1
        at, tokens_left = self.rows[row], self.tokens_left[row]
        if token == self.vocabulary.eos:
            after = at if at.core.state.place == Place.END else None
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
        """`token`, which is allowed, was drawn in row."""
        after = self._next(self.rows[row], token)
        assert after is not None, f"{self.vocabulary.texts[token]!r} is not allowed after {self.rows[row].state}"
        self.rows[row] = after
        self.tokens_left[row] -= 1

    def allowed(self, row: int) -> Tensor:
        """(V,) bool: True for each token that row may draw next. Do not change it."""
        self.counts["asked"] += 1
        at = self.rows[row]
        key = at.core.number, at.number, at.left, at.pitch if self.depends_on_pitch else ""
        mask = self._masks.get(key)
        if mask is None:
            mask = self._mask(at)
            remember(self._masks, key, mask)
        if self.tokens_left[row] <= self.near_limit:
            return self._near_limit(at, mask, self.tokens_left[row])
        return mask

    def row(self, state: LexerState) -> SequenceState:
        """A state in its parts."""
        if len(self._forms) > MOST_REMEMBERED:
            self._forget()
        number = self._forms.setdefault(state.form, len(self._forms))
        return SequenceState(self._core(_reduced(state)), state.form, number, state.left, state.pitch)

    def n_closing(self, state: LexerState) -> int:
        """Tokens that end the tune from here: one for each character of the ending, and one for the end."""
        begun: list[tuple[LexerState, int]] = []
        n_characters = 0
        while state not in self._closings and (character := closing(self.automaton, state)):
            begun.append((state, n_characters))
            after = self.automaton.step(state, character)
            assert after is not None
            state, n_characters = after, n_characters + 1
        n_tokens = n_characters + self._closings.get(state, 1)
        for one, n_before in begun:
            remember(self._closings, one, n_tokens - n_before)
        return n_tokens

    def _budget(self, n_prompt: int) -> int:
        """New tokens that the engine will draw for a tune: a model of C positions draws one that it need not read."""
        limits = [self.most_tokens, None if self.context is None else self.context + 1 - n_prompt]
        return min((limit for limit in limits if limit is not None), default=NEVER)

    def _ending(self, at: SequenceState) -> int:
        """Tokens with which an ending can surely be drawn after one more token that begins no tuplet."""
        key = at.core.number, at.number
        if key not in self._endings:
            most = most_characters(at.core.state, at.form) + 1 + TOKEN_CHARACTERS
            remember(self._endings, key, most)
        return self._endings[key]

    def _is_near(self, at: SequenceState, tokens_left: int) -> bool:
        """Whether `_near_limit` leaves something out."""
        return tokens_left <= self._ending(at) + TUPLET_CHARACTERS

    def _leaves_enough(self, row: int, token: int) -> bool:
        """Whether `_near_limit` leaves a token in; where only tuplets may be out, without making the mask."""
        at, tokens_left = self.rows[row], self.tokens_left[row]
        if not self._is_near(at, tokens_left):
            return True
        if tokens_left > self._ending(at):
            return not self.vocabulary.begins_tuplet[at.core.state.place == Place.PAREN][token]
        return bool(self.allowed(row)[token])

    def _near_limit(self, at: SequenceState, mask: Tensor, tokens_left: int) -> Tensor:
        """The mask without what would leave too few tokens to end the tune."""
        if not self._is_near(at, tokens_left):
            return mask
        state = at.state
        if tokens_left > self._ending(at) or tokens_left > self.n_closing(state) + TOKEN_CHARACTERS:
            return mask & ~self.vocabulary.begins_tuplet[state.place == Place.PAREN]
        return self.vocabulary.only(closing(self.automaton, state))

    def _next(self, at: SequenceState, token: int) -> SequenceState | None:
        """Where a token leads, as long as there are tokens left; None where it may not come."""
        known = at.core.after.get(token, _UNKNOWN)
        if known is _UNKNOWN:
            known = at.core.after[token] = self._step(at.core, token)
        if known is not None:
            core, taken, pitch, need = known
            if need > at.left:
                return None
            if SOME_PITCH in pitch:
                pitch = pitch.replace(SOME_PITCH, at.pitch)
            return SequenceState(core, at.form, at.number, at.left - taken, pitch)
        pitch = at.pitch if at.core.state.owed == Owed.TIED_NOTE or "-" in self._text(token) else ""
        key = at.core.number, at.number, at.left, pitch, token
        after = self._after.get(key, _UNKNOWN)
        if after is _UNKNOWN:
            after = self._follow(at.state._replace(pitch=pitch), token)
            remember(self._after, key, after)
        return after

    def _step(self, core: Core, token: int) -> Step | None:
        """What a token leads to if the room decides, read in the bar without end; the core itself with a need that no
        room meets for a token without a text."""
        text, before = self._text(token), core.state
        if not text:
            return Step(core, 0, "", NEVER)
        is_tied = before.owed == Owed.TIED_NOTE
        is_planned = self.automaton.plan is not None  # then a tie must have a bar to go on in
        if before.place == Place.BAR or ("-" in text and (is_planned or not is_tied)):
            return None
        self.counts["readings"] += 1
        self.automaton.shortfall = -before.left
        state, n_read = self.automaton.read(text, before if is_tied else before._replace(pitch=SOME_PITCH))
        leaves_bar = state.follows_bar and not before.follows_bar
        if n_read < len(text) or state.form is not before.form or leaves_bar:
            return None
        need = before.left + self.automaton.shortfall
        return Step(self._core(_reduced(state)), before.left - state.left, state.pitch, need)

    def _follow(self, state: LexerState, token: int) -> SequenceState | None:
        """Where a token leads from a whole state."""
        self.counts["readings"] += 1
        text = self._text(token)
        after, n_read = self.automaton.read(text, state)
        return self.row(after) if n_read == len(text) else None

    def _text(self, token: int) -> str:
        """'' for ids that are padding."""
        texts = self.vocabulary.texts
        return texts[token] if token < len(texts) else ""

    def _forget(self) -> None:
        """Drop what is remembered by the number of a form."""
        for known in (self._forms, self._after, self._masks, self._starts, self._endings):
            known.clear()
        for row, at in self.rows.items():
            self.rows[row] = at._replace(number=self._forms.setdefault(at.form, len(self._forms)))

    # --- masks

    def _mask(self, at: SequenceState) -> Tensor:
        """Worked out; equal ones are one tensor."""
        state, core, left = at.state, at.core, at.left
        if state.place == Place.BAR and (started := self.automaton.completed(state)):
            core, left = self._core(_reduced(started)), started.left
        begun = state.text if state.place == Place.BAR else ""
        ties = [] if self.automaton.plan is None else self.vocabulary.ties
        allowed = (
            *self.vocabulary.going_on(begun, tuple(self._open_lines(state))),
            *(self._readable(self.vocabulary.after_digit, state) if state.place == Place.BAR else ()),
            *self._readable(self.vocabulary.mixed, state),
            *self._readable(ties, state),
        )
        needs = self._needs_of(core)
        key = core.number, bisect_right(core.rooms, left), allowed
        found = self._shared.get(key)
        if found is None:
            self.counts["masks"] += 1
            mask = needs <= left
            mask[ties] = False
            mask[list(allowed)] = True
            found = torch.from_numpy(mask)
            remember(self._shared, key, found)
        return found

    def _open_lines(self, state: LexerState) -> Mapping[str, FormState]:
        """The bar lines that may come next, a symbol that may be complete taken as such."""
        while state.place in (Place.NOTE, Place.LENGTH):
            completed = self.automaton.completed(state)
            if completed is None:
                return {}
            state = completed
        if state.place == Place.BAR:
            return self.automaton.lines_begun(state)
        return self.automaton.lines(state) if state.place == Place.OPEN else {}

    def _readable(self, ids: list[int], state: LexerState) -> list[int]:
        """Which of these tokens the automaton reads."""
        texts = self.vocabulary.texts
        return [id for id in ids if self.automaton.read(texts[id], state)[1] == len(texts[id])]

    def _core(self, state: LexerState) -> Core:
        core = self._cores.get(state)
        if core is None:
            core = self._cores[state] = Core(len(self._cores), state)
        return core

    def _needs_of(self, core: Core) -> np.ndarray:
        if core.needs is None:
            self.counts["cores"] += 1
            core.needs = self._needs(core.state)
            core.rooms = np.unique(core.needs[core.needs < NEVER]).tolist()
        return core.needs

    def _needs(self, state: LexerState) -> np.ndarray:
        """(V,) the least room with which each token may come, found in a bar without end and without bar lines.

        A token that does not go on with the symbol takes it as complete: what it needs is known of that state."""
        vocabulary = self.vocabulary
        needs = np.full(vocabulary.size, NEVER, dtype=np.int32)
        if state.place == Place.END:
            needs[vocabulary.eos] = -NEVER  # whatever room the last bar left
        elif state.place in CONTINUES:
            self._walk(state, CONTINUES[state.place] if state.place != Place.BAR else "", needs)
            self.automaton.shortfall = -state.left
            completed = None if state.place == Place.BAR else self.automaton.completed(state)
            if completed is not None:
                least, taken = state.left + self.automaton.shortfall, state.left - completed.left
                others = vocabulary.elsewhere(CONTINUES[state.place])
                needs[others] = (self._needs_of(self._core(_reduced(completed)))[others] + taken).clip(least, NEVER)
        else:
            self._walk(state, _BEGINNINGS.get(state.place, vocabulary.trie.children), needs)
        return needs

    def _walk(self, state: LexerState, characters: Iterable[str], needs: np.ndarray) -> None:
        """Put into `needs` the tokens that begin with one of the characters and can be read."""
        ids, found = self._readings(self.vocabulary.trie, state, characters)
        if ids:
            needs[ids] = found

    def _readings(self, trie: Trie, state: LexerState, characters: Iterable[str]) -> tuple[list[int], list[int]]:
        """The tokens below a node of the trie that can be read from a state, each with the room it needs there."""
        automaton = self.automaton
        ids: list[int] = []
        needs: list[int] = []
        for character in characters:
            child = trie.children.get(character)
            if child is None:
                continue
            automaton.shortfall = -state.left
            after = automaton.step(state, character)
            if after is None:
                continue
            need, taken = state.left + automaton.shortfall, state.left - after.left
            ids += child.ids
            needs += [need] * len(child.ids)
            if child.children:
                deeper, their = self._readings_below(child, _reduced(after))
                ids += deeper
                needs += [max(need, taken + one) for one in their]
        return ids, needs

    def _readings_below(self, trie: Trie, state: LexerState) -> tuple[list[int], list[int]]:
        """`_readings` of every character, remembered where it is much."""
        if trie.size < MOST_REPEATED:
            return self._readings(trie, state, trie.children)
        closed_by = _CLOSED_BY.get(state.place)
        if closed_by and trie.ends_in(closed_by):
            text = state.text[state.text.index("[") :] if state.place == Place.FIELD else state.text
            marks = state.marks if state.place == Place.NAME else ""
            state = LexerState(state.place, text, ENDLESS, FormState(state.form.meter), marks=marks)
        key = id(trie), state
        found = self._known_readings.get(key)
        if found is None:
            found = self._readings(trie, state, trie.children)
            remember(self._known_readings, key, found)
        return found


def prompted(prompt: Prompt) -> Automaton:
    """The rules for tunes that begin with a prompt: where it has bars and no metre, a metre that they fit; of the form
    that is asked for.

    UserError where no right tune begins so.
    """
    if prompt.metre == Meter(0, 1).text:
        raise UsageError("--constrain fills bars, and M:none has none. Name a metre, as 6/8, or leave out --constrain.")
    automaton = Automaton(plan=prompt.asked.plan)
    head, music = f"L:1/8\nK:{prompt.key or 'C'}\n", prompt.bars
    metres = [prompt.metre] if prompt.metre else list(automaton.metres)
    read = {metre: automaton.read(f"M:{metre}\n{head}{music}")[1] - len(f"M:{metre}\n{head}") for metre in metres}
    fitting = [metre for metre, n_read in read.items() if n_read == len(music)]
    if not fitting:
        raise refusal(music or f"M:{prompt.metre}", max(0, *read.values()))
    return Automaton(fitting, prompt.asked.plan)


def refusal(text: str, n_read: int) -> UserError:
    """Why a prompt cannot be continued to a right tune."""
    line = text.rfind("\n", 0, n_read) + 1
    return UserError(
        f"prompt: with --constrain no right tune begins with {text[line : n_read + 1]!r} (column {n_read - line + 1}). "
        "Its bars must be full but for a pick-up, in one voice and in a metre that can be counted. "
        "Mend the prompt, or leave out --constrain."
    )


_UNKNOWN: Any = object()
_PITCH = "^_=" + LETTERS
_MUSIC = _PITCH + 'z"{[(!' + DECORATIONS
# The characters that are worth trying.
_BEGINNINGS = {
    Place.START: _MUSIC + "|\n",
    Place.OPEN: _MUSIC + "-)",
    Place.ACCIDENTAL: _PITCH,
    Place.MARK: _PITCH + "[!" + DECORATIONS,
    Place.BRACKET: _PITCH + "KM",
    Place.CHORD: _PITCH + "]",
    Place.GRACE: _PITCH + "}",
}
# What ends a symbol inside which nothing counts but the symbol itself, and in a field the metre, in a name the marks.
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
    """The state of the core: in a bar without end, of a form that keeps only what decides what may come."""
    left = ENDLESS + state.left % GRID_TICKS
    if state.place == Place.END:
        return LexerState(Place.END, left=left)
    form = state.form
    pitch = state.pitch if state.owed == Owed.TIED_NOTE else ""
    if not state.follows_bar:
        return state._replace(left=left, form=_IN_BAR[form.meter.is_compound, form.in_threes], pitch=pitch)
    return state._replace(left=left, form=_reduced_form(form), pitch=pitch)


def _reduced_form(form: FormState) -> FormState:
    """At the beginning of a piece: whether the metre may change, whether a bar line or the end may stand here."""
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


def remember(known: dict[Any, Any], key: Hashable, value: object) -> None:
    """Keep what was worked out; with MOST_REMEMBERED of them all are forgotten first."""
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = value
