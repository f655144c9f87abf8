"""The verb, on real tunes."""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.errors import UsageError, UserError
from symbolic.evaluate import evaluate, evaluation, sets
from symbolic.evaluate.checkers import agreement
from symbolic.evaluate.checkers.abc2midi import Opinion
from symbolic.notation.abc_parser import pretty


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args(arguments))


def abc_file(path: Path, texts: list[str], more: str = "") -> Path:
    tunes = "".join(f"\n{pretty(t, number=i + 1, title=f'made {i + 1}')}" for i, t in enumerate(texts))
    path.write_text("% model x\n" + tunes + "\n" + more, encoding="utf-8")
    return path


def test_likelihood_adherence_and_opinions_are_options(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an untrained model: every column gets its likelihood, what was asked is read from the file."""
    torch.manual_seed(0)
    models.save(models.build(GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=64)), tmp_path / "model")
    tokens.build("grammar").save(tmp_path / "model")
    monkeypatch.setattr(agreement, "music21_opinions", lambda texts: [Opinion() for _ in texts])
    monkeypatch.setattr(evaluation, "MAX_SCORED", 3)
    tune = next(tune.text for tune in sets.read_human(data).test if tune.text.startswith("M:6/8"))
    tunes = abc_file(tmp_path / "made.abc", [tune], "")
    tunes.write_text("% prompt M:6/8 S:9\n" + tunes.read_text(encoding="utf-8"), encoding="utf-8")
    words = ["--model", str(tmp_path / "model"), "--device", "cpu", "--opinions", "1", "-o", str(tmp_path / "out")]
    assert run(str(tunes), "--against", str(data), *words) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["adherence"]["fields"]["metre"]["share"] == 1 and scores["adherence"]["fields"]["S"]["share"] == 0
    assert scores["opinions"]["programs"]["music21"]["share_read"] == 1.0
    held_out = scores["likelihood"]["human, held out"]
    assert held_out["n_tunes"] == 15 and scores["likelihood"]["shuffled"]["n_tunes"] == 3
    assert scores["measures"]["made"]["bits_per_byte"] == held_out["bits_per_byte"]["value"]
    assert (
        5 < scores["measures"]["made"]["model_bits_per_byte"] < 12
    )  # an untrained model; canonical text, not laid out
    shown = capsys.readouterr().out
    for title in ("Likelihood by part", "Asked and found", "Second opinions"):
        assert title in shown and title in (tmp_path / "out" / "scores.md").read_text(encoding="utf-8")


def test_half_a_surrogate_pair_does_no_harm(tmp_path: Path, data: Path) -> None:
    rows = [{"text": "X:1\nT:\ud800\nM:4/4\nL:1/8\nK:G\nGABc dedB|\ud800", "title": "\udfff"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run(str(tmp_path / "rows.jsonl"), "--against", str(data), "-o", str(tmp_path / "out"), "--html")
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_verb_writes_its_artefacts(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    texts = [tune.text for tune in sets.read_human(data).test[:5]]
    tunes = abc_file(tmp_path / "made.abc", texts, broken)
    assert run(str(tunes), "--against", str(data), "-o", str(tmp_path / "out"), "--html", "--json") == 0
    output = capsys.readouterr()
    assert "tunes that parse" in output.out and "83.3 %" in output.out
    printed = json.loads(output.out.splitlines()[-1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html", "scores.csv", "scores.json", "scores.md",
    ]  # fmt: skip
    scores: dict[str, Any] = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["measures"] == printed and scores["measures"]["made"]["n_tunes"] == 6
    assert [row["parses"] for row in scores["tunes"]] == [True] * 5 + [False]
    with open(tmp_path / "out" / "scores.csv", encoding="utf-8", newline="") as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    assert float(rows["tunes that parse"]["made"]) == pytest.approx(5 / 6)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<article") == 6 and "AB[[c??|@@" in page and "does not parse" in page


def test_only_folders_of_scores_are_written_to(tmp_path: Path, data: Path) -> None:
    tunes = abc_file(tmp_path / "made.abc", [tune.text for tune in sets.read_human(data).test[:2]])
    with pytest.raises(UsageError, match=r"holds other files \(made\.abc\): choose another"):
        run(str(tunes), "--against", str(data), "-o", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["made.abc"]
    for _ in range(2):
        assert run(str(tunes), "--against", str(data), "-o", str(tmp_path / "out")) == 0


def test_nothing_measured_is_a_failure(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    tunes = abc_file(tmp_path / "made.abc", [], broken)
    assert run(str(tunes), "--against", str(data), "-o", str(tmp_path / "out")) == 1
    assert "error: no tune of" in capsys.readouterr().err and (tmp_path / "out" / "scores.json").is_file()


def test_a_set_that_is_not_split(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [tune.text for tune in sets.read_human(data).test]
    tunes = abc_file(tmp_path / "made.abc", texts[:3])
    human = abc_file(tmp_path / "human.abc", texts[3:])
    assert run(str(tunes), "--against", str(human)) == 0
    assert "not split" in capsys.readouterr().out
    with pytest.raises(UserError, match="prepare"):
        run(str(tunes), "--against", str(human), "--model", "nothing")


def test_bad_input_has_a_message(tmp_path: Path, data: Path) -> None:
    tunes = abc_file(tmp_path / "made.abc", [tune.text for tune in sets.read_human(data).test[:2]])
    empty = tmp_path / "empty.abc"
    empty.write_text("nothing here\n", encoding="utf-8")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "X:1"}\n{"no": 1}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="-o FOLDER"):
        run(str(tunes), "--against", str(data), "--html")
    with pytest.raises(UserError, match="is a file"):
        run(str(tunes), "--against", str(data), "-o", str(tunes))
    with pytest.raises(UserError, match="holds no tunes"):
        run(str(empty), "--against", str(data))
    empty.write_bytes(b"X:1\nM:4/4\nK:C\nABcd|\0efga|\n")
    with pytest.raises(UserError, match=r"binary: .* is not a text file, having a NUL byte in line 4"):
        run(str(empty), "--against", str(data))
    with pytest.raises(UserError, match="row 2"):
        run(str(rows), "--against", str(data))
    with pytest.raises(UserError):
        run(str(tmp_path / "absent.abc"), "--against", str(data))
    with pytest.raises(UserError, match="Usual is a folder written by `prepare`"):
        run(str(tunes), "--against", str(tmp_path / "absent"))


def test_help_is_quick() -> None:
    code = (
        "import sys; from symbolic.evaluate import evaluate; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_prepared_folder_is_measured_by_its_test_tunes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(data), "--against", str(data)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("tunes ")]
    assert lines[0][1] == "15"
