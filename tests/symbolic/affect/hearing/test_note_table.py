"""Notes in seconds from ABC, MIDI and MusicXML."""

from pathlib import Path

import mido
import numpy as np
import pytest

from symbolic.affect.hearing import note_table
from symbolic.errors import UsageError, UserError
from symbolic.formats.midi import write_midi
from symbolic.notation import abc_parser

TUNE = "X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\nCDEF|!f!G2[Q:1/4=120]G2|!p!c4|\n"


def test_tempo_changes_and_dynamics_of_abc_are_played() -> None:
    table = note_table.of_abc(TUNE)
    assert table.onset.tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert table.duration.tolist() == [1, 1, 1, 1, 2, 1, 2]
    assert table.velocity.tolist() == [80, 80, 80, 80, 96, 96, 50]
    assert table.bar_starts.tolist() == [0, 4, 7, 9]
    assert table.is_melody and table.n_bars == 3


def test_tempo_changes_of_any_voice_hold_for_all_and_a_repeat_goes_back_to_them() -> None:
    voices = "V:1\n|:C4|D4:|\nV:2\n|:C,4|[Q:1/4=120]D,4:|\n"
    table = note_table.of_abc(f"X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\n{voices}")
    assert table.bar_starts.tolist() == [0, 4, 6, 10, 12]
    assert table.qpm.tolist() == [60, 120, 60, 120]


def test_a_tempo_that_is_taken_for_granted_is_told() -> None:
    assert note_table.of_abc(TUNE).remarks == ()
    assert (
        "no tempo is given" in note_table.of_abc(TUNE.replace("Q:1/4=60\n", "").replace("[Q:1/4=120]", "")).remarks[0]
    )


def test_repeats_are_played_and_ties_joined() -> None:
    table = note_table.of_abc("X:1\nM:2/4\nL:1/4\nQ:1/4=60\nK:C\n|:C-C:|\n")
    assert (table.onset.tolist(), table.duration.tolist()) == ([0, 2], [2, 2])


def test_abc_and_its_midi_file_sound_alike(tmp_path: Path) -> None:
    score = abc_parser.parse("X:1\nM:3/4\nL:1/8\nQ:1/4=90\nK:G\n[GBd]2 Bcd2|e6|\n")
    write_midi(score, tmp_path / "a.mid")
    one, other = note_table.of_score(score), note_table.read(tmp_path / "a.mid")
    assert one.onset == pytest.approx(other.onset, abs=1e-3)
    assert one.pitch.tolist() == other.pitch.tolist()
    assert one.bar_starts == pytest.approx(other.bar_starts, abs=1e-3)
    assert not one.is_melody or len(one.pitch) < 8


def test_percussion_is_counted_and_alone_refused(tmp_path: Path) -> None:
    file, track = mido.MidiFile(), mido.MidiTrack()
    for note in range(4):
        track.append(mido.Message("note_on", channel=9, note=36 + note, velocity=90, time=0))
        track.append(mido.Message("note_off", channel=9, note=36 + note, time=240))
    file.tracks.append(track)
    file.save(tmp_path / "drums.mid")
    with pytest.raises(UserError, match="percussion only"):
        note_table.read(tmp_path / "drums.mid")
    track.append(mido.Message("note_on", channel=0, note=60, velocity=90, time=0))
    track.append(mido.Message("note_off", channel=0, note=60, time=480))
    file.save(tmp_path / "both.mid")
    assert note_table.read(tmp_path / "both.mid").n_drums == 4


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.abc", b"", "holds no tune"),
        ("a.abc", b"hello", "holds no tune"),
        ("a.abc", b"X:1\nM:4/4\nK:C\nz4|\n", "no_notes"),
        ("a.mid", b"MThd\0\0", "cut or damaged"),
        ("a.png", b"x", "must end in"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises((UserError, UsageError), match=message):
        note_table.read(tmp_path / name)


def test_free_meter_has_bars() -> None:
    table = note_table.of_abc("X:1\nM:none\nL:1/4\nQ:1/4=60\nK:C\n" + "CDEF" * 5 + "\n")
    assert table.n_bars == 5
    assert np.all(np.diff(table.bar_starts) > 0)
