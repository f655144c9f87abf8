"""How the next tokens of all rows are drawn: the protocols, and the sampler of native calls.

    NativeSampler   many steps in one native call, which ends when a row does

Others: the model's own step (symbolic.decode.engine.torch_rows), CUDA graphs (cuda_graphs), masks (rejection), drafts
(speculation).
"""

# B rows, V vocabulary entries, K steps, N numbers of a row

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from symbolic.decode.engine.native_step import NativeModel, NativeState
from symbolic.decode.engine.sampling_rules import Sampling

Drawn = tuple[list[list[int]], list[list[float]]]  # tokens and log-probabilities in nats: a list for each row


class Sampler(Protocol):
    """Draws tokens in the rows of one batch; it holds the batch's state and pending tokens."""

    def draw(self, live: Sequence[int], numbers: Any) -> Drawn:
        """Read the pending tokens, draw the next, and so on; leave the last ones pending.

        live: rows that have a tune; the others draw what is thrown away. numbers (K, B) float64 in [0, 1): those of up
        to K steps. Returns for each of the B rows as many tokens as were drawn, at least one.
        """


class Rows(Protocol):
    """State, pending token and random numbers of each row of a batch.

    The numbers (N, B) are a ring over the steps: at step t every row reads numbers[t % N], where its own were written,
    turned by the step at which its tune began. So the numbers of a step are one slice, whatever row began when.
    """

    def draw(self, live: Sequence[int], time: int, n_steps: int) -> Drawn:
        """Draw up to `n_steps` tokens in the live rows by the numbers from step `time` on; see `Sampler.draw`."""

    def begin(self, rows: list[int], prompts: list[list[int]], numbers: np.ndarray) -> None:
        """Read each prompt but for its last token, which becomes pending; numbers (N, rows)."""

    def reset(self, rows: list[int]) -> None:
        """Make rows forget everything."""


class NativeSampler:
    """Draws by native calls; rows at rest draw nothing."""

    def __init__(
        self,
        model: NativeModel,
        state: NativeState,
        pending: np.ndarray,
        rules: Sampling,
        bias: np.ndarray,
        eos: int | None,
    ) -> None:
        self.model, self.state, self.pending, self.rules, self.bias, self.eos = model, state, pending, rules, bias, eos

    def draw(self, live: Sequence[int], numbers: Any) -> Drawn:
        """Draw up to `numbers.shape[0]` tokens for each live row in one native call, which stops at a row's end."""
        n_steps = len(numbers)
        limits = np.zeros(len(self.pending), np.int32)
        limits[list(live)] = n_steps
        drawn = self.model.run(
            *(self.state, self.pending, n_steps, self.rules, numbers.T, self.eos),
            limits=limits,
            bias=self.bias,
            first_end=True,
        )
        n_drawn = int(drawn.counts.max())
        self.pending[:] = drawn.ids[:, n_drawn - 1]
        return drawn.ids[:, :n_drawn].tolist(), drawn.log_probabilities[:, :n_drawn].tolist()
