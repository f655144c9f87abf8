"""Music to a story and back, or a story to music and back: how much of the arc is left, beside arcs that must lose.

What is compared was measured by scorers that chose nothing: the second reader of texts and the second scorer of music.
Arcs are standardised by their domain's mean and spread (`plane.DOMAINS`), so that CCC and MAE are in spreads; time is
cut into POINTS equal steps. A section of a story and the section of music written for it are one stretch of time,
whatever they last. Controls: a constant arc, the arc reversed, its sections shuffled, the six common shapes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.arc_measures import arc_agreement, correlation, share_of_shuffles_beaten
from symbolic.affect.composing import composer
from symbolic.affect.composing.composer import Composition
from symbolic.affect.composing.story_targets import StorySection, story_sections, targets_of
from symbolic.affect.hearing import note_table, score_affect
from symbolic.affect.plane import DOMAINS, Arc
from symbolic.affect.reading import text_affect
from symbolic.affect.story import story_choice, story_plan
from symbolic.affect.story.story_choice import Story

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel

Floats = NDArray[np.float64]
POINTS = 24


@dataclass(frozen=True)
class StepArc:
    """Moods of stretches of time: edges (n + 1,) rising, points (n, 2), and the domain that they are values of."""

    edges: tuple[float, ...]
    points: Floats
    domain: str

    def sampled(self, count: int = POINTS) -> Floats:
        """(count, 2) standardised values at equal steps of the whole time."""
        edges = np.array(self.edges)
        at = edges[0] + (np.arange(count) + 0.5) / count * (edges[-1] - edges[0])
        rows = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(self.points) - 1)
        domain = DOMAINS[self.domain]
        return np.asarray((self.points[rows] - domain.mean) / domain.sd)


@dataclass(frozen=True)
class RoundTrip:
    """The arc at the start, half way and at the end, with what was written."""

    first: StepArc
    half_way: StepArc
    last: StepArc
    story: Story
    composition: Composition

    def table(self) -> list[dict[str, Any]]:
        """Rows: each leg with r, CCC, MAE in spreads, and its controls."""
        return [
            compared("half way", self.first, self.half_way),
            compared("and back", self.first, self.last),
        ]


def compared(leg: str, one: StepArc, other: StepArc) -> dict[str, Any]:
    """Agreement of two arcs, of valence and arousal apart (None where the first does not move), and of the controls of
    the first with the second."""
    x, y = one.sampled(), other.sampled()
    sections = one.points
    found: dict[str, Any] = {"leg": leg, "sections": len(sections), **arc_agreement(x, y)}
    for column, name in enumerate(("r V", "r A")):
        moves = float(np.ptp(x[:, column])) > 1e-9
        found[name] = round(correlation(x[:, column], y[:, column]), 4) if moves else None
    shapes = [np.column_stack([shape, shape]) for shape in _shapes()]
    found["constant"] = arc_agreement(np.repeat(x.mean(axis=0, keepdims=True), len(x), axis=0), y)["r"]
    found["reversed"] = arc_agreement(x[::-1], y)["r"]
    found["other arcs"] = round(float(np.mean([arc_agreement(shape, y)["r"] for shape in shapes])), 4)
    found["shuffles beaten"] = round(share_of_shuffles_beaten(sections, at_sections(one, other)), 3)
    return found


def of_music(
    music: Arc,
    seed: int = 0,
    model: "str | LoadedModel" = "mamba2-6m",
    tunes: Sequence[str] = (),
    bars: int = 8,
    n: int = 8,
    progress: Callable[[str], None] = lambda _: None,
) -> RoundTrip:
    """Music to a story to music."""
    progress("story")
    story = story_choice.write_story(story_plan.plan_of(music), seed)
    progress("music")
    made = composer.for_sections(sections_of_story(story), model, tunes=tunes, bars=bars, n=n, seed=seed)
    first = heard_arc(story)
    last = replace(measured_music(made), edges=first.edges)
    return RoundTrip(first, measured_text(story), last, story, made)


def of_text(
    text: str,
    seed: int = 0,
    model: "str | LoadedModel" = "mamba2-6m",
    tunes: Sequence[str] = (),
    bars: int = 8,
    n: int = 8,
    progress: Callable[[str], None] = lambda _: None,
) -> RoundTrip:
    """A text to music to a story."""
    progress("music")
    sections = story_sections(text)
    made = composer.for_sections(sections, model, tunes=tunes, bars=bars, n=n, seed=seed)
    progress("story")
    music = score_affect.score_arc(note_table.of_abc(made.text))
    story = story_choice.write_story(story_plan.plan_of(music), seed)
    half_way = measured_music(made)
    return RoundTrip(replace(read_arc(sections), edges=half_way.edges), half_way, measured_text(story), story, made)


def heard_arc(story: Story) -> StepArc:
    """What was heard in the music that a story was written for."""
    sections = story.plan.sections
    edges = [section.start for section in sections] + [sections[-1].end]
    return StepArc(tuple(edges), story.section_arcs()["target"], "text")


def measured_text(story: Story) -> StepArc:
    """The second reader's means over the sections of a story, in the music's time."""
    return StepArc(heard_arc(story).edges, story.section_arcs()["measured"], "second passages")


def measured_music(made: Composition) -> StepArc:
    """The second scorer's points of the sections of a piece, over its seconds."""
    return StepArc(tuple(made.starts), made.arcs()["measured"], "second sections")


def read_arc(sections: Sequence[StorySection]) -> StepArc:
    """The second reader's means over the sections of a text, by its words."""
    reader = text_affect.second()
    points = np.array([reader.predict(section.sentences).mean(axis=0) for section in sections])
    edges = np.concatenate([[0.0], np.cumsum([section.share for section in sections])])
    return StepArc(tuple(edges.tolist()), points, "second passages")


def sections_of_story(story: Story) -> list[StorySection]:
    """The sections of a story as targets for music; their moods are those of the planning reader."""
    planned = story.section_arcs()["planned"]
    texts = [tuple(story.of_section(i)) for i in range(len(planned))]
    words = [sum(len(text.split()) for text in own) for own in texts]
    return [
        StorySection(own, (float(read[0]), float(read[1])), target, n / sum(words))
        for own, read, target, n in zip(texts, planned, targets_of(list(planned)), words)
    ]


def at_sections(one: StepArc, other: StepArc) -> Floats:
    """The other arc at the middles of the first one's sections, as shares of the whole time."""
    edges, own = np.array(one.edges), np.array(other.edges)
    middles = [((a + b) / 2 - edges[0]) / (edges[-1] - edges[0]) for a, b in pairwise(edges)]
    at = own[0] + np.array(middles) * (own[-1] - own[0])
    rows = np.clip(np.searchsorted(own, at, side="right") - 1, 0, len(other.points) - 1)
    return np.asarray(other.points[rows])


def _shapes() -> list[Floats]:
    at = np.linspace(0, 1, POINTS)
    return [np.interp(at, np.linspace(0, 1, len(turns)), turns) for turns in story_plan.SHAPES.values()]
