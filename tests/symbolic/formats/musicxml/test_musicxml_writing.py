"""MusicXML as we write it: music21 reads the notes and lengths that our own parser plays and counts, ours the same."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from symbolic.formats import midi
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.smf import read_song
from symbolic.notation import abc_parser
from symbolic.notation.abc_parser import split_tunes
from symbolic.notation.harmony import harmonised
from symbolic.notation.score import Annotation, ChordSymbol, Direction, Note, TempoChange
from symbolic.notation.theory import TICKS_PER_QUARTER

HARD = (
    "M:6/8\nL:1/8\nK:Dmix\n"
    'A|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d5/2e/2d2||[K:G][M:2/4]^c=c_cc|g4-|g4|[M:none](3:2:2d2eTHLf8|]\n'
)
TWO_VOICES = "M:4/4\nL:1/8\nK:Bb\nV:1 clef=treble\nV:2 clef=bass\nV:1\n|:B4d4:|\nV:2\n|:B,,8:|\n"


def read_back(xml: str) -> Any:
    import music21

    return music21.converter.parse(xml, format="musicxml")


def sung(part: Any) -> list[tuple[int, Fraction]]:
    """(top MIDI pitch, ticks) of the notes and chords of a part, ties merged, graces and chord symbols left out."""
    import music21

    notes = [n for n in part.stripTies().flatten().notes if not isinstance(n, music21.harmony.ChordSymbol)]
    return [
        (max(pitch.midi for pitch in note.pitches), Fraction(note.quarterLength) * TICKS_PER_QUARTER)
        for note in notes
        if not note.duration.isGrace
    ]


@pytest.mark.parametrize("text", [HARD, TWO_VOICES])
def test_hard_tunes_keep_notes_and_lengths(text: str) -> None:
    score = abc_parser.parse(text)
    parts = read_back(to_musicxml(abc_parser.parse(text))).parts
    assert [sung(part) for part in parts] == [abc_parser.melody(score, voice) for voice in range(len(score.voices))]


def test_real_tunes_keep_notes_and_lengths(real_tunes: list[str]) -> None:
    for text in real_tunes[:: len(real_tunes) // 24]:
        assert sung(read_back(to_musicxml(abc_parser.parse(text))).parts[0]) == abc_parser.melody(
            abc_parser.parse(text)
        ), text


@pytest.mark.parametrize(
    "music",
    [
        "|:A4|B4:|",
        "A4|B4:|c4|d4:|",  # the second :| goes back to the first, as in ABC
        "|:A4|1B4:|2c4||d4|]",
        "A4::B4:|",
        "A4||:B4:|c4|]",
        "|:A4-|A4|[CE]4:|",
    ],
)
def test_repeats_play_the_same(music: str) -> None:
    text = f"M:2/4\nL:1/8\nK:C\n{music}\n"
    sounds = abc_parser.performance(abc_parser.parse(text))
    played = [
        (pitch.midi, Fraction(note.offset) * TICKS_PER_QUARTER, Fraction(note.quarterLength) * TICKS_PER_QUARTER)
        for note in read_back(to_musicxml(abc_parser.parse(text))).parts[0].expandRepeats().stripTies().flatten().notes
        for pitch in sorted(note.pitches)
    ]
    assert played == [(s.midi, s.onset_ticks, s.ticks) for s in sounds]


def test_signs_beside_the_notes() -> None:
    xml = to_musicxml(abc_parser.parse(HARD), title="A <hard> tune")
    for sign in (
        "<work-title>A &lt;hard&gt; tune<",
        "<fifths>1</fifths>",
        "<mode>mixolydian</mode>",
        "<beat-type>8</beat-type>",
        '<ending number="1" type="start"',
        '<repeat direction="backward"',
        "<grace",
        "<slur",
        "<root-step>A</root-step>",
        "<trill-mark",
        "<fermata",
        "<accent",
        "<bar-style>light-heavy</bar-style>",
        '<measure number="0" implicit="yes">',
    ):
        assert sign in xml
    assert "<sign>F</sign>" in to_musicxml(abc_parser.parse(TWO_VOICES))


CHORDS = "Am A/E Bb F#m7 G7sus4 Fm/Ab Ebmaj7 A(b5) A- B#dim7 A5 C7#9 Cm(maj7) Cm7b5 Gm"


def test_chord_symbols_are_read_back() -> None:
    """As they were spelled, and by their kinds alone where a file shows no text of its own."""
    text = "M:4/4\nL:1/8\nK:C\n" + "".join(f'"{name}"c4"C"e4|' for name in CHORDS.split()) + '"F"(3cde"G7"f6|]\n'
    xml = to_musicxml(abc_parser.parse(text))
    assert abc_parser.canonical(from_musicxml(xml.encode())) == text
    bare = abc_parser.canonical(from_musicxml(re.sub(r'(<kind) text="[^"]*"', r"\1", xml).encode()))
    assert re.findall('"([^"]*)"', bare)[:16:2] == ["Am", "A/E", "Bb", "F#m7", "Gsus4", "Fm/Ab", "Ebmaj7", "Ab5"]
    assert '"B#dim7"' in bare and '"C7#9"' in bare and '"Cm7b5"' in bare


def test_bundled_tunes_keep_their_chord_symbols(music21_corpus: Path, real_tunes: list[str]) -> None:
    raws = split_tunes((music21_corpus / "nottingham-dataset" / "reelsa-c.abc").read_text(encoding="latin-1"))
    texts = [abc_parser.canonical(abc_parser.parse(raw.text)) for raw in raws]
    texts += [harmonised(text) for text in real_tunes[:: len(real_tunes) // 6]]
    for text in texts:
        assert (
            symbols(from_musicxml(to_musicxml(abc_parser.parse(text)).encode()))
            == symbols(abc_parser.parse(text))
            != []
        )


def symbols(score: abc_parser.Score) -> list[tuple[int, str]]:
    """Each chord symbol of the first voice, with the notes before it."""
    events = score.voices[0].events
    return [
        (sum(isinstance(one, abc_parser.Note) for one in events[:place]), event.text)
        for place, event in enumerate(events)
        if isinstance(event, ChordSymbol)
    ]


def test_a_chord_symbol_inside_a_note_moves_to_its_beginning() -> None:
    import music21

    measure = music21.stream.Measure(number=1)
    measure.append(music21.meter.TimeSignature("4/4"))
    measure.append(music21.note.Note("C5", quarterLength=4))
    measure.insert(2, music21.harmony.ChordSymbol("G7"))
    data = music21.musicxml.m21ToXml.GeneralObjectExporter(music21.stream.Part([measure])).parse()
    assert abc_parser.canonical(from_musicxml(data)).splitlines()[-1] == '"G7"c8|'


def test_title_composer_and_tempo_survive() -> None:
    text = "M:6/8\nL:1/8\nK:G\nGAB cde|d6|]\n"
    read = from_musicxml(to_musicxml(abc_parser.parse("Q:1/4=150\n" + text), title="A & B", composer="Bach").encode())
    assert (read.fields["T"], read.fields["C"], midi.stated_qpm(read)) == (["A & B"], ["Bach"], 150.0)
    bare = from_musicxml(to_musicxml(abc_parser.parse(text)).encode())
    assert "C" not in bare.fields
    assert midi.stated_qpm(bare) is None


def test_the_same_text_gives_the_same_bytes() -> None:
    assert to_musicxml(abc_parser.parse(TWO_VOICES)) == to_musicxml(abc_parser.parse(TWO_VOICES))
    assert "encoding-date" not in to_musicxml(abc_parser.parse(TWO_VOICES))


def test_names_programs_and_drums_of_voices_are_kept() -> None:
    score = abc_parser.parse("M:4/4\nL:1/4\nK:C\nV:1\nCDEF|]\nV:2\nC,D,C,D,|]\n")
    violin, drums = score.voices
    violin.title, violin.program, drums.title, drums.drums = "Violine 1", 40, "Schlagzeug", True
    first, second = from_musicxml(to_musicxml(score).encode()).voices
    assert (first.title, first.program, first.drums) == ("Violine 1", 40, False)
    assert (second.title, second.drums) == ("Schlagzeug", True)


SONG = """X:1
T:Song
T:Another name
C:A composer
R:air
Q:1/4=120
M:4/4
L:1/4
K:G
V:1 name="Voice"
V:2 clef=perc
%%MIDI channel 10
V:1
"^dolce"!p!GA!crescendo(!Bc|d-d!crescendo)!c2!fine!|[Q:1/4=90]B.A!breath!GF|G4!D.C.!|]
w:A-ma-zing grace how_ sweet the sound
w:2.~ver-se two
V:2
B,,B,,DD|^F2F2|B,,4|B,,4|]
"""


def test_what_is_written_beside_the_notes_comes_back() -> None:
    score = abc_parser.parse(SONG)
    losses: Counter[str] = Counter()
    back = from_musicxml(to_musicxml(score, losses=losses).encode())
    assert not losses and not back.losses
    assert abc_parser.performance(back) == abc_parser.performance(score)
    assert {letter: back.fields[letter] for letter in "TCRQ"} == {letter: score.fields[letter] for letter in "TCRQ"}
    notes, own = ([e for e in s.voices[0].events if isinstance(e, Note)] for s in (score, back))
    assert [(*note.syllables, "", "")[:2] for note in own] == [(*note.syllables, "", "")[:2] for note in notes]
    assert [note.marks for note in own if "breath" in note.marks or "." in note.marks] == [".", "!breath!"]
    kinds = (Annotation, TempoChange, Direction)
    written = [e for e in back.voices[0].events if isinstance(e, kinds)]
    assert [str(vars_of(e)) for e in written] == [
        "^dolce", "p", "crescendo(", "crescendo)", "fine", "1/4=90", "D.C.alfine",
    ]  # fmt: skip


def vars_of(event: Annotation | TempoChange | Direction) -> str:
    return event.name if isinstance(event, Direction) else event.text


def test_drums_are_unpitched_and_keep_their_sounds() -> None:
    text = to_musicxml(abc_parser.parse(SONG))
    assert text.count("<unpitched>") == 8 and "<midi-unpitched>48" in text
    drums = from_musicxml(text.encode()).voices[1]
    assert drums.drums and drums.clef == "perc"
    assert [p.midi for e in drums.events if isinstance(e, Note) for p in e.pitches] == [47, 47, 62, 62, 66, 66, 47, 47]


def test_what_has_no_place_is_counted() -> None:
    losses: Counter[str] = Counter()
    score = abc_parser.parse("X:1\nP:AB\nM:4/4\nL:1/4\nK:C\nP:A\n!wahwah!CDEF|\nP:B\nGABc|]\n")
    to_musicxml(score, losses=losses)
    assert dict(losses) == {
        "decoration that MusicXML has no sign for": 1,
        "play order of parts (P:), written out as it is played": 1,
    }


@pytest.mark.parametrize(
    "body",
    [
        "(11:8:11CDEFGABcdef C8|(13:8:13CDEFGABcdefga C8|",
        "(11:8:11C>DE2F>GAB>cdef C8|",
        "(17:16:17CDEFGABcdefgabCDE|",
        "[C-E]8 [CE]8|",
    ],
)
def test_odd_tuplets_and_single_ties_come_back(body: str) -> None:
    score = abc_parser.parse("X:1\nM:4/4\nL:1/16\nK:C\n" + body)
    again = from_musicxml(to_musicxml(score).encode())
    assert abc_parser.performance(again) == abc_parser.performance(score)
    assert not again.losses


def test_a_tuplet_of_eleven_has_its_exact_length() -> None:
    text = to_musicxml(abc_parser.parse("X:1\nM:4/4\nL:1/16\nK:C\n(11:8:11CDEFGABcdef C8|"))
    divisions = int(re.findall("<divisions>(.*?)<", text)[0])
    assert divisions % 11 == 0
    assert set(re.findall("<duration>(.*?)<", text)) == {str(divisions * 2 // 11), str(divisions * 2)}


def test_beams_are_the_writers_own() -> None:
    text = to_musicxml(abc_parser.parse("X:1\nM:4/4\nL:1/8\nK:C\nABcd ef ga|"))
    assert " ".join(re.findall("<beam.*?>(.*?)<", text)) == "begin continue continue end begin end begin end"


def test_parts_are_written_in_the_order_of_playing() -> None:
    score = abc_parser.parse("X:1\nP:ABA\nM:4/4\nL:1/4\nK:C\nP:A\nCDEF|GABc:|\nP:B\n[K:G][M:3/4]GAB|\n")
    again = from_musicxml(to_musicxml(score).encode())
    assert abc_parser.performance(again) == abc_parser.performance(score)


MUSESCORE = shutil.which("mscore3") or shutil.which("musescore3") or shutil.which("mscore")
FORMS = (
    "!segno!CDEF|GABc!tocoda!|cBAG!D.S.alcoda!|!coda!FEDC|]",
    "D|:GAB2|1c4:|2d4||efg2|1a4:|2g4|]",
    "CDEF|GAB!fine!c|cBAG!D.C.alfine!|]",
    "|::CDEF::|GABc|]",
    "(11:8:11C/4D/4E/4F/4G/4A/4B/4c/4d/4e/4f/4 C2|(3CDE (5:4:5C/2D/2E/2F/2G/2|]",
    "CDEFG|AB|cdef|]",
    "[M:none]CDEFGABc|c8|]",
    "[C-E]4|[CE]4|^F4-|F4|]",
)


@pytest.mark.slow
@pytest.mark.skipif(MUSESCORE is None, reason="MuseScore 3 is not installed")
def test_musescore_plays_the_same_notes(tmp_path: Path, real_tunes: list[str]) -> None:
    """Each export opened by a second notation program, as score and as MIDI. Graces and ornaments are left to it."""
    plain = [tune for tune in real_tunes if not re.search(r"\{|[T~MP](?!:)|!", tune.split("K:", 1)[1])]
    texts = [f"X:1\nM:4/4\nL:1/4\nK:C\n{body}" for body in FORMS] + sorted(plain, key=hash_of)[:12]
    scores = [abc_parser.parse(text) for text in texts]
    jobs = []
    for number, score in enumerate(scores):
        (tmp_path / f"{number}.musicxml").write_text(to_musicxml(score), encoding="utf-8")
        jobs.append({"in": f"{tmp_path}/{number}.musicxml", "out": f"{tmp_path}/{number}.mid"})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [str(MUSESCORE), "-j", str(tmp_path / "jobs.json")]
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=280)
    for number, score in enumerate(scores):
        song = read_song((tmp_path / f"{number}.mid").read_bytes())
        notes = [note for part in song.parts for note in part.notes]
        heard = sorted((note.pitch, note.onset / song.ticks_per_quarter) for note in notes)
        ours = sorted((s.midi, s.onset_ticks / TICKS_PER_QUARTER) for s in abc_parser.performance(score))
        assert [pitch for pitch, _ in heard] == [pitch for pitch, _ in ours], number
        assert [onset for _, onset in heard] == pytest.approx([onset for _, onset in ours], abs=0.01), number


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_lengths_that_no_note_value_has_come_back() -> None:
    score = abc_parser.parse("X:1\nM:4/4\nL:1/4\nK:C\nC317/2520 D1/5040 E631/1260 z101/315 F2|\n")
    again = from_musicxml(to_musicxml(score).encode())
    assert abc_parser.performance(again) == abc_parser.performance(score)


def test_many_odd_tuplets_keep_durations_small() -> None:
    tuplets = "".join(f"({p}:{q}:{p}{'C' * p}" for p, q in ((11, 8), (13, 8), (17, 16), (19, 16)))
    score = abc_parser.parse(f"X:1\nM:none\nL:1/16\nK:C\n{tuplets}D16|\n")
    text = to_musicxml(score)
    assert max(map(int, re.findall("<duration>(.*?)<", text))) < 2**31
    assert abc_parser.performance(from_musicxml(text.encode())) == abc_parser.performance(score)


@pytest.mark.parametrize("words", ["La_ * la", "La__ la_", "hap-_ py * the", "* La_ * *", "a_ b_ * c"])
def test_a_held_syllable_ends_where_a_note_without_one_follows(words: str) -> None:
    score = abc_parser.parse(f"X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\nw: {words}\n")
    again = from_musicxml(to_musicxml(score).encode())
    texts = [
        [note.syllables[0] if note.syllables else "" for note in one.voices[0].events if isinstance(note, Note)]
        for one in (score, again)
    ]
    assert [text for text in texts[1] if text] == [text for text in texts[0] if text] and texts[0][:3] == texts[1][:3]
