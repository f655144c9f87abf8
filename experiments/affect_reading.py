"""How well are valence and arousal of sentences read, beside the mean, shuffled ratings and a second reader?

    python -m experiments.affect_reading --data emobank:FOLDER [--ship symbolic/affect/ready]

EmoBank's official test split; of the readers that need a package the rows of the result before stay where it is absent.
The second reader learns from the dev and test splits, which the first never saw, with 2 x 2**12 columns: it measures
what the first one chose. How far their errors go together is measured on a half of the test split that neither learnt
from.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import result_file
from experiments.affect_options import options_of, run_with
from experiments.affect_rows import printed, record_level, record_values
from symbolic.affect import arc_measures
from symbolic.affect.labels import rating_sets, word_ratings
from symbolic.affect.labels.rated_items import RatedItem
from symbolic.affect.learning import affect_cards, text_training
from symbolic.affect.reading import encoder, text_affect
from symbolic.affect.reading.text_affect import TextModel

BITS = 12
NOTES = (
    "It measures texts that the first reader chose, and learnt from other sentences of the same corpus than that one.",
    "It is weaker than the first; how far their errors go together is in experiments/results/affect_reading.json.",
    "Weights carry EmoBank's licence, CC BY-SA 4.0: Buechel and Hahn 2017, JULIELab/EmoBank.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_reading")
    parser.add_argument("--data", required=True, metavar="emobank:FOLDER")
    parser.add_argument("--ship", type=Path, metavar="FOLDER", help="write the second reader and its card")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Read, measure, print, write."""
    _, rated = rating_sets.load(args.data)
    recorder = result_file.Recorder("affect_reading", settings={"data": rated.name, "items": len(rated.items)})
    is_there = {"norms": bool(word_ratings.installed()), "encoder": encoder.installed() is not None}
    recorder.keep(args.output, lambda row: is_there.get(row["model"], True) or "not_run" in row)
    learnt, dev, test = ([i for i in rated.items if i.split == name] for name in ("train", "dev", "test"))
    targets, groups = _targets(test), [item.id for item in test]
    second_half = train_second([*dev, *test[: len(test) // 2]])
    predictions = test_predictions(learnt, test, recorder)
    predictions["second reader, half of test"] = second_half.predict([i.text for i in test[len(test) // 2 :]])
    table = []
    for name, predicted in predictions.items():
        rows = slice(len(test) - len(predicted), None)
        found = record_level(recorder, name, "EmoBank test", predicted, targets[rows], groups[rows])
        found["mean MAE"] = (found["mae V"] + found["mae A"]) / 2
        table.append({"model": name, **found})
        print(printed(name, "EmoBank test", found))
    errors = [
        predictions[name][-len(test) // 2 :] - targets[len(test) // 2 :] for name in ("ngrams", list(predictions)[-1])
    ]
    pair = [arc_measures.correlation(errors[0][:, column], errors[1][:, column]) for column in range(2)]
    record_values(recorder, "errors of both readers", "EmoBank test", "r", pair)
    print(f"errors of both readers go together with r V {pair[0]:.2f} A {pair[1]:.2f}")
    recorder.write(args.output)
    if args.ship:
        source = affect_cards.source_record(replace(rated, items=(*dev, *test)))
        path = args.ship / "text-second.safetensors"
        text_affect.save(replace(train_second([*dev, *test]), record={"sources": [source]}), path)
        rows_ = affect_cards.markdown_table([table[0], table[-1]])
        title = "A second reader of sentences"
        affect_cards.write_card(args.ship / "text-second.md", title, path, [source], NOTES, rows_)
    return 0


def train_second(items: Sequence[RatedItem]) -> TextModel:
    """A small reader of its own sentences."""
    reader = text_training.train_reader(items, bits=BITS)
    return TextModel({"ngrams": reader}, None, text_affect.known_words([i.text for i in items], 1), {})


def test_predictions(
    learnt: Sequence[RatedItem], test: Sequence[RatedItem], recorder: result_file.Recorder
) -> dict[str, Any]:
    """(n, 2) of the test sentences by floors and by every reader that is there."""
    texts, model = [item.text for item in test], text_affect.bundled()
    order = np.random.default_rng(0).permutation(len(learnt))
    shuffled = [replace(item, target=learnt[i].target) for item, i in zip(learnt, order)]
    found: dict[str, Any] = {
        "mean of train": np.repeat(_targets(learnt).mean(axis=0, keepdims=True), len(test), axis=0),
        "shuffled ratings": text_training.train_reader(shuffled, bits=BITS).predict(texts),
        "ngrams": model.predict(texts),
    }
    norms = word_ratings.norms(None) if word_ratings.installed() else None
    if norms is not None and "norms" in model.readers:
        found["norms"] = model.predict(texts, "norms", norms)
    elif not result_file.select({"rows": recorder.rows}, model="norms"):
        recorder.not_run("no package with word norms is installed", model="norms", of="EmoBank test")
    if encoder.installed() is not None and model.encoder is not None:
        found["encoder"] = model.predict(texts, "encoder", norms, encoder.SentenceEncoder())
    elif not result_file.select({"rows": recorder.rows}, model="encoder"):
        recorder.not_run("no sentence encoder is installed", model="encoder", of="EmoBank test")
    return found


def _targets(items: Sequence[RatedItem]) -> np.ndarray:
    return np.array([item.target for item in items])


if __name__ == "__main__":
    sys.exit(main())
