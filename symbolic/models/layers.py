"""Layers that both Mamba models share: root-mean-square norm, depthwise causal convolution, decoding state.

Shapes: B rows of a batch, L positions, D channels, K convolution width. Sequences are (B, L, D): the scan, the
convolution and the projections all read channels side by side, so no transposition is needed between them.

Papers: Zhang & Sennrich 2019, Root Mean Square Layer Normalization (arXiv:1910.07467).
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """y = w x / sqrt(mean(x^2) + eps), in float32 at least, returned in the type of w."""

    def __init__(self, n_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = wide(x)
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)).to(self.weight.dtype)


def wide(x: Tensor) -> Tensor:
    """Return float32, or float64 where the caller computes in it."""
    return x if x.dtype == torch.float64 else x.float()


class CausalConvolution(nn.Module):
    """y_t = b + sum_k w_k x_{t-K+1+k}, each channel by itself, zeros before the start; parameters as nn.Conv1d's."""

    def __init__(self, n_channels: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5  # nn.Conv1d's own: one input channel of `width` positions
        self.weight = nn.Parameter(torch.empty(n_channels, 1, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_channels).uniform_(-bound, bound))
        self.memory = width - 1  # past inputs that a decoder must keep

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, L, D) -> y, in float32 or wider."""
        return _CausalConvolution.apply(wide(x), wide(self.weight).squeeze(1).t(), wide(self.bias))

    def step(self, window: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one position: window (B, K-1, D) of past inputs, x (B, D); returns y and the next window."""
        seen = torch.cat([window, x.to(window.dtype)[:, None]], dim=1)  # (B, K, D)
        return wide(self.bias) + (wide(seen) * wide(self.weight).squeeze(1).t()).sum(1), seen[:, 1:]


def last_inputs(x: Tensor, lengths: Tensor, n: int) -> Tensor:
    """Return the last n inputs of each row's real part, zeros before its start: x (B, L, D), lengths (B) -> (B, n,
    D)."""
    position = lengths[:, None] - n + torch.arange(n, device=x.device)  # (B, n)
    taken = x.gather(1, position.clamp(min=0)[..., None].expand(-1, -1, x.shape[-1]))
    return taken * (position >= 0)[..., None]


def real_positions(lengths: Tensor, n_positions: int) -> Tensor:
    """Return (B, L) true where a right-padded row holds a real token."""
    return torch.arange(n_positions, device=lengths.device) < lengths[:, None]


@dataclass
class RecurrentState:
    """What a Mamba remembers of each row: the last inputs of the convolution and the state of the recurrence.

    window (layers, B, K-1, channels of the convolution); recurrence (layers, B, ...), float32 or wider.
    """

    window: Tensor
    recurrence: Tensor

    def insert(self, rows: Tensor, other: "RecurrentState") -> None:
        """Replace the given rows by the rows of `other`, in order."""
        self.window[:, rows] = other.window.to(self.window.dtype)
        self.recurrence[:, rows] = other.recurrence.to(self.recurrence.dtype)

    def reset(self, rows: Tensor) -> None:
        """Make the given rows forget everything."""
        self.window[:, rows] = 0
        self.recurrence[:, rows] = 0


def tied_head(embedding: nn.Embedding, tied: bool) -> nn.Linear:
    """Return the output projection; tied, it is the embedding's own parameter under the library's second name."""
    head = nn.Linear(embedding.embedding_dim, embedding.num_embeddings, bias=False)
    if tied:
        head.weight = embedding.weight
    return head


def logits(x: Tensor, head: nn.Linear) -> Tensor:
    """Return scores over the vocabulary, in the head's type (autocast may lower it)."""
    return F.linear(x.to(head.weight.dtype), head.weight)


class _CausalConvolution(torch.autograd.Function):
    """Shifted sums with their own backward: autograd would allocate a padded gradient for every shift."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # weight (K, D)
        ctx.save_for_backward(x, weight)
        y = torch.addcmul(bias, x, weight[-1])
        for shift in range(1, min(len(weight), x.shape[1])):
            y[:, shift:].addcmul_(x[:, :-shift], weight[-1 - shift])
        return y

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        gx, gw = gy * weight[-1], torch.zeros_like(weight)
        gw[-1] = (gy * x).sum((0, 1))
        for shift in range(1, min(len(weight), x.shape[1])):
            gx[:, :-shift].addcmul_(gy[:, shift:], weight[-1 - shift])
            gw[-1 - shift] = (gy[:, shift:] * x[:, :-shift]).sum((0, 1))
        return gx, gw, gy.sum((0, 1))
