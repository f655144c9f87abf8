"""MIDI and MusicXML through `prepare`: notations, duplicates by content, broken files with a reason."""

import gzip
import io
import json
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

from symbolic import files
from symbolic.corpus import corpora, prepare
from symbolic.errors import UserError
from symbolic.formats import midi, midi_text
from symbolic.notation import abc_parser


def rows(folder: Path) -> list[dict[str, object]]:
    return [row for split in prepare.SPLITS for row in files.read_jsonl(folder / "tunes" / f"{split}.jsonl")]


@pytest.fixture
def folder(tmp_path: Path, real_tunes: list[str]) -> Path:
    """Ten tunes as MIDI in the layouts of Lakh and MAESTRO, one twice at another pitch, one cut short, one broken.

    The cut one is read as far as it goes, and is then nearly the same as the whole one.
    """
    scores = [abc_parser.parse(text) for text in real_tunes[100:110]]
    (tmp_path / "in" / "lmd" / "0").mkdir(parents=True)
    for number, score in enumerate(scores[:6]):
        (tmp_path / "in" / "lmd" / "0" / f"{number:032x}.mid").write_bytes(midi.to_midi(score))
    (tmp_path / "in" / "a.midi.gz").write_bytes(gzip.compress(midi.to_midi(scores[6])))
    with zipfile.ZipFile(tmp_path / "in" / "maestro.zip", "w") as archive:
        for number, score in enumerate(scores[7:]):
            archive.writestr(f"maestro/2004/{number}.midi", midi.to_midi(score))
        archive.writestr("maestro/broken.mid", b"MThd")
    again = abc_parser.parse(abc_parser.transpose(abc_parser.canonical(scores[0]), 2))
    (tmp_path / "in" / "z-again.mid").write_bytes(midi.to_midi(again))
    (tmp_path / "in" / "z-cut.mid").write_bytes(midi.to_midi(scores[1])[:-40])
    return tmp_path / "in"


def test_a_folder_of_midi(folder: Path, tmp_path: Path) -> None:
    summary = prepare.prepare([str(folder)], tmp_path / "out", prepare.PrepareOptions(processes=1))
    found = rows(tmp_path / "out")
    assert summary["options"]["notation"] == "midi"
    assert summary["rejected"] == {"not_midi": 1, "duplicate": 1, "near_duplicate": 1}
    assert len(found) == 10
    assert all(midi_text.canonical(midi_text.parse(str(row["text"]))) == row["text"] for row in found)
    assert all(midi_text.parse(str(row["text"])).n_notes == row["n_notes"] for row in found)


def test_midi_as_abc(folder: Path, tmp_path: Path) -> None:
    prepare.prepare(
        [str(folder)], tmp_path / "out", prepare.PrepareOptions(processes=1, notation="abc")
    )  # MIDI asked as ABC
    assert all(str(row["text"]).startswith("M:") for row in rows(tmp_path / "out"))


def test_abc_as_midi_and_chorales_interleaved(tmp_path: Path, music21_corpus: Path) -> None:
    scores = tmp_path / "scores"
    scores.mkdir()
    for name in ("bwv10.7.mxl", "bwv101.7.mxl", "bwv102.7.mxl"):
        (scores / name).write_bytes((music21_corpus / "bach" / name).read_bytes())
    prepare.prepare([str(scores)], tmp_path / "parts", prepare.PrepareOptions(processes=1, notation="interleaved"))
    texts = [str(row["text"]) for row in rows(tmp_path / "parts")]
    assert all(text.index("V:4\n", text.index("V:1\n")) < text.rindex("V:1\n") for text in texts)
    assert all(len(abc_parser.parse(text).voices) == 4 for text in texts)
    prepare.prepare([str(scores)], tmp_path / "midi", prepare.PrepareOptions(processes=1, notation="midi"))
    assert all(midi_text.is_piece(str(row["text"])) for row in rows(tmp_path / "midi"))


def test_abc_is_not_mixed_with_midi_beside_it(folder: Path, tmp_path: Path, real_tunes: list[str]) -> None:
    (folder / "tunes.abc").write_text("".join(f"X:{n}\n{text}\n" for n, text in enumerate(real_tunes[:5], start=1)))
    summary = prepare.prepare([str(folder)], tmp_path / "out", prepare.PrepareOptions(processes=1))
    assert (summary["read"], summary["kept"]) == (5, 5)


def test_a_hub_row_of_bytes(real_tunes: list[str]) -> None:
    data = midi.to_midi(abc_parser.parse(real_tunes[0]))
    found = list(corpora._read_row("hub", "train", 3, {"midi": {"bytes": data, "path": "a.mid"}, "composer": "?"}))
    assert [(one.kind, one.data) for one in found if isinstance(one, corpora.Found)] == [("midi", data)]


def test_a_folder_of_broken_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.mid").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="1 not_midi"):
        prepare.prepare([str(tmp_path / "x.mid")], tmp_path / "out", prepare.PrepareOptions(processes=1))


def midi_of(text: str) -> bytes:
    return midi.to_midi(abc_parser.parse(text))


def test_maestro_beside_its_tables(tmp_path: Path, real_tunes: list[str]) -> None:
    """MAESTRO: years as folders, .midi, a .csv and a .json of columns, a licence."""
    root = tmp_path / "maestro-v3.0.0"
    for number, year in enumerate((2004, 2004, 2018, 2018)):
        path = root / str(year) / f"MIDI-Unprocessed_{number}_R1.midi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi_of(real_tunes[300 + number]))
    (root / "maestro-v3.0.0.json").write_text(
        '{\n "canonical_composer": {"0": "Alban Berg"},\n "year": {"0": 2018}\n}\n'
    )
    (root / "maestro-v3.0.0.csv").write_text("canonical_composer,midi_filename\nAlban Berg,2018/a.midi\n")
    (root / "LICENSE.txt").write_text("Creative Commons BY-NC-SA 4.0\n")
    summary = prepare.prepare([str(root)], tmp_path / "out", prepare.PrepareOptions(processes=1))
    assert (summary["options"]["notation"], summary["read"], summary["kept"]) == ("midi", 4, 4)
    assert sorted(str(row["file"]) for row in rows(tmp_path / "out"))[0] == "2004/MIDI-Unprocessed_0_R1.midi"
    assert sum("holds no tune; skipped" in warning for warning in summary["warnings"]) == 2


def test_lakh_as_it_is_downloaded(tmp_path: Path, real_tunes: list[str]) -> None:
    """lmd_full.tar.gz: sixteen folders, names that are MD5 sums, and what a Mac leaves beside files."""
    with tarfile.open(tmp_path / "lmd_full.tar.gz", "w:gz") as archive:
        for number in range(4):
            for name, data in ((f"{number:032x}.mid", midi_of(real_tunes[300 + number])), ("._a.mid", b"\0\5\26\7")):
                member = tarfile.TarInfo(f"lmd_full/{number:x}/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    summary = prepare.prepare(
        [str(tmp_path / "lmd_full.tar.gz")], tmp_path / "out", prepare.PrepareOptions(processes=1)
    )
    assert (summary["options"]["notation"], summary["read"], summary["kept"]) == ("midi", 4, 4)


def test_irishman_as_midi_and_as_abc(tmp_path: Path, real_tunes: list[str]) -> None:
    """IrishMAN: MIDI in archives by split, and JSON rows of ABC with control codes."""
    with zipfile.ZipFile(tmp_path / "irishman-midi.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"irishman-midi/{'validation' if number else 'train'}/{number}.mid",
                             midi_of(real_tunes[300 + number]))  # fmt: skip
    summary = prepare.prepare(
        [str(tmp_path / "irishman-midi.zip")], tmp_path / "out", prepare.PrepareOptions(processes=1)
    )
    assert (summary["options"]["notation"], summary["kept"]) == ("midi", 3)
    texts = [f"X:{n}\n{real_tunes[300 + n]}" for n in range(3)]
    table = [{"abc notation": text, "control code": "S:2\nB:8\nE:5\nB:8\n"} for text in texts]
    (tmp_path / "train.json").write_text(json.dumps(table))
    summary = prepare.prepare([str(tmp_path / "train.json")], tmp_path / "abc", prepare.PrepareOptions(processes=1))
    assert (summary["options"].get("notation", "abc"), summary["kept"]) == ("abc", 3)


class Hub(types.ModuleType):
    """What `datasets` looks like from here: splits of rows that stream."""

    def __init__(self, splits: dict[str, list[dict[str, object]]]) -> None:
        super().__init__("datasets")
        self.splits = splits

    def load_dataset(self, name: str, streaming: bool) -> dict[str, list[dict[str, object]]]:
        assert streaming, "a corpus larger than memory must not be loaded"
        if name != "someone/midi":
            raise ValueError(f"{name} does not exist")
        return self.splits


def test_a_hub_dataset_of_midi(tmp_path: Path, real_tunes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    midi = [midi_of(real_tunes[300 + number]) for number in range(4)]
    train = [{"midi": {"bytes": data, "path": None}, "composer": "?"} for data in midi[:3]]
    splits = {"train": [*train, {"midi": {"bytes": b"no midi", "path": None}}], "test": [{"music": midi[3]}]}
    monkeypatch.setitem(sys.modules, "datasets", Hub(splits))
    options = prepare.PrepareOptions(processes=1, notation="midi")
    summary = prepare.prepare(["hf:someone/midi"], tmp_path / "out", options)
    assert (summary["read"], summary["kept"], summary["rejected"]) == (5, 4, {"no_column": 1})
    with pytest.raises(UserError, match="does not exist"):
        prepare.prepare(["hf:someone/else"], tmp_path / "else", options)
