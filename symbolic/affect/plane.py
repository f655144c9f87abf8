"""The emotion plane: valence and arousal on -1..1, the scales that data sets use, and arcs over time.

Valence goes from unpleasant (-1) to pleasant (1), arousal from calm (-1) to excited (1). An `Arc` is a sequence of
points on the plane; `at` counts in `unit`: seconds, bars or sentences, each the start of what the point describes.

Every data set is converted by a named `Scale`; values that do not lie on the scale named are an error that says which
scale would fit, because ratings on 1..9 read as -1..1 look like very happy music.

Arcs of different sources (text, scores, sound) do not have the same mean and spread: `matched` brings one domain's
values to another's by mean and standard deviation before words or targets are compared (`DOMAINS`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.errors import UserError

Values = NDArray[np.float64]
UNITS = ("seconds", "bars", "sentences")


@dataclass(frozen=True)
class Scale:
    """A rating scale from `low` to `high`; `low` becomes -1 and `high` 1."""

    name: str
    low: float
    high: float
    used_by: str

    def signed(self, values: Any, source: str = "values") -> Values:
        """Values on -1..1. UserError where they do not lie on this scale; NaN stays NaN."""
        array = np.asarray(values, dtype=np.float64)
        known = array[np.isfinite(array)]
        if known.size and (known.min() < self.low - 1e-6 or known.max() > self.high + 1e-6):
            raise UserError(self._misfit(source, float(known.min()), float(known.max())))
        return np.round((array - self.low) / (self.high - self.low) * 2 - 1, 12)

    def _misfit(self, source: str, low: float, high: float) -> str:
        fitting = [s for s in SCALES.values() if s.low - 1e-6 <= low and high <= s.high + 1e-6]
        advice = "no known scale fits: rescale the file to -1..1."
        if fitting:
            nearest = min(fitting, key=lambda s: s.high - s.low)
            advice = f"the scale `{nearest.name}` ({nearest.low:g} to {nearest.high:g}) fits."
        return f"{source}: values from {low:g} to {high:g} are not on the scale `{self.name}` " + (
            f"({self.low:g} to {self.high:g}); {advice}"
        )


SCALES = {
    scale.name: scale
    for scale in (
        Scale("signed", -1.0, 1.0, "DEAM dynamic, VGMIDI, our own files"),
        Scale("unit", 0.0, 1.0, "PMEmo, NRC-VAD, MERGE"),
        Scale("emobank5", 1.0, 5.0, "EmoBank"),
        Scale("sam9", 1.0, 9.0, "DEAM static, emoMusic, Warriner, ANEW"),
        Scale("percent", 0.0, 100.0, "sliders"),
    )
}


def scale_named(name: str) -> Scale:
    """The scale of that name. UserError lists the names."""
    if name not in SCALES:
        raise UserError(f"there is no scale {name!r}; the names are {', '.join(SCALES)}.")
    return SCALES[name]


@dataclass(frozen=True)
class Domain:
    """Mean and standard deviation of one source's values, (valence, arousal) each."""

    name: str
    mean: tuple[float, float]
    sd: tuple[float, float]


# Predictions of the bundled models: text over 1,000 EmoBank test sentences, scores and sound over VGMIDI pieces
# (experiments/results: affect_hearing, affect_reading, affect_sound.json); "words" are this project's own table.
DOMAINS = {
    "score": Domain("score", (0.163, 0.052), (0.139, 0.210)),
    "sound": Domain("sound", (0.163, 0.052), (0.130, 0.190)),
    "text": Domain("text", (-0.010, 0.020), (0.119, 0.070)),
    "passages": Domain("passages", (-0.010, 0.030), (0.075, 0.040)),  # means of the text reader over a section
    # The same by the second reader, over the sections of three stories; and pieces by the second scorer, whose outputs
    # were given 0.65 of the ratings' spread (learning.quadrant_training).
    "second passages": Domain("second passages", (-0.030, 0.010), (0.053, 0.018)),
    "second sections": Domain("second sections", (0.147, 0.058), (0.144, 0.153)),
    "sections": Domain("sections", (0.147, 0.058), (0.222, 0.236)),  # rated pieces: what music is asked for
    "words": Domain("words", (0.0, 0.0), (0.48, 0.42)),
}


@dataclass(frozen=True)
class Arc:
    """Valence and arousal over time, (n,) each on -1..1; `low`/`high` bound them with 90 % coverage, shape (n, 2)."""

    unit: str
    at: tuple[float, ...]
    valence: tuple[float, ...]
    arousal: tuple[float, ...]
    end: float
    low: tuple[tuple[float, float], ...] = ()
    high: tuple[tuple[float, float], ...] = ()
    domain: str = "score"
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.unit in UNITS
        assert len(self.at) == len(self.valence) == len(self.arousal) > 0

    @property
    def points(self) -> Values:
        """(n, 2): valence, arousal."""
        return np.column_stack([self.valence, self.arousal])

    @property
    def mean(self) -> tuple[float, float]:
        """Mean over the points, each weighted by how long it lasts."""
        weights = np.diff([*self.at, max(self.end, self.at[-1] + 1e-9)])
        valence, arousal = np.average(self.points, axis=0, weights=np.maximum(weights, 1e-9))
        return float(valence), float(arousal)

    def moved(self, points: Values) -> "Arc":
        """The same times with other points (n, 2), without intervals."""
        return replace(self, valence=_rounded(points[:, 0]), arousal=_rounded(points[:, 1]), low=(), high=())

    def as_json(self) -> dict[str, Any]:
        """What `affect --json` prints."""
        found: dict[str, Any] = {"unit": self.unit, "at": list(self.at), "valence": list(self.valence)}
        found |= {"arousal": list(self.arousal), "end": self.end, "scale": "signed"}
        if self.low:
            found["low"], found["high"] = [list(p) for p in self.low], [list(p) for p in self.high]
        found["mean"] = [round(value, 4) for value in self.mean]
        return found | self.record


def arc(unit: str, at: Sequence[float], points: Any, end: float, **more: Any) -> Arc:
    """An arc from (n, 2) points; values are clipped to -1..1 and rounded to four digits."""
    array = np.clip(np.asarray(points, dtype=np.float64), -1.0, 1.0)
    times = tuple(round(float(t), 3) for t in at)
    return Arc(unit, times, _rounded(array[:, 0]), _rounded(array[:, 1]), round(float(end), 3), **more)


def resampled_points(points: Any, count: int) -> Values:
    """(count, 2) points at equal steps along an arc (n, 2), by linear interpolation."""
    array = np.asarray(points, dtype=np.float64)
    places = np.linspace(0, len(array) - 1, count)
    return np.column_stack([np.interp(places, np.arange(len(array)), column) for column in array.T])


def smoothed(points: Any, width: int) -> Values:
    """Centred moving mean of `width` points; at the ends over those that exist."""
    array = np.asarray(points, dtype=np.float64)
    half = width // 2
    return np.stack([array[max(0, i - half) : i + half + 1].mean(axis=0) for i in range(len(array))])


def integrated(features: Any, time_constant: float) -> Values:
    """Leaky integration along the first axis: c += (1 - exp(-1 / time_constant)) (x - c), starting at the first."""
    array = np.asarray(features, dtype=np.float64)
    gain = 1.0 - np.exp(-1.0 / time_constant)
    state, states = array[0].copy(), []
    for row in array:
        state = state + gain * (row - state)
        states.append(state)
    return np.stack(states)


def matched(points: Any, source: Domain, target: Domain) -> Values:
    """Points (n, 2) of one domain as they would stand in another, by mean and standard deviation."""
    array = np.asarray(points, dtype=np.float64)
    z = (array - np.asarray(source.mean)) / np.asarray(source.sd)
    return np.clip(np.asarray(target.mean) + z * np.asarray(target.sd), -1.0, 1.0)


def quadrant(valence: float, arousal: float, centre: tuple[float, float] = (0.0, 0.0)) -> str:
    """Q1 (pleasant, excited), Q2 (unpleasant, excited), Q3 (unpleasant, calm) or Q4 (pleasant, calm)."""
    if arousal >= centre[1]:
        return "Q1" if valence >= centre[0] else "Q2"
    return "Q4" if valence >= centre[0] else "Q3"


def _rounded(values: Values) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
