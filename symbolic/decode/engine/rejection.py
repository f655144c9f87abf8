"""Draw freely, and draw again where the mask refuses the token.

The mask is asked about the one token that was drawn (`Mask.take`, a look-up), and only after a refusal for all tokens
that may come (`Mask.allowed`). The law is that of drawing under the mask at once: an allowed token t is drawn with
probability p(t) + P(refused) p(t) / P(allowed) = p(t) / P(allowed). And up to the first refusal a tune is the one that
the same seed gives without a mask.

One random number serves both draws. Where it lay inside the share of the refused token, scaled to 0..1, is uniform and
independent of that token (`sampling.sample_and_rest`), so the second draw takes that.

top-k, top-p and min-p choose among what may come: with them every row is drawn under its mask, by its own number.
"""

# B rows, V vocabulary entries

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from symbolic.decode.engine import native_step
from symbolic.decode.engine.mask import Mask
from symbolic.decode.engine.native_step import NativeModel, NativeState
from symbolic.decode.engine.samplers import Drawn
from symbolic.decode.engine.sampling_rules import Sampling


class Draws(Protocol):
    """One step of every row. tokens (B), log_probabilities (B): of the token drawn last in each row."""

    tokens: list[int]
    log_probabilities: list[float]

    def draw(self, live: Sequence[int], numbers: Any) -> None:
        """Read the pending tokens and draw the next in the live rows, numbers (B) in [0, 1)."""

    def draw_again(self, row: int, allowed: np.ndarray) -> int:
        """Draw once more in one row, among the allowed tokens (V) bool; return the token."""

    def close(self) -> None:
        """End the step: what was drawn becomes pending."""


def take_allowed(mask: Mask, row: int, free: int | None, draw_again: Callable[[np.ndarray], int]) -> int:
    """Let the mask take a row's next token, and return it: `free` where it may come, else one drawn among the allowed.

    free: a token drawn without the mask; None where sampling truncates, which needs the mask from the start.
    draw_again(allowed) draws among the tokens (V,) bool that may come.
    """
    if free is not None and mask.take(row, free):
        return free
    token = draw_again(mask.allowed(row))
    is_taken = mask.take(row, token)
    assert is_taken, f"token {token} is allowed and refused"
    return token


class MaskedSampler:
    """Draws one token a call in each row, as the mask allows."""

    def __init__(self, draws: Draws, mask: Mask, rules: Sampling) -> None:
        self.draws, self.mask, self.rules = draws, mask, rules

    def draw(self, live: Sequence[int], numbers: Any) -> Drawn:
        """Draw one allowed token for each live row; only a row whose free draw is refused is masked."""
        draws, mask = self.draws, self.mask
        draws.draw(live, numbers[0])
        for row in live:
            free = None if self.rules.truncates else draws.tokens[row]
            take_allowed(mask, row, free, partial(draws.draw_again, row))
        draws.close()
        return [[token] for token in draws.tokens], [[value] for value in draws.log_probabilities]


class NativeDraws:
    """Draws of the native step, in memory that is allocated once."""

    def __init__(
        self, model: NativeModel, state: NativeState, pending: np.ndarray, rules: Sampling, bias: np.ndarray
    ) -> None:
        n_rows = len(pending)
        self.model, self.state = model, state
        self.pending = pending  # int32, shared with the kernel
        self.calls = native_step.Calls(model, rules, bias, n_rows)
        self.places: dict[int, int] = {}
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []

    def draw(self, live: Sequence[int], numbers: Any) -> None:
        """Run one native step, which draws a token for each row without the mask."""
        if len(live) != len(self.places) or any(row not in self.places for row in live):
            self.places = {row: place for place, row in enumerate(live)}
            self.calls.limits[:] = 0
            self.calls.limits[list(live)] = 1
        self.calls.step(self.state, self.pending, numbers)
        self.tokens = self.pending.tolist()
        self.log_probabilities = self.calls.log_probabilities.tolist()

    def draw_again(self, row: int, allowed: np.ndarray) -> int:
        """Draw a row's token among those `allowed` (V,), from the same random number."""
        token, log_probability = self.calls.choose(self.places[row], row, allowed)
        self.tokens[row], self.log_probabilities[row] = token, log_probability
        self.pending[row] = token
        return token

    def close(self) -> None:
        """Do nothing: each draw has set its token already."""
