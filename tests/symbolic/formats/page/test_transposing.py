"""The downloads of a page that is transposed: ABC, MusicXML and MIDI sound as much higher or lower, note for note."""

import base64
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from symbolic.formats.convert import to_abc
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.page.score_page import module_text
from symbolic.formats.smf import read_song
from symbolic.notation import abc_parser
from symbolic.notation.performance import performance
from symbolic.notation.score import ChordSymbol, KeyChange, Score
from symbolic.notation.theory import parse_key
from symbolic.notation.transposition import transposed_key

PLAIN = "X:1\nT:A\nM:4/4\nL:1/8\nK:{key}\n" + (
    '"G"G=A^Bc {{_d}}[_EG]2 =F-F|"^at B"c^f_g\'B, "Am7/E"f4 |:(3abc !trill!d4 z2:|\nw: A B C\n'
)
PARTS = (
    "X:2\nT:B\nM:4/4\nL:1/8\nV:1\nV:2 clef=perc\n%%MIDI channel 10\nK:Dmix\n"
    "V:1\nFAc=c [K:Ebm]GAB^c|G8|\nV:2\nC2E2 C2E2|C8|\n"
)
RUN = """
import { readFileSync } from "node:fs";
const [tune, steps] = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(steps.map((n) => [movedAbc(tune.abc, n), movedMusicXml(tune.musicxml, n),
  Buffer.from(movedMidi(Buffer.from(tune.mid, "base64"), n)).toString("base64")])));
"""


def moved(score: Score, steps: list[int], folder: Path) -> list[tuple[str, str, bytes]]:
    """ABC, MusicXML and MIDI of a score, moved by each number of semitones, by the page's script in Node."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    path = folder / "transposing.mjs"
    path.write_text(RUN.replace("\nconst", "\n" + module_text("transposing.js") + "\nconst", 1), encoding="utf-8")
    files = {"abc": to_abc(score), "musicxml": to_musicxml(score), "mid": base64.b64encode(to_midi(score)).decode()}
    done = subprocess.run(
        ["node", str(path)], input=json.dumps([files, steps]), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return [(abc, xml, base64.b64decode(mid)) for abc, xml, mid in json.loads(done.stdout)]


def sounds(score: Score, semitones: int = 0) -> Counter[tuple[int, int, int]]:
    """(onset, pitch, length) of all notes, drums where they are."""
    drums = {number for number, voice in enumerate(score.voices) if voice.drums}
    return Counter(
        (s.onset_ticks, s.midi + (0 if s.voice in drums else semitones), s.ticks) for s in performance(score)
    )


def keys(score: Score) -> list[str]:
    changes = [event.key for event in score.voices[0].events if isinstance(event, KeyChange)]
    return [key.text for key in (score.key, *changes)]


@pytest.mark.parametrize("text", [*(PLAIN.format(key=key) for key in ("C", "Ab", "F#m", "Ador", "F#phr")), PARTS])
def test_all_files_are_moved_alike(text: str, tmp_path: Path) -> None:
    score, steps = abc_parser.parse(text), [-24, -13, -6, -5, -1, 1, 2, 6, 7, 12]
    for semitones, (abc, xml, midi) in zip(steps, moved(score, steps, tmp_path)):
        found = abc_parser.parse(abc), from_musicxml(xml.encode())
        assert [sounds(one) for one in found] == 2 * [sounds(score, semitones)], (semitones, abc)
        assert keys(found[0]) == [transposed_key(parse_key(key), semitones).text for key in keys(score)]
        before, after = (read_song(data) for data in (to_midi(score), midi))
        for part, other in zip(before.parts, after.parts, strict=True):
            rise = 0 if part.is_drums else semitones
            assert [note.pitch + rise for note in part.notes] == [note.pitch for note in other.notes]
        assert len(after.keys) == len(before.keys) and abc.count('"^at B"') == text.count("at B")


def test_chord_symbols_are_moved(tmp_path: Path) -> None:
    [(abc, xml, _)] = moved(abc_parser.parse(PLAIN.format(key="C")), [2], tmp_path)
    for score in (abc_parser.parse(abc), from_musicxml(xml.encode())):
        symbols = [event.text for event in score.voices[0].events if isinstance(event, ChordSymbol)]
        assert symbols == ["A", "Bm7/F#"]
