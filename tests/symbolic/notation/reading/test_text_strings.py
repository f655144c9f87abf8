"""Mnemonics, Unicode numbers and entities, after the table of ABC 2.1, section 8.2."""

import pytest

from symbolic.notation.abc_parser import parse
from symbolic.notation.layout import laid_out
from symbolic.notation.reading.text_strings import decode, encode
from symbolic.notation.score import Annotation, Note, Score


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Le tr\'esor d'\'Elise", "Le trésor d'Élise"),
        (r"\`A \^o \"u \~n \cC \vr \uA \HO \Hu", "À ô ü ñ Ç ř Ă Ő ű"),
        (r"\AA \ae \OE \/o \ss \DH \th", "Å æ Œ ø ß Ð þ"),
        (r"\u00e9 \U0001d11e &eacute; &amp; R&B &none; &#233;", "é 𝄞 é & R&B &none; é"),
        (r"\\'e \& \ 5\6 \xy \cab \u000a &#10; \ud800", r"\'e & \ 5\6 \xy \cab \u000a &#10; \ud800"),
        (r"&amp;eacute; \\\'e", "&eacute; \\é"),
    ],
)
def test_signs(text: str, expected: str) -> None:
    assert decode(text) == expected
    assert decode(encode(expected)) == expected


def test_a_tune_is_decoded_once_and_written_so_that_it_reads_back() -> None:
    head = "X:1\nT:Le tr\\'esor \\\\'e\nC:Dvo\\vr\\'ak &amp;amp;\nM:4/4\nL:1/4\n"
    voice = 'V:1 name="Fl\\^ute"\nK:C\n'
    score = parse(head + voice + '"^f\\"ur \\\'e &amp;lt;"CDE"Am"F|\nw: ma\\~na na\\-na se\\~nor~x &eacute;\n')
    again = parse(laid_out(score, number=1, title=score.title, fields={"C": score.fields["C"]}))
    for one in (score, again):
        assert written(one) == [
            *("Le trésor \\'e", ["Dvořák &amp;"], "Flûte", ["^für é &lt;"]),
            *(["maña", "na‑na", "señor x", "é"],),
        ]


def written(score: Score) -> list[object]:
    """Title, composers, name of the voice, annotations and syllables."""
    [voice] = score.voices
    annotations = [event.text for event in voice.events if isinstance(event, Annotation)]
    syllables = [event.syllables[0] for event in voice.events if isinstance(event, Note)]
    return [score.title, score.fields["C"], voice.title, annotations, syllables]
