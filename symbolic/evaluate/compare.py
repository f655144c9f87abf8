"""Compare training runs: curves, conditions that differ, measures with intervals, tunes side by side.

    python -m symbolic compare gpt2-6m-folk mamba2-6m-folk
    python -m symbolic compare runs/a runs/b -n 200 --against data/folk -o runs.html

RUN is a run by its name or folder, finished or in progress, or a model without one (which has no curve). Printed are
the keys of configuration, data and machine in which the runs differ, how far each is, its bits per byte at equal
tokens, seconds and FLOPs, and the measures of N tunes that each writes from one seed at the default sampling, beside
human tunes. -o writes all of it as one page that needs no network, with the curves and with tunes to read and hear.
"""

import argparse
import json
import sys
from pathlib import Path

from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two runs or more: names, folders, or models")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="tunes that each writes (default 64; 0: none)")
    parser.add_argument("--against", metavar="DATA_FOLDER|SET", help="human tunes (default: the first run's data)")
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE.html", help="write a page")
    parser.add_argument("--seed", type=int, default=0, help="of the tunes (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    parser.add_argument("--json", action="store_true", help="end with everything in one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print, write; returns the exit status."""
    if args.n < 0:
        raise UsageError(f"-n is {args.n}; it must be 0 or more.")
    if args.output is not None and args.output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"-o {args.output}: the page is HTML; name it {args.output.with_suffix('.html').name}.")
    from symbolic.evaluate import run_comparison
    from symbolic.evaluate.report import tables

    found = run_comparison.compare(args.runs, args.against, n_tunes=args.n, seed=args.seed, device=args.device)
    print("\n".join([found.headline, *found.remarks, ""]))
    print("\n".join(map(tables.console, found.tables)), end="")
    if args.output is not None:
        run_comparison.write_page(found, args.output)
        print(f"written to {args.output}", file=sys.stderr)
    if args.json:
        print(json.dumps(run_comparison.as_json(found)))
    return 0
