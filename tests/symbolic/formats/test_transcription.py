"""MIDI as written music: title, key, tempo and bars as they were, voices told apart, none dropped."""

import io
import random
from collections import Counter

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic.formats import engraving, midi, midi_text, transcription
from symbolic.formats.midi_text import PieceNote
from symbolic.formats.smf import MidiSong, SongNote, SongPart, read_song
from symbolic.notation import abc_parser
from symbolic.notation.score import Note, bars
from symbolic.notation.theory import TICKS_PER_WHOLE


def test_midi_reads_back_with_pickup_key_and_bars(real_tunes: list[str]) -> None:
    for text in real_tunes[:: len(real_tunes) // 16]:
        score = abc_parser.parse(text)
        piece = midi_text.from_midi(midi.to_midi(score))
        back = transcription.score_of(piece)
        assert back.key.sharps == score.key.sharps
        written = abc_parser.canonical(back)
        assert abc_parser.canonical(abc_parser.parse(written)) == written
        expected, read = (
            [(s.midi, s.ticks) for s in sorted(abc_parser.performance(one), key=lambda s: (s.onset_ticks, s.midi))]
            for one in (score, back)
        )
        assert len(read) == len(expected)
        assert all(abs(a[1] - b[1]) <= midi_text.SCORE_TICKS and a[0] == b[0] for a, b in zip(read, expected))


def test_midi_reads_back_title_tempo_and_changes_of_key() -> None:
    text = "X:1\nT:Mï tune\nM:4/4\nQ:1/4=90\nL:1/8\nK:G\nABcd efga|[K:Dm]ABcd efga|[K:Ador]c2^cc =f4|]\n"
    data = midi.to_midi(abc_parser.parse(text))
    score = transcription.score_of(midi_text.from_midi(data))
    assert score.fields == {"T": ["Mï tune"], "Q": ["1/4=90"]}
    assert abc_parser.canonical(score).splitlines()[2:] == [
        "K:G",
        "ABcdefga|[K:Dm]ABcdefga|[K:G]c2^cc=f4|]",
    ]


def test_a_title_is_no_name_of_a_part() -> None:
    for names, title in ((("Piano", "Piano"), ""), (("", "Piano"), ""), (("Sonata\x01\n2", "Piano"), "Sonata 2")):
        file = mido.MidiFile(type=1)
        for name in names:
            file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else []))
        file.tracks[1] += [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=480)]
        buffer = io.BytesIO()
        file.save(file=buffer)
        assert midi_text.from_midi(buffer.getvalue()).title == title


def test_voices_that_sound_together_are_told_apart() -> None:
    notes = [PieceNote(0, p, 96) for p in (43, 55, 62, 70)] + [PieceNote(96, p, 48) for p in (45, 57, 60, 69)]
    score = transcription.score_of(midi_text.arranged([], [], {0: notes}))
    assert [[p.midi for e in v.events if isinstance(e, abc_parser.Note) for p in e.pitches] for v in score.voices] == [
        *([70, 69], [62, 60], [55, 57], [43, 45]),
    ]
    assert [voice.clef for voice in score.voices] == ["treble", "treble", "bass", "bass"]


@pytest.mark.parametrize(("pitches", "key"), [((60, 62, 64, 65, 67, 69, 71, 72), "C"), ((57, 60, 64, 68, 69), "Am")])
def test_estimated_key(pitches: tuple[int, ...], key: str) -> None:
    notes = [PieceNote(24 * i, pitch, 24 + 24 * (pitch % 12 in (0, 9))) for i, pitch in enumerate(pitches)]
    assert transcription.score_of(midi_text.arranged([], [], {0: notes})).key.text == key


def file_of(parts: list[tuple[int, int, list[tuple[int, int, int]]]], *conductor: mido.MetaMessage) -> bytes:
    """A file of parts (channel, program, [(onset, ticks, pitch)]) at 480 ticks, with messages at its start."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(conductor))
    for channel, program, notes in parts:
        events = [(on, 1, pitch) for on, _, pitch in notes] + [(on + ticks, 0, pitch) for on, ticks, pitch in notes]
        track, last = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)]), 0
        for tick, is_on, pitch in sorted(events):
            kind = "note_on" if is_on else "note_off"
            track.append(mido.Message(kind, channel=channel, note=pitch, velocity=80 * is_on, time=tick - last))
            last = tick
        file.tracks.append(track)
    return midi.to_bytes(file)


def score_of_bytes(data: bytes, quantize: str = "auto") -> abc_parser.Score:
    return transcription.score_of_song(read_song(data), quantize)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(12, 127)), min_size=1, max_size=12),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
def test_no_note_of_any_voice_is_dropped(drawn: list[list[tuple[int, int, int]]], has_drums: bool) -> None:
    """As many parts as there are, with as many notes at once as there are; the same pitch struck twice is two notes."""
    parts = [
        (9 if has_drums and number == 1 else number % 9, number, [(240 * o, 240 * d, p) for o, d, p in own])
        for number, own in enumerate(drawn)
    ]
    song = read_song(file_of(parts))
    score = transcription.score_of_song(song)
    expected = Counter(
        (n.onset * 21, (n.end - n.onset) * 21, n.pitch, part.is_drums) for part in song.parts for n in part.notes
    )
    found = Counter(
        (s.onset_ticks, s.ticks, s.midi, score.voices[s.voice].drums) for s in abc_parser.performance(score)
    )
    assert found == expected
    assert {v.program for v in score.voices} == {part.program for part in song.parts}
    again = read_song(midi.to_midi(score))  # and back: drums and programs too
    assert Counter((n.onset, n.end - n.onset, n.pitch, p.is_drums) for p in again.parts for n in p.notes) == expected


@pytest.mark.parametrize(
    ("numerator", "denominator", "meter"),
    [(15, 8, "15/8"), (24, 16, "24/16"), (13, 8, "13/8"), (3, 32, "3/32"), (7, 2, "7/2"), (19, 16, "19/16")],
)
def test_any_time_signature(numerator: int, denominator: int, meter: str) -> None:
    signature = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
    notes = [(480 * n, 480, 60) for n in range(40)]
    score = score_of_bytes(file_of([(0, 0, notes)], signature))
    assert score.meter.text == meter and not score.losses
    text = abc_parser.canonical(score)
    assert abc_parser.canonical(abc_parser.parse(text)) == text
    assert read_song(midi.to_midi(score)).meters == [(0, (numerator, denominator))]


@settings(max_examples=200, deadline=None)
@given(st.integers(20_000, 12_000_000))
def test_a_tempo_is_the_same_tempo_again(microseconds: int) -> None:
    assert midi.microseconds(float(transcription.exact_qpm(microseconds))) == microseconds


def test_tempo_changes_stay_where_they_are() -> None:
    slow = mido.MetaMessage("set_tempo", tempo=200_000)
    late = mido.MetaMessage("set_tempo", tempo=1_234_567, time=480 * 6)
    score = score_of_bytes(file_of([(0, 0, [(480 * n, 480, 60) for n in range(12)])], slow, late))
    assert score.fields["Q"] == ["1/4=300"]
    assert read_song(midi.to_midi(score)).tempos == [(0, 200_000), (6 * 10080, 1_234_567)]


def test_played_music_says_what_was_moved() -> None:
    rng = random.Random(1)
    notes = [(max(0, 240 * n + rng.randint(-25, 25)), 200, 60 + n % 5) for n in range(32)]
    score = score_of_bytes(file_of([(0, 0, notes)]))
    assert {event.ticks for event in score.voices[0].events if isinstance(event, abc_parser.Note)} == {5040}
    (loss,) = score.losses
    assert "of 32 onsets moved to written places" in loss
    assert "moved" not in " ".join(score_of_bytes(file_of([(0, 0, [(240 * n, 240, 60) for n in range(32)])])).losses)


def test_a_change_of_meter_inside_a_bar_ends_it() -> None:
    def song(*ticks: int) -> MidiSong:
        notes = tuple(SongNote(tick, tick + 96, 60 + place, 90) for place, tick in enumerate(range(0, 960, 96)))
        meters = [(tick, meter) for tick, meter in zip((0, *ticks), ((4, 4), (3, 4), (2, 4)))]
        return MidiSong(96, [SongPart("", 0, 0, notes)], [], meters, [])

    def lengths(*ticks: int) -> list[int]:
        score = transcription.score_of_song(song(*ticks))
        return [4 * bar.ticks // TICKS_PER_WHOLE for bar in bars(score.voices[0], score.meter)]

    assert lengths(384, 672) == [4, 3, 2, 2]
    assert lengths(576, 864) == [4, 2, 3, 2]
    assert lengths(390, 670) == [4, 3, 2, 2]  # near a bar line, so meant for it


@pytest.mark.parametrize(
    ("changes", "expected", "n_moved"),
    [
        ([(960, 1_000_000)], "C4-[Q:1/4=60]C4|D8|]", 0),
        ([(480, 1_000_000), (960, 400_000)], "C2-[Q:1/4=60]C2-[Q:1/4=150]C4|D8|]", 0),
        ([(477, 1_000_000), (481, 400_000)], "[Q:1/4=150]C8|D8|]", 2),
    ],
)
def test_a_tempo_changes_inside_a_note(changes: list[tuple[int, int]], expected: str, n_moved: int) -> None:
    part = SongPart("", 0, 0, (SongNote(0, 1920, 60, 80), SongNote(1920, 3840, 62, 80)))
    song = MidiSong(480, [part], tempos=[(0, 500_000), *changes], meters=[], keys=[(0, (0, False))])
    score = transcription.score_of_song(song, "off")
    text = abc_parser.laid_out(score, number=1, title="", fields={})
    assert text.splitlines()[-1].replace(" ", "") == expected
    assert score.losses == ({engraving.MOVED_TEMPO: n_moved} if n_moved else {})


def test_karaoke_is_sung_and_what_has_no_note_is_counted() -> None:
    song = MidiSong(
        480, [SongPart("", 0, 0, tuple(SongNote(480 * n, 480 * n + 480, 60, 80) for n in range(4)))], [], [], []
    )
    song.lyrics = [(0, "Hel"), (480, "lo "), (960, "world "), (1200, "late ")]
    score = transcription.score_of_song(song)
    assert [note.syllables for note in score.voices[0].events if isinstance(note, Note)][:3] == [
        ("Hel-",),
        ("lo",),
        ("world",),
    ]
    assert score.losses == {"syllables of lyrics at no note of the line that is sung": 1}


@pytest.mark.parametrize(("channel", "pitch", "clef"), [(9, 38, "perc"), (0, 40, "bass"), (0, 72, "")])
def test_the_clef_of_a_single_voice(channel: int, pitch: int, clef: str) -> None:
    song = MidiSong(480, [SongPart("", channel, 0, (SongNote(0, 480, pitch, 80),))], [], [], [])
    assert [voice.clef for voice in transcription.score_of_song(song).voices] == [clef]
