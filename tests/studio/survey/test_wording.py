"""Every language says everything, with the same blanks to fill."""

import re

from studio.survey.survey_spec import SEVEN_CRITERIA
from studio.survey.wording import languages, wording


def test_every_language_has_every_text_and_blank() -> None:
    assert set(languages()) == {"en", "pt", "es", "pl", "zh"} and languages()[0] == "en"
    english = wording("en")
    assert set(SEVEN_CRITERIA) < set(english) and wording("xx") == english
    for language in languages():
        texts = wording(language)
        assert list(texts) == list(english) and all(texts.values())
        for key, text in texts.items():
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), (language, key)
