"""A GPT-2 as it is trained today: rotary positions, norms of queries and keys, squared ReLU, no biases.

Shapes   B rows, T positions, E = n_embd channels, H = n_head heads, F = E / H channels a head (even), V vocabulary,
         M positions a decoding cache holds.
Symbols  q, k, v queries, keys, values; x the residual stream; t the position of a token in its row.

    norm(x) = x / sqrt(mean(x^2) + eps)
    x_0     = norm(W_e token)
    x       = x + W_o attend(norm(rotate_t(W_q n)), norm(rotate_t(W_k n)), W_v n),    n = norm(x)
    x       = x + W_2 relu(W_1 norm(x))^2
    scores  = W_e norm(x)

    rotate_t turns the pair (u_i, u_{i + F/2}) by the angle t 10000^(-2i / F), so that q . k depends on the distance.

Of nanochat and modded-nanogpt these are the parts that later work kept: nothing here is a learned position, gain or
bias, projections to the residual stream begin at zero. The embedding is tied to the head, as in every model here. The
library has no class of it: a checkpoint is for this project alone (see stored/model_folder.py). The cache holds keys as
they are attended to, normed and rotated.

Papers: Su et al. 2021, RoFormer (arXiv:2104.09864); Henry et al. 2020, Query-Key Normalization (arXiv:2010.04245); So
et al. 2021, Primer (arXiv:2109.08668; squared ReLU); Zhang & Sennrich 2019, RMSNorm (arXiv:1910.07467).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.config import GPT2ModernConfig
from symbolic.models.attention import (
    attend,
    attend_cache,
    attention_path,
    cache_mask,
    causal_mask,
    explicit,
    heads,
)
from symbolic.models.gpt2 import GPT2State, check_length
from symbolic.models.layers import logits, tied_head, wide

ROTARY_BASE = 10_000.0
EPS = 1e-6


class GPT2Modern(nn.Module):
    """Tokens (B, T) -> scores of the next token (B, T, V)."""

    def __init__(self, config: GPT2ModernConfig, *, attention: str = "auto", tied: bool = True) -> None:
        super().__init__()
        attention_path(attention, "cpu", torch.float32)
        self.config, self.attention, self.tied = config, attention, tied
        self.transformer = ModernTransformer(config)
        self.lm_head = tied_head(self.transformer.wte, tied)
        _initialise(self)

    @property
    def blocks(self) -> "list[ModernBlock]":
        """The layers, for those who compile them one by one."""
        return cast("list[ModernBlock]", list(self.transformer.h))

    def forward(self, tokens: Tensor) -> Tensor:
        T = tokens.shape[1]
        check_length(T, self.config.n_positions)
        x = self.transformer.embed(tokens)
        path, turn = self.path(), rotation(torch.arange(T, device=x.device), self.head_dim)
        mask = causal_mask(T, x) if path == "explicit" else None
        for block in self.blocks:
            x = block(x, turn, path, mask)
        return logits(norm(x), self.lm_head)

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.config.n_embd // self.config.n_head

    def path(self) -> str:
        """Return the form of attention that `forward` runs where the weights are now."""
        weight, dropout = self.lm_head.weight, self.config.dropout if self.training else 0.0
        return attention_path(self.attention, weight.device, weight.dtype, dropout)

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> GPT2State:
        """Return an empty cache of `batch` rows, each for up to `max_tokens` tokens."""
        check_length(max_tokens, self.config.n_positions)
        shape = (self.config.n_layer, batch, self.config.n_head, max_tokens, self.head_dim)
        keys, values = (torch.zeros(shape, dtype=dtype, device=device) for _ in range(2))
        return GPT2State(keys, values, torch.zeros(batch, dtype=torch.long, device=device), 0)

    @torch.no_grad()
    def prefill(self, tokens: Tensor, lengths: Tensor, state: GPT2State) -> Tensor:
        """Read right-padded prompts into the cache from its start; scores after each row's last real token (B, V)."""
        T = tokens.shape[1]
        check_length(T, state.keys.shape[3])
        x = self.transformer.embed(tokens)
        turn = rotation(torch.arange(T, device=x.device), self.head_dim)
        mask = None if x.is_cuda else causal_mask(T, x)
        for layer, block in enumerate(self.blocks):
            x, state.keys[layer, :, :, :T], state.values[layer, :, :, :T] = block.prefill(x, turn, mask)
        state.lengths, state.filled = lengths.to(tokens.device).clone(), T
        return self._scores(x[torch.arange(len(x), device=x.device), state.lengths - 1])

    @torch.no_grad()
    def step(self, tokens: Tensor, state: GPT2State) -> Tensor:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        check_length(state.filled + 1, state.keys.shape[3])
        state.filled += 1
        x = self.transformer.embed(tokens)
        turn = rotation(state.lengths, self.head_dim)
        mask = cache_mask(state.lengths, state.filled, x.dtype)
        for layer, block in enumerate(self.blocks):
            x = block.step(x, turn, mask, state, layer)
        state.lengths = state.lengths + 1
        return self._scores(x)

    def _scores(self, x: Tensor) -> Tensor:
        return logits(norm(x), self.lm_head)


class ModernTransformer(nn.Module):
    """Everything but the head."""

    def __init__(self, config: GPT2ModernConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(ModernBlock(config) for _ in range(config.n_layer))
        self.dropout = config.dropout

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the residual stream's first value."""
        return F.dropout(norm(self.wte(tokens)), self.dropout, self.training)


class ModernBlock(nn.Module):
    """x <- x + attention(norm(x)); x <- x + mlp(norm(x))."""

    def __init__(self, config: GPT2ModernConfig) -> None:
        super().__init__()
        self.attn = RotaryAttention(config)
        self.mlp = SquaredReLU(config)

    def forward(self, x: Tensor, turn: Tensor, path: str, mask: Tensor | None) -> Tensor:
        x = x + self.attn(norm(x), turn, path, mask)
        return x + self.mlp(norm(x))

    def prefill(self, x: Tensor, turn: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mask (T, T), added to the scores; None for PyTorch's operator, which holds no T x T scores."""
        q, k, v = heads(self.attn.project(norm(x), turn), self.attn.n_head)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True) if mask is None else explicit(q, k, v, mask)
        x = x + self.attn.c_proj(y.transpose(1, 2).flatten(2))
        return x + self.mlp(norm(x)), k, v

    def step(self, x: Tensor, turn: Tensor, mask: Tensor, state: GPT2State, layer: int) -> Tensor:
        """Map one token a row, (B, D) -> (B, D)."""
        qkv = self.attn.project(norm(x), turn)
        q, k, v = (part.unflatten(-1, (self.attn.n_head, -1)) for part in qkv.chunk(3, dim=-1))  # (B, H, F)
        y = attend_cache(q, k, v, state.keys[layer], state.values[layer], state.lengths, mask)
        x = x + self.attn.c_proj(y)
        return x + self.mlp(norm(x))


class RotaryAttention(nn.Module):
    """Attention over queries and keys that are rotated by their positions and normed: see the head of this file."""

    def __init__(self, config: GPT2ModernConfig) -> None:
        super().__init__()
        E = config.n_embd
        self.c_q, self.c_k, self.c_v, self.c_proj = (nn.Linear(E, E, bias=False) for _ in range(4))
        self.n_head, self.dropout = config.n_head, config.dropout

    def forward(self, x: Tensor, turn: Tensor, path: str, mask: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        y = self.c_proj(attend(path, self.project(x, turn), self.n_head, mask, dropout))
        return F.dropout(y, self.dropout, self.training)

    def project(self, x: Tensor, turn: Tensor) -> Tensor:
        """Return queries, keys and values side by side (..., 3 E), the first two rotated and normed, as `attend` takes
        them; turn (..., F) as `rotation` gives it for the positions of x."""
        q, k, v = self.c_q(x), self.c_k(x), self.c_v(x)
        turned = (norm(rotate(part.unflatten(-1, (self.n_head, -1)), turn)).flatten(-2).to(v.dtype) for part in (q, k))
        return torch.cat([*turned, v], dim=-1)


class SquaredReLU(nn.Module):
    """W_2 relu(W_1 x)^2."""

    def __init__(self, config: GPT2ModernConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)
        self.dropout = config.dropout

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.c_proj(F.relu(self.c_fc(x)).square()), self.dropout, self.training)


def norm(x: Tensor) -> Tensor:
    """Return x over its root mean square, in float32 at least, in the type of x."""
    values = wide(x)
    return (values * torch.rsqrt(values.square().mean(-1, keepdim=True) + EPS)).to(x.dtype)


def rotation(positions: Tensor, head_dim: int) -> Tensor:
    """Return cosines and, after them, sines (..., F) of the angles by which a head's pairs at `positions` (...) are
    turned."""
    rates = ROTARY_BASE ** (-torch.arange(0, head_dim, 2, dtype=torch.float64, device=positions.device) / head_dim)
    angles = positions[..., None].double() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the pairs of heads x (..., H, F) by `turn` (..., F); in float32 at least."""
    one, other = wide(x).chunk(2, dim=-1)
    cos, sin = turn.to(one.dtype)[..., None, :].chunk(2, dim=-1)
    return torch.cat([one * cos - other * sin, one * sin + other * cos], dim=-1)


def _initialise(model: GPT2Modern) -> None:
    """Embedding N(0, 0.02), so that the tied head's first scores are small; matrices uniform of deviation 1/sqrt(E), of
    W_1 0.4 times that; projections to the residual stream zero."""
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.zeros_(parameter)
        elif name.endswith(("wte.weight", "lm_head.weight")):
            nn.init.normal_(parameter, std=0.02)
        else:
            bound = (3 / model.config.n_embd) ** 0.5 * (0.4 if name.endswith("c_fc.weight") else 1.0)
            nn.init.uniform_(parameter, -bound, bound)
