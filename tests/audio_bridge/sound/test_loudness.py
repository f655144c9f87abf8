"""Loudness and true peak against the standard's own numbers (ITU-R BS.1770-5, EBU Tech 3341)."""

import math

import numpy as np
import pytest

from audio_bridge.sound.audio import Audio
from audio_bridge.sound.loudness import integrated_lufs, k_weighting, measured, normalised, true_peak_dbtp

RATE = 48_000


def sine(seconds: float, dbfs: float, hz: float = 1000.0, channels: int = 2, rate: int = RATE) -> Audio:
    """A sine of a peak level in each channel."""
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


def joined(*parts: Audio) -> Audio:
    return Audio(np.concatenate([part.samples for part in parts], axis=1), parts[0].sample_rate)


def test_filters_are_the_standards_table_at_48_khz() -> None:
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48_000), [shelf, high_pass], atol=1e-8)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000, 96_000])
def test_full_scale_sine_in_one_channel_reads_minus_3_01(rate: int) -> None:
    assert integrated_lufs(sine(5, 0.0, hz=997.0, channels=1, rate=rate)) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize(
    ("parts", "lufs"),
    [
        ([(20, -23)], -23.0),
        ([(20, -33)], -33.0),
        ([(10, -36), (60, -23), (10, -36)], -23.0),
        ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23.0),
        ([(20, -26), (20.1, -20), (20, -26)], -23.0),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
def test_ebu_tech_3341_cases(parts: list[tuple[float, float]], lufs: float) -> None:
    audio = joined(*(sine(seconds, dbfs) for seconds, dbfs in parts))
    assert integrated_lufs(audio) == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize(("hz", "degrees"), [(12_000, 0), (12_000, 45), (8_000, 60), (6_000, 67.5)])
def test_true_peak_between_the_samples(hz: float, degrees: float) -> None:
    """Tech 3341 cases 15-18: a sine of amplitude 0.5, whose samples miss its crest, reads -6.0 +0.2 -0.4 dBTP."""
    t = np.arange(RATE) / RATE
    window = np.minimum(1, np.minimum(t, t[::-1]) / 0.1)  # fades, for the edges are no part of the sine
    wave = 0.5 * window * np.sin(2 * np.pi * hz * t + np.radians(degrees))
    assert -6.4 <= true_peak_dbtp(Audio(wave[None].astype(np.float32), RATE)) <= -5.8


def test_true_peak_does_not_depend_on_the_chunks() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, (1, (1 << 20) + 300)).astype(np.float32)
    wave[0, (1 << 20) - 1 : (1 << 20) + 1] = 0.9  # a crest on the seam
    alone = wave[:, (1 << 20) - 500 :]
    assert true_peak_dbtp(Audio(wave, RATE)) == pytest.approx(true_peak_dbtp(Audio(alone, RATE)), abs=1e-4)


def test_loudness_does_not_depend_on_the_chunks() -> None:
    audio = sine(60, -23)
    assert audio.samples.shape[1] > 1 << 20
    assert integrated_lufs(audio) == pytest.approx(integrated_lufs(sine(5, -23)), abs=0.01)


def test_normalised_reaches_the_target() -> None:
    louder, levels = normalised(sine(3, -30), -16.0)
    assert measured(louder).loudness_lufs == pytest.approx(-16.0, abs=0.05)
    assert levels.loudness_lufs == pytest.approx(-16.0, abs=1e-6)
    assert not levels.limited


def test_the_peak_sets_the_gain_before_it_clips() -> None:
    clicks = np.zeros((1, 3 * RATE), np.float32)
    clicks[:, ::2000] = 0.25
    louder, levels = normalised(Audio(clicks, RATE), -10.0)
    assert levels.limited
    assert measured(louder).peak_dbtp == pytest.approx(-1.0, abs=0.01)
    assert levels.loudness_lufs < -10.5


def test_silence_and_short_sounds() -> None:
    silence = Audio(np.zeros((2, RATE), np.float32), RATE)
    same, levels = normalised(silence, -18.0)
    assert levels.loudness_lufs == levels.peak_dbtp == -math.inf
    assert same is silence
    assert integrated_lufs(Audio(np.zeros((2, 0), np.float32), RATE)) == -math.inf
    assert integrated_lufs(sine(0.25, -23)) == pytest.approx(-23.0, abs=0.3)
