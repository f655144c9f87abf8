"""Music for a text, from sentences to a written piece; the functions behind `compose`, `soundtrack` and the studio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbolic.affect.composing import melody_pool, score_plan, section_writer
from symbolic.affect.composing.arrangement import SectionBar, section_bars, section_table
from symbolic.affect.composing.score_plan import MoodPlan
from symbolic.affect.composing.story_targets import StorySection, story_sections
from symbolic.affect.hearing import note_table, quadrant_model

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel

POOL = 8  # melodies to choose from
NEAR = 0.2  # distance up to which the second scorer hears what was asked


@dataclass(frozen=True)
class Composition:
    """A piece for a text: its ABC, sections of text and plans, and each section's point by the second scorer."""

    text: str
    sections: tuple[StorySection, ...]
    plans: tuple[MoodPlan, ...]
    measured: tuple[tuple[float, float], ...]

    @property
    def midi(self) -> bytes:
        """A MIDI file with tempos and dynamics."""
        return section_writer.piece_midi(self.text)

    @property
    def starts(self) -> list[float]:
        """Seconds at which the sections begin, the end included."""
        bars = [len(plan_bars(plan)) for plan in self.plans]
        table = note_table.of_abc(self.text)
        return [float(table.bar_starts[min(place, table.n_bars)]) for place in [0, *accumulate(bars)]]

    def arcs(self) -> dict[str, NDArray[np.float64]]:
        """(sections, 2) each: target, predicted by the planning scorer, measured by the second one."""
        return {
            "target": np.array([plan.target for plan in self.plans]),
            "predicted": np.array([plan.predicted for plan in self.plans]),
            "measured": np.array(self.measured),
        }

    def record(self) -> dict[str, Any]:
        """For plan.json."""
        rows = []
        starts = self.starts
        for i, (section, plan, point) in enumerate(zip(self.sections, self.plans, self.measured)):
            row = section.record() | plan.record() | {"measured": [round(v, 3) for v in point]}
            row["measured_miss"] = round(distance(point, plan.target), 3)
            rows.append(row | {"start": round(starts[i], 3), "end": round(starts[i + 1], 3)})
        return {"sections": rows, "not_reached": sum(not row["reached"] for row in rows)}


def compose(
    story: str,
    model: "str | LoadedModel" = melody_pool.DEFAULT_MODEL,
    *,
    tunes: Sequence[str] = (),
    bars: int = 8,
    meter: str = "4/4",
    key: str = "D",
    title: str = "",
    n: int = POOL,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Composition:
    """Music for a text: best of n melodies for each section. `tunes` are ABC texts to take the melodies from instead of
    a model. UserError for a text that cannot be read or tunes that hold no such section."""
    settings: dict[str, Any] = {"bars": bars, "meter": meter, "key": key, "title": title, "n": n, "seed": seed}
    return for_sections(story_sections(story), model, tunes=tunes, progress=progress, **settings)


def for_sections(
    sections: Sequence[StorySection],
    model: "str | LoadedModel" = melody_pool.DEFAULT_MODEL,
    *,
    tunes: Sequence[str] = (),
    bars: int = 8,
    meter: str = "4/4",
    key: str = "D",
    title: str = "",
    n: int = POOL,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Composition:
    """Music for sections whose targets are known."""
    pool = melody_pool.chosen(model, tunes, n, bars=bars, meter=meter, key=key, seed=seed)
    plans = score_plan.planned([section.target for section in sections], pool, progress=progress)
    text = section_writer.piece_text(plans, title or _title(sections), [section.text for section in sections])
    measured = [quadrant_model.point_of(_table(plan)) for plan in plans]
    return Composition(text, tuple(sections), tuple(plans), tuple(measured))


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two points on the plane."""
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def plan_bars(plan: MoodPlan) -> Sequence[SectionBar]:
    """The bars of a planned section."""
    return section_bars(plan.line.in_mode(plan.controls.mode))


def _table(plan: MoodPlan) -> note_table.NoteTable:
    return section_table(plan.line, plan.controls)


def _title(sections: Sequence[StorySection]) -> str:
    words = sections[0].text.split()
    return " ".join(words[:6]) + (" ..." if len(words) > 6 else "")
