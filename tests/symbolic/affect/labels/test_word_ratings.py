"""Word norms in three forms."""

import gzip
from pathlib import Path

import pytest

from symbolic.affect.labels.word_ratings import norms
from symbolic.errors import UserError

WARRINER = """,Word,V.Mean.Sum,V.SD.Sum,V.Rat.Sum,A.Mean.Sum,A.SD.Sum,A.Rat.Sum,D.Mean.Sum
1,applewood,6.2,1.9,19,3.1,2.0,20,5.4
"""


def test_warriner_plain_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "Ratings.csv").write_text(WARRINER)
    with gzip.open(tmp_path / "Ratings.csv.gz", "wt") as file:
        file.write(WARRINER)
    for name in ("Ratings.csv", "Ratings.csv.gz"):
        assert norms(tmp_path / name).values["applewood"] == pytest.approx((0.3, -0.475, 0.1))


def test_nrc_with_and_without_a_head(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Word\tValence\tArousal\tDominance\naaaaaaah\t0.479\t0.606\t0.291\n")
    (tmp_path / "b.txt").write_text("aaaaaaah\t0.479\t0.606\t0.291\nabandon\t0.052\t0.519\t0.245\n")
    for name in ("a.txt", "b.txt"):
        assert norms(tmp_path / name).values["aaaaaaah"] == pytest.approx((-0.042, 0.212, -0.418))


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("word,score\nx,1\n")
    with pytest.raises(UserError, match="no columns word, valence and arousal"):
        norms(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(UserError, match="is empty"):
        norms(tmp_path / "b.csv")
