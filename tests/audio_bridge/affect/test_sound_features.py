"""Features of recordings."""

import numpy as np
import pytest

from audio_bridge.affect import sound_features
from audio_bridge.affect.sound_features import NAMES, RATE, Spectra
from symbolic.errors import UserError


def chord(pitches: tuple[int, ...], seconds: float = 6.0, beats: float = 2.0) -> np.ndarray:
    """Decaying tones with three partials, struck `beats` times a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    envelope = np.exp(-4 * (time * beats % 1) / beats)
    tones = sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * n * time) / n for p in pitches for n in (1, 2, 3))
    return (0.1 * envelope * tones).astype(np.float32)


def _of(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, sound_features.whole(Spectra(samples)).tolist()))


def test_mode_register_and_onsets_are_heard() -> None:
    major, minor = _of(chord((60, 64, 67, 72))), _of(chord((60, 63, 67, 72)))
    assert major["mode"] > minor["mode"] + 0.1
    assert _of(chord((72, 76, 79)))["log_frequency"] > major["log_frequency"] + 0.5
    assert _of(chord((60, 64, 67), beats=4.0))["log_onset_rate"] > major["log_onset_rate"] + 0.3


def test_a_louder_copy_has_the_same_features() -> None:
    samples = chord((60, 64, 67))
    assert sound_features.whole(Spectra(samples)) == pytest.approx(sound_features.whole(Spectra(samples * 3)), abs=1e-3)


@pytest.mark.parametrize(("seconds", "gain", "message"), [(3.0, 1.0, "4 s are the least"), (6.0, 0.0, "is silent")])
def test_silence_and_a_moment_are_refused(seconds: float, gain: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Spectra(chord((60,), seconds) * np.float32(gain))


def test_windows_go_on_through_silence() -> None:
    samples = np.concatenate([chord((60, 64, 67)), np.zeros(8 * RATE, np.float32), chord((60, 63, 67))])
    starts, rows = sound_features.windows(Spectra(samples))
    assert len(starts) == len(rows) == 16 and np.isfinite(rows).all()
    assert (rows[8] == rows[7]).all() or (rows[9] == rows[8]).all()
