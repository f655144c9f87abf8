"""Decoding on a pretended CUDA device: tunes of the CPU, no wait in a recording; planted faults are caught."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from symbolic.decode.engine import cuda_graphs, engine
from symbolic.decode.engine.cuda_graphs import GraphedModel, Replay
from symbolic.decode.engine.engine import Generated
from tests.pretended_cuda import pretended_cuda
from tests.small_models import RAGGED, SHAPES, EvenOnly, generate, make_model

SETTINGS: dict[str, Any] = {"max_new_tokens": 20, "batch_size": 4}


@pytest.fixture(autouse=True)
def narrow_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several bounds and several replays in tunes of 20 tokens."""
    monkeypatch.setattr(cuda_graphs, "STRIDE", 8)
    monkeypatch.setattr(cuda_graphs, "TOKENS", 3)


def tokens(tunes: list[Generated]) -> list[list[int]]:
    return [tune.tokens for tune in tunes]


@pytest.mark.parametrize("step", ["torch", "graph"])
@pytest.mark.parametrize("family", SHAPES)
def test_tunes_are_those_of_the_cpu(family: str, step: str) -> None:
    want = generate(make_model(family), RAGGED[:8], **SETTINGS)
    masked = generate(make_model(family), RAGGED[:4], mask=EvenOnly(), **SETTINGS)
    with pretended_cuda() as device:
        model = engine.prepare(make_model(family).to("cuda"), step)
        assert tokens(generate(model, RAGGED[:8], **SETTINGS)) == tokens(want)
        assert tokens(generate(model, RAGGED[:4], mask=EvenOnly(), **SETTINGS)) == tokens(masked)
        assert (device.n_replays > 20) == (step == "graph")


def test_graphs_serve_the_next_call() -> None:
    with pretended_cuda():
        model = engine.prepare(make_model("mamba2").to("cuda"), "auto")
        assert isinstance(model, GraphedModel)
        first = generate(model, RAGGED[:6], **SETTINGS)
        recorded = {key: dict(replay._recorded) for key, replay in model.replays.items()}
        assert generate(model, RAGGED[:6], **SETTINGS) == first
        assert {key: dict(replay._recorded) for key, replay in model.replays.items()} == recorded


def test_the_device_refuses_what_a_gpu_refuses() -> None:
    with pretended_cuda() as device:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(RuntimeError, match="at least two devices"):
            _ = there + here
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        graph = torch.cuda.CUDAGraph()
        with pytest.raises(RuntimeError, match=r"capturing \(item\)"), torch.cuda.graph(graph):
            there.sum().item()
        assert device.waits == []
        assert there.sum().item() == 3 and "test_pretended_cuda.py" in device.waits[0][1]


# --- planted faults --------------------------------------------------------------------------------------------------


def _no_copy_back(replay: Replay, bound: int, inputs: Any) -> Any:
    filled = getattr(replay.state, "filled", None)
    if bound:
        replay.state.filled = bound - replay.n_steps
    output = replay.step(*inputs)
    if bound:
        replay.state.filled = filled
    return output


def _inputs_not_copied(replay: Replay, *inputs: Any) -> Any:
    bound = replay._bound()
    if bound not in replay._recorded:
        own = tuple(tensor.clone() for tensor in inputs)
        replay._recorded[bound] = own, replay._record(bound, own)
    output = replay._recorded[bound][1]()
    if bound:
        replay.state.filled += replay.n_steps
    return output


def _inputs_not_cloned(replay: Replay, *inputs: Any) -> Any:
    """Records on the caller's own tensors, which are others in the next call."""
    bound = replay._bound()
    if bound not in replay._recorded:
        replay._recorded[bound] = inputs, replay._record(bound, inputs)
    return _inputs_not_copied(replay, *inputs)


def _warm_up_not_undone(replay: Replay, bound: int, inputs: Any) -> None:
    replay._run_in_place(bound, inputs)


def _bound_ignored(replay: Replay) -> int:
    return min(cuda_graphs.STRIDE, replay.state.keys.shape[3]) if hasattr(replay.state, "filled") else 0


def _draw_with(change: Callable[..., Any]) -> Callable[..., Any]:
    """`draw_step` with something done to its numbers first."""
    plain = cuda_graphs.draw_step

    def draw_step(model: Any, state: Any, pending: Any, numbers: Any, rules: Any, bias: Any) -> Any:
        return plain(model, state, pending, numbers, rules, change(pending, bias))

    return draw_step


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "no copy back": (Replay, "_run_in_place", _no_copy_back),
    "inputs not copied": (Replay, "__call__", _inputs_not_copied),
    "inputs not cloned": (Replay, "__call__", _inputs_not_cloned),
    "warm-up not undone": (Replay, "_warm_up", _warm_up_not_undone),
    "bound ignored": (Replay, "_bound", _bound_ignored),
    "item in the step": (cuda_graphs, "draw_step", _draw_with(lambda pending, bias: bias + 0 * pending[0].item())),
    "mask on the host": (cuda_graphs, "draw_step", _draw_with(lambda pending, bias: bias + torch.zeros(len(bias)))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each breaks the tunes of a family, or raises as a GPU would."""
    monkeypatch.setattr(*FAULTS[fault])
    settings = SETTINGS | {"batch_size": 3}

    def is_caught(family: str) -> bool:
        want = tokens(generate(make_model(family), RAGGED[:5], **settings))
        with pretended_cuda():
            model = engine.prepare(make_model(family).to("cuda"), "graph")
            try:
                return [tokens(generate(model, RAGGED[:5], **settings)) for _ in range(2)] != [want] * 2
            except (RuntimeError, IndexError) as error:
                return re.search("capturing|at least two devices|out of bounds|size", str(error)) is not None

    assert any(map(is_caught, ("gpt2", "mamba2"))), fault
