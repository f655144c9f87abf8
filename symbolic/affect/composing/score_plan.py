"""Which music for which mood: for each section the melody and the controls whose predicted point is nearest its target.

The search is coordinate descent over the controls of `arrangement`, one control at a time, for each melody of the
pool, or for the SEARCHED of them that begin nearest; `mood_scorer` predicts. What is sought is the least root mean
square distance of its models from the target, so that music on which they part is passed over. A target outside what
any melody and control reaches is met as nearly as can be, and `miss` says by how much.

Mode, tempo, dynamics and dissonance stay near what people hear in a mood (Eerola, Friberg and Bresin 2013: such effects
are linear and add up). A scorer alone would have a panic played pp, where its rated pieces tell it nothing better.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from symbolic.affect.composing import mood_scorer
from symbolic.affect.composing.arrangement import CHOICES, Controls, SectionMelody, neighbours, section_table
from symbolic.affect.composing.mood_scorer import MoodScorer

PASSES = 2
SEARCHED = 4  # melodies of a pool whose controls are searched for a target
MISSED = 0.15  # distance from which a target counts as not reached
REPEATED = 0.03  # cost of a melody that the section before had, in distance: variety, unless it is clearly better
STARTS = {  # controls to begin from in each quadrant
    (True, True): Controls("major", 126, 0, "f", False, "march"),
    (False, True): Controls("minor", 144, 0, "ff", False, "pulse"),
    (False, False): Controls("minor", 56, -1, "p", False, "dark"),
    (True, False): Controls("major", 66, 0, "p", False, "broken"),
}
# By the target: places in CHOICES from the lowest to the highest of the ratings, and how far from them is allowed.
DARKEST, BRIGHTEST, MODES_AWAY = (-0.4, 5.0), (0.5, 1.0), 1.25
CALMEST, WILDEST = -0.5, 0.5  # arousal of the first and the last of tempos and dynamics
TEMPOS_AWAY, DYNAMICS_AWAY = 4.0, 1.25
DISSONANT, DISSONANT_BELOW = ("tritone", "cluster"), 0.0  # valence
CENTRE = (0.15, 0.05)  # mean rating of the scores that the model learnt from


@dataclass(frozen=True)
class MoodPlan:
    """One section: its target, the melody and controls chosen, the mean of what the planning models predict of them,
    and `doubt`, the root mean square distance of the models from that mean."""

    target: tuple[float, float]
    line: SectionMelody
    controls: Controls
    predicted: tuple[float, float]
    doubt: float = 0.0

    @property
    def miss(self) -> float:
        """Distance of the prediction from the target."""
        return float(np.hypot(self.predicted[0] - self.target[0], self.predicted[1] - self.target[1]))

    @property
    def cost(self) -> float:
        """Root mean square distance of the planning models' points from the target."""
        return float(np.hypot(self.miss, self.doubt))

    def record(self) -> dict[str, Any]:
        """For plan.json."""
        return {
            "target": [round(v, 3) for v in self.target],
            "predicted": [round(v, 3) for v in self.predicted],
            "miss": round(self.miss, 3),
            "doubt": round(self.doubt, 3),
            "reached": self.miss <= MISSED,
            "controls": asdict(self.controls),
            "melody": self.line.source,
        }


def planned(
    targets: Sequence[Sequence[float]],
    pool: Sequence[SectionMelody],
    scorer: MoodScorer | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[MoodPlan]:
    """A plan for each target (valence, arousal); a pool of one melody makes variations on it."""
    scorer = scorer or mood_scorer.bundled()
    plans: list[MoodPlan] = []
    for number, target in enumerate(targets):
        last = plans[-1].line if plans else None
        place = (float(target[0]), float(target[1]))
        made = [nearest(line, place, scorer) for line in shortlist(pool, place, scorer)]
        plans.append(min(made, key=lambda plan: plan.cost + REPEATED * (len(pool) > 1 and plan.line == last)))
        progress(number + 1, len(targets))
    return plans


def shortlist(
    pool: Sequence[SectionMelody], target: tuple[float, float], scorer: MoodScorer
) -> Sequence[SectionMelody]:
    """The SEARCHED melodies of a pool that lie nearest a target with the controls that the search begins from."""
    if len(pool) <= SEARCHED:
        return pool
    return sorted(pool, key=lambda line: judged(line, start_of(target), target, scorer).cost)[:SEARCHED]


def start_of(target: tuple[float, float]) -> Controls:
    """The controls that a search begins from."""
    start = STARTS[target[0] >= CENTRE[0], target[1] >= CENTRE[1]]
    nearest_allowed = {
        name: min(values, key=lambda v: abs(CHOICES[name].index(v) - CHOICES[name].index(getattr(start, name))))
        for name, values in choices_for(target).items()
    }
    return replace(start, **nearest_allowed)


def choices_for(target: tuple[float, float]) -> dict[str, tuple[Any, ...]]:
    """The choices of each control that a search for a target has."""
    valence, arousal = target
    (dark, darkest), (bright, brightest) = DARKEST, BRIGHTEST
    dissonant = () if valence < DISSONANT_BELOW else DISSONANT
    near = {
        "mode": (float(np.interp(valence, (dark, bright), (darkest, brightest))), MODES_AWAY),
        "qpm": (float(np.interp(arousal, (CALMEST, WILDEST), (0, len(CHOICES["qpm"]) - 1))), TEMPOS_AWAY),
        "dynamics": (float(np.interp(arousal, (CALMEST, WILDEST), (0, len(CHOICES["dynamics"]) - 1))), DYNAMICS_AWAY),
    }
    found = {
        name: tuple(v for i, v in enumerate(values) if name not in near or abs(i - near[name][0]) <= near[name][1])
        for name, values in CHOICES.items()
    }
    return found | {"pattern": tuple(pattern for pattern in found["pattern"] if pattern not in dissonant)}


def judged(line: SectionMelody, controls: Controls, target: tuple[float, float], scorer: MoodScorer) -> MoodPlan:
    """A melody and controls as the planning models hear them."""
    opinions = scorer.opinions(section_table(line, controls))
    valence, arousal = opinions.mean(axis=0)
    doubt = float(np.sqrt(((opinions - (valence, arousal)) ** 2).sum(axis=1).mean()))
    return MoodPlan(target, line, controls, (float(valence), float(arousal)), doubt)


def nearest(line: SectionMelody, target: tuple[float, float], scorer: MoodScorer) -> MoodPlan:
    """The controls that bring one melody nearest a target."""
    seen: dict[Controls, MoodPlan] = {}

    def plan(controls: Controls) -> MoodPlan:
        if controls not in seen:
            seen[controls] = judged(line, controls, target, scorer)
        return seen[controls]

    choices = choices_for(target)
    best = plan(start_of(target))
    for _ in range(PASSES):
        before = best.controls
        for name in CHOICES:
            best = min([best, *map(plan, neighbours(best.controls, name, choices[name]))], key=lambda one: one.cost)
        if best.controls == before:
            break
    return best
