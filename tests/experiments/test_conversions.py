"""What conversions lose is measured, and constructs of ABC sound as they were decided by hand."""

import json
from collections import Counter
from pathlib import Path

import pytest

from experiments import conversions, conversions_wild
from experiments.conversions import MEASURES, Piece, compare, sounds_right, through_abc, through_midi, through_musicxml
from symbolic.formats.midi import to_midi
from symbolic.notation.abc_parser import parse


@pytest.mark.parametrize("case", conversions_wild.CASES, ids=lambda case: case[0])
def test_constructs_sound_as_they_should(case: tuple[str, str, str]) -> None:
    assert sounds_right(case)


def test_a_lost_note_is_seen_and_whether_it_was_told() -> None:
    before, after = (parse(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}|]\n") for music in ("CDEF", "CDGz"))
    found = compare(Piece("abc", before), after, Counter())
    assert (found["notes"], found["onsets"], found["exact"], found["told"], found["n"]) == (2, 2, 0, 0, 4)
    assert compare(Piece("abc", before), after, Counter(notes=2))["told"] == 1
    assert "told" not in compare(Piece("abc", before), before, Counter())


def test_every_direction_keeps_a_tune_with_repeats() -> None:
    score = parse("X:1\nM:6/8\nL:1/8\nK:Em\nB|E2G GEG|1BAG FED:|2B2A G3||eef g2e:|\n")
    for through in (through_abc, through_midi, through_musicxml):
        after, told = through(score)
        assert compare(Piece("abc", score), after, told)["exact"] == 1


def test_files_of_ones_own_are_measured(tmp_path: Path) -> None:
    music = tmp_path / "mine"
    music.mkdir()
    score = parse("X:1\nM:4/4\nL:1/4\nK:C\nV:1\nV:2\nV:1\nCDEF|\nV:2\n[CE]2z2|\n")
    (music / "two.mid").write_bytes(to_midi(score))
    (music / "bad.mid").write_bytes(b"no midi")
    out = tmp_path / "out.json"
    assert conversions.main(["--sources", "--folder", f"mine={music}", "-o", str(out)]) == 0
    rows = {(row["direction"], row["quantity"]): row for row in json.loads(out.read_text())["rows"]}
    assert {direction for direction, _ in rows} == {"MIDI to ABC", "MIDI to MusicXML"}
    row = rows["MIDI to ABC", "exact"]
    assert (row["repeats"], row["pieces"], row["unread"], row["n_notes"]) == ([1.0], 1, 1, 6)
    assert {quantity for _, quantity in rows} < set(MEASURES)


def test_a_source_in_parts_is_measured_as_in_one(tmp_path: Path) -> None:
    music = tmp_path / "mine"
    music.mkdir()
    for number, body in enumerate(("CDEF|", "{g}C2D2|", "(3CDE C2|")):
        (music / f"{number}.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{body}\n")
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    call = ["--sources", "--folder", f"mine={music}"]
    assert conversions.main([*call, "-o", str(whole)]) == 0
    for part in ("1/2", "2/2"):
        assert conversions.main([*call, "--part", part, "--add", "-o", str(parts)]) == 0
    one, two = (json.loads(path.read_text())["rows"] for path in (whole, parts))
    assert sorted(map(str, one)) == sorted(map(str, two))
