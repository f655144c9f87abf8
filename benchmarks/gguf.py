"""GPT-2, Mamba and Mamba-2 weights as a GGUF file for llama.cpp, without a tokenizer (`tokenizer.ggml.model` "none").

Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian, tensors aligned to 32 bytes, sizes
innermost first. Tensor and key names are those that llama.cpp's own converter writes for these architectures.
Matrices have the type asked for: float32, bfloat16, or int8 as Q8_0 (32 numbers and a float16 scale; a matrix whose
inputs are no multiple of 32 is float32 then). Norms, biases, convolutions, decays, skips and positions are float32, as
llama.cpp wants them.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbolic import files
from symbolic.config import GPT2Config, Mamba2Config, MambaConfig, ModelConfig
from symbolic.errors import UserError

ALIGNMENT = 32
VERSION = 3
UINT32, FLOAT32, BOOL, STRING = 4, 6, 7, 8  # types of values
TENSOR_FLOAT32, TENSOR_Q8_0, TENSOR_BFLOAT16 = 0, 8, 30  # types of tensors
BLOCK = 32  # numbers of Q8_0 that share a scale


@dataclass(frozen=True)
class Blocks:
    """A tensor as Q8_0: its shape, and for each block the scale (float16) and 32 int8."""

    shape: tuple[int, ...]
    data: bytes


Named = tuple[str, Tensor]
Stored = tuple[str, Tensor | Blocks]


def write(model: Any, path: Path | str, dtype: torch.dtype) -> None:
    """Write one of our models."""
    config: ModelConfig = model.config
    weights = {name: t.detach().float() for name, t in model.state_dict().items()}
    tensors = [(name, _stored(name, t, dtype)) for name, t in _TENSORS[config.family](weights, config)]
    files.write_whole(path, encode(_metadata(config), tensors))


def encode(metadata: dict[str, Any], tensors: Sequence[Stored]) -> bytes:
    """The bytes of a GGUF file."""
    head = bytearray(b"GGUF" + struct.pack("<IQQ", VERSION, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _string(key) + _value(value)
    body = bytearray()
    for name, tensor in tensors:
        kind, data = _contents(tensor)
        sizes = list(reversed(tensor.shape))
        head += _string(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        body += _padded(data)
    return _padded(bytes(head)) + bytes(body)


def quantised(tensor: Tensor) -> Blocks:
    """Q8_0: in each block the largest magnitude becomes 127."""
    blocks = tensor.float().reshape(-1, BLOCK)
    scales = blocks.abs().amax(1, keepdim=True) / 127
    whole = (blocks / scales.clamp(min=1e-30)).round().to(torch.int8)
    both = torch.cat([scales.to(torch.float16).view(torch.uint8), whole.view(torch.uint8)], 1)
    return Blocks(tuple(tensor.shape), both.numpy().tobytes())


def _contents(tensor: Tensor | Blocks) -> tuple[int, bytes]:
    if isinstance(tensor, Blocks):
        return TENSOR_Q8_0, tensor.data
    kind = TENSOR_BFLOAT16 if tensor.dtype == torch.bfloat16 else TENSOR_FLOAT32
    return kind, tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _metadata(config: ModelConfig) -> dict[str, Any]:
    common = {"context_length": 1 << 20, "vocab_size": config.vocab_size, "block_count": config.n_layer}
    if not isinstance(config, GPT2Config | MambaConfig | Mamba2Config):
        raise UserError(f"GGUF has no {config.family}")
    shape = _gpt2_shape(config) if isinstance(config, GPT2Config) else _mamba_shape(config)
    keys = {f"{config.family}.{key}": value for key, value in {**common, **shape}.items()}
    return {"general.architecture": config.family, "tokenizer.ggml.model": "none", **keys}


def _gpt2_shape(c: GPT2Config) -> dict[str, Any]:
    return {
        "context_length": c.n_positions,
        "embedding_length": c.n_embd,
        "feed_forward_length": 4 * c.n_embd,
        "attention.head_count": c.n_head,
        "attention.layer_norm_epsilon": 1e-5,
    }


def _mamba_shape(c: MambaConfig | Mamba2Config) -> dict[str, Any]:
    inner = c.expand * c.d_model
    second = {"ssm.group_count": c.n_groups} if isinstance(c, Mamba2Config) else {}
    return {
        "embedding_length": c.d_model,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "ssm.conv_kernel": c.d_conv,
        "ssm.inner_size": inner,
        "ssm.state_size": c.d_state,
        "ssm.time_step_rank": inner // c.head_dim if isinstance(c, Mamba2Config) else c.dt_rank,
        **second,
    }


def _gpt2(w: dict[str, Tensor], c: ModelConfig) -> Iterator[Named]:
    yield "token_embd.weight", w["transformer.wte.weight"]
    yield "position_embd.weight", w["transformer.wpe.weight"]
    yield from _both("output_norm", w, "transformer.ln_f")
    parts = {"attn_norm": "ln_1", "ffn_norm": "ln_2"}
    products = {"attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
    for layer in range(c.n_layer):
        theirs, ours = f"blk.{layer}", f"transformer.h.{layer}"
        for name, part in parts.items():
            yield from _both(f"{theirs}.{name}", w, f"{ours}.{part}")
        for name, part in products.items():
            yield f"{theirs}.{name}.weight", w[f"{ours}.{part}.weight"].t()
            yield f"{theirs}.{name}.bias", w[f"{ours}.{part}.bias"]
    yield "output.weight", w["lm_head.weight"]


def _mamba(w: dict[str, Tensor], c: ModelConfig) -> Iterator[Named]:
    yield from _mamba_ends(w)
    for layer in range(c.n_layer):
        name, mixer = f"blk.{layer}", f"backbone.layers.{layer}.mixer"
        yield from _mixer(name, w, layer)
        yield f"{name}.ssm_x.weight", w[f"{mixer}.x_proj.weight"]
        yield from _both(f"{name}.ssm_dt", w, f"{mixer}.dt_proj")
        yield f"{name}.ssm_a", -torch.exp(w[f"{mixer}.A_log"])
        yield f"{name}.ssm_d", w[f"{mixer}.D"]


def _mamba2(w: dict[str, Tensor], c: ModelConfig) -> Iterator[Named]:
    assert isinstance(c, Mamba2Config)
    yield from _mamba_ends(w)
    for layer in range(c.n_layer):
        name, mixer = f"blk.{layer}", f"backbone.layers.{layer}.mixer"
        yield from _mixer(name, w, layer)
        yield f"{name}.ssm_dt.bias", w[f"{mixer}.dt_bias"]
        yield f"{name}.ssm_a", -torch.exp(w[f"{mixer}.A_log"])[:, None]
        yield f"{name}.ssm_d", w[f"{mixer}.D"][:, None]
        yield f"{name}.ssm_norm.weight", w[f"{mixer}.norm.weight"].view(c.n_groups, -1)


def _mamba_ends(w: dict[str, Tensor]) -> Iterator[Named]:
    yield "token_embd.weight", w["backbone.embeddings.weight"]
    yield "output_norm.weight", w["backbone.norm_f.weight"]
    yield "output.weight", w["lm_head.weight"]


def _mixer(name: str, w: dict[str, Tensor], layer: int) -> Iterator[Named]:
    """What both Mambas have."""
    block = f"backbone.layers.{layer}"
    yield f"{name}.attn_norm.weight", w[f"{block}.norm.weight"]
    yield f"{name}.ssm_in.weight", w[f"{block}.mixer.in_proj.weight"]
    yield f"{name}.ssm_conv1d.weight", w[f"{block}.mixer.conv1d.weight"].squeeze(1)
    yield f"{name}.ssm_conv1d.bias", w[f"{block}.mixer.conv1d.bias"]
    yield f"{name}.ssm_out.weight", w[f"{block}.mixer.out_proj.weight"]


_TENSORS = {"gpt2": _gpt2, "mamba": _mamba, "mamba2": _mamba2}
_MATRICES = ("attn_qkv", "attn_output", "ffn_up", "ffn_down", "ssm_in", "ssm_x", "ssm_dt", "ssm_out", "output")


def _both(name: str, w: dict[str, Tensor], ours: str) -> Iterator[Named]:
    yield f"{name}.weight", w[f"{ours}.weight"]
    yield f"{name}.bias", w[f"{ours}.bias"]


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor | Blocks:
    """Matrices in the type asked for, the rest in float32."""
    stem = name.removesuffix(".weight")
    matrix = (stem != name and stem.rpartition(".")[2] in _MATRICES) or name == "token_embd.weight"
    if not matrix:
        return tensor.float()
    if dtype == torch.int8:
        return tensor.float() if tensor.shape[-1] % BLOCK else quantised(tensor)
    return tensor.to(dtype)


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    return struct.pack("<I", STRING) + _string(value)


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
