"""Features of single tunes, computed once: the rows that every measure of a set is computed from.

    seen = observe_all(texts)
    seen.values["key_fit"]          # one number a tune, NaN where a tune has none
    observe_all(texts).take(rows)   # the same of some of them

A tune is parsed once and let go; what stays is numbers, so that 10,000 tunes fit into some hundred megabytes. A tune
that does not parse has its place everywhere: no notes, rows of zeros, NaN.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus.cleaning import melody_key
from symbolic.corpus.families import Melody
from symbolic.evaluate.metrics import form, tonality
from symbolic.evaluate.metrics import histograms as statistics
from symbolic.evaluate.metrics.histograms import Histograms
from symbolic.notation import validity
from symbolic.notation.abc_parser import NotationError, Note, Rest, Score, melody, parse

VALUES = (
    *("n_notes", "mean_pitch", "lowest", "highest", "compass", "pitch_class_entropy", "scale_consistency", "key_fit"),
    *("ends_on_tonic", "groove_consistency", "self_similarity", "n_sections", "n_square_sections", "bars_per_section"),
)
LABELS = ("key", "meter")
_NONE = dict.fromkeys(VALUES, float("nan"))
_EMPTY = {name: np.zeros(bins, np.int64) for name, bins in statistics.FEATURES.items()}


@dataclass(frozen=True)
class TuneFeatures:
    """Features of one tune. `melody` holds MIDI pitches by voice, `key` identifies the melody regardless of
    transposition.

    `labels` are key and meter as the header has them (LABELS; empty where the tune does not parse), `lengths` the ticks
    of its notes and rests as written.
    """

    check: validity.Validity
    melody: Melody
    key: str
    histograms: Mapping[str, NDArray[np.int64]]
    values: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    lengths: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Observations:
    """Features of a set, one row a tune."""

    tunes: Sequence[TuneFeatures]

    def __len__(self) -> int:
        return len(self.tunes)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Observations":
        """Return the given rows, in order."""
        return Observations([self.tunes[int(row)] for row in rows])

    @cached_property
    def parsed(self) -> "Observations":
        """The tunes that parse."""
        return (
            self if all(tune.check.parses for tune in self.tunes) else Observations(list(filter(_parses, self.tunes)))
        )

    @cached_property
    def checks(self) -> list[validity.Validity]:
        """Bar checks of each tune: how its bars add up."""
        return [tune.check for tune in self.tunes]

    @cached_property
    def melodies(self) -> list[Melody]:
        """MIDI pitches of each tune, by voice."""
        return [tune.melody for tune in self.tunes]

    @cached_property
    def histograms(self) -> Histograms:
        """Histograms of each feature, one row a tune."""
        return statistics.stacked([tune.histograms for tune in self.tunes])

    @cached_property
    def labels(self) -> dict[str, Counter[str]]:
        """How many tunes have which key and which meter."""
        return {name: Counter(tune.labels[name] for tune in self.tunes if tune.labels) for name in LABELS}

    @cached_property
    def lengths(self) -> frozenset[int]:
        """Ticks of all notes and rests as written."""
        return frozenset().union(*(tune.lengths for tune in self.tunes))

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """One number a tune, by name (VALUES)."""
        return {name: np.array([tune.values[name] for tune in self.tunes], np.float64) for name in VALUES}


def observe_all(texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Observations:
    """Compute the features of ABC tunes; raises for nothing that a text may hold."""
    seen = []
    for number, text in enumerate(texts, start=1):
        seen.append(observe(text))
        if progress:
            progress(number, len(texts))
    return Observations(seen)


def observe(text: str) -> TuneFeatures:
    """Compute the features of one tune."""
    try:
        score = parse(text, strict=True)
    except NotationError as error:
        check = validity.Validity(reason=error.reason, parses=False)
        return TuneFeatures(check, [], "", _EMPTY, _NONE)
    voices = [melody(score, voice) for voice in range(len(score.voices))]
    pitches = [array("h", [midi for midi, _ in voice]) for voice in voices]
    histograms = statistics.of_tune(score)
    values = _values(score, [note for voice in voices for note in voice], voices[0])
    return TuneFeatures(
        *(validity.check_score(score), pitches, melody_key(voices), histograms, values),
        labels={"key": score.key.text, "meter": score.meter.text},
        lengths=frozenset(
            event.ticks for voice in score.voices for event in voice.events if isinstance(event, Note | Rest)
        ),
    )


def _values(score: Score, notes: list[tuple[int, int]], first_voice: list[tuple[int, int]]) -> dict[str, float]:
    """Compute the single numbers: pitch over all voices, ending and form of the first voice, which is the melody."""
    pitches, ticks = np.array(notes, np.int64).T
    counts = np.bincount(pitches % 12, minlength=12)
    tonic, meter_ticks = score.key.tonic_pitch_class, score.meter.ticks
    onsets, grid = form.grids(score.voices[0], meter_ticks)
    sections = form.sections(score.voices[0], meter_ticks)
    return {
        "n_notes": len(notes),
        "mean_pitch": float(pitches.mean()),
        "lowest": float(pitches.min()),
        "highest": float(pitches.max()),
        "compass": tonality.compass(pitches),
        "pitch_class_entropy": tonality.entropy(counts),
        "scale_consistency": tonality.scale_consistency(counts),
        "key_fit": tonality.key_fit(tonality.pitch_class_weights(pitches, ticks, tonic), score.key.mode),
        "ends_on_tonic": float(first_voice[-1][0] % 12 == tonic) if first_voice else float("nan"),
        "groove_consistency": form.groove_consistency(onsets),
        "self_similarity": form.self_similarity(grid),
        "n_sections": len(sections),
        "n_square_sections": sum(length % 4 == 0 for length in sections),
        "bars_per_section": float(np.median(sections)) if sections else float("nan"),
    }


def _parses(tune: Any) -> bool:
    return bool(tune.check.parses)
