"""The optimiser and its learning-rate schedule, for every model: AdamW, or Muon and AdamW (symbolic.training.muon).

Conventions: `step` counts optimiser updates from 0; the schedule is a pure function of it, and the rate is written into
the very optimiser that is stepped. Weight decay acts on matrices (embeddings included), not on biases, gains,
convolution filters, or Mamba's log-decays `A_log`, which are rates of a recurrence and not weights.

Papers: Loshchilov and Hutter 2019 (AdamW; cosine decay 2017), Hu et al. 2024 (warm-up, stable, decay).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from symbolic.config import TrainConfig
from symbolic.training import muon

BYTES_A_TRAINED = 12  # gradient and two moments of a trained number, float32; its weight is counted with the others
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW keeps for each parameter


def learning_rate(step: int, train: TrainConfig) -> float:
    """Return the rate of update `step`: linear warm-up, constant, then a cosine or straight fall.

    The fall takes the last `decay_fraction` of all updates (1: it starts where the warm-up ends) and reaches
    learning_rate * min_learning_rate_ratio at the very last.
    """
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    start = max(train.warmup_steps, round(train.steps * (1 - train.decay_fraction)))
    progress = min(1.0, max(0.0, (step - start + 1) / max(1, train.steps - start)))
    fallen = (1 - math.cos(math.pi * progress)) / 2 if train.decay == "cosine" else progress
    return train.learning_rate * (1 - (1 - train.min_learning_rate_ratio) * fallen)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Write the rate into every group of the optimiser, times the group's ratio where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_ratio", 1.0)


def build(model: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimiser that the configuration names, over the parameters that are trained."""
    if train.optimizer == "adamw":
        return _adamw([(name, p) for name, p in model.named_parameters() if p.requires_grad], train)
    hidden = list(muon.hidden_matrices(model))
    own = {id(p) for _, p, _ in hidden}
    others = [(name, p) for name, p in model.named_parameters() if p.requires_grad and id(p) not in own]
    ratio = train.muon_learning_rate / train.learning_rate
    groups = [
        {"params": matrices, "weight_decay": train.weight_decay, "rate_ratio": ratio, "rows_are_outputs": is_usual}
        for is_usual in (True, False)
        if (matrices := [p for _, p, rows in hidden if rows == is_usual])
    ]
    made = muon.MuonAdamW(groups, _adamw(others, train), train.muon_momentum)
    set_learning_rate(made, learning_rate(0, train))
    return made


def _adamw(parameters: list[tuple[str, nn.Parameter]], train: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW, fused into one kernel a step where PyTorch has it for the device."""
    groups = [
        {"params": [p for name, p in parameters if decays(name, p)], "weight_decay": train.weight_decay},
        {"params": [p for name, p in parameters if not decays(name, p)], "weight_decay": 0.0},
    ]
    betas = (train.beta1, train.beta2)
    fused = all(p.device.type in ("cpu", "cuda") for _, p in parameters)
    return torch.optim.AdamW(groups, lr=learning_rate(0, train), betas=betas, eps=train.eps, fused=fused)


def decays(name: str, parameter: Tensor) -> bool:
    """Return True if weight decay acts on a parameter."""
    return parameter.dim() == 2 and not name.endswith("A_log")


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's moments by parameter name: `exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME`;
    `momentum.NAME`."""
    slots = _slots(model, optimizer)
    return {f"{kind}.{name}": optimizer.state[p][kind] for kind, name, p in slots if p in optimizer.state}


def load_state(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put moments saved by `state` back. Raises KeyError where one is missing."""
    for kind, name, p in _slots(model, optimizer):
        like = p if kind != "step" else torch.zeros((), dtype=torch.float32, device=p.device)
        optimizer.state[p][kind] = tensors[f"{kind}.{name}"].to(device=like.device, dtype=like.dtype).clone()


def _slots(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, str, Tensor]]:
    """Yield (kind, name, parameter) of every moment that is kept."""
    by_muon = {id(p) for group in optimizer.param_groups if muon.MOMENT in group for p in group["params"]}
    for name, p in model.named_parameters():
        if p.requires_grad:
            yield from ((kind, name, p) for kind in ((muon.MOMENT,) if id(p) in by_muon else MOMENTS))
