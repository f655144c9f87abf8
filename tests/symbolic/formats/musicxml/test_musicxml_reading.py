"""A score from MusicXML: parts stay together, every note sounds where it should, what is lost is counted."""

from fractions import Fraction
from pathlib import Path

import pytest

from symbolic.formats.convert import to_abc
from symbolic.formats.engraving import MOVED_TEMPO
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation import abc_parser
from symbolic.notation.performance import performance
from symbolic.notation.score import (
    Annotation,
    Bar,
    Direction,
    KeyChange,
    Note,
    PartMark,
    Rest,
    Score,
    TempoChange,
    bars,
)
from symbolic.notation.theory import TICKS_PER_QUARTER, NotationError
from tests.symbolic.formats.musicxml_pages import attributes, document, note, notes

HIDDEN = '<note print-object="no"><rest/><duration>2</duration></note>'


def music(data: bytes) -> str:
    """The music of the canonical text, which must read back as itself."""
    text = abc_parser.canonical(from_musicxml(data))
    assert abc_parser.canonical(abc_parser.parse(text)) == text
    return text.split("\n", 3)[3]


def sounds(score: Score, *, repeats: bool = True) -> list[tuple[Fraction, Fraction, int]]:
    found = performance(score, repeats=repeats)
    return [(Fraction(s.onset_ticks, TICKS_PER_QUARTER), Fraction(s.ticks, TICKS_PER_QUARTER), s.midi) for s in found]


FOUR = notes("C4 D4 E4 F4")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (notes("C4 D4") + HIDDEN * 2, FOUR, "C2D2z4|"),
        (notes("C4 D4"), FOUR, "C2D2z4|"),  # a bar that is too short is filled
        (notes("C4 D4") + "<forward><duration>4</duration></forward>", FOUR, "C2D2z4|"),
        ("", FOUR, "z8|"),
        (FOUR + notes("G4"), FOUR, "C2D2E2F2G2|"),  # too long: both are
    ],
)
def test_measures_are_as_long_in_all_parts(first: str, second: str, expected: str) -> None:
    score = from_musicxml(document([attributes() + FOUR, first, FOUR], [attributes() + FOUR, second, FOUR]))
    assert [bar.ticks for bar in bars(score.voices[0], score.meter)] == [
        bar.ticks for bar in bars(score.voices[1], score.meter)
    ]
    assert f"|{expected}" in abc_parser.canonical(score)


def test_a_pickup_is_as_long_in_all_parts() -> None:
    pickup = f'<measure number="0" implicit="yes">{attributes()}{{}}</measure>'
    data = document([pickup.format(notes("G4")), FOUR], [pickup.format(""), FOUR])
    assert music(data) == "V:1 clef=treble\nV:2 clef=treble\nV:1\nG2|C2D2E2F2|\nV:2\nz2|C2D2E2F2|\n"


def test_short_measures_that_are_meant() -> None:
    halves = [attributes() + FOUR, notes("C4 D4"), notes("E4 F4"), FOUR]  # a bar cut by a repeat that both halves fill
    assert music(document(halves)) == "C2D2E2F2|C2D2|E2F2|C2D2E2F2|\n"
    irregular = [attributes() + FOUR, f'<measure number="X1" implicit="yes">{notes("C4")}</measure>', FOUR, notes("E4")]
    assert music(document(irregular)) == "C2D2E2F2|C2|C2D2E2F2|E2|\n"


def test_voices_without_numbers_and_with_one_number_on_two_staves() -> None:
    back = "<backup><duration>8</duration></backup>"
    assert music(document([attributes() + FOUR + back + note("C3", 8)])).endswith("V:1\nC2D2E2F2|\nV:2\nC,8|\n")
    staves = [notes("C4 D4 E4 F4", 2, f"<voice>1</voice><staff>{n}</staff>") for n in (1, 2)]
    score = from_musicxml(document([attributes() + staves[0] + back + staves[1]]))
    assert len(score.voices) == 2 and len(performance(score)) == 8


def test_a_voice_that_crosses_staves_stays_one() -> None:
    crossing = "".join(note(p, 2, f"<voice>1</voice><staff>{s}</staff>") for p, s in (("C5", 1), ("C3", 2), ("E3", 2)))
    assert music(document([attributes() + crossing])) == "c2C,2E,2|\n"  # the last bar may be short


def test_ties_of_one_note_of_a_chord_and_across_voices() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    one = note("C4", 8, start) + note("E4", 8, before="<chord/>")
    two = note("C4", 8, stop) + note("E4", 8, before="<chord/>")
    score = from_musicxml(document([attributes() + one, two]))
    [first, second] = [event for event in score.voices[0].events if isinstance(event, Note)]
    assert first.tie and first.untied == (1,) and not second.tie
    voices = ["<voice>1</voice>", "<voice>2</voice>"]
    back = "<backup><duration>8</duration></backup>"
    across = [
        attributes() + note("C5", 8, start + voices[0]) + back + note("E4", 8, voices[1]),
        note("G5", 8, voices[0]) + back + note("C5", 8, stop + voices[1]),
    ]
    assert sounds(from_musicxml(document(across))) == [(0, 4, 64), (0, 8, 72), (4, 4, 79)]


def test_an_arpeggio_is_held_into_the_chord_that_its_ties_lead_to() -> None:
    """C E G one after the other, each tied to the chord of the next bar: nothing is struck again there."""
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    rising = note("C4", 2, start) + note("E4", 2, start) + note("G4", 4, start)
    chord = "".join(note(p, 8, stop, "<chord/>" if n else "") for n, p in enumerate(("C4", "E4", "G4")))
    score = from_musicxml(document([attributes() + rising, chord]))
    assert sounds(score) == [(0, 8, 60), (1, 7, 64), (2, 6, 67)]
    struck = note("C4", 2, start) + note("C4", 2) + note("G4", 4, start)  # the C is struck again before the chord
    assert (4, 4, 60) in sounds(from_musicxml(document([attributes() + struck, chord])))


def test_a_repeat_says_how_often_it_is_played() -> None:
    end = '<barline location="right"><repeat direction="backward" times="3"/></barline>'
    begin = '<barline location="left"><repeat direction="forward"/></barline>'
    assert len(performance(from_musicxml(document([attributes() + FOUR + end, begin + FOUR + end, FOUR])))) == 28


def test_jumps_of_any_part_are_played_by_all() -> None:
    """D.C. al Fine: bars 1 2 3 1 2; D.S. al Coda: 1 2 3 2 4, with a second part that names none of it."""
    fine, dacapo = '<direction><sound fine="yes"/></direction>', '<direction><sound dacapo="yes"/></direction>'
    plain = [attributes() + FOUR, FOUR, FOUR]
    data = document([attributes() + FOUR, notes("G4 A4 B4 C5") + fine, FOUR + dacapo], plain)
    score = from_musicxml(data)
    assert len(performance(score)) == 2 * 20
    assert [s.midi for s in performance(score) if not s.voice][-4:] == [67, 69, 71, 72]
    segno = "<direction><direction-type><segno/></direction-type></direction>"
    words = "<direction><direction-type><words>{}</words></direction-type></direction>"
    coda = "<direction><direction-type><coda/></direction-type></direction>"
    bars = [
        attributes() + FOUR,
        segno + FOUR + words.format("To Coda"),
        FOUR + words.format("D.S. al Coda"),
        coda + FOUR,
    ]
    assert len(performance(from_musicxml(document(bars)))) == 20


def test_repeats_of_any_part_hold_for_all() -> None:
    left = '<barline location="left"><repeat direction="forward"/></barline>'
    right = '<barline location="right"><repeat direction="backward"/></barline>'
    data = document([attributes() + left + FOUR + right, FOUR], [attributes() + FOUR, FOUR])
    assert len(sounds(from_musicxml(data))) == 24


def test_timewise_scores_programs_drums_and_names() -> None:
    listed = (
        '<score-part id="P1"><part-name>Violin</part-name><midi-instrument id="a"><midi-program>41</midi-program>'
        '</midi-instrument></score-part><score-part id="P2"><part-name>Drums</part-name><midi-instrument id="b">'
        "<midi-channel>10</midi-channel><midi-unpitched>43</midi-unpitched></midi-instrument></score-part>"
    )
    drum = "<note><unpitched/><duration>8</duration></note>"
    parts = f'<part id="P1">{attributes()}{FOUR}</part><part id="P2">{attributes()}{drum}</part>'
    data = f"<score-timewise><part-list>{listed}</part-list><measure>{parts}</measure></score-timewise>"
    violin, drums = from_musicxml(data.encode()).voices
    assert (violin.title, violin.program, violin.drums) == ("Violin", 40, False)
    assert drums.drums and next(e.pitches[0].midi for e in drums.events if isinstance(e, Note)) == 42


def test_words_tempos_and_dynamics() -> None:
    lyric = '<lyric number="1"><syllabic>{}</syllabic><text>{}</text></lyric>'
    sung = note("C4", 4, lyric.format("begin", "hap")) + note("D4", 4, lyric.format("end", "py"))
    loud = "<direction><direction-type><dynamics><ff/></dynamics></direction-type></direction>"
    score = from_musicxml(document([attributes() + sung, loud + '<sound tempo="66"/>' + FOUR]))
    events = score.voices[0].events
    assert [e.syllables for e in events if isinstance(e, Note)][:3] == [("hap-",), ("py",), ()]
    assert TempoChange("1/4=66") in events and Direction("ff") in events


def test_losses_are_counted() -> None:
    tone = "<note><pitch><step>C</step><alter>0.5</alter><octave>4</octave></pitch><duration>2</duration></note>"
    cue = "<note><cue/><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note>"
    assert len(from_musicxml(document([attributes() + FOUR])).losses) == 0
    assert sorted(from_musicxml(document([attributes() + FOUR, tone + cue])).losses.values()) == [1, 1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html/>", "bad_musicxml"),
        (b"<score-partwise/>", "no_notes"),
        (document([attributes() + "<note><rest/><duration>8</duration></note>"]), "no_notes"),
        (document([attributes() + note("C4", 2).replace("<octave>4", "<octave>12")]), "bad_pitch"),
    ],
)
def test_what_is_no_score(data: bytes, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        from_musicxml(data)
    assert caught.value.reason == reason


def test_chorales_sound_as_music21_reads_them(music21_corpus: Path) -> None:
    import music21

    for path in sorted((music21_corpus / "bach").glob("*.mxl"))[::60]:
        data = path.read_bytes()
        ours = sorted(sounds(from_musicxml(data), repeats=False))
        sheet = music21.converter.parse(path).toSoundingPitch()
        notes_ = [n for part in sheet.parts for n in part.stripTies().flatten().notes if not n.duration.isGrace]
        theirs = sorted(
            (Fraction(n.offset), Fraction(n.quarterLength), p.midi)
            for n in notes_
            if not isinstance(n, music21.harmony.ChordSymbol)
            for p in n.pitches
        )
        assert ours == theirs, path.name


def test_signs_at_the_end_of_a_measure_cut_no_rest() -> None:
    fine = "<direction><direction-type><words>Fine</words></direction-type></direction>"
    measures = [attributes() + note("C4", 4) + note("r", 4) + fine, notes("D4 E4 F4 G4")]
    (voice,) = from_musicxml(document(measures)).voices
    timed = [event.ticks for event in voice.events if isinstance(event, (Note, Rest))]
    assert timed[:2] == [2 * TICKS_PER_QUARTER, 2 * TICKS_PER_QUARTER]
    assert isinstance(voice.events[2], Direction) and isinstance(voice.events[3], Bar)


def test_what_is_not_kept_of_a_file_is_counted() -> None:
    pedal = '<direction><direction-type><pedal type="start"/></direction-type></direction>'
    finger = "<notations><technical><fingering>1</fingering><up-bow/></technical></notations>"
    measure = attributes() + pedal + note("C4", 8, finger)
    score = from_musicxml(document([measure]))
    assert dict(score.losses) == {"pedal marks, which are not kept": 1, "fingering marks, which are not kept": 1}
    assert next(e.marks for e in score.voices[0].events if isinstance(e, Note)) == "u"


def test_drums_without_numbers_are_told_by_their_place() -> None:
    kick = note("C4", 8).replace(
        "<pitch><step>C</step><octave>4</octave></pitch>",
        "<unpitched><display-step>F</display-step><display-octave>4</display-octave></unpitched>",
    )
    score = from_musicxml(document([attributes() + kick]))
    assert score.voices[0].drums and performance(score)[0].midi == 36
    assert dict(score.losses) == {"drum notes without a MIDI number, told by their place on the staff": 1}


def test_a_part_of_several_instruments_keeps_one_sound_and_says_so() -> None:
    listed = (
        '<score-part id="P1"><part-name>Winds</part-name><score-instrument id="A"/><score-instrument id="B"/>'
        '<midi-instrument id="A"><midi-program>74</midi-program></midi-instrument>'
        '<midi-instrument id="B"><midi-program>72</midi-program></midi-instrument></score-part>'
    )
    played = note("C4", 2, '<instrument id="A"/>') + note("D4", 2, '<instrument id="B"/>') * 2
    score = from_musicxml(document([attributes() + played + note("r", 2)], listed=listed))
    assert score.voices[0].program == 71
    assert dict(score.losses) == {"notes of a further instrument of their part, given the sound of the others": 1}


def test_words_hairpins_and_lines_under_lyrics_are_kept() -> None:
    kinds = "<words>dolce</words>", '<wedge type="crescendo"/>', '<wedge type="stop"/>', "<rehearsal>B</rehearsal>"
    words, opens, closes, mark = (
        f'<direction placement="below"><direction-type>{kind}</direction-type></direction>' for kind in kinds
    )
    lyric = "<lyric><syllabic>single</syllabic><text>ah</text><extend/></lyric>"
    measure = attributes() + mark + words + opens + note("C4", 2, lyric) + note("D4", 2) + closes + note("E4", 4)
    score = from_musicxml(document([measure]))
    events = score.voices[0].events
    assert [e.name for e in events if isinstance(e, (Direction, PartMark))] == ["B", "crescendo(", "crescendo)"]
    assert [e.text for e in events if isinstance(e, Annotation)] == ["_dolce"]
    assert [e.syllables for e in events if isinstance(e, Note)] == [("ah",), ("_",), ("_",)]
    assert not score.losses


def test_words_that_are_a_sign_hold_for_all_parts() -> None:
    coda, capo = (
        f"<direction><direction-type><words>{word}</words></direction-type></direction>" for word in ("(End)", "D.C.")
    )
    first = [attributes() + notes("C4 D4 E4 F4"), coda + notes("G4 A4 B4 C5"), capo + notes("E4 E4 E4 E4")]
    second = [attributes() + note("C3", 8), note("G3", 8), note("E3", 8)]
    score = from_musicxml(document(first, second))
    lengths = [sum(s.ticks for s in performance(score) if s.voice == voice) for voice in (0, 1)]
    assert lengths == [5 * 4 * TICKS_PER_QUARTER] * 2


def test_each_staff_has_its_own_key() -> None:
    keys = "<key number='1'><fifths>0</fifths></key><key number='2'><fifths>2</fifths></key>"
    first = f"<attributes><divisions>2</divisions>{keys}<staves>2</staves></attributes>"
    staves = [note(pitch, 8, f"<staff>{staff}</staff>") for staff, pitch in ((1, "F4"), (2, "F#3"))]
    score = from_musicxml(document([first + staves[0] + "<backup><duration>8</duration></backup>" + staves[1]]))
    assert score.key.text == "C"
    keys_of = [[event.key.text for event in voice.events if isinstance(event, KeyChange)] for voice in score.voices]
    assert keys_of == [[], ["D"]]


def test_titles_makers_and_rights() -> None:
    head = (
        "<work><work-title>Work</work-title></work><movement-title>Part</movement-title><identification>"
        "<creator type='composer'>A</creator><creator type='lyricist'>B</creator><rights>2020 C</rights>"
        "</identification>"
    )
    data = document([attributes() + note()]).replace(b"<part-list>", head.encode() + b"<part-list>", 1)
    fields = from_musicxml(data).fields
    assert fields["T"] == ["Work", "Part"] and fields["C"] == ["A", "B (lyricist)"]
    assert fields["Z"] == ["abc-copyright 2020 C"]


def test_the_tempo_of_the_beginning_is_that_of_the_first_note() -> None:
    slow = '<direction><offset>4</offset><sound tempo="60"/></direction>'
    later = from_musicxml(document([attributes() + slow + FOUR, FOUR]))
    assert "Q" not in later.fields
    assert later.voices[0].events[2:3] == [TempoChange("1/4=60")]
    assert from_musicxml(document([attributes() + '<sound tempo="60"/>' + FOUR])).fields["Q"] == ["1/4=60"]


def test_a_tempo_changes_inside_a_note() -> None:
    change = '<direction><offset>{}</offset><sound tempo="{}"/></direction>'
    score = from_musicxml(document([attributes() + change.format(2, 60) + change.format(4, 90) + note("C4", 8)]))
    events = [(e.ticks, e.tie) if isinstance(e, Note) else e for e in score.voices[0].events[:-1]]
    quarter = TICKS_PER_QUARTER
    assert events == [
        (quarter, True),
        TempoChange("1/4=60"),
        (quarter, True),
        TempoChange("1/4=90"),
        (2 * quarter, False),
    ]
    assert not score.losses and sounds(score) == [(0, 4, 60)]
    odd = from_musicxml(document([attributes() + change.format("0.3", 60) + note("C4", 8)]))
    assert odd.losses == {MOVED_TEMPO: 1}


@pytest.mark.parametrize("sign", ["bass", "alto", "perc", "treble-8"])
def test_the_clef_of_a_single_voice_goes_there_and_back(sign: str) -> None:
    score = abc_parser.parse(f"X:1\nM:4/4\nL:1/4\nK:C {sign}\nCDEF|\n")
    assert [voice.clef for voice in from_musicxml(to_musicxml(score).encode()).voices] == [sign]


def test_aims_of_jumps_slashed_graces_and_no_chord() -> None:
    aim = "<direction><direction-type><{}/></direction-type></direction>"
    grace = note("D5", 0, before='<grace slash="yes"/>')
    none = '<harmony><root><root-step>C</root-step></root><kind text="N.C.">none</kind></harmony>'
    bars = [attributes() + aim.format("segno") + FOUR, grace + FOUR, none + FOUR + aim.format("coda"), FOUR]
    first = 'SC2 D2 E2 F2| {/d}C2 D2 E2 F2| "^N.C."C2 D2 E2 F2 !coda!| C2 D2 E2 F2|'
    bars = [bar.replace(FOUR, notes("C4 D4 E4 F4")) for bar in bars]
    assert to_abc(from_musicxml(document(bars))).splitlines()[-1] == first


def test_the_end_of_the_last_ending_is_a_bar_line() -> None:
    """Endings 1, 2 and 3, the third without a repeat, then bars that belong to none."""

    def ending(number: int, pitch: str, kind: str, repeat: str = "") -> str:
        left = f'<barline location="left"><ending number="{number}" type="start"/></barline>'
        right = f'<barline location="right"><ending number="{number}" type="{kind}"/>{repeat}</barline>'
        return left + note(pitch, 8) + right

    back = '<repeat direction="backward"/>'
    endings = [ending(1, "A4", "stop", back), ending(2, "B4", "stop", back), ending(3, "C5", "discontinue")]
    bars = [attributes() + note("G4", 8), *endings, note("D5", 8), note("E5", 8)]
    assert music(document(bars)) == "G8|1A8:|2B8:|3c8||d8|e8|\n"
