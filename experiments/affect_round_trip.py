"""How much of an arc is left after music became a story, and that story music again? And is the right story found?

    python -m experiments.affect_round_trip --scores FOLDER

Each piece (.mid, .abc) of the folder is heard, told, and composed for again; stories and music are measured by scorers
that chose nothing. Beside r and CCC stand the constant, the reversed, the shuffled arc and those of the other pieces;
`retrieval` is the rank of the right story among all for the arc of a piece, with the rank by chance.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np

from benchmarks import result_file
from experiments.affect_options import add_melodies, melodies, melody_settings, options_of, run_with
from symbolic.affect import arc_measures, round_trip
from symbolic.affect.round_trip import RoundTrip
from symbolic.affect.story_verb import music_of
from symbolic.errors import UserError

SUFFIXES = (".mid", ".midi", ".abc")
MEASURES = ("r", "ccc", "mae", "constant", "reversed", "other arcs", "shuffles beaten")
DRAWS = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options_of(__doc__, "affect_round_trip")
    parser.add_argument("--scores", type=Path, required=True, metavar="FOLDER", help="pieces to begin with")
    add_melodies(parser, 4)
    parser.add_argument("--jobs", type=int, default=1, help="pieces at a time")
    parser.add_argument("--pieces", type=int, default=20, help="evenly over the folder (default 20)")
    return run_with(run, parser, arguments)


def run(args: argparse.Namespace) -> int:
    """Every piece there and back, print, write."""
    paths = sorted(path for path in args.scores.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < args.pieces:
        raise UserError(f"{args.scores} holds {len(paths)} pieces, fewer than --pieces {args.pieces}.")
    paths = [paths[i * len(paths) // args.pieces] for i in range(args.pieces)]
    recorder = result_file.Recorder("affect_round_trip", settings={"pieces": len(paths), **melody_settings(args)})
    tunes = [line.text for line in melodies(args)]
    with ProcessPoolExecutor(args.jobs) as pool:
        trips = list(pool.map(there_and_back, paths, range(len(paths)), repeat(tunes)))
    for leg in (0, 1):
        rows = [trip.table()[leg] for trip in trips]
        for measure in MEASURES:
            values = [float(row[measure]) for row in rows]
            low, high = interval(values)
            keys = {"leg": rows[0]["leg"], "measure": measure, "n": len(values)}
            recorder.measured([round(value, 4) for value in values], "", low=low, high=high, **keys)
            print(f"{rows[0]['leg']:10} {measure:16} {np.mean(values):+.3f} [{low:+.3f}, {high:+.3f}]")
    for leg, name in ((0, "right story"), (1, "right music")):
        ranks = retrieval(trips, leg)
        for measure, values in ranks.items():
            low, high = interval(values)
            recorder.measured(values, "", low=low, high=high, leg=name, measure=measure, n=len(values))
            print(f"{name:10} {measure:16} {np.mean(values):.3f} [{low:.3f}, {high:.3f}]")
    recorder.write(args.output)
    return 0


def there_and_back(path: Path, seed: int, tunes: Sequence[str]) -> RoundTrip:
    """The round trip of one piece."""
    found = round_trip.of_music(music_of(path)[0], seed, tunes=tunes, n=len(tunes))
    print(path.stem, file=sys.stderr, flush=True)
    return found


def retrieval(trips: Sequence[RoundTrip], leg: int) -> dict[str, list[float]]:
    """Of each piece's arc: whether its own text (leg 0) or music (leg 1) is first, in the first five; reciprocal rank.
    Arcs are compared by shape and level. `chance` is the same with the candidates dealt out at random."""
    queries = [trip.first.sampled() for trip in trips]
    candidates = [(trip.half_way if leg == 0 else trip.last).sampled() for trip in trips]
    order = np.random.default_rng(0).permutation(len(trips))
    found: dict[str, list[float]] = {}
    for name, places in (("", range(len(trips))), ("chance ", order)):
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
