"""Mamba-2: a state-space model with scalar decays, parameters named and shaped as `Mamba2ForCausalLM`'s.

Shapes   B rows, L positions, E = d_model channels of the residual stream, D = expand E inner channels, P = head_dim,
         H = D / P heads, N = d_state, G = n_groups, K = d_conv convolution width, V vocabulary.
Symbols  u residual stream; z gate; x inner signal; delta step size of a head; A, B, C, D the state space (see ssd.py).

    z, xBC, dt = W_in norm(u)
    x, B, C    = silu(conv(xBC))
    delta      = softplus(dt + bias)
    y          = scan(x, delta, A, B, C) + D x
    u          = u + W_out gated_norm(y, z)

Papers: Dao & Gu 2024, Transformers are SSMs (arXiv:2405.21060). Initial values follow the authors' package `mamba-ssm`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.config import Mamba2Config, Mamba2HybridConfig
from symbolic.models import ssd
from symbolic.models.layers import (
    CausalConvolution,
    RecurrentState,
    last_inputs,
    real_positions,
    wide,
)
from symbolic.models.mamba import step_bias
from symbolic.models.mamba_backbone import RecurrentModel, ResidualMixer
from symbolic.models.scan import NO_STEP, mamba_ssm_kernel, scan_path


class Mamba2(RecurrentModel["Mixer"]):
    """Tokens (B, L) -> scores of the next token (B, L, V)."""

    def __init__(self, config: Mamba2Config, *, scan: str = "auto", tied: bool = True) -> None:
        scan_path(scan, "mamba2", "cuda" if scan == "mamba_ssm" else "cpu")
        super().__init__(config, (Mixer(config) for _ in range(config.n_layer)), tied=tied)
        self.config, self.scan = config, scan
        _initialise(self)

    def path(self) -> str:
        """Return the form of the scan that runs where the weights are now."""
        path = scan_path(self.scan, "mamba2", self.lm_head.weight.device, self.lm_head.weight.dtype)
        return "chunked" if path == "native" and self.config.d_conv > ssd.MOST_TAPS else path

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> RecurrentState:
        """Return blank memory for `batch` rows; its size does not depend on `max_tokens`."""
        c, mixer = self.config, self.blocks[0].mixer
        window = torch.zeros(c.n_layer, batch, c.d_conv - 1, mixer.parts[1], dtype=dtype, device=device)
        kind = torch.float64 if dtype == torch.float64 else torch.float32
        shape = (c.n_layer, batch, mixer.n_heads, c.d_state, c.head_dim)
        return RecurrentState(window, torch.zeros(shape, dtype=kind, device=device))


class Mixer(ResidualMixer):
    """The equations at the head of this file."""

    fused_form = "native"

    def __init__(self, config: Mamba2Config | Mamba2HybridConfig) -> None:
        super().__init__()
        E, N, G, K = config.d_model, config.d_state, config.n_groups, config.d_conv
        D = config.expand * E
        self.n_heads, self.head_dim, self.chunk = D // config.head_dim, config.head_dim, config.chunk_size
        self.n_groups = G
        self.parts, self.maps = [D, D + 2 * G * N, self.n_heads], [D, G * N, G * N]
        self.dt_bias = nn.Parameter(torch.empty(self.n_heads))
        self.A_log = nn.Parameter(torch.empty(self.n_heads))
        self.D = nn.Parameter(torch.ones(self.n_heads))
        self.conv1d = CausalConvolution(self.parts[1], K)
        self.in_proj = nn.Linear(E, sum(self.parts), bias=False)
        self.norm = GatedRMSNorm(D, G)
        self.out_proj = nn.Linear(D, E, bias=False)

    def forward(self, u: Tensor, path: str) -> Tensor:
        if path == self.fused_form:
            return self.out_proj(self._native(self.in_proj(u)))
        z, xBC, dt = self.in_proj(u).split(self.parts, dim=-1)
        y, _ = self._scan(path, self._convolve(xBC), dt)
        return self.out_proj(self.norm(y, z))

    def prefill(self, u: Tensor, lengths: Tensor, path: str) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what `forward` does, and what a decoder must remember; padding leaves the state alone."""
        z, xBC, dt = self.in_proj(u).split(self.parts, dim=-1)
        dt = dt.masked_fill(~real_positions(lengths, u.shape[1])[..., None], NO_STEP)
        y, h = self._scan(path, self._convolve(xBC), dt)
        return self.out_proj(self.norm(y, z)), last_inputs(xBC, lengths, self.conv1d.memory), h

    def step(self, u: Tensor, window: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map one token a row, (B, D) -> (B, D), with the new window and state."""
        z, xBC, dt = self.in_proj(u).split(self.parts, dim=-1)  # (B, ...) each
        xBC, window = self.conv1d.step(window, xBC)
        x, B, C = self._heads_and_maps(F.silu(xBC))
        h = ssd.ssd_step(h, x, F.softplus(wide(dt) + wide(self.dt_bias)), self._A(), B)
        y = ssd.read_out(h, C) + wide(self.D)[:, None] * x
        return self.out_proj(self.norm(y.flatten(-2), z)), window, h

    def _native(self, projected: Tensor) -> Tensor:
        filter = self.conv1d.weight.squeeze(1).t()
        weights = (filter, self.conv1d.bias, self.dt_bias, self._A(), self.D, self.norm.weight)
        return ssd.native_mixer(projected, *weights, self.head_dim, self.n_groups, self.norm.eps)

    def _convolve(self, xBC: Tensor) -> Tensor:
        return F.silu(self.conv1d(xBC))

    def _scan(self, path: str, xBC: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (B, L, D) and h_L; step sizes, decays and states in float32 or wider, products in the type of dt."""
        x, B, C = self._heads_and_maps(xBC)
        if path == "mamba_ssm":
            y, h = _mamba_ssm(x.to(dt.dtype), dt, self._A(), B.to(dt.dtype), C.to(dt.dtype), self)
            return y.flatten(-2), h
        with torch.autocast(x.device.type, enabled=False):
            delta = F.softplus(wide(dt) + wide(self.dt_bias))
            if path == "recurrence":
                y, h = ssd.recurrence(x, delta, self._A(), B, C)
            else:
                y, h = ssd.chunked_scan(x, delta, self._A(), B, C, self.chunk, products=dt.dtype)
            return (y + wide(self.D)[:, None] * x).flatten(-2), h

    def _heads_and_maps(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x (..., H, P), B and C (..., G, N)."""
        x, B, C = xBC.split(self.maps, dim=-1)
        B, C = (t.unflatten(-1, (self.n_groups, -1)) for t in (B, C))
        return x.unflatten(-1, (self.n_heads, self.head_dim)), B, C

    def _A(self) -> Tensor:
        return -torch.exp(wide(self.A_log))


class GatedRMSNorm(nn.Module):
    """w v / sqrt(mean(v^2) + eps) with v = y silu(z), the mean over each group of channels."""

    def __init__(self, n_channels: int, n_groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.n_groups, self.eps = n_groups, eps

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        v = (wide(y) * F.silu(wide(z))).unflatten(-1, (self.n_groups, -1))
        v = v * torch.rsqrt(v.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * v.flatten(-2).to(self.weight.dtype)


def _mamba_ssm(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, mixer: Mixer) -> tuple[Tensor, Tensor]:
    y, h = mamba_ssm_kernel("mamba2")(
        x, dt, A, B, C, mixer.chunk, D=mixer.D.float(), dt_bias=mixer.dt_bias.float(), dt_softplus=True,
        return_final_states=True,
    )  # fmt: skip
    return y, h.transpose(-1, -2)  # the kernel keeps (B, H, P, N)


def _initialise(model: Mamba2) -> None:
    """Draw weights as mamba-ssm does: A uniform in [-16, -1], D = 1, delta log-uniform in [1e-3, 1e-1], residual
    projections scaled."""
    nn.init.normal_(model.backbone.embeddings.weight, std=0.02)
    if not model.tied:
        nn.init.normal_(model.lm_head.weight, std=0.02)
    for block in model.blocks:
        initialise_mixer(block.mixer, model.config.n_layer)


def initialise_mixer(mixer: Mixer, n_layer: int) -> None:
    """Draw decays, step sizes, and the projection to the residual stream of a model of `n_layer` layers."""
    with torch.no_grad():
        mixer.A_log.uniform_(1, 16).log_()
        mixer.dt_bias.copy_(step_bias(mixer.n_heads))
        mixer.out_proj.weight.div_(math.sqrt(n_layer))
