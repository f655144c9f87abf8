"""What the guarded process answers for a file's bytes, in each notation."""

import pytest

from symbolic.formats import readers, score_json
from symbolic.formats.midi import to_midi
from symbolic.notation import abc_parser
from tests.symbolic.formats.musicxml_pages import attributes, document, notes

TUNE = "M:2/4\nL:1/8\nK:G\nGABc|d2B2|\n"


@pytest.mark.parametrize("notation", ["abc", "interleaved", "score", "midi"])
def test_every_notation(notation: str) -> None:
    sources = {"midi": to_midi(abc_parser.parse(TUNE)), "musicxml": document([attributes(time="2/4") + notes("G4 A4")])}
    for kind, data in sources.items():
        answer = readers.read(kind, data, notation)
        assert set(answer) == {"score" if notation == "score" else "text", "fields", "losses"}
        if notation == "score":
            assert abc_parser.canonical(score_json.decode(answer["score"])) == readers.read(kind, data, "abc")["text"]
        elif notation == "midi":
            assert answer["text"].startswith("MIDI 24\n")
