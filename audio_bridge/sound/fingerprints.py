"""Spectral fingerprints: is a stretch of one sound also in another?

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): the signs of energy differences
between neighbouring bands and frames. Two sounds agree in a share of bits: 1 for the same recording at any level, about
0.5 for strangers. A passage of 5 s is slid along the other sound; here frames are 64 ms apart, for speed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE

SAMPLE_RATE = MUSICGEN_RATE
HOP, WINDOW = 2048, 8192
N_BITS = 32
LOWEST_HZ, HIGHEST_HZ = 200.0, 3200.0
PASSAGE_SECONDS = 5.0
SAME = 0.8  # agreement from which two passages are the same recording; strangers of one instrument stay below 0.7
QUIET = 1e-9  # mean power of a band below which its sign means nothing

Bits = NDArray[np.int8]


def fingerprint(samples: NDArray[np.float32]) -> Bits:
    """Signs (frames, 32) of mono samples at 32 kHz: 1, -1, or 0 where it is silent."""
    if samples.size < WINDOW + HOP:
        return np.zeros((0, N_BITS), dtype=np.int8)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.concatenate([_bands(part) for part in np.array_split(frames, max(1, len(frames) // 64))])
    change = np.diff(np.diff(power, axis=1), axis=0)
    heard = power[1:].mean(axis=1, keepdims=True) > QUIET
    return np.where(heard, np.sign(change), 0).astype(np.int8)


def agreement(one: Bits, other: Bits, passage_seconds: float = PASSAGE_SECONDS) -> float:
    """The largest share of equal bits between a passage of `one` and a place in `other`; 0 where either is empty."""
    length = min(round(passage_seconds * SAMPLE_RATE / HOP), len(one), len(other))
    if length == 0:
        return 0.0
    starts = range(0, len(one) - length + 1, max(1, length // 2))
    return max(_best(one[start : start + length], other) for start in starts)


def nearest(query: Bits, others: Sequence[Bits]) -> tuple[int, float]:
    """Index of the sound with the largest agreement, and the agreement; (-1, 0) where there is none."""
    scores = [agreement(query, other) for other in others]
    best = int(np.argmax(scores)) if scores else -1
    return best, scores[best] if scores else 0.0


def _bands(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean power (frames, 33) of logarithmic bands."""
    from scipy.fft import rfft
    from scipy.signal import get_window

    spectrum = rfft(frames * get_window("hann", WINDOW).astype(np.float32), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) / WINDOW
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, N_BITS + 2) * WINDOW / SAMPLE_RATE
    places = np.maximum(np.round(edges).astype(int), 1)
    return np.add.reduceat(power, places, axis=1)[:, :-1]


def _best(passage: Bits, other: Bits) -> float:
    """Largest share of equal bits over all places, by correlation."""
    from scipy.signal import fftconvolve

    if len(other) < len(passage):
        return 0.0
    matches = fftconvolve(other.astype(np.float32), passage[::-1].astype(np.float32), mode="valid", axes=0).sum(axis=1)
    return float((1 + matches.max() / passage.size) / 2)
