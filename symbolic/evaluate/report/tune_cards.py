"""Tunes and their measures as cards of the report: badges, the nearest training tune, the learning curves of runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symbolic import config, files, runs
from symbolic.corpus.families import PHRASE_NOTES
from symbolic.evaluate.comparison import TuneReference
from symbolic.evaluate.report.charts import Curve
from symbolic.evaluate.report.page import Badge, TuneCard, sounds_text
from symbolic.evaluate.sets import SetTune
from symbolic.formats.midi import score_qpm
from symbolic.notation.abc_parser import NotationError, canonical, parse, performance, pretty
from symbolic.notation.validity import MIN_BARS

_SERIES = (
    ("train", "loss", "training loss (nats per token)"),
    ("validation", "bits_per_byte", "bits per byte of validation tunes"),
)


def tune_cards(
    tunes: Sequence[SetTune],
    rows: Sequence[Mapping[str, Any]],
    reference: TuneReference,
    *,
    model: str = "",
    family: str = "",
    audio: Mapping[int, tuple[bytes, str]] | None = None,
) -> list[TuneCard]:
    """Make one card a tune; `rows` is `evaluate_tunes(...)["tunes"]`, `audio` maps an index to sound and its type."""
    return [
        _card(number, tune, row, reference, model, family, (audio or {}).get(number))
        for number, (tune, row) in enumerate(zip(tunes, rows, strict=True))
    ]


def run_curves(folder: Path | str, name: str = "") -> list[Curve]:
    """Read training loss and validation bits per byte of a run directory from its metrics.jsonl."""
    folder = Path(folder)
    settings = config.load(runs.config_file(folder))
    rows = list(files.read_jsonl(runs.metrics_file(folder)))
    curves = []
    for kind, key, label in _SERIES:
        points = [(row["step"], row[key]) for row in rows if row.get("kind") == kind and row.get(key) is not None]
        if points:
            x, y = zip(*points)
            curves.append(Curve(name or settings.name, settings.model.family, x, y, "step", label))
    return curves


def _card(
    number: int,
    tune: SetTune,
    row: Mapping[str, Any],
    reference: TuneReference,
    model: str,
    family: str,
    audio: tuple[bytes, str] | None,
) -> TuneCard:
    sound, kind = audio or (None, "mp3")
    abc = _laid_out(tune, number + 1)
    notes = {**_badges(row), "Longest shared passage": _shared(row)}
    nearest = reference.human.train[row["source"]] if row["source"] is not None else None
    return TuneCard(
        tune.title,
        abc,
        sound,
        kind,
        notes,
        model,
        family,
        nearest=(nearest.title or nearest.id, _laid_out(nearest, 1)) if nearest else None,
        sounds="" if sound else _sounds(tune.text),
        nearest_sounds=_sounds(nearest.text) if nearest else "",
    )


def _badges(row: Mapping[str, Any]) -> dict[str, Badge]:
    if not row["parses"]:
        return {"notation": Badge(f"does not parse: {row['reason']}", False)}
    copied = row["longest_shared_notes"] >= PHRASE_NOTES
    badges = {
        "metre": _metre_badge(row),
        "copying": Badge(f"{100 * row['share_covered']:.0f} % copied" if copied else "no copied phrase", not copied),
    }
    if row["repeats"] is not None:
        badges["repeat"] = Badge(f"repeats tune {row['repeats'] + 1}", False)
    return badges


def _metre_badge(row: Mapping[str, Any]) -> Badge:
    if row["reason"] in ("", "no_inner_bars") and row["n_bars"] < MIN_BARS:
        return Badge("too few bars to judge")
    if row["reason"]:
        return Badge("bars not checked: " + row["reason"], False)
    return Badge(f"{row['n_full']} of {row['n_bars']} bars fit", row["is_right"])


def _shared(row: Mapping[str, Any]) -> str:
    if not row["longest_shared_notes"]:
        return ""
    return f"{row['longest_shared_notes']} notes, with {row['source_title'] or 'untitled'} ({row['source_id']})"


def _laid_out(tune: SetTune, number: int) -> str:
    """Lay out ABC for people; text that does not parse stays as it is."""
    try:
        return pretty(canonical(parse(tune.text)), number=number, title=tune.title)
    except NotationError:
        return tune.text


def _sounds(text: str) -> str:
    """Return what the page plays of a tune, repeats included; '' where there is nothing to play."""
    try:
        score = parse(text)
        return sounds_text(performance(score), score_qpm(score))
    except NotationError:
        return ""
