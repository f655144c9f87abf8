"""The whole path in one command: real tunes, two models trained alike, new tunes, measures, sound, one page.

    python -m experiments.quickstart          (what `make run` runs)

Each stage runs a verb, prints its command line, and is skipped when its result is there: an interrupted run goes on
where it stopped. Results are in runs/quickstart; delete that folder to start again. The last lines on stdout are the
table and the path of report.html.
"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import audio_bridge.__main__ as sound
import symbolic.__main__ as symbolic_program
from symbolic import command_line, config, files, machine, runs
from symbolic.decode.engine.sampling_rules import DEFAULT
from symbolic.evaluate import comparison, evaluation, sets
from symbolic.evaluate.report import page, tables, tune_cards

DATA = Path("data/folk")
SOURCES = ("aird", "oneill", "ryan")
FOLDER = runs.ROOT / "quickstart"
CONFIGS = {"gpt2": Path("configs/quickstart-gpt2.yaml"), "mamba2": Path("configs/quickstart-mamba2.yaml")}
N_TUNES = 32
SEED = 7
SAMPLING = f"at temperature {DEFAULT.temperature:g} and min-p {DEFAULT.min_p:g}"
INSTRUMENT = "violin"


@dataclass(frozen=True)
class Writer:
    """A model that writes tunes: `model` is what `generate` takes, `folder` is where its results go."""

    name: str
    family: str
    model: str
    folder: Path
    is_trained_here: bool

    @property
    def tunes(self) -> Path:
        """The tunes it wrote."""
        return self.folder / "tunes.abc"


def main() -> int:
    """Run every stage that has no result yet, then print the table."""
    parser().parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two spinning threads on a busy machine are slower than one
    return command_line.guarded(_run)


def parser() -> argparse.ArgumentParser:
    """No options: everything that is shown repeats."""
    return argparse.ArgumentParser(
        "python -m experiments.quickstart",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _run() -> int:
    once(DATA / "summary.json", "symbolic", "prepare", *SOURCES, "-o", DATA)
    for name, path in CONFIGS.items():
        verb("symbolic", "train", path, "--folder", FOLDER / name, "--resume")
    everyone = writers()
    for writer in everyone:
        arguments = (writer.model, "-n", N_TUNES, "--seed", SEED, "-o", writer.tunes)
        once(writer.tunes, "symbolic", "generate", *arguments)
    if not (FOLDER / "report.html").exists():
        _evaluate(everyone)
    print((FOLDER / "scores.md").read_text(encoding="utf-8"))
    print(f"read, hear and compare the tunes: {FOLDER / 'report.html'}")
    return 0


def writers() -> list[Writer]:
    """The two models trained here, then the ready-made ones that the repository holds."""
    found = [Writer(name, name, str(FOLDER / name), FOLDER / name, True) for name in CONFIGS]
    for folder in runs.ready_made():
        family = str(files.read_json(folder / "config.json")["model_type"])
        found.append(Writer(f"{folder.name} (ready-made)", family, folder.name, FOLDER / folder.name, False))
    return found


def verb(program: str, *arguments: Any) -> None:
    """Run one verb as a person would type it; leave with its exit status when it fails."""
    table = {"symbolic": symbolic_program.VERBS, "audio_bridge": sound.VERBS}[program]
    words = [str(word) for word in arguments]
    print(f"\n$ python -m {program} {shlex.join(words)}", file=sys.stderr)
    status = command_line.main(program, table, words)
    if status:
        sys.exit(status)


def once(result: Path, program: str, *arguments: Any) -> None:
    """Run a verb unless its result is there."""
    if not result.exists():
        verb(program, *arguments)


def _evaluate(everyone: list[Writer]) -> None:
    """Measure all tunes, render one of each model, write scores and the page."""
    reference = comparison.load_reference(DATA)
    columns: dict[str, dict[str, Any]] = {}
    shown: list[page.TuneCard] = []
    for writer in everyone:
        print(f"measuring {writer.tunes}", file=sys.stderr)
        tunes = sets.read_tunes(writer.tunes)
        result = comparison.evaluate_tunes([tune.text for tune in tunes], reference)
        held_out = evaluation.held_out_bits_per_byte(writer.model, reference)
        columns[writer.name] = {**result["measures"], "bits_per_byte": held_out}
        shown += _cards(writer, tunes, result["tunes"], reference)
    columns |= comparison.comparison(reference, seed=SEED)
    trained = [writer for writer in everyone if writer.is_trained_here]
    records = {writer.name: files.read_json(runs.run_file(writer.folder)) for writer in trained}
    scores = {
        "command": "python -m experiments.quickstart",
        "machine": machine.card(),
        "seed": SEED,
        "config_digests": {name: record["config_digest"] for name, record in records.items()},
        "training": {name: record["summary"] for name, record in records.items()},
        "measures": columns,
        "note": comparison.explanation(columns, reference),
    }
    files.write_json(FOLDER / "scores.json", scores)
    files.write_whole(FOLDER / "scores.md", "\n".join(map(tables.markdown, tables_of(scores))))
    files.write_whole(FOLDER / "scores.csv", tables.comma_separated(tables_of(scores)[1]))
    _write_page(trained, tables_of(scores), shown)


SHORT = (
    *("tunes", "tunes that parse", "bars that fit the metre", "tunes with all bars right"),
    *("sections of 4, 8, 12... bars", "tunes that end on the tonic"),
    *("tunes with a copied 17-note phrase", "longest shared passage, median (notes)", "key fit (correlation)"),
    *("self-similarity of bars", "precision", "coverage", "distinct 5-note runs", "bits per byte of held-out tunes"),
)


def tables_of(scores: dict[str, Any]) -> list[tables.Table]:
    """The two tables of a scores.json: what training took, and the measures."""
    keys = ("parameters", "tokens", "seconds", "tokens_per_second", "bits_per_byte")
    rows = [[name, *(summary[key] for key in keys)] for name, summary in scores["training"].items()]
    names = ["parameters", "tokens read", "seconds", "tokens/s", "validation bits per byte"]
    training = tables.Table("Training", ["model", *names], rows)
    title = f"{N_TUNES} tunes of each model, {SAMPLING}, beside human tunes and noise"
    compared = comparison.comparison_table(scores["measures"], title=title)
    return [training, tables.Table(compared.title, compared.columns, compared.rows, scores["note"])]


def short_tables_of(scores: dict[str, Any]) -> list[tables.Table]:
    """The same with the rows that the README shows."""
    training, compared = tables_of(scores)
    rows = [row for row in compared.rows if row[0] in SHORT]
    return [training, tables.Table(compared.title, compared.columns, rows, compared.note)]


def _cards(writer: Writer, tunes: Any, rows: list[dict[str, Any]], reference: Any) -> list[page.TuneCard]:
    """The tunes for the page in the order in which they were written; the first that can be played has a recording."""
    first = next((place for place, row in enumerate(rows) if row["parses"]), None)
    audio: dict[int, tuple[bytes, str]] = {}
    if first is not None:
        number = first + 1
        for suffix in (".wav", ".mp3"):
            target = writer.folder / f"tune-{number}{suffix}"
            once(
                target,
                "audio_bridge",
                "render",
                writer.tunes,
                "--tune",
                number,
                "--instrument",
                INSTRUMENT,
                "-o",
                target,
            )
        audio[first] = (target.read_bytes(), "mp3")
    return tune_cards.tune_cards(tunes, rows, reference, model=writer.name, family=writer.family, audio=audio)


def _write_page(trained: list[Writer], shown_tables: list[tables.Table], shown: list[page.TuneCard]) -> None:
    settings = config.load(runs.config_file(trained[0].folder))
    records = [files.read_json(runs.run_file(writer.folder)) for writer in trained]
    sizes = " and ".join(f"{record['parameters']:,}" for record in records)
    n_tokens = settings.train.steps * settings.train.batch_size * settings.data.context
    page.write_report(
        FOLDER / "report.html",
        title="Quickstart: GPT-2 and Mamba-2 on folk tunes",
        intro=(
            f"Two language models of matched size ({sizes} parameters) read the same {n_tokens:,} tokens of ABC "
            "notation, in tokens that count bars and sections down, with the same loop; then each wrote "
            f"{N_TUNES} tunes {SAMPLING}. So did the models of the package, which read far more. All are measured "
            "beside human tunes that none has seen, and beside noise made of those.\n\n"
            "A million tokens are what a few minutes of two cores allow: the curves below are still falling, and what "
            "they show is who learns faster at first, not who is better in the end.\n\n"
            "The tunes stand in the order in which they were written, none chosen; of each model the first that can be "
            "played has a recording."
        ),
        curves=[curve for writer in trained for curve in tune_cards.run_curves(writer.folder, writer.name)],
        tables=shown_tables,
        tunes=shown,
        provenance={
            "command": "python -m experiments.quickstart",
            "seed": SEED,
            "configurations": ", ".join(map(str, CONFIGS.values())),
            "configuration digests": ", ".join(record["config_digest"][:12] for record in records),
            "terms of the tunes": json.dumps([term["licence"] for term in records[0]["terms"]]),
            "machine": records[0]["machine"],
        },
    )


if __name__ == "__main__":
    sys.exit(main())
