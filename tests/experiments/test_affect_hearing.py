"""The experiment on hearing."""

from pathlib import Path

import numpy as np

from benchmarks import result_file
from experiments import affect_hearing
from symbolic.affect.labels import rating_sets
from symbolic.affect.learning import score_training
from tests.symbolic.affect.affect_files import write_vgmidi


def test_models_beat_their_floors_and_the_network_is_compared_with_them(tmp_path: Path) -> None:
    _, rated = rating_sets.load(f"vgmidi:{write_vgmidi(tmp_path, 18)}")
    scores = score_training.heard_scores(rated)
    targets = np.array([score.item.target for score in scores])
    errors = {name: np.abs(found - targets).mean() for name, found in affect_hearing.levels(scores).items()}
    assert errors["full"] < errors["mean of the others"]
    recorder = result_file.Recorder("x")
    affect_hearing.chance(recorder, scores)
    assert len(recorder.rows) == 4 and all(len(row["repeats"]) == affect_hearing.SHUFFLES for row in recorder.rows)
    arcs = affect_hearing.network_arcs(scores)
    assert [arc.shape for arc in arcs] == [score.ratings.shape for score in scores]
    affect_hearing.network_rows(recorder, scores)
    compared = {(row["model"], row["measure"]) for row in recorder.rows}
    assert compared >= {
        ("BiGRU", "mae"),
        ("BiGRU less features", "difference of r"),
        ("BiGRU less full", "difference of r"),
    }
