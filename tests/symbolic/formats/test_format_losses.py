"""What MIDI has no place for is counted; what it plays is not."""

from symbolic.formats.format_losses import lost_in_midi
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


def test_a_bare_tune_loses_nothing() -> None:
    assert not lost_in_midi(parse("X:1\nT:Bare\nM:4/4\nK:C\n|:!f!CDEF:|!D.C.!\n"))
