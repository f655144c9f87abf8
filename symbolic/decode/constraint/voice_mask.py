"""What may be written next in ABC whose voices stand bar by bar (symbolic.notation.canonical.interleaved), so that the
bars of all voices are of one length.

Each voice is a tune of one voice to the automaton (symbolic.decode.constraint.automaton). The first voice's bar is as
it may be there: full, a pick-up, the last; then that bar of each other voice has as much room as the first one took,
ends when it is filled, and takes the first one's bar line. So voices agree on repeats and endings too. Ties and slurs
are each voice's own.

    M:4/4  L:1/8  K:G              one line each, then a line for each of 2 to MAX_VOICES voices:
    V:1 clef=treble                (the clef may be missing)
    V:1                            and for each bar, for each voice, its name and the bar
    G2A2B2c2|

Left out beside what the automaton leaves out: changes of key and metre, a bar line that begins a bar (|:).
Unlike `--constrain` (symbolic.decode.constraint.token_mask) it does not see to it that a tune ends in time: one that is
cut is whole up to its last line. A `Judge` of the engine: asked about the one token that was drawn, and only where it
refuses for all that may come.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from symbolic.decode.constraint.automaton import Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import FormState
from symbolic.decode.constraint.token_mask import remember
from symbolic.decode.prompt import MAX_VOICES
from symbolic.errors import UserError

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

CLEFS = ("treble", "bass", "alto", "tenor", "treble-8", "bass3")
MOST_REMEMBERED = 1 << 16  # states of which it is known what each character leads to


class FirstVoiceBar(NamedTuple):
    """The first voice's bar: its ticks, its bar line, and the form after that."""

    ticks: int
    line: str
    form: FormState


class Parts(NamedTuple):
    """Where a tune stands. `text` is what is written of a line that is chosen from a few: a declaration, a voice's
    name, a bar line; None inside the header's first lines and inside a bar. `states` are those of the voices, each at
    the beginning of a bar but for `voice`, whose turn it is."""

    header: LexerState | None = None  # until K: is read
    text: str | None = None
    names: tuple[str, ...] = ()
    states: tuple[LexerState, ...] = ()
    voice: int = -1  # -1: voices are still declared
    measure: FirstVoiceBar | None = None

    @property
    def own(self) -> LexerState:
        """The state of the voice whose turn it is."""
        return self.states[self.voice]

    @property
    def may_end(self) -> bool:
        """Whether every voice has ended as a tune may."""
        at_bar = self.voice == 0 and self.text == ""
        return at_bar and all(state.form.may_end and not _owes(state) for state in self.states)


class Voices:
    """The rules, of tunes of `n_voices` voices or, with None, of any number."""

    def __init__(self, automaton: Automaton | None = None, n_voices: int | None = None) -> None:
        self.automaton = automaton or Automaton()
        self.fewest, self.most = (n_voices, n_voices) if n_voices else (2, MAX_VOICES)
        self.first = Parts(header=self.automaton.first)
        self.step = lru_cache(MOST_REMEMBERED)(self._step)

    def read(self, text: str, parts: Parts | None = None) -> Parts | None:
        """The state after some characters, or None where they may not come."""
        parts = parts or self.first
        for character in text:
            after = self.step(parts, character)
            if after is None:
                return None
            parts = after
        return parts

    def accepts(self, text: str) -> bool:
        """Whether the text is a whole tune."""
        parts = self.read(text)
        return parts is not None and parts.may_end

    def _step(self, parts: Parts, character: str) -> Parts | None:
        if parts.header is not None:
            return self._head(parts.header, character)
        if parts.text is not None:
            return self._line(parts, parts.text + character)
        if character in "|:" and parts.own.place != Place.TUPLET:  # (7:4:7 has a ratio
            return self._line(parts._replace(text=""), character)
        if character == "-" and parts.voice and parts.measure and parts.measure.line != "|" and not self._room(parts):
            return None  # nothing is tied over a repeat or an end
        own = self.automaton.step(parts.own, character)
        if own is None or own.place in (Place.BAR, Place.FIELD, Place.END) or self._is_stuck(own):
            return None
        return parts._replace(states=_put(parts.states, parts.voice, own))

    def _head(self, header: LexerState, character: str) -> Parts | None:
        after = self.automaton.step(header, character)
        if after is None:
            return None
        return Parts(text="", states=(after,)) if after.place == Place.START else Parts(header=after)

    def _room(self, parts: Parts) -> int:
        """Ticks that are left in the bar once the unfinished symbol is taken as whole."""
        own: LexerState | None = parts.own
        while own is not None and own.place != Place.OPEN:
            own = self.automaton.completed(own)
        return own.left if own is not None else parts.own.left

    def _is_stuck(self, state: LexerState) -> bool:
        """Behind a bracket where no chord may stand: a field would have to come."""
        return state.place == Place.BRACKET and self.automaton.step(state, "C") is None

    def _line(self, parts: Parts, text: str) -> Parts | None:
        """More of a line that is one of a few."""
        lines = self._lines(parts)
        if text in lines:
            return lines[text]
        return parts._replace(text=text) if any(line.startswith(text) for line in lines) else None

    def _lines(self, parts: Parts) -> "dict[str, Parts]":
        """The lines that may stand here, and what each leads to."""
        if parts.voice < 0:
            return self._declarations(parts)
        if parts.text is not None and self._between(parts):
            is_over = parts.voice == 0 and parts.own.form.must_end
            return {} if is_over else {f"V:{parts.names[parts.voice]}\n": self._begun(parts)}
        return self._bar_lines(parts)

    def _declarations(self, parts: Parts) -> "dict[str, Parts]":
        found, n = {}, len(parts.names)
        if n < self.most:
            more = parts._replace(text="", names=(*parts.names, str(n + 1)))
            found = dict.fromkeys((f"V:{n + 1}\n", *(f"V:{n + 1} clef={clef}\n" for clef in CLEFS)), more)
        if n >= self.fewest:
            everyone = parts._replace(states=parts.states * n, voice=0, text="")
            found["V:1\n"] = self._begun(everyone)
        return found

    def _between(self, parts: Parts) -> bool:
        """Whether a voice's name must come: its state is that at the beginning of a bar, and no bar line is begun."""
        return parts.own.place == Place.START and not (parts.text or "").startswith(("|", ":"))

    def _begun(self, parts: Parts) -> Parts:
        """The bar of the voice whose name has been read; other voices than the first have the first one's room."""
        own = parts.own
        if parts.measure is not None and parts.voice:
            own = own._replace(left=parts.measure.ticks)
        return parts._replace(text=None, states=_put(parts.states, parts.voice, own))

    def _bar_lines(self, parts: Parts) -> "dict[str, Parts]":
        own: LexerState | None = parts.own
        while own is not None and own.place != Place.OPEN:
            own = self.automaton.completed(own)
        if own is None:
            return {}
        if parts.voice == 0:
            lines = {line: form for line, form in self.automaton.lines(own).items() if line != "\n"}
            return {
                f"{line}\n": self._closed(parts, own, FirstVoiceBar(own.ticks, line, form))
                for line, form in lines.items()
            }
        measure = parts.measure
        assert measure is not None
        is_full = not (own.left or own.tuplet or own.is_graced or own.text in ("slur_open", "tuplet"))
        is_right = is_full and not (measure.form.must_end and _owes(own))
        return {f"{measure.line}\n": self._closed(parts, own, measure)} if is_right else {}

    def _closed(self, parts: Parts, own: LexerState, measure: FirstVoiceBar) -> Parts:
        """A voice's bar line has been read: it is the next one's turn."""
        form = measure.form
        own = own._replace(place=Place.START, text="", left=form.room, form=form, marks="")
        voice = (parts.voice + 1) % len(parts.names)
        return parts._replace(text="", states=_put(parts.states, parts.voice, own), voice=voice, measure=measure)


class VoiceMask:
    """A `Judge` for one vocabulary, padded to `vocab_size`."""

    def __init__(self, tokenizer: "Tokenizer", voices: Voices | None = None, vocab_size: int | None = None) -> None:
        self.voices, self.eos = voices or Voices(), tokenizer.eos
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.size = vocab_size or tokenizer.vocab_size
        self.is_by_line = not any("\n" in text[:-1] for text in self.texts)
        self.rows: dict[int, Parts] = {}
        self._masks: dict[Hashable, Tensor] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins a tune whose prompt is `prompt`. UserError where no tune in voices begins so."""
        text = "".join(self.texts[id] for id in prompt)
        parts = self.voices.read(text)
        if parts is None:
            raise UserError(f"no tune of several voices, bar by bar, begins with {text[:60]!r}.")
        self.rows[row] = parts

    def advance(self, row: int, token: int) -> None:
        """`token` was drawn in row."""
        taken = self.take(row, token)
        assert taken, f"token {token} is not allowed"

    def take(self, row: int, token: int) -> bool:
        """Go on with a token, the end of the tune included; False where it may not come, and then nothing changes."""
        if token == self.eos:
            return self.rows[row].may_end
        after = self.voices.read(self.texts[token], self.rows[row]) if self.texts[token] else None
        if after is None:
            return False
        self.rows[row] = after
        return True

    def allowed(self, row: int) -> Tensor:
        """(V,) bool, True for each token that may come; not to be written to."""
        parts = self.rows[row]
        key = self._key(parts)
        if key not in self._masks:
            remember(self._masks, key, self._mask(parts))
        return self._masks[key]

    def _key(self, parts: Parts) -> Hashable:
        """What decides which tokens may come: inside a bar its own voice, and of the others the bar that they share."""
        if parts.header is not None or parts.text is not None or not self.is_by_line:
            return parts
        return parts.own, parts.voice, len(parts.names), parts.measure if parts.voice else None

    def _mask(self, parts: Parts) -> Tensor:
        found = [bool(text) and self.voices.read(text, parts) is not None for text in self.texts]
        mask = torch.tensor(found + [False] * (self.size - len(found)))
        mask[self.eos] = parts.may_end
        return mask


def whole(text: str) -> str:
    """A text that was cut, up to the last bar that all voices have; "" where there is none."""
    return text[: text.rindex("\nV:1\n") + 1] if text.count("\nV:1\n") > 1 else ""


def _owes(state: LexerState) -> bool:
    """Whether a slur must be closed or a tied note come; a voice may be silent."""
    return bool(state.n_slurs) or state.owed == Owed.TIED_NOTE


def _put(states: tuple[LexerState, ...], place: int, state: LexerState) -> tuple[LexerState, ...]:
    return (*states[:place], state, *states[place + 1 :])
