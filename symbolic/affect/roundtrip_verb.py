"""Music to a story and back to music, or a story to music and back: how much of the mood's arc is left.

    python -m symbolic roundtrip tune.abc
    python -m symbolic roundtrip story.txt --json -o roundtrip/

Both ways are measured by scorers that chose nothing; beside each figure stand arcs that must lose: constant, reversed,
with shuffled sections, and the common shapes of other stories. -o FOLDER keeps what was written.
"""

import argparse
import json
import sys
from pathlib import Path

from symbolic.affect.compose_verb import add_music_arguments, check_music
from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("source", metavar="FILE", help="a score or a text")
    parser.add_argument("--tune", type=int, metavar="N", help="the tune X:N of an .abc file, else the N-th")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="keep story.txt, music.abc, roundtrip.json")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    add_music_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """There and back, with a table."""
    from symbolic import files
    from symbolic.affect import round_trip
    from symbolic.affect.affect_verb import TEXT_SUFFIXES, read_text
    from symbolic.affect.composing import melody_pool
    from symbolic.affect.learning.affect_cards import markdown_table
    from symbolic.affect.story_verb import music_of

    check_music(args)
    if args.metre != "4/4" or args.key != "D":
        raise UsageError("roundtrip writes in 4/4 and D: leave out --metre and --key.")
    if args.output:
        files.check_writable(args.output / "roundtrip.json")
    tunes = melody_pool.read_texts(args.tunes) if args.tunes else []
    settings = {"seed": args.seed, "model": args.model, "tunes": tunes, "bars": args.bars, "n": args.n}
    if args.source == "-" or Path(args.source).suffix.lower() in TEXT_SUFFIXES:
        made = round_trip.of_text(read_text(args.source), progress=_tell, **settings)
    else:
        made = round_trip.of_music(music_of(Path(args.source), args.tune)[0], progress=_tell, **settings)
    rows = made.table()
    print(markdown_table(rows), file=sys.stderr if args.json else sys.stdout)
    record = {"rows": rows, "story": made.story.record(), "music": made.composition.record()}
    if args.output:
        files.write_whole(args.output / "story.txt", made.story.text)
        files.write_whole(args.output / "music.abc", made.composition.text)
        files.write_json(args.output / "roundtrip.json", record)
    if args.json:
        print(json.dumps({"rows": rows}))
    return 0


def _tell(stage: str) -> None:
    print(f"writing the {stage} ...", file=sys.stderr)
