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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.errors import UserError
from symbolic.models import costs
from symbolic.training import metrics_log

AXES = ("steps", "tokens", "seconds", "flops")
STUDENT_95 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # two-sided, 2 to 9 degrees of freedom
NORMAL_95 = 1.960


def main(arguments: Sequence[str] | None = None) -> int:
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


def read_curve(folder: Path) -> dict[str, Any]:
    """One run: the validation results with their places on the four axes, the training losses thinned to 400 points."""
    config = configuration.load(runs.config_file(folder))
    record, rows = files.read_json(runs.run_file(folder)), metrics_log.read(runs.metrics_file(folder))
    validations = [row for row in rows if row["kind"] == "validation"]
    if not validations:
        raise UserError(f"{runs.metrics_file(folder)}: no evaluation yet. Train on, or lower train.evaluate_every.")
    t = config.train
    per_step = t.batch_size * t.accumulation * config.data.context
    steps = [row["step"] for row in validations]
    flops = costs.training_flops(config.model, config.data.context)
    return {
        "model": family_name(config.name, config.seed),
        "run": folder.name,
        "family": config.model.family,
        "seed": config.seed,
        "finished": "summary" in record,
        "config_digest": record["config_digest"],
        "data_digest": result_file.data_digest(config.data.folder),
        "machine": record["machine"],
        "bits_per_byte": [row["bits_per_byte"] for row in validations],
        "steps": steps,
        "tokens": [step * per_step for step in steps],
        "seconds": [seconds_at(rows, step) for step in steps],
        "flops": [step * per_step * flops for step in steps],
        "training": _thinned([(row["step"], row["loss"]) for row in rows if row["kind"] == "train"]),
    }


def seconds_at(rows: Sequence[dict[str, Any]], step: int) -> float:
    """Seconds of training when `step` was reached: the last speed row up to it."""
    return max((row["seconds"] for row in rows if row["kind"] == "speed" and row["step"] <= step), default=0.0)


def family_name(name: str, seed: int) -> str:
    """The run's name without its seed: gpt2-6m-seed3 -> gpt2-6m."""
    for suffix in (f"-seed{seed}", f"-s{seed}"):
        name = name.removesuffix(suffix)
    return name


def table(result: dict[str, Any]) -> str:
    """The ends of the curves."""
    lines = [f"{'run':32} {'steps':>9} {'seconds':>10} {'best bits/byte':>15} {'last':>8}"]
    for row in result["rows"]:
        best, last = min(row["repeats"]), row["repeats"][-1]
        lines.append(f"{row['run']:32} {row['steps'][-1]:9,} {row['seconds'][-1]:10,.0f} {best:15.4f} {last:8.4f}")
    return "\n".join(lines)


def _thinned(pairs: Sequence[tuple[int, float]], most: int = 400) -> list[list[float]]:
    """Means of equal stretches of steps."""
    size = -(-len(pairs) // most) if pairs else 1
    stretches = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    return [[stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)] for stretch in stretches]


if __name__ == "__main__":
    sys.exit(main())
