"""Cleaning: typed rejections and canonical tunes."""

import pytest

from symbolic.corpus import families
from symbolic.corpus.cleaning import CleanTune, Limits, clean
from symbolic.corpus.corpora import Found, Rejection

BODY = "GABc dedB|c2A2 A2G2|GABc dedB|cABG A2G2|"
HEADER = "X:1\nT:A Tune\nC:Someone\nR:reel\nM:4/4\nL:1/8\n"


def found(text: str, line: int = 1, **extra: str) -> Found:
    return Found("mine", "tunes.abc", line, text, line, extra)


def tune(text: str, line: int = 1) -> CleanTune:
    cleaned = clean(found(text, line), Limits(min_notes=1))
    assert isinstance(cleaned, CleanTune)
    return cleaned


def test_a_tune_is_spelled_canonically_and_its_words_kept_beside() -> None:
    cleaned = clean(found(HEADER + "K:G\n" + BODY, 12, **{"control code": "S:1"}))
    assert isinstance(cleaned, CleanTune)
    assert cleaned.text == "M:4/4\nL:1/8\nK:G\n" + BODY.replace(" ", "") + "\n"
    assert (cleaned.id, cleaned.title, cleaned.rhythm) == ("mine/tunes.abc:12", "A Tune", "reel")
    assert (cleaned.n_bytes, cleaned.n_notes) == (len(cleaned.text), 26)
    assert cleaned.fields["C"] == ["Someone"] and cleaned.fields["control code"] == ["S:1"]


@pytest.mark.parametrize(("text", "reason", "line"), [
    ("X:1\nT:A Tune\nM:4/4\nGABc|", "no_key", 30),
    (HEADER + "K:G\nGABc|", "too_short", 30),
    (HEADER + "K:G\n" + BODY * 9, "too_long", 30),
    (HEADER + "K:G\n" + BODY + "\nGA^/Bc", "microtone", 38),
    (HEADER + "K:Q\n" + BODY, "bad_key", 36),
])  # fmt: skip
def test_rejections_are_typed_and_placed(text: str, reason: str, line: int) -> None:
    rejection = clean(found(text, 30), Limits(max_bytes=300))
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.line, rejection.title) == (reason, line, "A Tune")
    assert rejection.message


def test_a_phrase_is_the_least_length_by_default() -> None:
    assert Limits().min_notes == families.PHRASE_NOTES
