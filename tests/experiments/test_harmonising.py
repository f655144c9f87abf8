"""The measures of the harmonising experiment on a tune whose answer is known."""

from pathlib import Path

import pytest

from experiments import harmonising

TUNE = (
    "X:1\nT:Cadences\nM:4/4\nL:1/8\nK:C\n"
    '"C"C2E2G2c2|"F"A2F2A2c2|"G7"B2d2G2F2|"C"E2G2c4|"C"C2E2G2c2|"F"A2F2A2c2|"G7"B2d2G2F2|"C"E2G2c4|]\n'
)


def test_people_agree_with_themselves_and_the_tonic_does_not(tmp_path: Path) -> None:
    (tmp_path / "book.abc").write_text(TUNE + "\nX:2\nT:None\nM:4/4\nL:1/8\nK:C\nCDEFGABc|\n", encoding="utf-8")
    tunes = list(harmonising.harmonised_tunes(tmp_path))
    assert len(tunes) == 1
    found = harmonising.measure(tunes[0], 0)
    assert found["people"]["agreement"] == 1.0 and found["people"]["V-I at section ends"] == 1.0
    assert found["people"]["changes a bar"] == pytest.approx(6 / 8)
    assert found["harmoniser"]["agreement"] > 0.9 > found["tonic"]["agreement"] == 0.5
    assert found["tonic"]["changes a bar"] == 0.0
