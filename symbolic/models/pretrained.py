"""Hugging Face directories: `config.json` and `model.safetensors` as `GPT2LMHeadModel`, `MambaForCausalLM` and
`Mamba2ForCausalLM` write and read them.

A setting of the library's that these models do not have (another activation, biases, cross-attention) is refused by
name rather than ignored. Of the families in OURS the library has no class: their folders have the same two files in the
same form, the shape under the keys of our configuration, and only this project reads them. Special tokens are 0
padding, 1 beginning, 2 end, in every vocabulary of this project.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from symbolic.config import FAMILIES, GPT2Config, Mamba2Config, MambaConfig, ModelConfig, shape_problems
from symbolic.errors import UserError
from symbolic.files import read_json, write_json, write_whole
from symbolic.models import costs
from symbolic.models.architectures import build

if TYPE_CHECKING:
    from symbolic.models.architectures import Model

CLASSES = {"gpt2": "GPT2LMHeadModel", "mamba": "MambaForCausalLM", "mamba2": "Mamba2ForCausalLM"}
OURS = {  # classes that the library does not have
    "lstm": "symbolic.models.lstm.LSTM",
    "gpt2-modern": "symbolic.models.variants.gpt2_modern.GPT2Modern",
    "mamba2-hybrid": "symbolic.models.variants.mamba2_hybrid.Mamba2Hybrid",
}
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


def save(model: "Model", folder: Path | str, metadata: dict[str, str] | None = None) -> None:
    """Write the two files, each whole, weights first; `metadata` joins the weights' header."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    if model.tied:
        del tensors["lm_head.weight"]
    data = safetensors_bytes(tensors, {"format": "pt", **(metadata or {})})
    write_whole(Path(folder) / "model.safetensors", _in_order(data))
    dtype = str(model.lm_head.weight.dtype).removeprefix("torch.")
    write_json(Path(folder) / "config.json", library_config(model.config, tied=model.tied, dtype=dtype))


def _in_order(data: bytes) -> bytes:
    """The bytes of a safetensors file with the metadata in order, so that equal models give equal files."""
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + n :]


def load(
    folder: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    attention: str = "auto",
    scan: str = "auto",
) -> tuple["Model", ModelConfig]:
    """Read a directory; `dtype` None means float32. The model is in evaluation mode."""
    folder = Path(folder)
    settings = read_json(folder / "config.json")
    config = model_config(settings, folder / "config.json")
    _check_size(config, folder)
    tied = settings.get("tie_word_embeddings", TIED_BY_DEFAULT[config.family])
    model = build(config, attention=attention, scan=scan, tied=tied)
    _fill(model, folder)
    _convert(model, dtype or torch.float32)
    return model.to(device).eval(), config


def library_config(config: ModelConfig, *, tied: bool = True, dtype: str = "float32") -> dict[str, Any]:
    """The library's config.json for a shape of ours, or one in its form."""
    common = {
        "architectures": [{**CLASSES, **OURS}[config.family]],
        "model_type": config.family,
        "dtype": dtype,
        **SPECIAL,
    }
    fixed = {key: ours for key, (ours, _) in FIXED[config.family].items()}
    return {**common, **_SHAPES[config.family](config), **fixed, "tie_word_embeddings": tied, "use_cache": True}


def model_config(settings: dict[str, Any], source: Path | str) -> ModelConfig:
    """Our shape for a config.json of the library's; `source` names it in messages."""
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


def _check_size(config: ModelConfig, folder: Path) -> None:
    """Refuse a config.json that describes more weights than the files hold, before they are made room for."""
    n_tensors = n_weights = 0
    for file in _weight_files(folder):
        with _opened(file) as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118  (not a dict)
        n_tensors, n_weights = n_tensors + len(shapes), n_weights + sum(map(math.prod, shapes))
    wanted = costs.weight_flops(config) / 2
    wanted += config.n_positions * config.n_embd if isinstance(config, GPT2Config) else 0
    if config.n_layer > n_tensors or wanted > 2 * n_weights:  # the costs of a layer are rounded: `_fill` is exact
        raise UserError(
            f"{folder} has a config.json of {config.n_layer:,} layers and some {wanted:,.0f} weights; the files "
            f"beside it hold {n_tensors:,} tensors and {n_weights:,} weights.{MEND}"
        )


def _fill(model: "Model", folder: Path) -> None:
    """Copy every tensor of the folder into the model; a missing, extra or misshapen one is named."""
    wanted = {name: t for name, t in model.state_dict().items() if not (model.tied and name == "lm_head.weight")}
    for file, name, tensor in _tensors(folder):
        name = _current_name(name, model)
        if name not in wanted:
            if _superfluous(name, model):
                continue
            raise UserError(f"{file}: the tensor {name} does not belong to the model that config.json describes.{MEND}")
        target = wanted.pop(name)
        if tensor.shape != target.shape:
            shapes = f"has shape {tuple(tensor.shape)}, but config.json describes {tuple(target.shape)}"
            raise UserError(f"{file}: the tensor {name} {shapes}.{MEND}")
        target.copy_(tensor)
    if wanted:
        raise UserError(f"{folder / 'model.safetensors'}: the tensor {next(iter(wanted))} is missing.{MEND}")


MEND = " Copy the whole folder again, or use another checkpoint."


def _tensors(folder: Path) -> Iterator[tuple[Path, str, Tensor]]:
    """(file, name, tensor) of every tensor, from one file or from the shards its index names."""
    for file in _weight_files(folder):
        with _opened(file) as weights:
            for name in weights.keys():  # noqa: SIM118  (not a dict)
                yield file, name, weights.get_tensor(name)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A file of weights; UserError where it is damaged."""
    try:
        with safe_open(file, framework="pt") as weights:
            yield weights
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is truncated or not a safetensors file ({error}).{MEND}") from error


def _weight_files(folder: Path) -> list[Path]:
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


def _current_name(name: str, model: "Model") -> str:
    """Names of early releases: without the body's prefix, or `embedding` for `embeddings`."""
    prefix = {"gpt2": "transformer.", "gpt2-modern": "transformer.", "lstm": ""}.get(model.config.family, "backbone.")
    if not name.startswith((prefix, "lm_head.")):
        name = prefix + name
    return name.replace("backbone.embedding.", "backbone.embeddings.")


def _superfluous(name: str, model: "Model") -> bool:
    """Stored masks of old GPT-2 releases, and a head that is the embedding anyway."""
    return name.endswith((".attn.bias", ".attn.masked_bias")) or (model.tied and name == "lm_head.weight")


def _convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights; the few that set decay rates stay in float32 or wider."""
    for name, parameter in model.named_parameters():
        keep = name.endswith(WIDE) and dtype.itemsize < 4
        parameter.data = parameter.data.to(torch.float32 if keep else dtype)
