"""The frame of both Mambas around a mixer of one line: what reads a row at once, in part, or token by token agrees."""

import pytest
import torch
from torch import Tensor

from symbolic.config import MambaConfig
from symbolic.models.layers import RecurrentState, real_positions
from symbolic.models.mamba_backbone import RecurrentModel, ResidualMixer

N_LAYERS, N_CHANNELS = 2, 8
CONFIG = MambaConfig(n_layer=N_LAYERS, d_model=N_CHANNELS, vocab_size=16)


class RunningSum(ResidualMixer):
    """y_t = x_1 + ... + x_t; the memory is the sum, the window holds nothing."""

    fused_form = "none"

    def forward(self, u: Tensor, path: str) -> Tensor:
        return u.cumsum(1)

    def prefill(self, u: Tensor, lengths: Tensor, path: str) -> tuple[Tensor, Tensor, Tensor]:
        real = u * real_positions(lengths, u.shape[1])[..., None]
        return real.cumsum(1), u[:, :0], real.sum(1)

    def step(self, u: Tensor, window: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return h + u, window, h + u


class Summing(RecurrentModel[RunningSum]):
    def __init__(self, *, tied: bool = True) -> None:
        super().__init__(CONFIG, (RunningSum() for _ in range(N_LAYERS)), tied=tied)

    def path(self) -> str:
        return "recurrence"

    def new_state(self, batch: int) -> RecurrentState:
        window = torch.zeros(N_LAYERS, batch, 0, N_CHANNELS)
        return RecurrentState(window, torch.zeros(N_LAYERS, batch, N_CHANNELS))


def test_a_prompt_and_steps_after_it_score_as_the_whole_row() -> None:
    model, tokens, lengths = Summing(), torch.randint(0, 16, (3, 9)), torch.tensor([9, 4, 1])
    state, whole = model.new_state(3), model(tokens)
    after = model.prefill(tokens, lengths, state)
    torch.testing.assert_close(after, whole[torch.arange(3), lengths - 1])
    further = torch.randint(0, 16, (3,))
    stepped = model.step(further, state)
    for row, length in enumerate(lengths.tolist()):
        longer = torch.cat([tokens[row, :length], further[row : row + 1]])[None]
        torch.testing.assert_close(stepped[row], model(longer)[0, -1])


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_is_the_embedding_where_they_are_tied(tied: bool) -> None:
    model = Summing(tied=tied)
    assert (model.lm_head.weight is model.backbone.embeddings.weight) == tied
    assert len(model.blocks) == N_LAYERS and all(isinstance(block.mixer, RunningSum) for block in model.blocks)
