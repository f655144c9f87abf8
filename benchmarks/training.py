"""Training speed at 6M parameters: ours against `transformers.Trainer` and a plain loop over the library's model.

    python -m benchmarks.training                     # bfloat16, batch 4 x 512, short
    python -m benchmarks.training --full              # also paths that compile for minutes or take a minute a step

Every path trains the same shape on rows of the same size, in turns, round by round, after a warm-up in which what is
compiled is compiled (its seconds are recorded as `warm_up_seconds`). Tokens per second are batch x context x steps over
the wall time of the steps: forward, backward, clipping, AdamW. Above one thread OpenMP's wait policy is tried both ways
where nothing is compiled, and is active where it is.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import Absent
from benchmarks.workers import Worker
from experiments import results
from symbolic import config as configuration
from symbolic import machine, verbs

MODELS = ("gpt2-6m", "mamba-6m", "mamba2-6m")
START_SECONDS = 7.0  # of a worker: mostly imports


@dataclass(frozen=True)
class Way:
    """How to train; `seconds` a step of 2,048 tokens to expect on one core, `compiling` before the first."""

    name: str
    kind: str
    precision: str = "bfloat16"
    compiled: bool = False
    scan: str = "default"
    families: tuple[str, ...] = ("gpt2", "mamba", "mamba2")
    seconds: float = 0.6
    compiling: float = 0.0
    slow: tuple[str, ...] = ()  # families for which it is left to --full

    @property
    def is_ours(self) -> bool:
        return self.kind == "ours"


WAYS = (
    Way("ours", "ours", seconds=0.7),
    Way("ours, compiled", "ours", compiled=True, seconds=0.5, compiling=15),
    Way("ours, float32", "ours", precision="float32", seconds=1.0),
    Way("library, plain loop, float32", "loop", precision="float32", families=("gpt2", "mamba2"), seconds=1.5),
    Way("library, plain loop", "loop", families=("gpt2", "mamba2"), seconds=1.2),
    Way("library, plain loop, compiled", "loop", compiled=True, families=("gpt2",), compiling=60, seconds=0.6),
    Way("library, plain loop, compiled", "loop", compiled=True, families=("mamba2",), compiling=300, slow=("mamba2",)),
    Way("library with mambapy, plain loop", "loop", scan="mambapy", families=("mamba",), seconds=6),
    Way(
        "library with mambapy, plain loop, compiled", "loop", scan="mambapy", families=("mamba",), compiled=True,
        compiling=400, seconds=13, slow=("mamba",),
    ),
    Way("transformers.Trainer", "trainer", families=("gpt2", "mamba2"), seconds=1.2),
    Way("transformers.Trainer, compiled", "trainer", compiled=True, families=("gpt2",), compiling=90, slow=("gpt2",)),
    Way("transformers.Trainer with mambapy", "trainer", scan="mambapy", families=("mamba",), slow=("mamba",)),
)  # fmt: skip


@dataclass
class Seat:
    """A way at work, with the worker of the better wait policy."""

    way: Way
    worker: Worker
    policy: str | None
    warm_up_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return verbs.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME", help="names of configs/NAME.yaml")
    made.add_argument("--batch", type=int, default=4, help="rows a step (default 4)")
    made.add_argument("--context", type=int, default=512, help="tokens a row (default 512)")
    made.add_argument("--steps", type=int, default=3, help="steps a round (default 3)")
    made.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    made.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    made.add_argument("--full", action="store_true", help="also what takes minutes to compile")
    made.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    made.add_argument("-o", "--output", type=Path, default=results.BENCHMARKS / "training.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure everything and write the result."""
    print(cost_text(cost_seconds(args)), file=sys.stderr)
    settings = {name: getattr(args, name) for name in ("batch", "context", "steps", "repeats", "threads", "device")}
    recorder = results.Recorder("training", settings=settings)
    for name in args.models:
        config = configuration.load(Path("configs") / f"{name}.yaml")
        recorder.config_digests[name] = configuration.digest(config)
        _measure(recorder, name, config.model.family, args)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def ways(family: str, full: bool) -> Iterator[tuple[Way, str]]:
    """Each way of training a family, with the reason where it is left out."""
    for way in WAYS:
        if family in way.families:
            left_out = family in way.slow and not full
            yield way, "takes minutes: run with --full" if left_out else ""


def cost_seconds(args: argparse.Namespace) -> float:
    """About how long the measurement takes."""
    total = 0.0
    for name in args.models:
        family = name.split("-")[0]
        for way, left_out in ways(family, args.full):
            policies = len(policies_of(way, args))
            steps = args.steps * args.repeats + policies * 2
            size = args.batch * args.context / 2048
            if not left_out:
                total += policies * (START_SECONDS + way.compiling) + steps * way.seconds * size
    return total


def policies_of(way: Way, args: argparse.Namespace) -> tuple[str, ...]:
    """The wait policies to try; what compiles for minutes is not compiled twice, and gets the one that suits idle
    cores."""
    if args.threads == 1 or args.device != "cpu":
        return ("passive",)
    return ("active",) if way.compiled else ("active", "passive")


def cost_text(seconds: float) -> str:
    """The line printed before measuring."""
    return f"this takes about {max(1, round(seconds / 60))} min on an idle machine of two cores"


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = results.select(result, model=model)
        ours = fastest(rows, ours=True)
        lines += ["", f"{model}: tokens/s, and our fastest over it"]
        for row in rows:
            ratio = results.ratio(ours, row) if ours and not row["ours"] else None
            right = f"x{results.spread_text(ratio, 2)}" if ratio else row.get("not_run", "")
            lines.append(f"  {row['path']:44} {results.row_text(row):>24}  {right}")
    return "\n".join(lines)


def fastest(rows: Sequence[results.Row], *, ours: bool) -> results.Row | None:
    """Our fastest path, or the peers'."""
    measured = [row for row in rows if row["ours"] == ours and "repeats" in row]
    return max(measured, key=lambda row: statistics.median(row["repeats"]), default=None)


def _measure(recorder: results.Recorder, name: str, family: str, args: argparse.Namespace) -> None:
    seats: list[Seat] = []
    with ExitStack() as stack:
        for way, left_out in ways(family, args.full):
            keys = _keys(name, way)
            try:
                if left_out:
                    raise Absent(left_out)
                seats.append(_seat(way, name, args, stack))
            except Absent as reason:
                recorder.not_run(str(reason), **keys)
                print(f"{name}: {way.name}: not run: {reason}", file=sys.stderr)
        _rounds(recorder, name, seats, args)


def _seat(way: Way, name: str, args: argparse.Namespace, stack: ExitStack) -> Seat:
    """Start and warm up a worker with each wait policy, keep the faster."""
    policies = policies_of(way, args)
    tried: list[tuple[float, Seat]] = []
    for policy in policies:
        worker = stack.enter_context(_worker(way, name, policy, args))
        worker.begin()
        warm_up = worker.ask("steps", n=1)["seconds"]
        seconds = worker.ask("steps", n=1)["value"]
        tried.append((seconds, Seat(way, worker, policy, warm_up)))
    best = min(tried, key=lambda pair: pair[0])[1]
    for _, seat in tried:
        if seat is not best:
            seat.worker.close()
    return best


def _worker(way: Way, name: str, policy: str, args: argparse.Namespace) -> Worker:
    settings = {
        "kind": way.kind,
        "scan": way.scan,
        "config": str((Path("configs") / f"{name}.yaml").resolve()),
        "threads": args.threads,
        "batch": args.batch,
        "context": args.context,
        "precision": way.precision,
        "device": args.device,
        "compiled": way.compiled,
    }
    environment = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": policy}
    return Worker("benchmarks.peers.trainers", settings, environment)


def _rounds(recorder: results.Recorder, name: str, seats: Sequence[Seat], args: argparse.Namespace) -> None:
    n_tokens = args.batch * args.context * args.steps
    speeds: dict[str, list[float]] = {seat.way.name: [] for seat in seats}
    peaks: dict[str, float] = {}
    for number in range(args.repeats):
        for seat in seats:
            answer = seat.worker.ask("steps", n=args.steps)
            speeds[seat.way.name].append(n_tokens / answer["value"])
            peaks[seat.way.name] = answer["peak_mib"]
        print(f"{name}: round {number + 1} of {args.repeats}", file=sys.stderr)
    for seat in seats:
        extra = {"wait_policy": seat.policy, "about": seat.worker.about, "warm_up_seconds": seat.warm_up_seconds}
        key = seat.way.name
        recorder.measured(speeds[key], "tokens/s", **_keys(name, seat.way), peak_mib=peaks[key], **extra)


def _keys(name: str, way: Way) -> dict[str, Any]:
    return {"model": name, "quantity": "speed", "path": way.name, "ours": way.is_ours, "precision": way.precision}


if __name__ == "__main__":
    sys.exit(main())
