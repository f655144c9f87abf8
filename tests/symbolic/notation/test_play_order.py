"""D.C., D.S., Fine and Coda; the law that every note is played."""

import pytest

from symbolic.notation.abc_parser import parse, performance
from symbolic.notation.play_order import ending_numbers, play_order, played_parts, sections
from symbolic.notation.score import Bar, MeterChange, Note, Voice


def names(body: str) -> str:
    letters = dict(zip((60, 62, 64, 65, 67, 69, 71), "CDEFGAB"))
    return "".join(letters[s.midi] for s in performance(parse(f"X:1\nM:none\nL:1/8\nK:C\n{body}")))


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("C|D!fine!|E!D.C.!|]", "CDECD"),
        ("C|!fine!D|!D.C.alfine!E|]", "CDECD"),
        ("|:C:|D!fine!|E!dacapo!|]", "CCDECD"),
        ('C|D"^Fine"|E"_D.C. al Fine"|]', "CDECD"),
        ('C|D"(End)"|E"D.C."|]', "CDECD"),
        ("C|!segno!D!fine!|E!D.S.!|]", "CDED"),
        ("C|SD|E!dacoda!|F!D.S.alcoda!|!coda!G|]", "CDEFDEG"),
        ("C|D|E!D.C.!|]", "CDECDE"),
        ("C!D.C. al Fine!|D|]", "CD"),  # there is no Fine
        ("C!fine!|D!D.C.!|E|]", "CDCE"),  # music after it is played, too
    ],
)
def test_jumps(body: str, played: str) -> None:
    assert names(body) == played


def test_a_jump_holds_for_all_voices() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\nV:1\nC8!fine!|D8!D.C.!|]\nV:2\nE8|F8|]\n")
    assert [sound.midi for sound in performance(score)] == [60, 64, 62, 65, 60, 64]


def test_numbers_of_endings() -> None:
    assert ending_numbers("1,3") == {1, 3} and ending_numbers("1-3") == {1, 2, 3} and ending_numbers("") == frozenset()


@pytest.mark.parametrize("seed", range(40))
def test_every_note_is_played_whatever_the_bar_lines(seed: int) -> None:
    """Bar lines and endings in any order."""
    import random

    rng = random.Random(seed)
    events = []
    for _ in range(30):
        kind = rng.choice(["|", "|", "||", "|]", "|:", ":|", "::", ""])
        ending = rng.choice(["", "", "1", "2", "1,3", "3"])
        events += [Note((), 10, 10)] * rng.randint(0, 2)
        events += [Bar(kind, ending)] if kind or ending else []
    order = play_order(Voice("", "", events))
    assert {place for place, event in enumerate(events) if isinstance(event, Note)} <= set(order)
    assert [s.start for s in sections(events)][1:] == [s.stop for s in sections(events)][:-1]


class TestBundledCollections:
    """Laws on real tunes."""

    def test_every_note_sounds(self, some_tunes: list[str]) -> None:
        assert [text for text in some_tunes if not every_note_sounds(text)] == []

    @pytest.mark.slow
    def test_every_note_of_every_tune_sounds(self, real_tunes: list[str]) -> None:
        assert [text for text in real_tunes if not every_note_sounds(text)] == []


def every_note_sounds(text: str) -> bool:
    return all(
        {place for place, event in enumerate(voice.events) if isinstance(event, Note)} <= set(play_order(voice))
        for voice in parse(text).voices
    )


def test_parts_written_out_as_they_are_played() -> None:
    score = parse("X:1\nP:ABA\nM:4/4\nL:1/4\nK:C\nP:A\nCDEF|GABc:|\nP:B\n[K:G][M:3/4]FGA|\n")
    written_out = played_parts(score)
    assert performance(written_out) == performance(score)
    assert not written_out.voices[0].part_order
    assert [e.meter.text for e in written_out.voices[0].events if isinstance(e, MeterChange)] == ["3/4", "4/4"]
    assert len({id(event) for event in written_out.voices[0].events}) == len(written_out.voices[0].events)
