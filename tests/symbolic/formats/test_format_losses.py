"""What MIDI has no place for is counted; what it plays is not."""

from symbolic.formats.format_losses import lost_in_bars, lost_in_midi
from symbolic.notation.abc_parser import parse

TUNE = """X:1
T:A tune
R:reel
S:a fiddler
Q:1/4=100
M:4/4
L:1/4
K:G
{ga}"G"G!p!A!trill!B"^slowly"c|"D"d2"^D.C. al Fine"d2|]
w:hap-py __ day
"""


def test_kinds_and_numbers() -> None:
    assert dict(lost_in_midi(parse(TUNE))) == {
        "grace notes": 2,
        "chord symbols": 2,
        "decorations": 1,
        "annotations": 1,
        "syllables of lyrics": 3,
        "information fields": 2,
    }


def test_a_mode_is_told() -> None:
    losses = lost_in_midi(parse("X:1\nM:4/4\nK:Ador\nABcd|[K:Em]efga|[K:Dmix]d4|\n"))
    assert dict(losses) == {"modes of keys, written as major": 2}


def test_a_bare_tune_loses_nothing() -> None:
    assert not lost_in_midi(parse("X:1\nT:Bare\nM:4/4\nK:C\n|:!f!CDEF:|!D.C.!\n"))


def test_bar_by_bar_holds_notes_only() -> None:
    score = parse(
        'X:1\nM:4/4\nL:1/4\nK:C\nV:1 name=Flute\nV:2\nV:1\n"^dolce"CD!D.C.!EF|[Q:1/4=90]G4|\nw:a b\nV:2\nC4|C4|\n'
    )
    assert dict(lost_in_bars(score)) == {
        "annotations": 1,
        "decorations beside the notes": 2,  # a D.C. holds for all voices
        "tempo changes": 1,
        "syllables of lyrics": 2,
        "settings of voices (names and sounds)": 1,
    }


def test_notes_that_ticks_only_round_are_told() -> None:
    losses = lost_in_midi(parse("X:1\nM:4/4\nL:1/16\nK:C\n(11:8:11CDEFGABcdef (3ccc z2 c4|"))
    assert dict(losses) == {"notes of tuplets, rounded to 1/10,080 of a quarter note": 11}
