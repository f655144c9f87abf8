"""Preparing and tokenising a corpus: tunes per second, and memory as the corpus grows.

    python -m benchmarks.preparing                    # 2,000 and 20,000 tunes
    python -m benchmarks.preparing --full             # also 200,000

The corpora are the training tunes of a prepared folder, transposed and with a quarter of their notes replaced, so that
every one is a tune of its own with full bars. Each way (see benchmarks/peers/preparers.py) runs in a fresh process; the
ways take turns. The clock holds the whole way from the .abc file to ids on disk, without imports. `music21` is measured
on its first `--music21-tunes` tunes only. Memory is the largest resident set of any one process of the way.
"""

import argparse
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from benchmarks.peers import Absent
from benchmarks.workers import Worker
from symbolic import command_line, files, machine
from symbolic.errors import UserError
from symbolic.notation import transposition
from symbolic.notation.theory import NotationError

WAYS = ("ours", "music21", "datasets", "datasets, parsed")
EXPECTED = {
    "ours": 1500.0,
    "music21": 50.0,
    "datasets": 5000.0,
    "datasets, parsed": 1500.0,
}  # tunes/s, for the estimate
CHANGED = 0.25  # share of notes that a variation replaces
_NOTE = re.compile(r'\[[A-Za-z]:[^\]]*\]|"[^"]*"|![^!]*!|([A-Ga-g])')


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sizes", nargs="+", type=int, default=[2000, 20_000], metavar="N", help="tunes a corpus")
    made.add_argument("--full", action="store_true", help="add a corpus of 200,000 tunes")
    made.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    made.add_argument("--music21-tunes", type=int, default=500, metavar="N", help="most tunes for music21")
    made.add_argument("--repeats", type=int, default=2, help="rounds (default 2; one for 200,000 tunes)")
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="whose training tunes are varied")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.BENCHMARKS / "preparing.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure everything and write the result."""
    sizes = sorted({*args.sizes, *([200_000] if args.full else [])})
    print(result_file.cost_text(cost_seconds(args, sizes)), file=sys.stderr)
    processes = machine.n_cores()
    settings = {"sizes": sizes, "processes": processes, "changed_share": CHANGED}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("preparing", seed=args.seed, settings=settings, data_digest=digest)
    texts = training_texts(args.data)
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            _measure(recorder, texts, size, processes, Path(scratch), args)
            result_file.write(args.output, recorder.result())
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def cost_seconds(args: argparse.Namespace, sizes: Sequence[int]) -> float:
    """About how long the measurement takes."""
    total = 0.0
    for size in sizes:
        repeats = args.repeats if size < 200_000 else 1
        total += size / 5000
        total += sum(repeats * (4 + _n_tunes(way, size, args) / EXPECTED[way]) for way in args.ways)
    return total


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = ["", f"{'way':18} {'tunes':>9} {'tunes/s':>26} {'peak MiB':>22}  ours over it"]
    for row in result_file.select(result, quantity="speed"):
        memory = result_file.find(result, quantity="memory", path=row["path"], corpus=row["corpus"])
        ours = result_file.find(result, quantity="speed", path="ours", corpus=row["corpus"])
        ratio = result_file.ratio(ours, row) if ours and row["path"] != "ours" else None
        right = f"x{result_file.spread_text(ratio, 1)}" if ratio else row.get("not_run", "")
        shown = f"{result_file.row_text(row):>26} {result_file.row_text(memory):>22}"
        lines.append(f"{row['path']:18} {row['tunes']:>9,} {shown}  {right}")
    return "\n".join(lines)


def training_texts(data: Path) -> list[str]:
    """Canonical texts to vary."""
    path = data / "tunes" / "train.jsonl"
    if not path.exists():
        raise UserError(f"{path} is not there. Prepare it: python -m symbolic prepare aird oneill ryan -o {data}")
    return [row["text"] for row in files.read_jsonl(path)]


def varied(texts: Sequence[str], n: int, seed: int) -> Iterator[str]:
    """n tunes as ABC: each text in turn, transposed, a quarter of its notes replaced; the first round as they are."""
    rng = random.Random(seed)
    for index in range(n):
        text, round_number = texts[index % len(texts)], index // len(texts)
        yield f"X:{index + 1}\n{_variation(text, rng) if round_number else text}"


def _variation(text: str, rng: random.Random) -> str:
    try:
        text = transposition.transpose(text, rng.randrange(-5, 7))
    except NotationError:  # a note would leave the range: keep the key
        pass
    head, body = text[: text.index("K:")], text[text.index("K:") :]
    key, _, music = body.partition("\n")
    return f"{head}{key}\n{_NOTE.sub(lambda match: _other(match, rng), music)}"


def _other(match: re.Match[str], rng: random.Random) -> str:
    """Another letter of the same octave for some notes; fields, chord symbols and decorations stay."""
    if match[1] is None or rng.random() >= CHANGED:
        return match[0]
    return rng.choice("ABCDEFG" if match[1].isupper() else "abcdefg")


def _n_tunes(way: str, size: int, args: argparse.Namespace) -> int:
    return min(size, args.music21_tunes) if way == "music21" else size


def _measure(
    recorder: result_file.Recorder,
    texts: Sequence[str],
    size: int,
    processes: int,
    scratch: Path,
    args: argparse.Namespace,
) -> None:
    sources = {}
    for n in {_n_tunes(way, size, args) for way in args.ways}:
        sources[n] = scratch / f"{n}.abc"
        with open(sources[n], "w", encoding="utf-8") as file:
            file.writelines(tune + "\n" for tune in varied(texts, n, args.seed))
    speeds: dict[str, list[float]] = {way: [] for way in args.ways}
    peaks: dict[str, list[float]] = {way: [] for way in args.ways}
    absent: dict[str, str] = {}
    for number in range(args.repeats if size < 200_000 else 1):
        for way in args.ways:
            try:
                speed, peak = _once(way, sources[_n_tunes(way, size, args)], 1 if way == "music21" else processes)
            except Absent as reason:
                absent[way] = str(reason)
                continue
            speeds[way].append(speed)
            peaks[way].append(peak)
        print(f"{size:,} tunes: round {number + 1}", file=sys.stderr)
    for way in args.ways:
        keys = {"path": way, "corpus": size, "tunes": _n_tunes(way, size, args)}
        for quantity, unit, values in (("speed", "tunes/s", speeds[way]), ("memory", "MiB", peaks[way])):
            if values:
                recorder.measured(values, unit, quantity=quantity, **keys)
            else:
                recorder.not_run(absent[way], quantity=quantity, **keys)


def _once(way: str, source: Path, processes: int) -> tuple[float, float]:
    """Tunes per second and MiB of one run in a fresh process and a fresh folder."""
    settings = {"kind": way, "processes": processes}
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        environment = {"HF_HOME": folder, "HF_DATASETS_CACHE": folder, "TOKENIZERS_PARALLELISM": "true"}
        with Worker("benchmarks.peers.preparers", settings, environment) as worker:
            worker.begin()
            answer = worker.ask("run", seconds=3600, source=str(source), folder=folder)
    return answer["value"]["tunes"] / answer["seconds"], answer["value"]["peak_mib"]


if __name__ == "__main__":
    sys.exit(main())
