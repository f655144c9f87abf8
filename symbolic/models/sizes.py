"""Print the parameters of every configuration: `python -m symbolic sizes [--json] [CONFIG...]`.

`parameters` counts by formula, without building the model; a test holds it to the instantiated modules. Embeddings
are tied, so they count once. Without arguments the table covers the configurations that come with the project.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from symbolic.config import (
    GPT2Config,
    GPT2ModernConfig,
    LSTMConfig,
    Mamba2Config,
    Mamba2HybridConfig,
    MambaConfig,
    ModelConfig,
    bundled_folder,
    load,
)

NOMINAL = {"6m": 6_000_000, "60m": 60_000_000}  # by the suffix of a configuration's name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("configs", nargs="*", type=Path, help="YAML files (default: those that come with the project)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Print the table, and the JSON where asked."""
    rows = [row(path) for path in args.configs or _all_configs()]
    width = max(len(r["name"]) for r in rows)
    print(f"{'configuration':<{max(width, 13)}}  {'parameters':>11}  {'of nominal':>10}  {'state, bytes a tune':>20}")
    for r in rows:
        ratio = f"{r['ratio'] - 1:+.2%}" if r["ratio"] else ""
        print(f"{r['name']:<{max(width, 13)}}  {r['parameters']:>11,}  {ratio:>10}  {r['state_bytes']:>20,}")
    if args.json:
        print(json.dumps({r["name"]: r for r in rows}))
    return 0


def row(path: Path) -> dict[str, Any]:
    """Return what the table says of one file; `state_bytes` is a decoder's memory after `context` tokens, in
    bfloat16."""
    from symbolic.models.costs import state_bytes

    config = load(path)
    n, size = parameters(config.model), nominal(config.name)
    return {
        "name": config.name,
        "family": config.model.family,
        "parameters": n,
        "nominal": size,
        "ratio": n / size if size else None,
        "vocab_size": config.model.vocab_size,
        "state_bytes": state_bytes(config.model, config.data.context, itemsize=2),
    }


def nominal(name: str) -> int | None:
    """Return the size a configuration's name promises: gpt2-6m -> 6,000,000; None where it promises none."""
    found = re.search(r"(?:^|[-_])(\d+m)(?:$|[-_])", name)
    return NOMINAL.get(found[1]) if found else None


def parameters(config: ModelConfig) -> int:
    """Return trainable numbers of a model with tied embeddings."""
    if isinstance(config, GPT2Config):
        return _gpt2(config)
    if isinstance(config, LSTMConfig):
        return config.vocab_size * config.d_model + config.n_layer * 8 * config.d_model * (config.d_model + 1)
    if isinstance(config, GPT2ModernConfig):
        return config.vocab_size * config.n_embd + config.n_layer * 12 * config.n_embd**2
    if isinstance(config, Mamba2HybridConfig):
        return _mamba2_hybrid(config)
    return _mamba(config) if isinstance(config, MambaConfig) else _mamba2(config)


def _gpt2(c: GPT2Config) -> int:
    E = c.n_embd
    attention = 3 * E * E + 3 * E + E * E + E
    mlp = 2 * 4 * E * E + 4 * E + E
    norms = 2 * 2 * E
    return (c.vocab_size + c.n_positions) * E + c.n_layer * (attention + mlp + norms) + 2 * E


def _mamba(c: MambaConfig) -> int:
    assert c.dt_rank is not None
    E, D, N, R = c.d_model, c.expand * c.d_model, c.d_state, c.dt_rank
    projections = E * 2 * D + D * (R + 2 * N) + (R * D + D) + D * E
    convolution, decays, skip, norm = D * c.d_conv + D, D * N, D, E
    return c.vocab_size * E + c.n_layer * (projections + convolution + decays + skip + norm) + E


def _mamba2_hybrid(c: Mamba2HybridConfig) -> int:
    n, E = len(c.attention_layers), c.d_model
    return c.vocab_size * E + (c.n_layer - n) * _mamba2_layer(c) + n * (4 * E * E + E) + E


def _mamba2(c: Mamba2Config) -> int:
    return c.vocab_size * c.d_model + c.n_layer * _mamba2_layer(c) + c.d_model


def _mamba2_layer(c: Mamba2Config | Mamba2HybridConfig) -> int:
    E, D = c.d_model, c.expand * c.d_model
    H, convolved = D // c.head_dim, D + 2 * c.n_groups * c.d_state
    projections = E * (D + convolved + H) + D * E
    convolution, heads, norms = convolved * c.d_conv + convolved, 3 * H, D + E
    return projections + convolution + heads + norms


def _all_configs() -> list[Path]:
    return sorted(bundled_folder().glob("*.yaml"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
