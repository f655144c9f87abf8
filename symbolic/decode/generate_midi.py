"""Pieces of a model of MIDI tokens, written as MIDI files: `generate` with a model that learnt from MIDI.

    python -m symbolic generate runs/gpt2-6m-midi -n 4 -o pieces.mid      # pieces-1.mid ... pieces-4.mid

A piece that holds no note is counted and not written. Prompts and rules of ABC do not apply.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files
from symbolic.errors import UsageError
from symbolic.formats import midi_text

if TYPE_CHECKING:
    from symbolic.decode.engine.sampling import Sampling
    from symbolic.decode.loaded_model import LoadedModel

ABC_ONLY = ("prompt", "metre", "key", "first_bars", "constrain", "midi", "musicxml")


def write(args: argparse.Namespace, source: "LoadedModel", rules: "Sampling") -> int:
    """Generate, write, report; returns the exit status."""
    _check(args)
    started = time.monotonic()
    found = draw(source, rules, n=args.n, seed=args.seed, max_tokens=args.max_tokens, batch_size=args.batch_size)
    seconds = time.monotonic() - started
    texts = [source.tokenizer.decode(tokens) for tokens, _ in found]
    written = _write_files(args.output, texts)
    record = {
        "model": source.name,
        "seed": args.seed,
        "pieces": len(texts),
        "unfinished": sum(ending != "eos" for _, ending in found),
        "empty": texts.count(""),
        "tokens": sum(len(tokens) + (ending == "eos") for tokens, ending in found),
        "seconds": round(seconds, 3),
        "seconds_of_music": round(sum(midi_text.parse(text).seconds for text in texts if text), 1),
        "files": [str(path) for path in written],
    }
    print(_told(record, source), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(record))
    return 0


def draw(
    source: "LoadedModel", rules: "Sampling", *, n: int, seed: int = 0, max_tokens: int = 1024, batch_size: int = 32
) -> list[tuple[list[int], str]]:
    """(tokens, how it ended) of n pieces."""
    from symbolic.decode.engine import engine

    tokenizer = source.tokenizer
    drawn = engine.generate(
        source.model,
        [[tokenizer.bos]] * n,
        max_new_tokens=max_tokens,
        n_tokens=tokenizer.n_tokens,
        eos=tokenizer.eos,
        sampling=rules,
        seed=seed,
        batch_size=batch_size,
    )
    return [(one.tokens, one.finished) for one in drawn]


def _check(args: argparse.Namespace) -> None:
    given = [name for name in ABC_ONLY if getattr(args, name, None)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(f"{option}: {args.model} writes MIDI, and this option is of models of ABC. Leave it out.")
    if args.output is None or args.output.suffix.lower() not in (".mid", ".midi"):
        raise UsageError(f"{args.model} writes MIDI: name the file with -o, for example -o pieces.mid.")


def _write_files(target: Path, texts: list[str]) -> list[Path]:
    """One file a piece, numbered where there are several."""
    written = []
    for number, text in enumerate(texts, start=1):
        if text:
            path = target if len(texts) == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
            files.write_whole(path, midi_text.to_midi(midi_text.parse(text)))
            written.append(path)
    return written


def _told(record: dict[str, Any], source: "LoadedModel") -> str:
    rate = record["tokens"] / record["seconds"] if record["seconds"] else 0.0
    where = f"; {record['files'][0]} ..." if record["files"] else ""
    return (
        f"{record['pieces']} pieces by {source.name}: {record['unfinished']} unfinished, {record['empty']} empty; "
        f"{record['seconds_of_music']:,.0f} s of music, {record['tokens']:,} tokens in {record['seconds']:.1f} s, "
        f"{rate:,.0f} tokens/s{where}"
    )
