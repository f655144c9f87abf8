"""The mask of `--constrain`: of each row the tokens after which a right tune can still be ended in time.

A token may come when the automaton reads its characters (symbolic.decode.automaton) and the row's tokens that are left
are enough to end the tune. Every vocabulary has the single bytes, so an ending of n characters is n tokens and the end
of tune. Near the limit no tuplet is begun any more, and when the ending is due it is written out
(symbolic.decode.ending).

Cost. A row is a `Core`, what its state is without metre, section and room, with its form and its room left. There are
some hundreds of cores. Each knows for every token the fewest ticks of room with which it may come, found once by
walking the vocabulary with the automaton in a bar without end; so a mask is one comparison, kept in a table by core,
room and the bar lines open. What a token leads to is kept in the same way. In the steady state a step is two look-ups.
"""

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from symbolic.data.music import Meter
from symbolic.data.spelling import DECORATIONS
from symbolic.decode.automaton import CONTINUES, LETTERS, Automaton, Place, State
from symbolic.decode.ending import closing, most_characters
from symbolic.decode.metre import NOTHING_OPEN, UNPLAYED, Form, Open
from symbolic.decode.prompt import Prompt
from symbolic.decode.words import GRID_TICKS
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

ENDLESS = GRID_TICKS << 16  # room left in the bar of a core
NEVER = 1 << 30  # ticks that no bar has
MOST_REMEMBERED = 1 << 17  # masks (100 MB at 768 tokens), transitions, sets of bar lines
TUPLET_CHARACTERS = 64  # that the longest tuplet can add to an ending
TOKEN_CHARACTERS = 12  # that any other token can add
MOST_REPEATED = 4  # tokens below a node of the trie that are walked again rather than remembered
NEAR_LIMIT = 256  # tokens; no ending, tuplet included, is longer
_IN_BAR = {
    compound: Form(Meter(6, 8) if compound else Meter(4, 4), is_fresh=False, opened="|", must_end=True)
    for compound in (False, True)
}
_FIELD = re.compile(r"[MLKV]:[^|]*|\[[KM]:[^|]*|\(?\d?(:\d*)+")
_BAR_LINE = re.compile(r"[|:\]\[]*\d*|\n")


class Core:
    """A state without the bar and section it is in. `needs` (V,) is for each token the least room with which it may
    come, NEVER for those that may not or that need more than room: a bar line."""

    __slots__ = ("after", "needs", "number", "state")

    def __init__(self, number: int, state: State, needs: Tensor) -> None:
        self.number = number
        self.state = state
        self.needs = needs
        self.after: dict[int, tuple[Core, int]] = {}  # token -> core, ticks taken; if the form is no matter


class Row(NamedTuple):
    """Where one tune stands. `number` is the form's."""

    core: Core
    form: Form
    number: int
    left: int  # ticks of room in the bar

    @property
    def state(self) -> State:
        """The whole state."""
        return self.core.state._replace(form=self.form, left=self.left)


class Constraint:
    """A `Mask` of the engine for one vocabulary, padded to `vocab_size`. Before `limit` is called a tune may be
    endless.

    counts: masks asked for; masks, transitions and cores that had to be worked out.
    """

    def __init__(
        self, tokenizer: "Tokenizer", automaton: Automaton | None = None, *, vocab_size: int | None = None
    ) -> None:
        self.automaton = automaton or Automaton()
        self.most_tokens: int | None = None
        self.context: int | None = None
        self.vocabulary = Vocabulary(tokenizer, vocab_size or tokenizer.vocab_size)
        self.counts = {"steps": 0, "masks": 0, "transitions": 0, "cores": 0}
        self.rows: dict[int, Row] = {}
        self.tokens_left: dict[int, int] = {}
        self._cores: dict[State, Core] = {}
        self._forms: dict[Form, int] = {}
        self._masks: dict[Hashable, Tensor] = {}
        self._after: dict[tuple[int, int, int, int], Row] = {}
        self._known_readings: dict[tuple[int, State], tuple[list[int], list[int]]] = {}
        self._lines: dict[tuple[int, int, int], tuple[str, ...]] = {}

    def limit(self, most_tokens: int | None, context: int | None = None) -> None:
        """End the tunes in `most_tokens` new tokens, their end included, and in the positions of the model."""
        self.most_tokens, self.context = most_tokens, context

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins a tune whose prompt is `prompt`. UserError where no right tune begins so."""
        text = "".join(self.vocabulary.texts[id] for id in prompt)
        state, n_read = self.automaton.read(text)
        if n_read < len(text):
            raise refusal(text, n_read)
        self.rows[row] = self.row(state)
        self.tokens_left[row] = self._budget(len(prompt))
        needed = self.n_closing(state)
        if self.tokens_left[row] < needed:
            raise UsageError(
                f"{self.tokens_left[row]} new tokens are too few: with --constrain this tune needs {needed} to be "
                "ended. Ask for more with --max-tokens, or shorten the prompt."
            )

    def advance(self, row: int, token: int) -> None:
        """`token` was drawn in row."""
        at = self.rows[row]
        self.tokens_left[row] -= 1
        known = at.core.after.get(token)
        if known is not None:
            self.rows[row] = Row(known[0], at.form, at.number, at.left - known[1])
            return
        key = at.core.number, at.number, at.left, token
        after = self._after.get(key)
        self.rows[row] = self._follow(at, token) if after is None else after

    def allowed(self, row: int) -> Tensor:
        """(V,) bool: True for each token that row may draw next. Do not change it."""
        self.counts["steps"] += 1
        at = self.rows[row]
        key = at.core.number, at.left, self._surroundings(at)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._mask(at)
            _remember(self._masks, key, mask)
            self.counts["masks"] += 1
        return mask if self.tokens_left[row] > NEAR_LIMIT else self._near_limit(at, mask, self.tokens_left[row])

    def row(self, state: State) -> Row:
        """A state in its parts."""
        if len(self._forms) > MOST_REMEMBERED:
            self._forget()
        number = self._forms.setdefault(state.form, len(self._forms))
        return Row(self._core(_reduced(state)), state.form, number, state.left)

    def n_closing(self, state: State) -> int:
        """Tokens that end the tune from here: one for each character of the ending, and one for the end."""
        n_characters = 0
        while character := closing(self.automaton, state):
            after = self.automaton.step(state, character)
            assert after is not None
            state, n_characters = after, n_characters + 1
        return n_characters + 1

    def _budget(self, n_prompt: int) -> int:
        """New tokens that the engine will draw for a tune: a model of C positions draws one that it need not read."""
        limits = [self.most_tokens, None if self.context is None else self.context + 1 - n_prompt]
        return min((limit for limit in limits if limit is not None), default=NEVER)

    def _near_limit(self, at: Row, mask: Tensor, tokens_left: int) -> Tensor:
        """The mask without what would leave too few tokens to end the tune."""
        state = at.state
        most = most_characters(state) + 1 + TOKEN_CHARACTERS
        if tokens_left > most + TUPLET_CHARACTERS:
            return mask
        if tokens_left > most or tokens_left > self.n_closing(state) + TOKEN_CHARACTERS:
            return mask & ~self.vocabulary.begins_tuplet[state.place == Place.PAREN]
        return self.vocabulary.only(closing(self.automaton, state))

    def _follow(self, at: Row, token: int) -> Row:
        self.counts["transitions"] += 1
        text = self.vocabulary.texts[token]
        state, n_read = self.automaton.read(text, at.state)
        assert n_read == len(text), f"{text!r} is not allowed after {at.state}"
        after = self.row(state)
        stays = state.form is at.form and at.core.needs[token] < NEVER
        if stays and (at.core.state.follows_bar or not state.follows_bar):
            at.core.after[token] = after.core, at.left - after.left
        else:
            _remember(self._after, (at.core.number, at.number, at.left, token), after)
        return after

    def _forget(self) -> None:
        """Drop what is remembered by the number of a form."""
        for known in (self._forms, self._after, self._lines, self._masks):
            known.clear()
        for row, at in self.rows.items():
            self.rows[row] = at._replace(number=self._forms.setdefault(at.form, len(self._forms)))

    # --- masks

    def _surroundings(self, at: Row) -> Hashable:
        """What a mask depends on besides core and room."""
        place = at.core.state.place
        if place == Place.BAR:
            return at.number
        if place not in _BEFORE_BAR_LINES:
            return None
        key = at.core.number, at.number, at.left
        found: tuple[str | int, ...] | None = self._lines.get(key)
        if found is None:
            found = (*self._open_lines(at.state), *self._readable(self.vocabulary.mixed, at.state))
            _remember(self._lines, key, found)
        return found

    def _open_lines(self, state: State) -> Mapping[str, Form]:
        """The bar lines that may come next, a symbol that may be complete taken as such."""
        while state.place in (Place.NOTE, Place.LENGTH):
            completed = self.automaton.completed(state)
            if completed is None:
                return {}
            state = completed
        if state.place == Place.BAR:
            return self.automaton.lines_begun(state)
        if state.place == Place.BRACKET and state.text.startswith("open"):
            state = state._replace(place=Place.OPEN, text=state.text.removeprefix("open "))
        return self.automaton.lines(state) if state.place == Place.OPEN else {}

    def _mask(self, at: Row) -> Tensor:
        state = at.state
        core, left = at.core, at.left
        if state.place == Place.BAR and (started := self.automaton.completed(state)):
            core, left = self._core(_reduced(started)), started.left
        mask = core.needs <= left
        lines = self._open_lines(state)
        begun = {Place.BAR: state.text, Place.BRACKET: "["}.get(state.place, "")
        tokens = self.vocabulary.bar_lines.items() if lines else ()
        allowed = [id for text, id in tokens if _begins(lines, begun + text)]
        if state.place == Place.BAR:
            allowed += self._readable(self.vocabulary.after_digit, state)
        mask[allowed + self._readable(self.vocabulary.mixed, state)] = True
        return mask

    def _readable(self, ids: list[int], state: State) -> list[int]:
        """Which of these tokens the automaton reads."""
        texts = self.vocabulary.texts
        return [id for id in ids if self.automaton.read(texts[id], state)[1] == len(texts[id])]

    def _core(self, state: State) -> Core:
        core = self._cores.get(state)
        if core is None:
            self.counts["cores"] += 1
            needs = self._needs(state)
            core = self._cores[state] = Core(len(self._cores), state, needs)
        return core

    def _needs(self, state: State) -> Tensor:
        """(V,) the least room with which each token may come, found in a bar without end and without bar lines.

        A token that does not go on with the symbol takes it as complete: what it needs is known of that state."""
        vocabulary = self.vocabulary
        needs = torch.full((vocabulary.size,), NEVER, dtype=torch.int32)
        if state.place == Place.END:
            needs[vocabulary.eos] = -NEVER  # whatever room the last bar left
        elif state.place in CONTINUES:
            self._walk(state, CONTINUES[state.place] if state.place != Place.BAR else "", needs)
            self.automaton.shortfall = -state.left
            completed = None if state.place == Place.BAR else self.automaton.completed(state)
            if completed is not None:
                least, taken = state.left + self.automaton.shortfall, state.left - completed.left
                others = vocabulary.elsewhere(CONTINUES[state.place])
                needs[others] = (self._core(_reduced(completed)).needs[others] + taken).clamp(least, NEVER)
        else:
            self._walk(state, _BEGINNINGS.get(state.place, vocabulary.trie.children), needs)
        return needs

    def _walk(self, state: State, characters: Iterable[str], needs: Tensor) -> None:
        """Put into `needs` the tokens that begin with one of the characters and can be read."""
        ids, found = self._readings(self.vocabulary.trie, state, characters)
        if ids:
            needs[ids] = torch.tensor(found, dtype=torch.int32)

    def _readings(self, trie: "Trie", state: State, characters: Iterable[str]) -> tuple[list[int], list[int]]:
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

    def _readings_below(self, trie: "Trie", state: State) -> tuple[list[int], list[int]]:
        """`_readings` of every character, remembered where it is much."""
        if trie.size < MOST_REPEATED:
            return self._readings(trie, state, trie.children)
        key = id(trie), state
        found = self._known_readings.get(key)
        if found is None:
            found = self._readings(trie, state, trie.children)
            _remember(self._known_readings, key, found)
        return found


class Vocabulary:
    """The tokens as texts, in the groups that the mask handles together."""

    def __init__(self, tokenizer: "Tokenizer", size: int) -> None:
        self.eos = tokenizer.eos
        self.size = size
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.trie = Trie()
        for id, text in enumerate(self.texts):
            if text:
                self.trie.add(text, id)
        self.bar_lines = {text: id for id, text in enumerate(self.texts) if text and _BAR_LINE.fullmatch(text)}
        self.after_digit = [
            id for id, text in enumerate(self.texts) if re.match(r"[1-4].", text)
        ]  # |1 and what follows
        # Tokens in which a bar line may stand behind another symbol: their room alone does not decide.
        self.mixed = [id for id, text in enumerate(self.texts) if _is_mixed(text)]
        tuplets = torch.tensor([bool(re.search(r"\(\d", text)) for text in self.texts] + [False] * self._n_unused)
        digits = torch.tensor([text[:1].isdigit() for text in self.texts] + [False] * self._n_unused)
        self.begins_tuplet = (tuplets, tuplets | digits)  # anywhere, and after "("
        self._elsewhere: dict[str, Tensor] = {}
        self._only: dict[str, Tensor] = {}

    @property
    def _n_unused(self) -> int:
        return self.size - len(self.texts)

    def elsewhere(self, characters: str) -> Tensor:
        """The tokens that begin with none of the characters."""
        if characters not in self._elsewhere:
            found = [id for id, text in enumerate(self.texts) if text and text[0] not in characters]
            self._elsewhere[characters] = torch.tensor(found)
        return self._elsewhere[characters]

    def only(self, character: str) -> Tensor:
        """(V,) the mask of one token: a single character, or '' for the end of the tune."""
        if character not in self._only:
            mask = torch.zeros(self.size, dtype=torch.bool)
            mask[self.trie.children[character].ids if character else self.eos] = True
            self._only[character] = mask
        return self._only[character]


class Trie:
    """Texts by their characters; `ids` are the tokens that end here, `size` counts those below."""

    __slots__ = ("children", "ids", "size")

    def __init__(self) -> None:
        self.children: dict[str, Trie] = {}
        self.ids: list[int] = []
        self.size = 0

    def add(self, text: str, id: int) -> None:
        """Put one token in."""
        node = self
        for character in text:
            node.size += 1
            node = node.children.setdefault(character, Trie())
        node.ids.append(id)


def prompted(prompt: Prompt) -> Automaton:
    """The rules for tunes that begin with a prompt: where it has bars and no metre, a metre that they fit.

    UserError where no right tune begins so.
    """
    if prompt.metre == Meter(0, 1).text:
        raise UsageError("--constrain fills bars, and M:none has none. Name a metre, as 6/8, or leave out --constrain.")
    automaton = Automaton()
    head, music = f"L:1/8\nK:{prompt.key or 'C'}\n", prompt.bars
    metres = [prompt.metre] if prompt.metre else list(automaton.metres)
    read = {metre: automaton.read(f"M:{metre}\n{head}{music}")[1] - len(f"M:{metre}\n{head}") for metre in metres}
    fitting = [metre for metre, n_read in read.items() if n_read == len(music)]
    if not fitting:
        raise refusal(music or f"M:{prompt.metre}", max(0, *read.values()))
    return Automaton(fitting)


def refusal(text: str, n_read: int) -> UserError:
    """Why a prompt cannot be continued to a right tune."""
    line = text.rfind("\n", 0, n_read) + 1
    return UserError(
        f"prompt: with --constrain no right tune begins with {text[line : n_read + 1]!r} (column {n_read - line + 1}). "
        "Its bars must be full but for a pick-up, in one voice and in a metre that can be counted. "
        "Mend the prompt, or leave out --constrain."
    )


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
_BEFORE_BAR_LINES = (Place.OPEN, Place.NOTE, Place.LENGTH, Place.BRACKET)


def _reduced(state: State) -> State:
    """The state of the core: in a bar without end, of a form that keeps only what decides what may come."""
    left = ENDLESS + state.left % GRID_TICKS
    if state.place == Place.END:
        return State(Place.END, left=left)
    form = state.form
    if not state.follows_bar:
        return state._replace(left=left, form=_IN_BAR[form.meter.is_compound])
    return state._replace(
        left=left,
        form=Form(
            form.meter,
            Open(inner=1) if form.open.inner else NOTHING_OPEN,
            ending=1 if form.ending in (1, UNPLAYED) else 0,
            is_fresh=form.is_fresh,
            opened="|1" if form.opened[-1:].isdigit() else {"::": "|:", "|:": "|:", "": ""}.get(form.opened, "|"),
            must_end=form.must_end,
            may_end=form.may_end,
        ),
    )


def _begins(lines: Iterable[str], text: str) -> bool:
    return any(line.startswith(text) for line in lines)


def _is_mixed(text: str) -> bool:
    return bool(re.search(r".[|:\n\[]", text, re.DOTALL)) and not (_FIELD.fullmatch(text) or _BAR_LINE.fullmatch(text))


def _remember(known: dict[Any, Any], key: Hashable, value: object) -> None:
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = value
