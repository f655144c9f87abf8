"""How the next tokens of all rows are drawn: the protocol, and the two samplers without a mask.

    TorchSampler    one step of the model after another, tokens brought to the host at the end
    NativeSampler   many steps in one native call, which ends when a row does

Others: CUDA graphs (symbolic.decode.engine.cuda_graphs), masks (rejection), drafts (speculation).
"""

# B rows, V vocabulary entries, K steps

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.sampling import Sampling, choose

Drawn = tuple[list[list[int]], list[list[float]]]  # tokens and log-probabilities in nats: a list for each row


class Sampler(Protocol):
    """Draws tokens in the rows of one batch; it holds the batch's state and pending tokens."""

    def draw(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        """Read the pending tokens, draw the next, and so on; leave the last ones pending.

        live: rows that have a tune; the others draw what is thrown away. numbers (K, B) float64 in [0, 1): those of up
        to K steps. Returns for each of the B rows as many tokens as were drawn, at least one.
        """


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


class NativeSampler:
    """Draws by native calls; rows at rest draw nothing."""

    def __init__(
        self, model: NativeModel, state: Any, pending: Tensor, rules: Sampling, bias: Tensor, eos: int | None
    ) -> None:
        self.model, self.state, self.pending, self.rules, self.bias, self.eos = model, state, pending, rules, bias, eos

    def draw(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        """Draw up to `numbers.shape[0]` tokens for each live row in one native call, which stops at a row's end."""
        n_steps = len(numbers)
        limits = torch.zeros(len(self.pending), dtype=torch.int32)
        limits[list(live)] = n_steps
        drawn = self.model.run(
            *(self.state, self.pending, n_steps, self.rules, numbers.t(), self.eos),
            limits=limits,
            bias=self.bias,
            first_end=True,
        )
        n_drawn = int(drawn.counts.max())
        self.pending.copy_(drawn.ids[:, n_drawn - 1])
        return drawn.ids[:, :n_drawn].tolist(), drawn.log_probabilities[:, :n_drawn].tolist()


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
