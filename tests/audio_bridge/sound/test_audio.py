"""Audio files, resampling and trimming."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_bridge.sound.audio import Audio, read_wav, resampled, trimmed, write_audio
from symbolic.errors import UsageError, UserError


def sine(hz: float, rate: int, seconds: float = 1.0, level: float = 0.5) -> Audio:
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return Audio(np.stack([wave, 0.5 * wave]).astype(np.float32), rate)


@pytest.mark.parametrize(
    ("name", "sample_format", "subtype", "error"),
    [
        ("a.wav", None, "PCM_16", 2**-15),
        ("a.wav", "pcm24", "PCM_24", 2**-22),
        ("a.WAV", "float", "FLOAT", 0.0),
        ("a.flac", None, "PCM_16", 2**-15),
        ("a.flac", "pcm24", "PCM_24", 2**-22),
    ],
)
def test_files_hold_the_samples(tmp_path: Path, name: str, sample_format: str, subtype: str, error: float) -> None:
    audio = sine(440, 44_100)
    write_audio(audio, tmp_path / name, sample_format)
    assert soundfile.info(tmp_path / name).subtype == subtype
    back = read_wav(tmp_path / name)
    assert back.sample_rate == 44_100
    np.testing.assert_allclose(back.samples, audio.samples, atol=error, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_mp3_holds_the_sound(tmp_path: Path) -> None:
    audio = sine(440, 32_000)
    write_audio(audio, tmp_path / "a.mp3")
    back = read_wav(tmp_path / "a.mp3")
    assert back.seconds == pytest.approx(1.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(back.samples[0]))
    assert np.argmax(spectrum) * 32_000 / back.samples.shape[1] == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("name", "rate", "sample_format"),
    [
        ("a.ogg", 44_100, None),
        ("a", 44_100, None),
        ("a.wav", 100, None),
        ("a.wav", 10**7, None),
        ("a.mp3", 96_000, None),
        ("a.mp3", 44_100, "pcm16"),
        ("a.flac", 44_100, "float"),
    ],
)
def test_formats_that_do_not_exist(tmp_path: Path, name: str, rate: int, sample_format: str | None) -> None:
    with pytest.raises(UsageError):
        write_audio(Audio(np.zeros((2, 100), np.float32), rate), tmp_path / name, sample_format)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF0000WAVE")
    with pytest.raises(UserError, match=r"a\.wav"):
        read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 96_000])
def test_resampling_keeps_the_wave_and_its_time(rate: int) -> None:
    got, expected = resampled(sine(1000, 48_000), rate), sine(1000, rate)
    assert got.samples.dtype == np.float32
    assert got.samples.shape == expected.samples.shape
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(got.samples[:, inner], expected.samples[:, inner], atol=2e-4)


def test_resampling_lets_nothing_fold_back() -> None:
    """12.5 kHz lies above the Nyquist frequency of 24 kHz and vanishes; 13 kHz lies in the pass band at 32 kHz."""
    folded = resampled(sine(12_500, 48_000), 24_000).samples[:, 2400:-2400]
    kept = resampled(sine(13_000, 48_000), 32_000).samples[:, 2400:-2400]
    assert np.abs(folded).max() < 0.5 * 10 ** (-80 / 20)
    assert np.abs(kept[0]).max() == pytest.approx(0.5, rel=0.01)


def test_trimming_cuts_silence_but_never_the_score() -> None:
    sound = sine(440, 1000, seconds=1.0).samples
    audio = Audio(np.concatenate([sound, np.zeros((2, 3000), np.float32)], axis=1), 1000)
    assert trimmed(audio, 0.5).seconds == pytest.approx(1.02, abs=0.005)
    assert trimmed(audio, 2.5).seconds == 2.5
    np.testing.assert_array_equal(trimmed(audio, 0.5).samples[:, :990], sound[:, :990])
    silence = Audio(np.zeros((2, 4000), np.float32), 1000)
    assert trimmed(silence, 0.5).seconds == 0.5


def test_a_notebook_shows_a_player_of_the_whole_sound() -> None:
    import base64
    import io
    import re

    page = sine(440, 24_000, 2.0)._repr_html_()
    found = re.fullmatch(r'<audio controls src="data:audio/mpeg;base64,([\w+/=]+)"></audio>', page)
    assert found is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])))
    assert rate == 24_000 and abs(len(samples) / rate - 2.0) < 0.1
