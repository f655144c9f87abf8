"""Features of a score that valence and arousal depend on, over the whole piece or over windows of bars.

Mode by the Krumhansl-Kessler profiles, entropy of the pitch classes, register, note density, tempo, dynamics, lengths
and articulation, melodic interval and dissonance: the factors of Eerola, Friberg and Bresin 2013 ("Emotional expression
in music", Front. Psychol. 4:487). Logarithms are natural, rates are per second, pitch is in octaves.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.hearing.note_table import NoteTable

Floats = NDArray[np.float64]
NAMES = (
    *("major", "minor", "entropy", "pitch", "pitch_sd", "pitch_range", "log_notes", "log_onsets", "log_qpm"),
    *("velocity", "velocity_sd", "log_duration", "articulation", "interval", "dissonance", "lowest", "log_polyphony"),
)
MELODY_NAMES = (
    *("major", "minor", "entropy", "pitch", "pitch_sd", "pitch_range", "log_onsets", "log_qpm", "log_duration"),
    *("articulation", "interval", "lowest"),
)
# Transcribed performances carry no tempo of their own: what holds for them must not use it.
TRANSFER_NAMES = tuple(name for name in NAMES if name not in ("log_qpm", "velocity", "velocity_sd"))
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_ROUGHNESS = np.array([0, 1, 0.8, 0.2, 0.15, 0.25, 0.9, 0.05, 0.2, 0.15, 0.7, 0.95])  # of interval classes 0..11
# (128, 128): roughness of each pair of pitches, the lower one first.
_PAIRS = np.triu(_ROUGHNESS[(np.arange(128) - np.arange(128)[:, None]) % 12], 1)
MOST_CHORDS = 400  # onsets at which sounding pairs are compared
MOST_SOUNDING = 16  # pitches of one of them, from the lowest up


def piece_features(table: NoteTable) -> Floats:
    """(17,) of the whole piece, in the order of NAMES."""
    return _features(table, 0.0, table.seconds + 1e-6, float(np.average(table.qpm)))


def bar_features(table: NoteTable, width: int = 2) -> Floats:
    """(n_bars, 17): each bar with the `width` - 1 bars before it. A window without notes has the features of the one
    before it, or of the whole piece."""
    rows: list[Floats] = []
    for bar in range(table.n_bars):
        first = max(0, bar - width + 1)
        start, end = table.bar_starts[first], table.bar_starts[bar + 1]
        if np.any((table.onset < end - 1e-9) & (table.onset + table.duration > start + 1e-9)):
            rows.append(_features(table, start, end, float(table.qpm[bar])))
        else:
            rows.append(rows[-1] if rows else piece_features(table))
    return np.stack(rows)


def columns(names: Sequence[str]) -> list[int]:
    """Places of some features in NAMES."""
    return [NAMES.index(name) for name in names]


def _features(table: NoteTable, start: float, end: float, qpm: float) -> Floats:
    sounding = np.flatnonzero((table.onset < end - 1e-9) & (table.onset + table.duration > start + 1e-9))
    onset, pitch = table.onset[sounding], table.pitch[sounding].astype(np.float64)
    duration, velocity = table.duration[sounding], table.velocity[sounding].astype(np.float64)
    heard = np.minimum(onset + duration, end) - np.maximum(onset, start)
    seconds = max(end - start, 0.25)
    times = _distinct(onset)
    typical = float(np.median(duration))
    gap = float(np.median(np.diff(times))) if len(times) > 1 else typical
    low, lowest, high = np.percentile(pitch, [5, 10, 95])
    return np.array([
        *key_correlations(np.bincount(pitch.astype(np.int64) % 12, weights=heard, minlength=12)),
        pitch.mean() / 12,
        pitch.std() / 12,
        (high - low) / 12,
        np.log(len(pitch) / seconds),
        np.log(len(times) / seconds),
        np.log(qpm),
        velocity.mean() / 32,
        velocity.std() / 32,
        np.log(typical + 0.02),
        np.log((typical + 0.02) / (gap + 0.02)),
        _mean_interval(onset, pitch, times),
        _dissonance(onset, duration, pitch, times),
        lowest / 12,
        np.log(max(heard.sum(), 1e-3) / seconds + 0.1),
    ])  # fmt: skip


def key_correlations(histogram: NDArray[Any]) -> tuple[float, float, float]:
    """Highest correlation of pitch-class weights (12,) with the major and the minor profiles, and their entropy."""
    if histogram.sum() <= 0:
        return 0.0, 0.0, 0.0
    share = histogram / histogram.sum()
    entropy = -float((share[share > 0] * np.log2(share[share > 0])).sum())
    rotations = np.stack([np.roll(share, -tonic) for tonic in range(12)])
    return _correlation(rotations, _MAJOR), _correlation(rotations, _MINOR), entropy


def _correlation(rotations: Floats, profile: Floats) -> float:
    centred = rotations - rotations.mean(axis=1, keepdims=True)
    other = profile - profile.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(other)
    return float((centred @ other / np.maximum(norms, 1e-12)).max())


def _distinct(onset: Floats, apart: float = 0.03) -> Floats:
    """Onsets that stand at least `apart` seconds from the one before: a chord counts once."""
    times = np.sort(onset)
    return times[np.concatenate([[True], np.diff(times) > apart])]


def _mean_interval(onset: Floats, pitch: Floats, times: Floats) -> float:
    """Mean size in semitones of the steps along the top line."""
    group = np.searchsorted(times, onset + 1e-9, side="right") - 1
    top = np.full(len(times), -np.inf)
    np.maximum.at(top, np.maximum(group, 0), pitch)
    return float(np.abs(np.diff(top)).mean()) if len(top) > 1 else 0.0


def _dissonance(onset: Floats, duration: Floats, pitch: Floats, times: Floats) -> float:
    """Mean roughness of the pairs that sound together, at each distinct onset (at most MOST_CHORDS of them)."""
    if len(times) > MOST_CHORDS:
        times = times[np.linspace(0, len(times) - 1, MOST_CHORDS).astype(int)]
    rows, notes = np.nonzero((onset <= times[:, None] + 0.03) & (onset + duration > times[:, None] + 0.031))
    sounding = np.zeros((len(times), 128))
    sounding[rows, pitch[notes].astype(np.int64)] = 1
    sounding *= np.cumsum(sounding, axis=1) <= MOST_SOUNDING
    counts = sounding.sum(axis=1)
    n_pairs = float((counts * (counts - 1) / 2).sum())
    return float(np.sum(sounding @ _PAIRS * sounding)) / n_pairs if n_pairs else 0.0
