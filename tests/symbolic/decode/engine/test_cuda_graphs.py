"""What a CUDA graph needs of a step, without the graph: fixed tensors, a bound for every 16 positions, equal tunes."""

from typing import Any

import pytest
import torch

from symbolic.decode.engine import cuda_graphs
from symbolic.decode.engine.sampling import Sampling
from tests.small_models import RAGGED, SHAPES, EvenOnly, generate, make_model


@pytest.mark.parametrize("tokens", [1, 4])
@pytest.mark.parametrize("family", SHAPES)
def test_recorded_steps_draw_the_same_tunes(family: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "STRIDE", 16)
    monkeypatch.setattr(cuda_graphs, "TOKENS", tokens)
    model = make_model(family)
    graphed = cuda_graphs.GraphedModel(model)
    settings: list[dict[str, Any]] = [{}, {"sampling": Sampling(0.7, 20, 0.9)}]
    for each in settings:
        want = generate(model, RAGGED, batch_size=8, **each)
        got = generate(graphed, RAGGED, batch_size=8, synchronise_every=6, **each)
        assert [tune.tokens for tune in got] == [tune.tokens for tune in want]
    want = generate(model, RAGGED, batch_size=8, mask=EvenOnly())
    assert [t.tokens for t in generate(graphed, RAGGED, batch_size=8, mask=EvenOnly())] == [t.tokens for t in want]


def test_state_and_graphs_serve_the_next_call_of_the_same_shape() -> None:
    graphed = cuda_graphs.GraphedModel(make_model("gpt2"))
    first = generate(graphed, RAGGED, batch_size=8)
    state, replays = graphed._kept, dict(graphed.replays)
    assert generate(graphed, RAGGED, batch_size=8) == first and graphed._kept is state and graphed.replays == replays
    generate(graphed, RAGGED, batch_size=3)
    assert graphed._kept is not state
    assert all(graphed.replays[key] is not replay for key, replay in replays.items() if key in graphed.replays)


def test_a_replay_does_not_move_its_state() -> None:
    model = make_model("gpt2")
    state = model.new_state(2, 60, torch.float32, "cpu")
    addresses = [tensor.data_ptr() for tensor in (state.keys, state.values, state.lengths)]
    step = cuda_graphs.Replay(lambda tokens: model.step(tokens, state), state)
    for place in range(20):
        step(torch.tensor([3, 4]))
        assert state.filled == place + 1 and state.lengths.tolist() == [place + 1] * 2
    assert [tensor.data_ptr() for tensor in (state.keys, state.values, state.lengths)] == addresses
