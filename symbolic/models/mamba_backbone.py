"""What Mamba and Mamba-2 share: embedding, residual layers around a mixer, last norm and head; prefill and step.

A family brings its mixer (the equations at the head of mamba.py and mamba2.py), the form of scan that runs, and a blank
memory. Parameters are named as in `MambaForCausalLM` and `Mamba2ForCausalLM`.

Shapes   B rows, L positions, E = d_model channels of the residual stream, V vocabulary.
"""

from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from symbolic.config import Mamba2Config, Mamba2HybridConfig, MambaConfig
from symbolic.models.layers import RecurrentState, RMSNorm, logits, tied_head, wide
from symbolic.models.pointwise import add_norm

Config = MambaConfig | Mamba2Config | Mamba2HybridConfig


class ResidualMixer(nn.Module):
    """What a layer adds to the residual stream, u (B, L, E) -> (B, L, E), in one of the forms of its scan."""

    fused_form: ClassVar[str]  # the form with which sums and norms, too, run in one native pass

    def prefill(self, u: Tensor, lengths: Tensor, path: str) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what `forward` does, and what a decoder must remember (window, recurrence), padding left out."""
        raise NotImplementedError

    def step(self, u: Tensor, window: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute one position: u (B, E), and the memory -> the same, and the next memory."""
        raise NotImplementedError


M = TypeVar("M", bound=ResidualMixer)


class RecurrentModel(nn.Module, Generic[M]):
    """Tokens (B, L) -> scores of the next token (B, L, V)."""

    def __init__(self, config: MambaConfig | Mamba2Config, mixers: Iterable[M], *, tied: bool) -> None:
        super().__init__()
        self.tied = tied
        self.backbone = Backbone(config, (Block(config, mixer) for mixer in mixers))
        self.lm_head = tied_head(self.backbone.embeddings, tied)

    @property
    def blocks(self) -> "list[Block[M]]":
        """The layers, for those who compile them one by one."""
        return cast("list[Block[M]]", list(self.backbone.layers))

    def path(self) -> str:
        """Return the form of the scan that runs where the weights are now."""
        raise NotImplementedError

    def training_path(self) -> str:
        """Return the form of the mixers in `forward`."""
        return self.path()

    def forward(self, tokens: Tensor) -> Tensor:
        path, u, y = self.training_path(), self.backbone.dropout(wide(self.backbone.embeddings(tokens))), None
        for block in self.blocks:
            u, y = block(u, y, path)
        _, n = add_norm(u, y, self.backbone.norm_f, path == self.blocks[-1].mixer.fused_form)
        return logits(n, self.lm_head)

    @torch.no_grad()
    def prefill(self, tokens: Tensor, lengths: Tensor, state: RecurrentState) -> Tensor:
        """Read right-padded prompts from a blank memory; scores after each row's last real token (B, V)."""
        path, u = self.path(), wide(self.backbone.embeddings(tokens))
        lengths = lengths.to(tokens.device)
        for layer, block in enumerate(self.blocks):
            u, state.window[layer], state.recurrence[layer] = block.prefill(u, lengths, path)
        return self._scores(u[torch.arange(len(u), device=u.device), lengths - 1])

    @torch.no_grad()
    def step(self, tokens: Tensor, state: RecurrentState) -> Tensor:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        u = wide(self.backbone.embeddings(tokens))
        for layer, block in enumerate(self.blocks):
            u, state.window[layer], state.recurrence[layer] = block.step(
                u, state.window[layer], state.recurrence[layer]
            )
        return self._scores(u)

    def _scores(self, u: Tensor) -> Tensor:
        return logits(self.backbone.norm_f(u), self.lm_head)


class Backbone(nn.Module):
    """Everything but the head, under the library's name."""

    def __init__(self, config: Config, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(layers)
        self.norm_f = RMSNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)


class Block(nn.Module, Generic[M]):
    """u <- u + mixer(norm(u)); the residual stream u is float32 or wider. `forward` leaves the sum to the next."""

    def __init__(self, config: Config, mixer: M) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model)
        self.mixer = mixer
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, u: Tensor, y: Tensor | None, path: str) -> tuple[Tensor, Tensor]:
        """Map the residual stream u, and what the layer before adds to it, to the same for the next layer."""
        u, n = add_norm(u, y, self.norm, path == self.mixer.fused_form)
        return u, self.dropout(self.mixer(n, path))

    def prefill(self, u: Tensor, lengths: Tensor, path: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return residual stream (B, T, D) -> that for the next layer, with the window and state after each row's
        length."""
        y, window, h = self.mixer.prefill(self.norm(u), lengths, path)
        return u + y, window, h

    def step(self, u: Tensor, window: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map the residual stream of one token a row, (B, D) -> (B, D), with the new window and state."""
        y, window, h = self.mixer.step(self.norm(u), window, h)
        return u + y, window, h
