"""The scorer that plans music: the mean of two that learnt from two rated sets, since one alone is easily led astray.

A search finds what one scorer likes and other listeners do not. The level model of scores (VGMIDI's ratings) and a
model of EMOPIA's quadrants agree on ordinary music and disagree where either is led astray. What is planned is
measured by `quadrant_model.bundled`, which learnt from songs of EMOPIA that no planning model saw.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.hearing import quadrant_model, score_affect, score_features
from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.hearing.quadrant_model import QuadrantModel
from symbolic.affect.hearing.score_affect import ScoreModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MoodScorer:
    """The two models whose points are averaged; where they part, neither is believed (`score_plan`)."""

    score: ScoreModel
    quadrants: QuadrantModel

    def opinions(self, table: NoteTable) -> Floats:
        """(2, 2) valence and arousal of a section by each model, -1 to 1."""
        features = score_features.piece_features(table)
        level = self.score.level(features, "melody" if table.is_melody else "full")[0]
        return np.clip([level, self.quadrants.points(features)[0]], -1, 1)


@cache
def bundled() -> MoodScorer:
    """The models that the package carries."""
    return MoodScorer(score_affect.bundled(), quadrant_model.planning())
