"""The longest passage that a take shares with a training tune: the measure of `novelty`, found tune by tune."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.actions import models
from studio.library import copied_passage
from symbolic import files
from symbolic.evaluate.metrics import novelty

HEAD = "M:4/4\nL:1/8\nK:C\n"
TRAINING = [
    ("First", "one", HEAD + "CDEF GABc|cBAG FEDC|E2G2 c4|]\n"),
    ("Second", "two", HEAD + "ccee ggcc|BAGF EDCB,|C8|]\n"),
]


def test_a_passage_is_found_in_any_transposition() -> None:
    known = copied_passage.melodies_of(TRAINING)
    moved = [pitch + 5 for pitch in (72, 72, 76, 76, 79, 79, 72, 72, 71, 69)]
    assert known.longest([40, *moved, 99]) == copied_passage.SharedPassage(10, "Second", "two")
    assert known.longest([60, 71, 62, 50]) == copied_passage.SharedPassage()
    assert known.longest([]) == known.longest([60]) == copied_passage.SharedPassage()


def test_a_passage_never_goes_over_the_end_of_a_tune() -> None:
    known = copied_passage.melodies_of(TRAINING)
    last, first = [64, 67, 72], [72, 72, 76, 76, 79]
    assert known.longest([*last, *first]).notes == 5


def test_it_is_the_measure_of_novelty() -> None:
    draw = random.Random(3)
    tunes = [[60 + draw.choice((0, 2, 4, 5, 7)) for _ in range(60)] for _ in range(30)]
    made = [tunes[7][10:35] + tunes[9][:12], [draw.randrange(50, 80) for _ in range(40)], tunes[0], tunes[4][5:9] * 4]
    parts = [np.append(copied_passage.intervals_of(tune), np.int8(copied_passage.NO_INTERVAL)) for tune in tunes]
    names = [str(number) for number in range(len(tunes))]
    ends = np.cumsum([len(part) for part in parts])
    known = copied_passage.TrainingMelodies(np.concatenate(parts), ends, names, names)
    for found, copy in zip(
        [known.longest(one) for one in made], novelty.copies([[one] for one in made], [[t] for t in tunes])
    ):
        assert (found.notes, found.tune) == (copy.longest_notes, "" if copy.source is None else str(copy.source))


def test_files_keep_the_melodies(tmp_path: Path) -> None:
    known = copied_passage.melodies_of(TRAINING)
    copied_passage.save(known, tmp_path / "a" / "x.safetensors")
    read = copied_passage._load(tmp_path / "a" / "x.safetensors", 0)
    assert read.titles == ["First", "Second"] and read.collections == ["one", "two"]
    assert read.intervals.tolist() == known.intervals.tolist() and read.ends.tolist() == known.ends.tolist()


def test_what_a_model_learnt_from_is_read_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    (data / "tunes").mkdir(parents=True)
    rows = [{"title": title, "source": source, "text": text} for title, source, text in TRAINING]
    files.write_jsonl(data / "tunes" / "train.jsonl", rows)
    files.write_json(data / "sources.json", [{"name": "mine", "sha256": "ab"}])
    record = {"terms": [{"name": "mine", "sha256": "ab", "origin": "mine"}], "config": {"data": {"folder": str(data)}}}
    monkeypatch.setattr(copied_passage, "_record", lambda model: record if model == "x" else {})
    copied_passage.build(tmp_path / "cache", ["x", "y"])
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 1
    take = tmp_path / "take"
    take.mkdir()
    (take / "tune.abc").write_text("X:1\nT:t\n" + TRAINING[1][2])
    (take / "tune-2.abc").write_text("X:1\nT:t\nM:4/4\nL:1/8\nK:C\nC8|]\n")
    (take / "given.abc").write_text("X:1\nT:t\n" + TRAINING[0][2])
    found = copied_passage.of_take(take, tmp_path / "cache", "x")
    assert found == [
        {"file": "tune.abc", "notes": 17, "tune": "Second", "collection": "two"},
        {"file": "tune-2.abc", "notes": 0, "tune": "", "collection": ""},
    ]
    assert copied_passage.of_take(take, tmp_path / "cache", "y") is None
    record["terms"][0]["sha256"] = "another"  # the folder is not what the model learnt from
    copied_passage.build(tmp_path / "cache", ["x"])
    assert copied_passage.of_take(take, tmp_path / "cache", "x") is None


def test_every_take_says_what_it_shares(bench: Any) -> None:
    model = models.choose(models.catalogue(), None)
    path = copied_passage.index_path(bench.studio.settings.cache, model)
    assert path is not None
    copied_passage.save(copied_passage.melodies_of(TRAINING), path)
    abc = "X:1\nT:t\nM:4/4\nL:1/8\nK:D\nDEFG ABcd|dcBA GFED|F2A2 d4|]\n"
    job = bench.make("/tunes/import", {"abc": abc})
    record = bench.client.get(f"/api/v1/takes/{job['take']}").json()["record"]
    assert record["shared"] == [{"file": "tune.abc", "notes": 19, "tune": "First", "collection": "one"}]
    assert "19 notes in a row as in “First”" in bench.client.get(f"/takes/{job['take']}").text
