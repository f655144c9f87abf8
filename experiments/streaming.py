"""Preparing a corpus as it grows: seconds and memory of `prepare`, of shards, and of opening them.

    python -m experiments.streaming                             # 10,000, 40,000 and 160,000 tunes
    python -m experiments.streaming --sizes 2000000 --stages prepare

The corpora are variations of a prepared folder's training tunes (benchmarks.preparing: transposed, a quarter of the
notes replaced). Each size is prepared and encoded in a process of its own, whose largest resident memory, and that of
any child, is reported beside that of opening the shards and reading ten batches. Seconds are those of the clock and of
the processor (all processes together): the second say what the work takes where others use the machine too. The result
is written after each size; `projection` says what straight lines through the last two sizes make of two million tunes.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from benchmarks.preparing import training_texts, varied
from symbolic import command_line, machine
from symbolic.errors import UserError

STAGES = ("prepare", "shards", "open")
FILE_TUNES = 10_000
SIZES = [10_000, 40_000, 160_000]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    if args.stage:
        print(json.dumps(stage(args.stage, Path(args.folder), args.processes)))
        return 0
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="N", help="tunes a corpus")
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="whose training tunes are varied")
    made.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES, metavar="STAGE")
    made.add_argument("--processes", type=int, default=machine.n_cores())
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--scratch", type=Path, help="folder for the corpora (default: a temporary one)")
    made.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    made.add_argument("--folder", help=argparse.SUPPRESS)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "streaming.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every size and write the result."""
    texts = training_texts(args.data)
    settings = {"sizes": args.sizes, "processes": args.processes}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("streaming", seed=args.seed, settings=settings, data_digest=digest)
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        for size in args.sizes:
            folder = Path(scratch, str(size))
            folder.mkdir()
            write_corpus(folder / "corpus", varied(texts, size, args.seed))
            for name in args.stages:
                answer = _measured(name, folder, args.processes)
                keys = {"stage": name, "tunes": size}
                recorder.measured([answer["seconds"]], "s", quantity="seconds", **keys)
                recorder.measured([answer["processor_seconds"]], "s", quantity="processor seconds", **keys)
                recorder.measured([answer["peak_mib"]], "MiB", quantity="memory", **keys)
                print(
                    f"{size:>10,} {name:8} {answer['processor_seconds']:9.1f} s {answer['peak_mib']:9,.0f} MiB",
                    file=sys.stderr,
                )
            shutil.rmtree(folder)
            result_file.write(args.output, recorder.result())
    for line in projection(recorder.result()):
        print(line, file=sys.stderr)
    recorder.write(args.output)
    return 0


def projection(result: dict[str, Any], n: int = 2_000_000) -> Iterator[str]:
    """What straight lines through the two largest sizes make of n tunes: no measurement."""
    for quantity, unit in (("processor seconds", "s"), ("memory", "MiB")):
        rows = result_file.select(result, stage="prepare", quantity=quantity)
        sizes, values = [row["tunes"] for row in rows], [row["repeats"][0] for row in rows]
        if len(rows) > 1:
            slope = (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
            yield f"prepare of {n:,} tunes would take {values[-1] + slope * (n - sizes[-1]):,.0f} {unit} ({quantity})"


def write_corpus(folder: Path, tunes: Iterator[str]) -> None:
    """A folder of .abc files of FILE_TUNES tunes each, as large collections come."""
    folder.mkdir()
    for number in itertools.count():
        tune = next(tunes, None)
        if tune is None:
            return
        with open(folder / f"{number:05d}.abc", "w", encoding="utf-8") as file:
            file.writelines(f"{one}\n" for one in (tune, *itertools.islice(tunes, FILE_TUNES - 1)))


def stage(name: str, folder: Path, processes: int) -> dict[str, Any]:
    """Do one stage in this process."""
    from symbolic import tokens
    from symbolic.corpus import prepare
    from symbolic.data import loader, shards

    began = time.perf_counter()
    if name == "prepare":
        prepare.prepare([str(folder / "corpus")], folder / "data", prepare.PrepareOptions(processes=processes))
    elif name == "shards":
        tokenizer = tokens.build("grammar")
        (folder / "shards.txt").write_text(str(shards.build(folder / "data", tokenizer, range(1))))
    else:
        tokenizer = tokens.build("grammar")
        shard = shards.load((folder / "shards.txt").read_text(), "train", tokenizer.digest)
        batches = loader.Batches(shard, 8, 256, 0)
        for _ in range(10):
            next(batches)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": sum(os.times()[:4]),  # children included, since they have been waited for
        "peak_mib": machine.peak_mib(),
    }


def _measured(name: str, folder: Path, processes: int) -> dict[str, Any]:
    """A stage in a process of its own."""
    options = ["--stage", name, "--folder", str(folder), "--processes", str(processes)]
    command = [sys.executable, "-m", "experiments.streaming", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=result_file.ROOT, check=False)
    if done.returncode:
        raise UserError(f"the stage {name} failed with exit status {done.returncode}.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
