"""Integrated loudness and true peak, and the gain that brings a sound to a loudness without clipping.

Recommendation ITU-R BS.1770-5: K-weighting (a high shelf and a high pass), mean square over blocks of 400 ms that start
every 100 ms, an absolute gate at -70 LUFS and a relative one 10 LU below; true peak from four times the sample rate.
The filters are given there for 48 kHz only; for other rates their analogue prototypes are put through the bilinear
transform with the constants that give the 48 kHz table back (De Man, 'Evaluation of implementations of the EBU R128
loudness measurement', AES 2018). Sounds of one or two channels, each of weight 1. A sound shorter than a block is
measured as one block of its own length.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import Audio

BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
OFFSET_LU = -0.691  # so that 0 dBFS of 997 Hz in one channel reads -3.01
PEAK_LIMIT_DBTP = -1.0
OVERSAMPLING = 4
_CHUNK = 1 << 20  # samples filtered at a time, to bound memory
_BLOCK, _BLOCKS = 64, 2048  # samples interpolated together, and how many of these at a time
_REACH = 10  # samples on each side that a value between samples depends on


@dataclass(frozen=True)
class Levels:
    """What a sound measures; -inf for silence. `limited` says that the peak, not the target, set the gain."""

    loudness_lufs: float
    peak_dbtp: float
    gain_db: float = 0.0
    limited: bool = False


def measured(audio: Audio) -> Levels:
    """Integrated loudness and true peak of a sound as it is."""
    return Levels(integrated_lufs(audio), true_peak_dbtp(audio))


def normalised(audio: Audio, target_lufs: float) -> tuple[Audio, Levels]:
    """The sound at the target loudness, quieter where its true peak would pass -1 dBTP; and its new levels."""
    before = measured(audio)
    if math.isinf(before.loudness_lufs):
        return audio, before
    wanted = target_lufs - before.loudness_lufs
    allowed = PEAK_LIMIT_DBTP - before.peak_dbtp
    gain = min(wanted, allowed)
    louder = Audio(audio.samples * np.float32(10 ** (gain / 20)), audio.sample_rate)
    return louder, Levels(before.loudness_lufs + gain, before.peak_dbtp + gain, gain, allowed < wanted)


def integrated_lufs(audio: Audio) -> float:
    """Gated loudness of the whole sound, in LUFS."""
    powers = _block_powers(audio)
    powers = powers[_lufs(powers) > ABSOLUTE_GATE_LUFS]
    if powers.size:
        powers = powers[_lufs(powers) > _lufs(powers.mean()) + RELATIVE_GATE_LU]
    return float(_lufs(powers.mean())) if powers.size else -math.inf


def true_peak_dbtp(audio: Audio) -> float:
    """Highest absolute value of the sound at four times its rate, in dB of full scale.

    A value between samples is at most `bound` times the largest sample near it, so only blocks that may hold the
    highest value are interpolated, the loudest first.
    """
    interpolation = _interpolation()
    bound = float(np.abs(interpolation).sum(axis=0).max())
    highest = float(np.abs(audio.samples).max(initial=0.0))
    for channel in audio.samples:
        n_blocks = -(-channel.size // _BLOCK)
        padded = np.pad(channel, (_REACH, _REACH + n_blocks * _BLOCK - channel.size))
        blocks = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK + 2 * _REACH)[::_BLOCK]
        loudest = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
        order = np.argsort(-loudest)
        for start in range(0, n_blocks, _BLOCKS):
            chosen = order[start : start + _BLOCKS]
            chosen = chosen[bound * loudest[chosen] > highest]
            if not chosen.size:
                break
            highest = max(highest, float(np.abs(blocks[chosen] @ interpolation).max()))
    return 20 * math.log10(highest) if highest else -math.inf


@lru_cache(maxsize=1)
def _interpolation() -> NDArray[np.float32]:
    """Return the matrix (_BLOCK + 2 _REACH, OVERSAMPLING _BLOCK) that takes the samples around a block to the block at
    OVERSAMPLING times its rate, by a windowed sinc."""
    from scipy.signal import firwin

    taps = OVERSAMPLING * firwin(2 * _REACH * OVERSAMPLING + 1, 1 / OVERSAMPLING, window=("kaiser", 5.0))
    matrix = np.zeros((_BLOCK + 2 * _REACH, OVERSAMPLING * _BLOCK), np.float32)
    for place in range(OVERSAMPLING * _BLOCK):
        first = -(-place // OVERSAMPLING)  # of the samples that are no further than _REACH before the place
        own = taps[OVERSAMPLING * _REACH + place - OVERSAMPLING * (first - _REACH) :: -OVERSAMPLING]
        matrix[first : first + own.size, place] = own
    return matrix


def k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """Second-order sections (2, 6) of the shelf and the high pass at a sample rate."""
    return np.array([_shelf(sample_rate), _high_pass(sample_rate)])


def _shelf(sample_rate: int) -> list[float]:
    frequency, gain_db, quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * frequency / sample_rate)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    b = [high + band * k / quality + k * k, 2 * (k * k - high), high - band * k / quality + k * k]
    return [*(x / a0 for x in b), 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]


def _high_pass(sample_rate: int) -> list[float]:
    frequency, quality = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * frequency / sample_rate)
    a0 = 1 + k / quality + k * k
    return [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]


def _block_powers(audio: Audio) -> NDArray[np.float64]:
    """Mean square of the K-weighted sound in each block, summed over channels."""
    hop = round(HOP_SECONDS * audio.sample_rate)
    energies = sum((_hop_energies(channel, audio.sample_rate, hop) for channel in audio.samples), np.zeros(1))
    hops = round(BLOCK_SECONDS / HOP_SECONDS)
    n_whole = audio.samples.shape[1] // hop
    if n_whole < hops:
        return np.array([energies.sum() / max(1, audio.samples.shape[1])])
    return np.convolve(energies[:n_whole], np.ones(hops), "valid") / (hops * hop)


def _hop_energies(channel: NDArray[np.float32], sample_rate: int, hop: int) -> NDArray[np.float64]:
    """Sum of squares in each hop; the last one may be short."""
    from scipy.signal import sosfilt

    sections = k_weighting(sample_rate)
    state = np.zeros((len(sections), 2))
    energies = []
    chunk = hop * max(1, _CHUNK // hop)
    for start in range(0, channel.size, chunk):
        filtered, state = sosfilt(sections, channel[start : start + chunk].astype(np.float64), zi=state)
        energies.append(np.add.reduceat(filtered * filtered, np.arange(0, filtered.size, hop)))
    return np.concatenate(energies) if energies else np.zeros(1)


def _lufs(power: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(OFFSET_LU + 10 * np.log10(power))
