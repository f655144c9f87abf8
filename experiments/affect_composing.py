"""Which moods can be composed? A 5 x 5 grid of targets, met by the planning scorer and measured by two others.

    python -m experiments.affect_composing [--model NAME]

For each target the best of a pool of melodies is dressed (`compose`). Two scorers that had no part in the choice
measure: one of scores, which learnt from other songs of EMOPIA than the planning one, and one of sound, to which the
music is played. Beside it: the same planned by one scorer alone, the melodies as they are (no controls, best of n), and
controls drawn at random; the first and the last are played too. `reached` is the share of targets within .2 of what is
measured; the map is in the rows.
"""

import argparse
import io
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mido
import numpy as np
from numpy.typing import NDArray

from audio_bridge.affect import sound_affect, sound_features
from audio_bridge.render.render import render
from audio_bridge.sound import recordings
from benchmarks import result_file
from experiments.affect_options import add_melodies, melodies, melody_settings, options_of, run_with
from symbolic.affect.composing import mood_scorer, score_plan, section_writer
from symbolic.affect.composing.arrangement import CHOICES, Controls, SectionMelody, section_table
from symbolic.affect.composing.mood_scorer import MoodScorer
from symbolic.affect.composing.score_plan import MoodPlan
from symbolic.affect.hearing import quadrant_model
from symbolic.affect.hearing.note_table import NoteTable

Floats = NDArray[np.float64]
Target = tuple[float, float]
GRID: tuple[Target, ...] = tuple((v, a) for a in (0.5, 0.25, 0.0, -0.25, -0.5) for v in (-0.4, -0.15, 0.1, 0.35, 0.6))
NEAR = 0.2
PLAYED = ("melody and controls", "controls at random")  # ways that the scorer of sound hears
DRAWS = 1000


@dataclass(frozen=True)
class ScoreAlone(MoodScorer):
    """The level model of scores without the scorer of quadrants."""

    def opinions(self, table: NoteTable) -> Floats:
        """(1, 2) valence and arousal of a section."""
        return super().opinions(table)[:1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_composing")
    add_melodies(parser, 8)
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Compose for every target in four ways, print, write."""
    recorder = result_file.Recorder("affect_composing", settings=melody_settings(args))
    pool, scorer = melodies(args), mood_scorer.bundled()
    alone = ScoreAlone(scorer.score, scorer.quadrants)
    ways: dict[str, Callable[[Target], MoodPlan]] = {
        "melody and controls": lambda target: score_plan.planned([target], pool)[0],
        "planned by one scorer": lambda target: score_plan.planned([target], pool, alone)[0],
        "melodies as they are": lambda target: _best([_plan(line, Controls(pattern="none"), target) for line in pool]),
        "controls at random": lambda target: _best([_plan(line, drawn(target), target) for line in pool]),
    }
    for name, way in ways.items():
        plans = [way(target) for target in GRID]
        record_way(recorder, name, plans, points_of(plans, is_played=name in PLAYED))
    recorder.write(args.output)
    return 0


def points_of(plans: Sequence[MoodPlan], *, is_played: bool) -> dict[str, Floats]:
    """(targets, 2) by each scorer."""
    tables = [section_table(plan.line, plan.controls) for plan in plans]
    found = {
        "planning": np.array([plan.predicted for plan in plans]),
        "other": np.array([quadrant_model.point_of(table) for table in tables]),
    }
    return found | ({"sound": np.array([heard_point(plan) for plan in plans])} if is_played else {})


def heard_point(plan: MoodPlan) -> Floats:
    """(2,) of a section as our synthesiser plays it, by the scorer of sound."""
    midi = mido.MidiFile(file=io.BytesIO(section_writer.piece_midi(section_writer.piece_text([plan], ""))))
    sound = recordings.mono(render(midi, sample_rate=sound_features.RATE), sound_features.RATE)
    features = sound_features.whole(sound_features.Spectra(sound.samples[0]))
    return sound_affect.bundled().level.predict_known(features)[0]


def record_way(
    recorder: result_file.Recorder, name: str, plans: Sequence[MoodPlan], points: dict[str, Floats]
) -> dict[str, float]:
    """Rows of each target and of the whole way; the whole is returned. Intervals are of a bootstrap over targets."""
    targets = np.array([plan.target for plan in plans])
    found: dict[str, float] = {}
    for scorer, at in points.items():
        errors = np.abs(at - targets)
        near = (np.linalg.norm(at - targets, axis=1) <= NEAR).astype(float)
        for measure, values in (("MAE V", errors[:, 0]), ("MAE A", errors[:, 1]), ("reached", near)):
            found[f"{scorer} {measure}"] = float(values.mean())
            low, high = _interval(values)
            keys = {"way": name, "measure": f"{scorer} {measure}", "n": len(plans), "low": low, "high": high}
            recorder.measured([round(float(values.mean()), 4)], "", **keys)
        for plan, point in zip(plans, at):
            keys = {"way": name, "scorer": scorer, "target": list(plan.target), "controls": str(plan.controls)}
            recorder.measured(np.round(point, 4).tolist(), "valence, arousal", **keys)
        (low_v, low_a), (high_v, high_a) = at.min(axis=0), at.max(axis=0)
        recorder.measured(np.round([low_v, high_v, low_a, high_a], 4).tolist(), "region", way=name, scorer=scorer)
        print(f"{name}: by the {scorer} scorer V {low_v:+.2f}..{high_v:+.2f} A {low_a:+.2f}..{high_a:+.2f}")
    print(f"{name:22} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()), flush=True)
    return found


def drawn(target: Target) -> Controls:
    """Controls at random, the same for the same target."""
    draw = random.Random(str(target))
    return replace(Controls(), **{name: draw.choice(list(values)) for name, values in CHOICES.items()})  # type: ignore[arg-type]


def _plan(line: SectionMelody, controls: Controls, target: Target) -> MoodPlan:
    return score_plan.judged(line, controls, target, mood_scorer.bundled())


def _best(plans: Sequence[MoodPlan]) -> Any:
    return min(plans, key=lambda plan: plan.cost)


def _interval(values: Floats) -> tuple[float, float]:
    draws = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


if __name__ == "__main__":
    sys.exit(main())
