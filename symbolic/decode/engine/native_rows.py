"""Rows of a batch beside the native step: everything in NumPy, nothing imports PyTorch."""

# B rows, V vocabulary entries, N numbers of a row

from collections.abc import Sequence

import numpy as np

from symbolic.decode.engine.mask import Mask
from symbolic.decode.engine.native_step import Ahead, NativeModel
from symbolic.decode.engine.rejection import MaskedSampler, NativeDraws
from symbolic.decode.engine.samplers import Drawn, NativeSampler, Sampler
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.engine.speculation import SpeculativeSampler


class NativeRows:
    """State, pending tokens (B) int32 and numbers (N, B) of a batch; see `samplers.Rows`."""

    def __init__(
        self,
        model: NativeModel,
        rules: Sampling,
        bias: np.ndarray,
        mask: Mask | None,
        n_rows: int,
        n_numbers: int,
        capacity: int,
        *,
        eos: int | None,
        guesses: bool,
    ) -> None:
        self.model = model
        self.state = model.new_state(n_rows, capacity)
        self.pending = np.zeros(n_rows, np.int32)
        self.numbers = np.zeros((n_numbers, n_rows))
        drawing = (model, self.state, self.pending, rules, bias)
        self.sampler: Sampler = NativeSampler(*drawing, eos)
        if mask is not None:
            self.sampler = MaskedSampler(NativeDraws(*drawing), mask, rules)
        if n_rows == 1 and guesses:
            ahead = Ahead(model, self.state, rules, bias, eos)
            self.sampler = SpeculativeSampler(self.sampler, ahead, self.pending, rules, eos, mask)

    def draw(self, live: Sequence[int], time: int, n_steps: int) -> Drawn:
        """Draw up to `n_steps` tokens in the live rows."""
        return self.sampler.draw(live, self.numbers[np.arange(time, time + n_steps) % len(self.numbers)])

    def begin(self, rows: list[int], prompts: list[list[int]], numbers: np.ndarray) -> None:
        """Read prompts in rows, all in one pass; write their numbers into the ring."""
        self.pending[rows] = [prompt[-1] for prompt in prompts]
        self.numbers[:, rows] = numbers
        self.reset(rows)
        if isinstance(self.sampler, SpeculativeSampler):
            self.sampler.begin(prompts[0])
        slots = [row for row, prompt in zip(rows, prompts, strict=True) for _ in prompt[1:]]
        if slots:
            self.model.read(slots, [token for prompt in prompts for token in prompt[:-1]], [], self.state)

    def reset(self, rows: list[int]) -> None:
        """Make rows forget everything."""
        self.state.reset(rows)
