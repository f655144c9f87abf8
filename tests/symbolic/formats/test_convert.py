"""The verb convert: every direction, what it keeps, what it says of losses, wrong input."""

from pathlib import Path

import pytest

from audio_bridge.lyrics.inputs import text_of
from audio_bridge.render.render import pieces_of
from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.decode.editing.edit import read_tune
from symbolic.errors import UserError
from symbolic.formats.convert import abc_text, convert
from symbolic.formats.midi import read_midi
from symbolic.formats.smf import read_song

HARD = 'M:6/8\nL:1/8\nK:Dmix\nA|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d5/2e/2d2||[K:G][M:2/4]^c=c_cc|g4-|g4|]\n'


def test_the_verb_goes_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = tmp_path / "a.abc"
    start.write_text(f"X:1\nT:One\n{HARD}\nX:2\nT:Two\nM:4/4\nL:1/8\nK:C\nCDEF GABc|]\n")
    assert main("symbolic", VERBS, ["convert", str(start), "-o", str(tmp_path / "b.mid")]) == 0
    assert sorted(path.name for path in tmp_path.glob("b*")) == ["b-1.mid", "b-2.mid"]
    assert main("symbolic", VERBS, ["convert", str(tmp_path / "b-2.mid"), "-o", str(tmp_path / "c.abc")]) == 0
    assert "CD EF GA Bc" in (tmp_path / "c.abc").read_text() and "T:Two" in (tmp_path / "c.abc").read_text()
    assert main("symbolic", VERBS, ["convert", str(start), "-o", str(tmp_path / "d.pdf")]) == 2
    assert main("symbolic", VERBS, ["convert", str(start), "--tune", "9", "-o", str(tmp_path / "d.mid")]) == 2
    (tmp_path / "bad.mid").write_bytes(b"MThd")
    assert main("symbolic", VERBS, ["convert", str(tmp_path / "bad.mid"), "-o", str(tmp_path / "d.abc")]) == 1
    assert "not_midi" in capsys.readouterr().err


BOOK = """X:12
T:One
T:also Two
C:Trad.
O:Ireland
Z:me
Z:and you
N:slowly
S:a book
H:old
M:4/4
L:1/8
K:C
CDEF GABc|]

X:7
T:Bad
M:4/4
L:1/8
K:C
CDE§

X:9
T:Nine
M:4/4
L:1/8
K:C
CDEF GABc|]
"""


def test_abc_keeps_numbers_and_information(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, out = tmp_path / "a.abc", tmp_path / "b.abc"
    start.write_text(BOOK)
    assert main("symbolic", VERBS, ["convert", str(start), "-o", str(out)]) == 1  # one of three is no tune
    assert f"2 of 3 converted to {out}" in capsys.readouterr().out
    before, after = (set(text.split("X:7")[0].splitlines()) for text in (BOOK, out.read_text()))
    assert before <= after and "X:9" in out.read_text()  # the writer's own beams too
    assert main("symbolic", VERBS, ["convert", str(start), "-o", str(tmp_path / "c.mid")]) == 1
    assert f"2 of 3 converted to {tmp_path / 'c-1.mid'}, c-3.mid\n" in capsys.readouterr().out


def test_a_source_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = tmp_path / "a.abc"
    start.write_text(BOOK)
    assert main("symbolic", VERBS, ["convert", str(start), "-o", str(tmp_path / "." / "a.abc")]) == 2
    assert "is the source" in capsys.readouterr().err and start.read_text() == BOOK


def test_the_tune_of_any_file_as_abc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What takes a tune takes it as ABC, MIDI or MusicXML; a tune of .abc is its own text."""
    (tmp_path / "a.abc").write_text(BOOK)
    assert abc_text(tmp_path / "a.abc") == BOOK
    for kind in ("mid", "musicxml"):
        argv = ["convert", str(tmp_path / "a.abc"), "--tune", "9", "-o", str(tmp_path / f"a.{kind}")]
        assert main("symbolic", VERBS, argv) == 0
        given = read_tune(tmp_path / f"a.{kind}")
        assert given.title == "Nine" and given.text.endswith("K:C\nCDEFGABc|]\n")
        assert text_of(tmp_path / f"a.{kind}") == abc_text(tmp_path / f"a.{kind}")
    assert len(pieces_of(tmp_path / "a.musicxml", None, None)) == 1


def test_midi_to_midi_keeps_every_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Drums, programs, controllers, velocities and names; only what is damaged is put in order."""
    track = b"\x00\xff\x03\x05Drums\x00\xc3\x28\x00\xb3\x07\x50\x00\x99\x24\x63\x00\x93\x3c\x11"
    track += b"\x60\x89\x24\x00\x00\x83\x3c\x00\x00\xff\x2f\x00"
    whole = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk" + len(track).to_bytes(4, "big") + track
    (tmp_path / "a.mid").write_bytes(whole)
    assert main("symbolic", VERBS, ["convert", str(tmp_path / "a.mid"), "-o", str(tmp_path / "b.mid")]) == 0
    assert (tmp_path / "b.mid").read_bytes() == whole
    (tmp_path / "cut.mid").write_bytes(whole[:-4])
    assert main("symbolic", VERBS, ["convert", str(tmp_path / "cut.mid"), "-o", str(tmp_path / "c.mid")]) == 0
    assert (tmp_path / "c.mid").read_bytes() == whole
    assert "note: " in capsys.readouterr().err


def test_what_the_written_format_lacks_is_told_once_a_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = tmp_path / "book.abc"
    one = 'X:{}\nT:t\nR:reel\n%%scale 0.7\nM:4/4\nL:1/4\nK:G\n"G"G{{a}}AB"D"c|\n\n'
    book.write_text("".join(one.format(number) for number in range(1, 9)))
    done = convert(book, tmp_path / "book.mid")
    told = capsys.readouterr().err.splitlines()
    assert done.left_out == {"chord symbols": 16, "grace notes": 8, "information fields": 8}
    assert f"note: {book}: left out of the MIDI: 16 chord symbols" in told
    assert f"note: {book}, tunes 1, 2, 3, 4, 5 and 3 more: 8 lines of page layout (%%)" in told and len(told) == 4


def test_type_2_midi_is_read_as_a_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three tracks, the first without notes."""
    tracks = [b"\x00\xff\x03\x01a", *(bytes([0, 0x90, pitch, 80, 96, 0x80, pitch, 0]) for pitch in (60, 72))]
    chunks = b"".join(b"MTrk" + (len(one) + 4).to_bytes(4, "big") + one + b"\x00\xff\x2f\x00" for one in tracks)
    path = tmp_path / "book.mid"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x02\x00\x03\x00\x60" + chunks)
    done = convert(path, tmp_path / "book.abc")
    assert [tune.number for tune in done.tunes] == [2, 3] and done.n_converted == 2
    assert "X:2" in (tmp_path / "book.abc").read_text() and "\nc2" in (tmp_path / "book.abc").read_text()
    assert convert(path, tmp_path / "one.abc", tune=3).n_converted == 1
    assert "the 3rd tune of 3" in capsys.readouterr().err
    assert [one.name for one in convert(path, tmp_path / "out.mid", tune=2).files] == ["out.mid"]
    assert read_song((tmp_path / "out.mid").read_bytes()).parts[0].notes[0].pitch == 60
    with pytest.raises(UserError, match="type 2 MIDI of 3 sequences"):
        read_midi(path)
