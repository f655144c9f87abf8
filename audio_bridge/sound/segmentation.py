"""Where to cut a recording, and what is wrong with one. Mono float32 samples at 32 kHz.

Segments last from `shortest` to `longest` seconds. A cut falls into the middle of the longest silence that the room
allows; where nothing is silent, into the deepest dip of the level, just before the next onset, so that no note is cut.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE

SAMPLE_RATE = MUSICGEN_RATE
HOP = 640  # 20 ms
SILENCE_DB = -50.0  # of full scale
QUIET_BELOW_MEDIAN_DB = 25.0
LOWEST_RATE = 16_000
CLIPPED_LEVEL, CLIPPED_RUN = 0.999, 3
MOST_CLIPPED = 0.01  # share of samples
SOME_CLIPPED = 0.0005


@dataclass(frozen=True)
class Segment:
    """A stretch of samples and what ended it: silence, dip or end."""

    start: int
    end: int
    ended_by: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SAMPLE_RATE


def level_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level every 20 ms, in dB of full scale."""
    n = max(1, samples.size // HOP)
    frames = np.resize(samples[: n * HOP], (n, HOP)) if samples.size >= HOP else samples[None]
    return 10 * np.log10(np.maximum((frames.astype(np.float64) ** 2).mean(axis=1), 1e-12))


def segments(samples: NDArray[np.float32], shortest: float, longest: float) -> list[Segment]:
    """The whole recording in segments; what is left over at the end may be shorter than `shortest`."""
    from audio_bridge.sound import analysis

    level = level_db(samples)
    starts = analysis.onsets(samples)
    made, begin = [], 0
    while samples.size - begin > longest * SAMPLE_RATE:
        low, high = begin + round(shortest * SAMPLE_RATE), begin + round(longest * SAMPLE_RATE)
        high = min(high, max(low + HOP, samples.size - round(shortest * SAMPLE_RATE)))  # leave enough for the next one
        end, kind = _cut(level, starts, low, high)
        made.append(Segment(begin, end, kind))
        begin = end
    return [*made, Segment(begin, samples.size, "end")]


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of samples in runs of at least three at full scale."""
    loud = np.abs(samples) >= CLIPPED_LEVEL
    runs = loud.copy()
    for shift in range(1, CLIPPED_RUN):
        runs[shift:] &= loud[:-shift]
    return float(runs.mean()) if samples.size else 0.0


def fault(samples: NDArray[np.float32], sample_rate: int, shortest: float, clipped: float | None = None) -> str:
    """Why a recording should not be trained on; '' where it may be.

    `sample_rate` is the file's own, `clipped` the share of its own samples (by default that of `samples`): a mean of
    channels or another rate hides what was clipped.
    """
    seconds = samples.size / SAMPLE_RATE
    if seconds < shortest:
        return f"too short: {math.floor(seconds * 1000) / 1000:g} s, at least {shortest:g} s"
    if (level_db(samples) < SILENCE_DB).mean() > 0.95:
        return "silent"
    if sample_rate < LOWEST_RATE:
        return f"narrow band: {sample_rate} Hz, at least {LOWEST_RATE} Hz"
    clipped = clipped_share(samples) if clipped is None else clipped
    return f"clipped: {clipped:.1%} of the samples" if clipped > MOST_CLIPPED else ""


def remarks(clipped: float, lufs: float, not_finite: int = 0) -> list[str]:
    """What is worth a look in a recording that is kept: its share of clipped samples, loudness, samples that are not
    numbers."""
    found = []
    if clipped > SOME_CLIPPED:
        found.append(f"{clipped:.2%} of the samples clipped")
    if not_finite:
        found.append(f"{not_finite:,} samples were no finite numbers and became silence")
    if lufs < -35:
        found.append(f"quiet: {lufs:.1f} LUFS")
    return found


def _cut(level: NDArray[np.float64], onsets: NDArray[np.float64], low: int, high: int) -> tuple[int, str]:
    """The best place between two samples, and its kind."""
    first, last = low // HOP, max(low // HOP + 1, min(high // HOP, len(level)))
    part = level[first:last]
    quiet = part < max(SILENCE_DB, float(np.median(level)) - QUIET_BELOW_MEDIAN_DB)
    if quiet.any():
        start, length = max(_runs(quiet), key=lambda run: run[1])
        return (first + start + length // 2) * HOP, "silence"
    from scipy.ndimage import uniform_filter1d

    place = (first + int(np.argmin(uniform_filter1d(part, 5)))) * HOP
    following = [round(s * SAMPLE_RATE) for s in onsets if place <= s * SAMPLE_RATE <= place + SAMPLE_RATE // 4]
    return (min(high, following[0] - HOP // 4) if following else place), "dip"


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, length) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2])]
