"""How much of an arc is left after music became a story, and that story music again? And is the right story found?

    python -m experiments.affect_round_trip --scores FOLDER [--told]

Each piece (.mid, .abc) of the folder is heard, told, and composed for again; stories and music are measured by scorers
that chose nothing. Beside r and CCC stand the constant, the reversed, the shuffled arc and those of the other pieces;
`all shuffles beaten` shuffles the sections of all pieces at once. `level` compares the pieces' means with one another;
`retrieval` is the rank of the right story among all for the arc of a piece, with the rank by chance. --told measures
the stories alone and keeps the result's rows of the music that was composed for earlier ones.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import result_file
from experiments.affect_options import add_melodies, melodies, melody_settings, options_of, run_with
from experiments.affect_rows import record_figure, record_values
from symbolic.affect import arc_measures, round_trip
from symbolic.affect.round_trip import StepArc
from symbolic.affect.story import story_choice, story_plan
from symbolic.affect.story_verb import music_of
from symbolic.errors import UserError

Pair = tuple[StepArc, StepArc]  # a piece's arc, and that of the story or music it became
LEGS = {"half way": "right story", "and back": "right music"}
SUFFIXES = (".mid", ".midi", ".abc")
MEASURES = ("r", "r V", "r A", "ccc", "mae", "constant", "reversed", "other arcs", "shuffles beaten")
DRAWS = 1000
SHUFFLES = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = options_of(__doc__, "affect_round_trip")
    parser.add_argument("--scores", type=Path, required=True, metavar="FOLDER", help="pieces to begin with")
    add_melodies(parser, 4)
    parser.add_argument("--jobs", type=int, default=1, help="pieces at a time")
    parser.add_argument("--pieces", type=int, default=20, help="evenly over the folder (default 20)")
    parser.add_argument("--told", action="store_true", help="stories alone; the other rows of the result are kept")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Every piece there and back, print, write."""
    paths = sorted(path for path in args.scores.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < args.pieces:
        raise UserError(f"{args.scores} holds {len(paths)} pieces, fewer than --pieces {args.pieces}.")
    paths = [paths[i * len(paths) // args.pieces] for i in range(args.pieces)]
    recorder = result_file.Recorder("affect_round_trip", settings={"pieces": len(paths), **melody_settings(args)})
    legs = dict(list(LEGS.items())[:1] if args.told else LEGS.items())
    if args.told:
        names = {*legs, *legs.values()}
        recorder.keep(args.output, lambda row: row.get("leg", row.get("of")) in names)
    tunes = [] if args.told else [line.text for line in melodies(args)]
    with ProcessPoolExecutor(args.jobs) as pool:
        trips = list(pool.map(told if args.told else there_and_back, paths, range(len(paths)), repeat(tunes)))
    for leg, (name, right) in enumerate(legs.items()):
        record_leg(recorder, name, [trip[leg] for trip in trips])
        record_ranks(recorder, right, [trip[leg] for trip in trips])
    recorder.write(args.output)
    return 0


def record_leg(recorder: result_file.Recorder, name: str, pairs: Sequence[Pair]) -> None:
    """What is left of the arcs after one leg, and what must do worse."""
    rows = [round_trip.compared(name, *pair) for pair in pairs]
    for measure in MEASURES:
        values = [float(row[measure]) for row in rows if row[measure] is not None]
        if not values:
            recorder.not_run("no arc moves", leg=name, measure=measure)
            continue
        low, high = interval(values)
        recorder.measured(
            [round(value, 4) for value in values], "", low=low, high=high, leg=name, measure=measure, n=len(values)
        )
        print(f"{name:10} {measure:16} {np.mean(values):+.3f} [{low:+.3f}, {high:+.3f}]")
    own, beaten = shuffles_beaten(pairs)
    recorder.measured([round(beaten, 4)], "", leg=name, measure="all shuffles beaten", n=SHUFFLES)
    print(f"{name:10} {'all shuffles':16} {beaten:.3f} (mean r of the sections {own:+.3f})")
    record_levels(recorder, pairs, name)


def record_ranks(recorder: result_file.Recorder, name: str, pairs: Sequence[Pair]) -> None:
    """How often the right one is found among all by its arc."""
    for measure, values in retrieval(pairs).items():
        low, high = interval(values)
        recorder.measured(values, "", low=low, high=high, leg=name, measure=measure, n=len(values))
        print(f"{name:10} {measure:16} {np.mean(values):.3f} [{low:.3f}, {high:.3f}]")


def told(path: Path, seed: int, tunes: Sequence[str]) -> list[Pair]:
    """The arc of one piece beside that of its story."""
    story = story_choice.write_story(story_plan.plan_of(music_of(path)[0]), seed)
    return [(round_trip.heard_arc(story), round_trip.measured_text(story))]


def there_and_back(path: Path, seed: int, tunes: Sequence[str]) -> list[Pair]:
    """The arc of one piece beside that of its story, and beside that of the music composed for the story."""
    found = round_trip.of_music(music_of(path)[0], seed, tunes=tunes, n=len(tunes))
    print(path.stem, file=sys.stderr, flush=True)
    return [(found.first, found.half_way), (found.first, found.last)]


def shuffles_beaten(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Mean r of the sections over the pieces, and the share of SHUFFLES below it in which the sections of every piece
    are shuffled."""
    generator = np.random.default_rng(0)
    points = [(first.points, round_trip.at_sections(first, other)) for first, other in pairs]
    own = float(np.mean([arc_measures.arc_agreement(x, y)["r"] for x, y in points]))
    shuffled = [
        np.mean([arc_measures.arc_agreement(x[generator.permutation(len(x))], y)["r"] for x, y in points])
        for _ in range(SHUFFLES)
    ]
    return own, float(np.mean(np.array(shuffled) < own))


def record_levels(recorder: result_file.Recorder, pairs: Sequence[Pair], name: str) -> None:
    """r over the pieces between the means of the first arc and of the other, with pieces dealt out at random beside."""
    first, other = (np.array([pair[place].sampled().mean(axis=0) for pair in pairs]) for place in (0, 1))
    pieces = [str(i) for i in range(len(pairs))]

    def agreement(rows: Any) -> list[float]:
        return [arc_measures.correlation(first[rows, c], other[rows, c]) for c in range(2)]

    pair = record_figure(recorder, "level", name, "r", agreement, pieces)
    order = np.random.default_rng(0).permutation(len(pairs))
    chance = [arc_measures.correlation(first[:, c], other[order, c]) for c in range(2)]
    record_values(recorder, "level, pieces dealt out", name, "r", chance)
    print(f"{name:10} level            r V {pair[0]:+.3f} A {pair[1]:+.3f}")
    print(f"{name:10} level, dealt out r V {chance[0]:+.3f} A {chance[1]:+.3f}")


def retrieval(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """Of each piece's arc: whether its own text or music is first, in the first five; reciprocal rank. Arcs are
    compared by shape and level. `chance` is the same with the candidates dealt out at random."""
    queries, candidates = ([pair[place].sampled() for pair in pairs] for place in (0, 1))
    order = np.random.default_rng(0).permutation(len(pairs))
    found: dict[str, list[float]] = {}
    for name, places in (("", range(len(pairs))), ("chance ", order)):
        ranks = [arc_measures.retrieval_rank(query, candidates, int(place)) for query, place in zip(queries, places)]
        found |= {
            f"{name}R@1": [float(rank == 1) for rank in ranks],
            f"{name}R@5": [float(rank <= 5) for rank in ranks],
            f"{name}MRR": [1 / rank for rank in ranks],
        }
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a mean, by bootstrap over pieces."""
    array = np.asarray(values)
    draws = np.random.default_rng(0).integers(len(array), size=(DRAWS, len(array)))
    low, high = np.percentile(array[draws].mean(axis=1), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


if __name__ == "__main__":
    sys.exit(main())
