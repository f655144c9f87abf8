"""Rhythms for words: they fill their bars, put stresses on beats, and differ by genre."""

from itertools import pairwise

import pytest

from audio_bridge.lyrics.genre_styles import find_style, styles
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.setting.rhythm_plan import BARS, plan
from audio_bridge.lyrics.setting.sung_melody import strength
from symbolic.errors import UsageError
from symbolic.notation.theory import TICKS_PER_QUARTER, parse_meter

VERSE = ["The ferry leaves at half past five", "The rope is wet with rain",
         "And every lamp along the quay", "Is burning down again"]  # fmt: skip


@pytest.mark.parametrize("metre", BARS)
def test_every_line_stays_in_its_bars(metre: str) -> None:
    (section,) = plan([[VERSE]], "en", metre)
    assert section.n_bars == sum(line.bars for line in section.lines)
    for line, text in zip(section.lines, VERSE):
        assert len(line.onsets) == count(text, "en")
        assert all(a < b for a, b in pairwise(line.onsets)) and line.onsets[0] >= -section.pickup
        assert line.onsets[-1] < line.end <= line.bars * section.meter.ticks - section.pickup


def test_plain_stresses_fall_on_beats() -> None:
    (section,) = plan([[["River of gold, carry me home"]]], "en", "4/4")
    line = section.lines[0]
    assert strength(line.onsets[0] % section.meter.ticks, section.meter) >= 2, "RIV-er"
    assert strength(line.onsets[3] % section.meter.ticks, section.meter) >= 1, "GOLD"


def test_genres_have_rhythms_of_their_own() -> None:
    found = {}
    for style in styles().values():
        (section,) = plan([[VERSE]], "en", style.meter, style.rhythm)
        found[style.name] = tuple((line.onsets, line.bars, section.meter.text) for line in section.lines)
    assert len(set(found.values())) == len(found)
    lengths = {name: {b - a for onsets, _, _ in lines for a, b in pairwise(onsets)} for name, lines in found.items()}
    assert all(len(own) >= 2 for own in lengths.values()), lengths


def test_syncopation_anticipates_beats_where_a_genre_likes_it() -> None:
    meter = parse_meter("4/4")

    def off_beats(name: str) -> float:
        (section,) = plan([[VERSE]], "en", "4/4", find_style(name).rhythm)
        pairs = [pair for line in section.lines for pair in pairwise(line.onsets)]
        off = [(a, b) for a, b in pairs if strength(a % meter.ticks, meter) == 0 and b - a > meter.beat_ticks // 2]
        return len(off) / len(pairs)

    assert off_beats("bossa") > off_beats("folk") + 0.1


def test_triplets_are_three_in_a_beat() -> None:
    from dataclasses import replace

    style = replace(find_style("rap").rhythm, triplets=-2.0)
    (section,) = plan([[["never another forever together again"]]], "en", "4/4", style)
    (line,) = section.lines
    assert line.triplets
    for start in line.triplets:
        place = line.onsets.index(start)
        assert [b - a for a, b in pairwise(line.onsets[place : place + 4])] == [TICKS_PER_QUARTER // 3] * 3


@pytest.mark.parametrize(
    ("genre", "text"),
    [
        (
            "rap",
            [
                "There is a shooting star over the hill",
                "I am dreaming till the fiddle is still",
                "There is the old mill wheel year after year",
                "I followed the stream and I will be near",
            ],
        ),
        ("ballad", ["Raise up the sail close to the sand", "I sleep by the fire through the night"]),
        ("reggae", ["Wade through the stream, show me the land", "Let the river run, set me free"]),
    ],
)
def test_dactyls_are_sung_as_triplets_in_genres_that_have_them(genre: str, text: list[str]) -> None:
    style = find_style(genre)
    (section,) = plan([[text]], "en", style.meter, style.rhythm)
    assert 0 < sum(bool(line.triplets) for line in section.lines) < len(text)


def test_what_songs_are_not_written_in_is_refused() -> None:
    with pytest.raises(UsageError, match="songs are written in"):
        plan([[VERSE]], "en", "7/8")


@pytest.mark.parametrize("name", styles())
def test_no_line_leaves_its_first_or_last_bar_silent(name: str) -> None:
    style = find_style(name)
    (section,) = plan([[VERSE]], "en", style.meter, style.rhythm)
    bar = section.meter.ticks
    assert all(line.onsets[0] < bar for line in section.lines)
    assert all(line.onsets[-1] >= (line.bars - 1) * bar - section.pickup for line in section.lines)
