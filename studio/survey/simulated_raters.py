"""Raters made by a program, to try a survey before people see it and to check the statistics. Said everywhere: not
people.

A rating is 3 + rater + clip + rater-by-system + noise, rounded to the scale (the variance components of the coverage
study in docs/concepts/surveys.md); `gaps` lifts systems. One in `careless` raters answers at random.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from studio.survey.answer_store import Answer, AnswerStore
from studio.survey.results.answer_rows import abx_truth
from studio.survey.survey_folder import Survey
from studio.survey.survey_spec import scale_of
from studio.survey.trial_plan import Stimulus, Trial, rated_places, trials_of


@dataclass(frozen=True)
class RaterModel:
    """Standard deviations on a five-point scale, and mean differences of systems."""

    rater_sd: float = 0.5
    clip_sd: float = 0.4
    system_sd: float = 0.25
    noise_sd: float = 0.8
    careless: int = 12
    gaps: Mapping[str, float] = field(default_factory=dict)


def simulate_raters(survey: Survey, store: AnswerStore, n: int, model: RaterModel | None = None, seed: int = 0) -> None:
    """Enrol n simulated raters, who answer everything."""
    model = model or RaterModel()
    stimuli = {stimulus.id: stimulus for stimulus in survey.stimuli}
    clip_effects = {id: random.Random(f"{seed}:{id}").gauss(0, model.clip_sd) for id in stimuli}
    for _ in range(n):
        rater = store.enroll("en", simulated=True)
        rng = random.Random(f"{seed}:{rater.number}")
        liking = rng.gauss(0, model.rater_sd)
        systems = {name: rng.gauss(0, model.system_sd) for name in survey.spec.systems}
        careless = model.careless > 0 and rng.randrange(model.careless) == 0
        given = []
        for trial in trials_of(survey.spec, survey.stimuli, rater.number):
            for place in rated_places(trial):
                stimulus = stimuli[trial.stimuli[place]]
                merit = liking + clip_effects[stimulus.id] + systems.get(stimulus.system, 0.0)
                merit += model.gaps.get(stimulus.system, 0.0) - 1.5 * (stimulus.control in ("shuffled", "constant"))
                for criterion in trial.criteria:
                    value = _value(
                        survey, trial, stimulus, criterion, merit + rng.gauss(0, model.noise_sd), careless, rng
                    )
                    given.append(Answer(rater.id, trial.number, place, criterion, value, 1.0))
        store.save_all(given)
        store.finish(rater.id)


def _value(
    survey: Survey, trial: Trial, stimulus: Stimulus, criterion: str, merit: float, careless: bool, rng: random.Random
) -> float:
    low, high = scale_of(survey.spec.design, criterion)
    if careless:
        return float(rng.randint(low, high))
    if trial.kind == "attention" and criterion != "confidence":
        return float(trial.answer or 0)
    if criterion == "abx":
        return abx_truth(trial) if rng.random() < 0.8 else 1 - abx_truth(trial)
    if criterion == "preference":
        return float(max(low, min(high, round(merit))))
    if criterion == "origin":
        return float(merit + 0.6 * (not stimulus.is_human) - 0.3 > 0)
    middle, unit = (low + high) / 2, (high - low) / 4
    return float(max(low, min(high, round(middle + merit * unit))))
