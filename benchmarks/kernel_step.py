"""The native decoding step against our PyTorch step and `transformers.generate`, in one process, taking turns.

    python -m benchmarks.kernel_step                                  # gpt2-6m, 256 tokens, batch 1 and 32, 1 thread
    python -m benchmarks.kernel_step --model mamba2-6m --threads 2 --batches 1 --tokens 512 --repeats 5

Regime: random weights, one beginning-of-tune token as the prompt, greedy, exactly `--tokens` tokens a row. Every path
decodes once unmeasured, then all take turns, round by round; ratios are of one round. A turn begins after a pause in
which the previous path's threads go to sleep.

Two rates: `wall`, batch x tokens over wall time, which is what a user sees and what other work on the machine spoils;
and `core`, over the processor time of the process, which other work spoils less. At one thread they are the same on a
quiet machine. The last line is JSON with every repeat.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from symbolic import command_line, machine, models
from symbolic import config as configuration
from symbolic.decode.engine.native_step import WEIGHTS, NativeModel
from symbolic.decode.engine.sampling import Sampling

ROOT = Path(__file__).resolve().parents[1]
BOS = 1
PAUSE_SECONDS = 0.2
REFERENCE = "transformers float32"
# Tokens per second to be expected on one quiet core, batch 1 and 32: only for the estimate of the cost.
EXPECTED = {"transformers": (300, 2000), "torch": (500, 4000), "native": (2000, 6000)}

Decoder = Callable[[int, int], None]  # (batch, tokens) -> decodes that much


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    args = _parser().parse_args(arguments)
    return command_line.guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    torch.manual_seed(args.seed)
    config = configuration.load(ROOT / "configs" / f"{args.model}.yaml")
    print(f"about {_cost(args):.0f} s on a quiet machine", file=sys.stderr)
    rows: list[dict[str, Any]] = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        paths = _paths(config.model, threads, args.without_transformers)
        for batch in args.batches:
            rows += _measured(paths, threads, batch, args.tokens, args.repeats)
            _show([row for row in rows if (row["threads"], row["batch"]) == (threads, batch)])
    print(json.dumps({**vars(args), "machine": machine.card(), "rows": rows}))
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--model", default="gpt2-6m", help="a file of configs/ (default gpt2-6m)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], metavar="N")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-transformers", action="store_true", help="ours only")
    return parser


def _paths(config: Any, threads: int, without_transformers: bool) -> dict[str, Decoder]:
    model = models.build(config).eval()
    paths: dict[str, Decoder] = {}
    if not without_transformers:
        paths[REFERENCE] = _library(model, torch.float32)
        paths["transformers bfloat16"] = _library(model, torch.bfloat16)
    paths["torch float32"] = _stepping(model)
    for weights in WEIGHTS:
        paths[f"native {weights}"] = _native(NativeModel(model, weights=weights, threads=threads))
    return paths


def _library(model: Any, dtype: torch.dtype) -> Decoder:
    """The library's class with its dynamic cache, which is what `generate` takes by default."""
    import transformers

    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        models.save(model, folder)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def decode(batch: int, tokens: int) -> None:
        prompt = torch.full((batch, 1), BOS)
        settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0, "max_new_tokens": tokens}
        made = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), min_new_tokens=tokens, **settings)
        assert made.shape == (batch, tokens + 1)

    return decode


def _stepping(model: Any) -> Decoder:
    @torch.inference_mode()
    def decode(batch: int, tokens: int) -> None:
        state, token = model.new_state(batch, tokens, torch.float32, "cpu"), torch.full((batch,), BOS)
        for _ in range(tokens):
            token = model.step(token, state).argmax(-1)

    return decode


def _native(model: NativeModel) -> Decoder:
    def decode(batch: int, tokens: int) -> None:
        state, numbers = model.new_state(batch, tokens), torch.zeros(batch, tokens)
        drawn = model.run(state, torch.full((batch,), BOS), tokens, Sampling(temperature=0), numbers, None)
        assert int(drawn.counts.min()) == tokens

    return decode


def _measured(paths: dict[str, Decoder], threads: int, batch: int, tokens: int, repeats: int) -> list[dict[str, Any]]:
    for decode in paths.values():
        decode(batch, 8)
    rows: dict[str, dict[str, Any]] = {
        name: {"path": name, "threads": threads, "batch": batch, "wall": [], "core": []} for name in paths
    }
    for _ in range(repeats):
        for name, decode in paths.items():
            time.sleep(PAUSE_SECONDS)
            wall, core = time.perf_counter(), time.process_time()
            decode(batch, tokens)
            wall, core = time.perf_counter() - wall, time.process_time() - core
            rows[name]["wall"].append(round(batch * tokens / wall, 1))
            rows[name]["core"].append(round(batch * tokens / core, 1))
    return list(rows.values())


def _show(rows: list[dict[str, Any]]) -> None:
    """A table of one thread count and batch: medians, spreads, ratios to the reference round by round."""
    print(f"\nbatch {rows[0]['batch']}, {rows[0]['threads']} threads", file=sys.stderr)
    reference = next((row for row in rows if row["path"] == REFERENCE), None)
    for row in rows:
        text = "  ".join(f"{rate} {_spread(row[rate], 0):>20} tokens/s" for rate in ("wall", "core"))
        if reference is not None:
            text += "  " + "  ".join(f"{rate} x{_ratio(row, reference, rate)}" for rate in ("wall", "core"))
        print(f"  {row['path']:22} {text}", file=sys.stderr)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _ratio(row: dict[str, Any], reference: dict[str, Any], rate: str) -> str:
    return _spread([a / b for a, b in zip(row[rate], reference[rate], strict=True)], 2)


def _cost(args: argparse.Namespace) -> float:
    seconds = 10.0
    for kind, count in (("transformers", 0 if args.without_transformers else 2), ("torch", 1), ("native", 3)):
        for batch in args.batches:
            speed = EXPECTED[kind][0] if batch == 1 else EXPECTED[kind][1]
            seconds += count * len(args.threads) * args.repeats * (batch * args.tokens / speed + PAUSE_SECONDS)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
