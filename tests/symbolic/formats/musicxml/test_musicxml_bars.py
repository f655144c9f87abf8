"""Repeats that ABC implies are written, and play the same when read back."""

import pytest

from symbolic.formats.musicxml.musicxml_bars import measures_of
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation.abc_parser import parse
from symbolic.notation.performance import performance


@pytest.mark.parametrize(
    ("music", "starts", "times"),
    [
        ("CDEF|GABc:|", [], [0, 2]),
        ("CDEF||GABc:|", [1], [0, 2]),  # back to the double bar
        ("CDEF:|GABc:|", [1], [2, 2]),
        ("|:CDEF|1GABc|2cBAG|]", [0], [0, 2, 0]),  # a forgotten :|
        ("|:CDEF|1GABc:|2cBAG:|EFGA|", [0], [0, 2, 0, 0]),  # the last ending is only closed
        ("|::CDEF::|GABc|", [0], [3, 0]),
        ("CDEF|[1-3GABc:|[4cBAG||", [], [0, 2, 0]),
        ("EEEE||CDEF|1GABc:|2cBAG||", [1], [0, 0, 2, 0]),
    ],
)
def test_repeats_as_they_are_played(music: str, starts: list[int], times: list[int]) -> None:
    score = parse(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n")
    measures = measures_of(score.voices[0], score.meter)
    assert [place for place, measure in enumerate(measures) if measure.starts_repeat] == starts
    assert [measure.times for measure in measures] == times
    assert performance(from_musicxml(to_musicxml(score).encode())) == performance(score)
