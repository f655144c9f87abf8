"""Sessions: resumed where they were left, clips under names of their own, languages offered."""

from pathlib import Path

import pytest

from studio.survey.answer_store import AnswerStore
from studio.survey.survey_folder import Survey
from studio.survey.survey_session import SurveySession
from symbolic.errors import UsageError, UserError


@pytest.fixture
def session(survey: Survey, tmp_path: Path) -> SurveySession:
    made = SurveySession(survey)
    made.store = AnswerStore(tmp_path / "answers.sqlite")
    return made


def test_a_page_is_next_until_all_of_it_is_answered(session: SurveySession) -> None:
    rater = session.enroll("es", {})
    first = session.state(rater)["trial"]
    names = [criterion["name"] for criterion in first["criteria"]]
    for name in names[:-1]:
        session.save(rater, 0, 0, name, 1, 1.0)
    again = session.state(rater)["trial"]
    assert again["number"] == 0 and len(again["answers"]) == len(names) - 1
    session.save(rater, 0, 0, names[-1], 1, 1.0)
    assert session.state(rater)["trial"]["number"] == 1 and session.state(rater)["language"] == "es"


def test_the_end_is_noted_once(session: SurveySession) -> None:
    rater = session.enroll("en", {})
    for trial in session.trials(rater):
        for criterion in trial.criteria:
            session.save(rater, trial.number, 0, criterion, 1, 1.0)
    assert session.state(rater)["trial"] is None
    finished = session.rater(rater.id).finished
    session.state(session.rater(rater.id))
    assert finished and session.rater(rater.id).finished == finished


def test_names_lead_to_the_clip_of_their_rater_only(session: SurveySession) -> None:
    one, other = session.enroll("en", {}), session.enroll("en", {})
    for trial in session.trials(one):
        name = session.clip_name(one, trial, 0)
        assert session.clip_path(one, name).name.removesuffix(".mp3") == trial.stimuli[0]
        with pytest.raises(KeyError):
            session.clip_path(other, name)
    with pytest.raises(KeyError):
        session.rater("nobody")
    with pytest.raises(UsageError, match="language"):
        session.enroll("xx", {})


def test_numbers_that_are_none_are_refused(session: SurveySession) -> None:
    rater = session.enroll("en", {})
    for value in (float("nan"), 2.5, 0, 6):
        with pytest.raises(UserError, match="1 to 5"):
            session.save(rater, 0, 0, "audio", value, 1.0)
    assert session.overview("pl")["title"] == "Ankieta odsłuchowa"
