"""The plan tells minutes, warns of too few clips, and power grows with the gap."""

from pathlib import Path

from studio.survey.power_plan import plan_lines, simulated_power
from studio.survey.survey_spec import SurveySpec
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
