"""The model families: the class that a configuration stands for. To add a family, name its class here.

PyTorch is imported by the functions, not by this file: `sizes` and `costs` do without it.
"""

from typing import TYPE_CHECKING, TypeAlias

from symbolic.config import (
    GPT2Config,
    GPT2ModernConfig,
    LSTMConfig,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
)

if TYPE_CHECKING:
    from torch import nn

    from symbolic.models.gpt2 import GPT2, GPT2State
    from symbolic.models.layers import RecurrentState
    from symbolic.models.lstm import LSTM, LSTMState
    from symbolic.models.mamba import Mamba
    from symbolic.models.mamba2 import Mamba2
    from symbolic.models.variants.gpt2_modern import GPT2Modern
    from symbolic.models.variants.mamba2_hybrid import HybridState, Mamba2Hybrid

    Model: TypeAlias = GPT2 | Mamba | Mamba2 | LSTM | GPT2Modern | Mamba2Hybrid
    State: TypeAlias = GPT2State | RecurrentState | LSTMState | HybridState


def build(config: ModelConfig, *, attention: str = "auto", scan: str = "auto", tied: bool = True) -> "Model":
    """Return a model with fresh weights from PyTorch's global generator; `attention` and `scan` name the form to
    compute."""
    if isinstance(config, GPT2Config):  # each imports its own family only: the others would cost `generate` its start
        from symbolic.models.gpt2 import GPT2

        return GPT2(config, attention=attention, tied=tied)
    if isinstance(config, MambaConfig):
        from symbolic.models.mamba import Mamba

        return Mamba(config, scan=scan, tied=tied)
    if isinstance(config, LSTMConfig):
        from symbolic.models.lstm import LSTM

        return LSTM(config, tied=tied)
    if isinstance(config, GPT2ModernConfig):
        from symbolic.models.variants.gpt2_modern import GPT2Modern

        return GPT2Modern(config, attention=attention, tied=tied)
    if isinstance(config, Mamba2HybridConfig):
        from symbolic.models.variants.mamba2_hybrid import Mamba2Hybrid

        return Mamba2Hybrid(config, scan=scan, attention=attention, tied=tied)
    from symbolic.models.mamba2 import Mamba2

    return Mamba2(config, scan=scan, tied=tied)


def n_parameters(model: "nn.Module") -> int:
    """Count the numbers of the model; a tied matrix counts once, factors of LoRA not at all."""
    return sum(p.numel() for name, p in model.named_parameters() if ".lora_" not in name)


def paths(model: "Model") -> dict[str, str]:
    """Return which form runs where the weights are now, for records: {"attention": ...}, {"scan": ...}, {"lstm":
    ...}."""
    kind = {"gpt2": "attention", "gpt2-modern": "attention", "lstm": "lstm"}.get(model.config.family, "scan")
    both = getattr(model, "attention_path", None)  # a model with layers of both kinds
    return {kind: model.path(), **({"attention": both()} if both else {})}
