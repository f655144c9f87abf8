"""What a model costs: floating-point operations per token, bytes of decoding memory. Pure functions of a shape.

Conventions: one multiply-add is 2 operations; only matrix products, convolutions and recurrences are counted, not
norms, activations and embeddings looked up (below 2 % at these sizes). Training is three times the forward pass: the
backward pass multiplies each matrix twice (Kaplan et al. 2020, arXiv:2001.08361, section 2.1). Bytes are per sequence.

Sources: attention 2 * 2 E per position attended to (Kaplan et al. 2020, table 1); Mamba's recurrence 9 D N per token
as Gu & Dao 2023 (arXiv:2312.00752, section 3.3 and appendix D) write its work, counted term by term below; Mamba-2's
chunked form by the products of Dao & Gu 2024 (arXiv:2405.21060, section 6), its step by the recurrence.
"""

from symbolic.config import (
    GPT2Config,
    GPT2ModernConfig,
    LSTMConfig,
    Mamba2Config,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
)


def training_flops(config: ModelConfig, context: int) -> float:
    """Return operations per token of a training step on sequences of `context` tokens."""
    return 3 * forward_flops(config, context)


def forward_flops(config: ModelConfig, context: int) -> float:
    """Return operations per token of a forward pass (also of prefill) over `context` tokens, averaged over
    positions."""
    if isinstance(config, (MambaConfig, LSTMConfig)):
        return decoding_flops(config, 0)
    n, E = _attention(config)
    attended = (context + 1) / 2  # a causal query sees half the positions; kernels that compute all do more
    flops = weight_flops(config) + n * 4 * E * attended
    if isinstance(config, (Mamba2Config, Mamba2HybridConfig)):
        flops += (config.n_layer - n) * _chunked_flops(config, context)
    return flops


def decoding_flops(config: ModelConfig, position: int) -> float:
    """Return operations to produce one token after `position` others; a state-space model's do not depend on it."""
    if isinstance(config, LSTMConfig):
        return weight_flops(config) + config.n_layer * 4 * config.d_model  # f c + i g, o tanh c
    n, E = _attention(config)
    flops = weight_flops(config) + n * 4 * E * (position + 1)
    if isinstance(config, (GPT2Config, GPT2ModernConfig)):
        return flops
    D, N = config.expand * config.d_model, config.d_state
    if isinstance(config, MambaConfig):
        # exponent, decay (exp as 1), decay times state, input map, sum: 6 a state; output 2; skip 2 a channel.
        return flops + config.n_layer * (8 * D * N + 2 * D)
    return flops + (config.n_layer - n) * (5 * D * N + 2 * D)


def weight_flops(config: ModelConfig) -> float:
    """Return 2 operations for every weight that multiplies a token: matrices, convolutions, the output head."""
    if isinstance(config, (GPT2Config, GPT2ModernConfig)):
        return 2 * (config.n_layer * 12 * config.n_embd**2 + config.vocab_size * config.n_embd)
    if isinstance(config, LSTMConfig):
        return 2 * (config.n_layer * 8 * config.d_model**2 + config.vocab_size * config.d_model)
    E, D, N = config.d_model, config.expand * config.d_model, config.d_state
    n, _ = _attention(config)
    if isinstance(config, MambaConfig):
        assert config.dt_rank is not None
        layer = E * 2 * D + D * config.d_conv + D * (config.dt_rank + 2 * N) + config.dt_rank * D + D * E
    else:
        convolved = D + 2 * config.n_groups * N
        layer = E * (D + convolved + D // config.head_dim) + convolved * config.d_conv + D * E
    return 2 * ((config.n_layer - n) * layer + n * 4 * E * E + config.vocab_size * E)


def state_bytes(config: ModelConfig, n_tokens: int, itemsize: int = 4) -> int:
    """Return bytes that decoding keeps of one sequence of `n_tokens`; `itemsize` of the model's numbers."""
    if isinstance(config, LSTMConfig):
        return 2 * config.n_layer * config.d_model * itemsize
    cache = n_tokens * state_bytes_per_token(config, itemsize)
    if isinstance(config, (GPT2Config, GPT2ModernConfig)):
        return cache
    D, N = config.expand * config.d_model, config.d_state
    convolved = D if isinstance(config, MambaConfig) else D + 2 * config.n_groups * N
    window = (config.d_conv - 1) * convolved * itemsize
    recurrence = D * N * max(itemsize, 4)  # the recurrence is kept in float32 at least
    return cache + (config.n_layer - _attention(config)[0]) * (window + recurrence)


def state_bytes_per_token(config: ModelConfig, itemsize: int = 4) -> int:
    """Return bytes that decoding memory grows by with every token: keys and values; none in a state-space model."""
    n, E = _attention(config)
    return 2 * n * E * itemsize


def _attention(config: ModelConfig) -> tuple[int, int]:
    """Return layers of attention and their width; (0, 0) without."""
    if isinstance(config, (GPT2Config, GPT2ModernConfig)):
        return config.n_layer, config.n_embd
    return (len(config.attention_layers), config.d_model) if isinstance(config, Mamba2HybridConfig) else (0, 0)


def _chunked_flops(config: Mamba2Config | Mamba2HybridConfig, context: int) -> float:
    """Return per token and layer: C B^T and its product with x inside a chunk, chunk states, their read-out, the
    skip."""
    D, N, Q = config.expand * config.d_model, config.d_state, min(config.chunk_size, context)
    within = 2 * Q * N * config.n_groups + 2 * Q * D
    return within + 2 * N * D + 2 * N * D + 2 * D
