"""The verb and the function behind it, on real tunes."""

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.errors import UsageError, UserError
from symbolic.evaluate import comparison, evaluate, sets
from symbolic.evaluate.checkers import agreement
from symbolic.evaluate.checkers.abc2midi import Opinion
from symbolic.evaluate.comparison import TuneReference, evaluate_tunes
from symbolic.evaluate.report import tune_cards
from symbolic.evaluate.report.page import Badge
from symbolic.files import write_jsonl
from symbolic.notation.abc_parser import pretty, transpose

BROKEN = "% unparseable\nX:9\nT:bad\nM:4/4\nL:1/8\nK:G\nAB[[c??|@@\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> Path:
    """A folder as `prepare` writes it: 120 training and 30 test tunes."""
    folder = tmp_path_factory.mktemp("data")
    texts = random.Random(0).sample([text for text in real_tunes if len(text) > 150], 150)
    rows = [{"id": f"t{i}", "title": f"Tune {i}", "text": text} for i, text in enumerate(texts)]
    write_jsonl(folder / "tunes" / "train.jsonl", rows[:120])
    write_jsonl(folder / "tunes" / "test.jsonl", rows[120:])
    return folder


@pytest.fixture(scope="module")
def reference(data: Path) -> TuneReference:
    return comparison.load_reference(data)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args(arguments))


def abc_file(path: Path, texts: list[str], more: str = "") -> Path:
    tunes = "".join(f"\n{pretty(t, number=i + 1, title=f'made {i + 1}')}" for i, t in enumerate(texts))
    path.write_text("% model x\n" + tunes + "\n" + more, encoding="utf-8")
    return path


def test_a_transposed_copy_is_traced_to_its_source(reference: TuneReference) -> None:
    source = reference.human.train[17]
    result = evaluate_tunes([transpose(source.text, 3)], reference)
    (row,) = result["tunes"]
    assert (row["source_id"], row["source_title"]) == ("t17", "Tune 17") and row["share_covered"] == 1.0
    assert result["measures"]["share_with_copied_phrase"] == result["measures"]["share_mostly_copied"] == 1.0


def test_garbage_scores_nothing(reference: TuneReference) -> None:
    found = evaluate_tunes(["", "K:G\n\x00", BROKEN], reference)["measures"]
    assert found["n_tunes"] == 3
    assert found["share_that_parse"] == found["share_of_full_bars"] == found["share_of_right_tunes"] == 0.0
    assert "share_with_copied_phrase" not in found  # unknown, not zero: nothing could be judged
    with pytest.raises(UserError, match="no tunes"):
        evaluate_tunes([], reference)


def test_a_set_in_which_nothing_parses_is_as_far_from_music_as_can_be(reference: TuneReference) -> None:
    found = evaluate_tunes([BROKEN], reference)["measures"]
    assert found["divergence_interval"] == 1.0 and found["overlap_interval"] == found["precision"] == 0.0
    assert "key_fit" not in found


def test_measures_of_parts_have_intervals(reference: TuneReference) -> None:
    texts = [tune.text for tune in reference.human.test]
    measured = comparison.measure(texts, reference)
    whole, spread = comparison.summary(measured, reference), comparison.interval_of(measured, reference, draws=8)
    low, high = spread["key_fit"]
    assert low < whole["key_fit"] < high and "not_checked" not in spread
    assert comparison.interval_of(measured, reference, draws=8) == spread


def test_every_row_has_a_key_and_a_kind() -> None:
    keys = [one.key for one in comparison.MEASURES]
    assert len(set(keys)) == len(keys) and len({one.label for one in comparison.MEASURES}) == len(keys)
    assert {control for one in comparison.MEASURES for control in one.catches} == set(comparison.CONTROLS)


def test_likelihood_adherence_and_opinions_are_options(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an untrained model: every column gets its likelihood, what was asked is read from the file."""
    torch.manual_seed(0)
    models.save(models.build(GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=64)), tmp_path / "model")
    tokens.build("grammar").save(tmp_path / "model")
    monkeypatch.setattr(agreement, "music21_opinions", lambda texts: [Opinion() for _ in texts])
    monkeypatch.setattr(evaluate, "MOST_SCORED", 3)
    tune = next(tune.text for tune in sets.read_human(data).test if tune.text.startswith("M:6/8"))
    tunes = abc_file(tmp_path / "made.abc", [tune], "")
    tunes.write_text("% prompt M:6/8 S:9\n" + tunes.read_text(encoding="utf-8"), encoding="utf-8")
    words = ["--model", str(tmp_path / "model"), "--device", "cpu", "--opinions", "1", "-o", str(tmp_path / "out")]
    assert run(str(tunes), "--against", str(data), *words) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["adherence"]["fields"]["metre"]["share"] == 1 and scores["adherence"]["fields"]["S"]["share"] == 0
    assert scores["opinions"]["programs"]["music21"]["share_read"] == 1.0
    held_out = scores["likelihood"]["human, held out"]
    assert held_out["n_tunes"] == 30 and scores["likelihood"]["shuffled"]["n_tunes"] == 3
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


def test_repeats_are_counted(reference: TuneReference) -> None:
    text, other = (tune.text for tune in reference.human.test[:2])
    result = evaluate_tunes([text, other, transpose(text, 2), BROKEN, BROKEN], reference)
    assert [row["repeats"] for row in result["tunes"]] == [None, None, 0, None, None]
    assert result["measures"]["share_of_duplicates"] == pytest.approx(1 / 3)


def test_controls_are_told_from_human_tunes(reference: TuneReference) -> None:
    columns = comparison.comparison(reference)
    human = columns["human, held out"]
    assert set(columns) == {"human, held out", *comparison.CONTROLS}
    for name in ("5 % dropped", "shuffled", "Markov chain"):
        assert columns[name]["share_of_full_bars"] < human["share_of_full_bars"] - 0.4, name
        assert columns[name]["share_of_right_tunes"] < human["share_of_right_tunes"] - 0.5, name
    assert columns["training tunes"]["share_with_copied_phrase"] == 1.0 > human["share_with_copied_phrase"]
    assert comparison.comparison(reference) == columns


def test_the_verb_writes_its_artefacts(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [tune.text for tune in sets.read_human(data).test[:5]]
    tunes = abc_file(tmp_path / "made.abc", texts, BROKEN)
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


def test_nothing_measured_is_a_failure(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tunes = abc_file(tmp_path / "made.abc", [], BROKEN)
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


def test_cards_tell_what_was_found(reference: TuneReference) -> None:
    tunes = [reference.human.test[0], reference.human.train[3], sets.SetTune("x", "bad", BROKEN)]
    rows = evaluate_tunes([tune.text for tune in tunes], reference)["tunes"]
    found = tune_cards.tune_cards(tunes, rows, reference, model="m", family="gpt2", audio={1: (b"x", "mp3")})
    assert [card.audio for card in found] == [None, b"x", None]
    assert found[1].nearest is not None and found[1].nearest[0] == "Tune 3"
    assert found[1].notes["copying"].text == "100 % copied" and found[1].notes["copying"].good is False
    assert found[2].abc == BROKEN and found[2].notes["notation"].good is False


def test_a_card_does_not_judge_two_bars(reference: TuneReference) -> None:
    texts = ["M:4/4\nL:1/8\nK:C\n" + "c8|" * n_bars + "\n" for n_bars in (2, 3)]
    texts.append(texts[1].replace("c8|c8", "c8|c7", 1))
    rows = evaluate_tunes(texts, reference)["tunes"]
    found = tune_cards.tune_cards([sets.SetTune(text, "", text) for text in texts], rows, reference)
    assert [card.notes["metre"] for card in found] == [
        Badge("too few bars to judge"),
        Badge("3 of 3 bars fit", True),
        Badge("2 of 3 bars fit", False),
    ]


def test_curves_of_a_run(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[3] / "configs" / "gpt2-debug.yaml", tmp_path / "config.yaml")
    rows = [{"kind": "train", "step": i, "loss": 3.0 / i} for i in (1, 2, 3)]
    rows += [{"kind": "speed", "step": 3}, {"kind": "validation", "step": 3, "bits_per_byte": 2.5}]
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    loss, bits = tune_cards.run_curves(tmp_path, "mine")
    assert (loss.model, loss.family, list(loss.x), list(loss.y)) == ("mine", "gpt2", [1, 2, 3], [3.0, 1.5, 1.0])
    assert (list(bits.x), list(bits.y)) == ([3], [2.5])


def test_help_is_quick() -> None:
    code = (
        "import sys; from symbolic.evaluate import evaluate; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
