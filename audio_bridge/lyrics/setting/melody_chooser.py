"""How much like a human song a melody is: features of its pitches under the normal distribution of people's songs.

`features` are counts and shares that any pitch sequence has; `melody_norms.json` holds their means and covariance over
the beginnings (N_NOTES notes) of sung folk songs (the Essen collection: see its record in the file; statistics only).
`unlikeness` is half the squared Mahalanobis distance for each feature: about 0.5 for human songs, more for others.
"""

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NORMS_FILE = Path(__file__).with_name("melody_norms.json")
N_NOTES = 32  # of a beginning
FEATURES = ("distinct pitches", "range", "repeated notes", "steps", "leaps", "turns", "to and fro", "commonest pair",
            "commonest pitch", "motif repetition")  # fmt: skip
MIN_RISE = 2.0  # semitones that a chorus lies above its verse, on the mean
_RIDGE = 1e-3  # added to variances, of their own size


def features(pitches: Sequence[int]) -> NDArray[np.float64]:
    """Return (len(FEATURES),) of a sequence of MIDI pitches with three notes or more.

    Range is in semitones; steps are moves of one or two semitones, leaps of five or more; a turn is a move against the
    one before; to and fro is a note that returns to the note before the last; motifs are three intervals in a row.
    """
    moves = [b - a for a, b in pairwise(pitches)]
    real = [move for move in moves if move]
    pairs = Counter(frozenset(pair) for pair in pairwise(pitches) if pair[0] != pair[1])
    motifs = Counter(zip(moves, moves[1:], moves[2:]))
    n = max(1, len(moves))
    return np.array([
        len(set(pitches)),
        max(pitches) - min(pitches),
        sum(not move for move in moves) / n,
        sum(0 < abs(move) <= 2 for move in moves) / n,
        sum(abs(move) >= 5 for move in moves) / n,
        sum(a * b < 0 for a, b in pairwise(real)) / max(1, len(real) - 1),
        sum(a == c != b for a, b, c in zip(pitches, pitches[1:], pitches[2:])) / max(1, n - 1),
        max(pairs.values(), default=n) / n,
        max(Counter(pitches).values()) / len(pitches),
        sum(count for count in motifs.values() if count > 1) / max(1, motifs.total()),
    ])  # fmt: skip


def unlikeness(pitches: Sequence[int]) -> float:
    """Return half the squared Mahalanobis distance from human songs, divided by the number of features."""
    mean, inverse = _norms()
    off = features(pitches) - mean
    return float(off @ inverse @ off) / (2 * len(FEATURES))


def section_cost(sections: Sequence[Sequence[int]], roles: Sequence[str]) -> float:
    """Return how much a song's melody is unlike a human one: the mean over its sections, and what its chorus lies too
    low."""
    cost = sum(unlikeness(section) for section in sections) / len(sections)
    means = {role: float(np.mean(section)) for section, role in zip(sections, roles, strict=True)}
    if "chorus" in means and "verse" in means:
        cost += 0.25 * max(0.0, MIN_RISE - (means["chorus"] - means["verse"]))
    return cost


def norms(melodies: Sequence[Sequence[int]]) -> dict[str, list[object]]:
    """Return means and covariance of human melodies' features, for NORMS_FILE."""
    rows = np.stack([features(melody[:N_NOTES]) for melody in melodies])
    return {
        "features": list(FEATURES),
        "mean": [round(float(x), 6) for x in rows.mean(axis=0)],
        "covariance": [[round(float(x), 8) for x in row] for row in np.cov(rows.T)],
    }


@lru_cache(maxsize=1)
def _norms() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    value = json.loads(NORMS_FILE.read_text(encoding="utf-8"))
    covariance = np.array(value["covariance"])
    inverse = np.linalg.inv(covariance + _RIDGE * np.diag(np.diag(covariance)))
    return np.array(value["mean"]), inverse.astype(np.float64)
