"""A decoding step recorded once as a CUDA graph, then replayed: at small batches launching a hundred kernels a token
takes longer than they run.

A graph reads and writes the addresses that it was recorded with. So inputs are copied into its own, and what a step
assigns to its state is copied back into the tensors that the state held. Its shapes are fixed, too: a state that says
how much of it is `filled` (GPT-2's cache) gets a graph for every STRIDE positions, each of which reads up to its bound;
the positions that a row has not reached are masked, as always.

NOT PROVEN on a GPU: on a CPU the same calls run without a recording, and tests hold them to the plain step.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

STRIDE = 128  # positions between the bounds of two graphs

Step = Callable[..., Tensor]  # tensors of fixed shapes -> a tensor; changes the state


class Graphed:
    """A model whose steps the engine records; everything else is the model's own."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model

    @property
    def path(self) -> str:
        """What runs, for a run's record."""
        return "CUDA graphs of the torch step"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class Replay:
    """Call it as the step it was made from; `state` is what that step changes."""

    def __init__(self, step: Step, state: Any) -> None:
        self.step, self.state = step, state
        self._recorded: dict[int, tuple[tuple[Tensor, ...], Callable[[], Tensor]]] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """One step: the tensor that it returns, valid until the next."""
        bound = self._bound()
        if bound not in self._recorded:
            own = tuple(tensor.clone() for tensor in inputs)
            self._recorded[bound] = own, self._record(bound, own)
        own, replay = self._recorded[bound]
        for place, tensor in zip(own, inputs, strict=True):
            place.copy_(tensor)
        output = replay()
        if bound:
            self.state.filled += 1
        return output

    def _bound(self) -> int:
        """Positions that the step may read, 0 for a state without length."""
        if not hasattr(self.state, "filled"):
            return 0
        return min(-(-(self.state.filled + 1) // STRIDE) * STRIDE, self.state.keys.shape[3])

    def _record(self, bound: int, inputs: tuple[Tensor, ...]) -> Callable[[], Tensor]:
        if not inputs[0].is_cuda:
            return lambda: self._in_place(bound, inputs)
        self._warm_up(bound, inputs)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self._in_place(bound, inputs)

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
            self._in_place(bound, inputs)
        torch.cuda.current_stream().wait_stream(stream)
        for name, tensor in self._tensors().items():
            tensor.copy_(kept[name])

    def _in_place(self, bound: int, inputs: tuple[Tensor, ...]) -> Tensor:
        """The step on a state filled to one below the bound, whose tensors keep their addresses."""
        held, filled = self._tensors(), getattr(self.state, "filled", None)
        if bound:
            self.state.filled = bound - 1
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
