"""Mamba (Mamba-1): a selective state-space model, parameters named and shaped as `MambaForCausalLM`'s.

Shapes   B rows, L positions, E = d_model channels of the residual stream, D = expand E inner channels, N = d_state
         state variables a channel, R = dt_rank, K = d_conv convolution width, V vocabulary.
Symbols  u residual stream; x inner signal; z gate; delta step size; A, B, C, D the state space (see scan.py).

    x, z     = W_in norm(u)
    x        = silu(conv(x))
    dt, B, C = W_x x;   dt = W_dt dt
    y        = scan(x, dt, A, B, C, D)
    u        = u + W_out (y silu(z))

Papers: Gu & Dao 2023, Mamba: Linear-Time Sequence Modeling with Selective State Spaces (arXiv:2312.00752).
Initial values follow the authors' package `mamba-ssm`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbolic.config import MambaConfig
from symbolic.models.layers import (
    CausalConvolution,
    RecurrentState,
    last_inputs,
    real_positions,
    wide,
)
from symbolic.models.mamba_backbone import RecurrentModel, ResidualMixer
from symbolic.models.pointwise import MOST_TAPS, convolve
from symbolic.models.scan import NO_STEP, native_scan, scan_path, scan_step, selective_scan


class Mamba(RecurrentModel["Mixer"]):
    """Tokens (B, L) -> scores of the next token (B, L, V)."""

    def __init__(self, config: MambaConfig, *, scan: str = "auto", tied: bool = True) -> None:
        scan_path(scan, "mamba", "cuda" if scan == "mamba_ssm" else "cpu")
        super().__init__(config, (Mixer(config) for _ in range(config.n_layer)), tied=tied)
        self.config, self.scan = config, scan
        _initialise(self)

    def path(self) -> str:
        """Return the form of the scan that runs where the weights are now."""
        return scan_path(self.scan, "mamba", self.lm_head.weight.device, self.lm_head.weight.dtype)

    def training_path(self) -> str:
        """As `path`; native in float32, all that stands between the products runs in native passes ("fused")."""
        path = self.path()
        is_fused = self.lm_head.weight.dtype == torch.float32 and self.config.d_conv <= MOST_TAPS
        return Mixer.fused_form if path == "native" and is_fused else path

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> RecurrentState:
        """Return blank memory for `batch` rows; its size does not depend on `max_tokens`."""
        c, D = self.config, self.config.expand * self.config.d_model
        window = torch.zeros(c.n_layer, batch, c.d_conv - 1, D, dtype=dtype, device=device)
        kind = torch.float64 if dtype == torch.float64 else torch.float32
        return RecurrentState(window, torch.zeros(c.n_layer, batch, D, c.d_state, dtype=kind, device=device))


class Mixer(ResidualMixer):
    """The equations at the head of this file."""

    fused_form = "fused"

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        assert config.dt_rank is not None
        E, N, R, K = config.d_model, config.d_state, config.dt_rank, config.d_conv
        D = config.expand * E
        self.split = [R, N, N]
        self.A_log = nn.Parameter(torch.empty(D, N))
        self.D = nn.Parameter(torch.ones(D))
        self.conv1d = CausalConvolution(D, K)
        self.in_proj = nn.Linear(E, 2 * D, bias=False)
        self.x_proj = nn.Linear(D, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, D, bias=True)
        self.out_proj = nn.Linear(D, E, bias=False)

    def forward(self, u: Tensor, path: str) -> Tensor:
        if path == self.fused_form:
            return self._fused(u)
        x, z = self.in_proj(u).chunk(2, dim=-1)
        x = self._convolve(x)
        dt, B, C = self._step_and_maps(x)
        y, _ = selective_scan(path, x, dt, self._A(), B, C, self.D, self.dt_proj.bias)
        return self._gate_out(y, z)

    def _fused(self, u: Tensor) -> Tensor:
        """Compute as any other form, with what stands between the products in one native pass each."""
        x, z = convolve(self.in_proj(u), self.conv1d.weight.squeeze(1).t(), self.conv1d.bias)
        dt, B, C = self._step_and_maps(x)
        y, _ = native_scan(x, dt, self._A(), B, C, self.D, self.dt_proj.bias, z)
        return self.out_proj(y)

    def prefill(self, u: Tensor, lengths: Tensor, path: str) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what `forward` does, and what a decoder must remember; padding leaves the state alone."""
        inputs, z = self.in_proj(u).chunk(2, dim=-1)
        x = self._convolve(inputs)
        dt, B, C = self._step_and_maps(x)
        dt = dt.masked_fill(~real_positions(lengths, u.shape[1])[..., None], NO_STEP)
        y, h = selective_scan(path, x, dt, self._A(), B, C, self.D, self.dt_proj.bias)
        return self._gate_out(y, z), last_inputs(inputs, lengths, self.conv1d.memory), h

    def step(self, u: Tensor, window: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map one token a row, (B, D) -> (B, D), with the new window and state."""
        x, z = self.in_proj(u).chunk(2, dim=-1)  # (B, D) each
        x, window = self.conv1d.step(window, x)
        x = F.silu(x).to(z.dtype)
        dt, B, C = self._step_and_maps(x)
        delta = F.softplus(wide(dt) + wide(self.dt_proj.bias))
        h = scan_step(h, wide(x), delta, self._A(), wide(B))
        y = (h @ wide(C)[..., None]).squeeze(-1) + wide(self.D) * wide(x)
        return self._gate_out(y, z), window, h

    def _convolve(self, x: Tensor) -> Tensor:
        return F.silu(self.conv1d(x)).to(x.dtype)

    def _step_and_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute dt, B, C = W_x x; the bias of dt is added by the scan, in float32."""
        dt, B, C = self.x_proj(x).split(self.split, dim=-1)
        return F.linear(dt, self.dt_proj.weight), B, C

    def _A(self) -> Tensor:
        return -torch.exp(wide(self.A_log))

    def _gate_out(self, y: Tensor, z: Tensor) -> Tensor:
        return self.out_proj(y.to(z.dtype) * F.silu(z))


def _initialise(model: Mamba) -> None:
    """Draw weights as mamba-ssm does: A = -1..-N, D = 1, delta log-uniform in [1e-3, 1e-1], projections to the residual
    stream scaled."""
    layers = model.config.n_layer
    nn.init.normal_(model.backbone.embeddings.weight, std=0.02)
    if not model.tied:
        nn.init.normal_(model.lm_head.weight, std=0.02)
    for mixer in (block.mixer for block in model.blocks):
        with torch.no_grad():
            D, N = mixer.A_log.shape
            mixer.A_log.copy_(torch.arange(1, N + 1).float().log().expand(D, N))
            nn.init.uniform_(mixer.dt_proj.weight, -(mixer.split[0] ** -0.5), mixer.split[0] ** -0.5)
            mixer.dt_proj.bias.copy_(step_bias(D))
            mixer.out_proj.weight.div_(math.sqrt(layers))


def step_bias(n: int, low: float = 1e-3, high: float = 1e-1) -> Tensor:
    """Return biases whose softplus is log-uniform in [low, high]: the inverse is delta + log(1 - exp(-delta))."""
    delta = torch.exp(torch.rand(n) * math.log(high / low) + math.log(low))
    return delta + torch.log(-torch.expm1(-delta))
