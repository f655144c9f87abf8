"""Mamba-2 with an attention layer here and there: a state of fixed size, and a memory that can copy word for word.

Shapes   B rows, T positions, E = d_model channels of the residual stream, H = n_head heads of attention, F = E / H
         channels of one, V vocabulary, M positions a decoding cache holds.

Of every `attention_every` layers the one in the middle is attention without positions, which the recurrent layers
before it supply; all others are those of mamba2.py, and so are embedding, norms and head:

    u = u + W_o attend(W_qkv norm(u))

The state of decoding holds the window and recurrence of each Mamba-2 layer and the keys and values of each attention
layer, so it grows with the tune, by one layer in `attention_every` of what a transformer keeps. The library has no
class of it: a checkpoint is for this project alone (see stored/model_folder.py).

Papers: Dao & Gu 2024, Transformers are SSMs (arXiv:2405.21060); Waleffe et al. 2024, An Empirical Study
of Mamba-based Language Models (arXiv:2406.07887).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.config import Mamba2HybridConfig
from symbolic.models import ssd
from symbolic.models.attention import (
    attend,
    attend_cache,
    attention_path,
    cache_mask,
    causal_mask,
    explicit,
    heads,
)
from symbolic.models.gpt2 import check_length
from symbolic.models.layers import RMSNorm, logits, tied_head, wide
from symbolic.models.mamba2 import Mixer, initialise_mixer
from symbolic.models.mamba_backbone import Backbone, Block
from symbolic.models.pointwise import add_norm
from symbolic.models.scan import scan_path


class Mamba2Hybrid(nn.Module):
    """Tokens (B, T) -> scores of the next token (B, T, V)."""

    def __init__(
        self, config: Mamba2HybridConfig, *, scan: str = "auto", attention: str = "auto", tied: bool = True
    ) -> None:
        super().__init__()
        scan_path(scan, "mamba2", "cuda" if scan == "mamba_ssm" else "cpu")
        attention_path(attention, "cpu", torch.float32)
        self.config, self.scan, self.attention, self.tied = config, scan, attention, tied
        layers = (
            AttentionBlock(config) if layer in config.attention_layers else Block(config, Mixer(config))
            for layer in range(config.n_layer)
        )
        self.backbone = Backbone(config, layers)
        self.lm_head = tied_head(self.backbone.embeddings, tied)
        _initialise(self)

    @property
    def blocks(self) -> "list[Block[Mixer] | AttentionBlock]":
        """The layers, for those who compile them one by one."""
        return cast("list[Block[Mixer] | AttentionBlock]", list(self.backbone.layers))

    def forward(self, tokens: Tensor) -> Tensor:
        u, y = self.backbone.dropout(wide(self.backbone.embeddings(tokens))), None
        path, form = self.path(), self.attention_path()
        mask = causal_mask(tokens.shape[1], u) if form == "explicit" else None
        for block in self.blocks:
            if isinstance(block, AttentionBlock):
                u, y = block(u, y, form, mask, path == "native")
            else:
                u, y = block(u, y, path)
        _, n = add_norm(u, y, self.backbone.norm_f, path == "native")
        return logits(n, self.lm_head)

    def path(self) -> str:
        """Return the form of the scan that runs where the weights are now."""
        path = scan_path(self.scan, "mamba2", self.lm_head.weight.device, self.lm_head.weight.dtype)
        return "chunked" if path == "native" and self.config.d_conv > ssd.MOST_TAPS else path

    def attention_path(self) -> str:
        """Return the form of attention that runs where the weights are now."""
        return attention_path(self.attention, self.lm_head.weight.device, self.lm_head.weight.dtype)

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> "HybridState":
        """Return blank memory for `batch` rows, each for up to `max_tokens` tokens."""
        c, n_attention = self.config, len(self.config.attention_layers)
        D, n_mamba = c.expand * c.d_model, c.n_layer - n_attention
        kind = torch.float64 if dtype == torch.float64 else torch.float32
        window = (n_mamba, batch, c.d_conv - 1, D + 2 * c.n_groups * c.d_state)
        recurrence = (n_mamba, batch, D // c.head_dim, c.d_state, c.head_dim)
        cache = (n_attention, batch, c.n_head, max_tokens, c.d_model // c.n_head)
        return HybridState(
            window=torch.zeros(window, dtype=dtype, device=device),
            recurrence=torch.zeros(recurrence, dtype=kind, device=device),
            keys=torch.zeros(cache, dtype=dtype, device=device),
            values=torch.zeros(cache, dtype=dtype, device=device),
            lengths=torch.zeros(batch, dtype=torch.long, device=device),
            filled=0,
        )

    @torch.no_grad()
    def prefill(self, tokens: Tensor, lengths: Tensor, state: "HybridState") -> Tensor:
        """Read right-padded prompts from a blank memory; scores after each row's last real token (B, V)."""
        T, path = tokens.shape[1], self.path()
        check_length(T, state.keys.shape[3])
        u, lengths = wide(self.backbone.embeddings(tokens)), lengths.to(tokens.device)
        mask = None if u.is_cuda else causal_mask(T, u)
        for block, place in zip(self.blocks, self._places(), strict=True):
            if isinstance(block, AttentionBlock):
                u, state.keys[place, :, :, :T], state.values[place, :, :, :T] = block.prefill(u, mask)
            else:
                u, state.window[place], state.recurrence[place] = block.prefill(u, lengths, path)
        state.lengths, state.filled = lengths.clone(), T
        return self._scores(u[torch.arange(len(u), device=u.device), lengths - 1])

    @torch.no_grad()
    def step(self, tokens: Tensor, state: "HybridState") -> Tensor:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        check_length(state.filled + 1, state.keys.shape[3])
        state.filled += 1
        u = wide(self.backbone.embeddings(tokens))
        mask = cache_mask(state.lengths, state.filled, u.dtype)
        for block, place in zip(self.blocks, self._places(), strict=True):
            if isinstance(block, AttentionBlock):
                u = block.step(u, mask, state.keys[place], state.values[place], state.lengths)
            else:
                u, state.window[place], state.recurrence[place] = block.step(
                    u, state.window[place], state.recurrence[place]
                )
        state.lengths = state.lengths + 1
        return self._scores(u)

    def _places(self) -> list[int]:
        """Return of each layer its place among those of its kind, in the state."""
        seen = {True: 0, False: 0}
        places = []
        for block in self.blocks:
            is_attention = isinstance(block, AttentionBlock)
            places.append(seen[is_attention])
            seen[is_attention] += 1
        return places

    def _scores(self, u: Tensor) -> Tensor:
        return logits(self.backbone.norm_f(u), self.lm_head)


@dataclass
class HybridState:
    """Windows and recurrences of the Mamba-2 layers (as `RecurrentState`), keys and values of the attention layers
    (layers, B, H, M, F), tokens held by each row (B), and a bound on them known to the host."""

    window: Tensor
    recurrence: Tensor
    keys: Tensor
    values: Tensor
    lengths: Tensor
    filled: int

    def insert(self, rows: Tensor, other: "HybridState") -> None:
        """Replace the given rows by the rows of `other`, in order."""
        n = other.filled
        check_length(n, self.keys.shape[3])
        self.window[:, rows] = other.window.to(self.window.dtype)
        self.recurrence[:, rows] = other.recurrence.to(self.recurrence.dtype)
        self.keys[:, rows, :, :n] = other.keys[..., :n, :].to(self.keys.dtype)
        self.values[:, rows, :, :n] = other.values[..., :n, :].to(self.values.dtype)
        self.lengths[rows] = other.lengths
        self.filled = int(self.lengths.max())

    def reset(self, rows: Tensor) -> None:
        """Make the given rows forget everything."""
        self.window[:, rows] = 0
        self.recurrence[:, rows] = 0
        self.lengths[rows] = 0
        self.filled = int(self.lengths.max())


class AttentionBlock(nn.Module):
    """u + W_o attend(W_qkv norm(u)), no positions."""

    def __init__(self, config: Mamba2HybridConfig) -> None:
        super().__init__()
        E = config.d_model
        self.norm = RMSNorm(E)
        self.qkv_proj = nn.Linear(E, 3 * E, bias=False)
        self.out_proj = nn.Linear(E, E, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.n_head = config.n_head

    def forward(
        self, u: Tensor, y: Tensor | None, path: str, mask: Tensor | None, native_norm: bool
    ) -> tuple[Tensor, Tensor]:
        """Map the residual stream u, and what the layer before adds to it, to the same for the next layer."""
        u, n = add_norm(u, y, self.norm, native_norm)
        return u, self.dropout(self.out_proj(attend(path, self.qkv_proj(n), self.n_head, mask)))

    def prefill(self, u: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mask (T, T), added to the scores; None for PyTorch's operator, which holds no T x T scores."""
        q, k, v = heads(self.qkv_proj(self.norm(u)), self.n_head)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True) if mask is None else explicit(q, k, v, mask)
        return u + self.out_proj(y.transpose(1, 2).flatten(2)), k, v

    def step(self, u: Tensor, mask: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
        """Map one token a row, (B, D) -> (B, D)."""
        qkv = self.qkv_proj(self.norm(u))
        q, k, v = (part.unflatten(-1, (self.n_head, -1)) for part in qkv.chunk(3, dim=-1))  # (B, H, F)
        return u + self.out_proj(attend_cache(q, k, v, keys, values, lengths, mask))


def _initialise(model: Mamba2Hybrid) -> None:
    """As Mamba-2; W_qkv N(0, 0.02) and W_o scaled as all projections to the residual stream."""
    nn.init.normal_(model.backbone.embeddings.weight, std=0.02)
    if not model.tied:
        nn.init.normal_(model.lm_head.weight, std=0.02)
    for block in model.blocks:
        if isinstance(block, AttentionBlock):
            nn.init.normal_(block.qkv_proj.weight, std=0.02)
            nn.init.normal_(block.out_proj.weight, std=0.02 / math.sqrt(model.config.n_layer))
        else:
            initialise_mixer(block.mixer, model.config.n_layer)
