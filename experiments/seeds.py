"""Every model family at a small size with several seeds: learning curves whose bands say what a seed can do.

    python -m experiments.seeds                       # four models of 1M, three seeds: about 15 minutes on one core
    python -m experiments.seeds --configs gpt2-6m-folk mamba2-6m-folk --seeds 0 1 2 3 4

The configurations of one call differ in `name` and `model` only; of a configuration's runs only `seed` and `name`
differ, which changes the initial weights and the order of the rows. Seeds are the outer loop, so that the models take
turns. Runs are kept in runs/seeds/; a finished one is not made again, an interrupted one goes on. The result file has
the form of `experiments.learning_curves`; the table says which final differences count: those whose 95 % interval,
paired over seeds, leaves 0 out (rule 4 of README.md).
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from experiments import learning_curves
from symbolic import command_line, runs
from symbolic import config as configuration
from symbolic.config import Config
from symbolic.errors import UsageError

FAMILIES = ("gpt2-1m", "mamba-1m", "mamba2-1m", "lstm-1m")
FOLDER = runs.ROOT / "seeds"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--configs", nargs="+", default=list(FAMILIES), metavar="NAME", help="names of configs/NAME.yaml")
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    made.add_argument("--data", help="a folder made by `prepare` (default: that of the configurations)")
    made.add_argument("--steps", type=int, help="other than the configurations'; a tenth of them warm up")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "seeds.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Train what is missing, gather the curves, write."""
    from symbolic.training import train

    planned = [make_config(args, name, seed) for seed, name in itertools.product(args.seeds, args.configs)]
    check_equal(planned)
    n_tokens = sum(c.train.steps * c.train.batch_size * c.train.accumulation * c.data.context for c in planned)
    print(f"{len(planned)} runs, {n_tokens:,} tokens in all", file=sys.stderr)
    folders = [FOLDER / config.name for config in planned]
    for config, folder in zip(planned, folders, strict=True):
        train.train(config, folder, resume=True)
    settings = {"configs": args.configs, "seeds": args.seeds, "data": args.data, "steps": args.steps}
    recorder = learning_curves.gather(folders, "seeds", settings)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def make_config(args: argparse.Namespace, name: str, seed: int) -> Config:
    """A configuration with its seed, named after it."""
    changes: dict[str, Any] = {"name": f"{name}-seed{seed}", "seed": seed}
    if args.data:
        changes["data.folder"] = args.data
    if args.steps:
        changes |= {"name": f"{name}-{args.steps}-seed{seed}", "train.steps": args.steps}
        changes |= {"train.warmup_steps": args.steps // 10, "train.evaluate_every": max(1, args.steps // 12)}
    overrides = [(key, str(value)) for key, value in changes.items()]
    return configuration.load(Path("configs") / f"{name}.yaml", overrides)


def check_equal(planned: Sequence[Config]) -> None:
    """Refuse to compare runs under unlike conditions."""
    for config in planned[1:]:
        other = [key for key in configuration.differences(planned[0], config) if key not in ("name", "seed")]
        unlike = [key for key in other if not key.startswith("model.")]
        if unlike:
            raise UsageError(f"{planned[0].name} and {config.name} differ in {', '.join(unlike)}: choose paired files.")


def table(result: dict[str, Any]) -> str:
    """Final bits per byte of each model, and how far the next better one is from it, seed by seed."""
    ends, seconds = final_losses(result), dict[str, list[float]]()
    for row in result["rows"]:
        seconds.setdefault(row["model"], []).append(row["seconds"][-1])
    lines = [f"{'model':16} {'seeds':>5} {'bits/byte, 95 % interval':>26} {'s a run':>8}  more than the one above"]
    ordered = sorted(ends, key=lambda model: result_file.spread(list(ends[model].values())).median)
    for before, model in zip([None, *ordered], ordered, strict=False):
        spread = learning_curves.interval(list(ends[model].values()))
        difference = learning_curves.paired_interval(ends[model], ends[before]) if before else None
        words = f"  {difference_text(difference)}" if difference else ""
        middle = f"{spread.median:.3f} ({spread.low:.3f}–{spread.high:.3f})"
        took = result_file.spread(seconds[model]).median
        lines.append(f"{model:16} {len(ends[model]):5} {middle:>26} {took:8.0f}{words}")
    return "\n".join(lines)


def final_losses(result: dict[str, Any]) -> dict[str, dict[int, float]]:
    """By model and seed the last validation figure, bits per byte."""
    found: dict[str, dict[int, float]] = {}
    for row in result["rows"]:
        found.setdefault(row["model"], {})[int(row["seed"])] = row["repeats"][-1]
    return found


def difference_text(one: result_file.Spread) -> str:
    """A paired difference with its interval, and whether that leaves 0 out."""
    return f"{one.median:.3f} ({one.low:.3f}–{one.high:.3f})" + (
        "" if one.low > 0 or one.high < 0 else ", not told apart"
    )


if __name__ == "__main__":
    sys.exit(main())
