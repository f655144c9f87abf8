"""A survey on disk: made once, key apart, controls as the design wants."""

from pathlib import Path

import pytest

from studio.survey.survey_folder import ANCHORS, Survey, make_survey, read_survey
from studio.survey.survey_spec import SurveySpec
from studio.survey.trial_plan import PRACTICE
from symbolic import files
from symbolic.errors import UsageError, UserError
from tests.studio.survey.conftest import write_tones


def test_what_is_public_names_no_clip(survey: Survey) -> None:
    record = files.read_json(survey.folder / "survey.json")
    for file, digest in record["clips"].items():
        assert files.sha256(survey.folder / "clips" / file) == digest
    assert len(survey.stimuli) == 9 and sum(s.control == PRACTICE for s in survey.stimuli) == 1
    assert not [s for s in survey.stimuli if s.system in str(record)] and read_survey(survey.folder) == survey


def test_a_survey_is_made_once(survey: Survey) -> None:
    with pytest.raises(UsageError, match="made once"):
        make_survey(survey.spec, survey.folder)


def test_too_few_pieces_leave_nothing(tmp_path: Path) -> None:
    spec = SurveySpec("few", {"a": str(write_tones(tmp_path / "a", 2, 200.0))}, seconds=2.0, items=4)
    with pytest.raises(UserError, match=r"2 pieces .* 4 are asked"):
        make_survey(spec, tmp_path / "few")
    assert not (tmp_path / "few").exists()


def test_a_lost_clip_is_named(tmp_path: Path) -> None:
    spec = SurveySpec("s", {"a": str(write_tones(tmp_path / "a", 4, 200.0))}, seconds=2.0, items=2, practice=0)
    made = make_survey(spec, tmp_path / "s")
    (made.folder / "clips" / made.stimuli[0].file).unlink()
    with pytest.raises(UserError, match=made.stimuli[0].file):
        read_survey(made.folder)


def test_similarity_has_shuffled_and_constant_controls(tmp_path: Path) -> None:
    folder = write_tones(tmp_path / "pairs", 3, 200.0)
    for i, words in enumerate(("storm", "calm", "dance")):
        (folder / f"{i}.txt").write_text(words)
    spec = SurveySpec("p", {"pairs": f"pairs:{folder}"}, design="similarity", items=3, seconds=2.0, practice=0)
    stimuli = make_survey(spec, tmp_path / "p").stimuli
    texts = {control: [s.text for s in stimuli if s.control == control] for control in ("", "shuffled", "constant")}
    assert texts == {
        "": ["storm", "calm", "dance"],
        "shuffled": ["calm", "dance", "storm"],
        "constant": ["storm", "storm"],
    }


def test_mushra_matches_items_by_name_and_adds_anchors(tmp_path: Path) -> None:
    sources = {name: str(write_tones(tmp_path / name, 2, 200.0)) for name in ("reference", "codec")}
    spec = SurveySpec("m", sources, design="mushra", items=2, seconds=2.0)
    stimuli = make_survey(spec, tmp_path / "m").stimuli
    assert {s.system for s in stimuli} == {"reference", "codec", *ANCHORS} and len(stimuli) == 8
