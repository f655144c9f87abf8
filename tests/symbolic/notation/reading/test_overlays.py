"""Overlays become voices."""

from symbolic.notation.abc_parser import bars, canonical, parse, performance


def test_an_overlay_is_a_voice_with_the_same_bars() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\n|:C8|D4E4 & ^F4F2|1G8:|2A4&c4|]\n")
    assert [voice.name for voice in score.voices] == ["1", "2"]
    lengths = [[bar.ticks for bar in bars(voice, score.meter)] for voice in score.voices]
    assert lengths[0][:3] == lengths[1][:3]
    text = canonical(score)
    assert text.endswith("V:2\n|:z8|^F4F2z2|1z8:|2c4|]\n") and canonical(parse(text)) == text
    assert sum(sound.midi == 66 for sound in performance(score)) == 4


def test_two_overlays_in_a_bar() -> None:
    score = parse("X:1\nM:2/4\nL:1/8\nK:C\nC4&E4&G4|C4|\n")
    assert [[s.midi for s in performance(score) if s.voice == voice] for voice in range(3)] == [[60, 60], [64], [67]]
