"""Measure a set of tunes beside human tunes and baselines: the function behind the verb `evaluate`.

    found = evaluate("tunes.abc", "data/folk", model="gpt2-6m")
    found.measures["share_of_full_bars"]          # of the set itself, by key (symbolic.evaluate.comparison.MEASURES)
    found.columns["human, held out"]              # the same of human tunes, and of each baseline
    write(found, Path("scores"), html=True)

`tunes` may be a list of ABC texts. A set of MIDI is measured by the measures of `symbolic.evaluate.midi_evaluation`.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from symbolic import files, machine, runs
from symbolic.errors import UsageError, UserError
from symbolic.evaluate import comparison, midi_evaluation, sets
from symbolic.evaluate.checkers import agreement
from symbolic.evaluate.comparison import Progress, TuneReference
from symbolic.evaluate.metrics import control_adherence, likelihood_by_role
from symbolic.evaluate.report import tables
from symbolic.evaluate.report.tables import Table
from symbolic.evaluate.sets import SetTune
from symbolic.notation.abc_parser import NotationError, parse

MAX_CARDS = 1000  # tunes shown in the report
MAX_SCORED = 200  # tunes of each column under a model
CONTEXT = 1024  # tokens, for a model that does not say
PROMPT = "% prompt "  # the line of an .abc file in which `generate` records what was asked
ARTEFACTS = ("scores.json", "scores.csv", "scores.md", "report.html")


@dataclass(frozen=True)
class Evaluation:
    """What was measured: `columns` holds the measures by key of the set (first), of human tunes and of baselines.

    rows: one mapping for each tune of the set, in order. extra: likelihood, adherence and other checkers' opinions,
    where they were asked for. tables: all of it to be shown. provenance: what was measured, when, on which machine.
    """

    columns: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]
    tables: list[Table]
    provenance: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    tunes: Sequence[SetTune] = ()
    reference: TuneReference | None = None

    @property
    def measures(self) -> dict[str, Any]:
        """Measures of the set itself, by key."""
        return next(iter(self.columns.values()))


def evaluate(
    tunes: str | Path | Sequence[str],
    against: str | Path,
    *,
    model: str | None = None,
    n_opinions: int = 0,
    asked: str = "",
    seed: int = 0,
    device: str = "auto",
    beside: str | Path | Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Measure tunes beside human tunes and baselines made of them.

    tunes: a file, a folder, or a list of ABC texts. against: a folder written by `prepare`, or any set of human tunes.
    model: also measure likelihood under this run or model. n_opinions: ask abc2midi and music21 about so many tunes.
    asked: what was asked of every tune, as "M:6/8 K:Dmix S:2 B:8 B:8" (default: as an .abc file of `generate` says).
    seed: of the baselines. beside: a second set, measured too, and how far the first lies from it, with intervals.
    Raises UserError where there is nothing to measure or to compare with.
    """
    provenance = _provenance(tunes, against, model, seed)
    if isinstance(tunes, str | Path) and midi_evaluation.is_midi(str(tunes)):
        if n_opinions or asked or beside:
            option = "--opinions" if n_opinions else "--asked" if asked else "--beside"
            raise UsageError(f"{option}: {tunes} is MIDI, and this option is of ABC. Leave it out.")
        return _evaluate_midi(str(tunes), str(against), model, seed, device, provenance)
    own = _own_tunes(tunes)
    reference = _reference(str(against))
    texts, name = [tune.text for tune in own], _name(tunes)
    result = comparison.evaluate_tunes(texts, reference, progress)
    sets_of_texts = {name: texts}
    columns, extra = {name: result["measures"]}, dict[str, Any]()
    if beside:
        other = _name(beside) if _name(beside) != name else f"{name} (2)"
        sets_of_texts[other] = [tune.text for tune in _own_tunes(beside)]
        second = comparison.evaluate_tunes(sets_of_texts[other], reference, progress)
        columns[other] = second["measures"]
        shares = comparison.differences(result["tunes"], second["tunes"], seed)
        extra["differences"] = {"one": name, "other": other, "shares": shares}
    columns |= comparison.comparison(reference, seed=seed, progress=progress)
    if model:
        score = scorer(model, reference, device, progress)
        extra["likelihood"] = _likelihood(score, sets_of_texts, reference, columns, seed)
    if n_opinions:
        extra["opinions"] = _opinions(own, result["tunes"], n_opinions, seed)
    if wanted := control_adherence.parse_request(asked or _recorded_prompt(tunes)):
        extra["adherence"] = _adherence(texts, wanted)
    shown = [comparison.comparison_table(columns, reference, _title(tunes, against)), *_extra_tables(extra)]
    rows = [{"id": tune.id, "title": tune.title, **row} for tune, row in zip(own, result["tunes"], strict=True)]
    return Evaluation(columns, rows, shown, provenance, extra, own, reference)


def write(found: Evaluation, folder: Path, html: bool = False) -> None:
    """Write scores.json, scores.csv and scores.md into `folder`, and with `html` report.html."""
    scores = {"provenance": found.provenance, "measures": found.columns, **found.extra, "note": found.tables[0].note}
    files.write_json(folder / "scores.json", {**scores, "tunes": found.rows})
    files.write_whole(folder / "scores.csv", tables.comma_separated(found.tables[0]))
    files.write_whole(folder / "scores.md", "\n".join(map(tables.markdown, found.tables)))
    if html:
        _write_report(found, folder / "report.html")


def check_folder(folder: Path) -> None:
    """Raise UsageError unless `folder` is absent, empty or one of earlier scores."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; -o names a folder.")
    others = sorted({path.name for path in folder.iterdir()} - set(ARTEFACTS)) if folder.is_dir() else []
    if others:
        raise UsageError(
            f"{folder} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}): "
            f"choose another folder with -o, such as {folder / 'scores'}."
        )


def held_out_bits_per_byte(
    model: str, reference: TuneReference, device: str = "auto", progress: Progress | None = None
) -> float:
    """Return bits per byte of the held-out human tunes under a model that `generate` takes.

    Raises UserError when the reference was not split, since then nothing is held out.
    """
    score = scorer(model, reference, device, progress)
    return float(score([tune.text for tune in reference.human.test])["bits_per_byte"]["value"])


def scorer(
    model: str, reference: TuneReference, device: str = "auto", progress: Progress | None = None
) -> Callable[[Sequence[str]], dict[str, Any]]:
    """Load a model and return the function from canonical texts to their likelihood (`likelihood_by_role.measures`)."""
    if not reference.human.test:
        raise UserError(f"{reference.human.name} has no test tunes: name a folder written by `prepare`.")
    from symbolic.decode.loaded_model import load_source

    source = load_source(model, device)
    context = _context(source.folder)

    def score(texts: Sequence[str]) -> dict[str, Any]:
        tell = (lambda done, total: progress("windows scored by the model", done, total)) if progress else None
        found = likelihood_by_role.predict(source.model, source.tokenizer, texts, context=context, on_batch=tell)
        return likelihood_by_role.measures(found)

    return score


# --- reading ---------------------------------------------------------------------------------------------------------


def _own_tunes(tunes: str | Path | Sequence[str]) -> list[SetTune]:
    if isinstance(tunes, str | Path):
        return sets.read_tunes(tunes)
    return [SetTune(str(number), f"tune {number}", text) for number, text in enumerate(tunes, start=1)]


def _reference(against: str) -> TuneReference:
    try:
        return comparison.load_reference(against)
    except UserError as error:
        if Path(against).exists():
            raise
        hint = "Usual is a folder written by `prepare`, for example data/folk."
        raise type(error)(f"--against {against}: {error} {hint}") from error


def _recorded_prompt(tunes: str | Path | Sequence[str]) -> str:
    """Return the prompt in the first lines of an .abc file of `generate`; '' where there is none."""
    if not isinstance(tunes, str | Path) or Path(tunes).suffix != ".abc" or not Path(tunes).is_file():
        return ""
    with files.open_text(tunes) as file:
        comments = takewhile(lambda line: line.startswith("%"), file)
        return next((line[len(PROMPT) :] for line in comments if line.startswith(PROMPT)), "")


def _name(tunes: str | Path | Sequence[str]) -> str:
    return Path(tunes).stem if isinstance(tunes, str | Path) else "tunes"


def _title(tunes: str | Path | Sequence[str], against: str | Path) -> str:
    return f"{tunes if isinstance(tunes, str | Path) else f'{len(tunes):,} tunes'} against {against}"


def _provenance(tunes: object, against: object, model: str | None, seed: int) -> dict[str, Any]:
    given = str(tunes) if isinstance(tunes, str | Path) else "texts"
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {
        "tunes": given, "against": str(against), "model": model, "seed": seed, "made": made, "machine": machine.card()
    }  # fmt: skip


def _context(folder: Path) -> int:
    """Return the context in tokens that a checkpoint was trained with."""
    from symbolic.training import checkpoint

    record = files.read_json(folder / checkpoint.RECORD) if (folder / checkpoint.RECORD).is_file() else {}
    shape = files.read_json(folder / "config.json")
    context = record.get("config", {}).get("data", {}).get("context") or shape.get("n_positions") or CONTEXT
    return int(context)


# --- what is measured besides ----------------------------------------------------------------------------------------


def _likelihood(
    score: Callable[[Sequence[str]], dict[str, Any]],
    own: Mapping[str, list[str]],
    reference: TuneReference,
    columns: dict[str, dict[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """Measure the likelihood of every column; its figures are put into `columns` too."""
    found: dict[str, Any] = {}
    for name, texts in {**own, **comparison.comparison_texts(reference, seed=seed)}.items():
        some = texts if name == comparison.HELD_OUT else texts[:MAX_SCORED]
        found[name] = score([sets.canonical_text(text) for text in some])
        columns[name] |= {key: one["value"] for key, one in comparison.likelihood_figures(found[name]).items()}
    columns[next(iter(own))]["bits_per_byte"] = found[comparison.HELD_OUT]["bits_per_byte"]["value"]
    return found


def _opinions(tunes: Sequence[SetTune], rows: Sequence[Mapping[str, Any]], n: int, seed: int) -> dict[str, Any]:
    """Ask the other checkers about some tunes; list where they differ from ours."""
    some = sorted(random.Random(seed).sample(range(len(tunes)), min(n, len(tunes))))
    return agreement.compare([tunes[i].text for i in some], [rows[i] for i in some], [i + 1 for i in some])


def _adherence(texts: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what was asked of the tunes with what they are; a tune that does not parse keeps nothing."""
    found: list[Mapping[str, Any] | None] = []
    for text in texts:
        try:
            found.append(control_adherence.find_codes(parse(text)))
        except NotationError:
            found.append(None)
    return {"asked": dict(asked), "fields": control_adherence.adherence([asked] * len(texts), found)}


def _extra_tables(extra: Mapping[str, Any]) -> list[Table]:
    found = []
    if "differences" in extra:
        own = extra["differences"]
        found.append(comparison.differences_table(own["shares"], own["one"], own["other"]))
    if "likelihood" in extra:
        found.append(likelihood_by_role.table(extra["likelihood"]))
    if "adherence" in extra:
        found.append(control_adherence.table(extra["adherence"]["asked"], extra["adherence"]["fields"]))
    if "opinions" in extra:
        found += agreement.tables_of(extra["opinions"])
    return found


def _evaluate_midi(
    tunes: str, against: str, model: str | None, seed: int, device: str, provenance: dict[str, Any]
) -> Evaluation:
    if not midi_evaluation.is_midi(against):
        raise UsageError(f"--against {against} holds no MIDI, and {tunes} does: `prepare ... --as midi`.")
    samples, reference = midi_evaluation.read(tunes), midi_evaluation.read_reference(against)
    sets_of_samples = {_name(tunes): samples, **midi_evaluation.comparison(reference, seed)}
    columns = {name: midi_evaluation.measures(some, reference, seed) for name, some in sets_of_samples.items()}
    if model:
        score = midi_evaluation.likelihood(model, device)
        for name, some in sets_of_samples.items():
            columns[name] |= score(some[:MAX_SCORED])
    table = midi_evaluation.table(columns, reference, _title(tunes, against))
    return Evaluation(columns, midi_evaluation.rows(samples, reference), [table], provenance)


# --- the page --------------------------------------------------------------------------------------------------------


def _write_report(found: Evaluation, path: Path) -> None:
    from symbolic.evaluate.report import page, tune_cards

    given, against, model = (found.provenance[key] for key in ("tunes", "against", "model"))
    if found.reference is None:
        intro = f"{len(found.rows):,} pieces, measured beside human pieces and beside noise made of them."
        page.write_report(
            path, title=found.tables[0].title, intro=intro, tables=found.tables, provenance=found.provenance
        )
        return
    folder = _run_folder(model) if model else None
    curves = tune_cards.run_curves(folder) if folder else []
    name, family = (curves[0].model, curves[0].family) if curves else ("", "")
    tunes, rows = found.tunes[:MAX_CARDS], found.rows[:MAX_CARDS]
    more = f" The first {MAX_CARDS:,} are shown." if len(found.tunes) > MAX_CARDS else ""
    page.write_report(
        path,
        title=f"{Path(given).name} against {Path(against).name}",
        intro=f"{len(found.tunes):,} tunes, measured beside human tunes and beside noise made of them.{more}",
        curves=curves,
        tables=found.tables,
        tunes=tune_cards.tune_cards(tunes, rows, found.reference, model=name, family=family),
        provenance=found.provenance,
    )


def _run_folder(target: str) -> Path | None:
    """Return the run directory that `target` names, or None where it names a bare model."""
    for folder in (Path(target), runs.run_folder(target)):
        if runs.metrics_file(folder).is_file() and runs.config_file(folder).is_file():
            return folder
    return None
