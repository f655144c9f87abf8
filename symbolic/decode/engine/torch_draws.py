"""Draws by the steps of a model of PyTorch, on its device.

TorchSampler    one step after another, tokens brought to the host at the end
TorchDraws      one step, under a mask (symbolic.decode.engine.rejection)
"""

# B rows, V vocabulary entries, K steps

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbolic.decode.engine.samplers import Drawn
from symbolic.decode.engine.sampling import Sampling, choose, greedy, restrict, sample_and_rest


class TorchSampler:
    """Draws by the model's own step."""

    def __init__(self, model: Any, state: Any, pending: Tensor, rules: Sampling, bias: Tensor) -> None:
        self.model, self.state, self.pending, self.rules, self.bias = model, state, pending, rules, bias

    def draw(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        """Draw a token for every row at each step of `numbers` (steps, rows)."""
        drawn = []
        for row_numbers in numbers:
            drawn.append(draw_step(self.model, self.state, self.pending, row_numbers, self.rules, self.bias))
            self.pending.copy_(drawn[-1][0])
        return to_host(torch.stack(drawn, -1))


class TorchDraws:
    """Draws of a model's own step. step: pending (B) -> logits (B, V), which changes the model's state."""

    def __init__(self, step: Callable[[Tensor], Tensor], pending: Tensor, rules: Sampling, bias: Tensor) -> None:
        self.step, self.pending, self.rules, self.bias = step, pending, rules, bias
        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []

    def draw(self, live: Sequence[int], numbers: Tensor) -> None:
        """Run one step and draw a token for each row without the mask."""
        self.logits = self.step(self.pending).float()
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

    def draw_again(self, row: int, allowed: np.ndarray) -> int:
        """Draw a row's token among those `allowed` (V,), from the same random number."""
        scores = (self.logits[row] + self.bias).masked_fill(
            ~torch.from_numpy(allowed).to(self.logits.device), float("-inf")
        )
        self.tokens[row] = int(choose(scores[None], self.rests[row : row + 1], self.rules))
        return self.tokens[row]

    def close(self) -> None:
        """Set log-probabilities (unmasked) and hand the tokens to the next step."""
        drawn = torch.tensor(self.tokens, device=self.pending.device)
        self.log_probabilities = self.logits.log_softmax(-1).gather(1, drawn[:, None])[:, 0].tolist()
        self.pending.copy_(drawn)


def draw_step(model: Any, state: Any, pending: Tensor, numbers: Tensor, rules: Sampling, bias: Tensor) -> Tensor:
    """Read pending (B,), draw the next tokens by numbers (B,): (2, B) float64, which holds ids and log-probabilities.

    bias (V,) is added to the logits: -inf where a token is never drawn.
    """
    logits = model.step(pending, state).float()  # (B, V)
    token = choose(logits + bias, numbers, rules)
    log_probability = logits.log_softmax(-1).gather(1, token[:, None])[:, 0]
    return torch.stack((token.double(), log_probability.double()))


def to_host(drawn: Tensor) -> Drawn:
    """Copy (2, B, K) to the host in one go and split it into lists."""
    tokens, log_probabilities = drawn.cpu()
    return tokens.long().tolist(), log_probabilities.tolist()
