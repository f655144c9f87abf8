"""Causal language models of `transformers`: a folder with config.json and model.safetensors, or a hub name."""

import re
from pathlib import Path
from typing import Any

from audio_bridge.musicgen import hub
from audio_bridge.musicgen.musicgen_model import quiet
from symbolic.errors import UserError

PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")


def load(target: str) -> tuple[Any, Any]:
    """Load tokenizer and model in float32. Raises UserError where there is none, or none in safetensors."""
    import torch
    import transformers

    try:
        folder = _folder(target)
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    except Exception as error:  # the hub's client and the library let the faults of many others through
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"no language model {target!r}: {first.rstrip('.')}. Give a run, a folder with config.json, a tokenizer "
            "and model.safetensors, or a hub name and a network."
        ) from error
    return tokenizer, model


def _folder(target: str) -> Path:
    if Path(target).is_dir():
        return Path(target)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", target):
        raise UserError("there is no such folder")
    return hub.folder(target, PATTERNS)
