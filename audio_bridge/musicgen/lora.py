"""LoRA: a frozen linear layer plus a trained product of two thin matrices (Hu et al., 2021, eq. 3).

    y = W x + (alpha / rank) B A x,   A (rank, in) random, B (out, rank) zero at the start

`attach` puts it on the attention and feed-forward layers of a decoder, `merge` adds B A into W and leaves the plain
model behind, so that what is exported needs nothing of this.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class LoRALinear(nn.Module):
    """A linear layer with its low-rank update; the factors are float32 whatever the layer is."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.a = nn.Parameter(torch.empty(rank, base.in_features, device=base.weight.device))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank, device=base.weight.device))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        update = self.dropout(x).to(self.a.dtype) @ self.a.T @ self.b.T
        return self.base(x) + (self.scale * update).to(x.dtype)

    def merged(self) -> nn.Linear:
        """The plain layer with the update added."""
        update = self.scale * (self.b @ self.a)
        self.base.weight.data += update.to(self.base.weight.dtype)
        return self.base


def attach(decoder: nn.Module, rank: int, alpha: float, dropout: float = 0.0) -> int:
    """Freeze a decoder and put LoRA on its layers; returns how many."""
    decoder.requires_grad_(False)
    found = [
        (parent, name)
        for parent in decoder.modules()
        for name, child in parent.named_children()
        if name in TARGETS and isinstance(child, nn.Linear)
    ]
    for parent, name in found:
        setattr(parent, name, LoRALinear(getattr(parent, name), rank, alpha, dropout))
    return len(found)


def merge(decoder: nn.Module) -> None:
    """Put plain layers back, updates added."""
    for parent, name in list(_attached(decoder)):
        setattr(parent, name, getattr(parent, name).merged())


def _attached(decoder: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for parent in decoder.modules():
        for name, child in parent.named_children():
            if isinstance(child, LoRALinear):
                yield parent, name
