"""Train a lyric model from scratch, or fine-tune a checkpoint.

    python -m audio_bridge lyrics train configs/lyrics/gpt2-small.yaml
    python -m audio_bridge lyrics train configs/lyrics/study.yaml --set base=gpt2 --set genre=rap

A YAML with the key `base` fine-tunes that causal model (audio_bridge.lyrics.training.finetune_lyrics); any other is a
run of `symbolic train` on a folder of `lyrics prepare`, with all its rules (resume, run directory, bits per byte).
"""

import argparse
import json
import re
from pathlib import Path

from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the YAML")
    parser.add_argument("--folder", type=Path, help="run directory (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on where the run was saved last")
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Train as asked."""
    overrides = [_override(text) for text in args.set]
    summary = _finetune(args, overrides) if _has_base(args.config) else _from_scratch(args, overrides)
    if args.json:
        print(json.dumps(summary))
    return 0


def _finetune(args: argparse.Namespace, overrides: list[tuple[str, str]]) -> dict[str, object]:
    from audio_bridge.lyrics.training import finetune_lyrics
    from symbolic import config, runs

    settings = config.load_as(finetune_lyrics.FineTune, args.config, overrides)
    folder = args.folder or runs.run_folder(settings.name)
    summary = finetune_lyrics.finetune(settings, folder, resume=args.resume)
    print(f"{summary['name']}: {summary['steps']} steps, validation {summary['bits_per_byte_before']:.3f} -> "
          f"{summary['best_bits_per_byte']:.3f} bits/byte; {summary['folder']}/best")  # fmt: skip
    return summary


def _from_scratch(args: argparse.Namespace, overrides: list[tuple[str, str]]) -> dict[str, object]:
    from symbolic import config
    from symbolic.training import train

    settings = config.load(args.config, overrides)
    summary = train.train(settings, args.folder, resume=args.resume)
    print(train.describe(summary))
    return summary


def _override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write KEY=VALUE, as --set train.steps=100.")
    return key.strip(), value


def _has_base(path: Path) -> bool:
    try:
        return bool(re.search(r"^base\s*:", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the configuration {path}: {getattr(error, 'strerror', None) or error}."
        ) from error
