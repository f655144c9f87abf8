"""Melodies under a rhythm and chords: bars full, one note a syllable, within the range, ends on the tonic."""

import itertools

import pytest

from audio_bridge.lyrics.genre_styles import find_style
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.setting import melody_for_words
from audio_bridge.lyrics.setting.melody_for_words import LAST_LEAP, MAX_LEAP, MelodySection, chord_at
from audio_bridge.lyrics.setting.rhythm_plan import plan
from audio_bridge.lyrics.setting.section_harmony import section_chords
from audio_bridge.lyrics.setting.sung_melody import sung_notes
from symbolic.notation.abc_parser import bars, parse
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.theory import parse_key, parse_meter

VERSE = ["The ferry leaves at half past five", "The rope is wet with rain",
         "And every lamp along the quay", "Is burning down again"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["folk", "rap", "waltz", "blues"])
def test_melody_holds_to_its_words_chords_and_range(name: str) -> None:
    style = find_style(name)
    key = parse_key(style.keys[0])
    plans = plan([[VERSE], [VERSE]], "en", style.meter, style.rhythm)
    sections = [MelodySection(one, section_chords(one, style, role, key, 0), *style.ranges[role], role=role)
                for one, role in zip(plans, ("verse", "chorus"))]  # fmt: skip
    made = melody_for_words.compose(sections, key=key.text, seed=3, candidates=2)
    for text, section in zip(made, sections):
        score = parse(text)
        notes = sung_notes(score)
        sizes = [count(line, "en") for line in VERSE]
        assert len(notes) == sum(sizes)
        assert all(bar.is_full for bar in bars(score.voices[0], score.meter)[1 if section.plan.pickup else 0 : -1])
        scale = {midi % 12 for midi in melody_for_words.scale(key)}
        assert all(section.lowest <= n.midi <= section.highest and n.midi % 12 in scale for n in notes)
        assert notes[-1].midi % 12 == key.tonic_pitch_class
        lines = [notes[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(4)]
        assert all(abs(a.midi - b.midi) <= MAX_LEAP for line in lines[:-1] for a, b in itertools.pairwise(line))
        assert abs(notes[-1].midi - notes[-2].midi) <= LAST_LEAP, "a section's last note is not leapt to"
        for note in (n for n in notes if n.strength == 3 and n.onset_ticks >= section.plan.pickup):
            chord = parse_chord(chord_at(section.chords, note.onset_ticks - section.plan.pickup, score.meter))
            assert note.midi % 12 in chord.classes, "downbeats are of the chord"
    verse, chorus = (sung_notes(parse(text)) for text in made)
    assert sum(n.midi for n in chorus) / len(chorus) > sum(n.midi for n in verse) / len(verse)
    again = melody_for_words.compose(sections, key=key.text, seed=3, candidates=2)
    assert again == made


def test_chords_of_a_bar_share_it() -> None:
    meter = parse_meter("4/4")
    chords = [["C"], ["F", "G"]]
    half = meter.ticks // 2
    found = [chord_at(chords, tick, meter) for tick in (-half, 0, half, 2 * half, 3 * half, 4 * half)]
    assert found == ["C", "C", "C", "F", "G", "C"] and chord_at((), 0, meter) == ""


@pytest.mark.parametrize(("name", "home"), [("disco", "C"), ("ballad", "F")])
def test_a_range_without_the_tonic_is_widened_to_end_at_home(name: str, home: str) -> None:
    style, key = find_style(name), parse_key(home)
    role = "verse" if name == "disco" else "chorus"
    one = plan([[VERSE]], "en", style.meter, style.rhythm)[0]
    section = MelodySection(one, section_chords(one, style, role, key, 0), *style.ranges[role], role=role)
    assert key.tonic_pitch_class not in {midi % 12 for midi in range(section.lowest, section.highest + 1)}
    notes = sung_notes(parse(melody_for_words.compose([section], key=home, seed=1, candidates=1)[0]))
    assert notes[-1].midi % 12 == key.tonic_pitch_class
    assert all(section.lowest - 2 <= note.midi <= section.highest + 2 for note in notes)
