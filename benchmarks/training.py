"""Training speed: ours against `transformers.Trainer` and a plain loop over the library's model.

    python -m benchmarks.training                 # 6M, bfloat16, 4 rows x 512: about 5 minutes on two idle cores
    python -m benchmarks.training --full          # 60M as well, and ways that are known to be slower: about 12 minutes
    python -m benchmarks.training --full --slow   # and what compiles for minutes

Every way trains the same shape on rows of the same size, in turns, round by round, after a warm-up in which what is
compiled is compiled (its seconds are recorded as `warm_up_seconds`). Tokens per second are batch x context x steps over
the wall time of the steps: forward, backward, clipping, AdamW. 60M models take a quarter of the rows and one step a
round. Above one thread OpenMP's wait policy is active for all.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import result_file
from benchmarks.peers import Absent
from benchmarks.workers import Worker
from symbolic import command_line, machine
from symbolic import config as configuration

MODELS = ("gpt2-6m", "mamba-6m", "mamba2-6m")
LARGE = ("gpt2-60m", "mamba-60m", "mamba2-60m")  # joined by --full
START_SECONDS = 9.0  # of a worker: mostly imports
ALL = ("gpt2", "mamba", "mamba2")


@dataclass(frozen=True)
class Method:
    """How to train; `seconds` a step of 2,048 tokens at 6M to expect on one core, `compiling` before the first."""

    name: str
    kind: str
    precision: str = "bfloat16"
    compiled: bool = False
    plain: bool = False
    scan: str = "default"
    families: tuple[str, ...] = ALL
    seconds: float = 0.6
    compiling: float = 0.0
    needs: str = ""  # the option that it takes
    on_cuda: bool = False  # on a GPU it takes none: there launches are what compiling removes
    large: bool = True  # also at 60M

    @property
    def is_ours(self) -> bool:
        """True for this project's loop."""
        return self.kind == "ours"


# mambapy's scan and the library's Mamba-2 compile for five minutes and more, and mambapy's is then slower than before.
WAYS = (
    Method("ours", "ours", seconds=0.3),
    Method("ours without native kernels", "ours", plain=True, families=("gpt2", "mamba2"), seconds=0.7, large=False),
    Method(
        "ours without native kernels", "ours", plain=True, families=("mamba",), seconds=2.2, needs="full", large=False,
    ),
    Method("ours, compiled", "ours", compiled=True, seconds=0.3, compiling=15, needs="full", on_cuda=True, large=False),
    Method("ours, float32", "ours", precision="float32", seconds=0.8, needs="full", large=False),
    Method("library, plain loop", "loop", families=("gpt2", "mamba2"), seconds=1.2),
    Method(
        "library, plain loop, float32", "loop", precision="float32", families=("gpt2", "mamba2"), seconds=1.6,
        needs="full", large=False,
    ),
    Method("library, plain loop, compiled", "loop", compiled=True, families=("gpt2",), compiling=60),
    Method("library, plain loop, compiled", "loop", compiled=True, families=("mamba2",), compiling=300, needs="slow"),
    Method("library with mambapy, plain loop", "loop", scan="mambapy", families=("mamba",), seconds=6),
    Method(
        "library with mambapy, plain loop, compiled", "loop", scan="mambapy", families=("mamba",), compiled=True,
        compiling=400, seconds=13, needs="slow",
    ),
    Method("transformers.Trainer", "trainer", families=("gpt2", "mamba2"), seconds=1.2),
    Method("transformers.Trainer, compiled", "trainer", compiled=True, families=("gpt2",), compiling=90, needs="slow"),
    Method(
        "transformers.Trainer with mambapy", "trainer", scan="mambapy", families=("mamba",), seconds=6, needs="full",
        large=False,
    ),
)  # fmt: skip


@dataclass
class RunningTrainer:
    """A trainer at work in a process of its own."""

    way: Method
    worker: Worker
    warm_up_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", metavar="NAME", help=f"of configs/NAME.yaml (default {' '.join(MODELS)})")
    made.add_argument("--batch-size", dest="batch", type=int, default=4, help="rows a step (default 4)")
    made.add_argument("--context", type=int, default=512, help="tokens a row (default 512)")
    made.add_argument("--steps", type=int, default=3, help="steps a round at 6M (default 3)")
    made.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    made.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    made.add_argument("--full", action="store_true", help="60M models as well, and ways that are known to be slower")
    made.add_argument("--slow", action="store_true", help="also what takes minutes to compile")
    made.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    made.add_argument("--keep", action="store_true", help="keep what the file holds of other models")
    made.add_argument("-o", "--output", type=Path, default=result_file.BENCHMARKS / "training.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure everything and write the result."""
    print(result_file.cost_text(cost_seconds(args)), file=sys.stderr)
    keys = ("batch", "context", "steps", "repeats", "threads", "device")
    recorder = result_file.Recorder("training", settings={name: getattr(args, name) for name in keys})
    if args.keep:
        recorder.keep(args.output, lambda row: row["model"] in names(args))
    for name in names(args):
        config = configuration.load(Path("configs") / f"{name}.yaml")
        recorder.config_digests[name] = configuration.digest(config)
        _measure(recorder, name, config.model.family, args)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def names(args: argparse.Namespace) -> list[str]:
    """The configurations to train."""
    return list(args.models or (MODELS + LARGE if args.full else MODELS))


def is_large(name: str) -> bool:
    """Whether a configuration is one of 60M."""
    return "60m" in name


def rows_and_steps(name: str, args: argparse.Namespace) -> tuple[int, int]:
    """Rows a step and steps a round."""
    return (max(1, args.batch // 4), 1) if is_large(name) else (args.batch, args.steps)


def ways(name: str, family: str, args: argparse.Namespace) -> Iterator[tuple[Method, str]]:
    """Each way of training a configuration, with the reason where it is left out."""
    for way in WAYS:
        if family in way.families and (way.large or not is_large(name)):
            left_out = way.needs and not getattr(args, way.needs) and not (way.on_cuda and args.device == "cuda")
            yield way, f"run with --{way.needs}" if left_out else ""


def cost_seconds(args: argparse.Namespace) -> float:
    """About how long the measurement takes."""
    total = 0.0
    for name in names(args):
        batch, steps = rows_and_steps(name, args)
        size = batch * args.context / 2048 * (10 if is_large(name) else 1) / min(args.threads, 2)
        for way, left_out in ways(name, name.split("-")[0], args):
            if not left_out:
                total += START_SECONDS + way.compiling + (steps * args.repeats + 2) * way.seconds * size
    return total


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = result_file.select(result, model=model)
        ours = fastest(rows, ours=True)
        lines += ["", f"{model}: tokens/s, and our fastest over it{_beside_gpt2(result, model, ours)}"]
        for row in rows:
            ratio = result_file.ratio(ours, row) if ours and not row["ours"] else None
            right = f"x{result_file.spread_text(ratio, 2)}" if ratio else row.get("not_run", "")
            lines.append(f"  {row['path']:44} {result_file.row_text(row):>24}  {right}")
    return "\n".join(lines)


def _beside_gpt2(result: dict[str, Any], model: str, ours: result_file.Row | None) -> str:
    """How a state-space model's rate stands to that of our GPT-2 of the same size."""
    gpt2 = "gpt2-" + model.partition("-")[2]
    other = fastest(result_file.select(result, model=gpt2), ours=True) if gpt2 != model else None
    if not ours or not other:
        return ""
    share = statistics.median(ours["repeats"]) / statistics.median(other["repeats"])
    return f"; {share:.2f} of {gpt2}'s"


def fastest(rows: Sequence[result_file.Row], *, ours: bool) -> result_file.Row | None:
    """Our fastest path, or the peers'."""
    measured = [row for row in rows if row["ours"] == ours and "repeats" in row]
    return max(measured, key=lambda row: statistics.median(row["repeats"]), default=None)


def _measure(recorder: result_file.Recorder, name: str, family: str, args: argparse.Namespace) -> None:
    seats: list[RunningTrainer] = []
    with ExitStack() as stack:
        for way, left_out in ways(name, family, args):
            keys = _keys(name, way)
            try:
                if left_out:
                    raise Absent(left_out)
                seats.append(_seat(way, name, args, stack))
            except Absent as reason:
                recorder.not_run(str(reason), **keys)
                print(f"{name}: {way.name}: not run: {reason}", file=sys.stderr)
        _rounds(recorder, name, seats, args)


def _seat(way: Method, name: str, args: argparse.Namespace, stack: ExitStack) -> RunningTrainer:
    """Start a worker and warm it up: one step that compiles, one that does not."""
    worker = stack.enter_context(_worker(way, name, args))
    worker.begin()
    warm_up = worker.ask("steps", n=1)["seconds"]
    worker.ask("steps", n=1)
    return RunningTrainer(way, worker, warm_up)


def _worker(way: Method, name: str, args: argparse.Namespace) -> Worker:
    settings = {
        "kind": way.kind,
        "scan": way.scan,
        "config": str((Path("configs") / f"{name}.yaml").resolve()),
        "threads": args.threads,
        "batch": rows_and_steps(name, args)[0],
        "context": args.context,
        "precision": way.precision,
        "device": args.device,
        "compiled": way.compiled,
        **({"plain": True} if way.plain else {}),
    }
    policy = "active" if args.threads > 1 and args.device == "cpu" else "passive"
    return Worker(
        "benchmarks.peers.trainers", settings, {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": policy}
    )


def _rounds(
    recorder: result_file.Recorder, name: str, seats: Sequence[RunningTrainer], args: argparse.Namespace
) -> None:
    batch, steps = rows_and_steps(name, args)
    n_tokens = batch * args.context * steps
    speeds: dict[str, list[float]] = {seat.way.name: [] for seat in seats}
    peaks: dict[str, float] = {}
    for number in range(args.repeats):
        for seat in seats:
            answer = seat.worker.ask("steps", n=steps)
            speeds[seat.way.name].append(n_tokens / answer["value"])
            peaks[seat.way.name] = answer["peak_mib"]
        print(f"{name}: round {number + 1} of {args.repeats}", file=sys.stderr)
    for seat in seats:
        extra = {
            "about": seat.worker.about,
            "warm_up_seconds": seat.warm_up_seconds,
            "tokens_per_step": batch * args.context,
        }
        key = seat.way.name
        recorder.measured(speeds[key], "tokens/s", **_keys(name, seat.way), peak_mib=peaks[key], **extra)


def _keys(name: str, way: Method) -> dict[str, Any]:
    return {"model": name, "quantity": "speed", "path": way.name, "ours": way.is_ours, "precision": way.precision}


if __name__ == "__main__":
    sys.exit(main())
