"""Notes to written music and back: MIDI, MusicXML and interleaved ABC hold the notes of the score."""

import io

import mido
import pytest

from symbolic.formats import engraving, midi, midi_text
from symbolic.formats.midi_text import PieceNote
from symbolic.formats.musicxml_reading import from_musicxml
from symbolic.formats.musicxml_writing import to_musicxml
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved
from symbolic.notation.theory import Key

HARD = 'M:6/8\nL:1/8\nK:Dmix\nA|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d5/2e/2d2||[K:G][M:2/4]^c=c_cc|g4-|g4|]\n'
PARTS = (
    "M:4/4\nL:1/8\nK:Gm\nV:1 clef=treble\nV:2 clef=treble\nV:3 clef=bass\nV:4 clef=bass\n"
    "V:1\nd4f4|[K:D]f8|]\nV:2\nB4c4|[K:D]d8|]\nV:3\nG4A4|[K:D]A8|]\nV:4\nG,4F,4|[K:D](3D,2E,2F,2 D,4|]\n"
)


def sounds(text: str) -> list[tuple[int, int, int]]:
    return sorted((s.onset_ticks, s.midi, s.ticks) for s in abc_parser.performance(abc_parser.parse(text)))


@pytest.mark.parametrize("text", [HARD, PARTS])
def test_musicxml_reads_back(text: str) -> None:
    canonical = abc_parser.canonical(abc_parser.parse(text))
    read = from_musicxml(to_musicxml(abc_parser.parse(canonical)).encode())
    back = abc_parser.canonical(read)
    assert abc_parser.canonical(abc_parser.parse(back)) == back
    assert sounds(back) == sounds(canonical)
    assert [voice.clef for voice in read.voices] == [voice.clef for voice in abc_parser.parse(text).voices]


def test_midi_reads_back_with_pickup_key_and_bars(real_tunes: list[str]) -> None:
    for text in real_tunes[:: len(real_tunes) // 16]:
        score = abc_parser.parse(text)
        piece = midi_text.from_midi(midi.to_midi(score))
        back = engraving.score_of(piece)
        assert back.key.sharps == score.key.sharps
        written = abc_parser.canonical(back)
        assert abc_parser.canonical(abc_parser.parse(written)) == written
        expected = [(s.midi, s.ticks) for s in abc_parser.performance(score)]
        read = [(s.midi, s.ticks) for s in abc_parser.performance(back)]
        assert len(read) == len(expected)
        assert all(abs(a[1] - b[1]) <= midi_text.SCORE_TICKS and a[0] == b[0] for a, b in zip(read, expected))


def test_midi_reads_back_title_tempo_and_changes_of_key() -> None:
    text = "X:1\nT:Mï tune\nM:4/4\nQ:1/4=90\nL:1/8\nK:G\nABcd efga|[K:Dm]ABcd efga|[K:Ador]c2^cc =f4|]\n"
    data = midi.to_midi(abc_parser.parse(text))
    score = engraving.score_of(midi_text.from_midi(data))
    assert score.fields == {"T": ["Mï tune"], "Q": ["1/4=90"]}
    assert abc_parser.canonical(score).splitlines()[2:] == [
        "K:G",
        "ABcdefga|[K:Dm]ABcdefga|[K:G]c2^cc=f4|]",
    ]


def test_a_title_is_no_name_of_a_part() -> None:
    for names, title in ((("Piano", "Piano"), ""), (("", "Piano"), ""), (("Sonata\x01\n2", "Piano"), "Sonata 2")):
        file = mido.MidiFile(type=1)
        for name in names:
            file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else []))
        file.tracks[1] += [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=480)]
        buffer = io.BytesIO()
        file.save(file=buffer)
        assert midi_text.from_midi(buffer.getvalue()).title == title


def test_voices_that_sound_together_are_told_apart() -> None:
    notes = [PieceNote(0, p, 96) for p in (43, 55, 62, 70)] + [PieceNote(96, p, 48) for p in (45, 57, 60, 69)]
    score = engraving.score_of(midi_text.arranged([], [], {0: notes}))
    assert [[p.midi for e in v.events if isinstance(e, abc_parser.Note) for p in e.pitches] for v in score.voices] == [
        *([70, 69], [62, 60], [55, 57], [43, 45]),
    ]
    assert [voice.clef for voice in score.voices] == ["treble", "treble", "bass", "bass"]


@pytest.mark.parametrize(("pitches", "key"), [((60, 62, 64, 65, 67, 69, 71, 72), "C"), ((57, 60, 64, 68, 69), "Am")])
def test_estimated_key(pitches: tuple[int, ...], key: str) -> None:
    notes = [PieceNote(24 * i, pitch, 24 + 24 * (pitch % 12 in (0, 9))) for i, pitch in enumerate(pitches)]
    assert engraving.estimated_key(midi_text.arranged([], [], {0: notes})).text == key


@pytest.mark.parametrize(
    ("midi", "key", "name"), [(61, "D", ("C", 4, 1)), (61, "Ab", ("D", 4, -1)), (60, "C#", ("B", 3, 1))]
)
def test_spelling_follows_the_key(midi: int, key: str, name: tuple[str, int, int]) -> None:
    assert engraving.spelled(midi, Key(key)) == name


def test_interleaved_text_reads_back_and_transposes() -> None:
    canonical = abc_parser.canonical(abc_parser.parse(PARTS))
    together = interleaved(abc_parser.parse(PARTS))
    assert together.index("V:4\nG,") < together.index("[K:D]f8")
    assert abc_parser.canonical(abc_parser.parse(together)) == canonical
    moved = abc_parser.transpose(together, 3)
    assert abc_parser.canonical(abc_parser.parse(moved)) == abc_parser.transpose(canonical, 3)
