"""Auxiliary masks: restrict header lines to a list; forbid ending right after the prompt.

Each is a Mask of the engine (symbolic.decode.engine.mask).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from symbolic.decode.constraint.automaton import Automaton, LexerState
from symbolic.decode.engine.mask import Mask
from symbolic.errors import UserError
from symbolic.notation import control_codes

if TYPE_CHECKING:
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.tokens import Tokenizer


class LineMask(Mask):
    """Restricts what is drawn to the spellings of some lines; masks have `vocab_size` entries."""

    def __init__(self, tokenizer: "Tokenizer", lines: Iterable[str], vocab_size: int) -> None:
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.lines = list(lines)
        self.vocab_size = vocab_size
        self.begun: dict[int, str] = {}
        self._masks: dict[str, np.ndarray] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a line in a row."""
        self.begun[row] = ""

    def advance(self, row: int, token: int) -> None:
        """Advance by a drawn token."""
        self.begun[row] += self.texts[token]

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that continue one of the lines."""
        begun = self.begun[row]
        if begun not in self._masks:
            rests = [line[len(begun) :] for line in self.lines if line.startswith(begun)]
            spelled = {line[:end] for line in rests for end in range(1, len(line) + 1)}
            mask = np.zeros(self.vocab_size, bool)
            mask[[id for id, text in enumerate(self.texts) if text in spelled]] = True
            self._masks[begun] = mask
        return self._masks[begun]


class ContinuationMask(Mask):
    """Demands that the first token begins a bar: neither an end of the tune nor a bar line, which would merge with the
    one before. `inner` decides about everything else."""

    def __init__(self, tokenizer: "Tokenizer", vocab_size: int, inner: "TokenMask | None" = None) -> None:
        self.inner = inner
        self.everything = np.ones(vocab_size, bool)
        self.first = self.everything.copy()
        texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.first[[id for id, text in enumerate(texts) if not text or text[0] in "|:]\n0123456789"]] = False
        self.n_drawn: dict[int, int] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a continuation in a row."""
        self.n_drawn[row] = 0
        if self.inner is not None:
            self.inner.start(row, prompt)

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        if not self.n_drawn[row] and not self.first[token]:
            return False
        if self.inner is not None and not self.inner.take(row, token):
            return False
        self.n_drawn[row] += 1
        return True

    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed."""
        taken = self.take(row, token)
        assert taken

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,). UserError if nothing can follow."""
        mask = self.everything if self.inner is None else self.inner.allowed(row)
        if self.n_drawn[row]:
            return mask
        if not (mask & self.first).any():
            raise UserError("with --constrain nothing can follow these bars: the tune is at its end. Keep fewer.")
        return mask & self.first


class CodedAutomaton(Automaton):
    """The rules of --constrain for texts that begin with control-code lines, which are skipped."""

    def read(self, text: str, state: LexerState | None = None) -> tuple[LexerState, int]:
        """Read the longest valid beginning of a text; return the state there and the number of characters read."""
        n_codes = len(control_codes.split(text)[0]) if state is None else 0
        after, n_read = super().read(text[n_codes:], state)
        return after, n_codes + n_read


def with_codes(automaton: Automaton) -> Automaton:
    """Return the same rules for texts that begin with control-code lines."""
    return CodedAutomaton([line[2:-1] for line in automaton.meter_lines.whole], automaton.plan)


def fitting(lines: Iterable[str], automaton: Automaton | None) -> list[str]:
    """Return the lines that the automaton allows: of meter lines those that it reads, and all others."""
    meters = None if automaton is None else automaton.meter_lines.whole
    return [line for line in lines if meters is None or not line.startswith("M:") or line in meters]
