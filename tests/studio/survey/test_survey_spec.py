"""A survey's file: read strictly, checked before any work."""

from pathlib import Path

import pytest

from studio.survey.survey_spec import SurveySpec, check_spec, load_spec, scale_of
from symbolic import config
from symbolic.errors import UsageError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["models", "stories"])
def test_the_ready_surveys_can_be_read(name: str) -> None:
    spec = load_spec(ROOT / "configs" / "surveys" / f"{name}.yaml")
    assert spec.name == name and spec.items >= 4


def test_a_spec_comes_back_from_yaml(tmp_path: Path) -> None:
    spec = SurveySpec("x", {"a": "aird", "b": "oneill"}, human=("a",), criteria=("melody", "swing"), items=5)
    (tmp_path / "x.yaml").write_text(config.dump(spec), encoding="utf-8")
    assert load_spec(tmp_path / "x.yaml") == spec
    assert spec.asked == ("melody", "swing") and SurveySpec("x", {"a": ""}).asked[-1] == "emotion"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nsystems: {a: b}\nitems: 0\n", "items"),
        ("name: x\nsystems: [a]\n", "mapping"),
        ("name: x\nsystems: {a: b}\nhuman: a\n", "list"),
        ("name: x\nsystems: {a: b}\nhuman: [c]\n", "'c'"),
        ("name: x\nsystems: {a: b}\ndesign: best\n", "design"),
        ("name: x\nsystems: {a: b}\ndesign: abx\n", "two sources"),
        ("name: x\nsystems: {a: b}\ndesign: mushra\n", "reference"),
        ("name: x\nsystems: {a: b, c: d}\ndesign: origin\n", "both"),
        ("name: x\nsystems: {a: b}\ncolour: red\n", "no such key"),
    ],
)
def test_what_cannot_be_asked_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        load_spec(tmp_path / "x.yaml")


def test_no_systems() -> None:
    with pytest.raises(UsageError, match="no systems"):
        check_spec(SurveySpec("x", {}))
    assert scale_of("rating", "origin") == (0, 1) and scale_of("mushra", "mushra") == (0, 100)
