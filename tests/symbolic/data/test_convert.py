"""MusicXML: read back by music21, it holds the notes and lengths that our own parser plays and counts."""

from fractions import Fraction
from typing import Any

import pytest

from symbolic.data import notation
from symbolic.data.convert import TICKS_PER_QUARTER, to_musicxml

HARD = (
    "M:6/8\nL:1/8\nK:Dmix\n"
    'A|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d5/2e/2d2||[K:G][M:2/4]^c=c_cc|g4-|g4|[M:none](3:2:2d2eTHLf8|]\n'
)
TWO_VOICES = "M:4/4\nL:1/8\nK:Bb\nV:1 clef=treble\nV:2 clef=bass\nV:1\n|:B4d4:|\nV:2\n|:B,,8:|\n"


def read_back(xml: str) -> Any:
    import music21

    return music21.converter.parse(xml, format="musicxml")


def sung(part: Any) -> list[tuple[int, Fraction]]:
    """(top MIDI pitch, ticks) of the notes and chords of a part, ties merged, graces and chord symbols left out."""
    import music21

    notes = [n for n in part.stripTies().flatten().notes if not isinstance(n, music21.harmony.ChordSymbol)]
    return [
        (max(pitch.midi for pitch in note.pitches), Fraction(note.quarterLength) * TICKS_PER_QUARTER)
        for note in notes
        if not note.duration.isGrace
    ]


@pytest.mark.parametrize("text", [HARD, TWO_VOICES])
def test_hard_tunes_keep_notes_and_lengths(text: str) -> None:
    score = notation.parse(text)
    parts = read_back(to_musicxml(text)).parts
    assert [sung(part) for part in parts] == [notation.melody(score, voice) for voice in range(len(score.voices))]


def test_real_tunes_keep_notes_and_lengths(real_tunes: list[str]) -> None:
    for text in real_tunes[:: len(real_tunes) // 24]:
        assert sung(read_back(to_musicxml(text)).parts[0]) == notation.melody(notation.parse(text)), text


@pytest.mark.parametrize(
    "music",
    [
        "|:A4|B4:|",
        "A4|B4:|c4|d4:|",  # the second :| goes back to the first, as in ABC
        "|:A4|1B4:|2c4||d4|]",
        "A4::B4:|",
        "A4||:B4:|c4|]",
        "|:A4-|A4|[CE]4:|",
    ],
)
def test_repeats_play_the_same(music: str) -> None:
    text = f"M:2/4\nL:1/8\nK:C\n{music}\n"
    sounds = notation.performance(notation.parse(text))
    played = [
        (pitch.midi, Fraction(note.offset) * TICKS_PER_QUARTER, Fraction(note.quarterLength) * TICKS_PER_QUARTER)
        for note in read_back(to_musicxml(text)).parts[0].expandRepeats().stripTies().flatten().notes
        for pitch in sorted(note.pitches)
    ]
    assert played == [(s.midi, s.onset_ticks, s.ticks) for s in sounds]


def test_signs_beside_the_notes() -> None:
    xml = to_musicxml(HARD, title="A <hard> tune")
    for sign in (
        "<movement-title>A &lt;hard&gt; tune<",
        "<fifths>1</fifths>",
        "<mode>mixolydian</mode>",
        "<beat-type>8</beat-type>",
        '<ending number="1" type="start"',
        '<repeat direction="backward"',
        "<grace",
        "<slur",
        "<root-step>A</root-step>",
        "<trill-mark",
        "<fermata",
        "<accent",
        "<bar-style>light-heavy</bar-style>",
        'implicit="yes" number="0"',
    ):
        assert sign in xml
    assert "<sign>F</sign>" in to_musicxml(TWO_VOICES)


def test_the_same_text_gives_the_same_bytes() -> None:
    assert to_musicxml(TWO_VOICES) == to_musicxml(TWO_VOICES)
    assert "encoding-date" not in to_musicxml(TWO_VOICES)


def test_what_is_no_tune_is_refused() -> None:
    with pytest.raises(notation.NotationError, match="no notes"):
        to_musicxml("M:4/4\nL:1/8\nK:C\n|\n")
