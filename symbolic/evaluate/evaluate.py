"""Measure tunes beside human ones and beside noise.

    python -m symbolic evaluate tunes.abc --against data/folk
    python -m symbolic evaluate tunes.abc --against data/folk --model gpt2-6m -o scores --html

TUNES is an .abc file of `generate`, a .jsonl, a folder, or whatever `prepare` reads (of a folder that `prepare` wrote,
its test tunes). --against names a folder written
by `prepare` (copying is measured against its training tunes, its test tunes are the human column) or any set of tunes,
which is then both. Six baselines stand beside them: the human tunes with 5 % of the characters dropped, with the
characters shuffled and with random pitches; a Markov chain; a sample of the training set itself, which is what perfect
copying looks like; and ten human tunes repeated over and over.

--beside names a second set of tunes: it gets a column of its own, and a table says how far the first lies from it, with
intervals, and which differences are larger than chance.

--model adds likelihood: bits per byte of the held-out tunes, and of every column (at most 200 tunes of each) in bits
per byte, note and bar. --opinions N asks abc2midi and music21 about N tunes and lists where they disagree with this
project's own check of the bars. What was asked of the tunes (--asked, or the line `% prompt` that `generate` writes) is
compared with what they are.

FOLDER then holds scores.json (all measures, and those of each tune), scores.csv and scores.md (the table), and with
--html report.html (the table, and the tunes to read and hear, each with its nearest training tune; curves with --model
RUN).

TUNES of MIDI (a .mid file, a folder or archive of them) are measured as pieces, against a folder of
`prepare --as midi` (symbolic.evaluate.midi_evaluation); --model is then a model of MIDI.

    python -m symbolic evaluate pieces/ --against data/chorales-midi -o scores
"""

import argparse
import json
import sys
from pathlib import Path

from symbolic.errors import UsageError
from symbolic.progress import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("tunes", metavar="TUNES", help=".abc, .jsonl, or a folder of them")
    parser.add_argument("--against", required=True, metavar="DATA_FOLDER|SET", help="human tunes to compare with")
    parser.add_argument("--beside", metavar="TUNES", help="a second set, and whether the two differ")
    parser.add_argument("--model", metavar="RUN", help="also the likelihood of all columns under this model")
    parser.add_argument(
        "--opinions", type=int, default=0, metavar="N", help="also abc2midi's and music21's, of N tunes"
    )
    parser.add_argument("--asked", metavar="TEXT", help="what was asked of every tune, as 'M:6/8 K:Dmix S:2 B:8 B:8'")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write scores.json, scores.csv, scores.md")
    parser.add_argument("--html", action="store_true", help="write FOLDER/report.html too")
    parser.add_argument("--seed", type=int, default=0, help="of the controls (default 0)")
    parser.add_argument("--device", default="auto", help="for --model: auto, cpu or cuda (default auto)")
    parser.add_argument("--json", action="store_true", help="end with the measures in one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit status."""
    if args.html and args.output is None:
        raise UsageError("--html writes report.html into a folder: name it with -o FOLDER.")
    from symbolic.evaluate import evaluation
    from symbolic.evaluate.report import tables

    if args.output is not None:
        evaluation.check_folder(args.output)
    console = Console(late=True)

    def progress(what: str, done: int, total: int) -> None:
        if console.is_due():
            console.show(f"{done:,}/{total:,} {what}")

    found = evaluation.evaluate(
        args.tunes, args.against, model=args.model, n_opinions=args.opinions, asked=args.asked or "", seed=args.seed,
        device=args.device, beside=args.beside or (), progress=progress,
    )  # fmt: skip
    console.close(wipe=True)
    print("\n".join(map(tables.console, found.tables)), end="")
    if args.output is not None:
        evaluation.write(found, args.output, html=args.html)
        print(f"written to {args.output}", file=sys.stderr)
    if args.json:
        print(json.dumps(found.columns))
    return _status(found.rows, args.tunes)


def _status(rows: list[dict[str, object]], tunes: str) -> int:
    """Return 1, with a message, where nothing of the set could be read; else 0."""
    if any(row.get("parses", row.get("has_notes")) for row in rows):
        return 0
    lacking = "has notes" if "has_notes" in rows[0] else "is readable ABC"
    print(f"error: no tune of {tunes} could be measured: none of the {len(rows):,} {lacking}.", file=sys.stderr)
    return 1
