"""The arc of a text with the bundled weights."""

import numpy as np
import pytest

from symbolic.affect.reading import text_affect
from symbolic.errors import UserError


def _valence(sentence: str) -> float:
    return float(text_affect.bundled().predict([sentence])[0, 0])


def test_happy_and_sad_sentences() -> None:
    arc = text_affect.text_arc("We danced and laughed and it was a wonderful day! Then his mother died of cancer.")
    assert arc.unit == "sentences" and len(arc.at) == 2
    assert arc.valence[0] > 0.15 > -0.1 > arc.valence[1]
    assert arc.low[0][0] < arc.valence[0] < arc.high[0][0]


def test_negation() -> None:
    assert _valence("I am not happy.") < -0.05 < 0.1 < _valence("I am happy.")
    assert _valence("There was no danger at all.") > _valence("There was danger.")


@pytest.mark.parametrize(
    "text",
    [
        "Der Hund lief durch den Wald und fand einen alten Mann, der sehr traurig war.",
        "O gato preto correu pela rua e encontrou uma menina que chorava muito.",
        "Le chat noir courait dans la rue et la petite fille pleurait.",
        "asdf qwer zxcv uiop hjkl",
    ],
)
def test_other_languages_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="words are known"):
        text_affect.text_arc(text)


@pytest.mark.parametrize("text", ["", "Hello", "😀 😀 😀", "... !!! ???"])
def test_too_little_text_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="the least that a feeling can be read from"):
        text_affect.text_arc(text)


def test_capitals_are_told() -> None:
    arc = text_affect.text_arc("I WILL NOT GO INTO THE HOUSE. IT IS DARK THERE.")
    assert any("capitals" in remark for remark in arc.record["remarks"])


def test_known_words_are_kept_as_bits() -> None:
    known = text_affect.known_words(["one two two", "one"])
    assert text_affect.is_known("one", known) and text_affect.is_known("two", known)
    assert not text_affect.is_known("three", known)
    assert np.unpackbits(known).sum() == 2


def test_dialogue_html_and_capitals_are_read() -> None:
    text = '<p>"I am so happy!" she cried.</p><p>"WE HAVE LOST," HE SAID. It was a terrible, sad day.</p>'
    arc = text_affect.text_arc(text)
    assert len(arc.at) >= 3 and arc.valence[0] > arc.valence[-1]


def test_a_text_that_is_too_large_is_refused() -> None:
    with pytest.raises(UserError, match="give a part of it"):
        text_affect.text_arc("It was a good day. " * 300_000)


@pytest.mark.slow
def test_a_megabyte_is_read() -> None:
    text = "The river was high and the old bridge shook in the wind that evening. " * 15_000
    assert len(text_affect.text_arc(text).at) == 15_000
