"""Clicks on the beat, mixes, loops without a seam, seams found where they are."""

import numpy as np
import pytest

from audio_bridge.sound import stems
from audio_bridge.sound.audio import Audio

RATE = 32_000


def sine(seconds: float, hz: float = 330.0, start: float = 0.0) -> np.ndarray:
    time = start + np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_clicks_begin_at_their_sample() -> None:
    track = stems.click([(0.0, True), (0.5, False), (0.99, False)], RATE, RATE).samples[0]
    assert track.size == RATE
    loud = np.flatnonzero(np.abs(track) > 1e-9)
    assert loud[0] == 0 and 16_000 in loud and not ((loud > 1000) & (loud < 16_000)).any()
    assert track[0] == pytest.approx(0.5) and track[16_000] == pytest.approx(0.3)


def test_a_mix_has_the_stems_at_their_levels() -> None:
    parts = {name: Audio(sine(0.1)[None], RATE) for name in ("conditioned", "melody")}
    expected = sine(0.1) * (1 + 10 ** (-9 / 20))
    assert stems.mixed(parts).samples[0] == pytest.approx(expected, abs=1e-6)


def test_fitted() -> None:
    short = stems.fitted(Audio(np.ones((2, 3), dtype=np.float32), RATE), 5)
    assert short.samples.tolist() == [[1, 1, 1, 0, 0]] * 2
    assert stems.fitted(short, 2).samples.tolist() == [[1, 1]] * 2


def test_a_loop_goes_on_where_it_ends() -> None:
    """330 Hz does not fit 1.0007 s, so a plain cut jumps; the loop's wrap is as smooth as its inside."""
    n = round(1.0007 * RATE)
    loop = stems.looped(Audio(sine(1.5)[None], RATE), n).samples[0]
    twice = np.concatenate([loop, loop])
    steps = np.abs(np.diff(twice))
    assert loop.size == n
    assert steps[n - 1] <= steps[2 * 16_000 : n - 1].max(initial=0.0) + np.abs(np.diff(sine(0.5))).max() * 1.1
    cut = np.concatenate([sine(1.0007), sine(1.0007)])
    assert stems.seam(cut, n, RATE) == 1.0 > stems.seam(twice, n, RATE)


def test_a_cut_is_the_strongest_change_of_a_steady_sound() -> None:
    joined = np.concatenate([sine(2.0), sine(2.0, 523.0)])
    assert stems.seam(joined, 64_000, RATE) == 1.0
    assert stems.seam(sine(4.0), 64_000, RATE) < 1.0
    assert stems.seam(sine(0.1), 10, RATE) == 0.0
