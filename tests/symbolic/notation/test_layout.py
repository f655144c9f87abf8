"""ABC for people: beams by the meter, and what the user wrote."""

from dataclasses import replace
from pathlib import Path

import pytest

from symbolic.notation.abc_parser import canonical, parse, performance, pretty, split_tunes
from symbolic.notation.layout import laid_out
from symbolic.notation.score import Bar, Event, Note, Rest, Score


@pytest.mark.parametrize(
    ("metre", "music"),
    [
        ("6/8", "FG| BAF G2A| BAF G2:|"),  # only the pick-up is counted from its end
        ("6/8", "BAF G2:|"),
        ("2/4", "|: e| ge ec| ge e2||"),
        ("4/4", "| GA| BA GA Bc d2| BA GA B2||\ncd| ed cB A2|1 GA B2:|2 GA B4|]"),
        ("6/8", "A| BAF G2:: FG| BAF G2|]"),
    ],
)
def test_beams_of_short_bars(metre: str, music: str) -> None:
    laid = pretty(canonical(parse(f"M:{metre}\nL:1/8\nK:G\n{music}\n")))
    assert laid.split("K:G\n")[1] == music + "\n"


WRITTEN = """X:3
T:Song 100\\% & more
P:AB
M:4/4
L:1/4
V:1 clef=treble-8 name="Ténor" snm="T."
%%MIDI program 52
V:2 clef=bass name="Basse"
K:G
P:A
V:1
"^Slowly"!p!G A B c|(d> e) {/g}f g|
w:Hal-le-lu-jah now__ more
[Q:1/4=60]"G"a2 "_rit. 50\\%"g2:|
P:B
|:!f!GABc|"D"d4 !fine!|x4|c4 !D.C.alfine!|]
w:la la la~lo la
w:
w:drei - *-mal
V:2
G,4|D,4|G,4::G,4|D,4|G,4|C,4|]
"""


def laid(score: Score) -> str:
    fields = {letter: lines for letter, lines in score.fields.items() if letter in "PC"}
    return laid_out(score, number=3, title=score.title, fields=fields)


def test_what_is_written_comes_back() -> None:
    score = parse(WRITTEN)
    again = parse(laid(score))
    assert canonical(again) == canonical(score) and performance(again) == performance(score)
    assert laid(again) == laid(score)
    assert [replace(voice, events=[]) for voice in again.voices] == [replace(v, events=[]) for v in score.voices]
    assert again.title == "Song 100% & more" and not again.losses


def test_lines_beams_and_octave_clefs_are_the_writers() -> None:
    head, music = laid(parse(WRITTEN)).split("K:G\n")
    assert 'V:1 clef=treble-8 name="Ténor" snm="T."\n%%MIDI program 52\nV:2 clef=bass name="Basse"\n' in head
    assert r"T:Song 100\% & more" in head
    assert music.splitlines()[:5] == [
        "V:1",
        '[P:A]"^Slowly"!p!G2 A2 B2 c2| (d3 e) {/g}f2 g2|',
        "w: Hal-le-lu-jah now__ more",
        '[Q:1/4=60]"G"a4 "_rit. 50\\%"g4:|',
        '|: [P:B]!f!G2A2B2c2| "D"d8 !fine!| x8| c8 !D.C.alfine!|]',
    ]


def test_real_tunes_come_back(music21_corpus: Path) -> None:
    """Lines, beams and words of a book as it was typed: the music and what is beside it are the same again."""
    n_lines = 0
    for raw in split_tunes((music21_corpus / "airdsAirs" / "book3.abc").read_text(encoding="latin-1"))[::4]:
        score = parse(raw.text, raw.line)
        again = parse(laid(score))
        assert canonical(again) == canonical(score) and performance(again) == performance(score)
        assert [_beside(event) for event in again.voices[0].events] == [_beside(e) for e in score.voices[0].events]
        n_lines += laid(again).count("\n")
    assert n_lines > 300


def _beside(event: Event) -> Event:
    """An event without what the layout chooses itself."""
    if isinstance(event, Note):
        return replace(event, spaced=False)
    if isinstance(event, Rest):
        return replace(event, spaced=False)
    return replace(event, line_end=False) if isinstance(event, Bar) else event
