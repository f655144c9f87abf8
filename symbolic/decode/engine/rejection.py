"""A token drawn freely, and drawn again where the mask refuses it.

A `Judge` is asked about the one token that was drawn, which costs a look-up, and only where it refuses for all that may
come. The law is that of drawing under the mask at once: a token t that may come is drawn with probability
p(t) + P(refused) p(t) / P(allowed) = p(t) / P(allowed). And up to the first refusal a tune is the one that the same
seed gives without a mask.

One random number does for both draws. Where it lay inside the share of the refused token, counted from 0 to 1, is
uniform and independent of that token (`sampling.sample_and_rest`), so the second draw takes that.

top-k, top-p and min-p choose among what may come. With them every row is drawn under its mask, by its own number.
"""

# B rows, V vocabulary entries

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from symbolic.decode.engine import native_step
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.sampling import Sampling, choose, greedy, restrict, sample_and_rest


class Judge(Protocol):
    """A mask that can be asked about one token."""

    def take(self, row: int, token: int) -> bool:
        """Go on with a token that was drawn, the end of the tune included; False where it may not come, and then
        nothing changes."""

    def allowed(self, row: int) -> Tensor:
        """(V,) bool, True for each token that may come."""


class Draws(Protocol):
    """One step of every row; `tokens` (B) and `log_probabilities` (B) are of the last one drawn in each."""

    tokens: list[int]
    log_probabilities: list[float]

    def draw(self, live: Sequence[int], numbers: Tensor) -> None:
        """Read the pending tokens and draw the next in the live rows, numbers (B) in [0, 1)."""

    def again(self, row: int, allowed: Tensor) -> None:
        """Draw in one row once more, among the tokens that are allowed (V)."""

    def close(self) -> None:
        """What was drawn becomes what is pending."""


def step(draws: Draws, judge: Judge, live: Sequence[int], numbers: Tensor, rules: Sampling) -> None:
    """One step in which every row draws what may come."""
    draws.draw(live, numbers)
    for row in live:
        if rules.truncates or not judge.take(row, draws.tokens[row]):
            draws.again(row, judge.allowed(row))
            taken = judge.take(row, draws.tokens[row])
            assert taken, f"token {draws.tokens[row]} is allowed and refused"
    draws.close()


class TorchDraws:
    """Of a model's own step. scores: pending (B) -> (B, V), which changes the model's state."""

    def __init__(self, scores: Callable[[Tensor], Tensor], pending: Tensor, rules: Sampling, bias: Tensor) -> None:
        self.scores, self.pending, self.rules, self.bias = scores, pending, rules, bias
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []

    def draw(self, live: Sequence[int], numbers: Tensor) -> None:
        self.logits = self.scores(self.pending).float()
        self.rests = numbers
        if self.rules.truncates:
            self.tokens = [0] * len(self.pending)
            return
        allowed = self.logits + self.bias
        if self.rules.greedy:
            self.tokens = greedy(allowed).tolist()
        else:
            tokens, self.rests = sample_and_rest(restrict(allowed, self.rules), numbers)
            self.tokens = tokens.tolist()

    def again(self, row: int, allowed: Tensor) -> None:
        scores = (self.logits[row] + self.bias).masked_fill(~allowed.to(self.logits.device), float("-inf"))
        self.tokens[row] = int(choose(scores[None], self.rests[row : row + 1], self.rules))

    def close(self) -> None:
        drawn = torch.tensor(self.tokens, device=self.pending.device)
        self.log_probabilities = self.logits.log_softmax(-1).gather(1, drawn[:, None])[:, 0].tolist()
        self.pending.copy_(drawn)


class NativeDraws:
    """Of the native step, in memory that is allotted once."""

    def __init__(self, model: NativeModel, state: Any, pending: Tensor, rules: Sampling, bias: Tensor) -> None:
        n_rows = len(pending)
        self.model, self.state = model, state
        self.pending = pending.numpy()  # int32, shared with the kernel
        self.calls = native_step.Calls(model, rules, bias, n_rows)
        self.places: dict[int, int] = {}
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []

    def draw(self, live: Sequence[int], numbers: Tensor) -> None:
        if len(live) != len(self.places) or any(row not in self.places for row in live):
            self.places = {row: place for place, row in enumerate(live)}
            self.calls.limits[:] = 0
            self.calls.limits[list(live)] = 1
        self.calls.step(self.state, self.pending, numbers.numpy())
        self.tokens = self.pending.tolist()
        self.log_probabilities = self.calls.log_probabilities.tolist()

    def again(self, row: int, allowed: Tensor) -> None:
        token, log_probability = self.calls.choose(self.places[row], row, allowed)
        self.tokens[row], self.log_probabilities[row] = token, log_probability
        self.pending[row] = token

    def close(self) -> None:
        pass
