"""Instruments for voices: one each, the last for the rest, those left over double the first."""

import mido
import pytest

from audio_bridge.render.midi_edits import played_by
from symbolic.errors import UserError
from symbolic.formats import midi
from symbolic.notation.abc_parser import parse

ONE = "X:1\nM:2/4\nL:1/4\nK:C\nC E|G2|]"
THREE = "X:1\nM:2/4\nL:1/4\nK:C\nV:1\nc2|c2|]\nV:2\nG2|G2|]\nV:3\nC2|C2|]\n"


def heard(made: mido.MidiFile) -> list[tuple[int, int]]:
    """(program, note) of each onset, by track."""
    programs: dict[int, int] = {}
    found = []
    for track in made.tracks:
        for message in track:
            if message.type == "program_change":
                programs[message.channel] = message.program
            elif message.type == "note_on" and message.velocity:
                found.append((programs[message.channel], message.note))
    return found


def test_voices_have_an_instrument_each() -> None:
    assert heard(played_by(midi.build(parse(THREE)), (40, 0))) == [
        (40, 72),
        (40, 72),
        (0, 67),
        (0, 67),
        (0, 60),
        (0, 60),
    ]


def test_instruments_that_are_left_double_the_first_voice() -> None:
    assert heard(played_by(midi.build(parse(ONE)), (40, 73))) == [
        (40, 60),
        (40, 64),
        (40, 67),
        (73, 60),
        (73, 64),
        (73, 67),
    ]


def test_more_instruments_than_channels() -> None:
    with pytest.raises(UserError, match="16 instruments need more channels"):
        played_by(midi.build(parse(ONE)), tuple(range(16)))
