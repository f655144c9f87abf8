"""Ties, chords, graces, broken rhythm and tuplets."""

import pytest

from symbolic.notation.abc_parser import TICKS_PER_WHOLE, NotationError, canonical, parse, performance
from symbolic.notation.reading.voice_reader import NO_LENGTH, OTHER_LENGTH
from symbolic.notation.score import Bar, Direction, Note, Rest

EIGHTH = TICKS_PER_WHOLE // 8


def sounds(body: str) -> list[tuple[int, float, float]]:
    """(pitch, onset, length) in eighths; canonical text must sound the same and be a fixed point."""
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\n" + body)
    text = canonical(score)
    assert canonical(parse(text)) == text
    found = [
        [(s.midi, s.onset_ticks / EIGHTH, s.ticks / EIGHTH) for s in performance(one)] for one in (score, parse(text))
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[c-e]4[ce]4|", [(72, 0, 8), (76, 0, 4), (76, 4, 4)]),
        ("C8|-C8|", [(60, 0, 16)]),
        ("|:C4-C4-:|C4|", [(60, 0, 8), (60, 8, 12)]),  # struck anew at the repeat
        ("|:^F-|1F:|2F|", [(66, 0, 2), (66, 2, 2)]),
        ("C-{D}C", [(60, 0, 2)]),
        ("{C-}D-D", [(62, 0, 2)]),
        ("A2>|B2 C4|", [(69, 0, 3), (71, 3, 1), (60, 4, 4)]),
        ("[zCE]2 D2", [(60, 0, 2), (64, 0, 2), (62, 2, 2)]),
        ("{zc}D2", [(62, 0, 2)]),
        ("+CE+ D", [(60, 0, 1), (64, 0, 1), (62, 1, 1)]),
        ("(10:8:10CCCCCCCCCC f", [*((60, i * 0.8, 0.8) for i in range(10)), (77, 8, 1)]),
        ("{[ce]}D", [(62, 0, 1)]),
    ],
)  # fmt: skip
def test_lengths_and_ties(body: str, expected: list[tuple[int, float, float]]) -> None:
    found = sounds(body)
    assert [(midi, pytest.approx(onset), pytest.approx(length)) for midi, onset, length in expected] == found


def test_tuplets_that_do_not_divide_end_on_the_beat() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\n(11:8:11CDEFGABcdef g\n")
    assert performance(score)[-1].onset_ticks == 8 * EIGHTH


@pytest.mark.parametrize(("rule", "third"), [("not", 65), ("octave", 66), ("pitch", 66)])
def test_how_far_an_accidental_holds(rule: str, third: int) -> None:
    score = parse(f"X:1\n%%propagate-accidentals {rule}\nM:4/4\nL:1/8\nK:C\n^FGFf\n")
    midi = [sound.midi for sound in performance(score)]
    assert midi == [66, 67, third, 78 if rule == "pitch" else 77]
    assert [sound.midi for sound in performance(parse(canonical(score)))] == midi


def test_a_letter_gets_another_meaning() -> None:
    score = parse("X:1\nU:n=!crescendo(!\nU:T=!fermata!\nK:C\nnC TD\n")
    assert [event for event in score.voices[0].events if isinstance(event, Direction)] == [Direction("crescendo(")]
    assert canonical(score).endswith("CHD\n")


def test_two_violins_are_two_voices_and_an_ending_has_a_number() -> None:
    head = "X:1\nM:4/4\nL:1/4\nV:Violin 1\nV:Violin 2\nK:C\n"
    score = parse(head + 'V:Violin 1\n|:C4|["1st time"D4:|["2nd"E4|]\nV:Violin 2\nG4|A4:|B4|]\n')
    assert [voice.title for voice in score.voices] == ["Violin 1", "Violin 2"]
    assert canonical(score).splitlines()[6] == "|:C8|1D8:|2E8|]"
    with pytest.raises(NotationError, match="'&eacute;' is an HTML entity"):
        parse("X:1\nM:4/4\nK:C\nC&eacute;D|\n")


@pytest.mark.parametrize(
    ("body", "same_as"),
    [
        ("| :CDEF: |GABc|", "|:CDEF:|GABc|"),
        ("CDEF]", "CDEF|]"),
        ("CD:EF|", "CD|EF|"),
        ('CDEF|["Coda" GABc|', "CDEF|GABc|"),
        ("C-,C(,DE)|", "C-C(DE)|"),
        ("C0 CDEF|[CE]0 z0 G|", "CDEF|G|"),
        ("[+CE][+CE]|", "[CE][CE]|"),
        ("!=!C!^!D!(f)!E|", "CDE|"),
        ("[M:none]CD|Z2|", "[M:none]CD|z8|z8|"),
        ("CDEF[|GABc:|", "CDEF||GABc:|"),
        ("|:CDEF|\n1 GABc:|\n2 c4|]", "|:CDEF|1GABc:|2c4|]"),
        ("C ,D}EF|", "CDEF|"),
    ],
)
def test_music_as_some_write_it(body: str, same_as: str) -> None:
    header = "X:1\nM:4/4\nL:1/8\nK:C\n"
    assert heard_and_form(header + body) == heard_and_form(header + same_as)


def heard_and_form(text: str) -> list[object]:
    """What of a tune's events sounds or makes form."""
    found: list[object] = []
    for event in parse(text).voices[0].events:
        if isinstance(event, Note):
            found.append(([pitch.midi for pitch in event.pitches], event.ticks, event.tie))
        elif isinstance(event, (Rest, Bar)):
            found.append((event.kind, event.ending) if isinstance(event, Bar) else event.ticks)
    return found


def test_what_has_no_length_is_told() -> None:
    score = parse("X:1\nM:3/4 2/4\nL:1/8\nU:o +open+\nK:C\nC0 oCDEF|\n")
    assert dict(score.losses) == {NO_LENGTH: 1, "meter that is not known, read as free (M:)": 1}
    assert score.meter.is_free and score.voices[0].events[0].marks == "!open!"  # type: ignore[union-attr]


def test_an_accidental_before_no_note_is_passed_over_and_told() -> None:
    score = parse("X:1\nM:4/4\nL:1/8\nK:C\nA=>B ^3^c2_|")
    assert [sound.ticks / EIGHTH for sound in performance(score)] == [1.5, 0.5, 2]
    assert score.losses == {"accidental without a note": 3}
    with pytest.raises(NotationError, match="before no note"):
        parse("X:1\nM:4/4\nL:1/8\nK:C\nA=>B", strict=True)


def test_a_chord_has_the_length_of_its_first_note_and_others_are_told() -> None:
    score = parse("X:1\nM:4/4\nL:1/4\nK:C\n[C2E4] F2|[C2E2]4|\n")
    assert [(sound.midi, sound.ticks / EIGHTH) for sound in performance(score)][:3] == [(60, 4), (64, 4), (65, 4)]
    assert score.losses == {OTHER_LENGTH: 1}
