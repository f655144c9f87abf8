"""Options that the affect experiments share: where the result goes, and melodies to compose with."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import result_file
from symbolic import command_line
from symbolic.affect.composing import melody_pool
from symbolic.affect.composing.arrangement import SectionMelody

MELODIES = Path(__file__).parent / "affect_melodies.abc"  # of mamba2-6m, seed 0


def options_of(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with -o for the result file of that name."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / f"{name}.json")
    return parser


def run_with(
    run: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> int:
    """Run an experiment; users' mistakes end in a message."""
    args = parser.parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def add_melodies(parser: argparse.ArgumentParser, n: int) -> None:
    """Options that say where melodies come from."""
    parser.add_argument("--tunes", type=Path, default=MELODIES, metavar="FILE.abc", help="melodies to compose with")
    parser.add_argument("--model", metavar="NAME", help="draw the melodies from this model instead")
    parser.add_argument("-n", type=int, default=n, help=f"melodies at most (default {n})")
    parser.add_argument("--bars", type=int, default=8)


def melodies(args: argparse.Namespace) -> list[SectionMelody]:
    """The melodies that the options name. UserError where there are none."""
    tunes = [] if args.model else melody_pool.read_texts(args.tunes)
    return melody_pool.chosen(args.model, tunes, args.n, bars=args.bars)


def melody_settings(args: argparse.Namespace) -> dict[str, object]:
    """What the result file says of the melodies."""
    return {"n": args.n, "bars": args.bars, "melodies": args.model or args.tunes.name}
