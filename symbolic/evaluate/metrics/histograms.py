"""Statistics of melodies, and how far those of one set lie from those of another.

Each feature is a histogram per tune, over the written melody (`notation.melody`: repeats not unrolled, ties merged, top
note of chords, all voices):

- pitch_class: semitones above the tonic of K:, 0 to 11, so that transposition does not matter;
- interval: semitones from note to note, -12 to 12; larger leaps count with the octave of their direction;
- duration: sounding length, one bin for each of DURATIONS (in eighth notes) and one for all others;
- contour: of each four successive notes, whether each step goes down, stays or goes up: 27 patterns (the code of
  D. Parsons, "The Directory of Tunes and Musical Themes", 1975);
- notes_per_bar: notes between two bar lines, 0 to 31, and 32 or more.

Two sets are compared by the Jensen-Shannon divergence of their pooled histograms, to base 2: 0 for equal ones, 1 for
ones that have nothing in common (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory
37, 1991). The features follow L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural
Computing and Applications 32, 2020, who compare sets with the variation within the real one. So does `floor`: small
sets differ by chance, and a divergence means something only above that of as many real tunes from the other real ones.

The divergence forgets which tune a note is from. The *overlap* does not: of the distances (Euclidean, between the
tunes' own normalised histograms) within the real set and from tune to real tune, it is the area that the two
distributions share, 0 to 1 (Yang and Lerch's overlapped area; here of histograms of OVERLAP_BINS bins, at most
MOST_OVERLAPPED tunes of each set). A set that varies as the real one does has nearly 1; one that is all of a kind, or
all over the place, less.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from symbolic.notation.abc_parser import Score, bars, melody
from symbolic.notation.theory import UNIT_TICKS

DURATIONS = tuple(
    map(Fraction, ("1/8", "1/4", "1/3", "1/2", "2/3", "3/4", "1", "4/3", "3/2", "2", "5/2", "3", "4", "5", "6", "8"))
)
MOST_NOTES = 32  # per bar
CONTOUR_STEPS = 3
FEATURES = {
    "pitch_class": 12,
    "interval": 25,
    "contour": 3**CONTOUR_STEPS,
    "duration": len(DURATIONS) + 1,
    "notes_per_bar": MOST_NOTES + 1,
}
FLOOR_DRAWS = 5
OVERLAP_BINS = 50
MOST_OVERLAPPED = 200

Histograms = Mapping[str, NDArray[np.int64]]  # feature -> (tunes, bins)

_DURATION_BIN = {int(UNIT_TICKS * duration): number for number, duration in enumerate(DURATIONS)}


def histograms(scores: Iterable[Score]) -> Histograms:
    """Compute the histogram of each feature (columns) of each tune (rows)."""
    return stacked([of_tune(score) for score in scores])


def stacked(tunes: Sequence[Mapping[str, NDArray[np.int64]]]) -> Histograms:
    """Stack the histograms of single tunes as rows."""
    return {
        name: np.stack([tune[name] for tune in tunes]) if tunes else np.zeros((0, bins), np.int64)
        for name, bins in FEATURES.items()
    }


def of_tune(score: Score) -> dict[str, NDArray[np.int64]]:
    """Compute the histogram of each feature of one tune."""
    voices = [melody(score, number) for number in range(len(score.voices))]
    pitches = [np.array([midi for midi, _ in voice], dtype=np.int64) for voice in voices]
    steps = [np.diff(voice) for voice in pitches]
    others = len(DURATIONS)
    durations = [_DURATION_BIN.get(ticks, others) for voice in voices for _, ticks in voice]
    notes = [min(piece.n_notes, MOST_NOTES) for voice in score.voices for piece in bars(voice, score.meter)]
    values: dict[str, Sequence[int] | NDArray[np.int64]] = {
        "pitch_class": (np.concatenate(pitches) - score.key.tonic_pitch_class) % 12,
        "interval": np.concatenate([np.clip(voice, -12, 12) + 12 for voice in steps]),
        "contour": np.concatenate([_contours(voice) for voice in steps]),
        "duration": durations,
        "notes_per_bar": notes,
    }
    return {name: np.bincount(np.asarray(values[name], np.int64), minlength=bins) for name, bins in FEATURES.items()}


def divergence(p: NDArray[np.int64], q: NDArray[np.int64]) -> float:
    """Compute the Jensen-Shannon divergence of two histograms of counts, in bits, 0 to 1; 1 when one is empty."""
    if not p.sum() or not q.sum():
        return 1.0
    a, b = p / p.sum(), q / q.sum()
    middle = (a + b) / 2
    return float(min(1.0, max(0.0, (_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2)))


def label_divergence(p: Mapping[str, int], q: Mapping[str, int]) -> float:
    """Compute the Jensen-Shannon divergence of two counts of labels, as of keys, in bits, 0 to 1."""
    names = sorted({*p, *q})
    return divergence(*(np.array([counts.get(name, 0) for name in names], np.int64) for counts in (p, q)))


def divergences(tunes: Histograms, reference: Histograms) -> dict[str, float]:
    """Compute the divergence of one set from another, by feature."""
    return {name: divergence(tunes[name].sum(axis=0), reference[name].sum(axis=0)) for name in FEATURES}


def floor(reference: Histograms, n_tunes: int, seed: int = 0) -> dict[str, float]:
    """Compute the divergence of `n_tunes` real tunes (at most half of them) from the other real ones, mean of
    FLOOR_DRAWS."""
    total = len(reference["interval"])
    size = max(1, min(n_tunes, total // 2))
    rng = np.random.default_rng(seed)
    draws = [rng.permutation(total) for _ in range(FLOOR_DRAWS)]
    parts = [(_rows(reference, draw[:size]), _rows(reference, draw[size:])) for draw in draws]
    found = [divergences(some, others) for some, others in parts]
    return {name: sum(one[name] for one in found) / FLOOR_DRAWS for name in FEATURES}


def overlap(tunes: NDArray[np.int64], reference: NDArray[np.int64], seed: int = 0) -> float:
    """Compute the overlapped area of the distances within `reference` and those from tune to reference.

    Histograms are rows; the reference needs at least two. 0 where there are no tunes.
    """
    rng = np.random.default_rng(seed)
    within, across = (_normalised(_some_rows(rows, rng)) for rows in (reference, tunes))
    if not len(across):
        return 0.0
    inner = _distances(within, within)[np.triu_indices(len(within), 1)]
    outer = _distances(across, within).ravel()
    edges = np.linspace(0.0, max(inner.max(), outer.max(), 1e-9), OVERLAP_BINS + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (inner, outer)]
    return float(np.minimum(*shares).sum())


def _contours(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number, 0 to 26, each CONTOUR_STEPS successive directions."""
    n = max(len(steps) - CONTOUR_STEPS + 1, 0)
    directions = np.sign(steps) + 1
    return sum((directions[i : i + n] * 3**i for i in range(CONTOUR_STEPS)), np.zeros(n, np.int64))


def _some_rows(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    rows = rows[rows.sum(axis=1) > 0]
    return rows if len(rows) <= MOST_OVERLAPPED else rows[rng.permutation(len(rows))[:MOST_OVERLAPPED]]


def _normalised(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return rows / rows.sum(axis=1, keepdims=True)


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Euclidean distances (rows of a, rows of b)."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Compute the Kullback-Leibler divergence in bits; q is positive wherever p is."""
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))


def _rows(tunes: Histograms, rows: NDArray[np.int64]) -> Histograms:
    return {name: values[rows] for name, values in tunes.items()}
