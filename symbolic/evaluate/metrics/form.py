"""Rhythm and form of a tune from its bars: groove, self-similarity, sections and how long they are.

Task: tell a tune, which repeats and answers itself, from notes that merely follow one another. A bar here is what
stands between two bar lines as written (`symbolic.notation.score.bars`), laid on a grid of GRID steps to the metre; 48
hold sixteenths of 4/4 and of 6/8 and their triplets exactly. What is longer than the metre is cut off.

- Groove consistency, 0 to 1: one minus the mean share of grid steps at which two neighbouring bars disagree whether a
  note begins (S.-L. Wu and Y.-H. Yang, "The Jazz Transformer on the front line", ISMIR 2020, of all pairs and 64 steps;
  neighbours as in H.-W. Dong et al., "MusPy", ISMIR 2020). Most steps begin nothing, so even noise has 0.8 or so.
- Self-similarity, 0 to 1: of each bar but the first, the share of grid steps at which it sounds the same pitch as the
  earlier bar most like it; the mean over bars. That is the self-similarity matrix of M. Müller, "Fundamentals of music
  processing", 2015, chapter 4, reduced to one number: 1 for a tune that only repeats.
- A section ends at each bar line other than a plain | (|| |] |: :| ::), except where an ending begins there. Its length
  is counted in bars of the metre, of its endings only the first. A section is *square* when it has 4, 8, 12, 16...
  bars.
"""

import numpy as np
from numpy.typing import NDArray

from symbolic.notation.score import Bar, MeterChange, Note, Rest, Voice

GRID = 48
MOST_BARS = 256  # of one voice that are compared with one another: the matrix grows with the square
SILENCE = -1
_BEFORE = -2  # what a bar that begins late or ends early holds there: it is like nothing


def grids(voice: Voice, meter_ticks: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Lay the first MOST_BARS bars on the grid: where notes begin, and the pitch that sounds, each (bars, GRID).

    Chords are their top note. In free meter, which has no grid, there are no bars.
    """
    onsets: list[NDArray[np.bool_]] = []
    pitches: list[NDArray[np.int64]] = []
    begins, sounds, tick = _empty_bar()
    for event in [*voice.events, Bar("|")]:
        if isinstance(event, Note | Rest) and meter_ticks:
            low, high = tick * GRID // meter_ticks, -(-(tick + event.ticks) * GRID // meter_ticks)
            sounds[low:high] = max(p.midi for p in event.pitches) if isinstance(event, Note) else SILENCE
            if isinstance(event, Note) and low < GRID:
                begins[low] = True
            tick += event.ticks
        elif isinstance(event, MeterChange) and not tick:
            meter_ticks = event.meter.ticks
        elif isinstance(event, Bar) and tick:
            onsets.append(begins)
            pitches.append(sounds)
            begins, sounds, tick = _empty_bar()
            if len(onsets) == MOST_BARS:
                break
    return np.array(onsets, bool).reshape(-1, GRID), np.array(pitches, np.int64).reshape(-1, GRID)


def groove_consistency(onsets: NDArray[np.bool_]) -> float:
    """Compute groove consistency from bars (bars, GRID) that say where notes begin; NaN for fewer than two."""
    if len(onsets) < 2:
        return float("nan")
    return 1.0 - float((onsets[1:] != onsets[:-1]).mean())


def self_similarity(pitches: NDArray[np.int64]) -> float:
    """Compute self-similarity from bars (bars, GRID) that say what sounds; NaN for fewer than two."""
    if len(pitches) < 2:
        return float("nan")
    distinct, place = np.unique(pitches, axis=0, return_inverse=True)  # folk tunes repeat bars: few are different
    likeness = (distinct[:, None] == distinct[None]) & (distinct != _BEFORE)[:, None]
    matrix = likeness.mean(axis=2)[np.ix_(place.ravel(), place.ravel())]
    earlier = np.where(np.tri(len(pitches), k=-1, dtype=bool), matrix, 0.0)
    return float(earlier[1:].max(axis=1).mean())


def sections(voice: Voice, meter_ticks: int) -> list[int]:
    """Return the length of each section in full bars, rounded; sections of less than a bar (pick-ups) are left out."""
    lengths: list[int] = []
    n_bars, is_later_ending = 0.0, False
    for event in [*voice.events, Bar("|]")]:
        if isinstance(event, Note | Rest) and meter_ticks and not is_later_ending:
            n_bars += event.ticks / meter_ticks
        elif isinstance(event, MeterChange):
            meter_ticks = event.meter.ticks
        elif isinstance(event, Bar) and event.ending:
            is_later_ending = not event.ending.startswith("1")
        elif isinstance(event, Bar) and event.kind not in ("|", ""):
            lengths.append(round(n_bars))
            n_bars, is_later_ending = 0.0, False
    return [length for length in lengths if length]


def _empty_bar() -> tuple[NDArray[np.bool_], NDArray[np.int64], int]:
    return np.zeros(GRID, bool), np.full(GRID, _BEFORE, np.int64), 0
