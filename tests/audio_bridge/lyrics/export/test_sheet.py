"""A setting as ABC: new words under the user's tune, with what the user wrote beside it."""

from dataclasses import replace

from audio_bridge.lyrics import lyric_text
from audio_bridge.lyrics.export import sheet
from audio_bridge.lyrics.setting.word_setting import joined, set_words
from symbolic.notation.abc_parser import parse
from symbolic.notation.theory import parse_meter

TUNE = """X:1
T:A Song
C:Me
M:4/4
L:1/4
Q:1/4=90
K:C
"^Slowly"!p!CD EF|G2 [Q:1/4=60]G2|!f!c2 "_loud"c2|C4 !fine!|]
w:old words
"""


def test_the_tunes_own_marks_stay_and_its_words_go() -> None:
    words = lyric_text.parse("one two three four five six seven eight nine\n", title="New", artist="")
    text = sheet.abc(set_words(parse(TUNE), words))
    assert "old" not in text and "fine" not in text and "\nC:Me\n" in text
    assert '"^Slowly"!p!C2D2 E2F2| G4 [Q:1/4=60]G4| !f!c2 c2 "_loud"c4| C8' in text
    assert "w: one two three four five six sev-en eight nine" in text


def test_every_section_begins_a_line_of_music_under_its_name() -> None:
    text = "[Verse 1]\nsail home now\n\n[Chorus]\nlight of mine\n\n[Verse 2]\ncome with me\n\n[Chorus]\nlight of mine\n"
    lyrics = lyric_text.parse(text, language="en")
    tune = parse("X:1\nM:4/4\nL:1/4\nK:C\nC|E2 G|]")
    parts = [set_words(tune, replace(lyrics, sections=(section,)), passes=1) for section in lyrics.sections]
    lines = sheet.abc(joined(parts, lyrics), parts=True).splitlines()
    named = {line.removeprefix("P:"): lines[i + 2] for i, line in enumerate(lines) if line.startswith("P:")}
    assert named == {"Verse 1": "w: sail home now", "Chorus": "w: light of mine", "Verse 2": "w: come with me"}
    assert sum(line.startswith("P:") for line in lines) == 4


def test_tempo_is_told_in_the_beats_of_the_meter() -> None:
    assert sheet.tempo_field(90, parse_meter("4/4")) == "1/4=90"
    assert sheet.tempo_field(97.5, parse_meter("12/8")) == "3/8=65"
    tune = parse("X:1\nM:12/8\nL:1/8\nK:C\nC3D3E3F3|]")
    text = sheet.musicxml(set_words(tune, lyric_text.parse("sail home with me", language="en")), 97.5)
    assert "<beat-unit-dot" in text and "<per-minute>65</per-minute>" in text and 'tempo="97.5"' in text
