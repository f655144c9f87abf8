"""What tokens that count down are worth: the same small models on plain, half-counted and counted grammar tokens.

    python -m experiments.counting                                 # GPT-2 and Mamba-2, four tokenizers, three seeds
    python -m experiments.counting --configs mamba2-1m --seeds 0   # a part of it

The tokenizers are those of `symbolic.tokens.counted`: `grammar` (plain), `counted-rooms` (what is left of the bar),
`counted-sections` (bars left in the section) and `counted` (both). All runs have equal steps, tokens a step,
vocabulary, learning rate and data: right tunes in the keys that people use. Counted text has about 1.45 tokens for
each plain one, so at equal tokens the counted models read fewer tunes. Then each model writes N tunes at the default
sampling, without constraints, and these are judged as `evaluate` judges them. Seeds are the outer loop. Runs are kept
in runs/counting/; a finished one is not made again.
"""

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.config import Config

KINDS = ("grammar", "counted-rooms", "counted-sections", "counted")
FAMILIES = ("gpt2-1m", "mamba2-1m")
FOLDER = runs.ROOT / "counting"
MEASURES = ("share_that_parse", "share_of_full_bars", "share_of_right_tunes", "share_of_square_sections")
CHANGES = {
    "tokenizer.vocab_size": "1024", "model.vocab_size": "1024", "data.tunes": "right", "data.keys": "corpus",
    "data.packing": "tunes", "data.context": "512",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--configs", nargs="+", default=list(FAMILIES), metavar="NAME", help="names of configs/NAME.yaml")
    made.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, help="tokenizers (default: all four)")
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    made.add_argument("--steps", type=int, default=600, help="of 4 x 512 tokens (default 600); a tenth of them warm up")
    made.add_argument("-n", type=int, default=200, help="tunes of each model (default 200)")
    made.add_argument("--data", default="data/folk", help="a folder made by `prepare` (default data/folk)")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "counting.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Train what is missing, draw tunes, judge, write."""
    from symbolic.decode.engine.sampling_rules import DEFAULT
    from symbolic.training import train

    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    recorder = result_file.Recorder(
        "counting", settings=settings | {"sampling": dataclasses.asdict(DEFAULT)},
        data_digest=result_file.data_digest(args.data),
    )  # fmt: skip
    for seed, name, kind in itertools.product(args.seeds, args.configs, args.kinds):
        config = make_config(args, name, kind, seed)
        recorder.config_digests[config.name] = configuration.digest(config)
        train.train(config, FOLDER / config.name, resume=True)
        for measure, value in judge(FOLDER / config.name, args).items():
            unit = "bits/byte" if measure == "bits_per_byte" else "share"
            recorder.measured([value], unit, config=name, kind=kind, seed=seed, measure=measure)
        print(table(recorder.result()), file=sys.stderr)
        if args.output:
            result_file.write(args.output, recorder.result())
    recorder.write(args.output)
    return 0


def make_config(args: argparse.Namespace, name: str, kind: str, seed: int) -> Config:
    """One run's configuration; of one call they differ in family, tokenizer, seed and name only."""
    changes: dict[str, Any] = {
        **CHANGES, "name": f"{name}-{kind}-{args.steps}-seed{seed}", "seed": seed, "tokenizer.kind": kind,
        "data.folder": args.data, "train.steps": args.steps, "train.batch_size": 4,
        "train.warmup_steps": args.steps // 10, "train.evaluate_every": args.steps,
        "train.checkpoint_every": args.steps,
    }  # fmt: skip
    return configuration.load(Path("configs") / f"{name}.yaml", [(key, str(value)) for key, value in changes.items()])


def judge(run: Path, args: argparse.Namespace) -> dict[str, float]:
    """Bits per byte of the validation tunes, and MEASURES of n tunes that the run's model writes."""
    from symbolic.decode import tune_writer
    from symbolic.evaluate import comparison

    summary = files.read_json(runs.run_file(run))["summary"]
    made = tune_writer.generate(str(runs.resolve(run)), args.n, seed=1)
    found = comparison.evaluate_tunes([tune.text for tune in made.tunes], comparison.load_reference(args.data))
    values = {key: found["measures"].get(key) for key in MEASURES}
    return {"bits_per_byte": summary["best_bits_per_byte"]} | {key: value or 0.0 for key, value in values.items()}


def table(result: dict[str, Any]) -> str:
    """Means over seeds, with the lowest and the highest."""
    lines = [f"{'model':12} {'tokens':18} {'measure':26} {'mean':>8} {'low':>8} {'high':>8} {'seeds':>6}"]
    cells: dict[tuple[str, str, str], list[float]] = {}
    for row in result["rows"]:
        cells.setdefault((row["config"], row["kind"], row["measure"]), []).append(row["repeats"][0])
    for (name, kind, measure), values in sorted(cells.items()):
        mean = sum(values) / len(values)
        spread = f"{min(values):8.3f} {max(values):8.3f} {len(values):6}"
        lines.append(f"{name:12} {kind:18} {measure:26} {mean:8.3f} {spread}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
