"""The arc of a score: the level of the whole piece by one model, how each bar departs from it by another.

Two models for the level, since ratings move ten times as much between pieces as inside one: `full` for textures of
several notes at once, `melody` for a single line. The deviation model works on bar features after leaky integration
(TIME_CONSTANT bars), because listeners take in what they heard before. Valence is read from what is notated alone
(mode, register, density, tempo, lengths, intervals), arousal also from dynamics and dissonance.

A performance that was transcribed has no tempo of its own (all onsets off the beat, one tempo of 120): it is judged by
a model without tempo, and that is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import ridge
from symbolic.affect.hearing import score_features
from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.plane import Arc, arc, integrated
from symbolic.affect.ridge import Ridge
from symbolic.errors import UserError

Floats = NDArray[np.float64]
WEIGHTS = Path(__file__).parents[1] / "ready" / "score-va.safetensors"
TIME_CONSTANT = 4.0  # bars
LEAST_NOTES = 8
LEAST_SECONDS = 4.0
_NOTATED = (
    *("major", "minor", "pitch", "pitch_sd", "pitch_range", "log_onsets", "log_qpm", "log_duration"),
    *("articulation", "interval", "lowest"),
)
_UNTIMED = tuple(name for name in score_features.NAMES if name != "log_qpm")
# Level models: features of valence and of arousal. `untimed` is for performances whose tempo is not known.
LEVELS = {
    "full": (_NOTATED, tuple(n for n in score_features.NAMES if n != "velocity_sd")),
    "untimed": (_NOTATED, _UNTIMED),  # valence at the rated pieces' mean tempo
    "melody": (_NOTATED, score_features.MELODY_NAMES),
}
OUTPUTS = ("valence", "arousal")


@dataclass(frozen=True)
class ScoreModel:
    """Level models by kind and output, the deviation model, and the record of what they learnt from."""

    levels: dict[str, tuple[Ridge, Ridge]]
    deviation: Ridge
    record: dict[str, Any]

    def level(self, features: Floats, kind: str) -> Floats:
        """(n, 2) of piece features (n, 17); `untimed` ones take the mean tempo of the rated pieces."""
        rows = np.atleast_2d(features).copy()
        if kind == "untimed":
            place = self.levels[kind][0].names.index("log_qpm")
            rows[:, score_features.NAMES.index("log_qpm")] = self.levels[kind][0].mean[place]
        pair = self.levels[kind]
        return np.column_stack([model.predict(rows[:, score_features.columns(model.names)])[:, 0] for model in pair])

    def half_width(self, kind: str) -> Floats:
        """(2,) of the 90 % interval."""
        return np.array([model.half_width[0] for model in self.levels[kind]])

    def strangeness(self, features: Floats, kind: str) -> tuple[float, list[str]]:
        """Distance from the training data as a share of the farthest, and the three oddest features; of valence and
        arousal the farther."""
        found = []
        for model in self.levels[kind]:
            row = features[score_features.columns(model.names)]
            z = np.abs((row - model.mean) / model.sd)
            share = float(model.distance(row)[0] / model.farthest) if np.isfinite(model.farthest) else 0.0
            found.append((share, [model.names[i] for i in np.argsort(-z)[:3]]))
        return max(found)


def level_kind(table: NoteTable) -> str:
    """Which level model a score is judged by."""
    if table.is_melody:
        return "melody"
    return "untimed" if is_transcribed(table) else "full"


def is_transcribed(table: NoteTable) -> bool:
    """Whether a score is a performance without a tempo of its own: 120 throughout, and onsets off the beat's grid."""
    if len(table.onset) < 20 or not np.all(np.abs(table.qpm - 120.0) < 0.01):
        return False
    sixteenths = table.onset / 0.125
    return bool(np.mean(np.abs(sixteenths - np.round(sixteenths)) < 0.1) < 0.5)


def score_arc(table: NoteTable, model: ScoreModel | None = None) -> Arc:
    """Valence and arousal bar by bar, with 90 % intervals. UserError where there is too little to hear."""
    check(table)
    model = model or bundled()
    kind, features = level_kind(table), score_features.piece_features(table)
    level = model.level(features, kind)[0]
    points = level + deviations(table, model.deviation)
    half = model.half_width(kind)
    share, oddest = model.strangeness(features, kind)
    record = {
        "seconds": [round(float(t), 3) for t in table.bar_starts[:-1]],
        "end_seconds": round(float(table.bar_starts[-1]), 3),
        "level": [round(float(v), 4) for v in level],
        "domain": "out" if share > 1 else "in",
        "model": f"score-va {kind}",
        "remarks": list(_remarks(table, kind, share, oddest)),
        "sha256": model.record.get("sha256", ""),
    }
    bars = [float(bar + 1) for bar in range(table.n_bars)]
    low, high = np.clip(points - half, -1, 1), np.clip(points + half, -1, 1)
    found = arc("bars", bars, points, table.n_bars + 1, domain="score", record=record)
    return replace(found, low=_pairs(low), high=_pairs(high))


def deviations(table: NoteTable, model: Ridge) -> Floats:
    """(n_bars, 2) by which each bar departs from the piece's level; their mean is 0."""
    features = integrated(score_features.bar_features(table), TIME_CONSTANT)
    found = model.predict(features - features.mean(axis=0))
    return found - found.mean(axis=0)


def top_line(table: NoteTable) -> NoteTable:
    """The melody as a table of its own: of the notes that begin together the highest, cut where the next begins."""
    order = np.lexsort((-table.pitch, np.round(table.onset / 0.03)))
    first = np.concatenate([[True], np.diff(np.round(table.onset[order] / 0.03)) > 0])
    kept = order[first]
    onset = table.onset[kept]
    room = np.diff([*onset, table.seconds])
    duration = np.maximum(np.minimum(table.duration[kept], room), 0.02)
    return replace(table, onset=onset, duration=duration, pitch=table.pitch[kept], velocity=table.velocity[kept])


def check(table: NoteTable) -> None:
    """UserError where a score holds too little to judge."""
    if len(table.onset) < LEAST_NOTES or table.seconds < LEAST_SECONDS:
        raise UserError(
            f"valence and arousal can be told from {LEAST_NOTES} notes and {LEAST_SECONDS:g} s or more; "
            f"notes in the score: {len(table.onset)}, seconds: {table.seconds:.1f}."
        )


@cache
def bundled() -> ScoreModel:
    """The models that the package carries."""
    return load(WEIGHTS)


def load(path: Path) -> ScoreModel:
    """Models written by `save`. UserError where they cannot be read."""
    tensors, record = ridge.read_tensors(path)
    levels = {
        kind: (ridge.load(tensors, f"{kind}.valence", names[0]), ridge.load(tensors, f"{kind}.arousal", names[1]))
        for kind, names in LEVELS.items()
    }
    return ScoreModel(levels, ridge.load(tensors, "deviation", score_features.NAMES), record)


def save(model: ScoreModel, path: Path) -> None:
    """Write the models as safetensors."""
    tensors = model.deviation.tensors("deviation")
    for kind, pair in model.levels.items():
        for output, one in zip(OUTPUTS, pair):
            tensors |= one.tensors(f"{kind}.{output}")
    ridge.save_tensors(path, tensors, model.record)


def _remarks(table: NoteTable, kind: str, share: float, oddest: Sequence[str]) -> list[str]:
    found = list(table.remarks)
    if kind == "melody":
        found.append("a single line: judged by the melody model, whose valence seldom falls below the mean")
    if kind == "untimed":
        found.append("a performance without a tempo of its own: judged without tempo")
    if share > 1:
        found.append(f"unlike the rated pieces in {', '.join(oddest)}: take the values with care")
    if table.n_drums:
        found.append(f"{table.n_drums} percussion notes left out")
    if table.seconds < 15:
        found.append(f"only {table.seconds:.0f} s of music: raters heard 30 s or more")
    return found


def _pairs(array: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(v), 4), round(float(a), 4)) for v, a in array)
