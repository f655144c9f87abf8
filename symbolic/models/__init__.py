"""The models: GPT-2, Mamba, Mamba-2 and LSTM, by configuration; they see integers, never a tokenizer.

    model = build(config.model)                       # config.model: GPT2Config | MambaConfig | ...
    logits = model(tokens)                            # (B, T) int64 -> (B, T, V)

    state = model.new_state(batch, max_tokens, dtype, device)
    logits = model.prefill(prompts, lengths, state)   # right-padded (B, T), (B) -> (B, V)
    logits = model.step(tokens, state)                # (B) -> (B, V)

    save(model, folder); model, config = load(folder, "cpu", torch.float32)

PyTorch is imported by the functions, not by this file: `sizes` and `costs` do without it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from symbolic.config import GPT2Config, LSTMConfig, MambaConfig, ModelConfig

if TYPE_CHECKING:
    import torch
    from torch import nn

    from symbolic.models.gpt2 import GPT2, GPT2State
    from symbolic.models.layers import RecurrentState
    from symbolic.models.lstm import LSTM, LSTMState
    from symbolic.models.mamba import Mamba
    from symbolic.models.mamba2 import Mamba2

    Model: TypeAlias = GPT2 | Mamba | Mamba2 | LSTM
    State: TypeAlias = GPT2State | RecurrentState | LSTMState


def build(config: ModelConfig, *, attention: str = "auto", scan: str = "auto", tied: bool = True) -> "Model":
    """A model with fresh weights from PyTorch's global generator; `attention` and `scan` name the form to compute."""
    from symbolic.models import gpt2, lstm, mamba, mamba2

    if isinstance(config, GPT2Config):
        return gpt2.GPT2(config, attention=attention, tied=tied)
    if isinstance(config, MambaConfig):
        return mamba.Mamba(config, scan=scan, tied=tied)
    if isinstance(config, LSTMConfig):
        return lstm.LSTM(config, tied=tied)
    return mamba2.Mamba2(config, scan=scan, tied=tied)


def load(
    folder: Path | str,
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
    *,
    attention: str = "auto",
    scan: str = "auto",
) -> tuple["Model", ModelConfig]:
    """A model and its shape from a Hugging Face directory, or an LSTM from ours, in evaluation mode."""
    from symbolic.models import pretrained

    return pretrained.load(folder, device, dtype, attention=attention, scan=scan)


def save(model: "Model", folder: Path | str, metadata: dict[str, str] | None = None) -> None:
    """Write config.json and model.safetensors, each whole, as the library's class reads them where it has one."""
    from symbolic.models import pretrained

    pretrained.save(model, folder, metadata)


def n_parameters(model: "nn.Module") -> int:
    """Numbers that are trained; a tied matrix counts once."""
    return sum(p.numel() for p in model.parameters())


def paths(model: "Model") -> dict[str, str]:
    """Which form runs where the weights are now, for records: {"attention": ...}, {"scan": ...}, {"lstm": ...}."""
    return {{"gpt2": "attention", "lstm": "lstm"}.get(model.config.family, "scan"): model.path()}
