"""Orders of clips: balanced, repeatable, with practice, repeats and attention."""

import itertools
from collections import Counter

import pytest

from studio.survey.survey_spec import SurveySpec
from studio.survey.trial_plan import PRACTICE, Stimulus, trials_of, williams_rows


def stimuli(n: int, systems: str = "ab") -> list[Stimulus]:
    rated = [Stimulus(f"{s}{i}", s, i, f"{s}{i}.mp3") for s in systems for i in range(n)]
    return [*rated, Stimulus("p", systems[0], n, "p.mp3", control=PRACTICE)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 32])
def test_every_clip_follows_every_other_equally_often(n: int) -> None:
    rows = williams_rows(n)
    assert all(sorted(row) == list(range(n)) for row in rows)
    follows = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(follows) == n * (n - 1) and len(set(follows.values())) <= 1
    for column in zip(*rows, strict=True):
        assert len(set(Counter(column).values())) == 1


def test_a_rater_meets_each_clip_once_and_the_checks() -> None:
    spec = SurveySpec("x", {"a": "", "b": ""}, human=("a",))
    for number in (0, 7):
        trials = trials_of(spec, stimuli(8), number)
        assert trials == trials_of(spec, stimuli(8), number) and [t.number for t in trials] == list(range(len(trials)))
        kinds = Counter(trial.kind for trial in trials)
        assert kinds == {"practice": 1, "main": 16, "repeat": 1, "attention": 1} and trials[0].stimuli == ("p",)
        assert len({t.stimuli for t in trials if t.kind == "main"}) == 16
        repeat = next(t for t in trials if t.kind == "repeat")
        assert next(t for t in trials if t.kind == "main" and t.stimuli == repeat.stimuli).number < repeat.number
        assert all(t.criteria[-1] == "origin" and len(t.criteria) == 8 for t in trials)
    assert trials_of(spec, stimuli(8), 0)[1].stimuli != trials_of(spec, stimuli(8), 1)[1].stimuli


def test_too_many_clips_are_dealt_out_evenly() -> None:
    spec = SurveySpec("x", {"a": "", "b": ""}, max_trials=6, attention=0, repeats=0, practice=0)
    met = Counter(t.stimuli for number in range(8) for t in trials_of(spec, stimuli(12), number))
    assert len(met) == 24 and set(met.values()) == {2}


def test_pairs_and_abx_show_two_systems_of_one_item() -> None:
    for design, width in (("preference", 2), ("abx", 3)):
        spec = SurveySpec("x", {"a": "", "b": ""}, design=design, practice=0, attention=0, repeats=0)  # type: ignore[arg-type]
        trials = trials_of(spec, stimuli(10), 3)
        assert len(trials) == 10
        for trial in trials:
            assert len(trial.stimuli) == width and {id[0] for id in trial.stimuli[:2]} == {"a", "b"}
            assert len({id[1:] for id in trial.stimuli}) == 1
        assert len({trial.stimuli[0][0] for trial in trials}) == 2  # sides are drawn
