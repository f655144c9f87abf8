"""Which clips a rater meets, in which order: Williams squares, practice, a repeated and an attention trial.

A Williams design is a Latin square in which every clip follows every other equally often, so that what is carried over
from one clip to the next falls on all alike (E. J. Williams, Australian Journal of Scientific Research A 2, 1949). An
odd number of clips needs two squares. Rater number r takes row r of the square, so orders are balanced as raters come
in.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from studio.survey.survey_spec import REFERENCE, SurveySpec

PRACTICE = "practice"  # the `control` of clips that are met before the survey begins
SECONDS_PER_ANSWER = 4.0
TrialKind = Literal["practice", "main", "repeat", "attention"]


@dataclass(frozen=True)
class Stimulus:
    """One clip and what it is; only `id` and `file` may reach a rater. `item` pairs clips of different systems. `text`
    is the words that a pair shows; `control` marks shuffled, constant and anchor stimuli."""

    id: str
    system: str
    item: int
    file: str
    sha256: str = ""
    is_human: bool = False
    text: str = ""
    control: str = ""
    source: str = ""


@dataclass(frozen=True)
class Trial:
    """One page: the stimuli shown together, in their order on the page. `answer` is what an attention trial demands."""

    number: int
    kind: TrialKind
    stimuli: tuple[str, ...]
    criteria: tuple[str, ...]
    answer: int | None = None


def williams_rows(n: int) -> list[list[int]]:
    """Rows of a Williams design of n treatments: n rows for even n, 2n for odd n."""
    if n < 1:
        return []
    first = [0]
    low, high = 1, n - 1
    while len(first) < n:
        first.append(low)
        if len(first) < n:
            first.append(high)
        low, high = low + 1, high - 1
    rows = [[(value + shift) % n for value in first] for shift in range(n)]
    return rows if n % 2 == 0 else rows + [row[::-1] for row in rows]


def trials_of(spec: SurveySpec, stimuli: Sequence[Stimulus], rater_number: int) -> list[Trial]:
    """All trials of the rater who is number `rater_number`, from 0; the same number gives the same trials."""
    groups = _groups(spec, stimuli)
    rng = random.Random(f"{spec.seed}:{rater_number}")
    if len(groups) > spec.max_trials:
        groups = _balanced_subset(groups, spec.max_trials, rater_number)
    rows = williams_rows(len(groups))
    order = [groups[i] for i in rows[rater_number % len(rows)]]
    criteria = list(spec.asked)
    if spec.design == "rating":
        seven = [c for c in criteria if c != "origin"]
        rng.shuffle(seven)
        criteria = seven + [c for c in criteria if c == "origin"]  # human or AI last: it must not colour the others
    main = [Trial(0, "main", _on_page(spec, group, rng), tuple(criteria)) for group in order]
    whole = _practice(spec, stimuli, tuple(criteria)) + _with_checks(spec, main, rng)
    return [replace(trial, number=i) for i, trial in enumerate(whole)]


def minutes_of(spec: SurveySpec, trials: Sequence[Trial]) -> int:
    """About how long a rater takes: every clip once, and SECONDS_PER_ANSWER for each criterion."""
    seconds = sum(len(t.stimuli) * spec.seconds + len(t.criteria) * SECONDS_PER_ANSWER for t in trials)
    return max(1, round(seconds / 60))


def rated_places(trial: Trial) -> range:
    """The places of a page that are answered: a pair and an ABX page have one answer, MUSHRA one for each slider."""
    if trial.criteria[0] in ("preference", "abx"):
        return range(1)
    return range(1, len(trial.stimuli)) if trial.criteria[0] == "mushra" else range(len(trial.stimuli))


def _practice(spec: SurveySpec, stimuli: Sequence[Stimulus], criteria: tuple[str, ...]) -> list[Trial]:
    """Trials with clips that are rated nowhere else; their answers do not count."""
    clips = [stimulus.id for stimulus in stimuli if stimulus.control == PRACTICE]
    width = {"preference": 2, "abx": 2, "mushra": 2}.get(spec.design, 1)
    pages = [(clips * width)[i : i + width] for i in range(min(spec.practice, len(clips)))]
    return [Trial(0, "practice", tuple(page + page[:1] * (spec.design == "abx")), criteria) for page in pages]


def _groups(spec: SurveySpec, stimuli: Sequence[Stimulus]) -> list[tuple[Stimulus, ...]]:
    """The stimuli of each page before they are ordered."""
    rated = (stimulus for stimulus in stimuli if stimulus.control != PRACTICE)
    ordered = sorted(rated, key=lambda s: (s.item, s.system, s.control, s.id))
    if spec.design in ("rating", "origin", "similarity"):
        return [(stimulus,) for stimulus in ordered]
    by_item = [list(group) for _, group in itertools.groupby(ordered, key=lambda s: s.item)]
    if spec.design == "mushra":
        return [tuple(group) for group in by_item]
    return [pair for group in by_item for pair in itertools.combinations(group, 2)]


def _balanced_subset(groups: list[tuple[Stimulus, ...]], n: int, rater_number: int) -> list[tuple[Stimulus, ...]]:
    """n of the groups, taken on from where the rater before stopped, so that all are asked equally often."""
    shuffled = groups[:]
    random.Random(0).shuffle(shuffled)
    start = rater_number * n
    return [shuffled[(start + i) % len(shuffled)] for i in range(n)]


def _on_page(spec: SurveySpec, group: tuple[Stimulus, ...], rng: random.Random) -> tuple[str, ...]:
    """The ids of a page in their places: sides are drawn; ABX shows A, B and X; MUSHRA the open reference first."""
    shuffled = list(group)
    rng.shuffle(shuffled)
    ids = [stimulus.id for stimulus in shuffled]
    if spec.design == "abx":
        ids.append(rng.choice(ids))
    if spec.design == "mushra":
        ids.insert(0, next(s.id for s in group if s.system == REFERENCE and not s.control))
    return tuple(ids)


def _with_checks(spec: SurveySpec, main: list[Trial], rng: random.Random) -> list[Trial]:
    """Repeat some trials in the last third and put attention trials into the middle."""
    whole = list(main)
    if len(main) >= 4:
        for trial in rng.sample(main[: len(main) // 2], min(spec.repeats, len(main) // 2)):
            whole.insert(rng.randint(2 * len(main) // 3, len(whole)), replace(trial, kind="repeat"))
    for _ in range(spec.attention if main else 0):
        like = rng.choice(main)
        wanted = {"preference": 1, "abx": 1, "mushra": 0, "origin": 1}.get(spec.design, 4)
        whole.insert(rng.randint(len(whole) // 3, len(whole)), replace(like, kind="attention", answer=wanted))
    return whole
