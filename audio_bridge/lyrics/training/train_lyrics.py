"""Train a lyric model from scratch, or fine-tune a checkpoint.

    python -m audio_bridge lyrics train configs/lyrics/gpt2-small.yaml
    python -m audio_bridge lyrics train configs/lyrics/study.yaml --base gpt2 --genre rap
    python -m audio_bridge lyrics train lyrics-study --resume       # the run of that name, where it stopped

A YAML with the key `base` fine-tunes that causal model (audio_bridge.lyrics.training.finetune_lyrics); any other is a
run of `symbolic train` on a folder of `lyrics prepare`. Every key of the configuration is also an option. Both keep
the same run directory and go on from their newest checkpoint with --resume.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from audio_bridge.lyrics.training.finetune_lyrics import FineTune
from symbolic import config as configuration
from symbolic import runs
from symbolic.config import Override
from symbolic.training.loop import Interrupted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options: every key of both kinds of configuration is one."""
    parser.add_argument("config", metavar="CONFIG.yaml|RUN", help="a configuration, or a run that is there by its name")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    parser.add_argument(
        *("-o", "--output", "--folder"), dest="folder", type=Path, metavar="FOLDER",
        help="run directory (default: runs/NAME)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")
    configuration.add_overrides(parser, FineTune, "keys of a configuration with a base")
    configuration.add_overrides(parser, title="keys of a configuration without a base")


def run(args: argparse.Namespace) -> int:
    """Train as asked."""
    path, folder = runs.configuration(args.config)
    overrides, folder = configuration.overrides_of(args), args.folder or folder
    has_base = any(key == "base" for key, _ in overrides) or _has_base(configuration.find(path))
    try:
        summary = (_finetune if has_base else _from_scratch)(path, overrides, folder, args.resume)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    if args.json:
        print(json.dumps(summary))
    return 0


def _finetune(path: Path, overrides: list[Override], folder: Path | None, resume: bool) -> dict[str, object]:
    from audio_bridge.lyrics.training import finetune_lyrics

    settings = configuration.load_as(FineTune, path, overrides)
    summary = finetune_lyrics.finetune(settings, folder or runs.run_folder(settings.name), resume=resume)
    print(
        f"{summary['name']}: {summary['steps']} steps, validation {summary['bits_per_byte_before']:.3f} -> "
        f"{summary['best_bits_per_byte']:.3f} bits/byte; {summary['folder']}/best"
    )
    return summary


def _from_scratch(path: Path, overrides: list[Override], folder: Path | None, resume: bool) -> dict[str, object]:
    from symbolic.training import train

    summary = train.train(configuration.load(path, overrides), folder, resume=resume)
    print(train.describe(summary))
    return summary


def _has_base(path: Path) -> bool:
    try:
        return bool(re.search(r"^base\s*:", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):  # `load` says what is wrong with it
        return False
