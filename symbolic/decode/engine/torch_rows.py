"""Rows of a batch in tensors on the model's device, drawn by the model's own step or by CUDA graphs of it."""

# B rows, V vocabulary entries, N numbers of a row

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbolic.decode.engine.cuda_graphs import GraphedModel, GraphSampler
from symbolic.decode.engine.mask import Mask
from symbolic.decode.engine.rejection import MaskedSampler
from symbolic.decode.engine.samplers import Drawn, Sampler
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.engine.torch_draws import TorchDraws, TorchSampler
from symbolic.tokens import PAD


def step_name(model: Any) -> str:
    """Name the step that runs, for a run's record: "torch float32"."""
    if isinstance(model, GraphedModel):
        return model.step_name
    return f"torch {str(next(model.parameters()).dtype).removeprefix('torch.')}"


class TorchRows:
    """State, pending tokens (B) int64 and numbers (N, B) of a batch; see `samplers.Rows`."""

    def __init__(
        self,
        model: Any,
        rules: Sampling,
        bias: np.ndarray,
        mask: Mask | None,
        n_rows: int,
        n_numbers: int,
        capacity: int,
    ) -> None:
        weight = next(model.parameters())
        self.model, self.device, self.dtype = model, weight.device, weight.dtype
        with torch.inference_mode():
            self.state = self._new_state(n_rows, capacity)
            self.pending = torch.zeros(n_rows, dtype=torch.int64, device=self.device)
            self.numbers = torch.zeros(n_numbers, n_rows, dtype=torch.float64, device=self.device)
            self.sampler = self._sampler(rules, torch.from_numpy(bias).to(self.device), mask)

    @torch.inference_mode()
    def draw(self, live: Sequence[int], time: int, n_steps: int) -> Drawn:
        """Draw a token for every row at each of the steps."""
        places = torch.arange(time, time + n_steps, device=self.device) % len(self.numbers)
        return self.sampler.draw(live, self.numbers[places])

    @torch.inference_mode()
    def begin(self, rows: list[int], prompts: list[list[int]], numbers: np.ndarray) -> None:
        """Read prompts in rows, padded to one length; write their numbers into the ring."""
        index = torch.tensor(rows, device=self.device)
        self.pending[index] = torch.tensor([prompt[-1] for prompt in prompts]).to(self.pending)
        self.numbers[:, index] = torch.from_numpy(numbers).to(self.device)
        self._read_prompts(rows, [prompt[:-1] for prompt in prompts])

    @torch.inference_mode()
    def reset(self, rows: list[int]) -> None:
        """Make rows forget everything."""
        self.state.reset(torch.tensor(rows, device=self.device))

    def _new_state(self, n_rows: int, capacity: int) -> Any:
        """Return an empty state; that of recorded steps is kept with the model, for it holds addresses."""
        if isinstance(self.model, GraphedModel):
            return self.model.kept_state(n_rows, capacity, self.dtype, self.device)
        return self.model.new_state(n_rows, capacity, self.dtype, self.device)

    def _sampler(self, rules: Sampling, bias: Tensor, mask: Mask | None) -> Sampler:
        model, state = self.model, self.state
        if mask is not None:
            step = model.recorded_step(state) if isinstance(model, GraphedModel) else partial(model.step, state=state)
            return MaskedSampler(TorchDraws(step, self.pending, rules, bias), mask, rules)
        kind = GraphSampler if isinstance(model, GraphedModel) else TorchSampler
        return kind(model, state, self.pending, rules, bias)

    def _read_prompts(self, rows: list[int], prompts: list[list[int]]) -> None:
        """Bring each row to the state after its prompt; prompts of several lengths are read together, right-padded."""
        empty = [row for row, prompt in zip(rows, prompts, strict=True) if not prompt]
        filled = [(row, prompt) for row, prompt in zip(rows, prompts, strict=True) if prompt]
        device = self.device
        if empty:
            self.state.reset(torch.tensor(empty, device=device))
        if not filled:
            return
        lengths = [len(prompt) for _, prompt in filled]
        padded = [prompt + [PAD] * (max(lengths) - len(prompt)) for _, prompt in filled]
        fresh = self.model.new_state(len(filled), max(lengths), self.dtype, device)
        self.model.prefill(torch.tensor(padded, device=device), torch.tensor(lengths, device=device), fresh)
        self.state.insert(torch.tensor([row for row, _ in filled], device=device), fresh)
