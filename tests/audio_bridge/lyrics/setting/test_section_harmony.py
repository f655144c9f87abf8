"""Chords of sections: a genre's progression that ends at home, or one's own as it is."""

import pytest

from audio_bridge.lyrics.genre_styles import styles
from audio_bridge.lyrics.setting.rhythm_plan import plan
from audio_bridge.lyrics.setting.section_harmony import last_bar, own_chords, section_chords, tonic_chord
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.theory import parse_key

VERSE = ["The ferry leaves at half past five", "The rope is wet with rain",
         "And every lamp along the quay", "Is burning down again"]  # fmt: skip


@pytest.mark.parametrize("name", styles())
def test_a_section_changes_chords_and_ends_at_home(name: str) -> None:
    style = styles()[name]
    (section,) = plan([[VERSE]], "en", style.meter, style.rhythm)
    for key in map(parse_key, style.keys):
        used = set()
        for role, draw in (("verse", 0), ("chorus", 1)):
            bars = section_chords(section, style, role, key, draw)
            chords = [parse_chord(symbol) for bar in bars for symbol in bar]
            assert len(bars) == section.n_bars and all(chords)
            last = last_bar(section)
            assert chords[-1].root == key.tonic_pitch_class and parse_chord(bars[last - 1][-1]).root != chords[-1].root
            used |= {chord.root for chord in chords}
        assert len(used) >= 3, used
    assert parse_chord(tonic_chord(style, parse_key("C"))).root == 0


def test_chords_of_one_s_own_are_repeated_and_not_changed() -> None:
    (section,) = plan([[VERSE]], "en", "4/4")
    assert own_chords(section, [["Am"], ["F", "G"], ["C"]])[:4] == [["Am"], ["F", "G"], ["C"], ["Am"]]
