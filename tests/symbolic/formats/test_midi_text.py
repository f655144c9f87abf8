"""Canonical pieces: one spelling, exact transposition, what a file and a score hold is kept."""

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic.formats import midi, midi_text
from symbolic.formats.midi_text import DRUMS, MidiPart, PieceNote
from symbolic.notation import abc_parser
from symbolic.notation.theory import Meter, NotationError

JIG = "M:6/8\nL:1/8\nK:G\nD|:GAB d2B|1c3 A2D:|2c3 A3|]\n"


@st.composite
def drawn_pieces(draw: st.DrawFn) -> midi_text.MidiPiece:
    note = st.tuples(st.integers(0, 400), st.integers(24, 100), st.integers(1, 90), st.sampled_from((15, 63, 127)))
    parts = draw(st.dictionaries(st.sampled_from((0, 40, DRUMS)), st.lists(note, min_size=1, max_size=30), min_size=1))
    metres = draw(st.lists(st.tuples(st.integers(0, 300), st.sampled_from((Meter(3, 4), Meter(6, 8)))), max_size=3))
    tempos = draw(st.lists(st.tuples(st.integers(0, 300), st.floats(30, 250)), max_size=3))
    return midi_text.arranged(
        metres, tempos, {program: [PieceNote(*n) for n in notes] for program, notes in parts.items()}
    )


@settings(max_examples=60, deadline=None)
@given(drawn_pieces())
def test_text_and_file_give_the_piece_back(piece: midi_text.MidiPiece) -> None:
    assert midi_text.parse(midi_text.canonical(piece)) == piece
    assert midi_text.from_symusic(midi_text.to_symusic(piece)) == piece
    assert midi_text.from_midi(midi_text.to_midi(piece)) == piece


@settings(max_examples=30, deadline=None)
@given(drawn_pieces(), st.integers(-11, 11))
def test_transposition_is_undone_and_leaves_drums(piece: midi_text.MidiPiece, semitones: int) -> None:
    moved = midi_text.transposed(piece, semitones)
    assert midi_text.transposed(moved, -semitones) == piece
    assert [p for p in moved.parts if p.program == DRUMS] == [p for p in piece.parts if p.program == DRUMS]


def test_a_pickup_ends_a_full_bar_and_repeats_are_played() -> None:
    piece = midi_text.from_score(abc_parser.parse(JIG))
    notes = piece.parts[0].notes
    assert notes[0] == PieceNote(60, 62, 12)  # the last eighth of a bar of 72
    assert [note.onset for note in notes if note.pitch == 67] == [72, 216]
    assert piece.metres == ((0, Meter(6, 8)),)
    assert midi_text.from_score(abc_parser.parse(JIG), repeats=False).n_notes == 1 + 5 + 3 + 2


def test_symusic_and_mido_read_the_same_notes(real_tunes: list[str]) -> None:
    """The compiled reader against the readable one of symbolic.formats.midi."""
    for text in real_tunes[:: len(real_tunes) // 12]:
        score = abc_parser.parse(text)
        read = midi_text.from_midi(midi.to_bytes(midi.build(score)))
        ours = [
            (n.onset * midi_text.SCORE_TICKS, n.length * midi_text.SCORE_TICKS, n.pitch) for n in read.parts[0].notes
        ]
        theirs = [(s.onset_ticks, s.ticks, s.midi) for s in abc_parser.performance(score)]
        assert len(ours) == len(theirs)
        assert all(abs(a - b) <= midi_text.SCORE_TICKS for one, other in zip(ours, theirs) for a, b in zip(one, other))


def test_metres_move_to_bar_lines_and_halves_become_quarters() -> None:
    notes = {0: [PieceNote(0, 60, 300)]}
    piece = midi_text.arranged([(0, Meter(2, 2)), (100, Meter(3, 4))], [], notes)
    assert piece.metres == ((0, Meter(4, 4)), (192, Meter(3, 4)))


def test_unisons_are_one_note_and_a_repeated_note_ends_the_first() -> None:
    piece = midi_text.arranged([], [], {0: [PieceNote(0, 60, 48), PieceNote(0, 60, 24), PieceNote(24, 60, 24)]})
    assert piece.parts == (MidiPart(0, (PieceNote(0, 60, 24), PieceNote(24, 60, 24))),)


def test_seconds_follow_the_tempos() -> None:
    piece = midi_text.arranged([], [(0, 60), (48, 120)], {0: [PieceNote(0, 60, 96)]})
    assert piece.seconds == 2 + 1
    assert midi_text.at_tempo(piece, 2).tempos == ((0, 120), (48, 240))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X:1", "bad_piece"),
        ("MIDI 24\nI:0\n", "no_notes"),
        ("MIDI 24\n0 60 24\n", "bad_piece"),
        ("MIDI 24\nI:0\n0 127 24\n", "bad_piece"),
        ("MIDI 24\nI:0\n0 60 24\nnonsense\n", "bad_piece"),
    ],
)
def test_text_that_is_no_piece(text: str, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        midi_text.parse(text)
    assert caught.value.reason == reason


def test_written_files_are_plain_midi() -> None:
    import io

    data = midi_text.to_midi(midi_text.from_score(abc_parser.parse(JIG)))
    file = mido.MidiFile(file=io.BytesIO(data))
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (1, 24, 2)
