"""Features of a recording that valence and arousal depend on, in NumPy, over windows of WINDOW_SECONDS.

Input is mono at RATE hertz. The recording is brought to one level first (a louder copy of the same music must not seem
more excited); its dynamics remain as the spread of the level. Mode comes from a chroma of 100 to 2,000 Hz, since
timbre alone says hardly anything about valence (Eerola and Vuoskoski 2011: MFCC-type features, r .06).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.hearing.score_features import key_correlations
from symbolic.errors import UserError

Floats = NDArray[np.float64]
RATE = 16_000  # hertz
FRAME, HOP = 4096, 1024  # samples: 256 ms and 64 ms
WINDOW_SECONDS, STEP_SECONDS = 4.0, 1.0
LOWEST_HZ, HIGHEST_HZ = 100.0, 2000.0  # of the chroma
SILENCE_RMS = 1e-4  # of full scale
LEAST_SECONDS = 4.0
NAMES = (
    *("major", "minor", "mode", "log_onset_rate", "log_flux", "log_centroid", "log_rolloff", "level_sd"),
    *("level_range", "flatness", "log_frequency", "entropy", "low_share"),
)


class Spectra:
    """Magnitudes (frames, bins) of a recording at one level, with what every window needs."""

    def __init__(self, samples: NDArray[np.float32]) -> None:
        level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
        if len(samples) < LEAST_SECONDS * RATE:
            raise UserError(f"the recording lasts {len(samples) / RATE:.1f} s; {LEAST_SECONDS:g} s are the least.")
        if not np.isfinite(level) or level < SILENCE_RMS:
            raise UserError("the recording is silent: there is nothing to hear in it.")
        frames = np.lib.stride_tricks.sliding_window_view(samples / level, FRAME)[::HOP]
        self.magnitude = np.abs(np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), axis=1))
        self.times = (np.arange(len(frames)) * HOP + FRAME / 2) / RATE
        self.power = (frames.astype(np.float64) ** 2).mean(axis=1)
        self.chroma = self.magnitude**2 @ _chroma_bank()
        log_magnitude = np.log1p(self.magnitude)
        self.flux = np.concatenate([[0.0], np.maximum(np.diff(log_magnitude, axis=0), 0).mean(axis=1)])
        self.onsets = _peaks(self.flux)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return float(self.times[-1] + FRAME / 2 / RATE)


def whole(spectra: Spectra) -> Floats:
    """(13,) of the whole recording, in the order of NAMES."""
    return _features(spectra, np.ones(len(spectra.times), dtype=bool))


def windows(spectra: Spectra) -> tuple[Floats, Floats]:
    """Starts (n,) in seconds and features (n, 13) of windows of 4 s, one a second; a silent window has the features of
    the one before it."""
    starts = np.arange(0.0, max(spectra.seconds - WINDOW_SECONDS, 0.0) + 1e-6, STEP_SECONDS)
    rows: list[Floats] = []
    for start in starts:
        inside = (spectra.times >= start) & (spectra.times < start + WINDOW_SECONDS)
        silent = not inside.any() or spectra.power[inside].mean() < 1e-6
        rows.append((rows[-1] if rows else whole(spectra)) if silent else _features(spectra, inside))
    return starts, np.stack(rows)


def _features(spectra: Spectra, inside: NDArray[np.bool_]) -> Floats:
    magnitude = spectra.magnitude[inside].mean(axis=0)
    hertz = np.fft.rfftfreq(FRAME, 1 / RATE)
    share = magnitude / max(float(magnitude.sum()), 1e-12)
    level = 10 * np.log10(spectra.power[inside] + 1e-6)
    seconds = max(float(inside.sum()) * HOP / RATE, 0.5)
    major, minor, entropy = key_correlations(spectra.chroma[inside].sum(axis=0))
    pitched = (hertz >= 50) & (hertz <= 5000)
    return np.array([
        major,
        minor,
        major - minor,
        np.log(spectra.onsets[inside].sum() / seconds + 0.2),
        np.log(spectra.flux[inside].mean() + 1e-4),
        np.log((share * hertz).sum() + 1),
        np.log(hertz[np.searchsorted(np.cumsum(share), 0.85)] + 1),
        level.std(),
        np.subtract(*np.percentile(level, [95, 10])),
        np.exp(np.log(magnitude + 1e-6).mean()) / (magnitude.mean() + 1e-6),
        (np.log2(hertz[pitched]) * magnitude[pitched] ** 2).sum() / max((magnitude[pitched] ** 2).sum(), 1e-12),
        entropy,
        share[hertz < 200].sum(),
    ], dtype=np.float64)  # fmt: skip


@cache
def _chroma_bank() -> Floats:
    """(bins, 12): each bin between LOWEST_HZ and HIGHEST_HZ belongs to its nearest pitch class."""
    hertz = np.fft.rfftfreq(FRAME, 1 / RATE)
    bank = np.zeros((len(hertz), 12))
    inside = np.flatnonzero((hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ))
    pitch = 69 + 12 * np.log2(hertz[inside] / 440)
    closeness = np.exp(-0.5 * ((pitch - np.round(pitch)) / 0.2) ** 2)
    bank[inside, np.round(pitch).astype(int) % 12] = closeness
    return bank


def _peaks(flux: Floats) -> NDArray[np.bool_]:
    """Frames whose flux is a local maximum above the local mean by half a standard deviation."""
    padded = np.pad(flux, 8, mode="edge")
    local = np.lib.stride_tricks.sliding_window_view(padded, 17).mean(axis=1)
    higher = np.concatenate([[False], (flux[1:-1] >= flux[:-2]) & (flux[1:-1] > flux[2:]), [False]])
    return higher & (flux > local + 0.5 * flux.std())
