"""Recordings of others: M4A by PyAV in the guarded child, and what is said where nothing can read it."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_bridge.sound import recordings
from symbolic.errors import UserError

RATE, HZ, SECONDS = 44_100, 441.0, 2.0


def write_m4a(path: Path, with_sound: bool = True) -> None:
    """Two channels, the right one at half the level, with tags, by PyAV."""
    av = pytest.importorskip("av")
    wave = 0.5 * np.sin(2 * np.pi * HZ * np.arange(int(RATE * SECONDS)) / RATE).astype(np.float32)
    with av.open(path, "w", format="ipod") as container:
        container.metadata.update({"title": "Desgarrada", "artist": "Ana"})
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = 128_000
        for start in range(0, wave.size if with_sound else 0, 1024):
            part = wave[start : start + 1024]
            frame = av.AudioFrame.from_ndarray(np.stack([part, part / 2]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_m4a_comes_back_with_pitch_level_length_and_tags(tmp_path: Path) -> None:
    write_m4a(tmp_path / "a.m4a")
    found = recordings.read(tmp_path / "a.m4a")
    assert found.tags == {"title": "Desgarrada", "artist": "Ana"}
    assert found.audio.sample_rate == RATE and found.audio.samples.shape[0] == 2
    assert found.audio.seconds == pytest.approx(SECONDS, abs=0.05)
    middle = found.audio.samples[:, RATE // 2 : RATE // 2 + RATE]  # a second: a bin is a hertz
    assert np.abs(np.fft.rfft(middle[0])).argmax() == HZ
    assert np.sqrt((middle**2).mean(axis=1)) == pytest.approx([0.5 / 2**0.5, 0.25 / 2**0.5], rel=0.02)


def test_damaged_m4a_is_a_message(tmp_path: Path) -> None:
    write_m4a(tmp_path / "a.m4a")
    data = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "cut.m4a").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.m4a").write_bytes(b"this is no sound\n" * 50)
    for name in ("cut", "text"):
        with pytest.raises(UserError, match=rf"{name}.m4a failed: it (is damaged|has no sound).* Convert it to WAV"):
            recordings.read(tmp_path / f"{name}.m4a")


def test_m4a_longer_than_allowed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_m4a(tmp_path / "a.m4a")
    monkeypatch.setattr(recordings, "MOST_SECONDS", 1.0)
    with pytest.raises(UserError, match="lasts more than"):
        recordings.read(tmp_path / "a.m4a")


def test_without_a_reader_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"need PyAV \(pip install 'abc-symbolic\[m4a\]'\) or ffmpeg"):
        recordings._by_ffmpeg("a.m4a", "out.wav", 10.0)


@pytest.mark.skipif(bool(importlib.util.find_spec("av") or shutil.which("ffmpeg")), reason="a reader is here")
def test_the_message_reaches_the_person(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0 ftypM4A ")
    with pytest.raises(UserError, match="need PyAV"):
        recordings.read(tmp_path / "a.m4a")


def write_cut_mp3(path: Path, seconds: float, share: float) -> np.ndarray:
    """A rising tone as MP3 whose end is lost; returns the samples that were there before."""
    soundfile = pytest.importorskip("soundfile")
    time = np.arange(int(32_000 * seconds)) / 32_000
    wave = (0.3 * np.sin(2 * np.pi * (200 + 20 * time) * time)).astype(np.float32)
    soundfile.write(path, wave, 32_000)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return wave


def test_a_file_that_was_cut_off_ends_where_its_sound_ends(tmp_path: Path) -> None:
    wave = write_cut_mp3(tmp_path / "cut.mp3", 36, 0.5)  # more than one block of samples
    found = recordings.read(tmp_path / "cut.mp3")
    assert found.claimed_seconds == pytest.approx(36, abs=0.1)
    assert found.audio.seconds == pytest.approx(18, abs=0.5)
    assert np.abs(found.audio.samples[0, -3200:]).max() > 0.2, "no silence behind the end"
    assert np.corrcoef(found.audio.samples[0], wave[: found.audio.samples.shape[1]])[0, 1] > 0.99


def test_a_whole_file_claims_what_it_holds(tmp_path: Path) -> None:
    write_cut_mp3(tmp_path / "whole.mp3", 3, 1.0)
    found = recordings.read(tmp_path / "whole.mp3")
    assert found.claimed_seconds == pytest.approx(found.audio.seconds, abs=0.1)


def test_nothing_hidden_is_found(tmp_path: Path) -> None:
    for name in ("a.wav", "more/b.wav", ".c.wav", ".trash/d.wav", "more/.old/e.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert recordings.find(tmp_path) == [tmp_path / "a.wav", tmp_path / "more" / "b.wav"]
    hidden = tmp_path / ".music"  # a hidden folder that was named is looked at
    hidden.mkdir()
    (hidden / "f.wav").write_bytes(b"")
    assert recordings.find(hidden) == [hidden / "f.wav"]


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_comes_back_with_pitch_level_and_length(tmp_path: Path, channels: int) -> None:
    rate = 48_000
    wave = 0.4 * np.sin(2 * np.pi * HZ * np.arange(int(rate * SECONDS)) / rate)
    path = tmp_path / "take 2.opus"
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, format="OGG", subtype="OPUS")
    assert recordings.find(tmp_path) == [path]
    audio = recordings.read(path).audio
    assert audio.samples.shape[0] == channels and abs(audio.seconds - SECONDS) < 0.05
    middle = audio.samples[0][audio.sample_rate // 2 : audio.sample_rate * 3 // 2]
    hz = np.argmax(np.abs(np.fft.rfft(middle))) * audio.sample_rate / middle.size
    assert abs(hz - HZ) < 1.5 and abs(np.abs(middle).max() - 0.4) < 0.05
