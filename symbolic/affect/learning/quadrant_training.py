"""Training of scorers on EMOPIA's quadrants, songs apart, and how far their errors go with the first scorer's."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import arc_measures, ridge
from symbolic.affect.hearing import score_features
from symbolic.affect.hearing.quadrant_model import NAMES, QuadrantModel
from symbolic.affect.labels.rated_items import QUADRANTS
from symbolic.affect.learning import score_training
from symbolic.affect.learning.score_training import HeardScore
from symbolic.affect.ridge import Ridge

Floats = NDArray[np.float64]
PENALTY = 30.0
SPREAD = 0.65  # of the ratings': about the correlation with them, so that outputs are calibrated


def train(clips: Sequence[HeardScore], scores: Sequence[HeardScore], record: dict[str, Any]) -> QuadrantModel:
    """A model of the clips' quadrants whose predictions of rated pieces have the ratings' mean and SPREAD of their
    spread."""
    fitted = ridge.fit(_features(clips), signs(clips), NAMES, PENALTY)
    heard = fitted.predict(_features(scores))
    targets = np.array([score.item.target for score in scores])
    return QuadrantModel(_rescaled(fitted, heard, targets.mean(axis=0), SPREAD * targets.std(axis=0)), record)


def halves(clips: Sequence[HeardScore]) -> tuple[list[HeardScore], list[HeardScore]]:
    """Clips to learn planning from and clips to learn measuring from; every song is whole in one of them."""
    parts: tuple[list[HeardScore], list[HeardScore]] = ([], [])
    for clip in clips:
        parts[zlib.crc32(clip.item.group.encode("utf-8")) & 1].append(clip)
    return parts


def signs(clips: Sequence[HeardScore]) -> Floats:
    """(n, 2) of -1 and 1."""
    return np.array([QUADRANTS[clip.item.quadrant] for clip in clips], dtype=np.float64)


def areas_out_of_fold(clips: Sequence[HeardScore], n_folds: int = 10) -> dict[str, float]:
    """AUC of valence and arousal by models that saw no clip of the same song."""
    features, targets = _features(clips), signs(clips)
    predicted = np.zeros_like(targets)
    for train_rows, test_rows in ridge.folds([clip.item.group for clip in clips], n_folds):
        model = ridge.fit(features[train_rows], targets[train_rows], NAMES, PENALTY)
        predicted[test_rows] = model.predict(features[test_rows])
    return {
        name: round(arc_measures.area_under_curve(predicted[:, i], targets[:, i] > 0), 4)
        for i, name in enumerate(("valence", "arousal"))
    }


def error_correlation(model: QuadrantModel, scores: Sequence[HeardScore]) -> tuple[float, float]:
    """How far the errors of both scorers go together on rated pieces, the first one's out of fold."""
    targets = np.array([score.item.target for score in scores])
    first = score_training.level_out_of_fold(scores, "full") - targets
    second = model.points(score_training.level_features(scores, "full")) - targets
    return arc_measures.correlation(first[:, 0], second[:, 0]), arc_measures.correlation(first[:, 1], second[:, 1])


def _features(scores: Sequence[HeardScore]) -> Floats:
    return score_training.level_features(scores, "full")[:, score_features.columns(NAMES)]


def _rescaled(model: Ridge, heard: Floats, mean: Floats, sd: Floats) -> Ridge:
    """The model with outputs of a given mean and standard deviation over what was heard."""
    factor = sd / heard.std(axis=0)
    return replace(model, weights=model.weights * factor, bias=(model.bias - heard.mean(axis=0)) * factor + mean)
