"""How well are valence and arousal heard in scores, with whole game series apart, and on clips never trained on?

    python -m experiments.affect_hearing --data vgmidi:FOLDER emopia:FOLDER [--ship symbolic/affect/ready]
    python -m experiments.affect_hearing --data vgmidi:FOLDER emopia:FOLDER --bigru     # adds its rows to the result

VGMIDI: the level of a piece by each model beside the mean of the others and shuffled ratings; the arc inside a piece
beside position alone; both with series apart. EMOPIA: the quadrants of clips that the shipped models never saw (AUC).
The scorers of quadrants learn from one half of EMOPIA's songs each: one takes part in planning, the other measures; how
far their errors go together is told. --bigru measures a bidirectional GRU over the features of the bars instead,
trained on the arcs themselves with series apart, and by how much it is above the linear models, level and arc.
--ship writes the scorers of quadrants with their cards.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import result_file
from experiments.affect_options import options_of, run_with
from experiments.affect_rows import printed, record_figure, record_level, record_values
from symbolic.affect import arc_measures, ridge
from symbolic.affect.hearing import quadrant_model, score_affect
from symbolic.affect.hearing.quadrant_model import QuadrantModel
from symbolic.affect.labels import rating_sets
from symbolic.affect.labels.rated_items import RatedSet
from symbolic.affect.learning import affect_cards, quadrant_training, score_training
from symbolic.affect.learning.score_training import HeardScore

Floats = NDArray[np.float64]
HIDDEN, EPOCHS, RATE = 32, 12, 8e-3
WINDOW, BATCH = 32, 32  # bars of a training window, windows of an update
FOLDS = 5  # of the network
SHUFFLES = 20
QUADRANT_NOTES = (
    "Learnt from EMOPIA's quadrants; VGMIDI's ratings give its outputs' mean and spread alone.",
    "It shares features with score-va and with the scorer of the other half, so they are no independent judges: "
    "experiments/results/affect_hearing.json says how far their errors go together.",
    "EMOPIA is CC BY-NC-SA 4.0: research use.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_hearing")
    parser.add_argument("--data", nargs=2, required=True, metavar="NAME:FOLDER", help="vgmidi and emopia")
    parser.add_argument("--bigru", action="store_true", help="the network alone, added to the result")
    parser.add_argument("--jobs", type=int, default=1, help="files heard at a time")
    parser.add_argument("--clips", type=int, default=1078, help="of EMOPIA (default all)")
    parser.add_argument("--ship", type=Path, metavar="FOLDER", help="write the scorers of quadrants and their cards")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Hear, learn with series apart, print, write."""
    (_, rated), (_, clips) = map(rating_sets.load, args.data)
    settings = {"pieces": len(rated.items), "clips": min(args.clips, len(clips.items))}
    recorder = result_file.Recorder("affect_hearing", settings=settings)
    if args.bigru:
        recorder.keep(args.output, lambda row: "BiGRU" in row["model"])
    scores = heard_in_parallel(rated, args.jobs)
    if args.bigru:
        network_rows(recorder, scores)
        recorder.write(args.output)
        return 0
    targets, groups = np.array([s.item.target for s in scores]), [s.item.group for s in scores]
    for name, predicted in levels(scores).items():
        print(printed(name, "VGMIDI level", record_level(recorder, name, "VGMIDI level", predicted, targets, groups)))
    chance(recorder, scores)
    arcs = {kind: score_training.deviations_out_of_fold(scores, kind) for kind in ("position", "features")}
    for name, arc_list in arcs.items():
        pair = record_figure(recorder, name, "VGMIDI within piece", "r", within_piece(arc_list, scores), groups)
        print(f"VGMIDI within piece: {name} r V {pair[0]:+.3f} A {pair[1]:+.3f}")
    gain = above(arcs["features"], arcs["position"], scores)
    pair = record_figure(recorder, "features less position", "VGMIDI within piece", "difference of r", gain, groups)
    print(f"VGMIDI within piece: features above position by r V {pair[0]:+.3f} A {pair[1]:+.3f}")
    coverage(recorder, scores)
    few = replace(clips, items=clips.items[:: max(1, len(clips.items) // args.clips)])
    heard = heard_in_parallel(few, args.jobs)
    untimed = score_affect.bundled().level(score_training.level_features(heard, "full"), "untimed")
    record_areas(recorder, "untimed", "EMOPIA, never seen", untimed, heard)
    quadrant_rows(recorder, scores, heard, quadrant_models(scores, heard, clips, args.ship))
    recorder.write(args.output)
    return 0


def quadrant_models(
    scores: Sequence[HeardScore], heard: Sequence[HeardScore], clips: RatedSet, ship: Path | None
) -> dict[str, QuadrantModel]:
    """The scorers of quadrants that ship, or new ones of the songs of each half, written with cards."""
    if ship is None:
        return {"planning": quadrant_model.planning(), "measuring": quadrant_model.bundled()}
    made = {}
    files = (quadrant_model.PLANNING_WEIGHTS.name, quadrant_model.WEIGHTS.name)
    for name, file, half in zip(("planning", "measuring"), files, quadrant_training.halves(heard)):
        source = affect_cards.source_record(replace(clips, items=tuple(clip.item for clip in half)))
        made[name] = quadrant_training.train(half, scores, {"sources": [source], "songs": f"{name} half"})
        quadrant_model.save(made[name], ship / file)
        areas = quadrant_training.areas_out_of_fold(half)
        together = quadrant_training.error_correlation(made[name], scores)
        rows = [
            {"measured on": "EMOPIA, songs apart (AUC)", **areas},
            {
                "measured on": "VGMIDI: errors with those of score-va (r)",
                "valence": together[0],
                "arousal": together[1],
            },
        ]
        path = (ship / file).with_suffix(".md")
        title = f"A scorer of scores from quadrants, for {name}"
        affect_cards.write_card(path, title, ship / file, [source], QUADRANT_NOTES, affect_cards.markdown_table(rows))
    return made


def quadrant_rows(
    recorder: result_file.Recorder,
    scores: Sequence[HeardScore],
    heard: Sequence[HeardScore],
    models: Mapping[str, QuadrantModel],
) -> None:
    """What plans and what measures, on songs and pieces that neither learnt from, and how far their errors agree."""
    targets, groups = np.array([s.item.target for s in scores]), [s.item.group for s in scores]
    features = score_training.level_features(scores, "full")
    first = score_training.level_out_of_fold(scores, "full")
    points = {name: model.points(features) for name, model in models.items()}
    points["both that plan"] = (first + points["planning"]) / 2
    for name, predicted in points.items():
        of = "VGMIDI level, series apart"
        print(printed(name, of, record_level(recorder, name, of, predicted, targets, groups)))
    for name, unseen in zip(("measuring", "planning"), quadrant_training.halves(heard)):
        predicted = models[name].points(score_training.level_features(unseen, "full"))
        record_areas(recorder, name, "EMOPIA, the other half of the songs", predicted, unseen)
    errors = {name: predicted - targets for name, predicted in points.items()} | {"score": first - targets}
    for one, other in (("score", "measuring"), ("planning", "measuring"), ("both that plan", "measuring")):
        pair = [arc_measures.correlation(errors[one][:, c], errors[other][:, c]) for c in range(2)]
        record_values(recorder, f"errors of {one} and {other}", "VGMIDI level", "r", pair)
        print(f"errors of {one} and {other} go together with r V {pair[0]:.2f} A {pair[1]:.2f}")


def record_areas(
    recorder: result_file.Recorder, model: str, of: str, predicted: Floats, clips: Sequence[HeardScore]
) -> None:
    """AUC of predictions (n, 2) against the quadrants of clips; .5 is chance."""
    signs = quadrant_training.signs(clips)

    def areas(rows: Any) -> list[float]:
        return [arc_measures.area_under_curve(predicted[rows, c], signs[rows, c] > 0) for c in range(2)]

    pair = record_figure(recorder, model, of, "AUC", areas, [clip.item.group for clip in clips])
    print(f"{of}: {model} AUC V {pair[0]:.3f} A {pair[1]:.3f} ({len(clips)} clips)")


def within_piece(arcs: Sequence[Floats], scores: Sequence[HeardScore]) -> Callable[[Any], tuple[float, float]]:
    """Mean r inside the pieces of some rows."""
    return lambda rows: arc_measures.within_song([arcs[i] for i in rows], [scores[i].ratings for i in rows])


def above(
    arcs: Sequence[Floats], others: Sequence[Floats], scores: Sequence[HeardScore]
) -> Callable[[Any], tuple[float, float]]:
    """By how much arcs follow the ratings inside pieces better than others do."""
    own, floor = within_piece(arcs, scores), within_piece(others, scores)

    def difference(rows: Any) -> tuple[float, float]:
        (valence, arousal), (low_v, low_a) = own(rows), floor(rows)
        return valence - low_v, arousal - low_a

    return difference


def heard_in_parallel(rated: RatedSet, jobs: int) -> list[HeardScore]:
    """The rated scores with their features, `jobs` at a time."""
    if jobs == 1:
        return score_training.heard_scores(rated)
    with ProcessPoolExecutor(jobs) as pool:
        parts = pool.map(score_training.heard_scores, [replace(rated, items=(item,)) for item in rated.items])
        return [one for part in parts for one in part]


def levels(scores: Sequence[HeardScore]) -> dict[str, Floats]:
    """(n, 2) levels with series apart: floors, then the models."""
    found = {
        "mean of the others": score_training.mean_out_of_fold(scores),
    }
    return found | {kind: score_training.level_out_of_fold(scores, kind) for kind in score_affect.LEVELS}


def chance(recorder: result_file.Recorder, scores: Sequence[HeardScore]) -> None:
    """r and MAE of models of shuffled ratings, SHUFFLES times: what the features give without anything learnt."""
    targets = np.array([s.item.target for s in scores])
    drawn = [score_training.level_out_of_fold(score_training.shuffled(scores, i), "full") for i in range(SHUFFLES)]
    rows = [arc_measures.agreement(predicted, targets) for predicted in drawn]
    for dimension in ("valence", "arousal"):
        for measure in ("r", "mae"):
            values = [row[dimension][measure] for row in rows]
            keys = {"model": "shuffled ratings", "of": "VGMIDI level", "dimension": dimension, "measure": measure}
            recorder.measured(values, "", **keys)
            print(f"shuffled ratings: {measure} of {dimension} {np.mean(values):+.3f} +- {np.std(values):.3f}")


def coverage(recorder: result_file.Recorder, scores: Sequence[HeardScore]) -> None:
    """Share of left-out ratings inside the 90 % intervals of the other series."""
    targets = np.array([s.item.target for s in scores])
    residuals = np.abs(score_training.level_out_of_fold(scores, "full") - targets)
    inside = np.zeros_like(residuals)
    for train_rows, test_rows in ridge.folds([s.item.group for s in scores], 10):
        inside[test_rows] = residuals[test_rows] <= ridge.conformal(residuals[train_rows])
    pair = inside.mean(axis=0)
    record_values(recorder, "90 % intervals", "VGMIDI level", "share inside", pair)
    print(f"inside the 90 % intervals: V {pair[0]:.3f} A {pair[1]:.3f}")


def network_rows(recorder: result_file.Recorder, scores: Sequence[HeardScore]) -> None:
    """The network's level and arcs, and what they gain on the linear models of the same folds."""
    targets, groups = np.array([s.item.target for s in scores]), [s.item.group for s in scores]
    arcs = network_arcs(scores)
    level = np.array([arc.mean(axis=0) for arc in arcs])
    print(printed("BiGRU", "VGMIDI level", record_level(recorder, "BiGRU", "VGMIDI level", level, targets, groups)))
    linear = score_training.level_out_of_fold(scores, "full")

    def level_gain(rows: Any) -> list[float]:
        pairs = [(targets[rows, c], level[rows, c], linear[rows, c]) for c in range(2)]
        return [arc_measures.correlation(t, own) - arc_measures.correlation(t, other) for t, own, other in pairs]

    gains = {
        ("BiGRU", "VGMIDI within piece", "r"): within_piece(arcs, scores),
        ("BiGRU less features", "VGMIDI within piece", "difference of r"): above(
            arcs, score_training.deviations_out_of_fold(scores, "features"), scores
        ),
        ("BiGRU less full", "VGMIDI level", "difference of r"): level_gain,
    }
    for (model, of, measure), figure in gains.items():
        pair = record_figure(recorder, model, of, measure, figure, groups)
        print(f"{of}: {model} {measure} V {pair[0]:+.3f} A {pair[1]:+.3f}")


def network_arcs(scores: Sequence[HeardScore]) -> list[Floats]:
    """(bars, 2) of each piece by a bidirectional GRU that heard no piece of its series."""
    import torch

    torch.set_num_threads(1)
    found: list[Floats] = [np.zeros((0, 2))] * len(scores)
    for train_rows, test_rows in ridge.folds([s.item.group for s in scores], FOLDS):
        rows = np.vstack([scores[i].bars for i in train_rows])
        mean, sd = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        model = _trained([scores[i] for i in train_rows], mean, sd, torch)
        for i in test_rows:
            with torch.inference_mode():
                found[i] = model(torch.tensor((scores[i].bars - mean) / sd, dtype=torch.float32)).double().numpy()
    return found


def _trained(scores: Sequence[HeardScore], mean: Floats, sd: Floats, torch: Any) -> Any:
    """A network of 2 x HIDDEN units after EPOCHS passes over windows of WINDOW bars, BATCH windows an update; a bar
    counts less in a longer piece."""

    class BarNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(len(mean), HIDDEN, bidirectional=True, batch_first=True)
            self.drop, self.out = torch.nn.Dropout(0.3), torch.nn.Linear(2 * HIDDEN, 2)

        def forward(self, bars: Any) -> Any:  # (..., bars, features) -> (..., bars, 2)
            return self.out(self.drop(self.gru(bars)[0]))

    torch.manual_seed(0)
    model = BarNetwork()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    bars, ratings, weights = (torch.tensor(part, dtype=torch.float32) for part in _windows(scores, mean, sd))
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(bars), generator=generator).split(BATCH):
            loss = (weights[rows, :, None] * (model(bars[rows]) - ratings[rows]) ** 2).sum() / weights[rows].sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def _windows(scores: Sequence[HeardScore], mean: Floats, sd: Floats) -> tuple[Floats, Floats, Floats]:
    """Features (n, WINDOW, 17), ratings (n, WINDOW, 2) and weights (n, WINDOW) of the pieces; padding weighs 0."""
    starts = [(score, start) for score in scores for start in range(0, len(score.bars), WINDOW)]
    bars, ratings = np.zeros((len(starts), WINDOW, len(mean))), np.zeros((len(starts), WINDOW, 2))
    weights = np.zeros((len(starts), WINDOW))
    for row, (score, start) in enumerate(starts):
        own = (score.bars[start : start + WINDOW] - mean) / sd
        bars[row, : len(own)], ratings[row, : len(own)] = own, score.ratings[start : start + WINDOW]
        weights[row, : len(own)] = 1 / len(score.bars)
    return bars, ratings, weights


if __name__ == "__main__":
    sys.exit(main())
