"""Training and grouped evaluation of the score models on VGMIDI, and their transfer to EMOPIA, which they never see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import arc_measures, ridge
from symbolic.affect.hearing import note_table, score_features
from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.hearing.score_affect import LEVELS, OUTPUTS, TIME_CONSTANT, ScoreModel, top_line
from symbolic.affect.labels.rated_items import QUADRANTS, RatedItem, RatedSet
from symbolic.affect.plane import integrated, resampled_points
from symbolic.affect.ridge import Ridge
from symbolic.errors import UserError

Floats = NDArray[np.float64]
LEVEL_PENALTY = 3.0
POINTS_A_PIECE = 32  # of an arc's errors, for intervals
DEVIATION_PENALTY = 300.0  # over bars, of which there are fifty a piece


@dataclass(frozen=True)
class HeardScore:
    """A rated score with its features: (17,) of the piece and of its top line, (bars, 17); ratings (bars, 2)."""

    item: RatedItem
    features: Floats
    melody_features: Floats
    bars: Floats
    ratings: Floats


def heard_scores(rated: RatedSet, progress: Callable[[int, int], None] = lambda *_: None) -> list[HeardScore]:
    """The items that have a file, with features. Files that cannot be read raise UserError."""
    found = []
    usable = [item for item in rated.items if item.path is not None]
    for number, item in enumerate(usable):
        assert item.path is not None
        found.append(heard_score(item, note_table.read(item.path)))
        progress(number + 1, len(usable))
    if not found:
        raise UserError(f"{rated.name}: none of the {len(rated.items)} items has a score file.")
    return found


def heard_score(item: RatedItem, table: NoteTable) -> HeardScore:
    """Features of one item; ratings are stretched to the score's bars where their numbers differ."""
    bars, ratings = np.zeros((0, len(score_features.NAMES))), np.zeros((0, 2))
    if item.arc is not None:
        bars = score_features.bar_features(table)
        ratings = resampled_points(item.arc, table.n_bars)
    melody = score_features.piece_features(top_line(table))
    return HeardScore(item, score_features.piece_features(table), melody, bars, ratings)


def level_features(scores: Sequence[HeardScore], kind: str) -> Floats:
    """(n, 17) of the pieces, or of their top lines for the kind `melody`."""
    return np.stack([score.melody_features if kind == "melody" else score.features for score in scores])


def train(scores: Sequence[HeardScore], record: dict[str, Any]) -> ScoreModel:
    """Level models and deviation model; intervals and domains from grouped out-of-fold predictions."""
    targets, levels = _targets(scores), {}
    for kind in LEVELS:
        features, predicted = level_features(scores, kind), level_out_of_fold(scores, kind)
        pair = []
        for output in range(2):
            names = LEVELS[kind][output]
            columns = features[:, score_features.columns(names)]
            model = ridge.fit(columns, targets[:, [output]], names, LEVEL_PENALTY)
            residuals = _bar_residuals(scores, predicted, output)
            pair.append(ridge.with_domain(model, columns, residuals[:, None]))
        levels[kind] = (pair[0], pair[1])
    return ScoreModel(levels, deviation_model(scores), record)


def level_out_of_fold(scores: Sequence[HeardScore], kind: str) -> Floats:
    """(n, 2) levels, each by models that saw no piece of its group."""
    features, targets = level_features(scores, kind), _targets(scores)
    predicted = np.zeros_like(targets)
    for train_rows, test_rows in ridge.folds([score.item.group for score in scores]):
        for output in range(2):
            names = LEVELS[kind][output]
            columns = score_features.columns(names)
            model = ridge.fit(features[train_rows][:, columns], targets[train_rows][:, [output]], names, LEVEL_PENALTY)
            predicted[test_rows, output] = model.predict(features[test_rows][:, columns])[:, 0]
    return predicted


def mean_out_of_fold(scores: Sequence[HeardScore]) -> Floats:
    """(n, 2) of the mean predictor: what the training groups' mean says."""
    targets = _targets(scores)
    predicted = np.zeros_like(targets)
    for train_rows, test_rows in ridge.folds([score.item.group for score in scores]):
        predicted[test_rows] = targets[train_rows].mean(axis=0)
    return predicted


def deviation_model(scores: Sequence[HeardScore], inputs: str = "features") -> Ridge:
    """A model of how bars depart from their piece's mean, from features, from position alone, or both."""
    rows = np.vstack([deviation_inputs(score, inputs) for score in scores])
    departures = np.vstack([score.ratings - score.ratings.mean(axis=0) for score in scores])
    names = score_features.NAMES if inputs == "features" else tuple(f"{inputs} {i}" for i in range(rows.shape[1]))
    return ridge.fit(rows, departures, names, DEVIATION_PENALTY)


def deviation_inputs(score: HeardScore, inputs: str = "features", time_constant: float = TIME_CONSTANT) -> Floats:
    """(bars, d): integrated features less their mean, the place in the piece, or both."""
    features = integrated(score.bars, time_constant)
    place = np.linspace(-1, 1, len(features))[:, None]
    choices = {"features": [features - features.mean(axis=0)], "position": [place, place**2 - (place**2).mean()]}
    return np.hstack(choices.get(inputs, [*choices["features"], *choices["position"]]))


def deviations_out_of_fold(scores: Sequence[HeardScore], inputs: str = "features") -> list[Floats]:
    """(bars, 2) departures of each piece by a model that saw no piece of its group."""
    found: list[Floats] = [np.zeros((0, 2))] * len(scores)
    for train_rows, test_rows in ridge.folds([score.item.group for score in scores]):
        model = deviation_model([scores[i] for i in train_rows], inputs)
        for i in test_rows:
            found[i] = model.predict(deviation_inputs(scores[i], inputs))
    return found


def shuffled(scores: Sequence[HeardScore], seed: int) -> list[HeardScore]:
    """The scores with their ratings dealt out at random: what a model learns from chance."""
    order = np.random.default_rng(seed).permutation(len(scores))
    return [replace(score, item=replace(score.item, target=scores[i].item.target)) for score, i in zip(scores, order)]


def transfer(model: ScoreModel, clips: Sequence[HeardScore], kinds: Sequence[str]) -> dict[str, float]:
    """AUC of valence and arousal against the quadrants of clips; kinds say which level model each is judged by."""
    predicted = np.stack([model.level(clip.features, kind)[0] for clip, kind in zip(clips, kinds)])
    signs = np.array([QUADRANTS[clip.item.quadrant] for clip in clips])
    return {
        output: round(arc_measures.area_under_curve(predicted[:, column], signs[:, column] > 0), 4)
        for column, output in enumerate(OUTPUTS)
    }


def _bar_residuals(scores: Sequence[HeardScore], levels: Floats, output: int) -> Floats:
    """Errors of whole arcs out of fold, as many points of each piece, so that long pieces do not count more."""
    departures = deviations_out_of_fold(scores)
    return np.concatenate([
        resampled_points(level + own - score.ratings, POINTS_A_PIECE)[:, output]
        for score, level, own in zip(scores, levels, departures)
    ])  # fmt: skip


def _targets(scores: Sequence[HeardScore]) -> Floats:
    return np.array([score.item.target for score in scores])
