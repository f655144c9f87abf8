"""What a page plays: every note at its second, the head that sounds, the bar it is in, repeats played."""

import pytest

from symbolic.formats.midi import build, seconds
from symbolic.formats.page.playback import playback
from symbolic.notation.abc_parser import parse, performance
from symbolic.notation.score import Bar, TempoChange

TUNE = "X:1\nM:4/4\nL:1/4\nQ:1/4=120\nK:G\nD|:G[Bd] (3cBA|1 G4:|2 z2g2|]\n"
TWO = "X:1\nM:3/4\nL:1/4\nQ:1/4=60\nK:C\nV:1\nceg|c3|]\nV:2 clef=bass\nC,3|z3|]\n"


def test_seconds_pitches_heads_and_bars() -> None:
    """At 120 a minute a quarter is half a second; the second ending follows the second playing."""
    data = playback(parse(TUNE))
    assert [note[2] for note in data["notes"][:8]] == [62, 67, 71, 74, 72, 71, 69, 67]
    assert [note[0] for note in data["notes"][:4]] == [0, 0.5, 1, 1]
    heads = [(at, number) for at, _, voice, number in data["heads"] if voice == 0]
    assert [number for _, number in heads] == [0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7]
    assert [at for at, _ in heads][-1] == pytest.approx(0.5 + 2 + 2 + 2 + 1)
    assert [place for _, place in data["bars"]] == [0, 1, 2, 1, 3]
    assert data["first"] == 0 and data["qpm"] == 120 and data["voices"] == [{"name": "Melody", "drums": False}]


def test_changes_of_tempo_move_notes_and_heads_alike() -> None:
    score = parse(TWO)
    place = next(n for n, event in enumerate(score.voices[0].events) if isinstance(event, Bar))
    score.voices[0].events.insert(place + 1, TempoChange("1/4=120"))
    data = playback(score)
    assert data["first"] == 1 and [v["name"] for v in data["voices"]] == ["Voice 1", "Voice 2"]
    onsets = {(note[4], note[2]): note[0] for note in data["notes"]}
    assert onsets[0, 79] == 2 and onsets[1, 48] == 0
    last = [note for note in data["notes"] if note[0] == 3]
    assert [(note[1], note[2], note[4]) for note in last] == [(1.5, 72, 0)]
    assert data["heads"][-1] == [3, 1.5, 0, 3]


def test_every_sound_of_real_music_is_played(real_tunes: list[str]) -> None:
    for text in real_tunes[:: len(real_tunes) // 15]:
        score = parse(text)
        data = playback(score)
        assert len(data["notes"]) == len(performance(score))
        end = max(at + length for at, length, *_ in data["heads"])
        assert end <= seconds(build(score)) + 1e-3
        assert all(any(h[0] == note[0] for h in data["heads"]) for note in data["notes"])
        assert [at for at, _ in data["bars"]] == sorted(at for at, _ in data["bars"])
