"""MIDI files: exact round trips, signatures and tempo, and files that must be refused."""

import random
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic.errors import UserError
from symbolic.formats import midi
from symbolic.formats.file_bytes import MAX_BYTES
from symbolic.notation.abc_parser import NotationError, Score, Sound, parse, performance

Q = midi.TICKS_PER_QUARTER
TUNE = "X:1\nT:Test reel\n{extra}M:4/4\nL:1/8\nK:{key}\n{body}\n"


def tune(body: str = "GABc d4|g8|", key: str = "G", extra: str = "") -> Score:
    return parse(TUNE.format(body=body, key=key, extra=extra))


def meta(file: mido.MidiFile, kind: str) -> list[tuple[int, mido.MetaMessage]]:
    """(tick, message) of one kind of meta message in the conductor track."""
    tick, found = 0, []
    for message in file.tracks[0]:
        tick += message.time
        if message.type == kind:
            found.append((tick, message))
    return found


@st.composite
def melodies(draw: st.DrawFn) -> list[Sound]:
    """Up to three voices of notes and rests that do not overlap within a voice."""
    sounds = []
    for voice in range(draw(st.integers(1, 3))):
        onset = 0
        for gap, ticks, pitch in draw(
            st.lists(st.tuples(st.sampled_from([0, 1, Q]), st.integers(1, 3 * Q), st.integers(0, 127)), min_size=1)
        ):
            sounds.append(Sound(voice, onset + gap, ticks, pitch))
            onset += gap + ticks
    return sorted(sounds, key=lambda s: (s.onset_ticks, s.voice, s.midi))


@settings(max_examples=60, deadline=None)
@given(melodies())
def test_sounds_survive_the_file(tmp_path_factory: pytest.TempPathFactory, sounds: list[Sound]) -> None:
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    midi.write_midi(sounds, path)
    assert midi.read_notes(path) == sounds


def test_a_score_survives_the_file_with_repeats_unrolled(tmp_path: Path) -> None:
    score = tune("|:(3GAB d>e [Gd]2-|[Gd]8:|")
    midi.write_midi(score, tmp_path / "a.mid")
    played = midi.read_notes(tmp_path / "a.mid")
    assert played == performance(score)
    once = performance(score, repeats=False)
    assert len(played) == 2 * len(once) and played[: len(once)] == once


def test_same_music_gives_same_bytes() -> None:
    assert midi.to_bytes(midi.build(tune())) == midi.to_bytes(midi.build(tune()))
    assert midi.to_bytes(midi.build(tune())) != midi.to_bytes(midi.build(tune(), tempo_qpm=99))


def test_one_track_and_channel_a_voice_and_no_voice_on_the_drums() -> None:
    file = midi.build([Sound(voice, 0, Q, 60 + voice) for voice in range(12)])
    channels = [{m.channel for m in track if m.type == "note_on"} for track in file.tracks[1:]]
    assert len(file.tracks) == 13
    assert all(len(own) == 1 for own in channels)
    assert set.union(*channels) == set(range(13)) - {midi.DRUM_CHANNEL}


@pytest.mark.parametrize(
    ("key", "name"),
    [("G", "G"), ("Em", "Em"), ("Ador", "G"), ("Dmix", "G"), ("Gb", "Gb"), ("C#", "C#"), ("Abm", "Abm")],
)
def test_key_signature(key: str, name: str) -> None:
    assert [(tick, m.key) for tick, m in meta(midi.build(tune(key=key)), "key_signature")] == [(0, name)]


def test_signatures_change_where_the_music_does() -> None:
    file = midi.build(tune("|:G8|A8:|[M:6/8][K:D]d6|"))
    times = [(tick, f"{m.numerator}/{m.denominator}") for tick, m in meta(file, "time_signature")]
    assert times == [(0, "4/4"), (16 * Q, "6/8")]  # two bars, played twice
    assert [(tick, m.key) for tick, m in meta(file, "key_signature")] == [(0, "G"), (16 * Q, "D")]


def test_a_repeat_goes_back_to_the_signatures_of_its_start() -> None:
    file = midi.build(tune("|:G8|[K:D][M:3/4]f6:|[K:C]c6|"))
    assert [(tick, m.key) for tick, m in meta(file, "key_signature")] == [
        (0, "G"), (4 * Q, "D"), (7 * Q, "G"), (11 * Q, "D"), (14 * Q, "C")
    ]  # fmt: skip
    times = [(tick, m.numerator) for tick, m in meta(file, "time_signature")]
    assert times == [(0, 4), (4 * Q, 3), (7 * Q, 4), (11 * Q, 3)]


def test_a_repeated_note_sounds_twice_and_a_unison_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    midi.write_midi([Sound(0, 0, Q, 60), Sound(0, Q, Q, 60)], path)
    assert len(midi.read_notes(path)) == 2
    midi.write_midi([Sound(0, 0, Q, 60), Sound(0, 0, 3 * Q, 60), Sound(0, 2 * Q, Q, 60)], path)
    assert midi.read_notes(path) == [Sound(0, 0, 2 * Q, 60), Sound(0, 2 * Q, Q, 60)]


@pytest.mark.parametrize(
    ("field", "qpm"),
    [
        ("1/4=120", 120),
        ("3/8=120", 180),
        ("1/2 = 104", 208),
        ("120", 60),  # unit notes of 1/8
        ('"Allegro" 1/4=96', 96),
        ('3/8=50 "Slowly"', 75),
        ("1/4 3/8 1/4 3/8=40", 200),
        ('"Adagio"', 66),
        ("Allegretto", 112),
        ("1/4=92.5", 92.5),
    ],
)
def test_tempo_of_the_q_field(field: str, qpm: float) -> None:
    assert midi.score_qpm(tune(extra=f"Q:{field}\n")) == pytest.approx(qpm)


@pytest.mark.parametrize(
    ("rhythm", "meter", "qpm"),
    [
        ("reel", "4/4", 180),
        ("Double Jig", "6/8", 165),
        ("Slip jig", "9/8", 165),
        ("", "6/8", 165),
        ("", "3/4", 120),
        ("", "C|", 180),
        ("", "none", 120),
        ("unheard of", "4/4", 120),
    ],
)
def test_default_tempo_by_rhythm_then_metre(rhythm: str, meter: str, qpm: float) -> None:
    score = parse(f"X:1\nR:{rhythm}\nM:{meter}\nL:1/8\nK:G\nG2|\n")
    assert midi.score_qpm(score) == qpm


@pytest.mark.parametrize("field", ["1/4=999999", "1/4=0", "0", "1/64=1"])
def test_absurd_tempo_is_refused(field: str) -> None:
    with pytest.raises(NotationError, match="no playable tempo") as caught:
        midi.score_qpm(tune(extra=f"Q:{field}\n"))
    assert caught.value.reason == "bad_tempo"


@pytest.mark.parametrize("field", ["", "lively!", "1/0=120", "=", "1/4="])
def test_unreadable_tempo_falls_to_the_default(field: str) -> None:
    assert midi.score_qpm(tune(extra=f"R:reel\nQ:{field}\n")) == 180


def test_seconds_follow_tempo_changes() -> None:
    file = midi.build([Sound(0, 0, 4 * Q, 60)], tempo_qpm=120)
    assert midi.seconds(file) == pytest.approx(2.0)
    file.tracks[0].insert(1, mido.MetaMessage("set_tempo", tempo=1_000_000, time=2 * Q))
    assert midi.seconds(file) == pytest.approx(1.0 + 2.0)
    assert (midi.first_tempo(file), midi.last_tempo(file)) == (500_000, 1_000_000)
    assert midi.seconds(file) == pytest.approx(file.length)


def test_read_notes_knows_running_tracks_drums_and_open_notes(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=96)
    track = mido.MidiTrack()
    track.append(mido.Message("note_on", channel=9, note=36, velocity=100))
    track.append(mido.Message("note_on", channel=2, note=60, velocity=100))
    track.append(
        mido.Message("note_on", channel=2, note=60, velocity=0, time=96)
    )  # a release, as running status has it
    track.append(mido.Message("note_on", channel=2, note=64, velocity=100))
    track.append(mido.MetaMessage("end_of_track", time=48))
    file.tracks.append(track)
    file.save(tmp_path / "a.mid")
    assert midi.read_notes(tmp_path / "a.mid") == [Sound(0, 0, Q, 60), Sound(0, Q, Q // 2, 64)]


@pytest.mark.parametrize("sounds", [[], [Sound(0, 0, Q, 128)], [Sound(0, 0, 0, 60)], [Sound(0, -1, Q, 60)]])
def test_music_that_midi_cannot_hold(sounds: list[Sound], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        midi.write_midi(sounds, tmp_path / "a.mid")
    assert list(tmp_path.iterdir()) == []


def header(n_tracks: int = 1, kind: int = 1, division: int = 480) -> bytes:
    return b"MThd" + (6).to_bytes(4, "big") + b"".join(x.to_bytes(2, "big") for x in (kind, n_tracks, division))


def chunk(*events: bytes) -> bytes:
    body = b"".join(events)
    return b"MTrk" + len(body).to_bytes(4, "big") + body


NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"
END = b"\x00\xff\x2f\x00"
LATE = b"\xff\xff\xff\x7f\x90\x3c\x00"  # the longest delta time there is: 268 million ticks


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin as a MIDI file"),
        (b"X:1\nK:G\n", "does not begin as a MIDI file"),
        (b"MThd", "not a readable"),
        (header(), "no track with events"),
        (header() + chunk(b"\x00\x3c\x40", END), "no track with events"),
        (header(kind=2) + 2 * chunk(NOTE, END), "type 2"),
        (header(division=0) + chunk(NOTE, END), "no unit of time"),
        (header() + chunk(b"\x00\xff\x51\x03\x00\x00\x00", NOTE, END), "tempo at tick 0"),
        (header() + chunk(b"\x00\xff\x51\x03\xff\xff\xff", NOTE, END), "tempo at tick 0"),
        (header(division=1) + chunk(LATE, END), "hours"),
        (header() + chunk(NOTE, END) + bytes(MAX_BYTES["midi"]), "larger than"),
    ],
)
def test_hostile_files_are_refused_by_name(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.mid"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        midi.read_notes(path)
    assert "hostile.mid" in str(caught.value) and "Error" not in str(caught.value)


def test_too_many_notes(tmp_path: Path) -> None:
    path = tmp_path / "black.mid"
    path.write_bytes(header() + chunk(b"\x00\x90\x3c\x40", b"\x00\x3c\x40" * midi.MAX_NOTES, END))
    with pytest.raises(UserError, match="200,001 notes"):
        midi.read_notes(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.mid", tmp_path):
        with pytest.raises(UserError, match="cannot read"):
            midi.read_notes(path)


def test_damaged_files_raise_nothing_but_user_errors(tmp_path: Path) -> None:
    whole = midi.to_bytes(midi.build(tune("|:(3GAB d>e [Gd]2-|[Gd]8:|")))
    generator = random.Random(0)
    path, refused = tmp_path / "a.mid", 0
    for _ in range(400):
        data = bytearray(whole[: generator.choice([len(whole), generator.randrange(4, len(whole))])])
        for _ in range(generator.randrange(4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data)
        try:
            midi.read_notes(path)
        except UserError:
            refused += 1
    assert 50 < refused < 200


def test_a_tempo_at_the_first_note_takes_the_place_of_the_header() -> None:
    score = parse("X:1\nT:x\nM:4/4\nL:1/4\nQ:1/4=120\nK:C\n[Q:1/4=60]CDEF|]\n")
    assert [(tick, message.tempo) for tick, message in meta(midi.build(score), "set_tempo")] == [(0, 1_000_000)]
