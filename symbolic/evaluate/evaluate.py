"""Measure tunes beside human ones and beside noise.

    python -m symbolic evaluate tunes.abc --against data/folk
    python -m symbolic evaluate tunes.abc --against data/folk --model gpt2-6m -o scores --html

TUNES is an .abc file of `generate`, a .jsonl, a folder, or whatever `prepare` reads. --against names a folder written
by `prepare` (copying is measured against its training tunes, its test tunes are the human column) or any set of tunes,
which is then both. The controls are made of the human tunes: with 5 % of the characters dropped, with the characters
shuffled, and a sample of the training set itself, which is what perfect cheating looks like.

FOLDER then holds scores.json (all measures, and those of each tune), scores.csv and scores.md (the table), and with
--html report.html (the table, and the tunes to read, each with its nearest training tune; curves with --model RUN).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, runs
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.evaluate.measures import Reference
    from symbolic.evaluate.sets import Tune
    from symbolic.evaluate.tables import Table

MOST_CARDS = 1000  # tunes shown in the report
PROGRESS_SECONDS = 0.5
CONTEXT = 1024  # tokens, for a model that does not say
ARTEFACTS = ("scores.json", "scores.csv", "scores.md", "report.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("tunes", metavar="TUNES", help=".abc, .jsonl, or a folder of them")
    parser.add_argument("--against", required=True, metavar="DATA_FOLDER|SET", help="human tunes to compare with")
    parser.add_argument("--model", metavar="RUN", help="also bits per byte of the held-out tunes under this model")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write scores.json, scores.csv, scores.md")
    parser.add_argument("--html", action="store_true", help="write FOLDER/report.html too")
    parser.add_argument("--seed", type=int, default=0, help="of the controls (default 0)")
    parser.add_argument("--device", default="auto", help="for --model: auto, cpu or cuda (default auto)")
    parser.add_argument("--json", action="store_true", help="end with the measures in one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit status."""
    if args.html and args.output is None:
        raise UsageError("--html writes report.html into a folder: name it with -o FOLDER.")
    if args.output is not None:
        _check_folder(args.output)
    from symbolic.evaluate import measures, sets, tables

    progress = _Progress()
    tunes = sets.read_tunes(args.tunes)
    reference = _reference(args.against)
    result = measures.evaluate_tunes([tune.text for tune in tunes], reference, progress)
    columns = {Path(args.tunes).stem: result["measures"]}
    if args.model:
        held_out = held_out_bits_per_byte(args.model, reference, args.device, progress)
        columns[Path(args.tunes).stem] |= {"bits_per_byte": held_out}
    columns |= measures.comparison(reference, seed=args.seed, progress=progress)
    progress.close()
    table = measures.comparison_table(columns, reference, f"{args.tunes} against {args.against}")
    print(tables.console(table), end="")
    if args.output is not None:
        _write(args, tunes, reference, columns, result, table)
    if args.json:
        print(json.dumps(columns))
    if not any(row["parses"] for row in result["tunes"]):
        message = f"error: no tune of {args.tunes} could be measured: none of the {len(tunes):,} is readable ABC."
        print(message, file=sys.stderr)
        return 1
    return 0


def held_out_bits_per_byte(
    model: str, reference: "Reference", device: str = "auto", progress: "Callable[[str, int, int], None] | None" = None
) -> float:
    """Of the held-out human tunes under a model that `generate` takes.

    UserError when the reference was not split, since then nothing is held out.
    """
    if not reference.human.test:
        raise UserError(f"{reference.human.name} has no test tunes: name a folder written by `prepare`.")
    from symbolic import likelihood
    from symbolic.decode.generate import load_source

    source = load_source(model, device)
    texts = [tune.text for tune in reference.human.test]
    scores = likelihood.score(
        source.model,
        source.tokenizer.encode_many(texts),
        [len(text.encode("utf-8")) for text in texts],
        context=_context(source.folder),
        on_batch=lambda done, total: progress("windows scored by the model", done, total) if progress else None,
    )
    return likelihood.bits_per_byte(scores)


def _check_folder(folder: Path) -> None:
    """Only an empty folder or one of earlier scores is written to."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; -o names a folder.")
    others = sorted({path.name for path in folder.iterdir()} - set(ARTEFACTS)) if folder.is_dir() else []
    if others:
        raise UsageError(
            f"{folder} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}): "
            f"choose another folder with -o, such as {folder / 'scores'}."
        )


def _reference(against: str) -> "Reference":
    from symbolic.evaluate import measures

    try:
        return measures.load_reference(against)
    except UserError as error:
        if Path(against).exists():
            raise
        hint = "Usual is a folder written by `prepare`, for example data/folk."
        raise type(error)(f"--against {against}: {error} {hint}") from error


def _write(
    args: argparse.Namespace,
    tunes: "list[Tune]",
    reference: "Reference",
    columns: Mapping[str, Any],
    result: Mapping[str, Any],
    table: "Table",
) -> None:
    from symbolic.evaluate import tables

    rows = [{"id": t.id, "title": t.title, **row} for t, row in zip(tunes, result["tunes"], strict=True)]
    scores = {"provenance": _provenance(args), "measures": columns, "note": table.note, "tunes": rows}
    files.write_json(args.output / "scores.json", scores)
    files.write_whole(args.output / "scores.csv", tables.comma_separated(table))
    files.write_whole(args.output / "scores.md", tables.markdown(table))
    if args.html:
        _write_report(args, tunes, reference, result, table)
    print(f"written to {args.output}", file=sys.stderr)


def _write_report(
    args: argparse.Namespace,
    tunes: "list[Tune]",
    reference: "Reference",
    result: Mapping[str, Any],
    table: "Table",
) -> None:
    from symbolic.evaluate import cards, report

    folder = _run_folder(args.model) if args.model else None
    curves = cards.run_curves(folder) if folder else []
    model, family = (curves[0].model, curves[0].family) if curves else ("", "")
    rows = result["tunes"][:MOST_CARDS]
    shown = cards.tune_cards(tunes[:MOST_CARDS], rows, reference, model=model, family=family)
    more = f" The first {MOST_CARDS:,} are shown." if len(tunes) > MOST_CARDS else ""
    report.write_report(
        args.output / "report.html",
        title=f"{Path(args.tunes).name} against {Path(args.against).name}",
        intro=f"{len(tunes):,} tunes, measured beside human tunes and beside noise made of them.{more}",
        curves=curves,
        tables=[table],
        tunes=shown,
        provenance=_provenance(args),
    )


def _run_folder(target: str) -> Path | None:
    """The run directory that `target` names, or None where it names a bare model."""
    for folder in (Path(target), runs.run_folder(target)):
        if runs.metrics_file(folder).is_file() and runs.config_file(folder).is_file():
            return folder
    return None


def _provenance(args: argparse.Namespace) -> dict[str, Any]:
    from symbolic import machine

    given = {"tunes": str(args.tunes), "against": str(args.against), "model": args.model, "seed": args.seed}
    return {**given, "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "machine": machine.card()}


def _context(folder: Path) -> int:
    """The context that a checkpoint was trained with."""
    from symbolic import checkpoint

    record = files.read_json(folder / checkpoint.RECORD) if (folder / checkpoint.RECORD).is_file() else {}
    shape = files.read_json(folder / "config.json")
    context = record.get("config", {}).get("data", {}).get("context") or shape.get("n_positions") or CONTEXT
    return int(context)


class _Progress:
    """A status line on standard error, rewritten in place on a terminal, one line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.shown = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.shown >= (PROGRESS_SECONDS if self.live else 20 * PROGRESS_SECONDS):
            self.shown = now
            line = f"{done:,}/{total:,} {what}"
            print(f"\r{line:60}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.live:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
