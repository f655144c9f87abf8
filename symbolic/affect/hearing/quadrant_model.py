"""Scorers of scores that learnt from EMOPIA's quadrants: one measures, another, of other songs, takes part in planning.

Ridge regression of the signs of valence and arousal on features that transcribed performances carry, brought to the
rated pieces' mean and spread (so that its points lie on the same plane as the first scorer's). It shares features with
the first, not data: errors of the two are correlated, by how much stands in its card. `bundled` measures what was
chosen; `planning` learnt from the other half of the songs and is half of `composing.mood_scorer`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import ridge
from symbolic.affect.hearing import score_features
from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.ridge import Ridge

Floats = NDArray[np.float64]
WEIGHTS = Path(__file__).parents[1] / "ready" / "quadrants-va.safetensors"
PLANNING_WEIGHTS = WEIGHTS.with_name("quadrants-plan.safetensors")
NAMES = score_features.TRANSFER_NAMES


@dataclass(frozen=True)
class QuadrantModel:
    """Ridge weights to (valence, arousal), and the record of what they learnt from."""

    model: Ridge
    record: dict[str, Any]

    def points(self, features: Floats) -> Floats:
        """(n, 2) of piece features (n, 17)."""
        return self.model.predict(np.atleast_2d(features)[:, score_features.columns(NAMES)])


def point_of(table: NoteTable, model: QuadrantModel | None = None) -> tuple[float, float]:
    """(valence, arousal) of a score as the second scorer hears it."""
    valence, arousal = (model or bundled()).points(score_features.piece_features(table))[0]
    return float(np.clip(valence, -1, 1)), float(np.clip(arousal, -1, 1))


@cache
def bundled() -> QuadrantModel:
    """The model that measures, as the package carries it."""
    return load(WEIGHTS)


@cache
def planning() -> QuadrantModel:
    """The model that takes part in planning: it learnt from none of the songs of the one that measures."""
    return load(PLANNING_WEIGHTS)


def load(path: Path) -> QuadrantModel:
    """A model written by `save`. UserError where it cannot be read."""
    tensors, record = ridge.read_tensors(path)
    return QuadrantModel(ridge.load(tensors, "quadrants", NAMES), record)


def save(model: QuadrantModel, path: Path) -> None:
    """Write the model as safetensors."""
    ridge.save_tensors(path, model.model.tensors("quadrants"), model.record)
