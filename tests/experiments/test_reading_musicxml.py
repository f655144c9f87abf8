"""The comparison with music21: the same notes on both sides, and a note that is moved is found."""

from fractions import Fraction
from pathlib import Path

from experiments.reading_musicxml import compare, reference_notes, score_notes
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation import abc_parser

TUNE = "X:1\nT:a\nM:3/4\nL:1/8\nK:G\nV:1\nG2 [Bd]2- [Bd]2|z2 (3gab a2|]\nV:2\nG,6-|G,6|]\n"


def test_both_readers_find_the_same_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.musicxml"
    path.write_text(to_musicxml(abc_parser.parse(TUNE)), encoding="utf-8")
    score = from_musicxml(path.read_bytes())
    found = score_notes(score)
    assert (
        found.total() == 8
        and found[0, Fraction(1), 74, Fraction(1)] == 1
        and found[1, Fraction(4, 3), 81, Fraction(1, 3)] == 1
    )
    assert reference_notes(path) == found
    assert compare(score, found)["exact"] == 1


def test_a_moved_note_is_missing_and_extra() -> None:
    found = score_notes(abc_parser.parse(TUNE))
    moved = abc_parser.parse(TUNE.replace("G2 [Bd]2-", "[Bd]2 G2"))
    counts = compare(moved, found)
    # The chord is struck at 0 and at 2, the G at 1.
    assert (counts["exact"], counts["missing"], counts["extra"]) == (0, 3, 5)
