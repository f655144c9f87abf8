"""prefill and step give what forward gives, for ragged prompts, whatever stands in the other rows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from symbolic.config import GPT2Config, ModelConfig
from symbolic.errors import UserError

LENGTHS = [9, 1, 20]
Make = Callable[..., Any]


def decode(model: Any, tokens: Tensor, lengths: list[int], fill: int = 0) -> list[Tensor]:
    """Scores after the prompts, then after each further token, of rows right-padded with `fill`."""
    width, real = max(lengths), torch.tensor(lengths)
    prompts = tokens[:, :width].clone()
    prompts[torch.arange(width) >= real[:, None]] = fill
    state = model.new_state(len(tokens), tokens.shape[1], tokens_dtype(model), "cpu")
    scores = [model.prefill(prompts, real, state)]
    for i in range(tokens.shape[1] - width):
        scores.append(model.step(tokens[torch.arange(len(tokens)), real + i], state))
    return scores


def tokens_dtype(model: Any) -> torch.dtype:
    return model.lm_head.weight.dtype


def check_close(left: Tensor, right: Tensor, dtype: torch.dtype) -> None:
    tolerance = {torch.float32: 5e-5, torch.float64: 1e-11}[dtype]
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stepwise_equals_forward(config: ModelConfig, make: Make, tokens: Tensor, dtype: torch.dtype) -> None:
    model = make(config).to(dtype)
    full = model(tokens).detach()
    for i, scores in enumerate(decode(model, tokens, LENGTHS)):
        expected = full[torch.arange(len(tokens)), torch.tensor(LENGTHS) - 1 + i]
        check_close(scores, expected, dtype)


def test_from_a_blank_state_without_prefill(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    full, state = model(tokens).detach(), model.new_state(len(tokens), tokens.shape[1], torch.float32, "cpu")
    for t in range(tokens.shape[1]):
        check_close(model.step(tokens[:, t], state), full[:, t], torch.float32)


def test_padding_has_no_effect(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    for one, other in zip(decode(model, tokens, LENGTHS, fill=0), decode(model, tokens, LENGTHS, fill=7)):
        assert torch.equal(one, other)


def test_rows_are_independent(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    others = tokens.clone()
    others[1:] = (others[1:] + 1) % config.vocab_size
    for one, other in zip(decode(model, tokens, LENGTHS), decode(model, others, LENGTHS)):
        torch.testing.assert_close(one[0], other[0], rtol=1e-6, atol=1e-6)
        assert not torch.equal(one[1], other[1])


def test_inserted_rows_go_on_as_if_alone(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    full = model(tokens).detach()
    state = model.new_state(3, tokens.shape[1], torch.float32, "cpu")
    model.prefill(tokens[:, :12], torch.full((3,), 12), state)
    fresh = model.new_state(2, 6, torch.float32, "cpu")
    model.prefill(tokens[[2, 1], :6], torch.tensor([6, 3]), fresh)
    state.insert(torch.tensor([0, 2]), fresh)  # row 0 now follows tune 2, row 2 follows tune 1, row 1 goes on
    tune, place = torch.tensor([2, 1, 1]), torch.tensor([6, 12, 3])
    for i in range(8):
        scores = model.step(tokens[tune, place + i], state)
        check_close(scores, full[tune, place + i], torch.float32)


def test_reset_rows_start_anew(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    model = make(config)
    full = model(tokens).detach()
    state = model.new_state(3, tokens.shape[1], torch.float32, "cpu")
    model.prefill(tokens[:, :5], torch.full((3,), 5), state)
    state.reset(torch.tensor([1]))
    place = torch.tensor([5, 0, 5])
    for i in range(4):
        check_close(model.step(tokens[torch.arange(3), place + i], state), full[torch.arange(3), place + i], full.dtype)


def test_decoding_in_bfloat16(config: ModelConfig, make: Make, tokens: Tensor) -> None:
    exact = make(config)(tokens).detach()
    model = make(config).bfloat16()
    scores = decode(model, tokens, LENGTHS)[-1].float()
    expected = exact[torch.arange(3), torch.tensor(LENGTHS) - 1 + tokens.shape[1] - max(LENGTHS)]
    assert (scores - expected).abs().max() < 0.1 * expected.abs().max()


def test_a_full_cache_is_refused(make: Make) -> None:
    model = make(GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=8, vocab_size=20))
    state = model.new_state(1, 2, torch.float32, "cpu")
    for _ in range(2):
        model.step(torch.tensor([3]), state)
    with pytest.raises(UserError, match="3 tokens, but there is room for 2"):
        model.step(torch.tensor([3]), state)
    with pytest.raises(UserError, match="9 tokens, but there is room for 8"):
        model(torch.zeros(1, 9, dtype=torch.long))
