"""The models: GPT-2, Mamba, Mamba-2 and others, by configuration; they see integers, never a tokenizer.

    model = build(config.model)                       # config.model: GPT2Config | MambaConfig | ...
    logits = model(tokens)                            # (B, T) int64 -> (B, T, V)

    state = model.new_state(batch, max_tokens, dtype, device)
    logits = model.prefill(prompts, lengths, state)   # right-padded (B, T), (B) -> (B, V)
    logits = model.step(tokens, state)                # (B) -> (B, V)

    save(model, folder); model, config = load(folder, "cpu", torch.float32)

PyTorch is imported by the functions, not by this file: `sizes` and `costs` do without it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from symbolic.config import ModelConfig
from symbolic.models.architectures import build, n_parameters, paths

if TYPE_CHECKING:
    import torch

    from symbolic.models.architectures import Model as Model
    from symbolic.models.architectures import State as State

__all__ = ["build", "load", "n_parameters", "paths", "save"]


def load(
    folder: Path | str,
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
    *,
    attention: str = "auto",
    scan: str = "auto",
) -> tuple["Model", ModelConfig]:
    """Return a model and its shape from a Hugging Face directory, or one in its form, in evaluation mode."""
    from symbolic.models.stored import pretrained

    return pretrained.load(folder, device, dtype, attention=attention, scan=scan)


def save(model: "Model", folder: Path | str, metadata: dict[str, str] | None = None) -> None:
    """Write config.json and model.safetensors, each whole, as the library's class reads them where it has one."""
    from symbolic.models.stored import pretrained

    pretrained.save(model, folder, metadata)
