"""Small models of every family, ragged prompts, and a mask: what several tests of decoding draw with."""

from typing import Any

import numpy as np
import torch

from symbolic import models
from symbolic.config import GPT2Config, Mamba2Config, MambaConfig, ModelConfig
from symbolic.decode.engine import engine
from symbolic.decode.engine.engine import Generated
from symbolic.decode.engine.mask import Mask

EOS = 2
N_TOKENS = 90
SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64, vocab_size=96),
    "mamba": MambaConfig(n_layer=2, d_model=32, d_state=4, vocab_size=96),
    "mamba2": Mamba2Config(n_layer=2, d_model=32, d_state=8, head_dim=16, chunk_size=16, vocab_size=96),
}
RAGGED = [[1], [1, 5, 6, 7], [1, 40], [1], [1, 8, 9, 10, 11, 12, 13], [1, 5, 6], [1], [1]] * 5


def make_model(family: str) -> Any:
    """Fresh weights, four times larger and untied: as initialised, greedy decoding would repeat one token."""
    torch.manual_seed(3)
    model = models.build(SHAPES[family], tied=False).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(4)
    return model


def generate(model: Any, prompts: list[list[int]], **settings: Any) -> list[Generated]:
    return engine.generate(
        model, prompts, **{"max_new_tokens": 30, "n_tokens": N_TOKENS, "eos": EOS, "seed": 5, **settings}
    )


class EvenOnly(Mask):
    """A mask that allows even tokens, and the end once three tokens are drawn."""

    def __init__(self) -> None:
        self.rows: dict[int, list[int]] = {}
        self.starts: list[tuple[int, list[int]]] = []

    def start(self, row: int, prompt: list[int]) -> None:
        self.rows[row] = []
        self.starts.append((row, prompt))

    def advance(self, row: int, token: int) -> None:
        self.rows[row].append(token)

    def allowed(self, row: int) -> np.ndarray:
        mask = np.arange(96) % 2 == 0
        mask[EOS] = len(self.rows[row]) >= 3
        return mask
