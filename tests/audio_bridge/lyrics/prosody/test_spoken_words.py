"""Numbers, signs and abbreviations as they are sung."""

import pytest

from audio_bridge.lyrics.inputs import singable
from audio_bridge.lyrics.lyric_text import parse
from audio_bridge.lyrics.prosody.spoken_words import spelled_out
from audio_bridge.lyrics.prosody.stress import count


@pytest.mark.parametrize(
    ("language", "line", "sung"),
    [
        ("en", "It is 1999 now", "It is nineteen ninety-nine now"),
        ("en", "Rock & roll", "Rock and roll"),
        ("en", "Mr. Smith and Dr Lee", "Mister Smith and Doctor Lee"),
        ("en", "In 1905, 1900, 2000, 2005 and 2024",
         "In nineteen oh five, nineteen hundred, two thousand, two thousand five and twenty twenty-four"),
        ("en", "The 80s, the 1980s", "The eighties, the nineteen eighties"),
        ("en", "The 21st, 3rd and 20th", "The twenty-first, third and twentieth"),
        ("en", "$5, $1 and $1,200", "Five dollars, one dollar and one thousand two hundred dollars"),
        ("en", "24/7 at 10:30, 9:05 or 7:00", "Twenty-four seven at ten thirty, nine oh five or seven o'clock"),
        ("en", "007 is 100% #1", "Oh oh seven is one hundred percent number one"),
        ("en", "4ever with U2", "Four ever with U two"),
        ("en", "3.14", "Three point one four"),
        ("pt", "Em 1999 & 2º, 3ª", "Em mil novecentos e noventa e nove e segundo, terceira"),
        ("pt", "R$ 50 da Sra. Ana", "Cinquenta reais da Senhora Ana"),
        ("pt", "101, 1100 e 21", "Cento e um, mil e cem e vinte e um"),
        ("es", "21 días en 1999", "Veintiún días en mil novecientos noventa y nueve"),
        ("es", "Sr. Ruiz & $1", "Señor Ruiz y un dólar"),
        ("es", "31.000 y 1", "Treinta y un mil y uno"),
        ("en", "Nothing to read here", "Nothing to read here"),
        ("de", "5 $ und ich", "5 und ich"),
    ],
)  # fmt: skip
def test_a_line_is_spelled_out(language: str, line: str, sung: str) -> None:
    assert spelled_out(line, language) == sung


@pytest.mark.parametrize("value", [0, 9, 10, 19, 20, 21, 99, 100, 101, 110, 999, 1000, 1001, 9999, 10**6, 10**9 - 1])
@pytest.mark.parametrize("language", ["en", "pt", "es"])
def test_every_number_has_words(value: int, language: str) -> None:
    words = spelled_out(f"a {value} b", language)
    assert not any(c.isdigit() for c in words) and "  " not in words and "\0" not in words
    assert words.startswith("a ") and words.endswith(" b")


def test_singable_words_have_the_syllables_that_are_heard() -> None:
    lyrics, notes = singable(parse("It is 1999 now\nRock & roll\nMr. Smith is here", language="en"))
    assert [count(line, "en") for line in lyrics.lines] == [8, 3, 5]
    assert notes == ["numbers, signs and abbreviations of 3 lines are sung as words."]


def test_numbers_of_another_language_are_told() -> None:
    lyrics, notes = singable(parse("Ich habe 2 Rosen", language="de"))
    assert lyrics.lines == ("Ich habe 2 Rosen",)
    assert notes == ["numbers of 1 lines are not read as words in de: write them out."]
