"""The model families: the class that a configuration stands for. To add a family, name its class in CLASSES.

PyTorch is imported by the functions, not by this file: `sizes` and `costs` do without it.
"""

import importlib
import inspect
from typing import TYPE_CHECKING, TypeAlias, cast

from symbolic.config import ModelConfig

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


# By family: a class that takes its configuration, `tied`, and of `attention` and `scan` those that it has.
CLASSES = {
    "gpt2": "symbolic.models.gpt2.GPT2",
    "mamba": "symbolic.models.mamba.Mamba",
    "mamba2": "symbolic.models.mamba2.Mamba2",
    "lstm": "symbolic.models.lstm.LSTM",
    "gpt2-modern": "symbolic.models.variants.gpt2_modern.GPT2Modern",
    "mamba2-hybrid": "symbolic.models.variants.mamba2_hybrid.Mamba2Hybrid",
}


def build(config: ModelConfig, *, attention: str = "auto", scan: str = "auto", tied: bool = True) -> "Model":
    """Return a model with fresh weights from PyTorch's global generator; `attention` and `scan` name the form to
    compute."""
    module, _, name = CLASSES[config.family].rpartition(".")
    kind = getattr(importlib.import_module(module), name)  # its own module only: others would cost `generate` its start
    forms = {"attention": attention, "scan": scan}
    taken = inspect.signature(kind).parameters
    return cast("Model", kind(config, tied=tied, **{key: form for key, form in forms.items() if key in taken}))


def n_parameters(model: "nn.Module") -> int:
    """Count the numbers of the model; a tied matrix counts once, factors of LoRA not at all."""
    return sum(p.numel() for name, p in model.named_parameters() if ".lora_" not in name)


def paths(model: "Model") -> dict[str, str]:
    """Return which form runs where the weights are now, for records: {"attention": ...}, {"scan": ...}, {"lstm":
    ...}."""
    kind = {"gpt2": "attention", "gpt2-modern": "attention", "lstm": "lstm"}.get(model.config.family, "scan")
    both = getattr(model, "attention_path", None)  # a model with layers of both kinds
    return {kind: model.path(), **({"attention": both()} if both else {})}
