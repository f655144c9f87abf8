"""Notes to written music: spelling by the key; MusicXML and interleaved ABC hold the notes of the score."""

from itertools import pairwise

import pytest

from symbolic.formats import engraving
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved
from symbolic.notation.score import Note, Tuplet
from symbolic.notation.theory import Key

HARD = 'M:6/8\nL:1/8\nK:Dmix\nA|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d5/2e/2d2||[K:G][M:2/4]^c=c_cc|g4-|g4|]\n'
PARTS = (
    "M:4/4\nL:1/8\nK:Gm\nV:1 clef=treble\nV:2 clef=treble\nV:3 clef=bass\nV:4 clef=bass\n"
    "V:1\nd4f4|[K:D]f8|]\nV:2\nB4c4|[K:D]d8|]\nV:3\nG4A4|[K:D]A8|]\nV:4\nG,4F,4|[K:D](3D,2E,2F,2 D,4|]\n"
)


def sounds(text: str) -> list[tuple[int, int, int]]:
    return sorted((s.onset_ticks, s.midi, s.ticks) for s in abc_parser.performance(abc_parser.parse(text)))


@pytest.mark.parametrize("text", [HARD, PARTS])
def test_musicxml_reads_back(text: str) -> None:
    canonical = abc_parser.canonical(abc_parser.parse(text))
    read = from_musicxml(to_musicxml(abc_parser.parse(canonical)).encode())
    back = abc_parser.canonical(read)
    assert abc_parser.canonical(abc_parser.parse(back)) == back
    assert sounds(back) == sounds(canonical)
    assert [voice.clef for voice in read.voices] == [voice.clef for voice in abc_parser.parse(text).voices]


@pytest.mark.parametrize(
    ("midi", "key", "name"), [(61, "D", ("C", 4, 1)), (61, "Ab", ("D", 4, -1)), (60, "C#", ("B", 3, 1))]
)
def test_spelling_follows_the_key(midi: int, key: str, name: tuple[str, int, int]) -> None:
    assert engraving.spelled(midi, Key(key)) == name


def test_interleaved_text_reads_back_and_transposes() -> None:
    canonical = abc_parser.canonical(abc_parser.parse(PARTS))
    together = interleaved(abc_parser.parse(PARTS))
    assert together.index("V:4\nG,") < together.index("[K:D]f8")
    assert abc_parser.canonical(abc_parser.parse(together)) == canonical
    moved = abc_parser.transpose(together, 3)
    assert abc_parser.canonical(abc_parser.parse(moved)) == abc_parser.transpose(canonical, 3)


def test_tuplets_whose_notes_are_no_whole_number_of_ticks() -> None:
    ends = [round(40320 * k / 22) for k in range(12)]
    signs = [engraving.Sign(b - a, (("C", 4, 0),)) for a, b in pairwise(ends)]
    events = engraving.measure_events([*signs, engraving.Sign(20160, (("D", 4, 0),))], Key("C"))
    assert events[0] == Tuplet(11, 8, 11)
    assert [e.written for e in events[1:12] if isinstance(e, Note)] == [2520] * 11
    assert isinstance(events[12], Note) and events[12].written == 20160


def test_a_length_that_only_comes_near_a_tuplet_stays_as_it_is() -> None:
    events = engraving.measure_events(
        [engraving.Sign(1833, (("C", 4, 0),)), engraving.Sign(1836, (("D", 4, 0),))], Key("C")
    )
    assert [e.ticks for e in events if isinstance(e, Note)] == [1833, 1836]
    assert not any(isinstance(e, Tuplet) and e.count > 1 for e in events)


def test_a_note_is_divided_at_whole_32nds() -> None:
    assert engraving.divided(0, 40_320, [20_160]) == [(0, 20_160), (20_160, 40_320)]
    assert engraving.divided(1_000, 41_320, [1_000, 11_080, 12_000, 41_320]) == [(1_000, 11_080), (11_080, 41_320)]
    assert engraving.divided(0, 6_720, [3_360]) == [(0, 6_720)]  # a triplet
