"""Linear models of valence and arousal: ridge regression on standardised features, kept as safetensors.

    weights = argmin |Y - b - Z W|^2 + penalty |W|^2,   Z = (X - mean) / sd

Intervals are split-conformal (Lei and others 2018): the half-width at coverage 1 - a is the ceil((n + 1)(1 - a))/n
quantile of |error| out of fold. A `domain` is the Mahalanobis distance of features beyond which an input is unlike the
training data.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.errors import UserError
from symbolic.files import sha256, write_whole

Floats = NDArray[np.float64]
FAR, STRANGE = 3.0, 5.0  # spreads of a feature in the training data
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True)
class Ridge:
    """`weights` (features, outputs) on standardised features; `half_width` (outputs,) of 90 % intervals."""

    names: tuple[str, ...]
    mean: Floats
    sd: Floats
    weights: Floats
    bias: Floats
    half_width: Floats = field(default_factory=lambda: np.zeros(2))
    precision: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    farthest: float = np.inf

    def predict(self, features: Floats) -> Floats:
        """(n, outputs) of features (n, d)."""
        return (np.atleast_2d(features) - self.mean) / self.sd @ self.weights + self.bias

    def predict_known(self, features: Floats) -> Floats:
        """(n, outputs) of features (n, d) without those that lie far outside of the training data, where a straight
        line would lead anywhere: from FAR spreads on a feature counts less, from STRANGE on not at all."""
        z = (np.atleast_2d(features) - self.mean) / self.sd
        return z * np.clip((STRANGE - np.abs(z)) / (STRANGE - FAR), 0, 1) @ self.weights + self.bias

    def distance(self, features: Floats) -> Floats:
        """(n,) Mahalanobis distances from the training data; zeros where no covariance was kept."""
        if not self.precision.size:
            return np.zeros(len(np.atleast_2d(features)))
        z = (np.atleast_2d(features) - self.mean) / self.sd
        return np.sqrt(np.maximum(np.einsum("nd,de,ne->n", z, self.precision, z), 0))

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """Arrays to store under `prefix`."""
        arrays = {"mean": self.mean, "sd": self.sd, "weights": self.weights, "bias": self.bias}
        arrays |= {"half_width": self.half_width, "farthest": np.array([self.farthest])}
        arrays |= {"precision": self.precision} if self.precision.size else {}
        return {f"{prefix}.{name}": np.ascontiguousarray(a, dtype=np.float32) for name, a in arrays.items()}


def fit(features: Floats, targets: Floats, names: Sequence[str], penalty: float, weight: Floats | None = None) -> Ridge:
    """A ridge model of (n, d) features and (n, outputs) targets; `weight` (n,) of the rows."""
    rows = np.ones(len(features)) if weight is None else weight
    rows = rows / rows.mean()
    mean = np.average(features, axis=0, weights=rows)
    sd = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=rows))
    sd = np.where(sd < 1e-6, 1.0, sd)
    z, bias = (features - mean) / sd, np.average(targets, axis=0, weights=rows)
    gram = (z * rows[:, None]).T @ z
    right = (z * rows[:, None]).T @ (targets - bias)
    return Ridge(tuple(names), mean, sd, np.linalg.solve(gram + penalty * np.eye(len(gram)), right), bias)


def with_domain(model: Ridge, features: Floats, residuals: Floats) -> Ridge:
    """The model with 90 % intervals from out-of-fold residuals (n, outputs), and the distance that 99 % of the
    training features keep within."""
    z = (features - model.mean) / model.sd
    precision = np.linalg.inv(np.cov(z.T) + 0.05 * np.eye(z.shape[1])).astype(np.float64)
    known = replace(model, half_width=conformal(residuals), precision=precision)
    return replace(known, farthest=float(np.percentile(known.distance(features), 99)))


def conformal(residuals: Floats, coverage: float = 0.9) -> Floats:
    """Half-widths (outputs,) that hold `coverage` of new errors."""
    n = len(residuals)
    level = min(1.0, np.ceil((n + 1) * coverage) / n)
    return np.quantile(np.abs(residuals), level, axis=0)


def folds(groups: Sequence[str], n_folds: int | None = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(train, test) indices; every group is whole in one fold. Without `n_folds` each group is a fold of its own."""
    names, sizes = np.unique(np.array(groups), return_counts=True)
    if len(names) < 2:
        raise UserError(
            "folds that keep groups apart need two groups or more: give the items a song, series or document."
        )
    count = min(n_folds or len(names), len(names))
    place, filled = {}, [0] * count
    for index in np.argsort(-sizes, kind="stable"):  # the largest group first, into the emptiest fold
        emptiest = int(np.argmin(filled))
        place[names[index]] = emptiest
        filled[emptiest] += int(sizes[index])
    fold_of = np.array([place[group] for group in groups])
    for fold in range(count):
        yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


def chosen_penalty(features: Floats, targets: Floats, groups: Sequence[str], names: Sequence[str]) -> float:
    """The penalty with the least squared error over grouped folds; ties go to the larger."""
    splits = list(folds(groups, 5))
    errors = []
    for penalty in PENALTIES:
        total = 0.0
        for train, test in splits:
            predicted = fit(features[train], targets[train], names, penalty).predict(features[test])
            total += float(((predicted - targets[test]) ** 2).sum())
        errors.append(total)
    return PENALTIES[len(errors) - 1 - int(np.argmin(errors[::-1]))]


def out_of_fold(
    features: Floats, targets: Floats, groups: Sequence[str], names: Sequence[str], n_folds: int | None = None
) -> Floats:
    """(n, outputs) predictions of each item by a model that saw no item of its group; the penalty is chosen inside."""
    predicted = np.zeros_like(targets)
    group_array = np.array(groups)
    for train, test in folds(groups, n_folds):
        penalty = chosen_penalty(features[train], targets[train], list(group_array[train]), names)
        predicted[test] = fit(features[train], targets[train], names, penalty).predict(features[test])
    return predicted


def load(tensors: dict[str, Any], prefix: str, names: Sequence[str]) -> Ridge:
    """The model stored under `prefix`. UserError where an array is missing or has another shape."""
    try:
        arrays = {
            key: np.asarray(tensors[f"{prefix}.{key}"], dtype=np.float64) for key in ("mean", "sd", "weights", "bias")
        }
    except KeyError as error:
        raise UserError(f"the weights hold no {error}: they are of another version; train them again.") from error
    if arrays["mean"].shape != (len(names),) or arrays["weights"].shape[0] != len(names):
        raise UserError(f"the weights under {prefix} are for {arrays['mean'].size} features, not {len(names)}.")
    half_width = np.asarray(tensors.get(f"{prefix}.half_width", np.zeros(arrays["bias"].size)), dtype=np.float64)
    precision = np.asarray(tensors.get(f"{prefix}.precision", np.zeros((0, 0))), dtype=np.float64)
    farthest = float(np.asarray(tensors.get(f"{prefix}.farthest", [np.inf])).ravel()[0])
    return Ridge(tuple(names), **arrays, half_width=half_width, precision=precision, farthest=farthest)


def save_tensors(path: Path, tensors: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Write arrays as safetensors, whole; the metadata is JSON under the key `record`."""
    from safetensors.numpy import save

    write_whole(path, save(tensors, metadata={"record": json.dumps(metadata, ensure_ascii=False)}))


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, record with the file's SHA-256) of a safetensors file. UserError where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {}).get("record", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} cannot be read as weights ({error}). Train or download them again.") from error
    return tensors, record | {"sha256": sha256(path)}
