"""The experiment on composing."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import affect_composing
from tests.symbolic.affect.composing.test_melody_pool import TUNE


def test_controls_are_drawn_alike_for_the_same_target() -> None:
    assert affect_composing.drawn((0.1, 0.2)) == affect_composing.drawn((0.1, 0.2))
    assert len({affect_composing.drawn(target) for target in affect_composing.GRID}) > 10


def test_the_search_reaches_more_of_the_grid_than_melodies_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.abc").write_text(TUNE)
    monkeypatch.setattr(affect_composing, "GRID", ((-0.2, -0.3), (0.4, 0.3)))
    out = tmp_path / "r.json"
    options = ["--tunes", str(tmp_path / "t.abc"), "--bars", "4", "-o", str(out)]
    assert affect_composing.main(options) == 0
    result = result_file.read(out)
    reached = {row["way"]: row["repeats"][0] for row in result["rows"] if row.get("measure") == "planning reached"}
    assert reached["melody and controls"] >= reached["melodies as they are"]
    assert {row.get("scorer") for row in result["rows"] if "target" in row} == {"planning", "other", "sound"}
