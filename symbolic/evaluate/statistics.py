"""Statistics of melodies, and how far those of one set lie from those of another.

Each feature is a histogram per tune, over the written melody (`notation.melody`: repeats not unrolled, ties merged, top
note of chords, all voices):

- pitch_class: semitones above the tonic of K:, 0 to 11, so that transposition does not matter;
- interval: semitones from note to note, -12 to 12; larger leaps count with the octave of their direction;
- duration: sounding length, one bin for each of DURATIONS (in eighth notes) and one for all others;
- notes_per_bar: notes between two bar lines, 0 to 31, and 32 or more.

Two sets are compared by the Jensen-Shannon divergence of their pooled histograms, to base 2: 0 for equal ones, 1 for
ones that have nothing in common (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory
37, 1991). The features follow L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural
Computing and Applications 32, 2020, who compare sets with the variation within the real one. So does `floor`: small
sets differ by chance, and a divergence means something only above that of as many real tunes from the other real ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from symbolic.data.music import UNIT_TICKS
from symbolic.data.notation import Score, bars, melody

DURATIONS = tuple(
    map(Fraction, ("1/8", "1/4", "1/3", "1/2", "2/3", "3/4", "1", "4/3", "3/2", "2", "5/2", "3", "4", "5", "6", "8"))
)
MOST_NOTES = 32  # per bar
FEATURES = {"pitch_class": 12, "interval": 25, "duration": len(DURATIONS) + 1, "notes_per_bar": MOST_NOTES + 1}
FLOOR_DRAWS = 5

Histograms = Mapping[str, NDArray[np.int64]]  # feature -> (tunes, bins)

_DURATION_BIN = {int(UNIT_TICKS * duration): number for number, duration in enumerate(DURATIONS)}


def histograms(scores: Iterable[Score]) -> Histograms:
    """The histogram of each feature (columns) of each tune (rows)."""
    rows = [_of_tune(score) for score in scores]
    return {
        name: np.stack([row[name] for row in rows]) if rows else np.zeros((0, bins), np.int64)
        for name, bins in FEATURES.items()
    }


def divergence(p: NDArray[np.int64], q: NDArray[np.int64]) -> float:
    """Jensen-Shannon divergence of two histograms of counts, in bits, 0 to 1; 1 when one of them is empty."""
    if not p.sum() or not q.sum():
        return 1.0
    a, b = p / p.sum(), q / q.sum()
    middle = (a + b) / 2
    return float(min(1.0, max(0.0, (_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2)))


def divergences(tunes: Histograms, reference: Histograms) -> dict[str, float]:
    """The divergence of one set from another, by feature."""
    return {name: divergence(tunes[name].sum(axis=0), reference[name].sum(axis=0)) for name in FEATURES}


def floor(reference: Histograms, n_tunes: int, seed: int = 0) -> dict[str, float]:
    """The divergence of `n_tunes` real tunes (at most half of them) from the other real ones, mean of FLOOR_DRAWS."""
    total = len(reference["interval"])
    size = max(1, min(n_tunes, total // 2))
    rng = np.random.default_rng(seed)
    draws = [rng.permutation(total) for _ in range(FLOOR_DRAWS)]
    parts = [(_rows(reference, draw[:size]), _rows(reference, draw[size:])) for draw in draws]
    found = [divergences(some, others) for some, others in parts]
    return {name: sum(one[name] for one in found) / FLOOR_DRAWS for name in FEATURES}


def _of_tune(score: Score) -> dict[str, NDArray[np.int64]]:
    voices = [melody(score, number) for number in range(len(score.voices))]
    pitches = [np.array([midi for midi, _ in voice], dtype=np.int64) for voice in voices]
    intervals = [np.clip(np.diff(voice), -12, 12) + 12 for voice in pitches]
    others = len(DURATIONS)
    durations = [_DURATION_BIN.get(ticks, others) for voice in voices for _, ticks in voice]
    notes = [min(piece.n_notes, MOST_NOTES) for voice in score.voices for piece in bars(voice, score.meter)]
    values: dict[str, Sequence[int] | NDArray[np.int64]] = {
        "pitch_class": (np.concatenate(pitches) - score.key.tonic_pitch_class) % 12,
        "interval": np.concatenate(intervals),
        "duration": durations,
        "notes_per_bar": notes,
    }
    return {name: np.bincount(np.asarray(values[name], np.int64), minlength=bins) for name, bins in FEATURES.items()}


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence in bits; q is positive wherever p is."""
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))


def _rows(tunes: Histograms, rows: NDArray[np.int64]) -> Histograms:
    return {name: values[rows] for name, values in tunes.items()}
