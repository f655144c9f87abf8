"""Bar lines and beats in ticks."""

from audio_bridge.render.beats import midi_beats, score_beats
from symbolic.formats import midi
from symbolic.notation.abc_parser import parse

QUARTER = midi.TICKS_PER_QUARTER
JIG = "X:1\nM:6/8\nL:1/8\nQ:3/8=60\nK:G\nG|c3 d3:|\n"


def test_a_pick_up_and_a_repeat_of_a_score() -> None:
    lines, beats = score_beats(parse(JIG))
    eighth = QUARTER // 2
    assert lines == [0, eighth, 7 * eighth, 8 * eighth, 14 * eighth]
    assert [beat for beat in beats if beat[0] < 7 * eighth] == [(eighth, True), (4 * eighth, False)]
    assert score_beats(parse(JIG), repeats=False)[0] == lines[:3]


def test_a_midi_file_by_its_signatures() -> None:
    lines, beats = midi_beats(midi.build(parse("X:1\nM:3/4\nL:1/4\nK:C\nCEG|\nM:2/4\nCE|GE|]")))
    assert [line // QUARTER for line in lines] == [0, 3, 5, 7]
    assert [tick // QUARTER for tick, strong in beats if strong] == [0, 3, 5]
