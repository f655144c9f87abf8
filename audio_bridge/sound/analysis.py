"""What a melody's sound says: pitch, onsets, tempo, key. Mono float32 samples at 32 kHz in, NumPy out.

Pitch: YIN (de Cheveigné and Kawahara, JASA 2002), steps 1-5. Onsets: spectral flux of logarithmic bands with a maximum
filter against vibrato (Böck and Widmer, "SuperFlux", DAFx 2013). Tempo: autocorrelation of the flux under a log-normal
preference for 120 a minute (Ellis, JNMR 2007). Key: correlation with the Krumhansl-Kessler profiles (1990).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound import chroma
from audio_bridge.sound.audio import MUSICGEN_RATE

SAMPLE_RATE = MUSICGEN_RATE
Floats = NDArray[np.float64]

_PITCH_HOP, _PITCH_WINDOW = 512, 1280  # 16 ms, 40 ms: two periods of the lowest pitch and more
LOWEST_HZ, HIGHEST_HZ = 60.0, 2200.0
_YIN_THRESHOLD = 0.15
_FLUX_HOP, _FLUX_WINDOW = 320, 2048  # 10 ms, 64 ms
_N_BANDS = 240  # at most: half a semitone apart where the transform tells them
_PEAK_MARGIN = 0.12  # above the local mean, of the scaled flux
_LEAST_SCALE = 0.5  # of the strongest rise: where notes are rare, the 95 % point is the noise between them
TEMPO_RANGE = (40.0, 240.0)
_PREFERRED_BPM, _PREFERENCE_OCTAVES = 120.0, 1.0
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True)
class Track:
    """Fundamental frequency against time; 0 Hz where there is no pitch."""

    seconds: Floats
    hz: Floats


def pitch(samples: NDArray[np.float32]) -> Track:
    """YIN every 16 ms."""
    longest = int(SAMPLE_RATE / LOWEST_HZ)
    padded = np.pad(samples.astype(np.float64), (_PITCH_WINDOW // 2, _PITCH_WINDOW + longest))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _PITCH_WINDOW + longest)[::_PITCH_HOP]
    frames = frames[: 1 + samples.size // _PITCH_HOP]
    hz = np.concatenate([_yin(part, longest) for part in np.array_split(frames, max(1, len(frames) // 256))])
    return Track(np.arange(len(hz)) * _PITCH_HOP / SAMPLE_RATE, hz)


def flux(samples: NDArray[np.float32]) -> Floats:
    """Rise of the logarithmic spectrum every 10 ms."""
    from scipy.fft import rfft
    from scipy.ndimage import maximum_filter1d
    from scipy.signal import get_window

    padded = np.pad(samples, _FLUX_WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FLUX_WINDOW)[::_FLUX_HOP]
    window = get_window("hann", _FLUX_WINDOW).astype(np.float32)
    places = np.unique(np.round(np.geomspace(60, 14_000, _N_BANDS) * _FLUX_WINDOW / SAMPLE_RATE).astype(int))
    parts = [np.abs(rfft(part * window, axis=1)) for part in np.array_split(frames, max(1, len(frames) // 512))]
    bands = np.concatenate([np.add.reduceat(part, places, axis=1) for part in parts])
    level = np.log10(1 + bands)
    lag = 2
    before = np.concatenate([np.zeros((lag, level.shape[1])), level[:-lag]])  # silence before the sound
    return np.maximum(level - maximum_filter1d(before, 3, axis=1), 0).sum(axis=1)


def onsets(samples: NDArray[np.float32]) -> Floats:
    """Seconds at which notes begin."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    curve = flux(samples)
    curve = curve / max(float(np.percentile(curve, 95)), _LEAST_SCALE * float(curve.max()), 1e-9)
    highest = maximum_filter1d(curve, 7) == curve
    peaks = np.flatnonzero(highest & (curve > uniform_filter1d(curve, 21) + _PEAK_MARGIN))
    kept: list[int] = []
    for peak in peaks:
        if not kept or peak - kept[-1] >= 3:
            kept.append(int(peak))
    return np.array(kept, dtype=np.float64) * _FLUX_HOP / SAMPLE_RATE


def tempo(samples: NDArray[np.float32]) -> float | None:
    """Beats a minute of the strongest pulse; None for a sound without one."""
    curve = flux(samples)
    curve = curve - curve.mean()
    if not curve.any():
        return None
    size = 1 << int(np.ceil(np.log2(2 * len(curve))))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(curve, size)) ** 2)[: len(curve)]
    frames_a_minute = 60 * SAMPLE_RATE / _FLUX_HOP
    lags = np.arange(int(frames_a_minute / TEMPO_RANGE[1]), int(frames_a_minute / TEMPO_RANGE[0]) + 1)
    lags = lags[lags < len(correlation) - 1]
    if not lags.size:
        return None
    octaves = np.log2(frames_a_minute / lags / _PREFERRED_BPM) / _PREFERENCE_OCTAVES
    best = int(lags[np.argmax(correlation[lags] * np.exp(-0.5 * octaves**2))])
    return float(frames_a_minute / (best + _vertex(*correlation[best - 1 : best + 2])))


def key(weights: Floats) -> str:
    """The key, such as 'D major', whose profile is nearest to weights of the 12 pitch classes; C major
    where all weigh alike, as in silence."""
    if np.ptp(weights) == 0:
        return "C major"
    scores = {}
    for mode, profile in (("major", _MAJOR), ("minor", _MINOR)):
        for tonic in range(12):
            scores[f"{KEYS[tonic]} {mode}"] = float(np.corrcoef(np.roll(profile, tonic), weights)[0, 1])
    return max(scores, key=lambda name: scores[name])


def high_passed(samples: NDArray[np.float32], hz: float = 261.2) -> NDArray[np.float32]:
    """A second-order Butterworth high pass, by default at middle C: takes bass and accompaniment away."""
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(2, hz, "highpass", fs=SAMPLE_RATE, output="sos"), samples).astype(np.float32)


def pitch_class_weights(samples: NDArray[np.float32]) -> Floats:
    """Mean chroma energy of a sound."""
    return chroma.energies(samples).mean(axis=0).astype(np.float64)


def _yin(frames: Floats, longest: int) -> Floats:
    """Pitch of each frame (frames, window + longest) in hertz, 0 where the dip is not deep enough."""
    size = 1 << int(np.ceil(np.log2(frames.shape[1] + _PITCH_WINDOW)))
    head = frames[:, :_PITCH_WINDOW]
    spectrum = np.fft.rfft(frames, size, axis=1) * np.conj(np.fft.rfft(head, size, axis=1))
    cross = np.fft.irfft(spectrum, size, axis=1)[:, : longest + 1]
    squares = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    power = squares[:, _PITCH_WINDOW : _PITCH_WINDOW + longest + 1] - squares[:, : longest + 1]
    difference = np.maximum(power[:, :1] + power - 2 * cross, 0)
    running = np.cumsum(difference[:, 1:], axis=1)
    lags = np.arange(1, longest + 1)
    normal = difference[:, 1:] * lags / np.maximum(running, 1e-12)  # step 3; column i is lag i + 1
    first = int(SAMPLE_RATE / HIGHEST_HZ) - 1
    below = normal[:, first:] < _YIN_THRESHOLD
    chosen = np.zeros(len(frames), dtype=int)
    voiced = below.any(axis=1) & (power[:, 0] > 1e-6 * _PITCH_WINDOW)
    for row in np.flatnonzero(voiced):
        place = first + int(np.argmax(below[row]))
        while place + 1 < longest and normal[row, place + 1] < normal[row, place]:  # to the bottom of the dip
            place += 1
        chosen[row] = place
    hz = np.zeros(len(frames))
    for row in np.flatnonzero(voiced & (chosen > 0) & (chosen < longest - 1)):
        place = chosen[row]
        hz[row] = SAMPLE_RATE / (place + 1 + _vertex(*-normal[row, place - 1 : place + 2]))
    return hz


def _vertex(before: float, here: float, after: float) -> float:
    """Where a parabola through three points has its extreme, as an offset from the middle one."""
    curvature = before - 2 * here + after
    return 0.0 if curvature == 0 else float(np.clip(0.5 * (before - after) / curvature, -1, 1))
