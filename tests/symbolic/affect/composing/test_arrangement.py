"""A melody dressed for a mood."""

from dataclasses import replace
from itertools import pairwise

import pytest

from symbolic.affect.composing import arrangement
from symbolic.affect.composing.arrangement import MODES, PATTERNS, Controls, SectionMelody
from symbolic.notation import abc_parser

LINE = SectionMelody("M:4/4\nL:1/8\nK:D\nD2F2A2d2|c2B2A2F2|G2B2E2G2|A8|\n")


def test_the_parallel_minor_lowers_third_sixth_and_seventh() -> None:
    major, minor = (
        [p.midi for e in abc_parser.parse(LINE.in_mode(m)).voices[0].events if isinstance(e, abc_parser.Note)
         for p in e.pitches]
        for m in ("major", "minor")
    )  # fmt: skip
    lowered = {(one % 12, other - one) for one, other in zip(major, minor)}
    assert lowered == {(2, 0), (6, -1), (9, 0), (1, -1), (11, -1), (7, 0), (4, 0)}


def test_modes_are_parallel_and_each_is_darker_than_the_one_before() -> None:
    tonics, sharps = set(), []
    for mode in MODES:
        key = abc_parser.parse(LINE.in_mode(mode)).key
        tonics.add(key.tonic)
        sharps.append(key.sharps)
    assert tonics == {"D"} and sharps == [3, 2, 1, 0, -1, -2, -3]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_chords(mode: str) -> None:
    bars = arrangement.section_bars(LINE.in_mode(mode))
    assert len(bars) == 4 and all(len(bar.chord) >= 3 for bar in bars)


@pytest.mark.parametrize(
    ("density", "expected"),
    [
        ("written", [(62, 2), (64, 1), (66, 1), (0, 2), (69, 2)]),
        ("sparse", [(62, 2), (64, 2), (0, 2), (69, 2)]),
        ("bare", [(62, 4), (0, 2), (69, 2)]),
        ("busy", [(62, 1), (62, 1), (64, 1), (66, 1), (0, 2), (69, 1), (69, 1)]),
    ],
)
def test_density_thins_or_repeats_notes_and_keeps_the_bar(density: str, expected: list[tuple[int, int]]) -> None:
    eighth = arrangement.TICKS_PER_QUARTER // 2
    melody = tuple((pitch, n * eighth) for pitch, n in [(62, 2), (64, 1), (66, 1), (0, 2), (69, 2)])
    bar = arrangement.SectionBar(melody, (2, 6, 9), 8 * eighth)
    found = arrangement.melody_of(bar, Controls(density=density))
    assert [(pitch, ticks // eighth) for pitch, ticks in found] == expected
    assert sum(ticks for _, ticks in found) == bar.ticks


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_an_accompaniment_fills_its_bars_without_gaps(pattern: str, metre: str) -> None:
    body = {"4/4": "D4F4|A8|", "3/4": "D2F2A2|d6|", "6/8": "DEF ABc|d6|"}[metre]
    line = SectionMelody(abc_parser.canonical(abc_parser.parse(f"X:1\nM:{metre}\nL:1/8\nK:D\n{body}\n")))
    for bar in arrangement.section_bars(line.in_mode("minor")):
        spans = [
            (onset, onset + ticks) for onset, ticks, _ in arrangement.accompaniment_of(bar, Controls(pattern=pattern))
        ]
        assert spans[0][0] == 0 and spans[-1][1] == bar.ticks
        assert all(one[1] == other[0] for one, other in pairwise(spans))


def test_chords_of_the_minor_are_minor() -> None:
    first = arrangement.section_bars(LINE.in_mode("minor"))[0]
    assert (first.chord[1] - first.chord[0]) % 12 == 3


def test_controls_do_what_they_say() -> None:
    plain = arrangement.section_table(LINE, Controls(pattern="none", qpm=92))
    fast = arrangement.section_table(LINE, Controls(pattern="none", qpm=184))
    assert fast.seconds == pytest.approx(plain.seconds / 2, rel=0.01)
    low = arrangement.section_table(LINE, Controls(pattern="none", octave=-1, dynamics="pp", staccato=True))
    assert (plain.pitch - low.pitch == 12).all() and (low.velocity == 36).all()
    assert low.duration.sum() < 0.6 * plain.duration.sum()


def test_neighbours_change_one_control() -> None:
    found = arrangement.neighbours(Controls(), "octave")
    assert found == [replace(Controls(), octave=-1), replace(Controls(), octave=1)]


@pytest.mark.parametrize("text", ["nonsense", "M:4/4\nL:1/8\nK:Am\nA8|\n", "M:4/4\nL:1/8\nK:D\nA6|\n"])
def test_what_is_no_full_major_section_is_no_melody(text: str) -> None:
    assert arrangement.melody_line(text) is None
