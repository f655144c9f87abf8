"""Weights laid out for the native step: panels as kernel/products.h reads them, in the order of a step.

    model, keep = pack(config, tensors, "int8", arena)

tensors: float32 arrays by their names in the library, as `model_folder.read_model` returns them.
"""

# F the features of a head, P the same padded; H heads, D inner width, R rank of dt, V vocabulary entries

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbolic.config import ModelConfig
from symbolic.decode.engine import kernel_library
from symbolic.decode.engine.kernel_library import LANES, Arena, CLayer, CMatrix, CModel
from symbolic.models.stored.model_folder import embedding_name, round_to_bfloat16

WEIGHTS = ("float32", "bfloat16", "int8")  # in the order of the kernel's kinds, which has a fourth:
EXACT = 3  # float32 that is held in bfloat16, as weights allow that were rounded to it

Tensors = Mapping[str, np.ndarray]
Packed = tuple[CModel, Any]  # and what must outlive it


def pack(config: ModelConfig, tensors: Tensors, weights: str, memory: Arena) -> Packed:
    """Copy the weights into `memory`, as `weights` (float32, bfloat16 or int8) holds them."""
    return _PACK[config.family](config, tensors, _Packer(memory, weights))


def n_bytes(config: ModelConfig, tensors: Tensors) -> int:
    """Return an upper bound on the memory that `pack` fills."""
    return sum(values.size for values in tensors.values()) * 8 + (4 << 20) * config.n_layer


class _Packer:
    """Lays weights out in an arena."""

    def __init__(self, memory: Arena, weights: str) -> None:
        self.memory, self.kind = memory, WEIGHTS.index(weights)
        self.panel = int(kernel_library.library().native_panel())

    def up(self, n: int) -> int:
        """Return n rounded up to whole panels."""
        return -(-n // self.panel) * self.panel

    def row(self, values: np.ndarray) -> int:
        """Put a vector, or rows of them, padded with zeros."""
        return self.memory.put(_pad(values, -1, self.up(values.shape[-1])))

    def blocks(self, values: np.ndarray) -> int:
        """Put rows (D, N) as (D / W, N, W) for W lanes of a vector, padded with zeros."""
        lanes, padded = int(kernel_library.library().native_lanes()), _pad(values, 0, self.up(len(values)))
        return self.memory.put(padded.reshape(-1, lanes, padded.shape[1]).swapaxes(1, 2))

    def matrix(self, weight: np.ndarray, bias: np.ndarray | None = None, kind: int | None = None) -> CMatrix:
        """Put weight (out, in) as panels; float32 in half the bytes where that changes no weight."""
        kind = self.kind if kind is None else kind
        if kind == 0 and not (np.ascontiguousarray(weight).view(np.uint32) & 0xFFFF).any():
            kind = EXACT
        words, each = (1, 16, 16, 16)[kind], (1, 2, 4, 2)[kind]  # a tile's words; numbers in one
        weight = _pad(weight, 0, self.up(len(weight)))
        weight = _pad(weight, 1, -(-weight.shape[1] // (words * each)) * words * each)
        packed = CMatrix(kind=kind, panels=len(weight) // self.panel, n_words=weight.shape[1] // each)
        if kind == 2:
            scale = (np.abs(weight).max(1).clip(min=np.float32(1e-30)) / np.float32(127)).astype(np.float32)
            weight = np.rint(weight / scale[:, None])
            sums = (128 * weight.sum(1, dtype=np.float64)).astype(np.int32)
            packed.scale, packed.sums = self.memory.put(scale), self.memory.put(sums)
        held = (_as_it_is, to_bfloat16, _to_int8, to_bfloat16)[kind](weight)
        packed.words = self.memory.put(held.reshape(packed.panels, self.panel, packed.n_words, -1).swapaxes(1, 2))
        if bias is not None:
            packed.bias = self.row(bias)
        return packed


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the upper halves of float32 values rounded to bfloat16, uint16."""
    return (np.ascontiguousarray(round_to_bfloat16(values)).view(np.uint32) >> 16).astype(np.uint16)


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _to_int8(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int8)


def _pack_gpt2(c: Any, tensors: Tensors, pack: _Packer) -> Packed:
    F = c.n_embd // c.n_head
    P = -(-F // LANES) * LANES
    layers = (CLayer * c.n_layer)()
    for i, layer in enumerate(layers):
        w = _named(tensors, f"transformer.h.{i}.")
        layer.norm, layer.norm_bias = pack.row(w("ln_1.weight")), pack.row(w("ln_1.bias"))
        wide, bias = _heads(w("attn.c_attn.weight").T, 0, F, P), _heads(w("attn.c_attn.bias"), 0, F, P)
        layer.into = pack.matrix(wide, bias)
        layer.out = pack.matrix(_heads(w("attn.c_proj.weight").T, 1, F, P), w("attn.c_proj.bias"))
        layer.norm2, layer.norm2_bias = pack.row(w("ln_2.weight")), pack.row(w("ln_2.bias"))
        layer.into2 = pack.matrix(w("mlp.c_fc.weight").T, w("mlp.c_fc.bias"))
        layer.out2 = pack.matrix(w("mlp.c_proj.weight").T, w("mlp.c_proj.bias"))
    body = _named(tensors, "transformer.")
    packed = CModel(
        family=0, n_layer=c.n_layer, n_embd=c.n_embd, embd=pack.up(c.n_embd), n_head=c.n_head, head=P,
        inner=pack.up(c.n_head * P), n_inner=c.n_embd, n_positions=c.n_positions, query_scale=F**-0.5,
        cache=min(pack.kind, 1), positions=pack.row(body("wpe.weight")), norm=pack.row(body("ln_f.weight")),
        norm_bias=pack.row(body("ln_f.bias")), **_ends(c, tensors, pack), layers=layers,
    )  # fmt: skip
    return packed, layers


def _pack_mamba(c: Any, tensors: Tensors, pack: _Packer) -> Packed:
    R, D = c.dt_rank, pack.up(c.expand * c.d_model)
    layers = (CLayer * c.n_layer)()
    for i, layer in enumerate(layers):
        w = _named(tensors, f"backbone.layers.{i}.")
        layer.norm = pack.row(w("norm.weight"))
        x, z = np.split(w("mixer.in_proj.weight"), 2)
        layer.into = pack.matrix(np.concatenate([_pad(x, 0, D), z]))
        layer.conv = pack.row(w("mixer.conv1d.weight").squeeze(1).T)
        layer.conv_bias = pack.row(w("mixer.conv1d.bias"))
        dt, maps = w("mixer.x_proj.weight")[:R], w("mixer.x_proj.weight")[R:]
        layer.into2 = pack.matrix(np.concatenate([_pad(dt, 0, pack.up(R)), maps]), kind=min(pack.kind, 1))
        layer.out2 = pack.matrix(w("mixer.dt_proj.weight"), w("mixer.dt_proj.bias"), kind=min(pack.kind, 1))
        layer.A, layer.D = pack.blocks(_decays(w("mixer.A_log"))), pack.row(w("mixer.D"))
        layer.out = pack.matrix(w("mixer.out_proj.weight"))
    packed = CModel(
        family=1, n_layer=c.n_layer, n_embd=c.d_model, embd=pack.up(c.d_model), inner=D, n_inner=c.expand * c.d_model,
        n_state=c.d_state, maps=pack.up(R), conv=c.d_conv, norm=pack.row(tensors["backbone.norm_f.weight"]),
        **_ends(c, tensors, pack), layers=layers,
    )  # fmt: skip
    return packed, layers


def _pack_mamba2(c: Any, tensors: Tensors, pack: _Packer) -> Packed:
    H, F = c.expand * c.d_model // c.head_dim, c.head_dim
    P, GN = -(-F // LANES) * LANES, c.n_groups * c.d_state
    D, maps = pack.up(H * P), pack.up(GN)

    def channels(values: np.ndarray) -> list[np.ndarray]:  # of the convolution: x, B, C
        x, B, C = np.split(values, [H * F, H * F + GN])
        return [_pad(_heads(x, 0, F, P), 0, D), _pad(B, 0, maps), _pad(C, 0, maps)]

    layers = (CLayer * c.n_layer)()
    for i, layer in enumerate(layers):
        w = _named(tensors, f"backbone.layers.{i}.")
        layer.norm = pack.row(w("norm.weight"))
        z, xBC, dt = np.split(w("mixer.in_proj.weight"), [H * F, 2 * H * F + 2 * GN])
        bias = np.concatenate([np.zeros(2 * D + 2 * maps, np.float32), w("mixer.dt_bias")])
        layer.into = pack.matrix(np.concatenate([_pad(_heads(z, 0, F, P), 0, D), *channels(xBC), dt]), bias)
        layer.conv = pack.row(np.concatenate(channels(w("mixer.conv1d.weight").squeeze(1))).T)
        layer.conv_bias = pack.row(np.concatenate(channels(w("mixer.conv1d.bias"))))
        layer.A = pack.row(_decays(w("mixer.A_log")))
        layer.D = pack.row(np.repeat(w("mixer.D"), P))
        layer.norm2 = pack.row(_heads(w("mixer.norm.weight"), 0, F, P))
        layer.out = pack.matrix(_heads(w("mixer.out_proj.weight"), 1, F, P))
    packed = CModel(
        family=2, n_layer=c.n_layer, n_embd=c.d_model, embd=pack.up(c.d_model), inner=D, n_inner=c.expand * c.d_model,
        n_head=H, head=P, n_state=c.d_state, maps=maps, groups=c.n_groups, conv=c.d_conv,
        norm=pack.row(tensors["backbone.norm_f.weight"]), **_ends(c, tensors, pack), layers=layers,
    )  # fmt: skip
    return packed, layers


_PACK: dict[str, Callable[[Any, Tensors, _Packer], Packed]] = {
    "gpt2": _pack_gpt2,
    "mamba": _pack_mamba,
    "mamba2": _pack_mamba2,
}
FAMILIES = tuple(_PACK)


def _named(tensors: Tensors, prefix: str) -> Callable[[str], np.ndarray]:
    return lambda name: tensors[prefix + name]


def _decays(logarithms: np.ndarray) -> np.ndarray:
    """Return a = -exp(A_log), by way of float64: the nearest float32 whatever the machine's exp."""
    return (-np.exp(logarithms.astype(np.float64))).astype(np.float32)


def _ends(c: Any, tensors: Tensors, pack: _Packer) -> dict[str, Any]:
    """Return what a model begins and ends with: the embedding, and the head."""
    return {
        "scores": pack.matrix(tensors["lm_head.weight"]),
        "tokens": pack.row(tensors[embedding_name(c.family)]),
        "vocab": pack.up(c.vocab_size),
        "n_vocab": c.vocab_size,
    }


def _heads(values: np.ndarray, axis: int, n: int, padded: int) -> np.ndarray:
    """Pad each run of n along an axis to `padded`."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    runs = _pad(values.reshape(*before, -1, n, *after), axis + 1, padded)
    return runs.reshape(*before, -1, *after)


def _pad(values: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Put zeros after the end of an axis, up to n."""
    missing = n - values.shape[axis]
    if not missing:
        return values
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, missing)
    return np.pad(values, widths)
