"""Inference cost as work grows: prefill and step against sequence length and batch, time and memory of the state.

    python -m benchmarks.scaling                      # lengths 128 to 16,384 at batch 1; batches 1 to 256 at 512 tokens
    python -m benchmarks.scaling --models gpt2-6m mamba-6m --most-seconds 5

All models are measured in turns at each point. A point whose predecessor on the same line took more than
`--most-seconds` is not run, nor one that needs more memory than `--most-gib` (PyTorch's GPT-2 prefill holds T x T
scores). Lengths beyond the 1,024 positions of the configuration use a position table made longer: speed only.
"""

import argparse
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
from symbolic.config import GPT2Config, GPT2ModernConfig, ModelConfig

MODELS = ("gpt2-6m", "mamba-6m", "mamba2-6m")
LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192, 16_384)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BATCH_TOKENS = 512  # length at which the batch is varied
STEPS = 32
GIB = 2**30


@dataclass(frozen=True)
class Point:
    """One place on a curve; `line` names the curve that it continues."""

    quantity: str  # prefill or step
    line: str  # length or batch
    batch: int
    tokens: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME", help="names of configs/NAME.yaml")
    made.add_argument(
        "--steps-of", nargs="+", default=["native", "torch"], choices=("native", "torch", "graph"), dest="paths"
    )
    made.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    made.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS), metavar="N")
    made.add_argument("--batches", nargs="+", type=int, default=list(BATCHES), metavar="N")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    made.add_argument("--most-seconds", type=float, default=4.0, help="of one measurement (default 4)")
    made.add_argument("--most-gib", type=float, default=4.0, help="of one measurement (default 4)")
    made.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    made.add_argument("-o", "--output", type=Path, default=result_file.BENCHMARKS / "scaling.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure everything and write the result."""
    print(cost_text(args), file=sys.stderr)
    keys = ("precision", "threads", "repeats", "most_seconds", "most_gib", "device")
    recorder = result_file.Recorder("scaling", settings={key: getattr(args, key) for key in keys} | {"steps": STEPS})
    with ExitStack() as stack:
        seats = list(_start(recorder, args, stack))
        slowest: dict[tuple[str, str, str], float] = {}
        for point in points(args.lengths, args.batches):
            for seat in seats:
                _measure(recorder, seat, point, slowest, args)
            print(point, file=sys.stderr)
    recorder.write(args.output)
    return 0


def points(lengths: Sequence[int], batches: Sequence[int]) -> Iterator[Point]:
    """Every point, each curve from its cheap end."""
    for quantity in ("prefill", "step"):
        for tokens in sorted(lengths):
            yield Point(quantity, "length", 1, tokens)
        for batch in sorted(batches):
            yield Point(quantity, "batch", batch, BATCH_TOKENS)


def cost_text(args: argparse.Namespace) -> str:
    """The line printed before measuring: an upper bound, since a curve stops where it grows too slow."""
    n_lines = 4 * len(args.models) * len(args.paths)
    seconds = n_lines * (args.repeats + 1) * args.most_seconds * 2.5 / 2
    return f"this takes up to about {max(1, round(seconds / 60))} min on an idle machine"


def scores_bytes(config: ModelConfig, batch: int, tokens: int) -> int:
    """Memory of PyTorch's GPT-2 prefill: three float32 tensors of all scores at once; small for the others."""
    if not isinstance(config, GPT2Config):
        width = config.n_embd if isinstance(config, GPT2ModernConfig) else config.d_model
        return 32 * batch * tokens * getattr(config, "expand", 1) * width * 4
    return 3 * 4 * batch * config.n_head * tokens**2


def crossover(lengths: Sequence[int], ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The length from which `ours` is below `theirs` (seconds), interpolated in log-log; None without a crossing."""
    import math

    for i in range(1, len(lengths)):
        before, after = (math.log(ours[j] / theirs[j]) for j in (i - 1, i))
        if before > 0 >= after:
            share = before / (before - after)
            low, high = (math.log(lengths[j]) for j in (i - 1, i))
            return math.exp(low + share * (high - low))
    return None


@dataclass
class _Seat:
    name: str
    path: str
    config: ModelConfig
    worker: Worker


def _start(recorder: result_file.Recorder, args: argparse.Namespace, stack: ExitStack) -> Iterator[_Seat]:
    for name in args.models:
        file = Path("configs") / f"{name}.yaml"
        config = configuration.load(file)
        recorder.config_digests[name] = configuration.digest(config)
        for path in args.paths:
            settings: dict[str, Any] = {
                "config": str(file.resolve()),
                "threads": args.threads,
                "precision": args.precision,
            }
            longest = max(*args.lengths, BATCH_TOKENS) + STEPS + 1
            settings |= {"step": path, "positions": longest, "device": args.device}
            # PyTorch's waiting threads would keep a core from the native step's own.
            policy = "active" if args.threads > 1 and path == "torch" else "passive"
            environment = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": policy}
            worker = stack.enter_context(Worker("benchmarks.peers.stretch", settings, environment))
            try:
                worker.begin()
                worker.ask("prefill", batch=1, tokens=64)  # warms up: the first call builds and starts what it needs
                worker.ask("step", batch=1, tokens=64, n=4)
            except Absent as reason:
                recorder.not_run(str(reason), model=name, path=path, family=config.model.family)
                continue
            yield _Seat(name, path, config.model, worker)


def _measure(
    recorder: result_file.Recorder,
    seat: _Seat,
    point: Point,
    slowest: dict[tuple[str, str, str], float],
    args: argparse.Namespace,
) -> None:
    keys: dict[str, Any] = {
        "model": seat.name,
        "family": seat.config.family,
        "path": seat.path,
        "quantity": point.quantity,
    }
    keys |= {"line": point.line, "batch": point.batch, "tokens": point.tokens}
    line = (f"{seat.name} {seat.path}", point.quantity, point.line)
    too_large = seat.path == "torch" and point.quantity == "prefill"
    gib = scores_bytes(seat.config, point.batch, point.tokens) / GIB if too_large else 0.0
    if gib > args.most_gib:
        recorder.not_run(f"needs about {gib:.0f} GiB", **keys)
        return
    if slowest.get(line, 0.0) > args.most_seconds:
        recorder.not_run(f"the point before took {slowest[line]:.1f} s", **keys)
        return
    extra = {"n": STEPS} if point.quantity == "step" else {}
    try:
        answers = [
            seat.worker.ask(point.quantity, batch=point.batch, tokens=point.tokens, **extra)
            for _ in range(args.repeats)
        ]
    except Absent as reason:
        recorder.not_run(str(reason), **keys)
        slowest[line] = float("inf")
        return
    seconds = [answer["value"]["seconds"] / (STEPS if extra else 1) for answer in answers]
    slowest[line] = max(answer["seconds"] for answer in answers)
    memory = {"state_bytes": answers[0]["value"]["state_bytes"], "peak_mib": answers[-1]["peak_mib"]}
    recorder.measured(seconds, "s/step" if extra else "s", **keys, **memory)


if __name__ == "__main__":
    sys.exit(main())
