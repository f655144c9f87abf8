"""Cuts and checks, and the verb on a folder with every kind of file that people have."""

import argparse
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_bridge.__main__ import VERBS
from audio_bridge.musicgen import dataset as dataset_verb
from audio_bridge.sound import fingerprints, segmentation
from symbolic.command_line import main

RATE = 32_000


def melody(seconds: float, seed: int, rests: float = 0.0) -> np.ndarray:
    """Random notes of 0.25 s with harmonics; every fifth second ends in a rest."""
    rng = np.random.default_rng(seed)
    notes = []
    for i in range(round(seconds * 4)):
        time = np.arange(RATE // 4) / RATE
        hz = 440 * 2 ** ((rng.integers(57, 81) - 69) / 12)
        wave = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6)) * np.minimum(1, (0.25 - time) * 20)
        quiet = rests and (i % 20) >= 20 - rests * 4
        notes.append(wave * (0.0 if quiet else 0.15 * rng.uniform(0.5, 1)))
    return np.concatenate(notes).astype(np.float32)


def test_cuts_fall_into_silences() -> None:
    sound = melody(60, 1, rests=0.5)  # silent from 4.5 to 5 s, 9.5 to 10 s, ...
    parts = segmentation.segments(sound, 8, 20)
    assert parts[0].start == 0 and parts[-1].end == sound.size
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert all(8 <= part.seconds <= 20 for part in parts)
    for part in parts[:-1]:
        assert part.ended_by == "silence" and 4.5 <= (part.end / RATE) % 5 <= 5.0


def test_without_silence_a_cut_comes_before_an_onset() -> None:
    sound = melody(40, 2)
    parts = segmentation.segments(sound, 8, 15)
    assert len(parts) >= 3 and all(8 <= part.seconds <= 15 for part in parts)
    for part in parts[:-1]:
        assert part.ended_by == "dip"
        assert min((part.end / RATE) % 0.25, 0.25 - (part.end / RATE) % 0.25) < 0.06


@pytest.mark.parametrize(
    ("sound", "rate", "reason"),
    [
        (melody(4, 1), RATE, "too short"),
        (np.zeros(15 * RATE, dtype=np.float32), RATE, "silent"),
        (melody(12, 1), 8000, "narrow band"),
        (np.clip(melody(12, 1) * 50, -1, 1), RATE, "clipped"),
        (melody(12, 1), RATE, ""),
    ],
)
def test_faults(sound: np.ndarray, rate: int, reason: str) -> None:
    found = segmentation.fault(sound, rate, 10)
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_fingerprints_know_a_recording_again() -> None:
    one, other = melody(20, 1), melody(20, 2)
    noise = np.random.default_rng(0).standard_normal(12 * RATE).astype(np.float32)
    part = one[3 * RATE + 100 : 15 * RATE + 100] * 0.3 + 0.002 * noise
    bits = [fingerprints.fingerprint(sound) for sound in (one, other, part)]
    assert fingerprints.agreement(bits[2], bits[0]) > fingerprints.SAME
    assert fingerprints.agreement(bits[2], bits[1]) < 0.75
    assert fingerprints.nearest(bits[2], bits[:2])[0] == 0
    assert fingerprints.nearest(fingerprints.fingerprint(np.zeros(10, dtype=np.float32)), bits)[1] == 0


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    (folder / "more").mkdir(parents=True)
    first = melody(26, 3, rests=0.5)
    soundfile.write(folder / "polka_da_serra 01.wav", first, RATE)
    soundfile.write(folder / "more" / "jig.flac", np.stack([melody(12, 4)] * 2, axis=1), RATE)
    soundfile.write(folder / "air.mp3", melody(12, 5), RATE)
    soundfile.write(folder / "twin.wav", first[RATE:] * 0.5, RATE)
    soundfile.write(folder / "telephone.wav", melody(12, 6)[::4], 8000)
    soundfile.write(folder / "short.wav", melody(5, 7), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(12 * RATE), RATE)
    (folder / "broken.mp3").write_bytes(bytes(range(256)) * 20)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("not audio", encoding="utf-8")
    return folder


def test_the_verb_keeps_the_good_and_names_the_rest(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = recordings.parent / "data"
    options = ["-o", str(out), "--text", "concertina", "--json"]
    assert main("audio_bridge", VERBS, ["dataset", str(recordings), *options]) == 0
    shown = capsys.readouterr().out
    counts = json.loads(shown.splitlines()[-1])
    assert (counts["files"], counts["kept"], counts["left_out"]) == (9, 3, 6)
    rows = {row["file"]: row for row in json.loads((out / "dataset.json").read_text(encoding="utf-8"))["files"]}
    reasons = {name: row["reason"].split(":")[0] for name, row in rows.items() if row["reason"]}
    assert reasons == {
        "broken.mp3": "cannot be decoded",
        "empty.wav": "cannot be decoded",
        "short.wav": "too short",
        "silent.wav": "silent",
        "telephone.wav": "narrow band",
        "twin.wav": "duplicate of polka_da_serra 01.wav",
    }
    assert all(name in shown for name in reasons)
    assert {rows[n]["split"] for n in rows if not rows[n]["reason"]} == {"train", "valid"}
    for row in rows.values():
        for segment in row["segments"]:
            audio = out / row["split"] / f"{segment['name']}.wav"
            info = soundfile.info(audio)
            assert (info.samplerate, info.channels) == (RATE, 1) and 10 <= info.duration <= 30
            text = audio.with_suffix(".txt").read_text(encoding="utf-8").strip()
            assert text == {"air": "concertina, air", "jig": "concertina, jig"}.get(
                audio.stem[:3], "concertina, polka da serra 01"
            )
    assert "<svg" in (out / "chroma.svg").read_text(encoding="utf-8")
    assert "twin.wav" in (out / "report.md").read_text(encoding="utf-8")


def test_labels_from_a_csv_and_wrong_input(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(*arguments: str) -> int:
        return main("audio_bridge", VERBS, ["dataset", *arguments])

    labels = recordings.parent / "labels.csv"
    labels.write_text("file,text\nnowhere.wav,x\n", encoding="utf-8")
    out = str(recordings.parent / "d")
    assert call(str(recordings), "-o", out, "--labels", str(labels)) == 1
    assert "nowhere.wav is not in" in capsys.readouterr().err
    assert call(str(recordings / "more"), "-o", out, "--shortest", "40") == 2
    assert call(str(recordings / "notes.txt"), "-o", out) == 1
    assert call(str(recordings), "-o", str(recordings)) == 2
    labels.write_text("file,text\njig.flac,a jig\n", encoding="utf-8")
    assert call(str(recordings / "more"), "-o", out, "--labels", str(labels)) == 0
    assert Path(out, "train", "jig-001.txt").read_text(encoding="utf-8") == "a jig\n"


def dataset(*arguments: object) -> int:
    return main("audio_bridge", VERBS, ["dataset", *map(str, arguments)])


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["files"]}


@pytest.fixture
def jig(tmp_path: Path) -> Path:
    """A folder with one recording."""
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "jig.wav", melody(12, 4), RATE)
    return tmp_path / "sounds"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("file,text\njig.wav\n", r"line 2: there are more or fewer columns"),
        ("text,file\na jig,jig.wav\nan air\n", r"line 3: there are more or fewer columns"),
        ("file,text\njig.wav,a jig, a fast one\n", r"line 2: .*Quote texts with commas"),
        ("text,file\na jig,\n", r"line 2: \(empty\) is not in"),
        ("file,text\n../jig.wav,a jig\n", r"line 2: \.\./jig.wav is not in .*relative to it"),
        ("name,words\njig.wav,a jig\n", r"must name the columns `file` and `text`"),
        ("file,text\n", r"needs a first line"),
    ],
)
def test_labels_that_cannot_be_used_are_named_by_line(
    jig: Path, labels: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(jig.parent / "jig.wav", melody(1, 4), RATE)  # there, but outside
    (jig.parent / "labels.csv").write_text(labels, encoding="utf-8")
    assert dataset(jig, "-o", jig.parent / "out", "--labels", jig.parent / "labels.csv") == 1
    error = capsys.readouterr().err
    assert "labels.csv" in error and re.search(said, error), error


def test_labels_of_a_spreadsheet_in_any_column_order(jig: Path) -> None:
    (jig.parent / "labels.csv").write_bytes("text;file\r\nGaita-de-foles, lenta;./jig.wav\r\n".encode("cp1252"))
    assert dataset(jig, "-o", jig.parent / "out", "--labels", jig.parent / "labels.csv") == 0
    assert rows_of(jig.parent / "out")["jig.wav"]["text"] == "Gaita-de-foles, lenta"


def test_of_duplicates_the_longest_is_kept_and_what_was_cut_off_is_remarked(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    whole = melody(24, 3)
    soundfile.write(folder / "a part.wav", whole[: 12 * RATE], RATE)
    soundfile.write(folder / "b whole.wav", whole, RATE)
    soundfile.write(folder / "c cut.mp3", melody(24, 9), RATE)
    data = (folder / "c cut.mp3").read_bytes()
    (folder / "c cut.mp3").write_bytes(data[: int(len(data) * 0.6)])
    assert dataset(folder, "-o", tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out")
    assert rows["a part.wav"]["reason"] == "duplicate of b whole.wav" and rows["b whole.wav"]["status"] == "kept"
    assert rows["c cut.mp3"]["status"] == "kept"
    assert re.fullmatch(r"cut off: holds 14\.\d s of the 24\.\d s it claims", rows["c cut.mp3"]["remarks"][0])


def test_a_hair_too_short_is_no_contradiction() -> None:
    sound = melody(10, 1)[: 10 * RATE - 10]
    assert segmentation.fault(sound, RATE, 10) == "too short: 9.999 s, at least 10 s"


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(
    jig: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio_bridge.sound.recordings.read", lambda path: pytest.fail("it was read"))
    assert dataset(jig, "-o", jig / "jig.wav" / "out") == 1
    assert "jig.wav is not a folder that you may write to" in capsys.readouterr().err


def test_names_in_any_script_are_plotted(jig: Path) -> None:
    (jig / "jig.wav").rename(jig / "哀愁の踊り.wav")
    assert dataset(jig, "-o", jig.parent / "out") == 0  # a warning would be an error here
    assert "哀愁の踊り" in (jig.parent / "out" / "chroma.svg").read_text(encoding="utf-8")


def test_the_seed_decides_the_split() -> None:
    sound, bits = np.zeros(1, np.float32), np.zeros(1, np.int8)
    kept = [dataset_verb._Kept(dataset_verb.RecordingRow(f"{i}.wav"), sound, bits) for i in range(40)]

    def held_out(seed: int) -> list[int]:
        dataset_verb._split(kept, argparse.Namespace(seed=seed, valid=0.2, test=0.1))
        return [i for i, one in enumerate(kept) if one.row.split != "train"]

    assert held_out(1) == held_out(1) != held_out(2) and len(held_out(3)) == 12


def test_clipping_is_judged_on_the_file_s_own_samples_and_the_better_twin_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    left = np.clip(melody(12, 3) * 50, -1, 1)
    wide = np.stack([left, -0.9 * left[::-1]], axis=1)
    soundfile.write(folder / "wide.wav", wide, RATE)
    good = melody(12, 5)
    soundfile.write(folder / "take 1999 good.wav", good, RATE)
    broken = good.copy()
    broken[: RATE // 10] = np.nan
    soundfile.write(folder / "broken.wav", broken, RATE, subtype="FLOAT")
    assert dataset(folder, "-o", tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out")
    assert rows["wide.wav"]["reason"].startswith("clipped")
    assert rows["take 1999 good.wav"]["status"] == "kept" and rows["take 1999 good.wav"]["text"] == "take 1999 good"
    assert rows["broken.wav"]["reason"] == "duplicate of take 1999 good.wav"
    assert any("no finite numbers" in remark for remark in rows["broken.wav"]["remarks"])
