"""Small shapes of every family, with weights large enough that every part of a model shows in its output."""

import pytest
import torch

from symbolic import models
from symbolic.config import (
    GPT2Config,
    GPT2ModernConfig,
    LSTMConfig,
    Mamba2Config,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
)

SHAPES: dict[str, ModelConfig] = {
    "gpt2": GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=256, vocab_size=50),
    "mamba": MambaConfig(n_layer=2, d_model=24, d_state=16, vocab_size=50),
    "mamba-odd": MambaConfig(n_layer=1, d_model=20, d_state=5, d_conv=3, dt_rank=3, vocab_size=31),
    "mamba2": Mamba2Config(n_layer=2, d_model=32, d_state=16, head_dim=16, chunk_size=8, vocab_size=50),
    "mamba2-groups": Mamba2Config(
        n_layer=1, d_model=32, d_state=8, head_dim=8, n_groups=2, chunk_size=16, vocab_size=31
    ),
    "lstm": LSTMConfig(n_layer=2, d_model=24, vocab_size=50),
    "gpt2-modern": GPT2ModernConfig(n_layer=2, n_embd=32, n_head=4, n_positions=256, vocab_size=50),
    "mamba2-hybrid": Mamba2HybridConfig(
        n_layer=3, attention_every=2, d_model=32, n_head=4, d_state=16, head_dim=16, chunk_size=8, vocab_size=50
    ),
}


def excited(config: ModelConfig, **forms: str) -> "models.Model":
    """A model whose weights are several times the initial ones, biases and norms included."""
    torch.manual_seed(0)
    model = models.build(config, **forms)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith(("A_log", "dt_bias", "dt_proj.bias")):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


@pytest.fixture(params=list(SHAPES))
def config(request: pytest.FixtureRequest) -> ModelConfig:
    """Each of the shapes in turn."""
    return SHAPES[request.param]


@pytest.fixture
def make() -> "type[excited]":  # type: ignore[valid-type]
    """The function that makes a model for tests."""
    return excited


@pytest.fixture
def tokens(config: ModelConfig) -> torch.Tensor:
    """Three rows of 37 random tokens: not a multiple of any chunk."""
    return torch.randint(0, config.vocab_size, (3, 37), generator=torch.Generator().manual_seed(1))
