"""Which music for which mood: for each section the melody and the controls whose predicted point is nearest its target.

The search is coordinate descent over the controls of `arrangement`, one control at a time, for each melody of the
pool; the score model of `symbolic.affect.hearing` predicts. A target outside what any melody and control reaches is
met as nearly as can be, and `miss` says by how much. What another model says of the result is for `measure`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.composing.arrangement import CHOICES, Controls, SectionMelody, neighbours, section_table
from symbolic.affect.hearing import score_affect, score_features
from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.hearing.score_affect import ScoreModel

Floats = NDArray[np.float64]
PASSES = 2
MISSED = 0.15  # distance from which a target counts as not reached
REPEATED = 0.03  # cost of a melody that the section before had, in distance: variety, unless it is clearly better
STARTS = {  # controls to begin from in each quadrant
    (True, True): Controls("major", 126, 0, "f", False, "march"),
    (False, True): Controls("minor", 144, 0, "ff", False, "pulse"),
    (False, False): Controls("minor", 56, -1, "p", False, "dark"),
    (True, False): Controls("major", 66, 0, "p", False, "broken"),
}
CENTRE = (0.15, 0.05)  # mean rating of the scores that the model learnt from


@dataclass(frozen=True)
class MoodPlan:
    """One section: its target, the melody and controls chosen, and what the planning model predicts of them."""

    target: tuple[float, float]
    line: SectionMelody
    controls: Controls
    predicted: tuple[float, float]

    @property
    def miss(self) -> float:
        """Distance of the prediction from the target."""
        return float(np.hypot(self.predicted[0] - self.target[0], self.predicted[1] - self.target[1]))

    def record(self) -> dict[str, Any]:
        """For plan.json."""
        return {
            "target": [round(v, 3) for v in self.target],
            "predicted": [round(v, 3) for v in self.predicted],
            "miss": round(self.miss, 3),
            "reached": self.miss <= MISSED,
            "controls": asdict(self.controls),
            "melody": self.line.source,
        }


def planned(
    targets: Sequence[Sequence[float]],
    pool: Sequence[SectionMelody],
    model: ScoreModel | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[MoodPlan]:
    """A plan for each target (valence, arousal); a pool of one melody makes variations on it."""
    model = model or score_affect.bundled()
    plans: list[MoodPlan] = []
    for number, target in enumerate(targets):
        last = plans[-1].line if plans else None
        made = [nearest(line, (float(target[0]), float(target[1])), model) for line in pool]
        plans.append(min(made, key=lambda plan: plan.miss + REPEATED * (len(pool) > 1 and plan.line == last)))
        progress(number + 1, len(targets))
    return plans


def nearest(line: SectionMelody, target: tuple[float, float], model: ScoreModel) -> MoodPlan:
    """The controls that bring one melody nearest a target."""
    seen: dict[Controls, tuple[float, float]] = {}

    def plan(controls: Controls) -> MoodPlan:
        if controls not in seen:
            seen[controls] = predicted(section_table(line, controls), model)
        return MoodPlan(target, line, controls, seen[controls])

    best = plan(STARTS[target[0] >= CENTRE[0], target[1] >= CENTRE[1]])
    for _ in range(PASSES):
        before = best.controls
        for name in CHOICES:
            best = min([best, *map(plan, neighbours(best.controls, name))], key=lambda one: one.miss)
        if best.controls == before:
            break
    return best


def predicted(table: NoteTable, model: ScoreModel) -> tuple[float, float]:
    """(valence, arousal) of a section as the level model hears it."""
    kind = "melody" if table.is_melody else "full"
    valence, arousal = model.level(score_features.piece_features(table), kind)[0]
    return float(np.clip(valence, -1, 1)), float(np.clip(arousal, -1, 1))
