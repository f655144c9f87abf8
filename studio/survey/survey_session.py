"""One survey as raters meet it: which page is next, under which names its clips go, which answers are taken.

Blindness: a clip goes to a rater as HMAC-SHA256(secret, rater, trial, place): another name for every rater and page,
also where a clip is asked twice. Nothing that is sent names a system, an item, a source or a file.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.survey.answer_store import Answer, AnswerStore, Rater
from studio.survey.survey_folder import Survey
from studio.survey.survey_spec import scale_of
from studio.survey.trial_plan import Trial, minutes_of, rated_places, trials_of
from studio.survey.wording import wording
from symbolic.errors import UsageError, UserError


class SurveySession:
    """A survey with its answers, for the routes."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.store = AnswerStore(survey.folder / "answers.sqlite")
        self._stimuli = {stimulus.id: stimulus for stimulus in survey.stimuli}

    def enroll(self, language: str, environment: Mapping[str, Any]) -> Rater:
        """A new rater. UsageError for a language that the survey is not offered in."""
        if language not in self.survey.spec.languages:
            raise UsageError(f"language: choose of {', '.join(self.survey.spec.languages)}.")
        return self.store.enroll(language, environment)

    def rater(self, id: str) -> Rater:
        """A rater by their link. KeyError for an unknown one."""
        found = self.store.rater(id)
        if found is None:
            raise KeyError(id)
        return found

    def trials(self, rater: Rater) -> list[Trial]:
        """All pages of a rater."""
        return trials_of(self.survey.spec, self.survey.stimuli, rater.number)

    def overview(self, language: str) -> dict[str, Any]:
        """What the consent page says, in one language."""
        spec, texts = self.survey.spec, wording(language)
        trials = trials_of(spec, self.survey.stimuli, 0)
        return {
            "title": spec.title or texts["default_title"],
            "languages": list(spec.languages),
            "n_trials": len(trials),
            "minutes": minutes_of(spec, trials),
            "contact": spec.contact or texts["default_contact"],
            "days": spec.retention_days,
        }

    def state(self, rater: Rater) -> dict[str, Any]:
        """Where a rater stands: the next page with its clips and what was answered of it, or the end."""
        trials = self.trials(rater)
        answers = self.store.answers(rater.id)
        answered = {(a.trial, a.place, a.criterion): a.value for a in answers}
        trial = next((t for t in trials if any((t.number, *slot) not in answered for slot in _slots(t))), None)
        if trial is None and rater.finished is None and not rater.withdrawn:
            self.store.finish(rater.id)
        return {
            "language": rater.language,
            "withdrawn": rater.withdrawn is not None,
            "has_sound": "headphones" in rater.environment,
            "n_trials": len(trials),
            "min_heard": self.survey.spec.min_heard,
            "sound_check": self.clip_name(rater, trials[0], 0) if trials else "",
            "trial": None if trial is None or rater.withdrawn else self._shown(rater, trial, answered),
        }

    def _shown(self, rater: Rater, trial: Trial, answered: Mapping[tuple[int, int, str], float]) -> dict[str, Any]:
        rated = set(rated_places(trial))
        return {
            "number": trial.number,
            "practice": trial.kind == "practice",
            "attention": trial.answer if trial.kind == "attention" else None,
            "clips": [
                {"name": self.clip_name(rater, trial, i), "rated": i in rated} for i in range(len(trial.stimuli))
            ],
            "text": self._stimuli[trial.stimuli[0]].text,
            "criteria": [{"name": c, "low": self._scale(c)[0], "high": self._scale(c)[1]} for c in trial.criteria],
            "answers": [
                {"place": place, "criterion": criterion, "value": answered[trial.number, place, criterion]}
                for place, criterion in _slots(trial)
                if (trial.number, place, criterion) in answered
            ],
        }

    def _scale(self, criterion: str) -> tuple[int, int]:
        return scale_of(self.survey.spec.design, criterion)

    def clip_name(self, rater: Rater, trial: Trial, place: int) -> str:
        """The name of a clip for this rater on this page, 32 hexadecimal digits."""
        message = f"{rater.id}:{trial.number}:{place}".encode()
        return hmac.new(bytes.fromhex(self.survey.secret), message, hashlib.sha256).hexdigest()[:32]

    def clip_path(self, rater: Rater, name: str) -> Path:
        """The file behind a clip's name. KeyError for a name that this rater was not given."""
        for trial in self.trials(rater):
            for place, id in enumerate(trial.stimuli):
                if hmac.compare_digest(self.clip_name(rater, trial, place), name):
                    return self.survey.folder / "clips" / self._stimuli[id].file
        raise KeyError(name)

    def save(self, rater: Rater, trial: int, place: int, criterion: str, value: float, heard: float) -> None:
        """Keep one answer. UserError for a withdrawn rater, an answer nobody asked for, or a clip not heard."""
        if rater.withdrawn:
            raise UserError("This rater has withdrawn; nothing is kept.")
        trials = self.trials(rater)
        if not 0 <= trial < len(trials) or (place, criterion) not in _slots(trials[trial]):
            raise UserError("That was not asked.")
        low, high = self._scale(criterion)
        if not (math.isfinite(value) and low <= value <= high and value == int(value)):
            raise UserError(f"{criterion}: give a whole number from {low} to {high}.")
        if heard < self.survey.spec.min_heard:
            raise UserError(f"Listen to at least {self.survey.spec.min_heard:.0%} of the clip first.")
        self.store.save(Answer(rater.id, trial, place, criterion, value, min(1.0, heard)))

    def withdraw(self, rater: Rater) -> int:
        """Delete all answers of a rater; how many there were."""
        return self.store.withdraw(rater.id)


def _slots(trial: Trial) -> list[tuple[int, str]]:
    """Every (place, criterion) that a page asks for."""
    return [(place, criterion) for place in rated_places(trial) for criterion in trial.criteria]
