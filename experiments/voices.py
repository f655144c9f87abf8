"""Four-part ABC that a model writes bar by bar: do the voices stay together, with and without the mask?

    python -m symbolic prepare chorales --as interleaved -o data/chorales-parts
    python -m experiments.voices                                  # about four minutes of a core

A small model learns the chorales with the voices of a bar standing together (symbolic.notation.canonical.interleaved),
then writes the same number of pieces freely and under the mask of symbolic.decode.constraint.voice_mask, from the same
seed. Reported, as intervals over pieces: the share of pieces that parse; of bars whose voices differ in length
(symbolic.evaluate.metrics.voice_alignment, of pieces that parse and have several voices); of pieces in which no bar
does; and the same of the human test pieces. A piece that was cut at --max-tokens is judged up to its last whole bar.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.evaluate.metrics import bootstrap
from symbolic.evaluate.metrics.voice_alignment import bars_that_differ
from symbolic.notation.abc_parser import NotationError, parse

FOLDER = runs.ROOT / "voices"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=Path("data/chorales-parts"), help="prepared --as interleaved")
    made.add_argument("--config", type=Path, default=Path("configs/mamba2-1m.yaml"))
    made.add_argument("--steps", type=int, default=400)
    made.add_argument("--context", type=int, default=512)
    made.add_argument("-n", type=int, default=32, help="pieces (default 32)")
    made.add_argument("--max-tokens", type=int, default=1000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "voices.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Train, write, measure."""
    config = _config(args)
    settings = {key: str(value) for key, value in vars(args).items() if key != "output"}
    recorder = result_file.Recorder("voices", args.seed, settings, data_digest=result_file.data_digest(args.data))
    recorder.config_digests[config.name] = configuration.digest(config)
    human = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "test.jsonl")]
    _record(recorder, "human, held out", human, 0.0)
    _train(config)
    for is_masked in (False, True):
        began = time.process_time()
        texts = written(config.name, args.n, args.max_tokens, args.seed, is_masked)
        _record(recorder, "masked" if is_masked else "free", texts, time.process_time() - began)
    recorder.write(args.output)
    return 0


def written(run_name: str, n: int, max_tokens: int, seed: int, is_masked: bool) -> list[str]:
    """n pieces of the trained model."""
    from symbolic.decode.constraint.voice_mask import VoiceMask, drop_partial_bar
    from symbolic.decode.engine import engine
    from symbolic.decode.loaded_model import load_source

    source = load_source(str(FOLDER / run_name), "cpu", threads=1, step="auto")
    tokenizer = source.tokenizer
    mask = VoiceMask(tokenizer, vocab_size=source.model.config.vocab_size) if is_masked else None
    drawn = engine.generate(
        source.model, [[tokenizer.bos]] * n, max_new_tokens=max_tokens, n_tokens=tokenizer.n_tokens,
        eos=tokenizer.eos, seed=seed, batch_size=n, mask=mask,
    )  # fmt: skip
    texts = [(tokenizer.decode(one.tokens), one.finished) for one in drawn]
    return [text if finished == "eos" else drop_partial_bar(text) for text, finished in texts]


def _config(args: argparse.Namespace) -> configuration.Config:
    changes: dict[str, Any] = {
        "name": f"{args.config.stem}-{args.steps}",
        "data.folder": args.data.as_posix(),
        "data.context": args.context,
        "data.transpose_low": -3,
        "data.transpose_high": 3,
        "train.steps": args.steps,
        "train.batch_size": 4,
        "train.warmup_steps": max(1, args.steps // 20),
        "train.evaluate_every": args.steps,
        "train.checkpoint_every": args.steps,
        "seed": args.seed,
    }
    return configuration.load(args.config, [(key, str(value)) for key, value in changes.items()])


def _train(config: configuration.Config) -> None:
    from symbolic.training import train

    train.train(config, FOLDER / config.name, resume=True)


def _record(recorder: result_file.Recorder, name: str, texts: Sequence[str], seconds: float) -> None:
    """The rows of one set of pieces."""
    counts = [_counted(text) for text in texts]
    several = [one for one in counts if one is not None and one[0]]
    keys = {"pieces": name, "n": len(texts)}
    recorder.measured([statistics.mean(one is not None for one in counts)], "share", quantity="parse", **keys)
    recorder.measured([len(several) / len(counts)], "share", quantity="several voices", **keys)
    if several:
        bars, differing = zip(*several, strict=True)
        low, high = bootstrap.bootstrap(differing, bars)
        interval = {"low": low, "high": high, "bars": sum(bars)}
        recorder.measured([sum(differing) / sum(bars)], "share", quantity="bars that differ", **keys, **interval)
        apart = statistics.mean(one == 0 for one in differing)
        recorder.measured([apart], "share", quantity="pieces without such a bar", **keys)
    recorder.measured([seconds], "s", quantity="processor seconds", **keys)
    for row in recorder.rows[-5:]:
        print(f"{name:18} {row['quantity']:28} {row['repeats'][0]:.4f}", file=sys.stderr)


def _counted(text: str) -> tuple[int, int] | None:
    """(bars, bars whose voices differ in length); None where the text does not parse."""
    try:
        return bars_that_differ(parse(text))
    except NotationError:
        return None


if __name__ == "__main__":
    sys.exit(main())
