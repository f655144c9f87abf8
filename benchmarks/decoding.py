"""Decoding speed of GPT-2, Mamba and Mamba-2 (6M): ours against the engines that people use, on a CPU.

    python -m benchmarks.decoding                     # 512 new tokens, batch 1 and 32, 1 and 2 threads: about 30 min
    python -m benchmarks.decoding --tokens 64 --repeats 2 --models gpt2-6m

Every path gets the same weights, the same prompts (16 ids of held-out tunes), draws greedily and makes exactly
`--tokens` tokens a row, end of tune or not. Tokens per second are batch x tokens over the wall time of the whole call,
prompt included; `core` is the same over the processor time of all its threads, which other work on the machine spoils
less. All paths of one model, thread count, batch and class are processes of one tree that take turns, round by round,
so that ratios are taken within a round; between turns they are stopped. At two threads each OpenMP path is first tried
with OMP_WAIT_POLICY active and passive and measured with the better one, batch by batch.

Cost: a block (model, threads, batch, class) makes one cold round, which is kept apart (`cold`: what is compiled for
this length is compiled in it), and `--repeats` warm ones, but no further one (two are made always) once its share of
`--minutes` is spent. A token of a Mamba costs the same at any length, so there all paths of a block make fewer tokens a
row where the slowest would take longer than TURN_SECONDS; rows say how many. The result file is written after each
block.

Classes: float32 is compared with float32; bfloat16 and int8 together. Ours can hold float32 weights in 16 bits where
that changes none of them, as in models shipped in bfloat16; that is a row of its own, and not the one that is compared.

`floor` rows: tokens/s that the machine's bandwidth and arithmetic allow (benchmarks.peers.floor), with the weights in
as many bytes as the precision says; the table gives each path's share of it.

`agreement` rows: largest difference of the first logits from `transformers` in float32, and, for trained weights, the
share of rows whose greedy tokens are the reference's up to the end of the tune, with the mean length of the common
beginning. (A random model repeats one token: equality of its tokens would prove nothing.)
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import result_file, weights
from benchmarks.peers import Absent
from benchmarks.weights import Weights
from benchmarks.workers import Worker
from symbolic import command_line
from symbolic import config as configuration
from symbolic.models import costs

MODELS = ("gpt2-6m", "mamba-6m", "mamba2-6m")
PROMPT_TOKENS = 16
TRIAL_TOKENS = 16
TURN_SECONDS, LEAST_TOKENS = 3.0, 64  # of a path whose tokens cost the same at any length
AGREEMENT_TOKENS = 128
EOS = 2
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
START_SECONDS = 3.0  # of a worker: mostly imports
# Tokens per second to be expected on one core, batch 1 and 32: only for the estimate of the cost.
EXPECTED = {"gpt2-6m": (400, 2000), "mamba-6m": (200, 2000), "mamba2-6m": (150, 1500)}


@dataclass(frozen=True)
class DecodingSetup:
    """A way of decoding: adapter module, its settings, whether OpenMP's wait policy matters to it."""

    engine: str
    module: str
    precision: str
    settings: tuple[tuple[str, str], ...] = ()
    openmp: bool = True

    @property
    def only_gpt2(self) -> bool:
        """True for peers and settings that have no state-space models."""
        is_static = dict(self.settings).get("cache") in ("static", "compiled")
        return is_static or self.module in ("ctranslate", "onnx_runtime", "openvino_runtime")

    @property
    def name(self) -> str:
        """Engine and precision, as tables show them."""
        return f"{self.engine}, {self.precision}"


HELD = "ours, weights held in 16 bits"
PATHS = (
    DecodingSetup("ours, native step", "ours", "float32", (("step", "native"), ("held", "float32")), openmp=False),
    DecodingSetup(HELD, "ours", "float32", (("step", "native"),), openmp=False),
    DecodingSetup("ours, native step", "ours", "bfloat16", (("step", "native"),), openmp=False),
    DecodingSetup("ours, native step", "ours", "int8", (("step", "native"),), openmp=False),
    DecodingSetup("ours, PyTorch step", "ours", "float32", (("step", "torch"),)),
    DecodingSetup("transformers, dynamic cache", "library", "float32", (("cache", "dynamic"),)),
    DecodingSetup("transformers, dynamic cache", "library", "bfloat16", (("cache", "dynamic"),)),
    DecodingSetup("transformers, static cache", "library", "float32", (("cache", "static"),)),
    DecodingSetup("transformers, compiled", "library", "float32", (("cache", "compiled"),)),
    DecodingSetup("CTranslate2", "ctranslate", "float32"),
    DecodingSetup("ONNX Runtime", "onnx_runtime", "float32", openmp=False),
    DecodingSetup("ONNX Runtime", "onnx_runtime", "int8", openmp=False),
    DecodingSetup("OpenVINO", "openvino_runtime", "float32", openmp=False),
    DecodingSetup("CTranslate2", "ctranslate", "bfloat16"),
    DecodingSetup("CTranslate2", "ctranslate", "int8"),
    DecodingSetup("llama.cpp", "llama", "float32"),
    DecodingSetup("llama.cpp", "llama", "bfloat16"),
    DecodingSetup("llama.cpp", "llama", "int8"),
)
REFERENCE = next(path for path in PATHS if path.name == "transformers, dynamic cache, float32")


@dataclass(frozen=True)
class RunningEngine:
    """A path at work: its worker, the wait policy that was chosen where there was a choice, tokens a row and turn."""

    path: DecodingSetup
    worker: Worker
    policy: str | None
    tokens: int


@dataclass(frozen=True)
class Answers:
    """Logits (rows, V) after the prompts, and of trained weights the tokens drawn greedily after them."""

    logits: list[list[float]]
    tokens: list[list[int]] | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, metavar="NAME")
    made.add_argument("--batches", nargs="+", type=int, default=[1, 32], metavar="N")
    made.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    made.add_argument("--tokens", type=int, default=512, help="new tokens a row (default 512)")
    made.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    made.add_argument("--minutes", type=float, default=10.0, help="to spend on rounds (default 10)")
    made.add_argument("--weights", action="append", default=[], metavar="NAME=FOLDER", help="weights of a model")
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="where prompts come from")
    made.add_argument("--keep", action="store_true", help="keep what the file holds of other models and thread counts")
    made.add_argument("-o", "--output", type=Path, default=result_file.BENCHMARKS / "decoding.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure everything and write the result."""
    print(result_file.cost_text(cost_seconds(args, PATHS)), file=sys.stderr)
    given = dict(weights.read_option(text) for text in args.weights)
    prompts = weights.prompts(args.data, max(args.batches), PROMPT_TOKENS)
    settings = {"tokens": args.tokens, "prompt_tokens": PROMPT_TOKENS, "repeats": args.repeats, "sampling": "greedy"}
    recorder = result_file.Recorder("decoding", settings=settings, data_digest=result_file.data_digest(args.data))
    if args.keep:
        recorder.keep(args.output, lambda row: row["model"] in args.models and row["threads"] in args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.models:
            chosen = weights.choose(name, given, Path(scratch))
            recorder.config_digests[name] = configuration.digest(chosen.config)
            recorder.settings.setdefault("weights", {})[name] = chosen.source
            for threads in args.threads:
                _measure(recorder, chosen, threads, PATHS, prompts, args)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def cost_seconds(args: argparse.Namespace, paths: Sequence[DecodingSetup]) -> float:
    """About how long the measurement takes."""
    seconds = 0.0
    for name in args.models:
        able = [path for path in paths if name.startswith("gpt2") or not path.only_gpt2]
        for threads in args.threads:
            policies = 2 if threads > 1 else 1
            for batch in args.batches:
                seconds += START_SECONDS * len(able) * policies
                trials, one_round = _block_seconds(name, batch, args.tokens, able)
                rounds = 1 + min(args.repeats, max(2, 2 * share_seconds(args) / one_round))
                seconds += trials * policies + rounds * one_round
    return seconds


def _block_seconds(name: str, batch: int, tokens: int, paths: Sequence[DecodingSetup]) -> tuple[float, float]:
    """Of the trials of one policy, and of one round."""
    speeds = [EXPECTED[name][batch > 1] * _advantage(path) for path in paths]
    most = float("inf") if name.startswith("gpt2") else TURN_SECONDS
    return sum(2 * batch * TRIAL_TOKENS / v for v in speeds), sum(min(most, batch * tokens / v) for v in speeds)


def share_seconds(args: argparse.Namespace) -> float:
    """Of a block, out of all the time for rounds."""
    return float(60 * args.minutes / (2 * len(args.models) * len(args.threads) * len(args.batches)))


def table(result: dict[str, Any]) -> str:
    """The result for people: one line a path, one block a model, batch and thread count."""
    lines = []
    for model, threads, batch in _blocks(result):
        head = f"{model}, batch {batch}, {threads} threads"
        lines += ["", f"{head}: tokens/s, share of the floor, and ours over it at its precision class"]
        rows = result_file.select(result, model=model, threads=threads, batch=batch, quantity="speed")
        for row in rows:
            right = f"{floor_text(result, row):>5}  {_ratio_text(rows, row)}"
            lines.append(f"  {row['path']:40} {result_file.row_text(row):>26}  {right}")
    return "\n".join(lines)


def floor_text(result: dict[str, Any], row: result_file.Row | None) -> str:
    """A path's share of what the machine allows, `41 %`; `–` where it was not measured."""
    if row is None or "repeats" not in row:
        return "–"
    keys = {key: row[key] for key in ("model", "threads", "batch", "precision")}
    floor = result_file.find(result, quantity="floor", **keys)
    return f"{statistics.median(row['repeats']) / floor['repeats'][0]:.0%}".replace("%", " %") if floor else "–"


def best_of_ours(rows: Sequence[result_file.Row], precision: str) -> result_file.Row | None:
    """Our fastest path of the same class: float32 with float32 weights, bfloat16 and int8 together."""
    able = [row for row in rows if "repeats" in row and same_class(row, precision)]
    ours = [row for row in able if row["engine"].startswith("ours") and row["engine"] != HELD]
    return max(ours, key=lambda row: statistics.median(row["repeats"]), default=None)


def same_class(row: result_file.Row, precision: str) -> bool:
    """float32 is compared with float32; bfloat16 and int8 are compared with one another."""
    return bool((row["precision"] == "float32") == (precision == "float32"))


# --- one model, one thread count, one class of precision -------------------------------------------------------------


def _measure(
    recorder: result_file.Recorder,
    chosen: Weights,
    threads: int,
    paths: Sequence[DecodingSetup],
    prompts: list[list[int]],
    args: argparse.Namespace,
) -> None:
    """The batches one after the other, largest last, with the reference's answers for those that come after it."""
    reference: Answers | str | None = None
    for batch in sorted(args.batches):
        for members in (
            [path for path in paths if path.precision == "float32"],
            [path for path in paths if path.precision != "float32"],
        ):
            keys = {"model": chosen.name, "threads": threads, "batch": batch}
            with ExitStack() as stack:
                seats = _equal(_seats(recorder, chosen, members, prompts[:batch], keys, args.tokens, stack))
                _rounds(recorder, seats, prompts[:batch], keys, args)
                if threads == min(args.threads) and batch == max(args.batches):
                    n = min(args.tokens, AGREEMENT_TOKENS)
                    answers = {seat.path: _answers(seat, prompts[:batch], n, chosen.is_trained) for seat in seats}
                    reference = reference or answers.get(REFERENCE)
                    _agreement(recorder, answers, reference, {"model": chosen.name, "threads": threads})
            result_file.write(args.output, recorder.result())
        _floors(recorder, chosen, threads, batch, args.tokens)


def _equal(seats: Iterator[RunningEngine]) -> list[RunningEngine]:
    """All paths of a block make as many tokens a row as the one that makes fewest."""
    found = list(seats)
    return [replace(seat, tokens=min(one.tokens for one in found)) for seat in found]


def _floors(recorder: result_file.Recorder, chosen: Weights, threads: int, batch: int, tokens: int) -> None:
    """The most tokens a second that the machine allows, by precision."""
    from symbolic import models

    n_weights = models.n_parameters(models.build(chosen.config.model))
    flops = costs.decoding_flops(chosen.config.model, PROMPT_TOKENS + tokens // 2)
    with Worker("benchmarks.peers.floor", {"threads": threads}, {"OMP_NUM_THREADS": str(threads)}) as worker:
        worker.begin()
        operations = worker.ask("operations_per_second", batch=batch)["value"]
        for precision, n_bytes in WEIGHT_BYTES.items():
            bandwidth = worker.ask("bytes_per_second", n_bytes=n_bytes * n_weights)["value"]
            rate = floor_rate(batch, n_bytes * n_weights, bandwidth, flops, operations)
            keys = {"model": chosen.name, "threads": threads, "batch": batch, "quantity": "floor"}
            extra = {"bytes_per_second": bandwidth, "operations_per_second": operations}
            recorder.measured([rate], "tokens/s", **keys, precision=precision, **extra)


def floor_rate(batch: int, weight_bytes: float, bandwidth: float, flops: float, operations: float) -> float:
    """Tokens/s where a step reads all weights once and makes `flops` a row, and does the shorter meanwhile."""
    return batch / max(weight_bytes / bandwidth, batch * flops / operations)


def _seats(
    recorder: result_file.Recorder,
    chosen: Weights,
    paths: Sequence[DecodingSetup],
    prompts: list[list[int]],
    keys: dict[str, Any],
    tokens: int,
    stack: ExitStack,
) -> Iterator[RunningEngine]:
    """The paths that work, each warmed up, with the better of its wait policies; the others are recorded."""
    for path in paths:
        try:
            yield _seat(path, chosen, prompts, keys["threads"], tokens, stack)
        except Absent as reason:
            recorder.not_run(str(reason), **_speed_keys(path, keys))
            print(f"{keys}: {path.name}: not run: {reason}", file=sys.stderr)


def _seat(
    path: DecodingSetup, chosen: Weights, prompts: list[list[int]], threads: int, tokens: int, stack: ExitStack
) -> RunningEngine:
    """Start a path under each wait policy, one after the other, with a turn to warm up and one to be timed; the slower
    is closed, and the tokens of a turn are chosen by the other."""
    best: tuple[float, str, Worker] | None = None
    for policy in ("active", "passive") if path.openmp and threads > 1 else ("passive",):
        worker = stack.enter_context(_worker(path, chosen, threads, policy))
        worker.begin()
        worker.ask("generate", prompts=prompts, n=TRIAL_TOKENS)
        seconds = worker.ask("generate", prompts=prompts, n=TRIAL_TOKENS)["seconds"]
        if best:
            max((best[0], best[2]), (seconds, worker), key=lambda pair: pair[0])[1].close()
        best = min(best or (seconds, policy, worker), (seconds, policy, worker), key=lambda one: one[0])
    assert best
    seconds, policy, worker = best
    if chosen.config.model.family != "gpt2":
        tokens = min(tokens, max(LEAST_TOKENS, int(TURN_SECONDS / seconds * TRIAL_TOKENS)))
    return RunningEngine(path, worker, policy if path.openmp and threads > 1 else None, tokens)


def _worker(path: DecodingSetup, chosen: Weights, threads: int, policy: str) -> Worker:
    settings = {"folder": str(chosen.folder.resolve()), "threads": threads, "precision": path.precision}
    return Worker(
        f"benchmarks.peers.{path.module}",
        {**settings, **dict(path.settings)},
        {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": policy},
    )


def _rounds(
    recorder: result_file.Recorder,
    seats: Sequence[RunningEngine],
    prompts: list[list[int]],
    keys: dict[str, Any],
    args: argparse.Namespace,
) -> None:
    """Every path once a round."""
    wall: dict[str, list[float]] = {seat.path.name: [] for seat in seats}
    cold: dict[str, float] = {}
    core: dict[str, list[float]] = {seat.path.name: [] for seat in seats}
    peaks: dict[str, float] = {}
    began = time.perf_counter()
    for number in range(args.repeats + 1):
        if number > 2 and time.perf_counter() - began > share_seconds(args):
            break
        for seat in seats:
            answer = seat.worker.ask("generate", prompts=prompts, n=seat.tokens)
            made = {len(row) for row in answer["value"]}
            assert made == {seat.tokens}, f"{seat.path.name} made {made} tokens, not {seat.tokens}"
            peaks[seat.path.name] = answer["peak_mib"]
            if not number:
                cold[seat.path.name] = len(prompts) * seat.tokens / answer["seconds"]
                continue
            wall[seat.path.name].append(len(prompts) * seat.tokens / answer["seconds"])
            core[seat.path.name].append(len(prompts) * seat.tokens / answer["core_seconds"])
        began = began if number else time.perf_counter()
        print(f"{keys}: {f'round {number} of {args.repeats}' if number else 'cold round'}", file=sys.stderr)
    for seat in seats:
        extra: dict[str, Any] = {
            "wait_policy": seat.policy,
            "about": seat.worker.about,
            "cold": cold[seat.path.name],
        }
        extra |= {"tokens": seat.tokens, "core": core[seat.path.name], "peak_mib": peaks[seat.path.name]}
        recorder.measured(wall[seat.path.name], "tokens/s", **_speed_keys(seat.path, keys), **extra)


def _speed_keys(path: DecodingSetup, keys: dict[str, Any]) -> dict[str, Any]:
    return {**keys, "quantity": "speed", "path": path.name, "engine": path.engine, "precision": path.precision}


# --- do they compute the same? ---------------------------------------------------------------------------------------


def _answers(seat: RunningEngine, prompts: list[list[int]], n: int, is_trained: bool) -> Answers | str:
    """What a path computes; the reason where it cannot say."""
    try:
        logits = seat.worker.ask("logits", prompts=prompts)["value"]
        return Answers(logits, seat.worker.ask("generate", prompts=prompts, n=n)["value"] if is_trained else None)
    except Absent as reason:
        return str(reason)


def _agreement(
    recorder: result_file.Recorder,
    answers: dict[DecodingSetup, Answers | str],
    reference: Answers | str | None,
    keys: dict[str, Any],
) -> None:
    for path, own in answers.items():
        here = {**keys, "quantity": "agreement", "path": path.name, "precision": path.precision}
        if isinstance(own, str) or not isinstance(reference, Answers):
            recorder.not_run(
                own if isinstance(own, str) else "the reference, transformers in float32, did not run", **here
            )
            continue
        extra: dict[str, Any] = {"equal_rows": None, "common_tokens": None}
        if own.tokens and reference.tokens:
            extra = common_beginnings(own.tokens, reference.tokens)
        difference = largest_difference(own.logits, reference.logits)
        recorder.measured([difference], "largest difference of logits", **here, **extra)


def largest_difference(ours: list[list[float]], theirs: list[list[float]]) -> float:
    """The largest absolute difference of two (rows, V) arrays of logits."""
    return max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


def common_beginnings(ours: list[list[int]], theirs: list[list[int]]) -> dict[str, float]:
    """Share of rows that are equal up to the reference's end of tune, and the mean length of the common beginning."""
    wanted = [row[: row.index(EOS) + 1] if EOS in row else row for row in theirs]
    common = [_common(a, b) for a, b in zip(ours, wanted, strict=True)]
    equal = [n == len(row) for n, row in zip(common, wanted, strict=True)]
    return {"equal_rows": sum(equal) / len(equal), "common_tokens": statistics.mean(common)}


def _common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


# --- words -----------------------------------------------------------------------------------------------------------


def _blocks(result: dict[str, Any]) -> list[tuple[str, int, int]]:
    rows = result_file.select(result, quantity="speed")
    return list(dict.fromkeys((row["model"], row["threads"], row["batch"]) for row in rows))


def _ratio_text(rows: Sequence[result_file.Row], row: result_file.Row) -> str:
    if "not_run" in row:
        return row["not_run"]
    ours = best_of_ours(rows, row["precision"])
    if ours is None or row["engine"].startswith("ours"):
        return ""
    return f"ours x{result_file.spread_text(result_file.ratio(ours, row), 2)} ({ours['path']})"


def _advantage(path: DecodingSetup) -> float:
    """How many times transformers' speed a path is expected to have."""
    if path.engine == "ours, PyTorch step":
        return 1.3
    return {"ours": 3.5, "library": 1.0, "ctranslate": 2.5, "llama": 2.5, "onnx_runtime": 2.0, "openvino_runtime": 2.0}[
        path.module
    ]


if __name__ == "__main__":
    sys.exit(main())
