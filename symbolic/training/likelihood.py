"""How well a model predicts tunes: bits per byte of their canonical text.

Task: give each tune the probability of its whole text, alone and from the beginning: the model reads BOS and the
tune's tokens, and is scored on every token and on EOS. Bits per byte = nats / ln 2 / bytes of the canonical text as
UTF-8, summed over tunes before dividing. Unlike loss per token it may be compared across tokenizers.

A tune longer than `context` is scored in windows of `context` tokens that advance by half a window: every token is
scored exactly once, and after the first window with at least context / 2 tokens before it. All model families are
treated so, those that could read on without limit included, so that each sees what it was trained on.

Shapes: B windows of a batch, T tokens of the longest one (right-padded: a causal model's scores cannot depend on it).
Sums are float64 on the host, log-probabilities float32.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

PAD, BOS, EOS = 0, 1, 2  # the first three ids of every vocabulary
BATCH_TOKENS = 16_384  # padded tokens of one forward pass: bounds the memory of the logits


@dataclass(frozen=True)
class TuneLikelihood:
    """What a model makes of one tune."""

    nats: float  # negative log-likelihood of its tokens and EOS
    n_bytes: int  # of its canonical text, UTF-8
    n_tokens: int  # scored, EOS included

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of canonical text."""
        return self.nats / math.log(2) / self.n_bytes


@dataclass(frozen=True)
class _Window:
    """Part of a tune: the ids read (the last only predicted), and how many targets at its end are scored."""

    tune: int
    ids: Sequence[int]
    n_scored: int
    first: int = 0  # place in the tune of the first target that is scored


def score(
    model: nn.Module,
    tunes: Sequence[Sequence[int]],
    n_bytes: Sequence[int],
    *,
    context: int,
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[TuneLikelihood]:
    """Score each tune, given as token ids without BOS and EOS, with the bytes of its text; results in the order given.

    `dtype` bfloat16 runs the model under autocast. `on_batch(done, total)` hears of progress in windows.
    """
    found = token_nats(model, tunes, context=context, dtype=dtype, batch_tokens=batch_tokens, on_batch=on_batch)
    return [TuneLikelihood(float(nats.sum()), n, len(nats)) for nats, n in zip(found, n_bytes, strict=True)]


def token_nats(
    model: nn.Module,
    tunes: Sequence[Sequence[int]],
    *,
    context: int,
    dtype: torch.dtype = torch.float32,
    batch_tokens: int = BATCH_TOKENS,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[NDArray[np.float64]]:
    """Return the negative log-likelihood of each token of each tune and of its EOS, in nats."""
    nats = [np.zeros(len(ids) + 1) for ids in tunes]
    windows = [window for index, ids in enumerate(tunes) for window in _windows(index, ids, context)]
    done, was_training = 0, model.training
    model.eval()
    try:
        for batch in _batches(windows, batch_tokens):
            for window, values in zip(batch, _score_batch(model, batch, dtype), strict=True):
                nats[window.tune][window.first : window.first + window.n_scored] = values
            done += len(batch)
            if on_batch:
                on_batch(done, len(windows))
    finally:
        model.train(was_training)
    return nats


def bits_per_byte(tunes: Sequence[TuneLikelihood]) -> float:
    """Return bits per byte of a set: all bits over all bytes."""
    return sum(tune.nats for tune in tunes) / math.log(2) / sum(tune.n_bytes for tune in tunes)


def nats_per_token(tunes: Sequence[TuneLikelihood]) -> float:
    """Return mean loss over the tokens of a set."""
    return sum(tune.nats for tune in tunes) / sum(tune.n_tokens for tune in tunes)


def _windows(tune: int, ids: Sequence[int], context: int) -> Iterator[_Window]:
    """Cut BOS ids EOS so that each target is scored once and no window reads more than `context` tokens."""
    framed = [BOS, *ids, EOS]
    first = min(context, len(framed) - 1)
    yield _Window(tune, framed[: first + 1], first)
    stride = max(1, context // 2)
    for start in range(first, len(framed) - 1, stride):  # targets start+1 .. end are new
        end = min(start + stride, len(framed) - 1)
        yield _Window(tune, framed[max(0, end - context) : end + 1], end - start, start)


def _batches(windows: Sequence[_Window], batch_tokens: int) -> Iterator[list[_Window]]:
    """Group windows of like length, longest first, so that a batch too large for the memory fails at once."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


@torch.inference_mode()
def _score_batch(model: nn.Module, batch: Sequence[_Window], dtype: torch.dtype) -> list[NDArray[np.float64]]:
    """Return the negative log-likelihood of each window's scored targets, in float64."""
    device = next(model.parameters()).device
    tokens = _padded(batch).to(device)  # (B, T+1)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = model(tokens[:, :-1])  # (B, T, V)
    losses = nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    rows = losses.view(len(batch), -1).double().cpu().numpy()  # (B, T)
    ends = [len(window.ids) - 1 for window in batch]
    return [row[end - window.n_scored : end] for row, end, window in zip(rows, ends, batch, strict=True)]


def _padded(batch: Sequence[_Window]) -> Tensor:
    """Return right-padded ids (B, T+1)."""
    longest = max(len(window.ids) for window in batch)
    tokens = torch.full((len(batch), longest), PAD)
    for row, window in enumerate(batch):
        tokens[row, : len(window.ids)] = torch.tensor(window.ids)
    return tokens
