"""Genres as data: all can be played, differ in what they should differ in, and a user's file adds one."""

from itertools import combinations

import pytest

from audio_bridge.lyrics import genre_styles
from audio_bridge.lyrics.genre_styles import find_style, nearest_style, steps_of, styles
from symbolic.errors import UsageError, UserError
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.theory import parse_key, parse_meter

OWN = (
    genre_styles.DATA.read_text(encoding="utf-8").partition("[pop]")[2].partition("[rock]")[0].replace("[pop.", "[hi.")
)
OWN = '[hi]\naliases = ["highlife"]' + OWN.replace('aliases = ["indie", "synth-pop", "dance", "electropop"]', "")


def test_any_two_genres_differ_in_drums_bass_accompaniment_tempo_harmony_range_and_rhythm() -> None:
    for a, b in combinations(styles().values(), 2):
        assert a.drums != b.drums and a.chords != b.chords and a.bass != b.bass, (a.name, b.name)
        assert a.progressions != b.progressions and a.rhythm != b.rhythm and a.melody != b.melody
        assert (a.tempo, a.ranges, a.meter) != (b.tempo, b.ranges, b.meter)
    assert len(styles()) == 12


def test_every_progression_is_chords_and_a_chorus_lies_higher() -> None:
    for style in styles().values():
        for name in style.keys:
            bars = style.progression("chorus", parse_key(name), 1)
            assert bars and all(parse_chord(symbol) for bar in bars for symbol in bar)
        assert sum(style.ranges["chorus"]) > sum(style.ranges["verse"])
    assert find_style("pop").progression("verse", parse_key("G"), 0) == [["G"], ["D"], ["Em"], ["C"]]


def test_a_name_is_found_by_its_words_and_an_unknown_one_refused_with_the_list() -> None:
    assert find_style("").name == "pop" and find_style("Indie  Folk").name == "folk"
    assert find_style("hip-hop").name == "rap" and find_style("Bossa Nova").name == "bossa"
    with pytest.raises(UsageError, match=r"no genre 'polka'\. There are folk, pop, rock, rap, country, r&b.*--genres"):
        find_style("polka")
    assert nearest_style("polka").name == "pop"


def test_a_file_of_one_s_own_adds_a_genre_and_its_faults_are_named() -> None:
    assert find_style("highlife", OWN).chords == find_style("pop").chords
    for wrong, named in (
        ('hat = "x.x.x.x.x.x.x.x."', 'hat = "x.x.x.x.x.x"'),
        ('instrument = "electric piano 1"', 'instrument = "electric kazoo"'),
        ('"I | V | vi | IV"', '"I | V | vi | VIII"'),
        ("tempo = [100, 116]", "tempo = [116, 100]"),
        ("kick = ", "kazoo = "),
    ):
        assert wrong in OWN
        with pytest.raises(UserError, match=r"the file of --genres: \[hi\]"):
            find_style("hi", OWN.replace(wrong, named, 1))
    with pytest.raises(UserError, match="is not TOML"):
        styles("[pop")


def test_a_pattern_in_another_meter_is_repeated_and_cut() -> None:
    four, three = parse_meter("4/4"), parse_meter("3/4")
    steps = steps_of("1---5---", four, three)
    assert [sign for _, _, sign in steps] == list("1---5-") and steps[1][0] == four.ticks // 8
