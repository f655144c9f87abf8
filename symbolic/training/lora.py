"""LoRA by `peft`: frozen layers, each with a trained product of two thin matrices (Hu et al. 2021, arXiv:2106.09685).

    y = W x + (alpha / rank) B A x,   A (rank, in) random, B (out, rank) zero at the start

`attach` puts it on layers of a model in place; `merged_weights` are the weights of the plain model with B A added in,
while training goes on; `merge` ends it and leaves the plain model, so that what is saved needs nothing of this. Of a
model of tunes `adapt` chooses the layers, and `plain` is the model to save.
"""

import warnings
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from symbolic.errors import UserError

if TYPE_CHECKING:
    from peft.tuners.lora.layer import LoraLayer
    from torch import Tensor, nn

    from symbolic.models import Model

ADAPTER = "default"  # peft's name of an only adapter
# Layers of the models of tunes: all matrices between embedding and head that are called as layers.
TUNE_LAYERS = (
    *("c_attn", "c_q", "c_k", "c_v", "c_fc", "c_proj"),  # GPT-2, and the modern one
    *("in_proj", "x_proj", "out_proj", "qkv_proj"),  # Mamba, Mamba-2, attention between them
)
TUNE_SCALE = 2.0  # alpha / rank


def adapt(model: "Model", rank: int) -> None:
    """Freeze a model of tunes and put LoRA of that rank on its matrices. Raises UserError for a family without them."""
    _as_library_layers(model)
    attach(model, TUNE_LAYERS, rank, TUNE_SCALE * rank)


def plain(model: "Model") -> "Model":
    """Return the model with its products added in, to be saved; the model itself where it carries none."""
    if not any(".lora_" in name for name, _ in model.named_parameters()):
        return model
    import torch

    from symbolic import models

    with torch.device("meta"):  # no numbers are drawn
        made = models.build(model.config, tied=model.tied)
    made.load_state_dict(merged_weights(model), assign=True)
    return made


def attach(model: "nn.Module", layers: Collection[str], rank: int, alpha: float, dropout: float = 0.0) -> int:
    """Freeze `model` and put LoRA on its linear layers whose last name is in `layers`; return how many.

    The factors are float32 whatever the type of the weights. Raises UserError where the model has none of the layers.
    """
    import peft
    from peft.tuners.tuners_utils import cast_adapter_dtype

    names = {name.rpartition(".")[2] for name, layer in model.named_modules() if _is_linear(layer)} & set(layers)
    if not names:
        raise UserError("no layer of this model is known to LoRA: train all its weights instead.")
    scale: Any = alpha  # any number, whatever peft's annotation says
    config = peft.LoraConfig(r=rank, lora_alpha=scale, lora_dropout=dropout, target_modules=sorted(names), bias="none")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set")  # it finds out itself which way W is stored
        peft.inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    cast_adapter_dtype(model, ADAPTER)
    return len(list(_layers(model)))


def merged_weights(model: "nn.Module") -> "dict[str, Tensor]":
    """Return the weights of the plain model, under its own names, with the products added; the model stays as it is."""
    adapted: dict[str, Any] = dict(_layers(model))
    merged = {
        name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items() if ".lora_" not in name
    }
    for name, layer in adapted.items():
        weight = merged[f"{name}.weight"]
        merged[f"{name}.weight"] = (weight + layer.get_delta_weight(ADAPTER).detach()).to(weight.dtype)
    return merged


def merge(model: "nn.Module") -> None:
    """Add the products into the weights and put the plain layers back in place."""
    for name, layer in list(_layers(model)):
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.get_base_layer())


def _as_library_layers(model: "nn.Module") -> None:
    """Put the library's Conv1D in the place of each of our projections that are stored (in, out), weights shared."""
    from transformers.pytorch_utils import Conv1D

    from symbolic.models.gpt2 import Projection

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Projection):
                n_in, n_out = layer.weight.shape
                made = Conv1D(n_out, n_in)
                made.weight, made.bias = layer.weight, layer.bias
                setattr(parent, name, made)


def _layers(model: "nn.Module") -> "Iterator[tuple[str, LoraLayer]]":
    """Return the layers that carry LoRA, by their place in the model."""
    from peft.tuners.lora.layer import LoraLayer

    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer))


def _is_linear(layer: "nn.Module") -> bool:
    """Return whether a layer is one that peft adapts: PyTorch's linear layer, or that of GPT-2 in transformers."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, nn.Linear | Conv1D)
