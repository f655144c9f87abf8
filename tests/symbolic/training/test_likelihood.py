"""Bits per byte against a calculation by hand."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from symbolic import models
from symbolic.config import GPT2Config, Mamba2Config, MambaConfig, ModelConfig
from symbolic.tokens import tokenizer
from symbolic.training import likelihood

BOS, EOS, V = likelihood.BOS, likelihood.EOS, 8


class Bigram(nn.Module):
    """A model whose next-token scores depend on the last token only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(V, V))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.shapes.append(tuple(tokens.shape))
        return self.table[tokens]


def by_hand(model: Bigram, ids: list[int]) -> float:
    logs = model.table.detach().double().log_softmax(-1)
    framed = [BOS, *ids, EOS]
    return -sum(float(logs[a, b]) for a, b in itertools.pairwise(framed))


TUNES = [[3, 4, 5], [6], [], [3, 3, 7, 4, 5, 6, 7, 3, 4]]
BYTES = [5, 2, 1, 14]


def test_special_ids_are_those_of_every_tokenizer() -> None:
    assert (
        (likelihood.PAD, likelihood.BOS, likelihood.EOS) == (tokenizer.PAD, tokenizer.BOS, tokenizer.EOS) == (0, 1, 2)
    )


def test_each_tune_is_scored_from_bos_to_eos_in_the_order_given() -> None:
    model = Bigram()
    scores = likelihood.score(model, TUNES, BYTES, context=16)
    for score, ids, n in zip(scores, TUNES, BYTES, strict=True):
        assert score.nats == pytest.approx(by_hand(model, ids), rel=1e-6)
        assert (score.n_tokens, score.n_bytes) == (len(ids) + 1, n)


def test_a_set_sums_bits_over_bytes() -> None:
    scores = [likelihood.TuneLikelihood(nats=math.log(2) * 6, n_bytes=2, n_tokens=3)]
    scores.append(likelihood.TuneLikelihood(nats=math.log(2) * 2, n_bytes=6, n_tokens=1))
    assert scores[0].bits_per_byte == pytest.approx(3.0)
    assert likelihood.bits_per_byte(scores) == pytest.approx(1.0)
    assert likelihood.nats_per_token(scores) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("context", [1, 2, 3, 4, 7, 9])
def test_long_tunes_are_scored_once_a_token_in_windows(context: int) -> None:
    model = Bigram()
    scores = likelihood.score(model, TUNES, BYTES, context=context)
    assert [score.n_tokens for score in scores] == [len(ids) + 1 for ids in TUNES]
    assert scores[3].nats == pytest.approx(by_hand(model, TUNES[3]), rel=1e-6)
    assert max(shape[1] for shape in model.shapes) <= context


def test_windows_after_the_first_see_at_least_half_a_context_before() -> None:
    windows = list(likelihood._windows(0, list(range(3, 60)), 8))
    assert [window.n_scored for window in windows] == [8] + [4] * 12 + [2]
    for window in windows[1:]:
        assert len(window.ids) == 9
        assert len(window.ids) - window.n_scored >= 8 // 2
    targets = [id for window in windows for id in window.ids[len(window.ids) - window.n_scored :]]
    assert targets == [*range(3, 60), EOS]


def test_batches_hold_like_lengths_within_the_bound_and_all_windows() -> None:
    windows = [likelihood._Window(n, [BOS] * (n + 2), n + 1) for n in (3, 30, 4, 29, 5)]
    batches = list(likelihood._batches(windows, 64))
    assert [[len(window.ids) for window in batch] for batch in batches] == [[32, 31], [7, 6, 5]]


def test_progress_is_told_and_the_mode_put_back() -> None:
    model, told = Bigram().train(), []
    likelihood.score(model, TUNES, BYTES, context=16, batch_tokens=8, on_batch=lambda done, n: told.append((done, n)))
    assert told[-1] == (4, 4) and len(told) > 1
    assert model.training


SHAPES: list[ModelConfig] = [
    GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=32, vocab_size=V, dropout=0.5),
    MambaConfig(n_layer=1, d_model=16, vocab_size=V),
    Mamba2Config(n_layer=1, d_model=16, d_state=8, head_dim=8, vocab_size=V),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.family)
def test_padding_and_neighbours_change_nothing(shape: ModelConfig) -> None:
    torch.manual_seed(0)
    model = models.build(shape)
    together = likelihood.score(model, TUNES, BYTES, context=32)
    alone = [likelihood.score(model, [ids], [n], context=32)[0] for ids, n in zip(TUNES, BYTES, strict=True)]
    assert [a.nats for a in together] == pytest.approx([b.nats for b in alone], rel=1e-5)


def test_bfloat16_is_near_float32() -> None:
    torch.manual_seed(0)
    model = models.build(SHAPES[0])
    wide = likelihood.score(model, TUNES, BYTES, context=32)
    narrow = likelihood.score(model, TUNES, BYTES, context=32, dtype=torch.bfloat16)
    assert likelihood.bits_per_byte(narrow) == pytest.approx(likelihood.bits_per_byte(wide), rel=1e-2)
    assert [score.nats for score in narrow] != [score.nats for score in wide]
