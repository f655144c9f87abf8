"""Loss on material that a tune has not had before, against loss on what it repeats.

    python -m experiments.copying gpt2-6m-folk mamba2-6m-folk

The loss of each held-out tune is split by what stands before each token (`symbolic.evaluate.metrics.token_roles`):
`header`, before the first note; `first`, where the last N notes have not stood together earlier in the tune;
`repeated`, where they have. N is 4 unless --notes says otherwise.

Loss is given in bits per byte of the tokens' own text, so that tokenizers may be compared, and in nats per token. Tunes
are read whole, in windows of the run's context as `symbolic.training.likelihood` cuts them. Intervals are the 2.5 and
97.5 % quantiles of a bootstrap over tunes. Of two models or more each but the first is compared with the first tune by
tune: a row `LATER less FIRST` holds the difference with the interval of a paired bootstrap, and they differ where that
leaves 0 out. Models whose tokens are cut otherwise differ in what a class holds; then only `all` is compared.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic.evaluate.metrics import bootstrap, token_roles

if TYPE_CHECKING:
    from symbolic.evaluate.metrics.likelihood_by_role import TunePrediction


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="+", metavar="RUN", help="runs or model folders")
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("--split", default="test", choices=("valid", "test"))
    made.add_argument(
        "--notes", type=int, default=token_roles.NOTES, metavar="N", help="length of the phrase looked back on"
    )
    made.add_argument("--tunes", type=int, default=0, help="only the first so many (0: all)")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "copying.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Score the split by every model and write the result."""
    texts = [row["text"] for row in files.read_jsonl(args.data / "tunes" / f"{args.split}.jsonl")]
    texts = texts[: args.tunes or None]
    settings = {"notes": args.notes, "split": args.split, "tunes": len(texts), "resamples": bootstrap.RESAMPLES}
    digest = result_file.data_digest(args.data)
    recorder = result_file.Recorder("copying", seed=args.seed, settings=settings, data_digest=digest)
    predictions = {Path(target).name: _measure(recorder, target, texts, args) for target in args.runs}
    first, *others = predictions
    for other in others:
        _compare(recorder, (first, predictions[first]), (other, predictions[other]), args.seed)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'model':32} {'class':9} {'bits/byte':>10} {'interval':>16} {'share of bytes':>15}"]
    for row in result["rows"]:
        interval = f"{row['low']:.3f}–{row['high']:.3f}"
        line = f"{row['model']:32} {row['class']:9} {row['repeats'][0]:10.3f} {interval:>16} {row['share']:15.1%}"
        lines.append(line)
    return "\n".join(lines)


def _measure(
    recorder: result_file.Recorder, target: str, texts: Sequence[str], args: argparse.Namespace
) -> "list[TunePrediction]":
    """Score the texts by a model and add its rows; the predictions tune by tune."""
    from symbolic import models, tokens
    from symbolic.evaluate.metrics import likelihood_by_role

    folder = runs.resolve(target)
    model, shape = models.load(folder, "cpu")
    tokenizer = tokens.load(folder)
    context = _context(folder)
    print(f"{target}: {len(texts)} tunes in windows of {context} tokens", file=sys.stderr)
    tunes = likelihood_by_role.predict(model, tokenizer, texts, context=context, notes=args.notes)
    name = Path(target).name
    recorder.config_digests[name] = _record(folder).get("config_digest", "")
    found = likelihood_by_role.measures(tunes, args.seed)["occurrence"]
    for kind, part in found.items():
        keys = {"model": name, "family": shape.family, "class": kind, "low": part["low"], "high": part["high"]}
        extra = {key: part[key] for key in ("share", "n_tokens", "n_bytes", "nats_per_token")}
        recorder.measured([part["value"]], "bits/byte", **keys, **extra)
    return tunes


def _compare(
    recorder: result_file.Recorder,
    first: "tuple[str, Sequence[TunePrediction]]",
    other: "tuple[str, Sequence[TunePrediction]]",
    seed: int,
) -> None:
    """Add the differences of `other` from `first`, class by class and of all tokens together."""
    names = f"{other[0]} less {first[0]}"
    for kind in ("all", *token_roles.OCCURRENCES):
        sums = [[_sums(tune, kind) for tune in tunes] for _, tunes in (other, first)]
        sizes = [[n_bytes for _, n_bytes in own] for own in sums]
        if sizes[0] != sizes[1] or not sum(sizes[0]):
            continue
        bits = [[value for value, _ in own] for own in sums]
        low, high = bootstrap.paired(bits[0], bits[1], sizes[0], seed=seed)
        keys = {"model": names, "one": other[0], "other": first[0], "class": kind, "low": low, "high": high}
        n_bytes = sum(sizes[0])
        share = n_bytes / sum(tune.n_bytes for tune in first[1])
        recorder.measured([(sum(bits[0]) - sum(bits[1])) / n_bytes], "bits/byte", **keys, share=share)


def _sums(tune: "TunePrediction", kind: str) -> tuple[float, int]:
    """Bits and bytes of a tune's tokens of a class, or of all."""
    if kind == "all":
        return tune.bits, tune.n_bytes
    bits, n_bytes, _ = tune.parts["occurrence"].get(kind, (0.0, 0, 0))
    return bits, n_bytes


def _context(folder: Path) -> int:
    """Tokens of a window in training, as the checkpoint says; 1,024 where it does not."""
    return int(_record(folder).get("config", {}).get("data", {}).get("context", 1024))


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "training.json"
    return dict(files.read_json(path)) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
