"""The verb `prepare`: the folder it writes, its numbers on real tunes, and what it says about bad input."""

import argparse
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symbolic import config, files
from symbolic.command_line import main
from symbolic.corpus import corpora
from symbolic.corpus import prepare as verb
from symbolic.corpus.cleaning import Limits
from symbolic.corpus.prepare import PrepareOptions, prepare
from symbolic.errors import UsageError, UserError
from symbolic.notation.abc_parser import canonical, melody, parse, transpose

SPLITS = ("train", "valid", "test")


def run(*arguments: object) -> int:
    return main("symbolic", {"prepare": ("symbolic.corpus.prepare", "")}, ["prepare", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def irish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default corpus, prepared once."""
    folder = tmp_path_factory.mktemp("prepared") / "irish"
    prepare(["aird", "oneill", "ryan"], folder, PrepareOptions())
    return folder


@pytest.fixture
def tunes(tmp_path: Path) -> Path:
    """A folder of 40 short tunes without shared phrases, and some that cannot be used."""
    import numpy as np

    folder = tmp_path / "tunes"
    folder.mkdir()
    random = np.random.default_rng(0)
    bodies = ["|".join("".join(random.choice(list("CDEFGABcdefg"), size=8)) for _ in range(6)) for _ in range(40)]
    text = "\n".join(f"X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:C\n{body}|\n" for n, body in enumerate(bodies))
    (folder / "good.abc").write_text(text)
    (folder / "bad.abc").write_text("X:1\nT:No key\nM:4/4\nCDEF|\n\nX:2\nT:Short\nM:4/4\nK:C\nCDEF|\n")
    (folder / "noise.abc").write_bytes(bytes(range(256)))
    return folder


def test_rows_hold_canonical_text_and_provenance(irish: Path) -> None:
    for split in SPLITS:
        for row in rows(irish / "tunes" / f"{split}.jsonl")[::50]:
            score = parse(row["text"])
            assert canonical(score) == row["text"]
            assert row["bytes"] == len(row["text"].encode())
            assert row["n_notes"] == sum(len(melody(score, voice)) for voice in range(len(score.voices)))
            assert row["id"] == f"{row['source']}/{row['file']}:{row['line']}"
            assert set(row) == {"id", "source", "file", "line", "title", "rhythm", "text", "bytes", "n_notes", "family",
                                "fields"}  # fmt: skip
            assert row["title"] == row["fields"]["T"][0] and row["title"] not in row["text"]


def test_numbers_of_the_default_corpus(irish: Path) -> None:
    summary = json.loads((irish / "summary.json").read_text())
    assert summary["read"] == 4248
    assert summary["kept"] >= 3900  # 93.5 % when written; the parser may only get better
    assert summary["rejected"]["duplicate"] == pytest.approx(120, abs=15)
    assert summary["rejected"]["near_duplicate"] == pytest.approx(145, abs=40)
    assert summary["read"] == summary["kept"] + sum(summary["rejected"].values())
    assert sum(summary["rejected"].values()) == len(rows(irish / "rejects.jsonl"))
    leakage = summary["leakage"]
    assert leakage["random_split_with_duplicates"]["share_sharing"] > 0.25
    assert leakage["family_split"]["sharing"] == leakage["family_split_valid"]["sharing"] == 0
    assert summary["splits"]["test"]["tunes"] == pytest.approx(0.05 * summary["kept"], rel=0.05)


def test_families_and_ids_are_in_one_split_each(irish: Path) -> None:
    seen: dict[str, str] = {}
    ids: Counter[str] = Counter()
    for split in SPLITS:
        for row in rows(irish / "tunes" / f"{split}.jsonl"):
            assert seen.setdefault(row["family"], split) == split
            ids[row["id"]] += 1
    assert max(ids.values()) == 1


def test_terms_travel_with_the_tunes(irish: Path) -> None:
    records = json.loads((irish / "sources.json").read_text())
    assert [record["name"] for record in records] == ["aird", "oneill", "ryan"]
    terms = (irish / "TERMS.txt").read_text()
    assert all(record["terms"] in terms and record["sha256"] in terms for record in records)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_bytes_again_and_with_two_processes(tunes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "POOL_TUNES", 10)
    for name, processes in (("a", 1), ("b", 2), ("a", 2)):
        prepare([str(tunes)], tmp_path / name, PrepareOptions(processes=processes))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    names = ["TERMS.txt", "rejects.jsonl", "sources.json", "summary.json"]
    assert sorted(contents(tmp_path / "a")) == names + [f"tunes/{split}.jsonl" for split in sorted(SPLITS)]


def test_rejects_are_counted_and_placed(tunes: Path, tmp_path: Path) -> None:
    summary = prepare([str(tunes)], tmp_path / "out")
    found = {(row["file"], row["line"], row["reason"]) for row in rows(tmp_path / "out" / "rejects.jsonl")}
    assert found == {("bad.abc", 1, "no_key"), ("bad.abc", 6, "too_short"), ("noise.abc", None, "binary")}
    assert summary["by_source"]["tunes"]["read"] == 43
    assert summary["kept"] == 40


def test_a_transposed_copy_is_left_out(tunes: Path, tmp_path: Path) -> None:
    text = (tunes / "good.abc").read_text().split("\n\n")[3]
    copy = transpose(canonical(parse(text)), 3)
    (tunes / "later.abc").write_text("X:1\nT:Stolen\n" + copy)
    prepare([str(tunes)], tmp_path / "out")
    [row] = [row for row in rows(tmp_path / "out" / "rejects.jsonl") if row["reason"] == "duplicate"]
    assert (row["title"], row["of"]) == ("Stolen", "tunes/good.abc:22")


def test_no_path_of_this_machine_is_written(tunes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tunes / "good.abc", "in/good.abc")
    summary = prepare([str(tmp_path / "more.zip"), str(tunes / "good.abc"), str(tunes)], tmp_path / "out")
    assert list(summary["by_source"]) == ["more.zip", "good.abc", "tunes"]
    assert [(one["name"], one["title"], one["origin"]) for one in summary["sources"]] == [
        (name, name, name) for name in ("more.zip", "good.abc", "tunes")
    ]
    ids = [row["id"] for split in SPLITS for row in rows(tmp_path / "out" / "tunes" / f"{split}.jsonl")]
    assert len(ids) == 40 and "more.zip/in/good.abc:1" in ids
    assert {row["of"].split(":")[0] for row in rows(tmp_path / "out" / "rejects.jsonl")} == {"more.zip/in/good.abc", ""}
    assert not [name for name, data in contents(tmp_path / "out").items() if str(tmp_path).encode() in data]


def test_folders_of_one_name_stay_apart(tunes: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "tunes"
    other.mkdir(parents=True)
    (other / "good.abc").write_text("X:1\nM:4/4\nL:1/8\nK:C\n" + "CEGc BdAf|ecAF GEDB|" * 3 + "\n")
    summary = prepare([str(tunes), str(other)], tmp_path / "out")
    assert {name: one["read"] for name, one in summary["by_source"].items()} == {"tunes": 43, "tunes-2": 1}
    known = corpora.resolve("aird")
    mine = replace(known, origin="my/aird")
    assert [one.name for one in corpora.distinctly_named([known, mine])] == ["aird", "aird-2"]


def test_the_verb_prints_a_table_and_json(tunes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tunes, "-o", tmp_path / "out", "--json", "--seed", 3, "--test-fraction", "0.2") == 0
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["options"]["seed"] == 3 and summary["splits"]["test"]["tunes"] == 8
    assert "1 no_key" in out and "family split" in out
    assert "43 read, 40 readable" in err


def test_a_configuration_names_sources_and_folder(repository: Path) -> None:
    path = str(repository / "configs" / "gpt2-debug.yaml")
    assert verb._sources_and_folder([path], None) == (["aird", "oneill", "ryan"], config.load(path).data.folder)
    assert verb._sources_and_folder([path, "ryan"], "x") == (["ryan"], "x")
    with pytest.raises(UsageError, match="one configuration"):
        verb._sources_and_folder(["a.yaml", "b.yml"], None)
    with pytest.raises(UsageError, match="-o FOLDER"):
        verb._sources_and_folder(["aird"], None)


def test_a_configuration_without_sources_is_refused(repository: Path, tmp_path: Path) -> None:
    text = (repository / "configs" / "gpt2-debug.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("  sources: aird oneill ryan\n", ""))
    with pytest.raises(UsageError, match=r"names no data\.sources: add"):
        verb._sources_and_folder([str(path)], None)
    assert verb._sources_and_folder([str(path), "ryan"], "x") == (["ryan"], "x")
    scores = str(repository / "configs" / "mamba2-6m-scores.yaml")
    assert verb._sources_and_folder([scores], None)[0] == ["chorales", "haydn", "mozart"]


def test_a_folder_is_prepared_by_one_process(tunes: Path, tmp_path: Path) -> None:
    with files.locked(tmp_path / "out", "preparing"), pytest.raises(UserError, match="another process is preparing"):
        prepare([str(tunes)], tmp_path / "out")
    prepare([str(tunes)], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def empty(folder: Path) -> None:
    pass


def images(folder: Path) -> None:
    (folder / "cover.png").write_bytes(b"\x89PNG")


def binary(folder: Path) -> None:
    (folder / "tune.abc").write_bytes(b"\0\1\2" * 100)


def keyless(folder: Path) -> None:
    (folder / "tune.abc").write_text("\n\nX:1\nM:4/4\nCDEF|\n")


def columnless(folder: Path) -> None:
    (folder / "tunes.jsonl").write_text('{"abc": "X:1"}\n')


@pytest.mark.parametrize(("make", "words"), [
    (empty, ["It is empty"]),
    (images, ["only .png files"]),
    (binary, ["tune.abc is not a text file"]),
    (keyless, ["tune.abc", "line 3", "K:G"]),
    (columnless, ["tunes.jsonl:1", "'abc notation'", "its columns are abc"]),
])  # fmt: skip
def test_bad_input_is_told_and_nothing_written(
    tmp_path: Path, make: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    make(source)
    assert run(source, "-o", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert message.splitlines()[-1].startswith("error: ")
    assert all(word in message for word in words), message
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_opt_in_corpora_ask_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nottingham", "-o", tmp_path / "out") == 2
    assert "--opt-in nottingham" in capsys.readouterr().err
    assert run("nottingham", "-o", tmp_path / "out", "--opt-in", "nottingham") == 0
    assert "too few to split" in capsys.readouterr().err
    assert len(rows(tmp_path / "out" / "tunes" / "train.jsonl")) == 2


@pytest.mark.parametrize(
    "options",
    [
        PrepareOptions(valid_fraction=-0.1),
        PrepareOptions(test_fraction=1.0),
        PrepareOptions(valid_fraction=0.5, test_fraction=0.5),
        PrepareOptions(seed=-1),
        PrepareOptions(min_notes=-1),
        PrepareOptions(max_bytes=0),
        PrepareOptions(processes=0),
    ],
)
def test_impossible_options(tunes: Path, tmp_path: Path, options: PrepareOptions) -> None:
    with pytest.raises(UsageError, match=r"fraction|of at least"):
        prepare([str(tunes)], tmp_path / "out", options)


def test_folders_of_others_are_not_replaced(tunes: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="was not written by `prepare`"):
        prepare([str(tunes)], mine)
    with pytest.raises(UserError, match="would replace the source"):
        prepare([str(tunes)], tmp_path)
    with pytest.raises(UserError, match="is a file"):
        prepare([str(tunes)], mine / "thesis.tex")
    with pytest.raises(UserError, match="is not a writable folder"):
        prepare(["aird"], mine / "thesis.tex" / "out")
    assert (mine / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert prepare([str(tunes)], tmp_path / "empty")["kept"] == 40


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "symbolic", "prepare", "aird", "essen", "--opt-in", "essen", "--processes", "2"]
    out = ["-o", str(tmp_path / "out")]
    process = subprocess.Popen(command + out, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stderr is not None and b"aird: 1,180 read" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C in a terminal does: every process of the group
    err = process.communicate(timeout=240)[1].decode()
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert list(tmp_path.iterdir()) == []


def test_help_is_quick_and_true() -> None:
    code = (
        "import sys; from symbolic import __main__; from symbolic.corpus import prepare; print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert f"shorter tunes (default {Limits().min_notes})" in text
    assert f"longer canonical texts (default {Limits().max_bytes})" in text
    assert parser.parse_args(["aird"]).valid_fraction == PrepareOptions().valid_fraction


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parents[3]
