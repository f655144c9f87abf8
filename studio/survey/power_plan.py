"""`survey plan`: minutes a rater, answers that come in, and what raters and clips can show, by simulation of this very
design.

Power of a difference: shares of simulations (variance components of simulated_raters.RaterModel) in which the two-way
bootstrap interval of a true difference of 0.3 or 0.5 points excludes 0. Power of human-or-AI: the exact binomial test.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from studio.survey.results import ratings
from studio.survey.simulated_raters import RaterModel
from studio.survey.survey_folder import ANCHORS, control_texts
from studio.survey.survey_spec import SurveySpec, load_spec
from studio.survey.trial_plan import PRACTICE, Stimulus, minutes_of, trials_of

GAPS = (0.3, 0.5)


def plan_lines(path: Path, raters: Sequence[int], simulations: int) -> Iterator[str]:
    """The lines that `survey plan` prints for a survey's folder or YAML file."""
    spec = load_spec(path / "survey.yaml" if path.is_dir() else path)
    trials = trials_of(spec, planned_stimuli(spec), 0)
    yield f"{spec.name}: {spec.design}, {len(spec.systems)} systems x {spec.items} clips of {spec.seconds:g} s"
    yield f"a rater meets {len(trials)} pages, about {minutes_of(spec, trials)} minutes"
    if spec.items < ratings.MIN_CLIPS:
        yield f"WARNING: {spec.items} clips a system give no interval of a system; take at least {ratings.MIN_CLIPS}."
    if spec.design in ("rating", "similarity", "mushra") and len(spec.systems) > 1:
        yield from _rating_power(spec, raters, simulations)
    if "origin" in spec.asked or spec.design in ("abx", "preference"):
        yield "answers needed for 80 % power against guessing (independent answers):"
        for share in (0.60, 0.65, 0.70, 0.80):
            yield f"  true share {share:.0%}: {ratings.answers_needed(share)}"


def planned_stimuli(spec: SurveySpec) -> list[Stimulus]:
    """The stimuli that a survey will have, without their sound: clips, practice, controls and anchors."""
    found = [
        Stimulus(f"{system}-{item}", system, item, "") for system in spec.systems for item in range(spec.items)
    ]  # fmt: skip
    if spec.design == "mushra":
        anchors = [(name, item) for name in ANCHORS for item in range(spec.items)]
        return found + [Stimulus(f"{name}-{item}", name, item, "", control="anchor") for name, item in anchors]
    if spec.practice:
        found.append(Stimulus("practice", next(iter(spec.systems)), spec.items, "", control=PRACTICE))
    return found + control_texts(spec, found)


def _rating_power(spec: SurveySpec, raters: Sequence[int], simulations: int) -> Iterator[str]:
    yield "power to see a difference of two systems, on a scale of five points:"
    yield "  raters  " + "  ".join(f"{gap:g} points" for gap in GAPS)
    for n in raters:
        found = [simulated_power(n, spec.items, gap, simulations, spec.seed) for gap in GAPS]
        yield f"  {n:6}  " + "  ".join(f"{power:10.0%}" for power in found)


def simulated_power(n_raters: int, n_clips: int, gap: float, simulations: int, seed: int) -> float:
    """Share of simulated surveys whose 95 % interval of a difference of `gap` points excludes 0."""
    rng = np.random.default_rng(seed)
    seen = 0
    for i in range(simulations):
        values, systems = simulated_ratings(n_raters, n_clips, gap, rng)
        found = ratings.difference(values, systems, "a", "b", resamples=400, seed=seed + i)
        seen += found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    return seen / simulations


def simulated_ratings(
    n_raters: int, n_clips: int, gap: float, rng: np.random.Generator, model: RaterModel | None = None
) -> tuple[ratings.Ratings, list[str]]:
    """(raters, clips of systems a and b) on 1 to 5, and the systems of the clips; `b` is `gap` points below `a`."""
    model = model or RaterModel()
    shape = (n_raters, 2 * n_clips)
    merit = 3.3 + rng.normal(0, model.rater_sd, (n_raters, 1)) + rng.normal(0, model.clip_sd, (1, 2 * n_clips))
    merit = merit + rng.normal(0, model.system_sd, (n_raters, 2)).repeat(n_clips, axis=1)
    merit = merit - gap * (np.arange(2 * n_clips) >= n_clips) + rng.normal(0, model.noise_sd, shape)
    return np.clip(np.round(merit), 1, 5), ["a"] * n_clips + ["b"] * n_clips
