"""From the arc of music to the plan of a story: sections in seconds, the mood of each, its part in the plot.

The level of the piece is matched to texts by mean and spread; inside the piece the arc keeps its shape and is brought
to SHAPE_SD of a text's spread, since what is predicted for single bars hardly moves. The plot follows one of the six
shapes of Reagan and others 2016 ("The emotional arcs of stories"), whichever valence is nearest to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect import arc_sections, emotion_words
from symbolic.affect.arc_measures import correlation
from symbolic.affect.plane import DOMAINS, Arc, matched

Floats = NDArray[np.float64]
SHAPE_SD = 0.9  # of the text domain's spread
LEAST_SHAPE = 0.002  # spread of an arc that has a shape
SHORTEST_SECONDS = 8.0  # of a section
FEWEST, MOST = 3, 9
WORDS_A_SECOND = 2.5  # read while the music plays
WORDS_A_SENTENCE = 11
MOST_SENTENCES = 300
TURN = 0.8  # of a spread: a change of mood between sections that is told as a turn
SHAPES = {
    "rise": (-1, 1), "fall": (1, -1), "fall and rise": (1, -1, 1), "rise and fall": (-1, 1, -1),
    "rise, fall, rise": (-1, 1, -1, 1), "fall, rise, fall": (1, -1, 1, -1),
}  # fmt: skip


@dataclass(frozen=True)
class PlotSection:
    """One stretch of music: seconds, its own mood, the mood asked of the text, a word for it, its part in the plot, and
    how many sentences can be read in it."""

    start: float
    end: float
    heard: tuple[float, float]
    target: tuple[float, float]
    word: str
    part: str
    n_sentences: int


@dataclass(frozen=True)
class StoryPlan:
    """The sections, the shape that their valence is nearest to, and what was left out."""

    sections: tuple[PlotSection, ...]
    shape: str
    remarks: tuple[str, ...] = ()


def plan_of(arc: Arc, most: int = MOST) -> StoryPlan:
    """The plan of a story for music. The arc is in seconds, or in bars whose record says when they begin."""
    starts = arc.record.get("seconds", list(arc.at))
    seconds = np.diff([*starts, _end(arc, starts)])
    places = arc_sections.cuts(arc.points, np.maximum(seconds, 1e-3).tolist(), SHORTEST_SECONDS, FEWEST, most)
    edges = [*(starts[place] for place in places[:-1]), float(starts[-1] + seconds[-1])]
    means = np.array([np.average(arc.points[a:b], axis=0, weights=seconds[a:b] + 1e-6) for a, b in pairwise(places)])
    targets = text_targets(means, np.diff(edges), arc.domain)
    words = emotion_words.nearest(targets, DOMAINS["text"])
    lengths, remarks = _sentences(np.diff(edges))
    parts = _parts(targets)
    sections = [
        PlotSection(
            round(float(edges[i]), 3), round(float(edges[i + 1]), 3), _pair(means[i]), _pair(targets[i]), words[i],
            parts[i], lengths[i],
        )
        for i in range(len(means))
    ]  # fmt: skip
    return StoryPlan(tuple(sections), shape_of(targets[:, 0]), remarks)


def text_targets(means: Any, weights: Any, domain: str) -> Floats:
    """(n, 2) moods asked of a text from those of the sections of music. A level so far out that the arc would lose its
    shape at the bounds of what texts reach is moved inwards."""
    points = np.asarray(means, dtype=np.float64)
    text = DOMAINS["text"]
    level = np.average(points, axis=0, weights=np.asarray(weights))
    departure = points - level
    spread = np.sqrt(np.average(departure**2, axis=0, weights=np.asarray(weights)))
    shape = np.where(spread > LEAST_SHAPE, departure / np.maximum(spread, 1e-9), 0.0)
    bounds = 2.0 * np.array(text.sd)
    enlarged = SHAPE_SD * shape * np.array(text.sd)
    placed = matched(level[None], DOMAINS[domain], text)
    placed = np.clip(placed, text.mean - bounds - enlarged.min(axis=0), text.mean + bounds - enlarged.max(axis=0))
    return np.asarray(np.clip(placed + enlarged, text.mean - bounds, text.mean + bounds))


def shape_of(valence: Any) -> str:
    """The name of the shape that some values are nearest to; `steady` where they do not move."""
    values = np.asarray(valence, dtype=np.float64)
    if len(values) < 2 or values.std() < 1e-6:
        return "steady"
    at = np.linspace(0, 1, len(values))
    fits = {
        name: correlation(values, np.interp(at, np.linspace(0, 1, len(turns)), turns)) for name, turns in SHAPES.items()
    }
    return max(fits, key=lambda name: fits[name] - 0.02 * len(SHAPES[name]))


def quadrant_of(target: Sequence[float]) -> str:
    """Q1 to Q4 by where a mood stands in the text domain; Q0 near its middle."""
    z = (np.asarray(target) - DOMAINS["text"].mean) / DOMAINS["text"].sd
    if np.abs(z).max() < 0.4:
        return "Q0"
    return ("Q1" if z[0] >= 0 else "Q2") if z[1] >= 0 else ("Q4" if z[0] >= 0 else "Q3")


def _end(arc: Arc, starts: Sequence[float]) -> float:
    end = float(arc.record["end_seconds"]) if "seconds" in arc.record else arc.end
    return max(end, starts[-1] + 0.1)


def _sentences(seconds: Floats) -> tuple[list[int], tuple[str, ...]]:
    wanted = [max(1, round(float(one) * WORDS_A_SECOND / WORDS_A_SENTENCE)) for one in seconds]
    total = sum(wanted)
    if total <= MOST_SENTENCES:
        return wanted, ()
    kept = [max(1, n * MOST_SENTENCES // total) for n in wanted]
    return kept, (f"the music would hold {total:,} sentences; the story has {sum(kept)} and leaves pauses",)


def _parts(targets: Floats) -> list[str]:
    found = ["opening"]
    for before, after in pairwise(targets):
        change = np.abs((after - before) / DOMAINS["text"].sd).max()
        found.append("turn" if change > TURN else "middle")
    return found


def _pair(values: Any) -> tuple[float, float]:
    return round(float(values[0]), 4), round(float(values[1]), 4)
