"""Words for moods: a table of this project's own with a place on the plane for each, and the nearest to a point.

The places are judgements in round numbers, spread over the whole plane, and no norms of anybody. A point of another
domain is matched to the table's mean and spread first: looked up as it is, half of all music would be four words.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic.affect.plane import DOMAINS, Domain, matched

WORDS: dict[str, tuple[float, float]] = {
    "ecstatic": (0.9, 0.8), "joyful": (0.8, 0.5), "excited": (0.6, 0.8), "triumphant": (0.7, 0.6),
    "playful": (0.6, 0.4), "lively": (0.5, 0.6), "proud": (0.6, 0.3), "hopeful": (0.5, 0.1),
    "cheerful": (0.7, 0.3), "amused": (0.5, 0.2), "bold": (0.3, 0.5), "curious": (0.3, 0.2),
    "content": (0.6, -0.3), "tender": (0.6, -0.2), "peaceful": (0.6, -0.6), "serene": (0.5, -0.8),
    "relaxed": (0.5, -0.5), "dreamy": (0.3, -0.5), "gentle": (0.4, -0.4), "sleepy": (0.1, -0.8),
    "grateful": (0.7, 0.0), "nostalgic": (0.0, -0.3), "wistful": (-0.2, -0.3), "calm": (0.2, -0.7),
    "solemn": (-0.1, -0.5), "lonely": (-0.6, -0.4), "sad": (-0.7, -0.4), "grieving": (-0.8, -0.2),
    "gloomy": (-0.6, -0.5), "weary": (-0.3, -0.7), "hopeless": (-0.8, -0.5), "bored": (-0.4, -0.7),
    "bitter": (-0.6, 0.1), "uneasy": (-0.4, 0.2), "worried": (-0.5, 0.3), "tense": (-0.3, 0.5),
    "restless": (-0.2, 0.4), "startled": (-0.1, 0.7), "afraid": (-0.6, 0.6), "terrified": (-0.8, 0.8),
    "angry": (-0.7, 0.7), "furious": (-0.8, 0.9), "fierce": (-0.3, 0.8), "desperate": (-0.7, 0.4),
    "solitary": (-0.3, -0.5), "mysterious": (-0.1, 0.1), "grave": (-0.4, -0.2), "thoughtful": (0.1, -0.3),
}  # fmt: skip
REPEATED = 0.6  # distance added for each time that a word was taken before


def nearest(points: Any, source: Domain) -> list[str]:
    """A word for each point (n, 2) of a domain, with few repeats."""
    names, places = list(WORDS), np.array(list(WORDS.values()))
    sd = np.array(DOMAINS["words"].sd)
    taken: dict[str, int] = {}
    found = []
    for point in matched(points, source, DOMAINS["words"]):
        distance = np.linalg.norm((places - point) / sd, axis=1)
        distance += REPEATED * np.array([taken.get(name, 0) for name in names])
        found.append(names[int(distance.argmin())])
        taken[found[-1]] = taken.get(found[-1], 0) + 1
    return found


def place_of(words: Sequence[str]) -> tuple[float, float] | None:
    """The mean place of the words that the table has; None where it has none."""
    known = [WORDS[word] for word in words if word in WORDS]
    return (float(np.mean([v for v, _ in known])), float(np.mean([a for _, a in known]))) if known else None
