"""`affect train` and `affect evaluate`: models of scores and texts from rated sets, each figure beside its floors."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic import files
from symbolic.affect import arc_measures
from symbolic.affect.hearing import score_affect
from symbolic.affect.labels import rating_sets
from symbolic.affect.labels.rated_items import RatedSet
from symbolic.affect.learning import affect_cards, score_training, text_training
from symbolic.affect.reading import text_affect
from symbolic.errors import UsageError, UserError
from symbolic.progress import Console

if TYPE_CHECKING:
    from symbolic.affect.labels.word_ratings import WordNorms

Row = dict[str, Any]
_SCORE_NOTES = (
    "The rated pieces are piano arrangements of game music; music unlike them is judged with a note that says so.",
    "Features and penalty were looked at on the folds reported: optimistic by a little.",
    "A predicted arc is flatter than a rated one: compare shapes (r) or matched values, never amplitudes.",
    "Research use: VGMIDI states no licence. `affect train --data` replaces these weights by your own.",
)
_TEXT_NOTES = (
    "English sentences of news, blogs, fiction, letters and travel guides; other languages are refused.",
    "Predictions have a third of the spread of ratings. Negation is marked, irony is not understood.",
    "Weights carry EmoBank's licence, CC BY-SA 4.0: Buechel and Hahn 2017, JULIELab/EmoBank.",
)


def train(data: Sequence[str], output: Path, norms: Path | None, with_encoder: bool, with_norms: bool) -> list[Path]:
    """Train a model for each kind of data and write weights with cards into a folder; the paths of the weights."""
    files.check_writable(output / "score-va.safetensors")
    written = []
    for kind, rated in _of_kinds(data):
        if kind == "text":
            written.append(_train_text(rated, output, norms, with_encoder, with_norms))
        elif any(item.arc is not None for item in rated.items):
            written.append(_train_scores(rated, output))
        else:
            raise UserError(f"{rated.name} has no ratings bar by bar to train on: use it with `affect evaluate`.")
    return written


def evaluate(data: Sequence[str], folder: Path | None) -> list[Row]:
    """Rows of figures: the model as it ships (or of a folder) on each set, with the mean predictor beside it."""
    rows: list[Row] = []
    for kind, rated in _of_kinds(data):
        if kind == "text":
            rows += _text_rows(
                rated, text_affect.load(folder / "text-va.safetensors") if folder else text_affect.bundled()
            )
        else:
            model = score_affect.load(folder / "score-va.safetensors") if folder else score_affect.bundled()
            rows += _score_rows(rated, model)
    return rows


def grouped_rows(scores: Sequence[score_training.HeardScore]) -> list[Row]:
    """Level and arc of rated scores with whole groups apart, beside the mean predictor and position alone."""
    targets = np.array([score.item.target for score in scores])
    rows = [_row("mean of the others", "level", score_training.mean_out_of_fold(scores), targets)]
    for kind in score_affect.LEVELS:
        rows.append(_row(kind, "level", score_training.level_out_of_fold(scores, kind), targets))
    rated = [score.ratings for score in scores]
    for inputs in ("position", "features"):
        valence, arousal = arc_measures.within_song(score_training.deviations_out_of_fold(scores, inputs), rated)
        rows.append({"model": inputs, "of": "within piece", "r V": valence, "r A": arousal, "MAE V": "", "MAE A": ""})
    return rows


def _row(model: str, of: str, predicted: Any, targets: Any) -> Row:
    found = arc_measures.agreement(predicted, targets)
    valence, arousal = found["valence"], found["arousal"]
    return {
        "model": model, "of": of, "r V": valence["r"], "r A": arousal["r"],
        "MAE V": valence["mae"], "MAE A": arousal["mae"],
    }  # fmt: skip


def _of_kinds(data: Sequence[str]) -> list[tuple[str, RatedSet]]:
    loaded = [rating_sets.load(named) for named in data]
    for kind, rated in loaded:
        if kind == "sound":
            raise UsageError(f"{rated.name} rates recordings: use `python -m audio_bridge affect train|evaluate`.")
        for remark in rated.remarks[:8]:
            print(f"{rated.name}: {remark}", file=sys.stderr)
    return loaded


def _train_scores(rated: RatedSet, output: Path) -> Path:
    scores = score_training.heard_scores(rated, _progress())
    record: dict[str, Any] = {
        "sources": [affect_cards.source_record(rated)],
        "groups": sorted({s.item.group for s in scores}),
    }
    path = output / "score-va.safetensors"
    score_affect.save(score_training.train(scores, record), path)
    rows = grouped_rows(scores)
    table = affect_cards.markdown_table(rows)
    card = output / "score-va.md"
    affect_cards.write_card(card, "Valence and arousal of scores", path, record["sources"], _SCORE_NOTES, table)
    return path


def _train_text(rated: RatedSet, output: Path, norms_path: Path | None, with_encoder: bool, with_norms: bool) -> Path:
    from symbolic.affect.labels import word_ratings

    norms = word_ratings.norms(norms_path) if with_norms or norms_path else None
    embedded = _embedded(rated) if with_encoder else None
    record: dict[str, Any] = {"sources": [affect_cards.source_record(rated)], "norms": norms.name if norms else ""}
    path = output / "text-va.safetensors"
    text_affect.save(text_training.train(rated, norms, embedded, record), path)
    rows = _text_rows(rated, text_affect.load(path), norms, embedded)
    table = affect_cards.markdown_table(rows)
    affect_cards.write_card(
        output / "text-va.md", "Valence and arousal of sentences", path, record["sources"], _TEXT_NOTES, table
    )
    return path


def _text_rows(
    rated: RatedSet, model: text_affect.TextModel, norms: "WordNorms | None" = None, embedded: Any = None
) -> list[Row]:
    test = [i for i, item in enumerate(rated.items) if item.split == "test"] or list(range(len(rated.items)))
    learnt = [i for i, item in enumerate(rated.items) if item.split == "train"] or test
    items = [rated.items[i] for i in test]
    texts, targets = [item.text for item in items], np.array([item.target for item in items])
    mean = np.repeat(rated.targets[learnt].mean(axis=0, keepdims=True), len(items), axis=0)
    predictions = {"mean of train": mean, "ngrams": model.predict(texts)}
    if norms is not None and "norms" in model.readers:
        predictions["norms"] = model.predict(texts, "norms", norms)
    if embedded is not None and model.encoder is not None:
        best = predictions.get("norms", predictions["ngrams"])
        predictions["encoder"] = (best + model.encoder.predict(embedded[test])) / 2
    rows = [_row(name, f"{len(items):,} sentences", predicted, targets) for name, predicted in predictions.items()]
    return [row | {"mean MAE": (row["MAE V"] + row["MAE A"]) / 2} for row in rows]


def _score_rows(rated: RatedSet, model: score_affect.ScoreModel) -> list[Row]:
    scores = score_training.heard_scores(rated, _progress())
    if all(score.item.quadrant for score in scores):
        kinds = ["untimed"] * len(scores)
        found = score_training.transfer(model, scores, kinds)
        return [
            {"model": "untimed", "of": f"{len(scores)} clips", "AUC V": found["valence"], "AUC A": found["arousal"]}
        ]
    targets = np.array([score.item.target for score in scores])
    level = np.vstack([model.level(score.features, "full") for score in scores])
    mean = np.repeat(targets.mean(axis=0, keepdims=True), len(scores), axis=0)
    rows = [_row("mean of this set", "level", mean, targets), _row("full", "level", level, targets)]
    arcs = [model.deviation.predict(score_training.deviation_inputs(score)) for score in scores]
    valence, arousal = arc_measures.within_song(arcs, [score.ratings for score in scores])
    return [*rows, {"model": "full", "of": "within piece", "r V": valence, "r A": arousal, "MAE V": "", "MAE A": ""}]


def _embedded(rated: RatedSet) -> Any:
    from symbolic.affect.reading.encoder import SentenceEncoder

    return SentenceEncoder().embed([item.text for item in rated.items], progress=_progress())


def _progress() -> Callable[[int, int], None]:
    """Return what hears of items done, and items in all, and shows them."""
    console = Console()

    def show(done: int, total: int) -> None:
        console.working(f"{done}/{total}")
        if done == total:
            console.close()

    return show
