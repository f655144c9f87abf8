"""MP3: what is decoded is as long as what was encoded and lies at the same time, at every rate."""

import io

import numpy as np
import pytest
import soundfile

from audio_bridge.sound import mp3
from audio_bridge.sound.audio import Audio


def encoded(sound: Audio) -> bytes:
    return mp3.encode(sound.samples, sound.sample_rate)


def sweep(rate: int, channels: int, n_samples: int) -> Audio:
    """A rising tone after a tenth of a second of silence."""
    t = np.arange(n_samples) / rate
    wave = 0.4 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (t > 0.1)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


@pytest.mark.parametrize("rate", [rate for rates in mp3.SAMPLE_RATES.values() for rate in rates])
@pytest.mark.parametrize("channels", [1, 2])
def test_decoded_sound_has_the_length_and_time_of_the_encoded(rate: int, channels: int) -> None:
    sound = sweep(rate, channels, rate * 2 + 123)
    back, back_rate = soundfile.read(io.BytesIO(encoded(sound)), dtype="float32", always_2d=True)
    assert (back_rate, back.shape) == (rate, (rate * 2 + 123, channels))
    middle = slice(2000, -2000)
    lags = range(-50, 51)
    likeness = [float(sound.samples[0, middle] @ np.roll(back[:, 0], -lag)[middle]) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0


@pytest.mark.parametrize("n_samples", [0, 1, 100, 1152])
def test_short_sounds(n_samples: int) -> None:
    data = encoded(sweep(48_000, 2, n_samples))
    assert soundfile.read(io.BytesIO(data))[0].shape == (n_samples, 2)


def test_tag_tells_frames_and_bytes() -> None:
    data = encoded(sweep(44_100, 2, 44_100))
    lengths = list(mp3.frame_lengths(data))
    place = data.index(b"Xing")
    assert sum(lengths) == len(data)
    assert int.from_bytes(data[place + 8 : place + 12], "big") == len(lengths) - 1
    assert int.from_bytes(data[place + 12 : place + 16], "big") == len(data)


def test_loud_sound_is_not_turned_over() -> None:
    sound = Audio(np.full((1, 48_000), 1.5, np.float32), 48_000)
    back = soundfile.read(io.BytesIO(encoded(sound)), dtype="float32")[0]
    assert back[10_000:30_000].min() > 0
