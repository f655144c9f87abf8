"""What a set of tunes has copied: phrases of 17 notes, whatever their transposition, and the longest shared passage.

Task: a model that recites its training set writes perfect tunes, so validity is reported beside copying or not at all.
A phrase is that of `symbolic.corpus.families`: 17 successive notes of the written melody of a voice, compared by their
16 pitch intervals; rhythm is not looked at. The *longest shared passage* of a tune is the largest number of successive
notes, in any transposition, that one training tune has too; its source is that tune (the first of several). Short
passages are shared by chance: two human tunes of one style often have 9 to 12 notes in common, which is why the same
measure of held-out human tunes stands beside it. Under SHORTEST notes nothing is reported.

A *near-copy* is a tune whose 7-note runs, as a set, are those of one training tune to NEAR_DUPLICATE or more (Jaccard
similarity, as `prepare` finds near duplicates: one or two changed notes in a hundred).

For comparison: published folk-rnn output has 5.9 % of tunes with a copied phrase, its twin trained without dropout
49 %. Of two random parts of a collection, 27 to 40 % of the tunes of one share a phrase with the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus import families
from symbolic.corpus.cleaning import NEAR_DUPLICATE, RUN_NOTES, melody_key
from symbolic.corpus.families import PHRASE_NOTES, Melody, Phrases

SHORTEST = 5  # notes of the shortest shared passage that is looked for
ROWS_AT_ONCE = 256  # tunes whose shared runs are counted at a time: bounds the memory
MOST_SOURCES = 64  # places of one phrase in the training set that are followed; the run of a drone has thousands


@dataclass(frozen=True)
class Copy:
    """What one tune shares with the training set: `source` is the index of a training tune, `share_covered` the share
    (0 to 1) of its notes in copied 17-note phrases."""

    longest_notes: int = 0
    source: int | None = None
    share_covered: float = 0.0

    @property
    def has_phrase(self) -> bool:
        """True if 17 notes or more are copied."""
        return self.longest_notes >= PHRASE_NOTES


def copies(melodies: Sequence[Melody], training: Sequence[Melody]) -> list[Copy]:
    """Find what each tune shares with the training set; a tune is the MIDI pitches of each of its voices."""
    n_training = len(training)
    found = families.phrases([*training, *melodies])
    rows, places = _matches(found, n_training)
    longest, source = _longest_runs(found, rows, places)
    _shorter(melodies, training, longest[n_training:], source[n_training:])
    shared = np.zeros(len(found.phrase), dtype=bool)
    shared[rows] = True
    covered = families.covered_notes(found, shared) / np.maximum(found.n_notes, 1)
    results = zip(
        longest[n_training:].tolist(), source[n_training:].tolist(), covered[n_training:].tolist(), strict=True
    )
    return [Copy(notes, tune if notes else None, inside) for notes, tune, inside in results]


def nearness(melodies: Sequence[Melody], training: Sequence[Melody]) -> NDArray[np.float64]:
    """Return for each tune the greatest Jaccard similarity, 0 to 1, of its set of 7-note runs with that of a training
    tune."""
    from scipy import sparse

    found = families.phrases([*training, *melodies], RUN_NOTES)
    shape = (len(training) + len(melodies), int(found.phrase.max(initial=0)) + 1)
    has_run = sparse.csr_array((np.ones(len(found.tune), np.int32), (found.tune, found.phrase)), shape=shape)
    has_run.data[:] = 1  # a run that a tune repeats was counted as often
    n_runs = np.asarray(has_run.sum(axis=1)).ravel()
    real = has_run[: len(training)].T.tocsr()
    nearest = np.zeros(len(melodies))
    for low in range(0, len(melodies), ROWS_AT_ONCE):
        shared = (has_run[len(training) + low : len(training) + low + ROWS_AT_ONCE] @ real).tocoo()
        tune = shared.row + low
        similarity = shared.data / (n_runs[len(training) + tune] + n_runs[shared.col] - shared.data)
        np.maximum.at(nearest, tune, similarity)
    return nearest


def share_of_near_copies(similarities: NDArray[np.float64]) -> float:
    """Return the share of tunes that are nearly a training tune."""
    return float((similarities >= NEAR_DUPLICATE).mean()) if len(similarities) else 0.0


def share_with_copied_phrase(tunes: Sequence[Copy]) -> float:
    """Return the share of tunes that share 17 successive notes or more with a training tune."""
    return sum(tune.has_phrase for tune in tunes) / len(tunes) if tunes else 0.0


def share_mostly_copied(tunes: Sequence[Copy]) -> float:
    """Return the share of tunes at least half of whose notes lie in copied phrases."""
    return sum(tune.share_covered >= 0.5 for tune in tunes) / len(tunes) if tunes else 0.0


def duplicates(melodies: Sequence[Sequence[Sequence[tuple[int, int]]]]) -> list[int | None]:
    """Return for each tune the index of the first with the same melody (intervals and proportions of lengths), if
    earlier.

    A tune is its voices, a voice its (MIDI pitch, ticks) pairs.
    """
    first: dict[str, int] = {}
    earlier = [first.setdefault(melody_key(tune), number) for number, tune in enumerate(melodies)]
    return [None if one == number else one for number, one in enumerate(earlier)]


def _matches(found: Phrases, n_training: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find all pairs of equal windows (one of a tune, one of a training tune), at most MOST_SOURCES of each of the
    first.

    The first `n_training` tunes of `found` are the training set.
    """
    training, tunes = np.flatnonzero(found.tune < n_training), np.flatnonzero(found.tune >= n_training)
    training = training[np.argsort(found.phrase[training], kind="stable")]
    known = found.phrase[training]
    low = np.searchsorted(known, found.phrase[tunes], side="left")
    count = np.minimum(np.searchsorted(known, found.phrase[tunes], side="right") - low, MOST_SOURCES)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(tunes, count), training[np.repeat(low, count) + within]


def _longest_runs(
    found: Phrases, rows: NDArray[np.int64], places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the longest passage and its source for each tune: k windows in a row that match at one distance are k + 16
    notes."""
    longest, source = np.zeros(len(found.n_notes), np.int64), np.zeros(len(found.n_notes), np.int64)
    if len(rows) == 0:
        return longest, source
    position = (np.cumsum(found.n_notes) - found.n_notes)[found.tune] + found.start  # counted through all tunes
    order = np.lexsort((position[rows], position[rows] - position[places]))
    rows, places = rows[order], places[order]
    goes_on = (np.diff(position[rows]) == 1) & (np.diff(position[places]) == 1)
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    notes = np.diff(np.append(first, len(rows))) + found.length - 1
    tune, origin = found.tune[rows[first]], found.tune[places[first]]
    best_last = np.lexsort((-origin, notes))  # so that assignment leaves the longest, of equals the first origin
    longest[tune[best_last]], source[tune[best_last]] = notes[best_last], origin[best_last]
    return longest, source


def _shorter(
    melodies: Sequence[Melody], training: Sequence[Melody], longest: NDArray[np.int64], source: NDArray[np.int64]
) -> None:
    """Fill in the tunes that share no whole phrase, with ever shorter windows."""
    for length in range(PHRASE_NOTES - 1, SHORTEST - 1, -1):
        left = np.flatnonzero(longest == 0)
        if len(left) == 0:
            return
        found = families.phrases([*training, *(melodies[int(tune)] for tune in left)], length)
        in_training = found.tune < len(training)
        first = np.full(int(found.phrase.max(initial=-1)) + 1, len(training), dtype=np.int64)
        np.minimum.at(first, found.phrase[in_training], found.tune[in_training])
        own = ~in_training & (first[found.phrase] < len(training))
        rows = np.flatnonzero(own)
        rows = rows[
            np.argsort(-first[found.phrase[rows]], kind="stable")
        ]  # of several sources the first is assigned last
        tune = left[found.tune[rows] - len(training)]
        longest[tune], source[tune] = length, first[found.phrase[rows]]
