"""Tempo, dynamics, words and signs of a form as elements."""

from xml.etree.ElementTree import Element

import pytest

from symbolic.formats.musicxml.musicxml_directions import add_clef, add_jump, add_sign, add_tempo, add_words


@pytest.mark.parametrize(
    ("text", "words", "per_minute", "tempo"),
    [
        ("1/4=90", None, "90", "90"),
        ("3/8=60", None, "60", "90"),
        ('"Allegro" 1/4=132', "Allegro", "132", "132"),
        ('"Langsam und zart"', "Langsam und zart", None, None),
    ],
)
def test_tempo(text: str, words: str | None, per_minute: str | None, tempo: str | None) -> None:
    measure = Element("measure")
    add_tempo(measure, text)
    sound = measure.find("direction/sound")
    assert measure.findtext("direction/direction-type/words") == words
    assert measure.findtext("direction/direction-type/metronome/per-minute") == per_minute
    assert (sound.get("tempo") if sound is not None else None) == tempo


def test_signs_jumps_words_and_clefs() -> None:
    measure = Element("measure")
    assert add_sign(measure, "mf") and add_sign(measure, "<(") and not add_sign(measure, "mystery")
    add_jump(measure, "dacapo al fine")
    add_words(measure, "_sotto voce")
    add_clef(measure, "treble-8")
    add_clef(measure, "", drums=True)
    sounds = [sound.attrib for sound in measure.iter("sound")]
    assert sounds == [{"dacapo": "yes"}]
    assert [words.text for words in measure.iter("words")] == ["D.C. al Fine", "sotto voce"]
    assert [wedge.get("type") for wedge in measure.iter("wedge")] == ["crescendo"]
    assert [clef.findtext("sign") for clef in measure.iter("clef")] == ["G", "percussion"]
