"""Features of a score: what they mean, and what they must not change with."""

import numpy as np
import pytest

from symbolic.affect.hearing.note_table import of_abc
from symbolic.affect.hearing.score_features import NAMES, bar_features, columns, piece_features
from tests.symbolic.affect.affect_files import HAPPY, SAD


def _feature(text: str, name: str) -> float:
    return float(piece_features(of_abc(text))[NAMES.index(name)])


def test_mode_is_heard() -> None:
    assert _feature(HAPPY, "major") > _feature(HAPPY, "minor")
    assert _feature(SAD, "minor") > _feature(SAD, "major")


def test_transposition_changes_register_alone() -> None:
    one = piece_features(of_abc("X:1\nM:4/4\nL:1/8\nK:C\nCEGc edcB|c8|\n"))
    other = piece_features(of_abc("X:1\nM:4/4\nL:1/8\nK:C\nceg c' e'd'c'b|c'8|\n"))
    kept = [i for i, name in enumerate(NAMES) if name not in ("pitch", "lowest")]
    assert one[kept] == pytest.approx(other[kept])
    assert other[columns(["pitch"])][0] - one[columns(["pitch"])][0] == pytest.approx(1)


def test_twice_the_tempo_is_log_two_more_notes_a_second() -> None:
    slow, fast = (piece_features(of_abc(HAPPY.replace("=160", f"={qpm}"))) for qpm in (80, 160))
    for name in ("log_onsets", "log_notes", "log_qpm"):
        place = NAMES.index(name)
        assert fast[place] - slow[place] == pytest.approx(np.log(2), abs=1e-6)


def test_a_cluster_is_rougher_than_a_triad() -> None:
    cluster, triad = (f"X:1\nM:4/4\nL:1/4\nK:C\n{chord}4|{chord}4|\n" for chord in ("[C^CD]", "[CEG]"))
    assert _feature(cluster, "dissonance") > 0.6 > 0.2 > _feature(triad, "dissonance")


def test_bars_without_notes_keep_the_features_before_them() -> None:
    rows = bar_features(of_abc("X:1\nM:4/4\nL:1/8\nK:C\nCEGc edcB|z8|z8|z8|c8|\n"))
    assert rows.shape == (5, len(NAMES))
    assert np.isfinite(rows).all()
    assert rows[3].tolist() == rows[2].tolist()
