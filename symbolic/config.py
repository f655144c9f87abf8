"""One complete run in one YAML file, as frozen dataclasses whose keys carry their range and a line of help.

    config = load("configs/gpt2-6m.yaml", overrides=[("train.steps", "100")])

Conventions: every key of a file is a field of a dataclass below, under its name there; a field without a default must
be in the file; nothing is inherited from other files. `model` is one of six shapes, chosen by its `family`.
An error names the file, the line and the key's path, and the nearest valid key where one was misspelt
(`symbolic.strict_yaml`, which also reads the values by the type of their field).

Units: `context` in tokens, `steps`, `warmup_steps`, `*_every` in optimiser steps, `transpose_*` in semitones.
A step sees batch_size * accumulation * context tokens.
"""

import argparse
import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from symbolic import strict_yaml
from symbolic.errors import UsageError
from symbolic.files import digest as text_digest
from symbolic.strict_yaml import join

Override = tuple[str, str]  # dotted key, value as typed


def within(low: float, high: float = math.inf, help: str = "", **default: Any) -> Any:
    """Return a field whose value must lie in [low, high]; `help` is its line in `--help`."""
    return field(metadata={"low": low, "high": high, "help": help}, **default)


def described(help: str, **default: Any) -> Any:
    """Return a field of text, choice or truth value; `help` is its line in `--help`."""
    return field(metadata={"help": help}, **default)


@dataclass(frozen=True, kw_only=True)
class _AttentionKeys:
    """Keys of the models whose every layer is attention."""

    family: str
    n_layer: int = within(1, help="blocks")
    n_embd: int = within(2, help="width of a position, channels")
    n_head: int = within(1, help="attention heads; divides n_embd")
    n_positions: int = within(1, help="longest row, tokens", default=1024)
    vocab_size: int = within(4, help="rows of the embedding; at least tokenizer.vocab_size", default=768)
    dropout: float = within(0.0, 0.99, help="share of activations dropped in training", default=0.0)


@dataclass(frozen=True, kw_only=True)
class GPT2Config(_AttentionKeys):
    """A GPT-2 (Radford et al. 2019) with the parameters of `GPT2LMHeadModel`."""

    family: Literal["gpt2"] = described("the architecture", default="gpt2")


@dataclass(frozen=True, kw_only=True)
class GPT2ModernConfig(_AttentionKeys):
    """A GPT-2 with rotary positions, norms of queries and keys, squared ReLU (symbolic.models.variants.gpt2_modern)."""

    family: Literal["gpt2-modern"] = described("the architecture", default="gpt2-modern")


@dataclass(frozen=True, kw_only=True)
class MambaConfig:
    """A Mamba (Gu and Dao 2023) with the parameters of `MambaForCausalLM`; `dt_rank` null is ceil(d_model / 16)."""

    family: Literal["mamba"] = described("the architecture", default="mamba")
    n_layer: int = within(1, help="blocks")
    d_model: int = within(1, help="width of a position, channels")
    d_state: int = within(1, help="numbers of state in each channel", default=16)
    d_conv: int = within(2, help="width of the convolution, tokens", default=4)
    expand: int = within(1, help="inner width over d_model", default=2)
    dt_rank: int | None = within(1, help="rank of the step-size projection; null: d_model / 16", default=None)
    vocab_size: int = within(4, help="rows of the embedding; at least tokenizer.vocab_size", default=768)
    dropout: float = within(0.0, 0.99, help="share of activations dropped in training", default=0.0)

    def __post_init__(self) -> None:
        if self.dt_rank is None:
            object.__setattr__(self, "dt_rank", math.ceil(self.d_model / 16))


@dataclass(frozen=True, kw_only=True)
class _Mamba2Keys:
    """Keys of the models that have Mamba-2 layers."""

    family: str
    n_layer: int = within(1, help="blocks")
    d_model: int = within(1, help="width of a position, channels")
    d_state: int = within(1, help="numbers of state in each channel", default=64)
    d_conv: int = within(2, help="width of the convolution, tokens", default=4)
    expand: int = within(1, help="inner width over d_model", default=2)
    head_dim: int = within(1, help="channels of a head; divides expand * d_model", default=64)
    n_groups: int = within(1, help="groups of heads that share B and C", default=1)
    chunk_size: int = within(
        1, help="tokens of a chunk in the matrix form; the result does not depend on it", default=64
    )
    vocab_size: int = within(4, help="rows of the embedding; at least tokenizer.vocab_size", default=768)
    dropout: float = within(0.0, 0.99, help="share of activations dropped in training", default=0.0)


@dataclass(frozen=True, kw_only=True)
class Mamba2Config(_Mamba2Keys):
    """A Mamba-2 (Dao and Gu 2024) with the parameters of `Mamba2ForCausalLM`."""

    family: Literal["mamba2"] = described("the architecture", default="mamba2")


@dataclass(frozen=True, kw_only=True)
class LSTMConfig:
    """An LSTM (Hochreiter and Schmidhuber 1997) whose embedding and layers have `d_model` channels, head tied."""

    family: Literal["lstm"] = described("the architecture", default="lstm")
    n_layer: int = within(1, help="layers")
    d_model: int = within(1, help="width of embedding and layers, channels")
    vocab_size: int = within(4, help="rows of the embedding; at least tokenizer.vocab_size", default=768)
    dropout: float = within(0.0, 0.99, help="share of activations dropped in training", default=0.0)


@dataclass(frozen=True, kw_only=True)
class Mamba2HybridConfig(_Mamba2Keys):
    """A Mamba-2 of whose layers one in `attention_every` is attention (symbolic.models.variants.mamba2_hybrid)."""

    family: Literal["mamba2-hybrid"] = described("the architecture", default="mamba2-hybrid")
    n_layer: int = within(2, help="blocks")
    attention_every: int = within(2, help="layers of which the middle one is attention", default=6)
    n_head: int = within(1, help="attention heads; divides d_model")

    @property
    def attention_layers(self) -> range:
        """Places of the attention layers: the middle one of every `attention_every`."""
        return range(self.attention_every // 2, self.n_layer, self.attention_every)


ModelConfig = GPT2Config | MambaConfig | Mamba2Config | LSTMConfig | GPT2ModernConfig | Mamba2HybridConfig
FAMILIES: dict[str, type[ModelConfig]] = strict_yaml.families(ModelConfig)

LOGS = ("csv", "tensorboard")  # forms of the metrics beside metrics.jsonl
MIDI_KINDS = ("remi", "tsd", "midilike", "remi-bytepair", "tsd-bytepair", "midilike-bytepair")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How canonical ABC, or MIDI with a kind of MIDI_KINDS, becomes integers; `vocab_size` is the most tokens a learnt
    vocabulary may hold."""

    kind: Literal[
        "characters", "grammar", "counted", "counted-rooms", "counted-sections", "bytepair",
        "remi", "tsd", "midilike", "remi-bytepair", "tsd-bytepair", "midilike-bytepair",
    ] = described("how text becomes integers")  # fmt: skip
    vocab_size: int = within(
        4, help="ids of the vocabulary, padding included; a learnt one holds at most as many", default=768
    )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A folder written by `prepare`; which of its training tunes are taken (`right`: those whose bars all fit their
    meter), how they fill rows (`symbolic.data.loader`), are transposed (each key as often, or more often the keys of
    the corpus) and rearranged (`symbolic.data.augmentation`: lines in front, the share with bars taken out)."""

    folder: str = described("folder written by `prepare`")
    sources: str = described("what `prepare CONFIG.yaml` reads, parted by spaces: collections, files", default="")
    context: int = within(2, help="tokens of a row", default=1024)
    packing: Literal["stream", "tunes"] = described(
        "stream: tunes end to end through the rows; tunes: whole tunes in each row", default="stream"
    )
    tunes: Literal["all", "right"] = described(
        "right: only training tunes whose bars all fit their meter", default="all"
    )
    control: Literal["none", "codes", "style"] = described(
        "codes: each tune after lines that state its form, type and range; style: after a line that names its style",
        default="none",
    )
    infill: float = within(0.0, 1.0, help="share of tunes whose bars are taken out and written at the end", default=0.0)
    transpose_low: int = within(-11, 11, help="lowest transposition of a training tune, semitones", default=-5)
    transpose_high: int = within(-11, 11, help="highest transposition of a training tune, semitones", default=6)
    keys: Literal["uniform", "corpus"] = described(
        "how often each transposition: uniform: alike; corpus: more often the keys of the corpus", default="uniform"
    )
    tempo_spread: float = within(
        0.0, 0.5, help="MIDI: each transposition up to this share slower or faster", default=0.0
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The optimiser, its schedule, and when to evaluate and save; `evaluate_tunes` 0 means all validation tunes."""

    steps: int = within(1, help="optimiser updates of the run")
    batch_size: int = within(1, help="rows of a forward pass")
    accumulation: int = within(1, help="forward passes of an update", default=1)
    optimizer: Literal["adamw", "muon"] = described(
        "adamw; muon: hidden matrices by Muon, all else by AdamW", default="adamw"
    )
    learning_rate: float = within(1e-8, 1.0, help="highest learning rate")
    muon_learning_rate: float = within(1e-8, 10.0, help="highest rate of Muon, on the same schedule", default=0.02)
    muon_momentum: float = within(0.0, 0.9999, help="Muon's decay of the gradient's mean", default=0.95)
    min_learning_rate_ratio: float = within(0.0, 1.0, help="last learning rate over the highest", default=0.1)
    warmup_steps: int = within(0, help="updates in which the learning rate rises")
    short_steps: int = within(0, help="first updates, in which rows are cut short: learnt from sooner", default=0)
    short_context: int = within(2, help="tokens of a short row", default=256)
    decay: Literal["cosine", "linear"] = described("how the learning rate falls", default="cosine")
    decay_fraction: float = within(0.0, 1.0, help="share of the run, at its end, in which it falls", default=1.0)
    weight_decay: float = within(0.0, 10.0, help="on matrices", default=0.1)
    beta1: float = within(0.0, 0.9999, help="AdamW's decay of the gradient's mean", default=0.9)
    beta2: float = within(0.0, 0.99999, help="AdamW's decay of its square's mean", default=0.95)
    eps: float = within(1e-16, 1.0, help="AdamW's guard against division by zero", default=1e-8)
    clip_norm: float = within(1e-6, help="largest norm of the gradient", default=1.0)
    evaluate_every: int = within(1, help="updates between two validations")
    checkpoint_every: int = within(1, help="updates between two checkpoints")
    checkpoint_minutes: float = within(0, help="minutes after which a checkpoint is due, too; 0: never", default=30.0)
    evaluate_tunes: int = within(0, help="validation tunes used, 0: all", default=0)
    keep_checkpoints: int = within(1, help="newest checkpoints that are kept", default=2)
    logs: str = described("other forms of the metrics, parted by spaces: csv, tensorboard", default="")
    lora_rank: int = within(0, 1024, help="with --from: train low-rank updates of this rank alone; 0: all", default=0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One complete run."""

    name: str = described("name of the run, and of its folder under runs/")
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    train: TrainConfig
    start: str = described("model whose weights it begins with: a ready-made one, a run, a folder", default="")
    seed: int = within(0, 2**31 - 1, help="of weights, order and augmentation", default=0)
    device: Literal["auto", "cpu", "cuda"] = described("where to compute", default="auto")
    dtype: Literal["auto", "bfloat16", "float32"] = described(
        "type of matrix products; auto: bfloat16 where it is faster", default="auto"
    )
    compile: bool = described("compile the model with torch.compile", default=False)
    threads: int = within(0, 1024, help="threads of a CPU, 0: PyTorch's choice", default=0)
    sharding: Literal["replicated", "full"] = described(
        "on several processes: whole copies, or parameters dealt out", default="replicated"
    )


def load(path: Path | str, overrides: Sequence[Override] = ()) -> Config:
    """Read a run's YAML file, change the keys named in `overrides`, check everything; UsageError says what to mend."""
    return parse(_text(Path(path)), overrides, source=str(path))


def parse(text: str, overrides: Sequence[Override] = (), source: str = "configuration") -> Config:
    """Return `load` from text; `source` stands for the file's name in messages."""
    config: Config = _parse_as(Config, text, overrides, source)
    return config


def load_as(kind: Any, path: Path | str, overrides: Sequence[Override] = ()) -> Any:
    """Return `load` for another frozen dataclass than `Config`: the same strictness, ranges and messages."""
    return _parse_as(kind, _text(Path(path)), overrides, str(path))


def bundled_folder() -> Path:
    """Return the folder of the configurations that come with the project: in a wheel inside the package, else beside
    it."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find(path: Path | str) -> Path:
    """Return the file at `path`; where there is none, the bundled one of that name: configs/gpt2-6m.yaml or
    gpt2-6m.yaml."""
    path = Path(path)
    if path.exists() or path.is_absolute() or ".." in path.parts:
        return path
    name = path.relative_to("configs") if path.parts[:1] == ("configs",) else path
    found = bundled_folder() / name
    return found if name.suffix and found.is_file() else path


def _text(path: Path) -> str:
    path = find(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file: give a YAML file such as configs/gpt2-debug.yaml.") from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot read the configuration {path}: {reason}.{_other_configs(path)}") from error


def _parse_as(kind: Any, text: str, overrides: Sequence[Override], source: str) -> Any:
    known = keys(kind)
    tree = strict_yaml.compose(text, source)
    for key, value in overrides:
        strict_yaml.override(tree, key, value, known)
    config = strict_yaml.read_dataclass(tree, tree.root, kind, "")
    for key, message in problems(config) if kind is Config else _out_of_range(config, ""):
        raise UsageError(strict_yaml.blame(tree, key, message, known))
    return config


def _other_configs(path: Path) -> str:
    """Name the nearest YAML beside an absent one."""
    folder = path.parent if path.parent.is_dir() and any(path.parent.glob("*.yaml")) else bundled_folder()
    near = difflib.get_close_matches(path.name, [p.name for p in folder.glob("*.yaml") if p != path], n=1)
    if folder == bundled_folder() and near:
        return f" Did you mean {near[0]}?"
    return f" Did you mean {folder / near[0]}?" if near else ""


def check(config: Config) -> None:
    """Check as `load` does, for a configuration made in Python."""
    for key, message in problems(config):
        raise UsageError(f"configuration {config.name}: {key}: {message}")


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, message) for values that are out of range or do not fit each other."""
    yield from _out_of_range(config, "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", config.name):
        yield "name", f"{config.name!r} names a folder: use letters, digits, '.', '_' and '-' only."
    yield from _shape_problems(config.model)
    if config.tokenizer.vocab_size > config.model.vocab_size:
        yield "tokenizer.vocab_size", f"is more than model.vocab_size {config.model.vocab_size}: lower it."
    if isinstance(config.model, GPT2Config | GPT2ModernConfig) and config.data.context > config.model.n_positions:
        yield (
            "data.context",
            f"is more than model.n_positions {config.model.n_positions}: change one.",
        )
    if (config.data.control != "none" or config.data.infill) and config.tokenizer.kind in MIDI_KINDS:
        key = "data.control" if config.data.control != "none" else "data.infill"
        yield key, f"rearranges ABC, and tokenizer.kind is {config.tokenizer.kind}: leave one out."
    if config.data.transpose_low > config.data.transpose_high:
        yield "data.transpose_low", "is above data.transpose_high: swap them."
    if config.train.short_steps and config.data.context % config.train.short_context:
        yield "train.short_context", f"does not divide data.context {config.data.context}: change one."
    yield from _option_problems(config)
    if config.train.warmup_steps > config.train.steps:
        yield "train.warmup_steps", f"is more than train.steps {config.train.steps}: lower it."


def _option_problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield options that do not go together, and words that name nothing."""
    for word in config.train.logs.split():
        if word not in LOGS:
            yield "train.logs", f"{word!r} is not one of {', '.join(LOGS)}."
    if config.train.lora_rank:
        if not config.start:
            yield "train.lora_rank", "trains updates of a model that is there: name it with --from (key start)."
        for key, value in (("train.optimizer", "muon"), ("sharding", "full")):
            if leaves(config)[key] == value:
                yield "train.lora_rank", f"does not go with {key} {value}: change one."
    if config.train.optimizer == "muon" and config.sharding == "full":
        yield "train.optimizer", "muon needs whole matrices, and sharding is full: write sharding: replicated."


def shape_problems(model: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for what keeps a model's shape, from a file of others, from being one."""
    for name, hint in typing.get_type_hints(type(model)).items():
        value, kinds = getattr(model, name), (float, int) if hint is float else (int, type(None), str)
        if isinstance(value, bool) or not isinstance(value, kinds) or (isinstance(value, str) and name != "family"):
            yield name, f"{value!r} is no number of the right kind"
            return
    yield from _out_of_range(model, "")
    yield from _shape_problems(model)


def dump(config: Any) -> str:
    """Return the configuration as YAML text that `parse` reads back to an equal one."""
    return strict_yaml.dump(dataclasses.asdict(config))


def digest(config: Any) -> str:
    """Return SHA-256 of every value of the configuration."""
    return text_digest(dump(config))


_ABSENT = object()


def leaves(config: Config) -> dict[str, Any]:
    """Return every dotted key of a configuration with its value."""
    return dict(_leaves(dataclasses.asdict(config)))


def differences(one: Any, other: Any) -> list[str]:
    """Return dotted keys whose values differ between two configurations."""
    left, right = leaves(one), leaves(other)
    return [key for key in left | right if left.get(key, _ABSENT) != right.get(key, _ABSENT)]


def add_overrides(parser: argparse.ArgumentParser, kind: Any = Config, title: str = "configuration keys") -> None:
    """Add one option for every key, `--train.steps 100`; values are typed and checked by `load`.

    A verb that takes configurations of two kinds calls this for each; a key of both stands under the first `title`.
    """
    group = parser.add_argument_group(title, "each replaces the value in the file")
    known = {action.dest for action in parser._actions}
    for key, text in described_keys(kind).items():
        if f"override:{key}" in known:
            continue
        group.add_argument(
            f"--{key}", dest=f"override:{key}", metavar="VALUE", default=None, help=text.replace("%", "%%")
        )


def overrides_of(args: argparse.Namespace) -> list[Override]:
    """Return the overrides given on a command line whose parser has `add_overrides`."""
    given = (
        (name.removeprefix("override:"), value) for name, value in vars(args).items() if name.startswith("override:")
    )
    return [(key, value) for key, value in given if value is not None]


def keys(kind: Any = Config) -> list[str]:
    """Return every dotted key of a configuration, those of all model families included."""
    return list(described_keys(kind))


def described_keys(kind: Any = Config) -> dict[str, str]:
    """Return every dotted key with its line of help: what it is, which values it takes, its default."""
    texts: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for key, one, hint in _fields(kind, ""):
        texts.setdefault(key, []).append(one.metadata.get("help", ""))
        notes.setdefault(key, []).extend(_notes(one, hint))
    joined = {key: " or ".join(dict.fromkeys(some)) for key, some in texts.items()}
    return {key: f"{text} ({'; '.join(dict.fromkeys(notes[key]))})".removesuffix(" ()") for key, text in joined.items()}


# --- walks over the dataclasses --------------------------------------------------------------------------------------


def _out_of_range(value: Any, path: str) -> Iterator[tuple[str, str]]:
    for one in dataclasses.fields(value):
        inner = getattr(value, one.name)
        if dataclasses.is_dataclass(inner):
            yield from _out_of_range(inner, join(path, one.name))
        elif "low" in one.metadata and inner is not None:
            low, high = one.metadata["low"], one.metadata["high"]
            if not low <= inner <= high:
                yield join(path, one.name), f"{inner} is out of range: give a value {_limits(low, high)}."


def _shape_problems(model: ModelConfig) -> Iterator[tuple[str, str]]:
    if isinstance(model, GPT2Config | GPT2ModernConfig) and model.n_embd % model.n_head:
        yield "model.n_head", f"does not divide model.n_embd {model.n_embd}: change one."
    elif isinstance(model, GPT2ModernConfig) and model.n_embd // model.n_head % 2:
        yield "model.n_head", f"leaves heads of {model.n_embd // model.n_head} channels; rotation needs an even number."
    if isinstance(model, Mamba2Config | Mamba2HybridConfig):
        if (model.expand * model.d_model) % model.head_dim:
            yield "model.head_dim", f"does not divide expand * d_model {model.expand * model.d_model}: change one."
        elif (model.expand * model.d_model // model.head_dim) % model.n_groups:
            yield "model.n_groups", "does not divide the number of heads, expand * d_model / head_dim: change one."
    if isinstance(model, Mamba2HybridConfig):
        if model.d_model % model.n_head:
            yield "model.n_head", f"does not divide model.d_model {model.d_model}: change one."
        if not model.attention_layers:
            yield "model.attention_every", f"leaves none of model.n_layer {model.n_layer} to attention: lower it."


def _leaves(mapping: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from _leaves(value, join(path, name))
        else:
            yield join(path, name), value


def _fields(kind: Any, path: str) -> Iterator[tuple[str, "dataclasses.Field[Any]", Any]]:
    """Yield (dotted key, field, type), of a union of models those of each."""
    hints = typing.get_type_hints(kind)
    for one in dataclasses.fields(kind):
        hint = hints[one.name]
        for inner in FAMILIES.values() if hint is ModelConfig else (hint,):
            if dataclasses.is_dataclass(inner):
                yield from _fields(inner, join(path, one.name))
            else:
                yield join(path, one.name), one, hint


def _notes(one: "dataclasses.Field[Any]", hint: Any) -> Iterator[str]:
    """Yield which values a key takes, and its default."""
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    if choices or hint is bool:
        yield ", ".join(choices or ("true", "false"))
    elif "low" in one.metadata:
        yield _limits(one.metadata["low"], one.metadata["high"])
    if one.default not in (dataclasses.MISSING, "", None) and len(choices) != 1:
        yield f"default {str(one.default).lower() if hint is bool else one.default}"


def _limits(low: float, high: float) -> str:
    return f"at least {low}" if high == math.inf else f"from {low} to {high}"
