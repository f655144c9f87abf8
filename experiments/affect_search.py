"""Does a clever search find better settings for a mood than random search does at equal evaluations?

    python -m experiments.affect_search [--evaluations 240] [--seeds 2]

As many numbers from 0 to 1 choose a melody of a pool and the controls of `compose`. CMA-ES (Hansen 2016, arXiv
1604.00772), differential evolution (Storn and Price 1997, rand/1/bin), random search and the coordinate descent that
`compose` uses get the same number of evaluations by the planning scorer; the other scorer measures what they found.
Best of n spends its evaluations on melodies and octaves, dressed as `compose` begins in the target's quadrant.
The reference study searched all weights of a network; here what is searched has eight dimensions.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from experiments.affect_options import add_melodies, melodies, melody_settings, options_of, run_with
from symbolic.affect.composing import mood_scorer, score_plan
from symbolic.affect.composing.arrangement import CHOICES, Controls, SectionMelody, neighbours, section_table
from symbolic.affect.hearing import quadrant_model

Floats = NDArray[np.float64]
Point = tuple[float, float]
TARGETS: tuple[Point, ...] = ((-0.25, 0.35), (0.5, 0.4), (-0.25, -0.35), (0.5, -0.3), (0.1, 0.0))
DIMENSIONS = 1 + len(CHOICES)
POPULATION = 12


class Budget:
    """The cost (`score_plan`) of what numbers choose for a target, counted; `best` and `choice` are the best so far."""

    def __init__(self, pool: Sequence[SectionMelody], target: Point, evaluations: int) -> None:
        self.pool, self.target, self.left = pool, target, evaluations
        self.best, self.choice = np.inf, (pool[0], Controls())

    def distance(self, numbers: Floats) -> float:
        """Of the melody and controls that numbers from 0 to 1 stand for; infinite once the budget is spent."""
        return self.of(*chosen(numbers, self.pool, self.target))

    def of(self, line: SectionMelody, controls: Controls) -> float:
        """Of a melody and controls."""
        if self.left <= 0:
            return np.inf
        self.left -= 1
        found = score_plan.judged(line, controls, self.target, mood_scorer.bundled()).cost
        if found < self.best:
            self.best, self.choice = found, (line, controls)
        return found


def chosen(numbers: Floats, pool: Sequence[SectionMelody], target: Point) -> tuple[SectionMelody, Controls]:
    """The melody and controls that numbers from 0 to 1 stand for, of those that are allowed for a target."""
    clipped = np.clip(numbers, 0.0, 1.0 - 1e-9)
    options = score_plan.choices_for(target)
    values = {name: own[int(x * len(own))] for (name, own), x in zip(options.items(), clipped[1:])}
    return pool[int(clipped[0] * len(pool))], Controls(**values)


def best_of_n(budget: Budget, draw: np.random.Generator) -> None:
    """Melodies at random as `compose` begins with them; their mode, tempo, dynamics and accompaniment stay."""
    start = score_plan.start_of(budget.target)
    while budget.left:
        melody, octave = budget.pool[int(draw.integers(len(budget.pool)))], int(draw.integers(-1, 2))
        budget.of(melody, replace(start, octave=octave))


def random_search(budget: Budget, draw: np.random.Generator) -> None:
    """Numbers at random."""
    while budget.left:
        budget.distance(draw.uniform(size=DIMENSIONS))


def coordinate_descent(budget: Budget, draw: np.random.Generator) -> None:
    """One control at a time from a start at random, again until the budget is spent."""
    while budget.left:
        line, controls = chosen(draw.uniform(size=DIMENSIONS), budget.pool, budget.target)
        best = budget.of(line, controls)
        for name in CHOICES:
            for other in neighbours(controls, name, score_plan.choices_for(budget.target)[name]):
                found = budget.of(line, other)
                if found < best:
                    best, controls = found, other


def differential_evolution(budget: Budget, draw: np.random.Generator) -> None:
    """rand/1/bin with weight .7 and crossover .9."""
    members = draw.uniform(size=(POPULATION, DIMENSIONS))
    costs = np.array([budget.distance(member) for member in members])
    while budget.left:
        for i in range(POPULATION):
            a, b, c = members[draw.choice([j for j in range(POPULATION) if j != i], 3, replace=False)]
            crossed = draw.uniform(size=DIMENSIONS) < 0.9
            crossed[draw.integers(DIMENSIONS)] = True
            trial = np.clip(np.where(crossed, a + 0.7 * (b - c), members[i]), 0, 1)
            cost = budget.distance(trial)
            if cost <= costs[i]:
                members[i], costs[i] = trial, cost


def cma_es(budget: Budget, draw: np.random.Generator) -> None:
    """Covariance matrix adaptation with rank-one and rank-mu updates and cumulative step-size control."""
    n, size = DIMENSIONS, POPULATION
    parents = size // 2
    weights = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    weights /= weights.sum()
    mass = 1 / (weights**2).sum()
    c_sigma, c_c = (mass + 2) / (n + mass + 5), (4 + mass / n) / (n + 4 + 2 * mass / n)
    c_1 = 2 / ((n + 1.3) ** 2 + mass)
    c_mu = min(1 - c_1, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
    damping = 1 + c_sigma + 2 * max(0.0, np.sqrt((mass - 1) / (n + 1)) - 1)
    expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    mean, sigma, covariance = np.full(n, 0.5), 0.3, np.eye(n)
    path_s, path_c = np.zeros(n), np.zeros(n)
    while budget.left:
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 1e-12))
        steps = draw.standard_normal((size, n)) @ root.T
        costs = np.array([budget.distance(mean + sigma * step) for step in steps])
        best = steps[np.argsort(costs)[:parents]]
        moved = weights @ best
        mean = np.clip(mean + sigma * moved, 0, 1)
        inverse = vectors @ np.diag(1 / np.sqrt(np.maximum(values, 1e-12))) @ vectors.T
        path_s = (1 - c_sigma) * path_s + np.sqrt(c_sigma * (2 - c_sigma) * mass) * inverse @ moved
        path_c = (1 - c_c) * path_c + np.sqrt(c_c * (2 - c_c) * mass) * moved
        covariance = (1 - c_1 - c_mu) * covariance + c_1 * np.outer(path_c, path_c)
        covariance += c_mu * (best.T * weights) @ best
        sigma = min(1.0, sigma * float(np.exp(c_sigma / damping * (np.linalg.norm(path_s) / expected - 1))))


METHODS: dict[str, Callable[[Budget, np.random.Generator], None]] = {
    "best of n": best_of_n,
    "random search": random_search,
    "coordinate descent": coordinate_descent,
    "differential evolution": differential_evolution,
    "CMA-ES": cma_es,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_search")
    add_melodies(parser, 8)
    parser.add_argument("--evaluations", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=2)
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Every method on every target and seed, print, write."""
    settings = {"evaluations": args.evaluations, "seeds": args.seeds, "targets": [list(t) for t in TARGETS]}
    recorder = result_file.Recorder("affect_search", settings=settings | melody_settings(args))
    pool = melodies(args)
    for name, method in METHODS.items():
        missed, by_other = [], []
        for target in TARGETS:
            for seed in range(args.seeds):
                budget = Budget(pool, target, args.evaluations)
                method(budget, np.random.default_rng(seed))
                point = quadrant_model.point_of(section_table(*budget.choice))
                missed.append(round(budget.best, 4))
                by_other.append(round(float(np.hypot(point[0] - target[0], point[1] - target[1])), 4))
        recorder.measured(missed, "distance", method=name, scorer="planning")
        recorder.measured(by_other, "distance", method=name, scorer="other")
        print(f"{name:24} planning {np.mean(missed):.4f}  other {np.mean(by_other):.4f}", flush=True)
    recorder.write(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
