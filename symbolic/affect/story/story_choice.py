"""A story whose mood follows a plan: of the candidates for each sentence those that the planning reader finds nearest.

A beam of BEAM stories is kept; the cost of one is the squared distance of each sentence's reading, and of the mean of
its section so far, from what the section asks, in spreads of the text domain, with something added for a frame that was
used before, for words that are repeated, also as the first of two sentences, and for a sentence that names nobody after
one that named nobody. Another reader (`text_affect.second`) measures the result: it had no part in the choice.
"""

import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.plane import DOMAINS, Arc, arc
from symbolic.affect.reading import text_affect
from symbolic.affect.story import story_grammar, story_plan
from symbolic.affect.story.story_grammar import Candidate, Cast
from symbolic.affect.story.story_plan import PlotSection, StoryPlan
from symbolic.affect.story.story_writers import ChatWriter

Floats = NDArray[np.float64]
BEAM = 8
CANDIDATES = 48
OWN_SHARE = 0.4  # of the cost of distance that is the sentence's own, not its section's mean's
USED_FRAME = 6.0  # cost of a frame that the story has, less by how long ago
REPEATED_WORDS = 1.5  # times the share of content words that the two sentences before had
NOBODY = 0.3
SAME_START = 0.4  # cost of the word that the sentence before began with
_COMMON = frozenset("the and were was had she her his they that all not for with".split())  # noqa: SIM905


@dataclass(frozen=True)
class Story:
    """Sentences with their section, who wrote them, and two readings: of the choosing and of the measuring reader."""

    plan: StoryPlan
    cast: Cast
    sentences: tuple[str, ...]
    section_of: tuple[int, ...]
    writers: tuple[str, ...]
    planned: Floats
    measured: Floats
    refused: int = 0

    @property
    def text(self) -> str:
        """One paragraph a section."""
        return "\n\n".join(" ".join(self.of_section(i)) for i in range(len(self.plan.sections))) + "\n"

    def of_section(self, number: int) -> list[str]:
        """The sentences of one section."""
        return [text for text, place in zip(self.sentences, self.section_of) if place == number]

    def starts(self) -> list[float]:
        """Seconds at which each sentence begins, the end included: a section's time is shared by words."""
        found: list[float] = []
        for number, section in enumerate(self.plan.sections):
            words = [len(text.split()) for text in self.of_section(number)]
            passed = [0, *accumulate(words)][:-1]
            found += [section.start + (section.end - section.start) * n / max(1, sum(words)) for n in passed]
        return [round(one, 3) for one in [*found, self.plan.sections[-1].end]]

    def section_arcs(self) -> dict[str, Floats]:
        """(sections, 2) each: heard in the music, asked of the text, planned and measured means."""
        rows = np.array(self.section_of)
        means = {
            name: np.array([values[rows == i].mean(axis=0) for i in range(len(self.plan.sections))])
            for name, values in (("planned", self.planned), ("measured", self.measured))
        }
        return {
            "heard": np.array([s.heard for s in self.plan.sections]),
            "target": np.array([s.target for s in self.plan.sections]),
            **means,
        }

    def measured_arc(self) -> Arc:
        """The measuring reader's arc over seconds."""
        starts = self.starts()
        return arc("seconds", starts[:-1], self.measured, starts[-1], domain="text")

    def record(self) -> dict[str, Any]:
        """For story.json."""
        arcs, starts = self.section_arcs(), self.starts()
        sections = []
        for i, section in enumerate(self.plan.sections):
            own = [n for n, place in enumerate(self.section_of) if place == i]
            lines = [
                {"start": starts[n], "text": self.sentences[n], "writer": self.writers[n]} for n in own
            ]  # fmt: skip
            means = {name: [round(float(v), 4) for v in arcs[name][i]] for name in ("planned", "measured")}
            sections.append(asdict(section) | means | {"sentences": lines})
        return {
            "shape": self.plan.shape, "cast": asdict(self.cast), "sections": sections, "refused": self.refused,
            "remarks": list(self.plan.remarks), "chosen_by": "text-va ngrams", "measured_by": "text-second",
        }  # fmt: skip


@dataclass(frozen=True)
class _Draft:
    """A story in the making."""

    chosen: tuple[Candidate, ...] = ()
    rows: tuple[int, ...] = ()
    cost: float = 0.0
    section: int = -1
    total: tuple[float, float, int] = (0.0, 0.0, 0)  # sums of the section's readings so far, and their number

    def with_one(
        self, option: Candidate, row: int, point: Floats, number: int, section: PlotSection, past: "_Past"
    ) -> "_Draft":
        """The draft with one sentence more in a section, whose reading `point` stands in a row of all readings."""
        before = self.total if number == self.section else (0.0, 0.0, 0)
        total = (before[0] + float(point[0]), before[1] + float(point[1]), before[2] + 1)
        cost = self.cost + _distance(point, total, section) + _repetition(past, option)
        return _Draft((*self.chosen, option), (*self.rows, row), cost, number, total)


@dataclass(frozen=True)
class _Past:
    """What the next sentence must not repeat: where each frame was used last, how many sentences there are, the content
    words of the last two, the word that the last one begins with, and whether it names nobody."""

    frames: dict[str, int]
    n: int
    words: frozenset[str]
    start: str
    named_nobody: bool

    @classmethod
    def of(cls, draft: _Draft) -> "_Past":
        """Of a draft."""
        words = frozenset[str]().union(*(_content(candidate.text) for candidate in draft.chosen[-2:]))
        frames = {candidate.frame: i for i, candidate in enumerate(draft.chosen)}
        last = draft.chosen[-1].text if draft.chosen else ""
        return cls(frames, len(draft.chosen), words, _start(last), bool(last) and not _names(last))


def write_story(
    plan: StoryPlan,
    seed: int = 0,
    writer: ChatWriter | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Story:
    """A story for a plan. UserError where the language model does not answer."""
    draw, cast = random.Random(seed), story_grammar.cast_of(seed)
    reader = text_affect.bundled()
    places = [(i, k) for i, section in enumerate(plan.sections) for k in range(section.n_sentences)]
    moods = [story_plan.quadrant_of(section.target) for section in plan.sections]
    beam, readings, situation = [_Draft()], np.zeros((0, 2)), "T"
    for number, (i, k) in enumerate(places):
        section = plan.sections[i]
        after, situation = situation, story_grammar.SITUATIONS.get(moods[i], situation)
        is_turn = number > 0 and k == 0 and (section.part == "turn" or situation != after)
        part = "turn" if is_turn else _part(section, k, is_last=number == len(places) - 1)
        options = _written(beam[0], section, part, cast, writer, seed + 1000 * number) if writer else []
        options = options or story_grammar.candidates(part, moods[i], cast, CANDIDATES, draw, after)
        points = reader.predict([option.text for option in options])
        first = len(readings)
        readings = np.vstack([readings, points])
        grown = [
            draft.with_one(option, first + j, points[j], i, section, past)
            for draft, past in [(draft, _Past.of(draft)) for draft in beam]
            for j, option in enumerate(options)
        ]
        beam = sorted(grown, key=lambda draft: draft.cost)[: 1 if writer else BEAM]
        progress(number + 1, len(places))
    best = beam[0]
    texts = tuple(candidate.text for candidate in best.chosen)
    measured = text_affect.second().predict(texts)
    writers = tuple(candidate.writer for candidate in best.chosen)
    return Story(
        plan, cast, texts, tuple(i for i, _ in places), writers, readings[list(best.rows)], measured,
        writer.refused if writer else 0,
    )  # fmt: skip


def _part(section: PlotSection, k: int, *, is_last: bool) -> str:
    if is_last and not (section.part == "opening" and k == 0):
        return "ending"
    return "opening" if section.part == "opening" and k == 0 else "middle"


def _written(
    draft: _Draft, section: PlotSection, part: str, cast: Cast, writer: ChatWriter, seed: int
) -> list[Candidate]:
    return writer.candidates([candidate.text for candidate in draft.chosen], section, part, cast, seed)


def _distance(point: Floats, total: tuple[float, float, int], section: PlotSection) -> float:
    """How far a sentence is from what its section asks, and the section's mean, which counts for all of it."""
    own = whole = 0.0
    for value, summed, asked, sd in zip(point.tolist(), total[:2], section.target, DOMAINS["text"].sd):
        own += ((value - asked) / sd) ** 2
        whole += total[2] * ((summed / total[2] - asked) / sd) ** 2
    return OWN_SHARE * own + (1 - OWN_SHARE) * whole


def _repetition(past: _Past, option: Candidate) -> float:
    ago = past.n - past.frames[option.frame] if option.frame in past.frames else 0
    words = _content(option.text)
    shared = len(words & past.words) / max(1, len(words))
    names_nobody = past.named_nobody and not _names(option.text)
    is_same_start = _start(option.text) == past.start
    again = USED_FRAME * 4 / (3 + ago) if ago else 0.0
    return again + REPEATED_WORDS * shared + NOBODY * names_nobody + SAME_START * is_same_start


def _start(text: str) -> str:
    return text.split(maxsplit=1)[0] if text else ""


@lru_cache(maxsize=4096)
def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"[a-z]+", text.lower()) if word not in _COMMON and len(word) > 2)


@lru_cache(maxsize=4096)
def _names(text: str) -> bool:
    return bool(re.search(r"(?<!^)\b[A-Z][a-z]+|\b[Ss]?[Hh]e\b|\b[Tt]hey\b|\b[Hh]er\b|\b[Hh]is\b", text))
