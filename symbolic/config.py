"""One complete run in one YAML file, read strictly into frozen dataclasses; the only module that reads YAML.

    config = load("configs/gpt2-6m.yaml", overrides=[("train.steps", "100")])

Conventions: every key of a file is a field of a dataclass below, under its name there; a field without a default must
be in the file; nothing is inherited from other files. `model` is one of four shapes, chosen by its `family`.
An error names the file, the line and the key's path, and the nearest valid key where one was misspelt.

Scalars are read by the type of their field, not by YAML 1.1's guesses: `3e-4` is a number where a number is wanted
(PyYAML alone reads a string), while `no` (false to PyYAML), `1:30` (90) and `010` (8) are refused with the
spelling to use.

Units: `context` in tokens, `steps`, `warmup_steps`, `*_every` in optimiser steps, `transpose_*` in semitones.
A step sees batch_size * accumulation * context tokens.
"""

import argparse
import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from symbolic.errors import UsageError
from symbolic.files import digest as text_digest

Override = tuple[str, str]  # dotted key, value as typed


def within(low: float, high: float = math.inf, **default: Any) -> Any:
    """A field whose value must lie in [low, high]."""
    return field(metadata={"low": low, "high": high}, **default)


@dataclass(frozen=True, kw_only=True)
class GPT2Config:
    """A GPT-2 (Radford et al. 2019) with the parameters of `GPT2LMHeadModel`."""

    family: Literal["gpt2"] = "gpt2"
    n_layer: int = within(1)
    n_embd: int = within(1)
    n_head: int = within(1)
    n_positions: int = within(1, default=1024)
    vocab_size: int = within(4, default=768)
    dropout: float = within(0.0, 0.99, default=0.0)


@dataclass(frozen=True, kw_only=True)
class MambaConfig:
    """A Mamba (Gu and Dao 2023) with the parameters of `MambaForCausalLM`; `dt_rank` null is ceil(d_model / 16)."""

    family: Literal["mamba"] = "mamba"
    n_layer: int = within(1)
    d_model: int = within(1)
    d_state: int = within(1, default=16)
    d_conv: int = within(2, default=4)
    expand: int = within(1, default=2)
    dt_rank: int | None = within(1, default=None)
    vocab_size: int = within(4, default=768)
    dropout: float = within(0.0, 0.99, default=0.0)

    def __post_init__(self) -> None:
        if self.dt_rank is None:
            object.__setattr__(self, "dt_rank", math.ceil(self.d_model / 16))


@dataclass(frozen=True, kw_only=True)
class Mamba2Config:
    """A Mamba-2 (Dao and Gu 2024) with the parameters of `Mamba2ForCausalLM`."""

    family: Literal["mamba2"] = "mamba2"
    n_layer: int = within(1)
    d_model: int = within(1)
    d_state: int = within(1, default=64)
    d_conv: int = within(2, default=4)
    expand: int = within(1, default=2)
    head_dim: int = within(1, default=64)
    n_groups: int = within(1, default=1)
    chunk_size: int = within(1, default=64)
    vocab_size: int = within(4, default=768)
    dropout: float = within(0.0, 0.99, default=0.0)


@dataclass(frozen=True, kw_only=True)
class LSTMConfig:
    """An LSTM (Hochreiter and Schmidhuber 1997) whose embedding and layers have `d_model` channels, head tied."""

    family: Literal["lstm"] = "lstm"
    n_layer: int = within(1)
    d_model: int = within(1)
    vocab_size: int = within(4, default=768)
    dropout: float = within(0.0, 0.99, default=0.0)


ModelConfig = GPT2Config | MambaConfig | Mamba2Config | LSTMConfig
FAMILIES: dict[str, type[ModelConfig]] = {
    "gpt2": GPT2Config,
    "mamba": MambaConfig,
    "mamba2": Mamba2Config,
    "lstm": LSTMConfig,
}


MIDI_KINDS = ("remi", "tsd", "midilike", "remi-bytepair", "tsd-bytepair", "midilike-bytepair")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How canonical ABC, or MIDI with a kind of MIDI_KINDS, becomes integers; `vocab_size` is the most tokens a learnt
    vocabulary may hold."""

    kind: Literal[
        "characters", "grammar", "bytepair",
        "remi", "tsd", "midilike", "remi-bytepair", "tsd-bytepair", "midilike-bytepair",
    ]  # fmt: skip
    vocab_size: int = within(4, default=768)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A folder written by `prepare`; how its training tunes fill rows (`symbolic.data.loader`), are transposed and
    rearranged (`symbolic.data.augmentation`: codes in front, the share with bars taken out)."""

    folder: str
    context: int = within(2, default=1024)
    packing: Literal["stream", "tunes"] = "stream"
    control: Literal["none", "codes"] = "none"
    infill: float = within(0.0, 1.0, default=0.0)
    transpose_low: int = within(-11, 11, default=-5)
    transpose_high: int = within(-11, 11, default=6)
    tempo_spread: float = within(0.0, 0.5, default=0.0)  # MIDI: each transposition up to this share slower or faster


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The optimiser, its schedule, and when to evaluate and save; `evaluate_tunes` 0 means all validation tunes."""

    steps: int = within(1)
    batch_size: int = within(1)
    accumulation: int = within(1, default=1)
    learning_rate: float = within(1e-8, 1.0)
    min_learning_rate_ratio: float = within(0.0, 1.0, default=0.1)
    warmup_steps: int = within(0)
    decay: Literal["cosine", "linear"] = "cosine"
    decay_fraction: float = within(0.0, 1.0, default=1.0)
    weight_decay: float = within(0.0, 10.0, default=0.1)
    beta1: float = within(0.0, 0.9999, default=0.9)
    beta2: float = within(0.0, 0.99999, default=0.95)
    eps: float = within(1e-16, 1.0, default=1e-8)
    clip_norm: float = within(1e-6, default=1.0)
    evaluate_every: int = within(1)
    checkpoint_every: int = within(1)
    evaluate_tunes: int = within(0, default=0)
    keep_checkpoints: int = within(1, default=2)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One complete run."""

    name: str
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    train: TrainConfig
    seed: int = within(0, 2**31 - 1, default=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    compile: bool = False
    threads: int = within(0, 1024, default=0)  # 0: PyTorch's own choice
    sharding: Literal["replicated", "full"] = "replicated"  # on several processes: symbolic.training.distributed


def load(path: Path | str, overrides: Sequence[Override] = ()) -> Config:
    """Read a run's YAML file, change the keys named in `overrides`, check everything; UsageError says what to mend."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file: give a YAML file such as configs/gpt2-debug.yaml.") from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot read the configuration {path}: {reason}.{_other_configs(path)}") from error
    return parse(text, overrides, source=str(path))


def parse(text: str, overrides: Sequence[Override] = (), source: str = "configuration") -> Config:
    """`load` from text; `source` stands for the file's name in messages."""
    tree = _Tree(source, _compose(text, source))
    for key, value in overrides:
        _override(tree, key, value)
    config: Config = _read_dataclass(tree, tree.root, Config, "")
    for key, message in problems(config):
        raise UsageError(_blamed(tree, key, message))
    return config


def check(config: Config) -> None:
    """The checks of `load`, for a configuration made in Python."""
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
    if config.tokenizer.kind in MIDI_KINDS and (config.data.control != "none" or config.data.infill):
        yield "data.control", "and data.infill rearrange ABC: leave both out with a tokenizer.kind of MIDI."
    if isinstance(config.model, GPT2Config) and config.data.context > config.model.n_positions:
        yield (
            "data.context",
            f"is more than model.n_positions {config.model.n_positions}: change one.",
        )
    if (config.data.control != "none" or config.data.infill) and config.tokenizer.kind in MIDI_KINDS:
        key = "data.control" if config.data.control != "none" else "data.infill"
        yield key, f"rearranges ABC, and tokenizer.kind is {config.tokenizer.kind}: leave one out."
    if config.data.transpose_low > config.data.transpose_high:
        yield "data.transpose_low", "is above data.transpose_high: swap them."
    if config.train.warmup_steps > config.train.steps:
        yield "train.warmup_steps", f"is more than train.steps {config.train.steps}: lower it."


def load_as(kind: Any, path: Path | str, overrides: Sequence[Override] = ()) -> Any:
    """`load` for another frozen dataclass than `Config`: the same strictness, ranges and messages."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the configuration {path}: {reason}.{_other_configs(Path(path))}") from error
    tree = _Tree(str(path), _compose(text, str(path)))
    for key, value in overrides:
        _override(tree, key, value, keys(kind))
    made = _read_dataclass(tree, tree.root, kind, "")
    for key, message in _out_of_range(made, ""):
        raise UsageError(_blamed(tree, key, message))
    return made


def dump(config: Any) -> str:
    """The configuration as YAML text that `parse` reads back to an equal one."""
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)


def digest(config: Config) -> str:
    """SHA-256 of every value of the configuration."""
    return text_digest(dump(config))


def differences(one: Config, other: Config) -> list[str]:
    """Dotted keys whose values differ between two configurations."""
    left, right = dict(_leaves(dataclasses.asdict(one))), dict(_leaves(dataclasses.asdict(other)))
    return [key for key in left | right if left.get(key, _ABSENT) != right.get(key, _ABSENT)]


def add_overrides(parser: argparse.ArgumentParser, kind: Any = Config) -> None:
    """Add one option for every key, `--train.steps 100`; values are typed and checked by `load`."""
    group = parser.add_argument_group("configuration keys", "each replaces the value in the file")
    for key in keys(kind):
        group.add_argument(f"--{key}", dest=f"override:{key}", metavar="VALUE", default=None)


def overrides_of(args: argparse.Namespace) -> list[Override]:
    """The overrides given on a command line whose parser has `add_overrides`."""
    given = (
        (name.removeprefix("override:"), value) for name, value in vars(args).items() if name.startswith("override:")
    )
    return [(key, value) for key, value in given if value is not None]


def keys(kind: Any = Config) -> list[str]:
    """Every dotted key of a configuration, those of all model families included."""
    return list(dict.fromkeys(_keys_of(kind, "")))


# --- YAML nodes ------------------------------------------------------------------------------------------------------

_ABSENT = object()


class _Tree:
    """The nodes of one file and where each key stands, for messages."""

    def __init__(self, source: str, root: yaml.Node):
        self.source = source
        self.root = root
        self.places: dict[str, str] = {}

    def place(self, key: str) -> str:
        """`file:line` of a key or of its nearest ancestor that is in the file."""
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return self.places.get(key, f"{self.source}:1")

    def where(self, key: str) -> str:
        """How a message about a key begins: its place and its path, which an option of the command line names."""
        place = self.place(key)
        return place if self.is_option(key) else f"{place}: {key}"

    def is_option(self, key: str) -> bool:
        """Whether the value is of the command line."""
        return self.places.get(key) == f"--{key}"

    def see(self, key: str, node: yaml.Node) -> None:
        self.places.setdefault(key, f"{self.source}:{node.start_mark.line + 1}")


def _compose(text: str, source: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise UsageError(f"{source}:{line}: not valid YAML: {what}.") from error
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{source}:1: expected `key: value` lines, as in configs/gpt2-debug.yaml.")
    return root


def _override(tree: _Tree, key: str, value: str, known: Sequence[str] | None = None) -> None:
    """Put `value` in the tree at the dotted `key`, making the mappings on the way."""
    known = keys() if known is None else known
    if key not in known:
        raise UsageError(f"--{key}: no such key{_nearest(key, known)}")
    *parents, last = key.split(".")
    node, path = tree.root, ""
    for name in parents:
        path = f"{path}.{name}".lstrip(".")
        node = _child(node, name)
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{tree.source}: {path}: expected a mapping, found {_found(node)}.")
    assert isinstance(node, yaml.MappingNode)
    scalar = yaml.compose(value, Loader=yaml.SafeLoader) if value.strip() else None
    if not isinstance(scalar, yaml.ScalarNode):
        raise UsageError(f"--{key}: {value!r} is not a single value.")
    node.value = [pair for pair in node.value if pair[0].value != last] + [
        (yaml.ScalarNode("str", last, scalar.start_mark), scalar)
    ]
    tree.places[key] = f"--{key}"


def _child(node: yaml.Node, name: str) -> yaml.Node:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        if key.value == name:
            return value
    made = yaml.MappingNode("map", [], node.start_mark, node.end_mark)
    node.value.append((yaml.ScalarNode("str", name, node.start_mark), made))
    return made


def _read_dataclass(tree: _Tree, node: yaml.Node, kind: Any, path: str) -> Any:
    """Read a mapping into the dataclass `kind`."""
    tree.see(path, node)
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{tree.where(path)}: expected a mapping of keys, found {_found(node)}.")
    if kind is ModelConfig:
        kind = _family(tree, node, path)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    nodes = _named_nodes(tree, node, list(fields), path)
    hints = typing.get_type_hints(kind)
    values = {name: _read(tree, child, hints[name], _join(path, name)) for name, child in nodes.items()}
    for name, one in fields.items():
        if name not in values and one.default is dataclasses.MISSING:
            raise UsageError(f"{tree.place(path)}: the key {_join(path, name)!r} is missing: add it.")
    return kind(**values)


def _family(tree: _Tree, node: yaml.MappingNode, path: str) -> type[ModelConfig]:
    for key, value in node.value:
        if key.value == "family":
            tree.see(_join(path, "family"), key)
            if value.value in FAMILIES:
                return FAMILIES[value.value]
            where = tree.where(_join(path, "family"))
            raise UsageError(f"{where}: {_found(value)} is not one of {', '.join(FAMILIES)}.")
    raise UsageError(
        f"{tree.place(path)}: the key {_join(path, 'family')!r} is missing: add one of {', '.join(FAMILIES)}."
    )


def _named_nodes(tree: _Tree, node: yaml.MappingNode, names: list[str], path: str) -> dict[str, yaml.Node]:
    """The mapping's nodes by key; unknown and repeated keys are refused."""
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if not tree.places.get(_join(path, name), "").startswith("--"):
            tree.places[_join(path, name)] = f"{tree.source}:{key.start_mark.line + 1}"
        where = tree.where(_join(path, name))
        if name not in names:
            raise UsageError(f"{where}: no such key{_nearest(name, names)}")
        if name in found:
            raise UsageError(f"{where}: given twice: remove one.")
        found[name] = value
    return found


def _read(tree: _Tree, node: yaml.Node, kind: Any, path: str) -> Any:
    """Read a node as the type of its field."""
    if kind is ModelConfig or dataclasses.is_dataclass(kind):
        return _read_dataclass(tree, node, kind, path)
    where = tree.where(path)
    if not isinstance(node, yaml.ScalarNode):
        raise UsageError(f"{where}: expected {_wanted(kind)}, found {_found(node)}.")
    if isinstance(kind, types.UnionType):  # `int | None`
        if node.tag.endswith(":null"):
            return None
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is Literal:
        return _read_choice(node, typing.get_args(kind), where)
    return {int: _read_int, float: _read_float, bool: _read_bool, str: _read_str}[kind](node, where)


def _read_int(node: yaml.ScalarNode, where: str) -> int:
    if not node.style and re.fullmatch(r"[+-]?(0|[1-9][0-9_]*)", node.value):
        return int(node.value)
    raise UsageError(f"{where}: expected a whole number, found {_found(node)}.{_spelling(node)}")


def _read_float(node: yaml.ScalarNode, where: str) -> float:
    if not node.style and re.fullmatch(r"[+-]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", node.value):
        return float(node.value)
    raise UsageError(f"{where}: expected a number, found {_found(node)}.{_spelling(node)}")


def _read_bool(node: yaml.ScalarNode, where: str) -> bool:
    if not node.style and node.value in ("true", "false"):
        return node.value == "true"
    raise UsageError(f"{where}: expected true or false, found {_found(node)}.{_spelling(node)}")


def _read_str(node: yaml.ScalarNode, where: str) -> str:
    if node.style or node.tag.endswith(":str"):
        return node.value
    raise UsageError(f'{where}: expected text, found {_found(node)}. If text is meant, write "{node.value}" in quotes.')


def _read_choice(node: yaml.ScalarNode, choices: tuple[str, ...], where: str) -> str:
    if node.value in choices:
        return node.value
    raise UsageError(f"{where}: {_found(node)} is not one of {', '.join(choices)}.")


# --- words of messages -----------------------------------------------------------------------------------------------


def _blamed(tree: _Tree, key: str, message: str) -> str:
    """A failed check of `key`; where the command line gave not that value but one it is compared with, blame that."""
    others = [
        one for one in keys() if tree.is_option(one) and re.search(rf"(?<![\w.]){re.escape(one)}(?![\w.])", message)
    ]
    if others and not tree.is_option(key):
        return f"--{others[0]}: {key} ({tree.place(key)}) {message}"
    return f"{tree.where(key)}: {message}"


def _spelling(node: yaml.ScalarNode) -> str:
    """What YAML makes of a trap, and how to write what was meant."""
    if node.style:
        return " Take the quotes away."
    if node.tag.endswith(":bool"):
        value = yaml.safe_load(node.value)
        return f" YAML reads it as {str(value).lower()}: write {str(value).lower()} if that is meant."
    if node.tag.endswith((":int", ":float")) and not re.fullmatch(r"[+-]?[0-9.]+", node.value.lstrip("0")):
        return f" YAML reads it as {yaml.safe_load(node.value)}: write {yaml.safe_load(node.value)} if that is meant."
    if re.fullmatch(r"[+-]?[0-9.]+[eE][+-]?[0-9]+", node.value) and float(node.value).is_integer():
        return f" Write {int(float(node.value))}."
    if re.fullmatch(r"0[0-9]+", node.value):
        return f" YAML reads a leading zero as octal: write {int(node.value)}."
    return ""


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return repr(node.value) if isinstance(node, yaml.ScalarNode) and node.style else f"`{node.value}`"


def _wanted(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(typing.get_args(kind))}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(kind, "a single value")


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else f"; the keys here are {', '.join(names)}."


def _other_configs(path: Path) -> str:
    """Name the nearest YAML beside an absent one."""
    folder = path.parent if path.parent.is_dir() else Path(".")
    near = difflib.get_close_matches(path.name, [p.name for p in folder.glob("*.yaml") if p != path], n=1)
    return f" Did you mean {folder / near[0]}?" if near else ""


# --- walks over the dataclasses --------------------------------------------------------------------------------------


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _out_of_range(value: Any, path: str) -> Iterator[tuple[str, str]]:
    for one in dataclasses.fields(value):
        inner = getattr(value, one.name)
        if dataclasses.is_dataclass(inner):
            yield from _out_of_range(inner, _join(path, one.name))
        elif "low" in one.metadata and inner is not None:
            low, high = one.metadata["low"], one.metadata["high"]
            if not low <= inner <= high:
                limits = f"at least {low}" if high == math.inf else f"from {low} to {high}"
                yield _join(path, one.name), f"{inner} is out of range: give a value {limits}."


def _shape_problems(model: ModelConfig) -> Iterator[tuple[str, str]]:
    if isinstance(model, GPT2Config) and model.n_embd % model.n_head:
        yield "model.n_head", f"does not divide model.n_embd {model.n_embd}: change one."
    if isinstance(model, Mamba2Config):
        if (model.expand * model.d_model) % model.head_dim:
            yield "model.head_dim", f"does not divide expand * d_model {model.expand * model.d_model}: change one."
        elif (model.expand * model.d_model // model.head_dim) % model.n_groups:
            yield "model.n_groups", "does not divide the number of heads, expand * d_model / head_dim: change one."


def _leaves(mapping: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from _leaves(value, _join(path, name))
        else:
            yield _join(path, name), value


def _keys_of(kind: Any, path: str) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for one in dataclasses.fields(kind):
        hint = hints[one.name]
        for inner in FAMILIES.values() if hint is ModelConfig else (hint,):
            if dataclasses.is_dataclass(inner):
                yield from _keys_of(inner, _join(path, one.name))
            else:
                yield _join(path, one.name)
