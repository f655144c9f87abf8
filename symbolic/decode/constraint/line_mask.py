"""Small masks: lines drawn from a list, and a beginning that must not be an end.

Each is a `Mask` of the engine (symbolic.decode.engine.engine).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from symbolic.decode.constraint.automaton import Automaton, LexerState
from symbolic.errors import UserError
from symbolic.notation import control_codes

if TYPE_CHECKING:
    from symbolic.decode.constraint.token_mask import Constraint
    from symbolic.tokens import Tokenizer


class Lines:
    """What is drawn spells one of the lines, `vocab_size` ids in all."""

    def __init__(self, tokenizer: "Tokenizer", lines: Iterable[str], vocab_size: int) -> None:
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.lines = list(lines)
        self.vocab_size = vocab_size
        self.begun: dict[int, str] = {}
        self._masks: dict[str, Tensor] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins a line."""
        self.begun[row] = ""

    def advance(self, row: int, token: int) -> None:
        """`token` was drawn in row."""
        self.begun[row] += self.texts[token]

    def allowed(self, row: int) -> Tensor:
        """(V,) bool: the tokens that spell on."""
        begun = self.begun[row]
        if begun not in self._masks:
            left = [line[len(begun) :] for line in self.lines if line.startswith(begun)]
            spelled = {line[:end] for line in left for end in range(1, len(line) + 1)}
            mask = torch.zeros(self.vocab_size, dtype=torch.bool)
            mask[[id for id, text in enumerate(self.texts) if text in spelled]] = True
            self._masks[begun] = mask
        return self._masks[begun]


class GoesOn:
    """The first token begins a bar: no end of the tune, no bar line, which would be one with that before it. `inner`
    decides about everything else."""

    def __init__(self, tokenizer: "Tokenizer", vocab_size: int, inner: "Constraint | None" = None) -> None:
        self.inner = inner
        self.everything = torch.ones(vocab_size, dtype=torch.bool)
        self.first = self.everything.clone()
        texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.first[[id for id, text in enumerate(texts) if not text or text[0] in "|:]\n0123456789"]] = False
        self.n_drawn: dict[int, int] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Row begins."""
        self.n_drawn[row] = 0
        if self.inner is not None:
            self.inner.start(row, prompt)

    def take(self, row: int, token: int) -> bool:
        """Go on with a token that was drawn; False where it may not come, and then nothing changes."""
        if not self.n_drawn[row] and not self.first[token]:
            return False
        if self.inner is not None and not self.inner.take(row, token):
            return False
        self.n_drawn[row] += 1
        return True

    def advance(self, row: int, token: int) -> None:
        """`token`, which is allowed, was drawn in row."""
        taken = self.take(row, token)
        assert taken

    def allowed(self, row: int) -> Tensor:
        """(V,) bool. UserError where nothing can follow."""
        mask = self.everything if self.inner is None else self.inner.allowed(row)
        if self.n_drawn[row]:
            return mask
        if not (mask & self.first).any():
            raise UserError("with --constrain nothing can follow these bars: the tune is at its end. Keep fewer.")
        return mask & self.first


class Steered(Automaton):
    """The rules of --constrain for texts that begin with code lines, which are passed over."""

    def read(self, text: str, state: LexerState | None = None) -> tuple[LexerState, int]:
        """Read as much as may be: the state there, and the number of characters read."""
        n_codes = len(control_codes.split(text)[0]) if state is None else 0
        after, n_read = super().read(text[n_codes:], state)
        return after, n_codes + n_read


def steered(automaton: Automaton) -> Automaton:
    """The same rules for texts with code lines in front."""
    return Steered([line[2:-1] for line in automaton.metre_lines.whole], automaton.plan)


def fitting(lines: Iterable[str], automaton: Automaton | None) -> list[str]:
    """The lines that may come: of metre lines those that the automaton reads."""
    metres = None if automaton is None else automaton.metre_lines.whole
    return [line for line in lines if metres is None or not line.startswith("M:") or line in metres]
