"""A score as JSON, to pass it between processes: every dataclass of `notation.score` and `notation.theory` as a list
of its name and its fields, tuples and dictionaries marked as such. It reads back equal.
"""

from collections import Counter
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from symbolic.notation import score, theory

_CLASSES: dict[str, Any] = {
    name: value
    for module in (score, theory)
    for name, value in vars(module).items()
    if isinstance(value, type) and is_dataclass(value)
}


def encode(value: Any) -> Any:
    """JSON of a score or of a part of one."""
    if is_dataclass(value):
        return [type(value).__name__, *(encode(getattr(value, one.name)) for one in fields(value) if one.init)]
    if isinstance(value, Counter):
        return {"c": dict(value)}
    if isinstance(value, dict):
        return {"d": [[encode(key), encode(one)] for key, one in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"t" if isinstance(value, tuple) else "l": [encode(one) for one in value]}
    if isinstance(value, Fraction):
        return {"f": [value.numerator, value.denominator]}
    return value


def decode(value: Any) -> Any:
    """What `encode` made JSON of."""
    if isinstance(value, list):
        return _CLASSES[value[0]](*map(decode, value[1:]))
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "d":
        return {decode(key): decode(one) for key, one in content}
    if kind == "c":
        return Counter(content)
    if kind == "f":
        return Fraction(*content)
    items = [decode(one) for one in content]
    return tuple(items) if kind == "t" else items
