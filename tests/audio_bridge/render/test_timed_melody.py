"""A tune in seconds: bars, beats, voices, the skyline."""

from itertools import pairwise

import mido
import pytest

from audio_bridge.render import timed_melody
from audio_bridge.sound.timed_note import TimedNote
from symbolic.errors import UsageError
from symbolic.formats import midi
from symbolic.notation.abc_parser import parse

PICKUP = "X:1\nM:3/4\nL:1/8\nQ:1/4=60\nK:G\nD2|G2A2B2|c6:|\n"
TWO_VOICES = "X:1\nM:2/4\nL:1/4\nQ:1/4=60\nK:C\nV:1\nc z|e e|\nV:2\nE G|C C|\n"


def test_bars_and_beats_with_a_pick_up_and_repeats() -> None:
    tune = timed_melody.of_score(parse(PICKUP))
    assert tune.bars == pytest.approx((0, 1, 4, 7, 8, 11, 14))
    assert tune.seconds == 14 and tune.qpm == 60
    assert tune.beats[:5] == ((0.0, False), (1.0, True), (2.0, False), (3.0, False), (4.0, True))
    once = timed_melody.of_score(parse(PICKUP), repeats=False)
    assert once.bars == pytest.approx((0, 1, 4, 7))


def test_the_first_bars_leave_the_pick_up_out_of_the_count() -> None:
    tune = timed_melody.of_score(parse(PICKUP))
    assert (timed_melody.first_bars(tune, 1), timed_melody.first_bars(tune, 2)) == (4, 7)
    with pytest.raises(UsageError, match="has 5 bars"):
        timed_melody.first_bars(tune, 6)


def test_tempo_and_transposition() -> None:
    tune = timed_melody.of_score(parse(PICKUP), tempo_qpm=120, transpose=-2)
    assert tune.seconds == 7
    assert [note.midi for note in tune.notes[:4]] == [60, 65, 67, 69]


def test_a_voice_or_the_skyline() -> None:
    tune = timed_melody.of_score(parse(TWO_VOICES))
    assert [n.midi for n in timed_melody.line(tune, 0)] == [72, 76, 76]
    assert [n.midi for n in timed_melody.line(tune, 1)] == [64, 67, 60, 60]
    assert [(n.onset, n.end, n.midi) for n in timed_melody.line(tune)] == [
        (0, 1, 72),
        (1, 2, 67),
        (2, 3, 76),
        (3, 4, 76),
    ]
    with pytest.raises(UsageError, match="no voice 3"):
        timed_melody.line(tune, 2)


def test_a_covered_note_goes_on() -> None:
    line = timed_melody.skyline([TimedNote(0, 4, 60), TimedNote(1, 2, 64), TimedNote(1.5, 3, 62)])
    assert [(n.onset, n.end, n.midi) for n in line] == [(0, 1, 60), (1, 2, 64), (2, 3, 62), (3, 4, 60)]


def test_the_skyline_of_one_voice_is_that_voice(real_tunes: list[str]) -> None:
    for text in real_tunes[:300:10]:
        tune = timed_melody.of_score(parse(text))
        line = timed_melody.line(tune)
        alone = all(a.end <= b.onset for a, b in pairwise(tune.notes))
        assert not alone or line == list(tune.notes)
        assert all(a.end <= b.onset for a, b in pairwise(line))
        assert tune.seconds >= midi.seconds(tune.midi) - 1e-6
        assert all(a < b for a, b in pairwise(tune.bars))


def test_a_midi_file_with_changes_of_tempo_and_metre() -> None:
    made = mido.MidiFile(ticks_per_beat=100)
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=1_000_000),
            mido.MetaMessage("time_signature", numerator=2, denominator=4),
            mido.Message("note_on", note=60, velocity=64),
            mido.Message("note_off", note=60, time=200),
            mido.MetaMessage("set_tempo", tempo=500_000),
            mido.MetaMessage("time_signature", numerator=6, denominator=8),
            mido.Message("note_on", note=64, velocity=64),
            mido.Message("note_on", note=64, velocity=0, time=300),
        ]
    )
    made.tracks.append(track)
    tune = timed_melody.of_midi(made)
    assert tune.notes == (TimedNote(0.0, 2.0, 60), TimedNote(2.0, 3.5, 64))
    assert tune.bars == (0.0, 2.0, 3.5)
    assert tune.beats == ((0.0, True), (1.0, False), (2.0, True), (2.75, False))
