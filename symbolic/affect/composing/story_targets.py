"""From a text to what the music should be: sentences, their arc, sections of one mood, a target for each section.

The reader's values are flat (a regressor shrinks) and lie around another mean than those of music, so a section's mean
is matched to the rated pieces' mean and spread before it is a target (`plane.DOMAINS`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic.affect import arc_sections
from symbolic.affect.plane import DOMAINS, matched
from symbolic.affect.reading import text_affect

if TYPE_CHECKING:
    from symbolic.affect.plane import Arc

FEWEST_SECTIONS = 3  # of a text that has as many sentences
SHORTEST_WORDS = 12  # of a section
FARTHEST = 0.6  # of a target from the plane's centre: rated pieces go no farther


@dataclass(frozen=True)
class StorySection:
    """Sentences of one mood: their text, the reader's mean, the target for music, and their share of the words."""

    sentences: tuple[str, ...]
    read: tuple[float, float]
    target: tuple[float, float]
    share: float

    @property
    def text(self) -> str:
        """The sentences on one line."""
        return " ".join(self.sentences)

    def record(self) -> dict[str, Any]:
        """For plan.json."""
        return {
            "text": self.text,
            "read": [round(v, 3) for v in self.read],
            "target": [round(v, 3) for v in self.target],
        }


def story_sections(text: str, most: int = arc_sections.MAX_SECTIONS) -> list[StorySection]:
    """The sections of a text. UserError for a text that cannot be read."""
    return sections_of(text_affect.text_arc(text), most)


def sections_of(arc: "Arc", most: int = arc_sections.MAX_SECTIONS) -> list[StorySection]:
    """The sections of a text's arc."""
    sentences = arc.record["sentences"]
    words = [max(1, len(sentence.split())) for sentence in sentences]
    fewest = min(FEWEST_SECTIONS, most, len(sentences))
    least = min(SHORTEST_WORDS, sum(words) / (2 * fewest))
    places = arc_sections.cuts(arc.points, words, least, fewest, most)
    means = [np.average(arc.points[a:b], axis=0, weights=words[a:b]) for a, b in pairwise(places)]
    targets = targets_of(means)
    return [
        StorySection(tuple(sentences[a:b]), (float(m[0]), float(m[1])), t, sum(words[a:b]) / sum(words))
        for (a, b), m, t in zip(pairwise(places), means, targets)
    ]


def targets_of(means: Sequence[Any]) -> list[tuple[float, float]]:
    """Targets on the plane of rated music from the reader's means of sections."""
    points = np.clip(matched(np.array(means), DOMAINS["passages"], DOMAINS["sections"]), -FARTHEST, FARTHEST)
    return [(float(v), float(a)) for v, a in points]
