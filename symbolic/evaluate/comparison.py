"""The measures of a set of tunes, and the same measures of human tunes and of baselines, in one comparison.

    reference = load_reference("data/irish")
    result = evaluate_tunes(texts, reference)          # {"measures": {...}, "tunes": [one dict for each text]}
    columns = {"my model": result["measures"], **comparison(reference)}
    print(tables.console(comparison_table(columns, reference)))

MEASURES lists them: name, unit, what is good, and which baselines each claims to catch, that is, to tell from human
tunes (`experiments.controls` holds it to that). They are defined in `symbolic.notation.validity` and, one file a
measure, in `symbolic.evaluate.metrics`. Shares are from 0 to 1. Bars and parsing are judged of all tunes, all else of
those that parse.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus.families import PHRASE_NOTES, Melody
from symbolic.errors import UserError
from symbolic.evaluate import baselines, sets
from symbolic.evaluate.metrics import bootstrap, diversity, histograms, novelty, set_distance
from symbolic.evaluate.metrics.bootstrap import Interval
from symbolic.evaluate.report.tables import Cell, Share, Table
from symbolic.evaluate.sets import Human, SetTune
from symbolic.evaluate.tune_features import Observations, observe_all
from symbolic.notation import validity

MOST_CONTROLS = 1000  # tunes of each control
MOST_REFERENCE = 4000  # training tunes that the shape of melodies is compared with
USUAL_RANGE = (0.005, 0.995)  # quantiles of the lowest and highest notes of human tunes
Progress = Callable[[str, int, int], None]  # what, done, total

HELD_OUT, SHUFFLED, DROPPED, MARKOV, PITCHES, COPY, REPEATED = (
    *("human, held out", "shuffled", "5 % dropped", "Markov chain", "random pitches", "training tunes"),
    "ten tunes repeated",
)
CONTROLS = (SHUFFLED, DROPPED, MARKOV, PITCHES, COPY, REPEATED)
NOISE = (SHUFFLED, DROPPED, MARKOV, PITCHES)


@dataclass(frozen=True)
class Metric:
    """A row: `good` says which direction is better, `catches` which baselines it tells from human tunes."""

    label: str
    key: str
    kind: type
    catches: tuple[str, ...] = ()
    good: str = ""  # "more", "less", "as human" or '' for a description


MEASURES: tuple[Metric, ...] = (
    Metric("tunes", "n_tunes", int),
    # validity
    Metric("tunes that parse", "share_that_parse", Share, (SHUFFLED, DROPPED), "more"),
    Metric("bars that fit the metre", "share_of_full_bars", Share, (SHUFFLED, DROPPED, MARKOV), "more"),
    Metric("tunes with all bars right", "share_of_right_tunes", Share, (SHUFFLED, DROPPED, MARKOV), "more"),
    # novelty, always beside validity: a model that copies is always valid
    Metric("tunes with a copied 17-note phrase", "share_with_copied_phrase", Share, (COPY,), "less"),
    Metric("tunes at least half copied", "share_mostly_copied", Share, (COPY,), "less"),
    Metric("near-copies of a training tune", "share_of_near_copies", Share, (COPY,), "less"),
    Metric("longest shared passage, median (notes)", "longest_shared_notes_median", int, (COPY,), "as human"),
    Metric("longest shared passage, longest (notes)", "longest_shared_notes_max", int, (COPY,), "as human"),
    Metric("repeats of a tune of the same set", "share_of_duplicates", Share, (REPEATED,), "less"),
    # key and form
    Metric("key fit (correlation)", "key_fit", float, (MARKOV, PITCHES), "more"),
    Metric("tunes that end on the tonic", "ends_on_tonic", Share, (MARKOV, PITCHES), "as human"),
    Metric("tunes within the usual range", "share_in_range", Share, (), "as human"),
    Metric("sections per tune", "n_sections", float, (), "as human"),
    Metric("bars per section, median", "bars_per_section", float, (), "as human"),
    Metric("sections of 4, 8, 12... bars", "share_of_square_sections", Share, (DROPPED, MARKOV), "as human"),
    # music statistics
    Metric("notes per tune, median", "n_notes_median", int, (), "as human"),
    Metric("compass, median (semitones)", "compass_median", int, (PITCHES,), "as human"),
    Metric("pitch-class entropy (bits)", "pitch_class_entropy", float, (PITCHES,), "as human"),
    Metric("scale consistency", "scale_consistency", float, (PITCHES,), "as human"),
    Metric("groove consistency", "groove_consistency", float, (MARKOV,), "as human"),
    Metric("self-similarity of bars", "self_similarity", float, (DROPPED, MARKOV, PITCHES), "as human"),
    Metric(
        "divergence of pitch classes (bits)",
        "divergence_pitch_class",
        float,
        (SHUFFLED, PITCHES),
        "less",
    ),
    Metric("divergence of intervals (bits)", "divergence_interval", float, (SHUFFLED, PITCHES), "less"),
    Metric("divergence of contours (bits)", "divergence_contour", float, (SHUFFLED, PITCHES), "less"),
    Metric("divergence of durations (bits)", "divergence_duration", float, (SHUFFLED, DROPPED), "less"),
    Metric(
        "divergence of notes per bar (bits)",
        "divergence_notes_per_bar",
        float,
        (SHUFFLED, DROPPED, MARKOV),
        "less",
    ),
    Metric("divergence of keys (bits)", "divergence_key", float, (), "less"),
    Metric("divergence of metres (bits)", "divergence_meter", float, (), "less"),
    Metric("tunes with a length that no training tune has", "share_with_odd_lengths", Share, (), "as human"),
    Metric("overlap of pitch classes", "overlap_pitch_class", float, (SHUFFLED, MARKOV, PITCHES), "more"),
    Metric("overlap of intervals", "overlap_interval", float, (SHUFFLED, MARKOV, PITCHES), "more"),
    Metric("overlap of contours", "overlap_contour", float, (SHUFFLED, PITCHES), "more"),
    Metric("overlap of durations", "overlap_duration", float, (SHUFFLED, MARKOV), "more"),
    Metric("overlap of notes per bar", "overlap_notes_per_bar", float, (SHUFFLED, MARKOV), "more"),
    # distance between sets
    Metric("precision", "precision", Share, (SHUFFLED, MARKOV, PITCHES), "as human"),
    Metric("recall", "recall", Share, (SHUFFLED, MARKOV, PITCHES, REPEATED), "as human"),
    Metric("density", "density", float, (SHUFFLED, MARKOV, PITCHES), "as human"),
    Metric("coverage", "coverage", Share, (SHUFFLED, MARKOV, PITCHES, REPEATED), "as human"),
    Metric("Fréchet distance", "frechet_distance", float, (MARKOV, PITCHES), "less"),
    # diversity
    Metric("distinct 5-note runs", "distinct_runs", Share, (REPEATED,), "as human"),
    Metric("mean distance of two tunes", "mean_pairwise_distance", float, (REPEATED,), "as human"),
    # likelihood
    Metric("bits per byte of held-out tunes", "bits_per_byte", float, (), "less"),
    Metric("bits per byte under the model", "model_bits_per_byte", float, NOISE, "as human"),
    Metric("bits per note under the model", "model_bits_per_note", float, NOISE, "as human"),
    Metric("bits per bar under the model", "model_bits_per_bar", float, NOISE, "as human"),
    Metric("bits per byte, first occurrence", "model_bits_per_byte_first", float, NOISE, "as human"),
    Metric("bits per byte, repeated", "model_bits_per_byte_repeated", float, (DROPPED, MARKOV, PITCHES), "as human"),
)


# Of a set in which nothing parses: as far from music as can be.
_NOTHING = {f"divergence_{name}": 1.0 for name in histograms.FEATURES} | dict.fromkeys(
    (*(f"overlap_{name}" for name in histograms.FEATURES), "precision", "recall", "density", "coverage"), 0.0
)


@dataclass(frozen=True, eq=False)
class TuneReference:
    """Human tunes, read and indexed once, when first used."""

    human: Human

    @cached_property
    def seen(self) -> Observations:
        """The training tunes."""
        return observe_all([tune.text for tune in self.human.train])

    @cached_property
    def some(self) -> Observations:
        """A sample of at most MOST_REFERENCE training tunes that parse."""
        rows = np.random.default_rng(0).permutation(len(self.seen.parsed))[:MOST_REFERENCE]
        return self.seen.parsed.take(np.sort(rows))

    @cached_property
    def raw_points(self) -> set_distance.Points:
        """Feature vectors of the sample."""
        return set_distance.features(self.some.histograms, self.some.values)

    @cached_property
    def space(self) -> set_distance.Space:
        """The feature space in which sets are compared."""
        return set_distance.space(self.raw_points)

    @cached_property
    def points(self) -> set_distance.Points:
        """The sample's points in that space."""
        return self.space.place(self.raw_points)

    @cached_property
    def range(self) -> tuple[float, float]:
        """MIDI numbers between which nearly all training tunes lie."""
        low, high = self.some.values["lowest"], self.some.values["highest"]
        return float(np.quantile(low, USUAL_RANGE[0])), float(np.quantile(high, USUAL_RANGE[1]))


@dataclass(frozen=True, eq=False)
class Measured:
    """A set of tunes with the findings of each tune and its nearest training passages, so that any subset can be
    measured again."""

    seen: Observations
    copies: Sequence[novelty.Copy]
    nearness: NDArray[np.float64]
    runs: Sequence[NDArray[np.int64]]

    def take(self, rows: NDArray[np.int64]) -> "Measured":
        """Return the subset of tunes at the given places."""
        copies, runs = [self.copies[int(row)] for row in rows], [self.runs[int(row)] for row in rows]
        return replace(self, seen=self.seen.take(rows), copies=copies, nearness=self.nearness[rows], runs=runs)


def load_reference(source: Path | str) -> TuneReference:
    """Load the reference from a folder of `prepare`, or from any set of tunes."""
    return TuneReference(sets.read_human(source))


def evaluate_tunes(texts: Sequence[str], reference: TuneReference, progress: Progress | None = None) -> dict[str, Any]:
    """Measure a set of tunes: `measures` of the set, `tunes` one by one in the order given.

    Raises UserError for an empty set.
    """
    measured = measure(texts, reference, progress)
    return {"measures": summary(measured, reference), "tunes": rows_of(measured, reference)}


def rows_of(measured: Measured, reference: TuneReference) -> list[dict[str, Any]]:
    """Return the findings of each tune of a set, in order."""
    rows = zip(measured.seen.checks, measured.copies, _repeats(measured.seen))
    return [_tune_row(check, copy, repeat, reference) for check, copy, repeat in rows]


def measure(texts: Sequence[str], reference: TuneReference, progress: Progress | None = None) -> Measured:
    """Read a set of tunes and look up its passages in the reference. Raises UserError for an empty set."""
    if not texts:
        raise UserError("there are no tunes to evaluate.")
    seen = observe_all(texts, (lambda done, total: progress("tunes read", done, total)) if progress else None)
    training: Sequence[Melody] = reference.seen.melodies
    copies, nearness = novelty.copies(seen.melodies, training), novelty.nearness(seen.melodies, training)
    return Measured(seen, copies, nearness, diversity.runs(seen.melodies))


def summary(measured: Measured, reference: TuneReference, seed: int = 0) -> dict[str, Any]:
    """Compute all measures of a set, by key; those that need a parsed tune are absent where there is none."""
    checks = measured.seen.checks
    found = {"n_tunes": len(checks), **_validity(checks)}
    parsed = np.flatnonzero([check.parses for check in checks])
    if not len(parsed):
        return found | _NOTHING
    some = measured.take(parsed)
    return found | _music(some.seen, reference, seed) | _novelty(some) | _diversity(some, seed)


def interval_of(
    measured: Measured, reference: TuneReference, *, draws: int = 100, seed: int = 0
) -> dict[str, Interval]:
    """Compute an interval of each measure from half samples of the set (`metrics.bootstrap`); absent where a half has
    no value."""
    values: dict[str, list[float]] = {}
    for number, rows in enumerate(bootstrap.half_samples(len(measured.seen), draws, seed)):
        for key, value in summary(measured.take(rows), reference, seed + number).items():
            if isinstance(value, int | float) and np.isfinite(value):
                values.setdefault(key, []).append(float(value))
    return {key: bootstrap.quantiles(found) for key, found in values.items() if len(found) == draws}


def comparison_texts(reference: TuneReference, *, seed: int = 0) -> dict[str, list[str]]:
    """Return the held-out human tunes, and as many of each baseline (at most MOST_CONTROLS)."""
    rng = random.Random(seed)
    held_out = [tune.text for tune in reference.human.held_out]
    some = rng.sample(held_out, min(MOST_CONTROLS, len(held_out)))
    train = [tune.text for tune in reference.human.train]
    chain = baselines.MarkovChain(train)
    return {
        HELD_OUT if reference.human.test else "human": held_out,
        COPY: rng.sample(train, min(len(some), len(train))),
        DROPPED: [baselines.drop(text, rng) for text in some],
        SHUFFLED: [baselines.shuffle(text, rng) for text in some],
        MARKOV: [chain.draw(rng) for _ in some],
        PITCHES: [baselines.random_pitches(text, rng) for text in some],
        REPEATED: baselines.repeat(some, len(some), rng),
    }


def comparison(
    reference: TuneReference, *, seed: int = 0, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Measure every set of `comparison_texts`."""
    return {
        name: summary(measure(texts, reference, progress), reference)
        for name, texts in comparison_texts(reference, seed=seed).items()
    }


# Shares that are sums over tunes: key of MEASURES -> of a tune's row its part and what it is a part of.
_RATIOS: dict[str, Callable[[Mapping[str, Any]], tuple[float, float]]] = {
    "share_that_parse": lambda row: (row["parses"], 1),
    "share_of_full_bars": lambda row: (row["n_full"], row["n_bars"]),
    "share_of_right_tunes": lambda row: (row["is_right"], 1),
    "share_with_copied_phrase": lambda row: (row["longest_shared_notes"] >= PHRASE_NOTES, row["parses"]),
    "share_mostly_copied": lambda row: (row["share_covered"] >= 0.5, row["parses"]),
}


def differences(
    one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return by key of MEASURES: `value` of `one` less that of `other`, with the 95 % interval (`low`, `high`) of a
    bootstrap over the tunes of each; the sets are the `tunes` of `evaluate_tunes`. Absent where a set has nothing to
    count."""
    found = {}
    for key, part in _RATIOS.items():
        first, second = _sums(part, one), _sums(part, other)
        if sum(first[1]) and sum(second[1]):
            low, high = bootstrap.unpaired(first, second, seed=seed)
            value = sum(first[0]) / sum(first[1]) - sum(second[0]) / sum(second[1])
            found[key] = {"value": value, "low": low, "high": high}
    return found


def _sums(
    part: Callable[[Mapping[str, Any]], tuple[float, float]], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[float], list[float]]:
    """Return of each tune its part, and what it is a part of."""
    found = [part(row) for row in rows]
    return [a for a, _ in found], [b for _, b in found]


def differences_table(found: Mapping[str, Mapping[str, float]], one: str, other: str) -> Table:
    """Return `differences` in points of a percent, with what each says."""
    labels = {metric.key: metric.label for metric in MEASURES}
    rows: list[list[Cell]] = []
    for key, difference in found.items():
        points = [f"{100 * difference[name]:+.1f}" for name in ("value", "low", "high")]
        is_told = difference["low"] > 0 or difference["high"] < 0
        rows.append([labels[key], points[0], f"{points[1]} to {points[2]}", "yes" if is_told else "no"])
    note = "Intervals are of a bootstrap over the tunes of each set; two sets differ where 0 lies outside."
    return Table(
        f"{one} less {other}, percentage points", ["measure", "difference", "95 % interval", "told apart"], rows, note
    )


def likelihood_figures(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the rows that `likelihood_by_role.measures` fills: value, low and high of each."""
    whole = {f"model_{key}": found[key] for key in ("bits_per_byte", "bits_per_note", "bits_per_bar") if key in found}
    parts = {name: found["occurrence"][name] for name in ("first", "repeated") if name in found["occurrence"]}
    every = whole | {f"model_bits_per_byte_{name}": part for name, part in parts.items()}
    return {key: {name: one[name] for name in ("value", "low", "high")} for key, one in every.items()}


def comparison_table(
    columns: Mapping[str, Mapping[str, Any]],
    reference: TuneReference | None = None,
    title: str = "Generated and human tunes",
) -> Table:
    """Build the table: measures as rows, sets as columns; rows that no set has are left out."""
    rows: list[list[Cell]] = []
    for one in MEASURES:
        values = [measures.get(one.key) for measures in columns.values()]
        if any(value is not None for value in values):
            rows.append([one.label, *(None if value is None else _cell(value, one.kind) for value in values)])
    note = explanation(columns, reference) if reference else ""
    return Table(title, ["measure", *columns], rows, note)


def explanation(columns: Mapping[str, Mapping[str, Any]], reference: TuneReference) -> str:
    """Explain what is needed to read the table: reference, floors of the distances, expected copying."""
    human, n_tunes = reference.human, next(iter(columns.values()))["n_tunes"]
    floor = histograms.floor(reference.some.histograms, n_tunes)
    size = min(n_tunes, len(reference.some) // 2)
    frechet_floor = set_distance.frechet_floor(reference.points, n_tunes)
    parts = [
        f"Copying and divergences are against {len(human.train):,} training tunes of {human.name}.",
        f"Divergence (Jensen-Shannon) of {size:,} of them from the others: "
        + ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in floor.items())
        + f"; Fréchet distance {frechet_floor:.2f}.",
    ]
    sizes = {measures["n_tunes"] for measures in columns.values()}
    if len(sizes) > 1:
        parts.append(
            "Precision, recall, density, coverage, Fréchet distance, distinct runs and the longest passage depend on "
            "the number of tunes: compare columns of equal size."
        )
    leakage = human.summary.get("leakage", {}) if isinstance(human.summary, Mapping) else {}
    drawn = leakage.get("random_split", {}).get("share_sharing") if isinstance(leakage, Mapping) else None
    if drawn is not None:
        parts.append(
            "The held-out tunes were chosen to share no phrase with them; "
            f"of tunes chosen at random {100 * drawn:.1f} % would."
        )
    if not human.test:
        parts.append("The set is not split: copying is measured against the very tunes of the human column.")
    return " ".join(parts)


def _cell(value: Any, kind: type) -> Cell:
    cell: Cell = kind(value)
    return cell


def _validity(checks: Sequence[validity.Validity]) -> dict[str, Any]:
    return {
        "share_that_parse": validity.share_that_parse(checks),
        "share_of_full_bars": validity.share_of_full_bars(checks),
        "share_of_right_tunes": validity.share_of_right_tunes(checks),
        "not_checked": dict(Counter(check.reason for check in checks if check.reason).most_common()),
    }


def _music(seen: Observations, reference: TuneReference, seed: int) -> dict[str, Any]:
    """Compute the measures that need parsed tunes."""
    values, (low, high) = seen.values, reference.range
    n_sections = values["n_sections"].sum()
    found = {
        **{row.key: _mean(values[row.key]) for row in MEASURES if row.key in values},
        "share_in_range": float(((values["lowest"] >= low) & (values["highest"] <= high)).mean()),
        "bars_per_section": _median(values["bars_per_section"]),
        "share_of_square_sections": float(values["n_square_sections"].sum() / n_sections) if n_sections else None,
        "n_notes_median": int(np.median(values["n_notes"])),
        "compass_median": int(np.median(values["compass"])),
    }
    real, points = reference.some.histograms, reference.space.place(set_distance.features(seen.histograms, values))
    for name, value in histograms.divergences(seen.histograms, real).items():
        found[f"divergence_{name}"] = value
        found[f"overlap_{name}"] = histograms.overlap(seen.histograms[name], real[name], seed)
    for name, counts in seen.labels.items():
        found[f"divergence_{name}"] = histograms.label_divergence(counts, reference.seen.labels[name])
    known = reference.seen.lengths
    found["share_with_odd_lengths"] = sum(not tune.lengths <= known for tune in seen.tunes) / len(seen)
    found |= set_distance.neighbours(points, reference.points, seed)
    frechet = set_distance.frechet(points, reference.points)
    return {key: value for key, value in {**found, "frechet_distance": frechet}.items() if _is_number(value)}


def _novelty(measured: Measured) -> dict[str, Any]:
    longest = [copy.longest_notes for copy in measured.copies]
    repeats = _repeats(measured.seen)
    return {
        "share_with_copied_phrase": novelty.share_with_copied_phrase(measured.copies),
        "share_mostly_copied": novelty.share_mostly_copied(measured.copies),
        "share_of_near_copies": novelty.share_of_near_copies(measured.nearness),
        "longest_shared_notes_median": int(np.median(longest)),
        "longest_shared_notes_max": max(longest),
        "share_of_duplicates": sum(repeat is not None for repeat in repeats) / len(longest),
    }


def _diversity(measured: Measured, seed: int) -> dict[str, Any]:
    found = {
        "distinct_runs": diversity.distinct_runs(measured.runs, seed),
        "mean_pairwise_distance": diversity.mean_pairwise_distance(measured.runs, seed),
    }
    return {key: value for key, value in found.items() if _is_number(value)}


def _repeats(seen: Observations) -> list[int | None]:
    """Return for each tune the index of the first with its melody; None where there is none or it does not parse."""
    first: dict[str, int] = {}
    earlier = [first.setdefault(tune.key, number) if tune.key else number for number, tune in enumerate(seen.tunes)]
    return [None if one == number else one for number, one in enumerate(earlier)]


def _mean(values: NDArray[np.float64]) -> float | None:
    some = values[np.isfinite(values)]
    return float(some.mean()) if len(some) else None


def _median(values: NDArray[np.float64]) -> float | None:
    some = values[np.isfinite(values)]
    return float(np.median(some)) if len(some) else None


def _is_number(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _tune_row(
    check: validity.Validity, copy: novelty.Copy, repeat: int | None, reference: TuneReference
) -> dict[str, Any]:
    source: SetTune | None = reference.human.train[copy.source] if copy.source is not None else None
    return {
        "parses": check.parses,
        "reason": check.reason,
        "n_bars": check.n_bars,
        "n_full": check.n_full,
        "is_right": check.is_right,
        "longest_shared_notes": copy.longest_notes,
        "share_covered": copy.share_covered,
        "source_id": source.id if source else None,
        "source_title": source.title if source else None,
        "source": copy.source,
        "repeats": repeat if check.parses else None,
    }
