"""Bars as written, and the melody as a sequence."""

from symbolic.notation.abc_parser import parse
from symbolic.notation.score import bars, melody


def tune(body: str) -> str:
    return f"X:1\nM:4/4\nL:1/4\nK:C\n{body}\n"


def test_a_bar_knows_the_line_that_opens_it() -> None:
    """Of two lines that follow one another the repeat counts; before the first bar there may be none, or one."""
    score = parse(tune("|: CDEF | GABc :| cBAG || |: FEDC :|"))
    starts = [bar.start.kind if bar.start else None for bar in bars(score.voices[0], score.meter)]
    assert starts == ["|:", "|", ":|", "|:"]
    score = parse(tune("CDEF | GABc |]"))
    assert bars(score.voices[0], score.meter)[0].start is None


def test_a_melody_merges_tied_notes_alone() -> None:
    score = parse(tune("C-C C z C | [CE]-[CE] {d}E2 |"))
    quarter = score.meter.ticks // 4
    assert melody(score) == [
        *((60, 2 * quarter), (60, quarter), (60, quarter)),
        *((64, 2 * quarter), (64, 2 * quarter)),
    ]
