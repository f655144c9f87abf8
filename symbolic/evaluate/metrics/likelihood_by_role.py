"""How well does a model predict tunes, and which parts of them?

Task: the likelihood that a model gives to whole tunes, as `symbolic.training.likelihood` defines it, in three units and
split.

- bits per byte of canonical text: may be compared across tokenizers, not across spellings;
- bits per note (every pitch written: notes, notes of chords, graces) and per bar (bar lines written): for comparing a
  model of ABC with one of MIDI, which share notes and bars and no bytes;
- by role and by occurrence (`token_roles`): bits of the tokens that begin there over the bytes of those tokens. Bits of
  the end of a tune, which has no text, count in the whole and in no part.

A set's figure is all bits over all units. Intervals are of a bootstrap over tunes. Low is not good in itself: a tune
that the model has learnt by heart, or a tune of one note, is predicted best of all; read it beside the same figure of
human tunes that the model has not seen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symbolic.evaluate.metrics import bootstrap, token_roles
from symbolic.evaluate.report.tables import Cell, Table

if TYPE_CHECKING:
    import torch

    from symbolic.tokens import Tokenizer

PARTS = {"role": token_roles.ROLES, "occurrence": token_roles.OCCURRENCES}


@dataclass(frozen=True)
class TunePrediction:
    """Likelihood of one tune: its bits, its units, and (bits, bytes, tokens) of its parts: {"role": {"pitch": ...},
    ...}."""

    bits: float
    n_bytes: int
    n_notes: int
    n_bars: int
    parts: dict[str, dict[str, tuple[float, int, int]]]


def predict(
    model: Any,
    tokenizer: "Tokenizer",
    texts: Sequence[str],
    *,
    context: int,
    notes: int = token_roles.NOTES,
    dtype: "torch.dtype | None" = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[TunePrediction]:
    """Score texts, in the order given. `notes` is the length of the phrase that `token_roles.occurrences` looks back
    on."""
    import torch

    from symbolic.training import likelihood

    ids = tokenizer.encode_many(texts)
    scored = likelihood.token_nats(model, ids, context=context, dtype=dtype or torch.float32, on_batch=on_batch)
    return [
        _of_tune(text, [len(tokenizer.token_bytes(id)) for id in own], nats, notes)
        for text, own, nats in zip(texts, ids, scored, strict=True)
    ]


def measures(tunes: Sequence[TunePrediction], seed: int = 0) -> dict[str, Any]:
    """Pool the likelihood of a set.

    Returns {"bits_per_byte": {"value", "low", "high"}, "bits_per_note", "bits_per_bar", "n_tunes", "role": {"pitch":
    {"value", "low", "high", "share" of bytes, "nats_per_token", "n_bytes", "n_tokens"}}, "occurrence"}.
    """
    found: dict[str, Any] = {"n_tunes": len(tunes)}
    bits = [tune.bits for tune in tunes]
    for unit in ("byte", "note", "bar"):
        figure = _figure(bits, [getattr(tune, f"n_{unit}s") for tune in tunes], seed)
        found |= {f"bits_per_{unit}": figure} if figure else {}
    for kind, names in PARTS.items():
        parts = {name: _part([tune.parts[kind].get(name, (0.0, 0, 0)) for tune in tunes], seed) for name in names}
        found[kind] = {name: part for name, part in parts.items() if part}
        whole = sum(part["n_bytes"] for part in found[kind].values())
        for part in found[kind].values():
            part["share"] = part["n_bytes"] / whole
    return found


def table(columns: Mapping[str, Mapping[str, Any]], title: str = "Likelihood by part, bits per byte") -> Table:
    """Show the `measures` of several sets side by side, with intervals."""
    keys: list[tuple[str, str]] = [("", "bits_per_byte")] + [(kind, name) for kind in PARTS for name in PARTS[kind]]
    rows: list[list[Cell]] = []
    for kind, name in keys:
        found = [(column.get(kind, {}) if kind else column).get(name) for column in columns.values()]
        if any(found):
            texts = [f"{one['value']:.3f} ({one['low']:.3f}–{one['high']:.3f})" if one else None for one in found]
            rows.append([name.replace("_", " ") if not kind else f"{name}", *texts])
    sizes = ", ".join(f"{name} {column['n_tunes']:,}" for name, column in columns.items())
    return Table(
        title, ["part", *columns], rows, f"With 95 % intervals of a bootstrap over tunes. Tunes scored: {sizes}."
    )


def _of_tune(text: str, sizes: Sequence[int], nats: Any, notes: int) -> TunePrediction:
    """Sum one tune's losses by role and occurrence. `sizes` are the bytes of the tokens, `nats` their losses and that
    of the end."""
    letters = token_roles.as_bytes(text)
    starts = [0]
    for size in sizes[:-1]:
        starts.append(starts[-1] + size)
    bits = [float(value) / math.log(2) for value in nats]
    names = {
        "role": token_roles.roles(letters, starts[: len(sizes)]),
        "occurrence": token_roles.occurrences(letters, starts, notes),
    }
    parts: dict[str, dict[str, tuple[float, int, int]]] = {}
    for kind, found in names.items():
        sums: dict[str, tuple[float, int, int]] = {}
        for name, size, one in zip(found, sizes, bits):
            before = sums.get(name, (0.0, 0, 0))
            sums[name] = (before[0] + one, before[1] + size, before[2] + 1)
        parts[kind] = sums
    counted = [role for role, _ in token_roles.words(letters)]
    return TunePrediction(sum(bits), len(letters), counted.count("pitch"), counted.count("bar line"), parts)


def _part(sums: Sequence[tuple[float, int, int]], seed: int) -> dict[str, Any]:
    bits, sizes, counts = zip(*sums)
    figure = _figure(bits, sizes, seed)
    extra = {
        "n_bytes": sum(sizes),
        "n_tokens": sum(counts),
        "nats_per_token": sum(bits) * math.log(2) / max(1, sum(counts)),
    }
    return figure | extra if figure else {}


def _figure(bits: Sequence[float], units: Sequence[int], seed: int) -> dict[str, float]:
    """Return value and interval of one figure; empty where nothing is counted."""
    if not sum(units):
        return {}
    low, high = bootstrap.bootstrap(bits, units, seed=seed)
    return {"value": sum(bits) / sum(units), "low": low, "high": high}
