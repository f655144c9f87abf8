"""Token mask for tunes of several voices written bar by bar (symbolic.notation.canonical.interleaved).

It keeps the bars of all voices equally long. Each voice is a tune of one voice to the automaton
(symbolic.decode.constraint.automaton). The first voice decides the length of a bar: full, a pick-up, a short last bar.
The same bar of every other voice has that length and takes the same bar line, so voices agree on repeats and endings
too. Ties and slurs belong to each voice.

    M:4/4  L:1/8  K:G              one line each, then a line for each of 2 to MAX_VOICES voices:
    V:1 clef=treble                (the clef may be missing)
    V:1                            and for each bar, for each voice, its name and the bar
    G2A2B2c2|

Left out beside what the automaton leaves out: changes of key and meter, a bar line that begins a bar (|:). Unlike
symbolic.decode.constraint.token_mask it keeps no token budget: a tune that is cut off is valid up to its last line.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from symbolic.decode.constraint.automaton import Automaton, LexerState, Owed, Place
from symbolic.decode.constraint.bar_state import FormState
from symbolic.decode.constraint.token_mask import cache_result
from symbolic.decode.engine.mask import Mask
from symbolic.decode.prompt import MAX_VOICES
from symbolic.errors import UserError

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

CLEFS = ("treble", "bass", "alto", "tenor", "treble-8", "bass3")
MAX_CACHED = 1 << 16  # states of which it is known what each character leads to


class FirstVoiceBar(NamedTuple):
    """Bar of the first voice: its ticks, its bar line, and the form after that line."""

    ticks: int
    line: str
    form: FormState


class VoicesState(NamedTuple):
    """State of a tune in several voices.

    text: what is written of a line that is one of a few (declaration, voice name, bar line); None inside the first
    header lines and inside a bar. states: one for each voice, at the beginning of a bar, except that of `voice`, which
    is being written.
    """

    header: LexerState | None = None  # until K: is read
    text: str | None = None
    names: tuple[str, ...] = ()
    states: tuple[LexerState, ...] = ()
    voice: int = -1  # -1: voices are still declared
    measure: FirstVoiceBar | None = None

    @property
    def own(self) -> LexerState:
        """The lexer state of the voice that is being written."""
        return self.states[self.voice]

    @property
    def may_end(self) -> bool:
        """True if the tune may end here in every voice."""
        at_bar = self.voice == 0 and self.text == ""
        return at_bar and all(state.form.may_end and not _owes(state) for state in self.states)


class Voices:
    """The rules for tunes of `n_voices` voices, or of any number up to MAX_VOICES for None."""

    def __init__(self, automaton: Automaton | None = None, n_voices: int | None = None) -> None:
        self.automaton = automaton or Automaton()
        self.min_voices, self.max_voices = (n_voices, n_voices) if n_voices else (2, MAX_VOICES)
        self.first = VoicesState(header=self.automaton.first)
        self.step = lru_cache(MAX_CACHED)(self._step)

    def read(self, text: str, parts: VoicesState | None = None) -> VoicesState | None:
        """Return the state after some characters, or None if they are not allowed."""
        parts = parts or self.first
        for character in text:
            after = self.step(parts, character)
            if after is None:
                return None
            parts = after
        return parts

    def accepts(self, text: str) -> bool:
        """True if the text is a complete, valid tune."""
        parts = self.read(text)
        return parts is not None and parts.may_end

    def _step(self, parts: VoicesState, character: str) -> VoicesState | None:
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

    def _head(self, header: LexerState, character: str) -> VoicesState | None:
        after = self.automaton.step(header, character)
        if after is None:
            return None
        return VoicesState(text="", states=(after,)) if after.place == Place.START else VoicesState(header=after)

    def _room(self, parts: VoicesState) -> int:
        """Return the ticks left in the bar with the unfinished symbol taken as complete."""
        own: LexerState | None = parts.own
        while own is not None and own.place != Place.OPEN:
            own = self.automaton.completed(own)
        return own.ticks_left if own is not None else parts.own.ticks_left

    def _is_stuck(self, state: LexerState) -> bool:
        """True behind a bracket where only a field could stand, which voices do not have."""
        return state.place == Place.BRACKET and self.automaton.step(state, "C") is None

    def _line(self, parts: VoicesState, text: str) -> VoicesState | None:
        """Extend a line that is one of a few."""
        lines = self._lines(parts)
        if text in lines:
            return lines[text]
        return parts._replace(text=text) if any(line.startswith(text) for line in lines) else None

    def _lines(self, parts: VoicesState) -> "dict[str, VoicesState]":
        """Return the lines allowed here, each with the state after it."""
        if parts.voice < 0:
            return self._declarations(parts)
        if parts.text is not None and self._between(parts):
            is_over = parts.voice == 0 and parts.own.form.must_end
            return {} if is_over else {f"V:{parts.names[parts.voice]}\n": self._begun(parts)}
        return self._bar_lines(parts)

    def _declarations(self, parts: VoicesState) -> "dict[str, VoicesState]":
        found, n = {}, len(parts.names)
        if n < self.max_voices:
            more = parts._replace(text="", names=(*parts.names, str(n + 1)))
            found = dict.fromkeys((f"V:{n + 1}\n", *(f"V:{n + 1} clef={clef}\n" for clef in CLEFS)), more)
        if n >= self.min_voices:
            everyone = parts._replace(states=parts.states * n, voice=0, text="")
            found["V:1\n"] = self._begun(everyone)
        return found

    def _between(self, parts: VoicesState) -> bool:
        """True if a voice's name must come: between two bars, with no bar line begun."""
        return parts.own.place == Place.START and not (parts.text or "").startswith(("|", ":"))

    def _begun(self, parts: VoicesState) -> VoicesState:
        """Begin the bar of the voice whose name was read; voices after the first have the length of its bar."""
        own = parts.own
        if parts.measure is not None and parts.voice:
            own = own._replace(ticks_left=parts.measure.ticks)
        return parts._replace(text=None, states=_put(parts.states, parts.voice, own))

    def _bar_lines(self, parts: VoicesState) -> "dict[str, VoicesState]":
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
        is_full = not (own.ticks_left or own.tuplet or own.is_graced or own.text in ("slur_open", "tuplet"))
        is_right = is_full and not (measure.form.must_end and _owes(own))
        return {f"{measure.line}\n": self._closed(parts, own, measure)} if is_right else {}

    def _closed(self, parts: VoicesState, own: LexerState, measure: FirstVoiceBar) -> VoicesState:
        """End a voice's bar after its bar line; the next voice follows."""
        form = measure.form
        own = own._replace(place=Place.START, text="", ticks_left=form.max_ticks, form=form, marks="")
        voice = (parts.voice + 1) % len(parts.names)
        return parts._replace(text="", states=_put(parts.states, parts.voice, own), voice=voice, measure=measure)


class VoiceMask(Mask):
    """The mask for one vocabulary, padded to `vocab_size`."""

    def __init__(self, tokenizer: "Tokenizer", voices: Voices | None = None, vocab_size: int | None = None) -> None:
        self.voices, self.eos = voices or Voices(), tokenizer.eos
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.size = vocab_size or tokenizer.vocab_size
        self.is_by_line = not any("\n" in text[:-1] for text in self.texts)
        self.rows: dict[int, VoicesState] = {}
        self._masks: dict[Hashable, np.ndarray] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a tune with this prompt in a row. UserError if no tune in several voices begins so."""
        text = "".join(self.texts[id] for id in prompt)
        parts = self.voices.read(text)
        if parts is None:
            raise UserError(f"no tune of several voices, bar by bar, begins with {text[:60]!r}.")
        self.rows[row] = parts

    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed."""
        taken = self.take(row, token)
        assert taken, f"token {token} is not allowed"

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        if token == self.eos:
            return self.rows[row].may_end
        after = self.voices.read(self.texts[token], self.rows[row]) if self.texts[token] else None
        if after is None:
            return False
        self.rows[row] = after
        return True

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that may come next; shared, not to be written to."""
        parts = self.rows[row]
        key = self._key(parts)
        if key not in self._masks:
            cache_result(self._masks, key, self._mask(parts))
        return self._masks[key]

    def _key(self, parts: VoicesState) -> Hashable:
        """Return what the mask depends on: inside a bar its own voice, and of the others the bar that they share."""
        if parts.header is not None or parts.text is not None or not self.is_by_line:
            return parts
        return parts.own, parts.voice, len(parts.names), parts.measure if parts.voice else None

    def _mask(self, parts: VoicesState) -> np.ndarray:
        found = [bool(text) and self.voices.read(text, parts) is not None for text in self.texts]
        mask = np.array(found + [False] * (self.size - len(found)))
        mask[self.eos] = parts.may_end
        return mask


def drop_partial_bar(text: str) -> str:
    """Return a text that was cut off up to the last bar that all voices have; "" if there is none."""
    return text[: text.rindex("\nV:1\n") + 1] if text.count("\nV:1\n") > 1 else ""


def _owes(state: LexerState) -> bool:
    """True if a slur is open or a tied note must come; a voice may be silent throughout."""
    return bool(state.n_slurs) or state.owed == Owed.TIED_NOTE


def _put(states: tuple[LexerState, ...], place: int, state: LexerState) -> tuple[LexerState, ...]:
    return (*states[:place], state, *states[place + 1 :])
