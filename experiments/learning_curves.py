"""Loss during training: validation bits per byte against steps, tokens, seconds and FLOPs, of finished or running runs.

    python -m experiments.learning_curves runs/gpt2-6m-* runs/mamba-6m-* -o curves.json

Reads config.yaml, run.json and metrics.jsonl of each run directory; nothing is computed anew. Runs whose
configurations differ in `name` and `seed` only are seeds of one model: the figure draws their mean with the 95 %
interval of the mean (Student's t), or with their range where there are only two. Seconds are those of training alone,
on the machine that each run names; FLOPs are the model's own by `symbolic.models.costs`. A run that is not finished is
drawn as far as it has come and marked by `finished` false.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, runs
from symbolic.errors import UserError
from symbolic.training import learning_curve

STUDENT_95 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # two-sided, 2 to 9 degrees of freedom
NORMAL_95 = 1.960


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    made.add_argument("-o", "--output", type=Path, metavar="FILE", help="result file to write (default: only print)")
    return made


def run(args: argparse.Namespace) -> int:
    """Gather the curves, print a table and write the result where asked."""
    recorder = gather(args.runs, "learning_curves", {"runs": [str(folder) for folder in args.runs]})
    print(table(recorder.result()), file=sys.stderr if args.output else sys.stdout)
    if args.output:
        recorder.write(args.output)
    return 0


def gather(folders: Sequence[Path], name: str, settings: dict[str, Any]) -> result_file.Recorder:
    """A result with one row a run."""
    recorder = result_file.Recorder(name, settings=settings)
    for folder in folders:
        curve = read_curve(folder)
        recorder.config_digests[folder.name] = curve.pop("config_digest")
        recorder.data_digest = recorder.data_digest or curve["data_digest"]
        recorder.measured(curve.pop("bits_per_byte"), "bits/byte", **curve)
    return recorder


def interval(values: Sequence[float]) -> result_file.Spread:
    """Mean of one number of several seeds with the 95 % interval of that mean; of one or two seeds their range."""
    mean, n = statistics.fmean(values), len(values)
    if n < 3:
        return result_file.Spread(mean, min(values), max(values))
    quantile = STUDENT_95[n - 3] if n - 3 < len(STUDENT_95) else NORMAL_95
    half = quantile * statistics.stdev(values) / math.sqrt(n)
    return result_file.Spread(mean, mean - half, mean + half)


def paired_interval(one: Mapping[int, float], other: Mapping[int, float]) -> result_file.Spread | None:
    """Mean of the differences of two models, seed by seed, with its interval (`interval`); None without a common seed.

    A seed gives both models the same rows in the same order, so their difference varies less than either.
    """
    seeds = sorted(one.keys() & other.keys())
    return interval([one[seed] - other[seed] for seed in seeds]) if seeds else None


def read_curve(folder: Path) -> dict[str, Any]:
    """One run: the validation results with their places on the four axes, the training losses thinned to 400 points."""
    curve = learning_curve.read(folder)
    if not curve.steps:
        raise UserError(f"{runs.metrics_file(folder)}: no evaluation yet. Train on, or lower train.evaluate_every.")
    return {
        "model": curve.model,
        "run": folder.name,
        "family": curve.config.model.family,
        "seed": curve.config.seed,
        "finished": curve.finished,
        "config_digest": curve.record["config_digest"],
        "data_digest": result_file.data_digest(curve.config.data.folder),
        "machine": curve.record["machine"],
        "bits_per_byte": curve.bits_per_byte,
        **{axis: getattr(curve, axis) for axis in learning_curve.AXES},
        "training": curve.training,
    }


def table(result: dict[str, Any]) -> str:
    """The ends of the curves."""
    lines = [f"{'run':32} {'steps':>9} {'seconds':>10} {'best bits/byte':>15} {'last':>8}"]
    for row in result["rows"]:
        best, last = min(row["repeats"]), row["repeats"][-1]
        lines.append(f"{row['run']:32} {row['steps'][-1]:9,} {row['seconds'][-1]:10,.0f} {best:15.4f} {last:8.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
