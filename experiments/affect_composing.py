"""Which moods can be composed? A 5 x 5 grid of targets, met by the planning scorer and measured by the other one.

    python -m experiments.affect_composing [--tunes FILE.abc]

For each target the best of a pool of melodies of the model is dressed (`compose`); the second scorer, which had no part
in the choice, measures. Beside it: the melodies as they are (no controls, best of n), and controls drawn at random.
`reached` is the share of targets within .2 of what is measured; the map of what was reached is in the rows.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from symbolic import command_line
from symbolic.affect.composing import melody_pool, score_plan
from symbolic.affect.composing.arrangement import CHOICES, Controls, SectionMelody, section_table
from symbolic.affect.composing.score_plan import MoodPlan
from symbolic.affect.hearing import quadrant_model, score_affect

Floats = NDArray[np.float64]
GRID = tuple((v, a) for a in (0.5, 0.25, 0.0, -0.25, -0.5) for v in (-0.4, -0.15, 0.1, 0.35, 0.6))
NEAR = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mamba2-6m", help="default: %(default)s")
    parser.add_argument("--tunes", type=Path, metavar="FILE.abc", help="melodies of these tunes instead")
    parser.add_argument("-n", type=int, default=8, help="melodies (default 8)")
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "affect_composing.json")
    args = parser.parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Compose for every target in three ways, print, write."""
    settings = {"n": args.n, "bars": args.bars, "model": args.tunes.name if args.tunes else args.model}
    recorder = result_file.Recorder("affect_composing", settings=settings)
    tunes = melody_pool.read_texts(args.tunes) if args.tunes else []
    pool = melody_pool.chosen(args.model, tunes, args.n, bars=args.bars)
    ways: dict[str, Callable[[tuple[float, float]], MoodPlan]] = {
        "melody and controls": lambda target: score_plan.planned([target], pool)[0],
        "melodies as they are": lambda target: _best([_plan(line, Controls(pattern="none"), target) for line in pool]),
        "controls at random": lambda target: _best([_plan(line, drawn(target), target) for line in pool]),
    }
    for name, way in ways.items():
        plans = [way(target) for target in GRID]
        measured = np.array([quadrant_model.point_of(section_table(plan.line, plan.controls)) for plan in plans])
        record_way(recorder, name, plans, measured)
    recorder.write(args.output)
    return 0


def record_way(
    recorder: result_file.Recorder, name: str, plans: Sequence[MoodPlan], measured: Floats
) -> dict[str, float]:
    """Rows of each target and of the whole way; the whole is returned."""
    targets = np.array([plan.target for plan in plans])
    predicted = np.array([plan.predicted for plan in plans])
    found: dict[str, float] = {}
    for scorer, points in (("planning", predicted), ("other", measured)):
        distance = np.linalg.norm(points - targets, axis=1)
        found |= {
            f"{scorer} MAE V": float(np.abs(points - targets)[:, 0].mean()),
            f"{scorer} MAE A": float(np.abs(points - targets)[:, 1].mean()),
            f"{scorer} reached": float((distance <= NEAR).mean()),
        }
        for target, point in zip(targets, points):
            keys = {"way": name, "scorer": scorer, "target": target.tolist()}
            recorder.measured(np.round(point, 4).tolist(), "valence, arousal", **keys)
        low, high = points.min(axis=0), points.max(axis=0)
        recorder.measured(np.round([low[0], high[0], low[1], high[1]], 4).tolist(), "region", way=name, scorer=scorer)
        print(f"{name}: by the {scorer} scorer V {low[0]:+.2f}..{high[0]:+.2f} A {low[1]:+.2f}..{high[1]:+.2f}")
    for measure, value in found.items():
        recorder.measured([round(value, 4)], "", way=name, measure=measure, n=len(plans))
    print(f"{name:22} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()))
    return found


def drawn(target: tuple[float, float]) -> Controls:
    """Controls at random, the same for the same target."""
    draw = random.Random(str(target))
    return replace(Controls(), **{name: draw.choice(list(values)) for name, values in CHOICES.items()})  # type: ignore[arg-type]


def _plan(line: SectionMelody, controls: Controls, target: tuple[float, float]) -> MoodPlan:
    point = score_plan.predicted(section_table(line, controls), score_affect.bundled())
    return MoodPlan(target, line, controls, point)


def _best(plans: Sequence[MoodPlan]) -> Any:
    return min(plans, key=lambda plan: plan.miss)


if __name__ == "__main__":
    sys.exit(main())
