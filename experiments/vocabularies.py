"""Characters, grammar tokens, byte pairs at equal compute: small models, in bits per byte and in seconds.

    python -m experiments.vocabularies                      # a few minutes on two cores
    python -m experiments.vocabularies --steps 2000 --seeds 3 --config configs/gpt2-6m.yaml

The same model, the same number of steps of the same number of tokens: equal FLOPs. A vocabulary that says more with a
token then reads more tunes. The score is validation bits per byte of the canonical text, which tokenizers share.
Each run is an ordinary one, kept in runs/vocabularies/; a finished one is not made again.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.config import Config
from symbolic.models import costs

KINDS = ("characters", "grammar", "bytepair")
FOLDER = runs.ROOT / "vocabularies"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--config", type=Path, default=Path("configs/gpt2-debug.yaml"), help="model and training")
    made.add_argument("--data", default="data/folk")
    made.add_argument("--steps", type=int, default=300)
    made.add_argument("--batch-size", type=int, default=8)
    made.add_argument("--context", type=int, default=256)
    made.add_argument("--learning-rate", type=float, default=2e-3)
    made.add_argument("--seeds", type=int, default=2, help="runs of each vocabulary (default 2)")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "vocabularies.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Train every vocabulary with every seed, score, write."""
    from symbolic.training import train

    n_tokens = args.steps * args.batch_size * args.context * len(KINDS) * args.seeds
    print(f"{len(KINDS) * args.seeds} runs, {n_tokens:,} tokens in all", file=sys.stderr)
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items() if key != "output"
    }
    recorder = result_file.Recorder("vocabularies", settings=settings, data_digest=result_file.data_digest(args.data))
    summaries: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    configs = {}
    for seed, kind in itertools.product(range(args.seeds), KINDS):  # seeds outermost: the kinds take turns
        config = configs[kind] = make_config(args, kind, seed)
        recorder.config_digests[config.name] = configuration.digest(config)
        summaries[kind].append(train.train(config, FOLDER / config.name, resume=True))
    for kind in KINDS:
        _record(recorder, kind, configs[kind], summaries[kind], Path(args.data))
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def make_config(args: argparse.Namespace, kind: str, seed: int) -> Config:
    """The configuration of one run: only tokenizer, seed and name differ."""
    changes = {
        "name": f"{args.config.stem}-{kind}-{args.steps}x{args.batch_size}x{args.context}-seed{seed}",
        "tokenizer.kind": kind,
        "seed": seed,
        "data.folder": args.data,
        "data.context": args.context,
        "train.steps": args.steps,
        "train.batch_size": args.batch_size,
        "train.learning_rate": args.learning_rate,
        "train.warmup_steps": max(1, args.steps // 20),
        "train.evaluate_every": args.steps,
        "train.checkpoint_every": args.steps,
        "train.evaluate_tunes": 0,
    }
    return configuration.load(args.config, [(key, str(value)) for key, value in changes.items()])


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'vocabulary':12} {'bits/byte':>24} {'seconds':>10} {'bytes/token':>12} {'tunes read':>11}"]
    for row in result_file.select(result, quantity="bits per byte"):
        seconds = result_file.find(result, quantity="seconds", vocabulary=row["vocabulary"])
        right = f"{result_file.row_text(seconds):>10} {row['bytes_per_token']:12.2f} {row['tunes_read']:11,.0f}"
        lines.append(f"{row['vocabulary']:12} {result_file.row_text(row, 4):>24} {right}")
    return "\n".join(lines)


def _record(
    recorder: result_file.Recorder, kind: str, config: Config, summaries: Sequence[dict[str, Any]], data: Path
) -> None:
    n_tokens, n_bytes, n_tunes, n_ids = _lengths(kind, config, data)
    read = config.train.steps * config.train.batch_size * config.data.context
    keys = {
        "vocabulary": kind,
        "n_ids": n_ids,
        "bytes_per_token": n_bytes / n_tokens,
        "tokens_per_tune": n_tokens / n_tunes,
        "tokens_read": read,
        "tunes_read": read * n_tunes / n_tokens,
        "flops": read * costs.training_flops(config.model, config.data.context),
    }
    recorder.measured([s["bits_per_byte"] for s in summaries], "bits/byte", quantity="bits per byte", **keys)
    recorder.measured([s["seconds"] for s in summaries], "s", quantity="seconds", **keys)


def _lengths(kind: str, config: Config, data: Path) -> tuple[int, int, int, int]:
    """Tokens (with end of tune), bytes and number of the training tunes, and ids in the vocabulary."""
    from symbolic import tokens

    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "train.jsonl")]
    tokenizer = tokens.build(kind, config.tokenizer.vocab_size, texts)
    n_tokens = sum(len(ids) + 1 for ids in tokenizer.encode_many(texts))
    return n_tokens, sum(len(text.encode("utf-8")) for text in texts), len(texts), tokenizer.n_tokens


if __name__ == "__main__":
    sys.exit(main())
