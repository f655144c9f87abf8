"""Muon for hidden matrices, AdamW for everything else, as one optimiser.

    m = beta m + (1 - beta) g
    u = (1 - beta) g + beta m                                            (Nesterov)
    W = (1 - rate decay) W - rate sqrt(max(1, out / in)) orthogonal(u)

`orthogonal` moves the singular values of u near 1 and leaves its directions: with u = U S V^T it gives about U V^T, by
five steps of a Newton-Schulz iteration whose coefficients are steep at zero, so that values end between about 0.7 and
1.2. It is computed in bfloat16 where the device multiplies that faster, else in float32.

Hidden are the matrices between embedding and head. Embeddings, the head, vectors, filters and Mamba's `A_log` are
AdamW's. A matrix that holds several side by side (queries, keys and values of GPT-2, `in_proj` of Mamba) is taken
whole. The two rates follow one schedule; `rate_ratio` of a group is what its rate is to that of AdamW.

Source: Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks (kellerjordan.github.io/posts/muon);
coefficients and scale are those of its reference.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from symbolic import machine

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
N_ITERATIONS = 5
MOMENT = "momentum"  # what Muon keeps for each matrix, and the key by which its groups are known


class MuonAdamW(torch.optim.Optimizer):
    """Muon over some groups and `adamw` over its own; both keep their state here."""

    def __init__(self, groups: list[dict[str, Any]], adamw: torch.optim.AdamW, momentum: float) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, "rows_are_outputs": True, MOMENT: momentum})
        self.adamw, self.own_groups = adamw, list(self.param_groups)
        self.param_groups += adamw.param_groups
        adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient once."""
        assert closure is None, "a step is made from the gradients that are there"
        self.adamw.step()
        for group in self.own_groups:
            for matrices in _by_shape(group["params"]):
                self._update(group, matrices)
        return None

    def _update(self, group: dict[str, Any], matrices: list[Tensor]) -> None:
        """Step matrices of one shape, their products in one call each."""
        beta, rate = group[MOMENT], group["lr"]
        gradients = [p.grad for p in matrices if p.grad is not None]
        for p in matrices:
            if MOMENT not in self.state[p]:
                self.state[p][MOMENT] = torch.zeros_like(p)
        moments = [self.state[p][MOMENT] for p in matrices]
        for moment, gradient in zip(moments, gradients, strict=True):
            moment.lerp_(gradient, 1 - beta)
        updates = orthogonal(torch.stack(gradients).lerp_(torch.stack(moments), beta))
        n_out, n_in = updates.shape[-2:] if group["rows_are_outputs"] else updates.shape[:-3:-1]
        for p, update in zip(matrices, updates, strict=True):
            p.mul_(1 - rate * group["weight_decay"])
            p.add_(update.to(p.dtype), alpha=-rate * math.sqrt(max(1.0, n_out / n_in)))


def orthogonal(u: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return matrices (..., m, n) with singular values near 1 and the directions of u; zeros stay zeros.

    dtype: of the products (default: bfloat16 where the device is fast at it, else float32).
    """
    if dtype is None:
        dtype = torch.bfloat16 if machine.has_bfloat16(u.device) else torch.float32
    a, b, c = COEFFICIENTS
    is_tall = u.shape[-2] > u.shape[-1]
    x = (u.mT if is_tall else u).to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # no singular value above 1
    for _ in range(N_ITERATIONS):
        products = x @ x.mT
        x = a * x + (b * products + c * products @ products) @ x
    return x.mT if is_tall else x


def hidden_matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Yield (name, matrix, whether its rows are outputs) of those that are Muon's."""
    from symbolic.models.gpt2 import Projection  # here: whoever reads a checkpoint would pay for it

    for place, module in model.named_modules():
        if isinstance(module, nn.Embedding) or place == "lm_head":
            continue
        for name, p in module.named_parameters(recurse=False):
            if p.dim() == 2 and p.requires_grad and name != "A_log":
                yield f"{place}.{name}".lstrip("."), p, not isinstance(module, Projection)


def _by_shape(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Return matrices that have a gradient, those of one shape together, in their order."""
    groups: dict[torch.Size, list[Tensor]] = {}
    for p in parameters:
        if p.grad is not None:
            groups.setdefault(p.shape, []).append(p)
    return list(groups.values())
