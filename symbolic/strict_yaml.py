"""YAML read strictly into frozen dataclasses, with the file, the line and the key's path in every message.

    tree = compose(text, "run.yaml")
    override(tree, "train.steps", "100", known_keys)
    config = read_dataclass(tree, tree.root, Config, "")

Scalars are read by the type of their field, not by YAML 1.1's guesses: `3e-4` is a number where a number is wanted
(PyYAML alone reads a string), while `no` (false to PyYAML), `1:30` (90) and `010` (8) are refused with the spelling to
use. The only module that reads YAML; `symbolic.config` says what a run's file holds.
"""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal

import yaml

from symbolic.errors import UsageError


class Tree:
    """The nodes of one file and where each key stands, for messages."""

    def __init__(self, source: str, root: yaml.Node):
        self.source = source
        self.root = root
        self.places: dict[str, str] = {}

    def place(self, key: str) -> str:
        """Return `file:line` of a key or of its nearest ancestor that is in the file."""
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return self.places.get(key, f"{self.source}:1")

    def where(self, key: str) -> str:
        """Return how a message about a key begins: its place and its path, which an option of the command line
        names."""
        place = self.place(key)
        return place if self.is_option(key) else f"{place}: {key}"

    def is_option(self, key: str) -> bool:
        """Return whether the value is of the command line."""
        return self.places.get(key) == f"--{key}"

    def see(self, key: str, node: yaml.Node) -> None:
        """Note the line of a key, for messages; the first one counts."""
        self.places.setdefault(key, f"{self.source}:{node.start_mark.line + 1}")


def compose(text: str, source: str) -> Tree:
    """Parse one YAML file whose root is a mapping; UsageError names the line of what is not YAML."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise UsageError(f"{source}:{line}: not valid YAML: {what}.") from error
    except RecursionError as error:
        raise UsageError(f"{source}: its values are nested too deeply.") from error
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{source}:1: expected `key: value` lines, as in configs/gpt2-debug.yaml.")
    return Tree(source, root)


def dump(value: dict[str, Any]) -> str:
    """Return YAML text of a mapping, its keys in their order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def override(tree: Tree, key: str, value: str, known: Sequence[str]) -> None:
    """Put `value` in the tree at the dotted `key`, one of `known`, making the mappings on the way."""
    if key not in known:
        raise UsageError(f"--{key}: no such key{nearest(key, known)}")
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


def read_dataclass(tree: Tree, node: yaml.Node, kind: Any, path: str) -> Any:
    """Read a mapping into the dataclass `kind`; of a union of dataclasses, into the one that its `family` names."""
    tree.see(path, node)
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{tree.where(path)}: expected a mapping of keys, found {_found(node)}.")
    if _is_union(kind):
        kind = _family(tree, node, families(kind), path)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    nodes = _named_nodes(tree, node, list(fields), path)
    hints = typing.get_type_hints(kind)
    values = {name: _read(tree, child, hints[name], join(path, name)) for name, child in nodes.items()}
    for name, one in fields.items():
        has_default = one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING
        if name not in values and not has_default:
            raise UsageError(f"{tree.place(path)}: the key {join(path, name)!r} is missing: add it.")
    return kind(**values)


def families(union: Any) -> dict[str, Any]:
    """Return the dataclasses of a union by the only value of their field `family`."""
    return {typing.get_args(typing.get_type_hints(kind)["family"])[0]: kind for kind in typing.get_args(union)}


def _is_union(kind: Any) -> bool:
    """True for a union of dataclasses."""
    return isinstance(kind, types.UnionType) and all(map(dataclasses.is_dataclass, typing.get_args(kind)))


def _family(tree: Tree, node: yaml.MappingNode, known: dict[str, Any], path: str) -> Any:
    for key, value in node.value:
        if key.value == "family":
            tree.see(join(path, "family"), key)
            if value.value in known:
                return known[value.value]
            where = tree.where(join(path, "family"))
            raise UsageError(f"{where}: {_found(value)} is not one of {', '.join(known)}.")
    raise UsageError(f"{tree.place(path)}: the key {join(path, 'family')!r} is missing: add one of {', '.join(known)}.")


def _named_nodes(tree: Tree, node: yaml.MappingNode, names: list[str], path: str) -> dict[str, yaml.Node]:
    """Return the mapping's nodes by key; unknown and repeated keys are refused."""
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if not tree.places.get(join(path, name), "").startswith("--"):
            tree.places[join(path, name)] = f"{tree.source}:{key.start_mark.line + 1}"
        where = tree.where(join(path, name))
        if name not in names:
            raise UsageError(f"{where}: no such key{nearest(name, names)}")
        if name in found:
            raise UsageError(f"{where}: given twice: remove one.")
        found[name] = value
    return found


def _read(tree: Tree, node: yaml.Node, kind: Any, path: str) -> Any:
    """Read a node as the type of its field."""
    if _is_union(kind) or dataclasses.is_dataclass(kind):
        return read_dataclass(tree, node, kind, path)
    where = tree.where(path)
    if typing.get_origin(kind) is tuple:
        return _read_list(tree, node, typing.get_args(kind)[0], path)
    if typing.get_origin(kind) is dict:
        return _read_mapping(tree, node, typing.get_args(kind)[1], path)
    if not isinstance(node, yaml.ScalarNode):
        raise UsageError(f"{where}: expected {_wanted(kind)}, found {_found(node)}.")
    if isinstance(kind, types.UnionType):  # `int | None`
        if node.tag.endswith(":null"):
            return None
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is Literal:
        return _read_choice(node, typing.get_args(kind), where)
    return {int: _read_int, float: _read_float, bool: _read_bool, str: _read_str}[kind](node, where)


def _read_list(tree: Tree, node: yaml.Node, kind: Any, path: str) -> tuple[Any, ...]:
    """Read a YAML sequence as a tuple of `kind`."""
    if not isinstance(node, yaml.SequenceNode):
        raise UsageError(f"{tree.where(path)}: expected a list such as [a, b], found {_found(node)}.")
    return tuple(_read(tree, item, kind, f"{path}[{i}]") for i, item in enumerate(node.value))


def _read_mapping(tree: Tree, node: yaml.Node, kind: Any, path: str) -> dict[str, Any]:
    """Read a YAML mapping with keys of the user's own as a dict from str to `kind`."""
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{tree.where(path)}: expected a mapping of names, found {_found(node)}.")
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    nodes = _named_nodes(tree, node, names, path)
    return {name: _read(tree, child, kind, join(path, name)) for name, child in nodes.items()}


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


def blame(tree: Tree, key: str, message: str, known: Sequence[str]) -> str:
    """Return the message of a failed check of `key`.

    Where the command line gave not that value but one it is compared with, that option is blamed.
    """
    others = [
        one for one in known if tree.is_option(one) and re.search(rf"(?<![\w.]){re.escape(one)}(?![\w.])", message)
    ]
    if others and not tree.is_option(key):
        return f"--{others[0]}: {key} ({tree.place(key)}) {message}"
    return f"{tree.where(key)}: {message}"


def _spelling(node: yaml.ScalarNode) -> str:
    """Return what YAML makes of a trap, and how to write what was meant."""
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


def nearest(name: str, names: Sequence[str]) -> str:
    """End of a message about an unknown name: the nearest one that is known, else all of them."""
    near = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else f"; the keys here are {', '.join(names)}."


def join(path: str, name: str) -> str:
    """Return the dotted path of a key inside the mapping at `path`."""
    return f"{path}.{name}" if path else name
