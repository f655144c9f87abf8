"""The two files of a model's folder, without PyTorch: `config.json` and `model.safetensors` in Hugging Face's form.

    config, settings = read_config(folder)          # our shape, and the library's settings
    stored = read_weights(folder)                    # every tensor as float32 NumPy array, by its name

A setting of the library's that these models do not have (another activation, biases, cross-attention) is refused by
name rather than ignored. Of the families in OURS the library has no class: their folders have the same two files in the
same form, the shape under the keys of our configuration, and only this project reads them. Special tokens are 0
padding, 1 beginning, 2 end, in every vocabulary of this project. `pretrained` fills models of PyTorch from them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from symbolic.config import FAMILIES, GPT2Config, Mamba2Config, MambaConfig, ModelConfig, shape_problems
from symbolic.errors import UserError
from symbolic.files import read_json
from symbolic.models import architectures, costs

CLASSES = {"gpt2": "GPT2LMHeadModel", "mamba": "MambaForCausalLM", "mamba2": "Mamba2ForCausalLM"}
OURS = {family: path for family, path in architectures.CLASSES.items() if family not in CLASSES}  # not the library's
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
WIDE = ("A_log", "dt_bias", "dt_proj.bias", "mixer.D")  # few numbers that set decay rates: kept in float32

# Library settings that these models have fixed: key -> (what they do, what the library assumes when it is absent).
FIXED: dict[str, dict[str, tuple[Any, Any]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_new"),
        "layer_norm_epsilon": (1e-5, 1e-5),
        "scale_attn_weights": (True, True),
        "scale_attn_by_inverse_layer_idx": (False, False),
        "reorder_and_upcast_attn": (False, False),
        "add_cross_attention": (False, False),
    },
    "mamba": {
        "hidden_act": ("silu", "silu"),
        "layer_norm_epsilon": (1e-5, 1e-5),
        "use_bias": (False, False),
        "use_conv_bias": (True, True),
    },
}
FIXED["mamba2"] = FIXED["mamba"]
FIXED |= {family: {} for family in OURS}
TIED_BY_DEFAULT = {"gpt2": True, "mamba": True, "mamba2": False, **dict.fromkeys(OURS, True)}
MEND = " Copy the whole folder again, or use another checkpoint."


@dataclass(frozen=True)
class StoredModel:
    """A model as its folder holds it. tensors: float32 arrays by their names in the library, rounded to `number_type`
    (float32 or bfloat16) but for the few that set decay rates."""

    config: ModelConfig
    tensors: Mapping[str, np.ndarray]
    number_type: str = "float32"


def read_config(folder: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Return the shape that config.json describes, and its settings. Raises UserError where it describes none."""
    settings = read_json(folder / "config.json")
    return model_config(settings, folder / "config.json"), settings


def is_tied(config: ModelConfig, settings: dict[str, Any]) -> bool:
    """Return True if the head is the embedding."""
    return bool(settings.get("tie_word_embeddings", TIED_BY_DEFAULT[config.family]))


def read_model(folder: Path | str, number_type: str = "float32") -> StoredModel:
    """Read a GPT-2, Mamba or Mamba-2 from its folder, each tensor checked against what config.json describes.

    number_type: float32 or bfloat16, to which weights are rounded. Raises UserError that names the file and tensor.
    """
    folder = Path(folder)
    config, settings = read_config(folder)
    stored = [(file, entries) for file in weight_files(folder) for entries in (_entries(file),)]
    check_size(config, folder, [tuple(entry["shape"]) for _, entries in stored for _, entry in entries])
    tied = is_tied(config, settings)
    wanted = weight_shapes(config, tied)
    tensors: dict[str, np.ndarray] = {}
    for file, entries in stored:
        for stored_name, entry in entries:
            name = fitting_name(stored_name, config.family, tied, wanted, file)
            if name is None:
                continue
            check_shape(file, name, tuple(entry["shape"]), wanted.pop(name))
            values = _as_float32(file, name, entry)
            rounds = number_type == "bfloat16" and not name.endswith(WIDE)
            tensors[name] = round_to_bfloat16(values) if rounds else values
    check_complete(folder, wanted)
    if tied:
        tensors["lm_head.weight"] = tensors[embedding_name(config.family)]
    return StoredModel(config, tensors, number_type)


def weight_shapes(config: ModelConfig, tied: bool) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a GPT-2, Mamba or Mamba-2, by its name in the library."""
    prefix, layer_shapes, ends = _LAYERS[config.family](config)
    named = {f"{prefix}.{i}.{name}": shape for i in range(config.n_layer) for name, shape in layer_shapes.items()}
    head = {} if tied else {"lm_head.weight": ends[embedding_name(config.family)]}
    return {**ends, **named, **head}


def embedding_name(family: str) -> str:
    """Return the name of the embedding, which a tied head is."""
    return "transformer.wte.weight" if family == "gpt2" else "backbone.embeddings.weight"


def round_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return float32 values rounded to the nearest bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, rounded.view(np.float32))


def fitting_name(name: str, family: str, tied: bool, wanted: Mapping[str, Any], file: Path) -> str | None:
    """Return the present name of a stored tensor, None for one that is not needed; UserError for a stranger."""
    name = current_name(name, family)
    if name in wanted:
        return name
    if _is_superfluous(name, tied):
        return None
    raise UserError(f"{file}: the tensor {name} does not belong to the model that config.json describes.{MEND}")


def check_shape(file: Path, name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise UserError where a tensor has another shape than config.json describes."""
    if shape != wanted:
        raise UserError(f"{file}: the tensor {name} has shape {shape}, but config.json describes {wanted}.{MEND}")


def check_complete(folder: Path, missing: Iterable[str]) -> None:
    """Raise UserError where a tensor is missing."""
    for name in missing:
        raise UserError(f"{folder / 'model.safetensors'}: the tensor {name} is missing.{MEND}")


def damaged(file: Path, error: Exception) -> UserError:
    """Return the error of a file of weights that cannot be read."""
    return UserError(f"{file} is truncated or not a safetensors file ({error}).{MEND}")


def check_size(config: ModelConfig, folder: Path, shapes: list[tuple[int, ...]]) -> None:
    """Refuse a config.json that describes more weights than the files hold, before they are made room for."""
    n_tensors, n_weights = len(shapes), sum(map(math.prod, shapes))
    wanted = costs.weight_flops(config) / 2
    wanted += config.n_positions * config.n_embd if isinstance(config, GPT2Config) else 0
    if config.n_layer > n_tensors or wanted > 2 * n_weights:  # the costs of a layer are rounded: shapes are exact
        raise UserError(
            f"{folder} has a config.json of {config.n_layer:,} layers and some {wanted:,.0f} weights; the files "
            f"beside it hold {n_tensors:,} tensors and {n_weights:,} weights.{MEND}"
        )


def _entries(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the tensors of a safetensors file: name, and dtype, shape and bytes."""
    try:
        return list(deserialize(file.read_bytes()))
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def _as_float32(file: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    data, kind = entry["data"], entry["dtype"]
    if kind == "BF16":
        values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif kind in ("F64", "F32", "F16"):
        values = np.frombuffer(data, f"<f{int(kind[1:]) // 8}").astype(np.float32)
    else:
        raise UserError(f"{file}: the tensor {name} holds {kind}, not floating-point numbers.{MEND}")
    return values.reshape(entry["shape"])


_Shapes = tuple[str, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]


def _gpt2_shapes(c: GPT2Config) -> _Shapes:
    E = c.n_embd
    norms = {f"{norm}.{part}": (E,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    products = {"attn.c_attn": (E, 3 * E), "attn.c_proj": (E, E), "mlp.c_fc": (E, 4 * E), "mlp.c_proj": (4 * E, E)}
    weights = {f"{name}.weight": shape for name, shape in products.items()}
    biases = {f"{name}.bias": shape[1:] for name, shape in products.items()}
    ends = {"wte.weight": (c.vocab_size, E), "wpe.weight": (c.n_positions, E), "ln_f.weight": (E,), "ln_f.bias": (E,)}
    return "transformer.h", {**norms, **weights, **biases}, {f"transformer.{name}": end for name, end in ends.items()}


def _mamba_shapes(c: MambaConfig) -> _Shapes:
    assert c.dt_rank is not None
    E, N, R, D = c.d_model, c.d_state, c.dt_rank, c.expand * c.d_model
    mixer: dict[str, tuple[int, ...]] = {
        "A_log": (D, N), "D": (D,), **_convolution_shapes(D, c.d_conv), "in_proj.weight": (2 * D, E),
        "x_proj.weight": (R + 2 * N, D), "dt_proj.weight": (D, R), "dt_proj.bias": (D,), "out_proj.weight": (E, D),
    }  # fmt: skip
    return _backbone_shapes(c, mixer)


def _mamba2_shapes(c: Mamba2Config) -> _Shapes:
    E, D = c.d_model, c.expand * c.d_model
    H, maps = D // c.head_dim, 2 * c.n_groups * c.d_state
    mixer: dict[str, tuple[int, ...]] = {
        "dt_bias": (H,), "A_log": (H,), "D": (H,), **_convolution_shapes(D + maps, c.d_conv),
        "in_proj.weight": (2 * D + maps + H, E), "norm.weight": (D,), "out_proj.weight": (E, D),
    }  # fmt: skip
    return _backbone_shapes(c, mixer)


def _convolution_shapes(n_channels: int, width: int) -> dict[str, tuple[int, ...]]:
    return {"conv1d.weight": (n_channels, 1, width), "conv1d.bias": (n_channels,)}


def _backbone_shapes(c: MambaConfig | Mamba2Config, mixer: dict[str, tuple[int, ...]]) -> _Shapes:
    layer = {"norm.weight": (c.d_model,), **{f"mixer.{name}": shape for name, shape in mixer.items()}}
    ends = {"embeddings.weight": (c.vocab_size, c.d_model), "norm_f.weight": (c.d_model,)}
    return "backbone.layers", layer, {f"backbone.{name}": shape for name, shape in ends.items()}


_LAYERS: dict[str, Callable[[Any], _Shapes]] = {"gpt2": _gpt2_shapes, "mamba": _mamba_shapes, "mamba2": _mamba2_shapes}


def library_config(config: ModelConfig, *, tied: bool = True, dtype: str = "float32") -> dict[str, Any]:
    """Return the library's config.json for a shape of ours, or one in its form."""
    common = {
        "architectures": [{**CLASSES, **OURS}[config.family]],
        "model_type": config.family,
        "dtype": dtype,
        **SPECIAL,
    }
    fixed = {key: ours for key, (ours, _) in FIXED[config.family].items()}
    return {**common, **_SHAPES[config.family](config), **fixed, "tie_word_embeddings": tied, "use_cache": True}


def model_config(settings: dict[str, Any], source: Path | str) -> ModelConfig:
    """Return our shape for a config.json of the library's; `source` names it in messages."""
    if not isinstance(settings, dict):
        raise UserError(f"{source} holds no JSON object: write the folder again with the library.")
    family = settings.get("model_type")
    if not isinstance(family, str) or family not in FIXED:
        raise UserError(f"{source}: model_type is {family!r}, not one of {', '.join(FIXED)}: choose another folder.")
    for key, (ours, default) in FIXED[family].items():
        if settings.get(key, default) != ours:
            raise UserError(f"{source}: {key} is {settings[key]!r}; this project's {family} has {ours!r} only.")
    readers: dict[str, Callable[..., ModelConfig]] = {"gpt2": _gpt2, "mamba": _mamba, "mamba2": _mamba2}
    try:
        shape = readers.get(family, _ours)(settings, source)
    except KeyError as error:
        raise UserError(f"{source}: the key {error} is missing: write the folder again with the library.") from error
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise UserError(f"{source}: a value is of the wrong kind ({error}): write the folder again.") from error
    for key, message in shape_problems(shape):
        raise UserError(f"{source}: {key}: {message}. Write the folder again with the library.")
    return shape


def _gpt2_settings(c: GPT2Config) -> dict[str, Any]:
    dropouts = {f"{place}_pdrop": c.dropout for place in ("attn", "embd", "resid")}
    shape = {"n_layer": c.n_layer, "n_embd": c.n_embd, "n_head": c.n_head, "n_positions": c.n_positions}
    return {**shape, "n_inner": None, "vocab_size": c.vocab_size, **dropouts, "initializer_range": 0.02}


def _mamba_settings(c: MambaConfig | Mamba2Config) -> dict[str, Any]:
    return {
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_hidden_layers": c.n_layer,
        "state_size": c.d_state,
        "conv_kernel": c.d_conv,
        "expand": c.expand,
        "time_step_rank": c.dt_rank if isinstance(c, MambaConfig) else math.ceil(c.d_model / 16),
        "residual_in_fp32": True,
        "dropout": c.dropout,  # the library's class has none and passes over it
        # False although the initial weights are scaled: with True, from_pretrained scales the loaded weights once more.
        "rescale_prenorm_residual": False,
    }


def _mamba2_settings(c: Mamba2Config) -> dict[str, Any]:
    heads = {"num_heads": c.expand * c.d_model // c.head_dim, "head_dim": c.head_dim}
    return {**_mamba_settings(c), **heads, "n_groups": c.n_groups, "chunk_size": c.chunk_size}


def _our_settings(c: ModelConfig) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(c).items() if key != "family"}


_SHAPES: dict[str, Callable[[Any], dict[str, Any]]] = {
    **dict.fromkeys(OURS, _our_settings),
    "gpt2": _gpt2_settings,
    "mamba": _mamba_settings,
    "mamba2": _mamba2_settings,
}


def _gpt2(s: dict[str, Any], source: Path | str) -> GPT2Config:
    if s.get("n_inner") not in (None, 4 * s["n_embd"]):
        raise UserError(
            f"{source}: n_inner is {s['n_inner']}; this project's gpt2 has 4 n_embd = {4 * s['n_embd']} only."
        )
    dropouts = {s.get(f"{place}_pdrop", 0.1) for place in ("attn", "embd", "resid")}
    if len(dropouts) > 1:
        raise UserError(f"{source}: attn_pdrop, embd_pdrop and resid_pdrop differ; set them to one value.")
    return GPT2Config(
        n_layer=s["n_layer"],
        n_embd=s["n_embd"],
        n_head=s["n_head"],
        n_positions=s.get("n_positions", 1024),
        vocab_size=s["vocab_size"],
        dropout=dropouts.pop(),
    )


def _mamba(s: dict[str, Any], source: Path | str) -> MambaConfig:
    rank = s.get("time_step_rank", "auto")
    return MambaConfig(**_common(s), d_state=s.get("state_size", 16), dt_rank=None if rank == "auto" else rank)


def _mamba2(s: dict[str, Any], source: Path | str) -> Mamba2Config:
    limit = s.get("time_step_limit", [0.0, math.inf])
    if limit[0] > 0 or limit[1] not in (math.inf, {"__float__": "Infinity"}):
        raise UserError(f"{source}: time_step_limit is {limit}; this project's mamba2 has no limit only.")
    sizes = {"d_state": s.get("state_size", 128), "head_dim": s.get("head_dim", 64)}
    return Mamba2Config(**_common(s), **sizes, n_groups=s.get("n_groups", 8), chunk_size=s.get("chunk_size", 256))


def _common(s: dict[str, Any]) -> dict[str, Any]:
    shape = {"n_layer": s["num_hidden_layers"], "d_model": s["hidden_size"], "vocab_size": s["vocab_size"]}
    return {
        **shape,
        "d_conv": s.get("conv_kernel", 4),
        "expand": int(s.get("expand", 2)),
        "dropout": s.get("dropout", 0.0),
    }


def _ours(s: dict[str, Any], source: Path | str) -> ModelConfig:
    kind = FAMILIES[s["model_type"]]
    return kind(**{field.name: s[field.name] for field in dataclasses.fields(kind) if field.name != "family"})


def current_name(name: str, family: str) -> str:
    """Return the present form of names of early releases: without the body's prefix, or `embedding`."""
    prefix = {"gpt2": "transformer.", "gpt2-modern": "transformer.", "lstm": ""}.get(family, "backbone.")
    if not name.startswith((prefix, "lm_head.")):
        name = prefix + name
    return name.replace("backbone.embedding.", "backbone.embeddings.")


def _is_superfluous(name: str, tied: bool) -> bool:
    """True for stored masks of old GPT-2 releases, and a head that is the embedding anyway."""
    return name.endswith((".attn.bias", ".attn.masked_bias")) or (tied and name == "lm_head.weight")


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights: one, or the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        described = read_json(index)
        names = described.get("weight_map") if isinstance(described, dict) else None
        if not isinstance(names, dict) or not all(_is_plain(name) for name in names.values()):
            raise UserError(f"{index} does not name the files of the weights.{MEND}")
        return sorted({folder / name for name in names.values()})
    if not (folder / "model.safetensors").exists():
        raise UserError(f"{folder} holds no model.safetensors: give a folder that `train` or save_pretrained wrote.")
    return [folder / "model.safetensors"]


def _is_plain(name: object) -> bool:
    """True for the name of a file that lies beside its index."""
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name
