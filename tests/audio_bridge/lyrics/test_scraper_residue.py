"""What pages leave in lyrics is taken out and counted; words that could be sung stay."""

import csv
import json
from pathlib import Path

import pytest

from audio_bridge.lyrics import lyric_text
from audio_bridge.lyrics.training import prepare_lyrics

SCRAPED = """7 ContributorsTranslationsPortuguêsHarbour Light Lyrics[Verse 1: Ana & Rui]
The harbour light is low (low)
And all the boats come home
See Ana LiveGet tickets as low as $40You might also like[Chorus]
Light on the water, light on the sea (x2)
Come and stay with me
[Guitar Solo]
[?]
[laughs] The rope is wet, the night is long
23Embed
"""


def test_what_a_page_left_is_taken_out_and_counted() -> None:
    lyrics = lyric_text.parse(SCRAPED)
    assert lyrics.lines == (
        "The harbour light is low (low)", "And all the boats come home", "Light on the water, light on the sea",
        "Come and stay with me", "The rope is wet, the night is long",
    )  # fmt: skip
    assert [section.kind for section in lyrics.sections] == ["verse", "chorus", "instrumental"]
    assert lyric_text.residue(SCRAPED) == {
        "contributors": 1, "advertisements": 2, "embed marks": 1, "repeat marks": 1, "stage directions": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "lines", "counted"),
    [
        ("[ti:Sea]\n[ar:Ana]\n[00:12.00]I walk <00:13.10>along\n[01:02]We run", ["I walk along", "We run"],
         {"file tags": 2, "time stamps": 2}),
        ("Oh the sea (2x)\nRepeat chorus 3x\nHome again x3\n(Repeat to fade)", ["Oh the sea", "Home again"],
         {"repeat marks": 4}),
        ("Oh o mar (bis)\nRepete o refrão\nVolta 2x", ["Oh o mar", "Volta"], {"repeat marks": 3}),
        ("[Produced by Rui]\nI sing alone\nWriter(s): Ana, Rui\nSubmitted by Eva\nhttps://www.lyrics.example/sea",
         ["I sing alone"], {"credits": 4}),
        ("We go home[Chorus]Oh the sea\nThe sea", ["We go home", "Oh the sea", "The sea"], {"joined headers": 1}),
        ("Harbour Light Lyrics[Verse 1]\nThe rope is wet\nThe night is long4Embed",
         ["The rope is wet", "The night is long"], {"contributors": 1, "embed marks": 1}),
    ],
)  # fmt: skip
def test_kinds_of_residue(text: str, lines: list[str], counted: dict[str, int]) -> None:
    assert list(lyric_text.parse(text).lines) == lines
    assert lyric_text.residue(text) == counted


@pytest.mark.parametrize(
    "line",
    ["You might also like the rain", "Repeat after me", "Written by the sea", "Two times a lady", "I copy you",
     "Spoken words are few", "The time is 10:30", "Three times I called you", "Come back, embed me in your heart"],
)  # fmt: skip
def test_words_that_could_be_sung_stay(line: str) -> None:
    assert lyric_text.parse(f"Oh the sea\n{line}\nCome home").lines[1] == line
    assert not lyric_text.residue(line)


def test_a_repeat_line_parts_no_stanza_and_headers_stand_alone() -> None:
    lyrics = lyric_text.parse("Oh the sea\nRepeat chorus\nCome home\n\nChorus (x2)\nOh the light\n\nVerse 2\nWe go")
    assert [(s.kind, s.lines) for s in lyrics.sections] == [
        ("verse", ("Oh the sea", "Come home")), ("chorus", ("Oh the light",)), ("verse", ("We go",)),
    ]  # fmt: skip


def test_prepare_counts_the_residue(tmp_path: Path) -> None:
    with open(tmp_path / "songs.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("title", "lyrics"), ("Harbour Light", SCRAPED)])
    prepare_lyrics.prepare([str(tmp_path / "songs.csv")], tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["residue"]["advertisements"] == 2
    rows = (tmp_path / "out" / "tunes" / f"{name}.jsonl" for name in ("train", "valid", "test"))
    texts = [json.loads(line)["text"] for path in rows for line in path.read_text().splitlines()]
    assert not any(word in text for text in texts for word in ("Contributors", "also like", "Embed", "(x2)", "[?]"))
