"""GPT-2: a causal transformer with learned positions, parameters named and shaped as `GPT2LMHeadModel`'s.

Shapes   B rows, T positions, E = n_embd channels, H = n_head heads, F = E / H channels a head, V vocabulary,
         M positions a decoding cache holds.
Symbols  q, k, v queries, keys, values; x the residual stream.
Weights of the projections are (in, out), as the paper's code kept them, not (out, in).

Papers: Radford et al. 2019, Language Models are Unsupervised Multitask Learners; Vaswani et al. 2017, Attention Is
All You Need (arXiv:1706.03762); Hendrycks & Gimpel 2016, Gaussian Error Linear Units (arXiv:1606.08415).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.config import GPT2Config
from symbolic.errors import UserError
from symbolic.models.attention import (
    attend,
    attend_cache,
    attention_path,
    cache_mask,
    causal_mask,
    explicit,
    heads,
)
from symbolic.models.layers import logits, tied_head
from symbolic.models.pointwise import add_norm, gelu


class GPT2(nn.Module):
    """Tokens (B, T) -> scores of the next token (B, T, V)."""

    def __init__(self, config: GPT2Config, *, attention: str = "auto", tied: bool = True) -> None:
        super().__init__()
        attention_path(attention, "cpu", torch.float32)
        self.config, self.attention, self.tied = config, attention, tied
        self.transformer = Transformer(config)
        self.lm_head = tied_head(self.transformer.wte, tied)
        _initialise(self)

    @property
    def blocks(self) -> "list[Block]":
        """The layers, for those who compile them one by one."""
        return cast("list[Block]", list(self.transformer.h))

    def forward(self, tokens: Tensor) -> Tensor:
        check_length(tokens.shape[1], self.config.n_positions)
        x, y = self.transformer.embed(tokens, torch.arange(tokens.shape[1], device=tokens.device)), None
        path = self.path()
        mask = causal_mask(tokens.shape[1], x) if path == "explicit" else None
        for block in self.blocks:
            x, y = block(x, y, path, mask)
        _, n = add_norm(x, y, self.transformer.ln_f, path == "native")
        return logits(n, self.lm_head)

    def path(self) -> str:
        """Return the form of attention that `forward` runs where the weights are now."""
        weight, dropout = self.lm_head.weight, self.config.dropout if self.training else 0.0
        return attention_path(self.attention, weight.device, weight.dtype, dropout)

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> "GPT2State":
        """Return an empty cache of `batch` rows, each for up to `max_tokens` tokens."""
        check_length(max_tokens, self.config.n_positions)
        c = self.config
        shape = (c.n_layer, batch, c.n_head, max_tokens, c.n_embd // c.n_head)
        keys, values = (torch.zeros(shape, dtype=dtype, device=device) for _ in range(2))
        return GPT2State(keys, values, torch.zeros(batch, dtype=torch.long, device=device), 0)

    @torch.no_grad()
    def prefill(self, tokens: Tensor, lengths: Tensor, state: "GPT2State") -> Tensor:
        """Read right-padded prompts into the cache from its start; scores after each row's last real token (B, V)."""
        T = tokens.shape[1]
        check_length(T, state.keys.shape[3])
        x = self.transformer.embed(tokens, torch.arange(T, device=tokens.device))
        mask = None if x.is_cuda else causal_mask(T, x)
        for layer, block in enumerate(self.blocks):
            x, k, v = block.prefill(x, mask)
            state.keys[layer, :, :, :T], state.values[layer, :, :, :T] = k, v
        state.lengths, state.filled = lengths.to(tokens.device).clone(), T
        last = x[torch.arange(len(x), device=x.device), state.lengths - 1]
        return self._scores(last)

    @torch.no_grad()
    def step(self, tokens: Tensor, state: "GPT2State") -> Tensor:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        check_length(state.filled + 1, state.keys.shape[3])
        state.filled += 1
        x = self.transformer.embed(tokens, state.lengths)
        mask = cache_mask(state.lengths, state.filled, x.dtype)
        for layer, block in enumerate(self.blocks):
            x = block.step(x, mask, state, layer)
        state.lengths = state.lengths + 1
        return self._scores(x)

    def _scores(self, x: Tensor) -> Tensor:
        return logits(self.transformer.ln_f(x), self.lm_head)


@dataclass
class GPT2State:
    """Keys and values (layers, B, H, M, F), tokens held by each row (B), and a bound on them known to the host."""

    keys: Tensor
    values: Tensor
    lengths: Tensor
    filled: int

    def insert(self, rows: Tensor, other: "GPT2State") -> None:
        """Replace the given rows by the rows of `other`, in order."""
        n = other.filled
        check_length(n, self.keys.shape[3])
        self.keys[:, rows, :, :n] = other.keys[..., :n, :].to(self.keys.dtype)
        self.values[:, rows, :, :n] = other.values[..., :n, :].to(self.values.dtype)
        self.lengths[rows] = other.lengths
        self.filled = int(self.lengths.max())

    def reset(self, rows: Tensor) -> None:
        """Make the given rows forget everything."""
        self.lengths[rows] = 0
        self.filled = int(self.lengths.max())


class Transformer(nn.Module):
    """Everything but the head, under the library's name."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.dropout = config.dropout

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return the residual stream's first value: token plus position."""
        return F.dropout(self.wte(tokens) + self.wpe(positions), self.dropout, self.training)


class Block(nn.Module):
    """x <- x + attention(norm(x)); x <- x + mlp(norm(x)). `forward` leaves the last sum, with its norm, to the next."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=1e-5)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, y: Tensor | None, path: str, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map the residual stream x, and what the layer before adds to it, to the same for the next layer."""
        native = path == "native"
        x, n = add_norm(x, y, self.ln_1, native)
        x, n = add_norm(x, self.attn(n, path, mask), self.ln_2, native)
        return x, self.mlp(n, native)

    def prefill(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mask (T, T), added to the scores; None for PyTorch's operator, which holds no T x T scores."""
        q, k, v = heads(self.attn.c_attn(self.ln_1(x)), self.attn.n_head)
        if mask is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = explicit(q, k, v, mask)
        x = x + self.attn.c_proj(y.transpose(1, 2).flatten(2))
        return x + self.mlp(self.ln_2(x)), k, v

    def step(self, x: Tensor, mask: Tensor, state: GPT2State, layer: int) -> Tensor:
        """Map one token a row, (B, D) -> (B, D); its key and value go into the state."""
        x = x + self.attn.step(self.ln_1(x), mask, state, layer)
        return x + self.mlp(self.ln_2(x))


class Attention(nn.Module):
    """W_o attend(W_qkv x): see attention.py."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_attn = Projection(config.n_embd, 3 * config.n_embd)
        self.c_proj = Projection(config.n_embd, config.n_embd)
        self.n_head, self.dropout = config.n_head, config.dropout

    def forward(self, x: Tensor, path: str, mask: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        y = self.c_proj(attend(path, self.c_attn(x), self.n_head, mask, dropout))
        return F.dropout(y, self.dropout, self.training)

    def step(self, x: Tensor, mask: Tensor, state: GPT2State, layer: int) -> Tensor:
        """Attend from one token a row, (B, D) -> (B, D), to the cache of a layer."""
        q, k, v = (part.unflatten(-1, (self.n_head, -1)) for part in self.c_attn(x).chunk(3, dim=-1))  # (B, H, F)
        return self.c_proj(attend_cache(q, k, v, state.keys[layer], state.values[layer], state.lengths, mask))


class MLP(nn.Module):
    """W2 gelu(W1 x + b1) + b2, with the tanh form of gelu ("gelu_new")."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = Projection(config.n_embd, 4 * config.n_embd)
        self.c_proj = Projection(4 * config.n_embd, config.n_embd)
        self.dropout = config.dropout

    def forward(self, x: Tensor, native: bool = False) -> Tensor:
        return F.dropout(self.c_proj(gelu(self.c_fc(x), native)), self.dropout, self.training)


class Projection(nn.Module):
    """x W + b with W (in, out): the library's `Conv1D`."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)


def check_length(n: int, limit: int) -> None:
    """Raise UserError for more tokens than there is room for."""
    if n > limit:
        raise UserError(f"{n} tokens, but there is room for {limit}: shorten the sequence or raise n_positions.")


def _initialise(model: GPT2) -> None:
    """Draw weights from N(0, 0.02); the projections that write to the residual stream are scaled by 1/sqrt(2
    layers)."""
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * model.config.n_layer))
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)
