"""Measures of a part: positions, exact lengths, sounding pitch, meters, endings."""

from collections import Counter
from fractions import Fraction
from xml.etree.ElementTree import fromstring

import pytest

from symbolic.formats.musicxml.musicxml_measures import PartReader, SheetMeasure, key_of
from symbolic.notation.score import Annotation
from symbolic.notation.theory import MODES, Meter
from tests.symbolic.formats.musicxml_pages import attributes, note, notes


def read(content: str, *more: str) -> list[SheetMeasure]:
    reader = PartReader({}, Counter())
    return [reader.read(fromstring(f"<measure>{one}</measure>")) for one in (content, *more)]


def placed(measure: SheetMeasure) -> list[tuple[Fraction, Fraction, list[int]]]:
    return [(chord.onset, chord.length, [one.midi for one in chord.notes]) for chord in measure.chords]


def test_backup_forward_and_chords() -> None:
    back = "<backup><duration>8</duration></backup><forward><duration>2</duration></forward>"
    chord = note("E4", 2, before="<chord/>")
    [measure] = read(attributes() + notes("C4") + chord + notes("D4 E4 F4") + back + note("C3", 4))
    assert placed(measure)[0] == (0, 1, [60, 64])
    assert placed(measure)[-1] == (1, 2, [48])
    assert measure.extent == 4


def test_rounded_durations_are_made_exact() -> None:
    """Septuplets at 256 divisions: 37 37 36 37 36 37 36."""
    ratio = "<actual-notes>7</actual-notes><normal-notes>4</normal-notes>"
    kind = f"<type>16th</type><time-modification>{ratio}</time-modification>"
    lengths = (37, 37, 36, 37, 36, 37, 36)
    [measure] = read(
        attributes(256) + "".join(note("C4", n, kind) for n in lengths) + notes("D4", 256, "<type>quarter</type>")
    )
    assert [chord.onset for chord in measure.chords] == [Fraction(n, 7) for n in range(8)]
    back = f"<backup><duration>{36 * 2 + 37 * 2}</duration></backup>"
    [measure] = read(attributes(256) + "".join(note("C4", n, kind) for n in lengths) + back + note("E4", 36, kind))
    assert measure.chords[-1].onset == Fraction(3, 7)


def test_a_rounded_length_is_not_confused_with_another() -> None:
    [measure] = read(attributes(4) + note("C4", 4, "<type>eighth</type>") + note("D4", 4))
    assert [chord.onset for chord in measure.chords] == [0, 1]


@pytest.mark.parametrize(
    ("transpose", "written", "sounding", "fifths"),
    [
        ("<diatonic>-1</diatonic><chromatic>-2</chromatic>", "C4", ("B", 3, -1), -2),
        ("<diatonic>-2</diatonic><chromatic>-3</chromatic>", "C4", ("A", 3, 0), 3),
        ("<chromatic>-7</chromatic>", "G4", ("C", 4, 0), -1),
        ("<chromatic>0</chromatic><octave-change>-1</octave-change>", "C4", ("C", 3, 0), 0),
        ("<diatonic>-1</diatonic><chromatic>-2</chromatic><octave-change>-1</octave-change>", "E4", ("D", 3, 0), -2),
        ("<diatonic>1</diatonic><chromatic>1</chromatic>", "B4", ("C", 5, 0), -5),
    ],
)
def test_transposing_instruments_sound(
    transpose: str, written: str, sounding: tuple[str, int, int], fifths: int
) -> None:
    [measure] = read(attributes(extra=f"<transpose>{transpose}</transpose>") + note(written))
    assert measure.chords[0].notes[0].pitch == sounding
    assert measure.keys[0][1].sharps == fifths


@pytest.mark.parametrize(
    ("time", "meter"),
    [
        ("<beats>15</beats><beat-type>8</beat-type>", Meter(15, 8)),
        ("<beats>3+2</beats><beat-type>8</beat-type>", Meter(5, 8)),
        ("<beats>3</beats><beat-type>4</beat-type><beats>1</beats><beat-type>8</beat-type>", Meter(7, 8)),
        ("<senza-misura/>", Meter(0, 1)),
        ("<beats>x</beats><beat-type>4</beat-type>", Meter(0, 1)),
    ],
)
def test_meters(time: str, meter: Meter) -> None:
    [measure] = read(f"<attributes><time>{time}</time></attributes>" + notes("C4"))
    assert measure.meter == meter


def test_keys_of_all_modes() -> None:
    assert {key_of(sharps, mode).sharps - sharps for sharps in range(-7, 8) for mode in MODES} == {0}


def test_jumps_tempo_and_endings() -> None:
    metronome = "<metronome><beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>40</per-minute></metronome>"
    direction = f"<direction><direction-type>{metronome}</direction-type></direction>"
    words = "<direction><direction-type><words>D.C. al Fine</words></direction-type></direction>"
    barline = '<barline location="left"><ending number="1, 2" type="start"/></barline>'
    end = '<barline location="right"><repeat direction="backward" times="3"/></barline>'
    [measure] = read(attributes() + barline + direction + notes("C4 C4 C4 C4") + words + end)
    assert measure.tempos == [(0, 60.0)]
    assert measure.jumps == [(4, "dacapo")]
    assert (measure.bars.ending, measure.bars.ends_repeat, measure.bars.times) == ("1,2", True, 3)


def test_the_last_note_of_a_tuplet_makes_up_for_rounding() -> None:
    tuplet = "<time-modification><actual-notes>13</actual-notes><normal-notes>8</normal-notes></time-modification>"
    written = "".join(
        f"<note><pitch><step>C</step><octave>4</octave></pitch><duration>{n}</duration><type>32nd</type>{tuplet}</note>"
        for n in [19, 20] * 6 + [22]
    )
    measure = read("<attributes><divisions>256</divisions></attributes>" + written)[0]
    assert {chord.length for chord in measure.chords} == {Fraction(1, 13)}


def test_a_rest_for_the_whole_measure_is_no_longer_than_it() -> None:
    rest = '<note><rest measure="yes"/><duration>4</duration></note>'
    time = "<time><beats>3</beats><beat-type>4</beat-type></time>"
    measures = read(f"<attributes><divisions>1</divisions>{time}</attributes>{rest}", rest)
    assert [measure.extent for measure in measures] == [3, 3]


def lost(*contents: str) -> Counter[str]:
    losses: Counter[str] = Counter()
    reader = PartReader({}, losses)
    for one in contents:
        reader.read(fromstring(f"<measure>{one}</measure>"))
    reader.finish()
    return losses


GRACE = note("D5", 0, before="<grace/>", extra="<voice>1</voice><staff>2</staff>")


def test_graces_stand_before_the_next_note_of_their_voice_also_on_another_staff() -> None:
    on_staff_1, other_voice = "<voice>1</voice><staff>1</staff>", "<voice>2</voice><staff>2</staff>"
    [measure] = read(attributes() + GRACE + note("C5", extra=on_staff_1) + note("C5", extra=on_staff_1))
    assert [chord.graces for chord in measure.chords] == [[("D", 5, 0)], []]
    back = "<backup><duration>2</duration></backup>"
    [measure] = read(attributes() + note("C5", extra=on_staff_1) + GRACE + back + note("C5", extra=on_staff_1))
    assert not any(chord.graces for chord in measure.chords)
    assert lost(attributes() + GRACE + note("C5", extra=other_voice)).total() == 1
    assert lost(attributes() + GRACE + note("r", extra="<voice>1</voice><staff>2</staff>")).total() == 1


def test_all_notes_of_a_chord_bring_their_words_marks_and_slurs() -> None:
    def notations(number: int) -> str:
        words = f'<lyric number="{number}"><text>w{number}</text></lyric>'
        return f'<notations><slur type="start"/><articulations><accent/></articulations></notations>{words}'

    [measure] = read(attributes() + note("C4", 2, notations(1)) + note("E4", 2, notations(2), before="<chord/>"))
    [chord] = measure.chords
    assert [lyric.text for lyric in chord.lyrics] == ["w1", "w2"]
    assert chord.marks == "L" and chord.slurs == [("1", "start")]


def test_dynamics_that_abc_does_not_name_are_words() -> None:
    marks = (
        "<dynamics><sfp/></dynamics><dynamics><p/></dynamics><dynamics><other-dynamics>fz p</other-dynamics></dynamics>"
    )
    [measure] = read(attributes() + f"<direction><direction-type>{marks}</direction-type></direction>" + note())
    assert [name for _, _, name in measure.dynamics] == ["p"]
    assert [event.text for _, event in measure.written if isinstance(event, Annotation)] == ["_sfp", "_fz p"]


@pytest.mark.parametrize(
    "content",
    [
        "<attributes><key><fifths>-9</fifths></key></attributes>",
        "<attributes><key><key-step>F</key-step><key-alter>1</key-alter></key></attributes>",
        "<figured-bass><figure><figure-number>6</figure-number></figure></figured-bass>",
        "<harmony><root><root-step>C</root-step></root><kind>major</kind><frame/></harmony>",
        "<direction><direction-type><metronome><beat-unit>half</beat-unit><beat-unit>quarter</beat-unit></metronome>"
        "</direction-type></direction>",
    ],
)
def test_what_abc_has_no_place_for_is_told(content: str) -> None:
    assert lost(attributes() + content + note()).total() == 1


def test_a_note_of_a_tuplet_that_does_not_say_so() -> None:
    ratio = "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
    eighth = "<type>eighth</type>"
    [measure] = read(attributes(3) + note("r", 1, eighth) + 2 * note("C4", 1, eighth + ratio) + note("D4", 3))
    assert [chord.onset for chord in measure.chords] == [Fraction(1, 3), Fraction(2, 3), 1]


def test_the_tie_that_sounds_counts_where_there_is_one() -> None:
    drawn = '<tie type="stop"/><notations><tied type="stop"/><tied type="start"/></notations>'
    [measure] = read(attributes() + note("C4", 2, drawn) + note("C4", 2, '<notations><tied type="start"/></notations>'))
    first, second = (chord.notes[0] for chord in measure.chords)
    assert (first.tie_stops, first.tie_starts, second.tie_starts) == (True, False, True)
