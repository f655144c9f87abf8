"""Runs side by side: where they stand, what differs between their conditions, and the tunes that their models write.

    found = compare(["runs/gpt2-6m", "runs/mamba2-6m"], against="data/folk")
    found.conditions        # keys of the configuration, data and machine that differ, one column a run
    found.columns           # measures of each run's tunes and of human ones: {"value", "low", "high"} by key
    write_page(found, Path("runs.html"))

A run may be in progress: it is shown as far as it has come. Every run writes tunes of the same numbers from the same
seed, at the default sampling, so tune 3 of one stands beside tune 3 of another and none is chosen. Intervals are those
of `symbolic.evaluate.metrics.bootstrap`: halves of the set for measures of tunes, a bootstrap over the held-out tunes
for bits per byte.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbolic import config as configuration
from symbolic import files, machine, runs, strict_yaml
from symbolic.config import MIDI_KINDS, Config
from symbolic.errors import UsageError, UserError
from symbolic.evaluate import comparison, evaluation
from symbolic.evaluate.comparison import Measured, TuneReference
from symbolic.evaluate.report.tables import Cell, Table, cell_text
from symbolic.evaluate.sets import SetTune
from symbolic.models import sizes
from symbolic.training import checkpoint, learning_curve
from symbolic.training.learning_curve import RunCurve

DRAWS = 40  # halves of a set for an interval
SHOWN = 12  # tunes of each run on the page
AXIS_LABELS = {"steps": "step", "tokens": "tokens read", "seconds": "seconds of training", "flops": "FLOPs of training"}
VALIDATION, LOSS = "bits per byte of validation tunes", "training loss (nats per token)"
MACHINE = ("cpu", "cores", "gpu", "torch", "commit")  # keys of a machine's card that a figure may depend on
EXPECTED = ("name", "seed")  # keys that runs of one comparison always may differ in


@dataclass(frozen=True)
class ComparedRun:
    """A run, or a model without one (`curve` None). config: None where the model does not say. record: run.json, or
    training.json of a model."""

    name: str
    folder: Path
    config: Config | None
    record: dict[str, Any]
    curve: RunCurve | None = None

    @property
    def writes_abc(self) -> bool:
        """False for a run whose tokens are MIDI events."""
        return self.config is None or self.config.tokenizer.kind not in MIDI_KINDS


@dataclass(frozen=True)
class WrittenSet:
    """The tunes of one run, with the row of each (`comparison.evaluate_tunes`)."""

    tunes: list[SetTune]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class RunComparison:
    """What `compare` found. columns: measures by run and key, absent runs wrote no tunes. remarks: what is missing, and
    why, one sentence each."""

    compared: list[ComparedRun]
    headline: str
    conditions: dict[str, list[Any]]
    standing: dict[str, list[Cell]]
    columns: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    written: dict[str, WrittenSet] = field(default_factory=dict)
    reference: TuneReference | None = None
    remarks: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """Conditions, where the runs stand, and measures where they were taken."""
        names = [one.name for one in self.compared]
        found = [
            Table("What differs", ["", *names], [[key, *map(_text, row)] for key, row in self.conditions.items()]),
            Table("Where the runs stand", ["", *names], [[key, *row] for key, row in self.standing.items()]),
        ]
        if self.columns:
            found.append(_measures_table(self.columns, self.settings["tunes"]))
        return [table for table in found if table.rows]


# --- comparing -------------------------------------------------------------------------------------------------------


def compare(
    targets: Sequence[str | Path],
    against: str | Path | None = None,
    *,
    n_tunes: int = 64,
    seed: int = 0,
    device: str = "auto",
    progress: comparison.Progress | None = None,
) -> RunComparison:
    """Compare runs, or models, each named as `generate` takes it.

    against: human tunes, a folder of `prepare` (default: the data folder of the first run). n_tunes: written by each,
    0 for curves and conditions alone. Raises UsageError for fewer than two runs, UserError for one that is none.
    """
    if len(targets) < 2:
        raise UsageError("compare takes two runs or more: name another.")
    compared = _named([_read(target) for target in targets])
    conditions = differing_conditions(compared)
    found = RunComparison(
        compared,
        headline(conditions),
        conditions,
        standing(compared),
        remarks=[f"{one.name} has no evaluation yet." for one in compared if one.curve and not one.curve.steps],
        settings={"tunes": n_tunes, "seed": seed, "machine": machine.card()},
    )
    source = against or _data_folder(compared)
    if source is None and n_tunes:
        found.remarks.append("No tunes were measured: the runs' data folder is not here. Name human tunes: --against.")
    if source is None or not n_tunes:
        return found
    return _with_tunes(found, comparison.load_reference(source), n_tunes, seed, device, progress)


def differing_conditions(compared: Sequence[ComparedRun]) -> dict[str, list[Any]]:
    """Return keys of configuration, data and machine in which the runs differ, each with the value of every run."""
    values = [_conditions(one) for one in compared]
    every = dict.fromkeys(key for one in values for key in one)
    table = {key: [one.get(key) for one in values] for key in every if key not in EXPECTED}
    return {key: row for key, row in table.items() if any(value != row[0] for value in row)}


def headline(conditions: Mapping[str, Any]) -> str:
    """Return one sentence on whether the comparison is fair."""
    others = [key for key in conditions if not key.startswith("model.")]
    if not conditions:
        return "The runs differ in nothing but their seed and name."
    if not others:
        return "Equal conditions: the runs differ in their model only."
    told = ", ".join(others)
    return f"Not only the models differ: {told}. A difference below may come from any of these."


def standing(compared: Sequence[ComparedRun]) -> dict[str, list[Cell]]:
    """Return how far each run is, and its bits per byte at the end and at equal tokens, seconds and FLOPs."""
    curves = [one.curve for one in compared]
    found: dict[str, list[Cell]] = {
        "parameters": [sizes.parameters(one.config.model) if one.config else None for one in compared],
        "steps made": [_progress(curve) for curve in curves],
        "tokens read": [curve.tokens[-1] if curve and curve.tokens else None for curve in curves],
        "seconds of training": [round(curve.seconds[-1]) if curve and curve.seconds else None for curve in curves],
        "FLOPs of training": [f"{curve.flops[-1]:.2e}" if curve and curve.flops else None for curve in curves],
        "bits per byte, best": [min(curve.bits_per_byte, default=None) if curve else None for curve in curves],
        "bits per byte, last": [curve.bits_per_byte[-1] if curve and curve.steps else None for curve in curves],
    }
    for axis in ("tokens", "seconds", "flops"):
        ends = [getattr(curve, axis)[-1] for curve in curves if curve and curve.steps]
        place = min(ends, default=0)
        if len(ends) > 1:
            amount = f"{place:.2e} FLOPs" if axis == "flops" else f"{place:,.0f} {axis}"
            found[f"bits per byte at {amount}"] = [_value_at(curve, axis, place) for curve in curves]
    return found


def curves_of(found: RunComparison) -> list["Any"]:
    """Return lines for `symbolic.evaluate.report.charts`: bits per byte on four axes, and the training loss."""
    from symbolic.evaluate.report.charts import Curve

    drawn = [one for one in found.compared if one.curve]
    inks = dict(zip((one.name for one in drawn), _inks(drawn), strict=True))
    lines = [
        Curve(one.name, inks[one.name], getattr(one.curve, axis), one.curve.bits_per_byte, label, VALIDATION)
        for axis, label in AXIS_LABELS.items()
        for one in drawn
        if one.curve
    ]
    for one in drawn:
        if one.curve and one.curve.training:
            steps, losses = zip(*one.curve.training, strict=True)
            lines.append(Curve(one.name, inks[one.name], steps, losses, AXIS_LABELS["steps"], LOSS))
    return lines


def write_page(found: RunComparison, path: Path) -> None:
    """Write one self-contained page: conditions, curves, measures, and the tunes side by side, to be heard."""
    from symbolic.evaluate.report import page, tune_cards

    inks = dict(zip((one.name for one in found.compared), _inks(found.compared), strict=True))
    sets = {
        name: tune_cards.tune_cards(one.tunes[:SHOWN], one.rows[:SHOWN], found.reference, model=name, family=inks[name])
        for name, one in found.written.items()
        if found.reference is not None
    }
    told = [f"{found.headline} {' '.join(found.remarks)}".strip()]
    if sets:
        told.append(
            f"Each run wrote {found.settings['tunes']} tunes from seed {found.settings['seed']} at the default "
            f"sampling; the first {SHOWN} stand side by side, by their number and not chosen."
        )
    n_first = 1 if found.conditions else 0
    page.write_report(
        path,
        title=" and ".join(one.name for one in found.compared),
        intro="\n\n".join(told),
        curves=curves_of(found),
        conditions=found.tables[:n_first],
        tables=found.tables[n_first:],
        tunes=[card for row in zip(*sets.values(), strict=True) for card in row],
        n_abreast=max(1, len(sets)),
        provenance={"runs": ", ".join(str(one.folder) for one in found.compared), **found.settings},
    )


def as_json(found: RunComparison) -> dict[str, Any]:
    """Return what was found, for programs."""
    return {
        "runs": [_run_json(one) for one in found.compared],
        "headline": found.headline,
        "conditions": found.conditions,
        "measures": found.columns,
        "remarks": found.remarks,
        **found.settings,
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(target: str | Path) -> ComparedRun:
    """Return the run of that name or folder; else the model."""
    for folder in (Path(target), runs.run_folder(str(target))):
        is_ready = str(target) in [path.name for path in runs.ready_made()]
        if not is_ready and runs.config_file(folder).is_file():
            curve = learning_curve.read(folder)
            return ComparedRun(curve.config.name, folder, curve.config, curve.record, curve)
    folder = runs.resolve(target)
    path = folder / checkpoint.RECORD
    record = files.read_json(path) if path.is_file() else {}
    return ComparedRun(folder.name, folder, _recorded_config(record), record)


def _recorded_config(record: Mapping[str, Any]) -> Config | None:
    """Return the configuration in a checkpoint's record, keys that it does not know at their defaults."""
    try:
        return configuration.parse(strict_yaml.dump(record["config"]))
    except (KeyError, UsageError):
        return None


def _named(compared: list[ComparedRun]) -> list[ComparedRun]:
    """Return the runs under names that differ: where two are alike, their folders."""
    names = [one.name for one in compared]
    found = [ComparedRun(str(one.folder) if names.count(one.name) > 1 else one.name, *_fields(one)) for one in compared]
    if len({one.name for one in found}) < len(found):
        raise UsageError("a run is named twice: name each once.")
    return found


def _fields(one: ComparedRun) -> tuple[Path, Config | None, dict[str, Any], RunCurve | None]:
    return one.folder, one.config, one.record, one.curve


def _conditions(one: ComparedRun) -> dict[str, Any]:
    """Return what a run was made with, by key."""
    card, record = one.record.get("machine", {}), one.record
    terms = [str(term.get("name", term)) if isinstance(term, dict) else str(term) for term in record.get("terms", [])]
    return {
        **(configuration.leaves(one.config) if one.config else {}),
        "collections": ", ".join(terms),
        "tokenizer": str(record.get("tokenizer_digest", ""))[:12],
        "begun with": str(record.get("start", {}).get("model", "")),
        **{key: record[key] for key in ("device", "dtype") if key in record and one.curve},
        **{f"machine {key}": card.get(key) for key in MACHINE if card},
    }


def _data_folder(compared: Sequence[ComparedRun]) -> Path | None:
    """Return the data folder of the first run whose tunes are here."""
    folders = (Path(one.config.data.folder) for one in compared if one.config and one.writes_abc)
    return next((folder for folder in folders if (folder / "tunes" / "train.jsonl").is_file()), None)


def _progress(curve: RunCurve | None) -> str | None:
    if curve is None:
        return None
    n = curve.config.train.steps
    return f"{n:,}" if curve.finished else f"{curve.last_step:,} of {n:,}, in progress"


def _value_at(curve: RunCurve | None, axis: str, place: float) -> float | None:
    return learning_curve.at(getattr(curve, axis), curve.bits_per_byte, place) if curve else None


# --- tunes -----------------------------------------------------------------------------------------------------------


def _with_tunes(
    found: RunComparison,
    reference: TuneReference,
    n_tunes: int,
    seed: int,
    device: str,
    progress: comparison.Progress | None,
) -> RunComparison:
    """Let each run write, and measure what it wrote beside human tunes."""
    columns, written, remarks = {}, {}, list(found.remarks)
    for number, one in enumerate(found.compared):
        if progress:
            progress("runs that wrote", number, len(found.compared))
        try:
            tunes = _write(one, n_tunes, seed, device)
        except UserError as error:
            remarks.append(f"{one.name} wrote no tunes: {error}")
            continue
        measured = comparison.measure([tune.text for tune in tunes], reference)
        written[one.name] = WrittenSet(tunes, comparison.rows_of(measured, reference))
        columns[one.name] = _figures(measured, reference, seed) | _likelihood(one, reference, device)
    if columns:
        human = comparison.measure([tune.text for tune in reference.human.held_out], reference, progress)
        columns[comparison.HELD_OUT if reference.human.test else "human"] = _figures(human, reference, seed)
    settings = {**found.settings, "against": reference.human.name}
    return RunComparison(
        found.compared, found.headline, found.conditions, found.standing, columns, written, reference, remarks, settings
    )


def _write(one: ComparedRun, n_tunes: int, seed: int, device: str) -> list[SetTune]:
    from symbolic.decode.tune_writer import generate

    made = generate(_model(one), n_tunes, seed=seed, device=device)
    titles = {tune.number: f"Tune {tune.number}{f': {tune.title}' if tune.title else ''}" for tune in made.tunes}
    return [SetTune(str(tune.number), titles[tune.number], tune.text) for tune in made.tunes]


def _figures(measured: Measured, reference: TuneReference, seed: int) -> dict[str, dict[str, float]]:
    """Return value and interval of every measure of a set."""
    values = comparison.summary(measured, reference, seed)
    spread = comparison.interval_of(measured, reference, draws=DRAWS, seed=seed)
    spread.pop("n_tunes", None)
    numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
    return {
        key: {"value": value, **({"low": spread[key].low, "high": spread[key].high} if key in spread else {})}
        for key, value in numbers.items()
    }


def _likelihood(one: ComparedRun, reference: TuneReference, device: str) -> dict[str, dict[str, float]]:
    """Return bits per byte of held-out tunes, where there are some."""
    if not reference.human.test:
        return {}
    score = evaluation.scorer(_model(one), reference, device)
    texts = [tune.text for tune in reference.human.test[: evaluation.MAX_SCORED]]
    figure = score(texts)["bits_per_byte"]
    return {"bits_per_byte": {key: figure[key] for key in ("value", "low", "high")}}


def _model(one: ComparedRun) -> str:
    """Return what to load: a ready-made model by its name, a run or model by its folder."""
    return one.folder.name if one.folder in runs.ready_made() else str(one.folder)


# --- showing ---------------------------------------------------------------------------------------------------------


def _measures_table(columns: Mapping[str, Mapping[str, Mapping[str, float]]], n_tunes: int) -> Table:
    rows: list[list[Cell]] = [
        [one.label, *(_figure_text(column.get(one.key), one.kind) for column in columns.values())]
        for one in comparison.MEASURES
        if any(one.key in column for column in columns.values())
    ]
    note = (
        f"{n_tunes} tunes of each run. In brackets: where 95 % of halves of the set lie; of bits per byte of held-out "
        "tunes a bootstrap over the tunes. Measures that depend on the number of tunes have the brackets of half of "
        "them, and stand beside a human set of another size."
    )
    return Table("Tunes of the runs", ["measure", *columns], rows, note)


def _figure_text(figure: Mapping[str, float] | None, kind: Callable[[Any], Cell]) -> Cell:
    if figure is None:
        return None
    text = cell_text(kind(figure["value"]))
    if "low" not in figure:
        return text
    low, high = (cell_text(kind(figure[key])).removesuffix(" %") for key in ("low", "high"))
    return f"{text} ({low}–{high})"


def _text(value: Any) -> str:
    return "–" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)


def _inks(compared: Sequence[ComparedRun]) -> list[str]:
    from symbolic.evaluate.report import palette

    return palette.series([one.config.model.family if one.config else one.name for one in compared])


def _run_json(one: ComparedRun) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.name, "folder": str(one.folder)}
    if one.config:
        found |= {"family": one.config.model.family, "parameters": sizes.parameters(one.config.model)}
    if one.curve:
        curve = one.curve
        found |= {"finished": curve.finished, "step": curve.last_step, "bits_per_byte": curve.bits_per_byte}
        found |= {axis: getattr(curve, axis) for axis in learning_curve.AXES}
    return found
