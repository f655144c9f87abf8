"""One of our models at any length: prefill of T tokens, and steps from a state that holds T tokens already.

The weights are random and, for GPT-2, positions are as many as asked for: neither changes what a step costs. A state of
T tokens is made by saying so (lengths = T) instead of reading T tokens; its numbers are zeros, whose products cost as
much as others'. They are written, for memory that was never written to is one page of zeros, mapped many times.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import Absent
from symbolic import config as configuration
from symbolic import models
from symbolic.config import GPT2Config
from symbolic.decode.engine import cuda_graphs, engine, native_step
from symbolic.errors import UserError
from symbolic.models import costs

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Stretch:
    """A model with room for `positions` tokens."""

    def __init__(
        self, config: str, threads: int, precision: str, step: str, positions: int, device: str = "cpu"
    ) -> None:
        import dataclasses

        torch.set_num_threads(threads)
        shape = configuration.load(Path(config)).model
        if isinstance(shape, GPT2Config):
            shape = dataclasses.replace(shape, n_positions=max(positions + 1, shape.n_positions))
        torch.manual_seed(0)
        self.shape, self.device = shape, torch.device(device)
        self.dtype = DTYPES["float32" if step == "native" else precision]
        self.model: Any = models.build(shape).to(self.device, self.dtype).eval()
        if step == "native":
            try:
                self.model = native_step.NativeModel(self.model, weights=precision, threads=threads)
            except UserError as error:
                raise Absent(str(error)) from error
        if step == "graph":
            self.model = cuda_graphs.GraphedModel(self.model)
        self.about = {"path": engine.step_name(self.model) if step != "torch" else "torch"}

    @torch.inference_mode()
    def prefill(self, batch: int, tokens: int) -> dict[str, float]:
        """Seconds to read `tokens` ids in each of `batch` rows."""
        ids = torch.randint(3, 200, (batch, tokens), device=self.device)
        lengths = torch.full((batch,), tokens, device=self.device)
        state = self.model.new_state(batch, tokens, self.dtype, self.device)
        self._wait()
        began = time.perf_counter()
        self.model.prefill(ids, lengths, state)
        return {"seconds": self._since(began), "state_bytes": _state_bytes(state)}

    @torch.inference_mode()
    def step(self, batch: int, tokens: int, n: int) -> dict[str, float]:
        """Seconds of n steps from a state of `tokens` tokens a row, after one that warms up."""
        state, step = self._state_and_step(batch, tokens + n + 1)
        _pretend(state, tokens)
        pending = torch.full((batch,), 3, device=self.device)
        step(pending)
        self._wait()
        began = time.perf_counter()
        for _ in range(n):
            pending = step(pending).argmax(-1)
        bytes_of_row = costs.state_bytes(self.shape, tokens, _itemsize(state))
        return {"seconds": self._since(began), "state_bytes": batch * bytes_of_row}

    def _state_and_step(self, batch: int, capacity: int) -> tuple[Any, Callable[[Tensor], Tensor]]:
        """Return a state for `capacity` tokens a row, and the step that changes it."""
        if isinstance(self.model, cuda_graphs.GraphedModel):
            state = self.model.kept_state(batch, capacity, self.dtype, self.device)
            return state, self.model.recorded_step(state)
        state = self.model.new_state(batch, capacity, self.dtype, self.device)
        return state, partial(self.model.step, state=state)

    def _since(self, began: float) -> float:
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def make(**settings: Any) -> Stretch:
    """The worker's object."""
    return Stretch(**settings)


def _pretend(state: Any, tokens: int) -> None:
    """Write the state, and say that each row holds `tokens` tokens; a recurrent state does not count them."""
    for part in _parts(state):
        part[...] = 0
    lengths = getattr(state, "lengths", None)
    if lengths is not None:
        lengths[...] = tokens
    if hasattr(state, "filled"):
        state.filled = tokens


def _parts(state: Any) -> list[Any]:
    """The arrays or tensors of a state but for its lengths."""
    tensors = [value for value in vars(state).values() if isinstance(value, Tensor)]
    return getattr(state, "parts", None) or [part for part in tensors if part.is_floating_point()]


def _state_bytes(state: Any) -> int:
    return sum(int(part.nbytes) for part in _parts(state))


def _itemsize(state: Any) -> int:
    return int(_parts(state)[0].itemsize)
