"""The plan tells minutes, warns of too few clips, and power grows with the gap."""

from pathlib import Path

from studio.survey.power_plan import plan_lines, planned_stimuli, simulated_power
from studio.survey.survey_folder import Survey
from studio.survey.survey_spec import SurveySpec
from studio.survey.trial_plan import minutes_of, trials_of
from symbolic import config


def test_power_grows_with_the_gap() -> None:
    none, large = (simulated_power(12, 6, gap, 40, 0) for gap in (0.0, 1.5))
    assert none < 0.2 < 0.8 < large


def test_the_plan_warns_of_too_few_clips(tmp_path: Path) -> None:
    spec = SurveySpec("x", {"a": "", "b": ""}, human=("a",), items=2)
    (tmp_path / "x.yaml").write_text(config.dump(spec))
    lines = list(plan_lines(tmp_path / "x.yaml", [5], 2))
    assert any("WARNING: 2 clips" in line for line in lines) and any("minutes" in line for line in lines)
    assert any("true share 80%: 23" in line for line in lines)


def test_the_plan_counts_the_pages_that_raters_meet(survey: Survey) -> None:
    for design, pages in (("rating", 8 + 3), ("origin", 8 + 3), ("preference", 4 + 3), ("similarity", 2 * 11 + 3)):
        spec = SurveySpec("x", {"a": "", "b": ""}, design=design, human=("a",), items=4)
        assert len(trials_of(spec, planned_stimuli(spec), 0)) == pages, design
    spec = SurveySpec("x", {"reference": "", "b": ""}, design="mushra", items=4, practice=0)
    assert {len(t.stimuli) for t in trials_of(spec, planned_stimuli(spec), 0)} == {5}
    made = trials_of(survey.spec, survey.stimuli, 0)
    planned = trials_of(survey.spec, planned_stimuli(survey.spec), 0)
    assert len(made) == len(planned) and minutes_of(survey.spec, made) == minutes_of(survey.spec, planned)
