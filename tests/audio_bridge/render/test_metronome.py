"""Clicks on the beats and before the music."""

import mido
import pytest

from audio_bridge.render.beats import score_beats
from audio_bridge.render.metronome import HIGH, LOW, with_clicks
from symbolic.formats import midi
from symbolic.notation.abc_parser import parse

QUARTER = midi.TICKS_PER_QUARTER
PICKUP = "X:1\nM:3/4\nL:1/4\nQ:1/4=60\nK:C\nG|CEG|c3|]"


def notes(made: mido.MidiFile, channel: int) -> list[tuple[float, int]]:
    """(quarters, note) of a channel's onsets."""
    found = []
    for track in made.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity and message.channel == channel:
                found.append((tick / QUARTER, message.note))
    return found


def clicked(text: str, **options: int) -> mido.MidiFile:
    score = parse(text)
    return with_clicks(midi.build(score), score_beats(score), **options)


def test_a_count_in_leads_to_the_pick_up() -> None:
    made = clicked(PICKUP, count_in=1, metronome=False)
    assert notes(made, 9) == [(0, HIGH), (1, LOW), (2, LOW), (3, HIGH), (4, LOW)]
    assert notes(made, 0)[:2] == [(5, 67), (6, 60)]
    assert midi.first_tempo(made) == 1_000_000 and midi.seconds(made) == pytest.approx(12)


def test_a_metronome_marks_the_bars() -> None:
    made = clicked(PICKUP)
    assert notes(made, 9) == [(0, LOW), (1, HIGH), (2, LOW), (3, LOW), (4, HIGH), (5, LOW), (6, LOW)]
    assert notes(made, 0) == notes(midi.build(parse(PICKUP)), 0)


def test_compound_meter_is_counted_in_dotted_quarters() -> None:
    made = clicked("X:1\nM:6/8\nL:1/8\nQ:3/8=60\nK:C\nCEG cGE|C6|]", count_in=2)
    assert [place for place, _ in notes(made, 9)] == [0, 1.5, 3, 4.5, 6, 7.5, 9, 10.5]
    assert notes(made, 0)[0] == (6, 60)
