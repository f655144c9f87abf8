"""Measure tunes beside human ones and beside noise.

    python -m symbolic evaluate tunes.abc --against data/folk
    python -m symbolic evaluate tunes.abc --against data/folk --model gpt2-6m -o scores --html

TUNES is an .abc file of `generate`, a .jsonl, a folder, or whatever `prepare` reads. --against names a folder written
by `prepare` (copying is measured against its training tunes, its test tunes are the human column) or any set of tunes,
which is then both. Six controls stand beside them: the human tunes with 5 % of the characters dropped, with the
characters shuffled and with random pitches; a Markov chain; a sample of the training set itself, which is what perfect
cheating looks like; and ten human tunes over and over.

--model adds likelihood: bits per byte of the held-out tunes, and of every column (at most 200 tunes of each) in bits
per byte, note and bar. --opinions N asks abc2midi and music21 of N tunes and lists where they disagree with this
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
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, runs
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.evaluate.comparison import TuneReference
    from symbolic.evaluate.report.tables import Table
    from symbolic.evaluate.sets import SetTune

MOST_CARDS = 1000  # tunes shown in the report
PROGRESS_SECONDS = 0.5
MOST_SCORED = 200  # tunes of each column under --model
CONTEXT = 1024  # tokens, for a model that does not say
PROMPT = "% prompt "  # the line of an .abc file in which `generate` records what was asked
ARTEFACTS = ("scores.json", "scores.csv", "scores.md", "report.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("tunes", metavar="TUNES", help=".abc, .jsonl, or a folder of them")
    parser.add_argument("--against", required=True, metavar="DATA_FOLDER|SET", help="human tunes to compare with")
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
    """Measure, print, write; returns the exit status."""
    if args.html and args.output is None:
        raise UsageError("--html writes report.html into a folder: name it with -o FOLDER.")
    if args.output is not None:
        _check_folder(args.output)
    from symbolic.evaluate import comparison, midi_evaluation, sets
    from symbolic.evaluate.report import tables

    if midi_evaluation.is_midi(args.tunes):
        return _run_midi(args)
    progress, asked = _Progress(), _asked(args)
    tunes = sets.read_tunes(args.tunes)
    reference = _reference(args.against)
    name, texts = Path(args.tunes).stem, [tune.text for tune in tunes]
    result = comparison.evaluate_tunes(texts, reference, progress)
    columns = {name: result["measures"], **comparison.comparison(reference, seed=args.seed, progress=progress)}
    extra: dict[str, Any] = {}
    if args.model:
        extra["likelihood"] = _likelihood(args, {name: texts}, reference, columns, progress)
    if args.opinions:
        extra["opinions"] = _opinions(tunes, result["tunes"], args)
    if asked:
        extra["adherence"] = _adherence(texts, asked)
    progress.close()
    shown = [comparison.comparison_table(columns, reference, f"{args.tunes} against {args.against}"), *_tables(extra)]
    print("\n".join(map(tables.console, shown)), end="")
    if args.output is not None:
        _write(args, tunes, reference, {"measures": columns, **extra}, result, shown)
    if args.json:
        print(json.dumps(columns))
    if not any(row["parses"] for row in result["tunes"]):
        message = f"error: no tune of {args.tunes} could be measured: none of the {len(tunes):,} is readable ABC."
        print(message, file=sys.stderr)
        return 1
    return 0


def _run_midi(args: argparse.Namespace) -> int:
    """The same for pieces of MIDI."""
    from symbolic.evaluate import midi_evaluation
    from symbolic.evaluate.report import page as report
    from symbolic.evaluate.report import tables

    given = [name for name in ("opinions", "asked") if getattr(args, name)]
    if given:
        raise UsageError(f"--{given[0]}: {args.tunes} is MIDI, and this option is of ABC. Leave it out.")
    if not midi_evaluation.is_midi(args.against):
        raise UsageError(f"--against {args.against} holds no MIDI, and {args.tunes} does: `prepare ... --as midi`.")
    samples, reference = midi_evaluation.read(args.tunes), midi_evaluation.read_reference(args.against)
    sets = {Path(args.tunes).stem: samples, **midi_evaluation.comparison(reference, args.seed)}
    columns = {name: midi_evaluation.measures(some, reference, args.seed) for name, some in sets.items()}
    if args.model:
        score = midi_evaluation.likelihood(args.model, args.device)
        for name, some in sets.items():
            columns[name] |= score(some[:MOST_SCORED])
    title = f"{args.tunes} against {args.against}"
    shown = [midi_evaluation.table(columns, reference, title)]
    print(tables.console(shown[0]), end="")
    if args.output is not None:
        _write_scores(args, {"measures": columns}, midi_evaluation.rows(samples, reference), shown)
        if args.html:
            intro = f"{len(samples):,} pieces, measured beside human pieces and beside noise made of them."
            page = args.output / "report.html"
            report.write_report(page, title=title, intro=intro, tables=shown, provenance=_provenance(args))
    if args.json:
        print(json.dumps(columns))
    if not any(sample.text for sample in samples):
        print(f"error: no piece of {args.tunes} could be measured: none of the {len(samples):,} has notes.",
              file=sys.stderr)  # fmt: skip
        return 1
    return 0


def held_out_bits_per_byte(
    model: str,
    reference: "TuneReference",
    device: str = "auto",
    progress: "Callable[[str, int, int], None] | None" = None,
) -> float:
    """Of the held-out human tunes under a model that `generate` takes.

    UserError when the reference was not split, since then nothing is held out.
    """
    score = scorer(model, reference, device, progress)
    return float(score([tune.text for tune in reference.human.test])["bits_per_byte"]["value"])


def scorer(
    model: str,
    reference: "TuneReference",
    device: str = "auto",
    progress: "Callable[[str, int, int], None] | None" = None,
) -> Callable[[Sequence[str]], dict[str, Any]]:
    """What turns canonical texts into their likelihood under a model (`prediction.measures`)."""
    if not reference.human.test:
        raise UserError(f"{reference.human.name} has no test tunes: name a folder written by `prepare`.")
    from symbolic.decode.loaded_model import load_source
    from symbolic.evaluate.metrics import likelihood_by_role

    source = load_source(model, device)
    context = _context(source.folder)

    def score(texts: Sequence[str]) -> dict[str, Any]:
        tell = (lambda done, total: progress("windows scored by the model", done, total)) if progress else None
        found = likelihood_by_role.predict(source.model, source.tokenizer, texts, context=context, on_batch=tell)
        return likelihood_by_role.measures(found)

    return score


def _likelihood(
    args: argparse.Namespace,
    own: Mapping[str, list[str]],
    reference: "TuneReference",
    columns: dict[str, dict[str, Any]],
    progress: "_Progress",
) -> dict[str, Any]:
    """Of every column under the model; the figures are put into the columns too."""
    from symbolic.evaluate import comparison, sets

    score = scorer(args.model, reference, args.device, progress)
    found: dict[str, Any] = {}
    for name, texts in {**own, **comparison.comparison_texts(reference, seed=args.seed)}.items():
        some = texts if name == comparison.HELD_OUT else texts[:MOST_SCORED]
        found[name] = score([sets.canonical_text(text) for text in some])
        columns[name] |= {key: one["value"] for key, one in comparison.likelihood_figures(found[name]).items()}
    columns[next(iter(own))]["bits_per_byte"] = found[comparison.HELD_OUT]["bits_per_byte"]["value"]
    return found


def _opinions(tunes: "list[SetTune]", rows: Sequence[Mapping[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    """Other programs' opinions of some tunes, and where they differ from ours."""
    import random

    from symbolic.evaluate.checkers import agreement

    some = sorted(random.Random(args.seed).sample(range(len(tunes)), min(args.opinions, len(tunes))))
    return agreement.compared([tunes[i].text for i in some], [rows[i] for i in some], [i + 1 for i in some])


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked of all tunes: the option, else the prompt in the first lines of an .abc file of `generate`."""
    from symbolic.evaluate.metrics import control_adherence

    text, path = args.asked or "", Path(args.tunes)
    if not text and path.suffix == ".abc" and path.is_file():
        with open(path, encoding="utf-8", errors="replace") as file:
            comments = takewhile(lambda line: line.startswith("%"), file)
            text = next((line[len(PROMPT) :] for line in comments if line.startswith(PROMPT)), "")
    return control_adherence.asked(text)


def _adherence(texts: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    from symbolic.evaluate.metrics import control_adherence
    from symbolic.notation.abc_parser import NotationError, parse

    found: list[Mapping[str, Any] | None] = []
    for text in texts:
        try:
            found.append(control_adherence.found(parse(text)))
        except NotationError:
            found.append(None)
    return {"asked": dict(asked), "fields": control_adherence.adherence([asked] * len(texts), found)}


def _tables(extra: Mapping[str, Any]) -> "list[Table]":
    """What has no place in the comparison: parts of the likelihood, adherence, other programs' opinions."""
    from symbolic.evaluate.checkers import agreement
    from symbolic.evaluate.metrics import control_adherence, likelihood_by_role

    found = []
    if "likelihood" in extra:
        found.append(likelihood_by_role.table(extra["likelihood"]))
    if "adherence" in extra:
        found.append(control_adherence.table(extra["adherence"]["asked"], extra["adherence"]["fields"]))
    if "opinions" in extra:
        found += agreement.tables_of(extra["opinions"])
    return found


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


def _reference(against: str) -> "TuneReference":
    from symbolic.evaluate import comparison

    try:
        return comparison.load_reference(against)
    except UserError as error:
        if Path(against).exists():
            raise
        hint = "Usual is a folder written by `prepare`, for example data/folk."
        raise type(error)(f"--against {against}: {error} {hint}") from error


def _write(
    args: argparse.Namespace,
    tunes: "list[SetTune]",
    reference: "TuneReference",
    found: Mapping[str, Any],
    result: Mapping[str, Any],
    shown: "Sequence[Table]",
) -> None:
    rows = [{"id": t.id, "title": t.title, **row} for t, row in zip(tunes, result["tunes"], strict=True)]
    _write_scores(args, found, rows, shown)
    if args.html:
        _write_report(args, tunes, reference, result, shown)


def _write_scores(
    args: argparse.Namespace, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], shown: "Sequence[Table]"
) -> None:
    from symbolic.evaluate.report import tables

    scores = {"provenance": _provenance(args), **found, "note": shown[0].note, "tunes": rows}
    files.write_json(args.output / "scores.json", scores)
    files.write_whole(args.output / "scores.csv", tables.comma_separated(shown[0]))
    files.write_whole(args.output / "scores.md", "\n".join(map(tables.markdown, shown)))
    print(f"written to {args.output}", file=sys.stderr)


def _write_report(
    args: argparse.Namespace,
    tunes: "list[SetTune]",
    reference: "TuneReference",
    result: Mapping[str, Any],
    shown_tables: "Sequence[Table]",
) -> None:
    from symbolic.evaluate.report import page as report
    from symbolic.evaluate.report import tune_cards

    folder = _run_folder(args.model) if args.model else None
    curves = tune_cards.run_curves(folder) if folder else []
    model, family = (curves[0].model, curves[0].family) if curves else ("", "")
    rows = result["tunes"][:MOST_CARDS]
    shown = tune_cards.tune_cards(tunes[:MOST_CARDS], rows, reference, model=model, family=family)
    more = f" The first {MOST_CARDS:,} are shown." if len(tunes) > MOST_CARDS else ""
    report.write_report(
        args.output / "report.html",
        title=f"{Path(args.tunes).name} against {Path(args.against).name}",
        intro=f"{len(tunes):,} tunes, measured beside human tunes and beside noise made of them.{more}",
        curves=curves,
        tables=shown_tables,
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
    from symbolic.training import checkpoint

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
