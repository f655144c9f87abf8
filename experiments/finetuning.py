"""Fine-tuning a ready-made model on tunes of one's own, against training from scratch and against no training.

    python -m experiments.finetuning                                        # 554 Chinese songs, gpt2-6m, 600 steps
    python -m experiments.finetuning mine.abc --model mamba2-6m --steps 200

Tunes of a file that the ready-made model never saw are split by family. Three runs of equal steps, batches and seed:
all weights of the model that ships are trained on, or low-rank updates beside them (LoRA), or fresh weights. All and
the model as it ships are scored on the held-out test tunes, in bits per byte of their canonical text; the differences
are paired over tunes, with a 95 % interval by bootstrap. Each writes N tunes, of which the table says how many are
right and how many hold a phrase of 17 notes of a training tune; so does it of the held-out tunes. Without a file the
songs are han1.abc of the Essen collection as music21 carries it (free for non-commercial use).

Ends in one line of JSON, experiments/results/finetuning.json with -o.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from symbolic import command_line, config, files, machine, runs
from symbolic.config import Config, DataConfig, TrainConfig

RESULTS = Path(__file__).parent / "results"
N_DRAWN = 10_000  # of the bootstrap
ARMS = ("fine-tuned", "LoRA", "from scratch")
MEASURES = ("share_that_parse", "share_of_right_tunes", "share_of_square_sections", "share_with_copied_phrase")


def main() -> int:
    """Read the command line, run, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, help="file or folder of tunes (default: han1.abc of Essen)")
    parser.add_argument("--model", default="gpt2-6m", help="the model to begin with (default gpt2-6m)")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=4, help="rows of 512 tokens a step (default 4)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="highest, without LoRA (default 5e-4)")
    parser.add_argument("--lora-rank", type=int, default=16, help="of the low-rank updates (default 16)")
    parser.add_argument("--lora-learning-rate", type=float, default=2e-3, help="highest, of LoRA (default 2e-3)")
    parser.add_argument("-n", type=int, default=100, help="tunes that each model writes (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", action="store_true", help="write experiments/results/finetuning.json")
    args = parser.parse_args()
    return command_line.guarded(lambda: measure(args))


def measure(args: argparse.Namespace) -> int:
    """Prepare the tunes, train three times, score four models, print the figures."""
    source = args.source or essen_songs()
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        prepare(source, data)
        tunes = [row["text"] for row in files.read_jsonl(data / "tunes" / "test.jsonl")]
        folders, seconds = {"no training": runs.resolve(args.model)}, {}
        for name in ARMS:
            summary = trained(make_config(args, data, name), Path(scratch) / name.replace(" ", "-"))
            folders[name], seconds[name] = Path(summary["checkpoint"]), summary["seconds"]
        bits = {name: tune_bits(folder, tunes) for name, folder in folders.items()}
        written = {name: judged(folder, data, args) for name, folder in folders.items()}
        written["human, held out"] = judged(None, data, args)
        n_train = len(list(files.read_jsonl(data / "tunes" / "train.jsonl")))
    sizes = np.array([len(text.encode()) for text in tunes])
    result = {
        "source": source.name,
        "model": args.model,
        "n_train": n_train,
        "n_test": len(tunes),
        "steps": args.steps,
        "tokens": args.steps * args.batch_size * 512,
        "learning_rate": args.learning_rate,
        "lora": {"rank": args.lora_rank, "learning_rate": args.lora_learning_rate},
        "seed": args.seed,
        "machine": machine.card(),
        "bits_per_byte": {name: float(values.sum() / sizes.sum()) for name, values in bits.items()},
        "seconds": seconds,
        "gain": {
            name: interval(bits[name] - bits["fine-tuned"], sizes, args.seed) for name in bits if name != "fine-tuned"
        },
        "tunes": written,
    }
    if args.output:
        files.write_json(RESULTS / "finetuning.json", result)
    print(json.dumps(result))
    return 0


def essen_songs() -> Path:
    """The file han1.abc in the installed music21."""
    import importlib.util

    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "corpus" / "essenFolksong" / "han1.abc"


def prepare(source: Path, data: Path) -> None:
    """Clean and split the tunes into the folder `data`."""
    from symbolic.__main__ import VERBS

    words = ["prepare", str(source), "-o", str(data), "--valid-fraction", "0.1", "--test-fraction", "0.1"]
    status = command_line.main("symbolic", VERBS, words)
    assert status == 0, words


def make_config(args: argparse.Namespace, data: Path, arm: str) -> Config:
    """The configuration of one of ARMS: shape and tokenizer of the model that ships."""
    from symbolic import models, tokens

    folder = runs.resolve(args.model)
    _, shape = models.load(folder)
    tokenizer = tokens.load(folder)
    return Config(
        name="own",
        model=dataclasses.replace(shape, n_positions=512) if isinstance(shape, config.GPT2Config) else shape,
        tokenizer=config.TokenizerConfig(kind=tokenizer.kind, vocab_size=tokenizer.vocab_size),  # type: ignore[arg-type]
        data=DataConfig(folder=str(data), context=512, packing="tunes"),
        train=TrainConfig(
            steps=args.steps,
            batch_size=args.batch_size,
            learning_rate=args.lora_learning_rate if arm == "LoRA" else args.learning_rate,
            lora_rank=args.lora_rank if arm == "LoRA" else 0,
            warmup_steps=max(1, args.steps // 10),
            decay="linear",
            beta2=0.95,
            evaluate_every=args.steps,
            checkpoint_every=args.steps,
        ),
        start="" if arm == "from scratch" else args.model,
        seed=args.seed,
        threads=1,
    )


def trained(settings: Config, folder: Path) -> dict[str, Any]:
    """Train, and return the run's summary: its last checkpoint, its seconds."""
    from symbolic.training import train

    return dict(train.train(settings, folder))


def judged(folder: Path | None, data: Path, args: argparse.Namespace) -> dict[str, float | None]:
    """Shares of n tunes of a model, or of the held-out ones, that are right, and that copy of the training tunes.

    None where no tune can tell: of square sections where no tune parses.
    """
    import symbolic
    from symbolic.evaluate import comparison

    reference = comparison.load_reference(data)
    texts = [tune.text for tune in reference.human.test]
    if folder is not None:
        texts = [tune.text for tune in symbolic.generate(str(folder), args.n, seed=args.seed).tunes]
    measures = comparison.evaluate_tunes(texts, reference)["measures"]
    return {name: measures.get(name) for name in ("n_tunes", *MEASURES)}


def tune_bits(folder: Path, tunes: list[str]) -> Any:
    """Bits of each tune, (N,) float64."""
    from symbolic import models, tokens
    from symbolic.training import likelihood

    model, _ = models.load(folder)
    sizes = [len(text.encode()) for text in tunes]
    scores = likelihood.score(model, tokens.load(folder).encode_many(tunes), sizes, context=512)
    return np.array([score.nats for score in scores]) / np.log(2)


def interval(differences: Any, sizes: Any, seed: int) -> dict[str, float]:
    """Mean difference in bits per byte and its 95 % interval over tunes."""
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(N_DRAWN, len(sizes)))
    means = differences[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(differences.sum() / sizes.sum()), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    sys.exit(main())
