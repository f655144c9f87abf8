"""Decoding steps recorded once as a CUDA graph, then replayed: at small batches, launching a hundred kernels a token
takes longer than they run.

One graph holds `TOKENS` steps with their draws, so the host is asked once for as many tokens; what is left of a block
is replayed by a graph of one step.

A graph reads and writes the addresses that it was recorded with. So inputs are copied into tensors of its own, and what
a step assigns to its state is copied back into the tensors that the state held. The state therefore stays with the
model from call to call, and with it the graphs (`GraphedModel.kept_state`); the next call of another shape drops both.
Shapes in a graph are fixed, too: a state that counts how much of it is `filled` (GPT-2's cache) gets a graph for every
STRIDE positions, which reads up to its bound; positions that a row has not reached are masked, as always.

Not measured on a GPU. On a CPU the same calls run without a recording, and tests hold them to the plain step; on a
pretended device (tests/pretended_cuda.py) the recording itself is checked.
"""

# B rows, K steps

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from symbolic.decode.engine.samplers import Drawn
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.engine.torch_draws import draw_step, to_host

STRIDE = 128  # positions between the bounds of two graphs
TOKENS = 8  # steps in one graph

Step = Callable[..., Tensor]  # tensors of fixed shapes -> a tensor; changes the state


class GraphedModel:
    """A model whose steps the engine records; everything else is the model's own."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        self.replays: dict[tuple[int, Sampling | None], Replay] = {}
        self._kept: tuple[tuple[Any, ...], Any] | None = None

    @property
    def step_name(self) -> str:
        """What runs, for a run's record."""
        return "CUDA graphs of the torch step"

    def kept_state(self, n_rows: int, capacity: int, dtype: torch.dtype, device: torch.device) -> Any:
        """Return the state of the call before, emptied, if its shape serves; else a new one, and drop the graphs."""
        capacity = -(-capacity // STRIDE) * STRIDE
        limit = getattr(self.model.config, "n_positions", capacity)
        key = n_rows, min(capacity, limit), dtype, device
        if self._kept is None or self._kept[0] != key:
            self.drop_graphs()
            self._kept = key, self.model.new_state(*key)
        else:
            self._kept[1].reset(torch.arange(n_rows, device=device))
        return self._kept[1]

    def recorded_step(self, state: Any) -> "Replay":
        """Return the model's step, pending (B,) -> logits (B, V), as a graph."""
        if (1, None) not in self.replays:
            self.replays[1, None] = Replay(partial(self.model.step, state=state), state)
        return self.replays[1, None]

    def drop_graphs(self) -> None:
        """Free the kept state and its graphs."""
        self.replays.clear()
        self._kept = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class GraphSampler:
    """Draws by replaying graphs of TOKENS steps, or of one."""

    def __init__(self, model: GraphedModel, state: Any, pending: Tensor, rules: Sampling, bias: Tensor) -> None:
        self.model, self.state, self.pending, self.rules, self.bias = model, state, pending, rules, bias

    def draw(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        """Draw a token for every row at each step of `numbers` (steps, rows); see `samplers`."""
        drawn = []
        while len(numbers):
            n_steps = TOKENS if len(numbers) >= TOKENS else 1
            drawn.append(self._replay(n_steps)(self.pending, numbers[:n_steps], self.bias).clone())
            self.pending.copy_(drawn[-1][0, :, -1])
            numbers = numbers[n_steps:]
        return to_host(torch.cat(drawn, -1))

    def _replay(self, n_steps: int) -> "Replay":
        """Return the recorded steps, kept with the model for the next call."""
        replays, key = self.model.replays, (n_steps, self.rules)
        if key not in replays:
            replays[key] = Replay(_steps(self.model.model, self.state, self.rules), self.state, n_steps)
        return replays[key]


def _steps(model: Any, state: Any, rules: Sampling) -> Step:
    """Return the function that is recorded: pending (B,), numbers (K, B), bias (V,) -> (2, B, K)."""

    def steps(pending: Tensor, numbers: Tensor, bias: Tensor) -> Tensor:
        drawn = []
        for row_numbers in numbers:
            drawn.append(draw_step(model, state, pending, row_numbers, rules, bias))
            pending = drawn[-1][0].long()
        return torch.stack(drawn, -1)

    return steps


class Replay:
    """Call it as the function it was made from. `state` is what that function changes, by `n_steps` positions."""

    def __init__(self, step: Step, state: Any, n_steps: int = 1) -> None:
        self.step, self.state, self.n_steps = step, state, n_steps
        self._recorded: dict[int, tuple[tuple[Tensor, ...], Callable[[], Tensor]]] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Run the function once; the tensor that it returns is valid until the next call."""
        bound = self._bound()
        if bound not in self._recorded:
            own = tuple(tensor.clone() for tensor in inputs)
            self._recorded[bound] = own, self._record(bound, own)
        own, replay = self._recorded[bound]
        for place, tensor in zip(own, inputs, strict=True):
            place.copy_(tensor)
        output = replay()
        if bound:
            self.state.filled += self.n_steps
        return output

    def _bound(self) -> int:
        """Return the positions that the steps may read, 0 for a state without length."""
        filled = getattr(self.state, "filled", None)
        if filled is None:
            return 0
        return min(-(-(filled + self.n_steps) // STRIDE) * STRIDE, self.state.keys.shape[3])

    def _record(self, bound: int, inputs: tuple[Tensor, ...]) -> Callable[[], Tensor]:
        if not inputs[0].is_cuda:
            return lambda: self._run_in_place(bound, inputs)
        self._warm_up(bound, inputs)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self._run_in_place(bound, inputs)

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay

    def _warm_up(self, bound: int, inputs: tuple[Tensor, ...]) -> None:
        """Run once beside the recording, as CUDA asks for (libraries allocate at their first call), and undo it."""
        kept = {name: tensor.clone() for name, tensor in self._tensors().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._run_in_place(bound, inputs)
        torch.cuda.current_stream().wait_stream(stream)
        for name, tensor in self._tensors().items():
            tensor.copy_(kept[name])

    def _run_in_place(self, bound: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """Run the steps on a state filled up to the bound, whose tensors keep their addresses."""
        held, filled = self._tensors(), getattr(self.state, "filled", None)
        if bound:
            self.state.filled = bound - self.n_steps
        output = self.step(*inputs)
        for name, tensor in held.items():
            changed = getattr(self.state, name)
            if changed is not tensor:
                tensor.copy_(changed)
                setattr(self.state, name, tensor)
        if bound:
            self.state.filled = filled
        return output

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self.state).items() if isinstance(value, Tensor)}
