"""Key, scale and compass of a melody: does it keep to the key that it names, and to what an instrument can play?

Task: judge the pitches of a tune by themselves and against its K: field. All functions take arrays and know nothing of
notation. `pitches` are MIDI numbers, `ticks` lengths in any unit, `tonic` a pitch class (0 = C).

- Pitch-class entropy, bits, 0 (one pitch class) to log2 12 = 3.585 (all twelve equally often). S.-L. Wu and Y.-H. Yang,
  "The Jazz Transformer on the front line", ISMIR 2020 (there of bars; here, as in H.-W. Dong et al., "MusPy", ISMIR
  2020, of the tune).
- Scale consistency, 0 to 1: the share of notes in the one major scale that takes most of them (O. Mogren, "C-RNN-GAN",
  2016; MusPy). It does not look at K:, and a modal tune fits as well as a major one.
- Key fit, -1 to 1: Pearson's correlation of the time that each pitch class sounds with the profile of the key that K:
  names (C. Krumhansl and E. Kessler, Psychological Review 89, 1982; major for major, mixolydian and lydian, minor for
  the others). It wants the right tonic, not only the right signature.
- Compass: semitones from the lowest to the highest note.
"""

import numpy as np
from numpy.typing import NDArray

_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
MINOR_MODES = frozenset({"m", "dor", "phr", "loc"})
_SCALE = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
_SCALES = np.stack([np.roll(_SCALE, tonic) for tonic in range(12)])  # (12 tonics, 12 pitch classes)

Numbers = NDArray[np.int64] | NDArray[np.float64]


def pitch_class_weights(pitches: NDArray[np.int64], ticks: Numbers, tonic: int = 0) -> NDArray[np.float64]:
    """Sum the time that each pitch class sounds (12), from `tonic` upwards."""
    return np.bincount((pitches - tonic) % 12, weights=np.asarray(ticks, np.float64), minlength=12).astype(np.float64)


def entropy(weights: Numbers) -> float:
    """Compute the Shannon entropy of a histogram in bits; NaN for an empty one."""
    total = weights.sum()
    if not total:
        return float("nan")
    some = weights[weights > 0] / total
    return float(-(some * np.log2(some)).sum()) + 0.0


def scale_consistency(counts: Numbers) -> float:
    """Return the share of notes, counted by pitch class (12), that the best major scale holds; NaN without notes."""
    total = counts.sum()
    return float((_SCALES @ counts).max() / total) if total else float("nan")


def key_fit(weights: Numbers, mode: str) -> float:
    """Correlate the time by pitch class from the tonic upwards (12) with the profile of a mode of
    `symbolic.notation.theory.MODES`.

    0 where all pitch classes sound equally long, NaN without notes.
    """
    if not weights.sum():
        return float("nan")
    if not np.ptp(weights):
        return 0.0
    profile = _MINOR if mode in MINOR_MODES else _MAJOR
    return float(np.corrcoef(weights, profile)[0, 1])


def compass(pitches: NDArray[np.int64]) -> float:
    """Return the semitones from lowest to highest note; NaN without notes."""
    return float(np.ptp(pitches)) if len(pitches) else float("nan")
