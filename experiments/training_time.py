"""Training time of 100,000 steps of each model: measured steps per second, and what they project to.

    python -m experiments.training_time                               # rates on this machine, a few steps each
    python -m experiments.training_time --runs runs/gpt2-6m runs/mamba-6m

Each configuration takes turns with the others, in a process of its own, at its own batch and context (8,192 tokens a
step) after a warm-up. 100,000 steps are the rate multiplied out: `projected_hours`, stated as a projection, without
evaluation and checkpoints. For a run that made its steps (--runs) `measured_hours` are its own training seconds.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import result_file
from benchmarks.peers import Absent
from benchmarks.workers import Worker
from symbolic import command_line, files, machine, runs
from symbolic import config as configuration
from symbolic.config import Config
from symbolic.models import costs, sizes

MODELS = tuple(f"{family}-{size}" for size in ("6m", "60m") for family in ("gpt2", "mamba", "mamba2", "lstm"))
STEPS = 100_000
EXPECTED = {"6m": 0.9, "60m": 7.0, "lstm-6m": 3.0, "lstm-60m": 35.0}  # seconds a step of 8,192 tokens, two cores


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="*", default=list(MODELS), metavar="NAME", help="names of configs/NAME.yaml")
    made.add_argument("--runs", nargs="*", type=Path, default=[], metavar="RUN", help="finished runs to read as well")
    made.add_argument("--steps", type=int, default=1, help="steps a round (default 1)")
    made.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    made.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    made.add_argument("--precision", default="bfloat16", choices=("bfloat16", "float32"))
    made.add_argument("--compile", action="store_true", help="compile each block")
    made.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "training_time.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure, read, write."""
    print(cost_text(args), file=sys.stderr)
    keys = ("steps", "repeats", "threads", "precision", "compile", "device")
    recorder = result_file.Recorder("training_time", settings={key: getattr(args, key) for key in keys})
    _rates(recorder, args)
    for folder in args.runs:
        _finished(recorder, folder)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def cost_text(args: argparse.Namespace) -> str:
    """The line printed before measuring."""
    steps = args.steps * args.repeats + 1
    seconds = sum(10 + steps * EXPECTED.get(name, EXPECTED["60m" if "60m" in name else "6m"]) for name in args.models)
    return f"this takes about {max(1, round(seconds / 60))} min on an idle machine of two cores"


def hours(steps_per_second: float, steps: int = STEPS) -> float:
    """Hours of so many steps."""
    return steps / steps_per_second / 3600


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'model':20} {'steps/s':>26} {'100,000 steps, hours':>24}"]
    for row in result["rows"]:
        known = "measured_hours" if "measured_hours" in row else "projected_hours"
        value = f"{row[known]:,.2f} ({known.split('_')[0]})" if known in row else row.get("not_run", "")
        lines.append(f"{row['model']:20} {result_file.row_text(row, 3):>26} {value:>24}")
    return "\n".join(lines)


def _rates(recorder: result_file.Recorder, args: argparse.Namespace) -> None:
    """Every model once a round."""
    with ExitStack() as stack:
        seats: list[tuple[str, Config, Worker]] = []
        for name in args.models:
            config = configuration.load(Path("configs") / f"{name}.yaml")
            recorder.config_digests[name] = configuration.digest(config)
            worker = stack.enter_context(_worker(name, config, args))
            try:
                worker.begin()
                worker.ask("steps", n=1)
            except Absent as reason:
                recorder.not_run(str(reason), model=name, family=config.model.family, quantity="rate")
                continue
            seats.append((name, config, worker))
        rates: dict[str, list[float]] = {name: [] for name, _, _ in seats}
        for number in range(args.repeats):
            for name, _, worker in seats:
                rates[name].append(args.steps / worker.ask("steps", n=args.steps)["value"])
            print(f"round {number + 1} of {args.repeats}", file=sys.stderr)
        for name, config, worker in seats:
            recorder.measured(rates[name], "steps/s", **_keys(name, config, rates[name]), about=worker.about)


def _keys(name: str, config: Config, rates: Sequence[float]) -> dict[str, Any]:
    t = config.train
    per_step = t.batch_size * t.accumulation * config.data.context
    rate = statistics.median(rates)
    return {
        "model": name,
        "family": config.model.family,
        "quantity": "rate",
        "parameters": sizes.parameters(config.model),
        "tokens_per_step": per_step,
        "projected_hours": hours(rate),
        "projected_steps": STEPS,
        "model_flops_per_second": rate * per_step * costs.training_flops(config.model, config.data.context),
    }


def _worker(name: str, config: Config, args: argparse.Namespace) -> Worker:
    settings = {
        "kind": "ours",
        "config": str((Path("configs") / f"{name}.yaml").resolve()),
        "threads": args.threads,
        "batch": config.train.batch_size * config.train.accumulation,
        "context": config.data.context,
        "precision": args.precision,
        "compiled": args.compile,
        "device": args.device,
    }
    policy = "active" if args.threads > 1 and args.device == "cpu" else "passive"
    environment = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": policy}
    return Worker("benchmarks.peers.trainers", settings, environment)


def _finished(recorder: result_file.Recorder, folder: Path) -> None:
    """The time that a run's steps took, from its own record."""
    config = configuration.load(runs.config_file(folder))
    record = files.read_json(runs.run_file(folder))
    keys = {"model": config.name, "family": config.model.family, "quantity": "run", "run": folder.name}
    recorder.config_digests[folder.name] = record["config_digest"]
    if "summary" not in record:
        recorder.not_run("the run is not finished", **keys)
        return
    summary = record["summary"]
    rate = summary["steps"] / summary["seconds"]
    took = {"measured_hours": summary["seconds"] / 3600, "measured_steps": summary["steps"]}
    recorder.measured([rate], "steps/s", **keys, **took, machine=record["machine"])


if __name__ == "__main__":
    sys.exit(main())
