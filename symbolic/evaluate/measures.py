"""The measures of a set of tunes, and the same measures of human tunes and of controls, in one comparison.

    reference = load_reference("data/irish")
    result = evaluate_tunes(texts, reference)          # {"measures": {...}, "tunes": [one dict for each text]}
    columns = {"my model": result["measures"], **comparison(reference)}
    print(tables.console(comparison_table(columns, reference)))

Conventions are those of `validity`, `novelty` and `statistics`. Shares are from 0 to 1. Novelty and statistics look at
the tunes that parse; validity at all.
"""

import random
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from symbolic.data.families import Melody
from symbolic.data.notation import NotationError, Score, melody, parse
from symbolic.errors import UserError
from symbolic.evaluate import controls, novelty, sets, statistics, validity
from symbolic.evaluate.sets import Human, Tune
from symbolic.evaluate.tables import Cell, Share, Table

MOST_CONTROLS = 1000  # tunes of each control
Progress = Callable[[str, int, int], None]  # what, done, total

ROWS: tuple[tuple[str, str, type], ...] = (
    ("tunes", "n_tunes", int),
    ("tunes that parse", "share_that_parse", Share),
    ("bars that fit the metre", "share_of_full_bars", Share),
    ("tunes with all bars right", "share_of_right_tunes", Share),
    ("tunes with a copied 17-note phrase", "share_with_copied_phrase", Share),
    ("tunes at least half copied", "share_mostly_copied", Share),
    ("longest shared passage, median (notes)", "longest_shared_notes_median", int),
    ("longest shared passage, longest (notes)", "longest_shared_notes_max", int),
    ("repeats of a tune of the same set", "share_of_duplicates", Share),
    ("notes per tune, median", "n_notes_median", int),
    ("divergence of pitch classes (bits)", "divergence_pitch_class", float),
    ("divergence of intervals (bits)", "divergence_interval", float),
    ("divergence of durations (bits)", "divergence_duration", float),
    ("divergence of notes per bar (bits)", "divergence_notes_per_bar", float),
    ("bits per byte of held-out tunes", "bits_per_byte", float),
)


@dataclass(frozen=True, eq=False)
class Reference:
    """Human tunes, read and indexed once, when first asked for."""

    human: Human

    @cached_property
    def scores(self) -> list[Score | None]:
        """The training tunes, None where one does not parse."""
        return [_score(tune.text) for tune in self.human.train]

    @cached_property
    def melodies(self) -> list[Melody]:
        """The pitches of the training tunes, by voice."""
        return [_pitches(score) for score in self.scores]

    @cached_property
    def histograms(self) -> statistics.Histograms:
        """Those of the training tunes that parse."""
        return statistics.histograms(score for score in self.scores if score is not None)


def load_reference(source: Path | str) -> Reference:
    """The reference in a folder of `prepare`, or in any set of tunes."""
    return Reference(sets.read_human(source))


def evaluate_tunes(texts: Sequence[str], reference: Reference, progress: Progress | None = None) -> dict[str, Any]:
    """Measure a set of tunes: `measures` of the set, `tunes` one by one in the order given.

    Raises UserError for an empty set.
    """
    if not texts:
        raise UserError("there are no tunes to evaluate.")
    scores, checks = [], []
    for number, text in enumerate(texts, start=1):
        score, check = _read(text)
        scores.append(score)
        checks.append(check)
        if progress:
            progress("tunes read", number, len(texts))
    copies = novelty.copies([_pitches(score) for score in scores], reference.melodies)
    repeats = novelty.duplicates([_melodies(score) for score in scores])
    parsed = [score for score in scores if score is not None]
    measures = {
        "n_tunes": len(texts),
        **_validity(checks),
        **_novelty([copy for copy, score in zip(copies, scores) if score], repeats, scores),
        **_statistics(parsed, reference),
    }
    rows = zip(checks, copies, repeats)
    return {"measures": measures, "tunes": [_tune_row(c, copy, repeat, reference) for c, copy, repeat in rows]}


def comparison(reference: Reference, *, seed: int = 0, progress: Progress | None = None) -> dict[str, dict[str, Any]]:
    """The measures of the held-out human tunes, of two controls made of them, and of a copy of the training set."""
    rng = random.Random(seed)
    held_out = [tune.text for tune in reference.human.held_out]
    some = rng.sample(held_out, min(MOST_CONTROLS, len(held_out)))
    train = [tune.text for tune in reference.human.train]
    columns = {
        "human, held out" if reference.human.test else "human": held_out,
        "training tunes": rng.sample(train, len(some)),
        "5 % dropped": [controls.dropped(text, rng) for text in some],
        "shuffled": [controls.shuffled(text, rng) for text in some],
    }
    return {name: evaluate_tunes(texts, reference, progress)["measures"] for name, texts in columns.items()}


def comparison_table(
    columns: Mapping[str, Mapping[str, Any]],
    reference: Reference | None = None,
    title: str = "Generated and human tunes",
) -> Table:
    """Measures as rows, sets as columns; rows that no set has are left out."""
    rows: list[list[Cell]] = []
    for label, key, kind in ROWS:
        values = [measures.get(key) for measures in columns.values()]
        if any(value is not None for value in values):
            rows.append([label, *(None if value is None else kind(value) for value in values)])
    note = explanation(columns, reference) if reference else ""
    return Table(title, ["measure", *columns], rows, note)


def explanation(columns: Mapping[str, Mapping[str, Any]], reference: Reference) -> str:
    """What a reader must know to read the table: reference, floor of the divergences, expected copying."""
    human = reference.human
    n_tunes = next(iter(columns.values()))["n_tunes"]
    floor = statistics.floor(reference.histograms, n_tunes)
    size = min(n_tunes, len(reference.histograms["interval"]) // 2)
    parts = [
        f"Copying and divergences are against {len(human.train):,} training tunes of {human.name}.",
        f"Divergence (Jensen-Shannon) of {size:,} of them from the others: "
        + ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in floor.items())
        + ".",
    ]
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


def _read(text: str) -> tuple[Score | None, validity.Validity]:
    try:
        score = parse(text)
    except NotationError as error:
        return None, validity.Validity(reason=error.reason, parses=False)
    return score, validity.check_score(score)


def _score(text: str) -> Score | None:
    return _read(text)[0]


def _melodies(score: Score | None) -> list[list[tuple[int, int]]]:
    return [melody(score, voice) for voice in range(len(score.voices))] if score else []


def _pitches(score: Score | None) -> Melody:
    """Compact, since all of them are kept."""
    return [array("h", [midi for midi, _ in voice]) for voice in _melodies(score)]


def _validity(checks: Sequence[validity.Validity]) -> dict[str, Any]:
    return {
        "share_that_parse": validity.share_that_parse(checks),
        "share_of_full_bars": validity.share_of_full_bars(checks),
        "share_of_right_tunes": validity.share_of_right_tunes(checks),
        "not_checked": dict(Counter(check.reason for check in checks if check.reason).most_common()),
    }


def _novelty(
    copies: Sequence[novelty.Copy], repeats: Sequence[int | None], scores: Sequence[Score | None]
) -> dict[str, Any]:
    if not copies:
        return {}
    n_repeats = sum(repeat is not None for repeat, score in zip(repeats, scores) if score)
    longest = [copy.longest_notes for copy in copies]
    return {
        "share_with_copied_phrase": novelty.share_with_copied_phrase(copies),
        "share_mostly_copied": novelty.share_mostly_copied(copies),
        "longest_shared_notes_median": int(median(longest)),
        "longest_shared_notes_max": max(longest),
        "share_of_duplicates": n_repeats / len(copies),
    }


def _statistics(scores: Sequence[Score], reference: Reference) -> dict[str, Any]:
    if not scores:
        return {}
    lengths = [sum(map(len, _melodies(score))) for score in scores]
    found = statistics.divergences(statistics.histograms(scores), reference.histograms)
    return {"n_notes_median": int(median(lengths)), **{f"divergence_{name}": value for name, value in found.items()}}


def _tune_row(check: validity.Validity, copy: novelty.Copy, repeat: int | None, reference: Reference) -> dict[str, Any]:
    source: Tune | None = reference.human.train[copy.source] if copy.source is not None else None
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
