"""MIDI files as people's programs write them: what is bent is read, what is lost is counted, nothing is dropped."""

import struct
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic.formats import midi
from symbolic.formats.smf import (
    RawEvent,
    SongNote,
    decoded_name,
    read_events,
    read_song,
    sequences,
    write_events,
)
from symbolic.notation.performance import Sound
from symbolic.notation.theory import NotationError

END = b"\x00\xff\x2f\x00"
NOTE = b"\x00\x90\x3c\x50\x60\x80\x3c\x00"  # middle C, 96 ticks
HIGH = b"\x00\x90\x48\x50\x30\x80\x48\x00"


def header(n_tracks: int = 1, kind: int = 1, division: int = 96, extra: bytes = b"") -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6 + len(extra), kind, n_tracks, division) + extra


def track(*events: bytes, length: int | None = None) -> bytes:
    body = b"".join(events)
    return b"MTrk" + struct.pack(">I", len(body) if length is None else length) + body


def meta(kind: int, data: bytes, delta: bytes = b"\x00") -> bytes:
    return delta + b"\xff" + bytes([kind, len(data)]) + data


def notes(data: bytes) -> list[tuple[int, int, int]]:
    """(onset, end, pitch) of all parts."""
    return [(note.onset, note.end, note.pitch) for part in read_song(data).parts for note in part.notes]


PLAIN = header() + track(NOTE, END)
BENT = {
    "a RIFF wrapper": b"RIFF" + struct.pack("<I", len(PLAIN) + 12) + b"RMIDdata" + struct.pack("<I", 0) + PLAIN,
    "a MacBinary wrapper": bytes(128) + PLAIN,
    "a longer header": header(extra=b"\x01\x02") + track(NOTE, END),
    "an unknown chunk": header() + b"XFIH" + struct.pack(">I", 3) + b"abc" + track(NOTE, END),
    "fewer tracks than the header says": header(n_tracks=30_000) + track(NOTE, END),
    "no end of track": header() + track(NOTE),
    "a track that claims to go on": header() + track(NOTE, END, length=2**31),
    "a track that claims nothing": header() + track(NOTE, END, length=0),
    "zeros behind": PLAIN + bytes(50),
    "running status over a meta event": header() + track(NOTE[:4], meta(1, b"x"), b"\x60\x3c\x00", END),
    "a note that is never released": header() + track(NOTE[:4], meta(1, b"", b"\x60"), END),
    "a key of eight sharps": header() + track(meta(0x59, b"\x08\x00"), NOTE, END),
    "a meta event that is too short": header() + track(meta(0x51, b"\x07"), NOTE, END),
}


@pytest.mark.parametrize("what", BENT)
def test_what_is_bent_is_read(what: str) -> None:
    assert notes(BENT[what]) == [(0, 96, 60)]
    again = write_events(read_events(BENT[what]))
    assert notes(again) == [(0, 96, 60)] and write_events(read_events(again)) == again
    assert not read_song(again).losses


def test_a_cut_file_is_read_as_far_as_it_goes_and_says_so() -> None:
    song = read_song((header() + track(NOTE, NOTE, END))[:-8])
    assert song.parts[0].notes[0] == SongNote(0, 96, 60, 80)
    assert "wrong length" in " ".join(song.losses)


def test_data_bytes_over_127_are_clipped_and_counted() -> None:
    song = read_song(header() + track(b"\x00\x90\x3c\xff\x60\x80\x3c\x00", END))
    assert song.parts[0].notes == (SongNote(0, 96, 60, 127),)
    assert song.losses == Counter({"data byte over 127, read as 127": 1})


def test_two_strikes_with_one_release_both_sound() -> None:
    data = header() + track(NOTE[:4], b"\x30\x90\x3c\x50", b"\x30\x80\x3c\x00", END)
    assert notes(data) == [(0, 48, 60), (48, 96, 60)]
    two = header() + track(NOTE[:4], b"\x30\x90\x3c\x50", b"\x30\x80\x3c\x00", b"\x30\x80\x3c\x00", END)
    assert notes(two) == [(0, 96, 60), (48, 144, 60)]  # each has a release: the first strike gets the first


def test_parts_are_told_by_track_channel_and_program() -> None:
    program, other = b"\x00\xc0\x28", b"\x00\xc0\x49"
    drums = b"\x00\x99\x24\x50\x60\x89\x24\x00"
    data = header(3) + track(meta(3, b"Tune"), END) + track(program, NOTE, other, HIGH, END) + track(drums, END)
    parts = read_song(data).parts
    assert [(part.program, part.is_drums, len(part.notes)) for part in parts] == [
        (0x28, False, 1),
        (0x49, False, 1),
        (0, True, 1),
    ]


def test_a_program_in_the_conductor_or_after_the_first_note_holds_for_the_channel() -> None:
    for data in (
        header(2) + track(b"\x00\xc0\x28", END) + track(NOTE, END),
        header() + track(NOTE[:4], b"\x00\xc0\x28", NOTE[4:], END),
    ):
        assert [part.program for part in read_song(data).parts] == [0x28]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("春の小川", "cp932"), ("さくら", "cp932"), ("Für Elise", "cp1252"), ("Für Elise", "utf-8"), ("Ciò", "cp1252")],
)
def test_names_in_the_encodings_of_their_makers(name: str, encoding: str) -> None:
    assert decoded_name(name.encode(encoding)) == name
    assert read_song(header() + track(meta(3, name.encode(encoding)), NOTE, END)).title == name


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"X:1", "not_midi"),
        (header(division=0) + track(NOTE, END), "bad_division"),
        (header() + track(END), "no_notes"),
        (header() + track(b"\x00\x3c"), "bad_midi"),
    ],
)
def test_what_no_reader_can_read(data: bytes, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        read_song(data)
    assert caught.value.reason == reason


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 900), st.integers(1, 400), st.integers(0, 127)),
        min_size=1,
        max_size=40,
        unique_by=lambda note: (note[0], note[3]),
    )
)
def test_what_is_written_is_read(drawn: list[tuple[int, int, int, int]]) -> None:
    data = midi.to_bytes(midi.build([Sound(*note) for note in drawn]))
    song = read_song(data)
    assert not song.losses
    read = sorted((n.onset, n.end - n.onset, n.pitch) for part in song.parts for n in part.notes)
    assert read == sorted(note[1:] for note in drawn)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes, rest: bytes) -> None:
    data = header() + track(body) + rest
    try:
        events = read_events(data)
    except NotationError:
        return
    again = read_events(write_events(events))
    plain = [[event for event in own if event.meta != 0x2F] for own in events.tracks]
    assert [[event for event in own if event.meta != 0x2F] for own in again.tracks] == plain
    assert all(isinstance(event, RawEvent) for own in again.tracks for event in own)


@pytest.mark.parametrize("controller", [120, 123])
def test_all_notes_off_ends_the_notes_of_its_channel(controller: int) -> None:
    strikes = b"\x00\x90\x3c\x50\x00\x91\x48\x50"
    off = b"\x60\xb0" + bytes([controller, 0])
    more = b"\x00\x90\x3c\x50\x60\x80\x3c\x00\x00\x81\x48\x00"
    assert notes(header() + track(strikes, off, more, END)) == [(0, 96, 60), (96, 192, 60), (0, 192, 72)]


@pytest.mark.parametrize(
    ("division", "per_second", "qpm"),
    [(0xE728, 1000, 120), (0xE301, 30, 119.88), (0xE264, 3000, 120), (0xE80A, 240, 120), (0xE701, 25, 120)],
)  # 25, 29.97, 30 and 24 frames a second
def test_time_in_frames_becomes_quarter_notes(division: int, per_second: int, qpm: float) -> None:
    tempo = meta(0x51, b"\x03\x0d\x40")  # such a file does not follow it
    song = read_song(header(division=division) + track(tempo, NOTE, END))
    [(_, microseconds)] = song.tempos
    seconds = song.parts[0].notes[0].end * microseconds / 1e6 / song.ticks_per_quarter
    assert 60e6 / microseconds == pytest.approx(qpm, rel=1e-5)
    assert seconds == pytest.approx(96 / per_second * 120 / qpm, rel=1e-5)
    assert song.losses.total() == 1
    assert read_song(write_events(read_events(header(division=division) + track(NOTE, END)))).tempos == song.tempos


def test_type_2_holds_a_piece_a_track() -> None:
    data = header(kind=2, n_tracks=2) + track(NOTE, END) + track(meta(3, b"Two"), HIGH, END)
    assert len(sequences(data)) == 2 and sequences(PLAIN) == [PLAIN]
    assert [read_song(one).parts[0].notes[0].pitch for one in sequences(data)] == [60, 72]
    assert read_song(sequences(data)[1]).title == "Two" and read_song(data).parts[0].notes[0].pitch == 60


def test_a_damaged_track_of_type_2_is_a_loss_of_its_own_piece() -> None:
    data = header(kind=2, n_tracks=2) + track(NOTE, END) + track(HIGH, END)[:-1]
    assert [read_song(one).losses.total() > 0 for one in sequences(data)] == [False, True]


def test_a_program_holds_from_where_it_is_chosen() -> None:
    change = b"\x00\xc0\x28"
    late = read_song(header() + track(NOTE, change, HIGH, END))
    assert [(part.program, [note.pitch for note in part.notes]) for part in late.parts] == [(0, [60]), (40, [72])]
    early = read_song(header(n_tracks=2) + track(NOTE, END) + track(change, END))
    assert [part.program for part in early.parts] == [40]


def test_what_stands_beside_the_music_is_counted_by_kind() -> None:
    texts = meta(2, b"(c) me") + meta(1, b"text") + meta(6, b"A") + meta(6, b"B") + meta(7, b"curtain")
    pedals = b"\x00\xb0\x07\x64\x00\xb0\x40\x7f", NOTE, b"\x00\xb0\x40\x00"
    song = read_song(header() + track(texts, b"\x00\xf0\x03\x7e\x09\xf7", *pedals, END))
    assert song.expression == {
        **{"copyright notices": 1, "text events": 1, "markers": 2, "cue points": 1, "system exclusive messages": 1},
        "controller messages (pedal, volume and the like)": 3,
    }


def test_words_of_karaoke_are_lyrics() -> None:
    """Text events, of which a backslash or a slash begins a line; a space before or after ends a word."""
    head = meta(3, b"Words") + meta(1, b"@TMy Song") + meta(1, b"@T by nobody")
    words = meta(1, b"\\Hel") + meta(1, b"lo ", b"\x30") + meta(1, b"big", b"\x30") + meta(1, b"/world", b"\x30")
    song = read_song(header(2) + track(head, words, END) + track(NOTE, END))
    assert song.title == "My Song"
    assert [(tick, text.rstrip()) for tick, text in song.lyrics] == [
        (0, "Hel"),
        (48, "lo"),
        (96, "big"),
        (144, "world"),
    ]
    assert [text.endswith(" ") for _, text in song.lyrics] == [False, True, True, True]
    assert song.expression == {"text events": 1}
    assert not read_song(header() + track(meta(1, b"/a/path"), NOTE, END)).lyrics
