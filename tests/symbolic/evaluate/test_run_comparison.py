"""Runs side by side: unequal conditions are named, every run writes, one in progress is shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import config as configuration
from symbolic import files, models, runs, tokens
from symbolic.errors import UsageError
from symbolic.evaluate import comparison, run_comparison
from symbolic.evaluate.report import palette

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def write_run(folder: Path, name: str, *changes: tuple[str, str], writes: bool = True, finished: bool = True) -> Path:
    """A run directory with an untrained model in it."""
    shape = [("model.n_layer", "1"), ("name", folder.name)]
    config = configuration.load(CONFIGS / f"{name}.yaml", [*shape, *changes])
    files.write_whole(runs.config_file(folder), configuration.dump(config))
    record: dict[str, Any] = {"machine": {"cpu": "x", "torch": "1"}, "terms": [{"name": "aird"}], "device": "cpu"}
    files.write_json(runs.run_file(folder), record | ({"summary": {"steps": 60}} if finished else {}))
    rows: list[dict[str, Any]] = []
    for step in (20, 40, 60) if finished else (20,):
        rows.append({"kind": "train", "step": step, "loss": 5.0 - step / 20})
        rows.append({"kind": "speed", "step": step, "seconds": 2.0 * step})
        rows.append({"kind": "validation", "step": step, "bits_per_byte": 4.0 - step / 40})
    files.write_jsonl(runs.metrics_file(folder), rows)
    if writes:
        torch.manual_seed(0)
        models.save(models.build(config.model), runs.best_folder(folder))
        tokens.build("grammar").save(runs.best_folder(folder))
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_comparison, "DRAWS", 2)


def test_equal_conditions_are_told_from_others(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a", "gpt2-debug"), write_run(tmp_path / "b", "mamba2-debug")
    found = run_comparison.compare([one, other], n_tunes=0)
    assert found.headline == "Equal conditions: the runs differ in their model only."
    assert found.conditions["model.family"] == ["gpt2", "mamba2"] and "name" not in found.conditions
    faster = write_run(tmp_path / "c", "mamba2-debug", ("train.learning_rate", "1e-3"), ("seed", "5"))
    files.write_json(runs.run_file(faster), {"machine": {"cpu": "y", "torch": "1"}, "terms": []})
    found = run_comparison.compare([one, other, faster], n_tunes=0)
    for key in ("train.learning_rate", "machine cpu", "collections"):
        assert key in found.headline and key in found.conditions
    assert found.conditions["train.learning_rate"][2] == 1e-3 and "seed" not in found.conditions
    assert "machine torch" not in found.conditions


def test_runs_stand_at_equal_tokens_seconds_and_flops(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", "gpt2-debug")
    going = write_run(tmp_path / "b", "gpt2-debug", writes=False, finished=False)
    found = run_comparison.compare([one, going], n_tunes=0)
    assert found.standing["steps made"] == ["60", "20 of 60, in progress"]
    assert found.standing["bits per byte, best"] == [2.5, 3.5]
    (row,) = [row for key, row in found.standing.items() if key.endswith("seconds") and "byte" in key]
    assert row == [3.5, 3.5]
    assert found.tables[-1].title == "Where the runs stand"


def test_every_run_writes_and_is_measured_beside_human_tunes(tmp_path: Path, data: Path) -> None:
    one = write_run(tmp_path / "a", "gpt2-debug", ("data.folder", str(data)))
    other = write_run(tmp_path / "b", "gpt2-debug", ("data.folder", str(data)), ("seed", "1"))
    mute = write_run(tmp_path / "c", "mamba2-debug", writes=False)
    found = run_comparison.compare([one, other, mute], n_tunes=4)
    assert list(found.columns) == ["a", "b", comparison.HELD_OUT] and list(found.written) == ["a", "b"]
    assert any(remark.startswith("c wrote no tunes: ") and "no checkpoint" in remark for remark in found.remarks)
    figure = found.columns["a"]["bits_per_byte"]
    assert figure["low"] < figure["value"] < figure["high"]
    human = found.columns[comparison.HELD_OUT]["share_of_full_bars"]
    assert human["low"] <= human["high"] and human["value"] > 0.9
    path = tmp_path / "page.html"
    run_comparison.write_page(found, path)
    html = path.read_text(encoding="utf-8")
    assert html.count('class="abreast"') == 4 and html.index('id="conditions"') < html.index('id="curves"')
    assert re.findall(r'<span class="model [^"]*">(.)</span>', html)[:4] == ["a", "b", "a", "b"]
    assert "c wrote no tunes" in html and "bits per byte of validation tunes" in html
    assert json.loads(json.dumps(run_comparison.as_json(found)))["measures"]["a"]["bits_per_byte"] == figure


def test_without_human_tunes_the_curves_are_left(tmp_path: Path) -> None:
    pair = [write_run(tmp_path / name, "gpt2-debug", ("data.folder", str(tmp_path / "none"))) for name in "ab"]
    found = run_comparison.compare(pair, n_tunes=4)
    assert not found.columns and "Name human tunes: --against." in found.remarks[0]
    assert found.headline == "The runs differ in nothing but their seed and name."
    lines = run_comparison.curves_of(found)
    assert {line.x_label for line in lines} == set(run_comparison.AXIS_LABELS.values())
    run_comparison.write_page(found, tmp_path / "page.html")


def test_a_model_without_a_run_has_no_curve(tmp_path: Path) -> None:
    found = run_comparison.compare(["gpt2-6m", write_run(tmp_path / "a", "gpt2-debug")], n_tunes=0)
    assert [one.curve is None for one in found.compared] == [True, False]
    assert found.standing["parameters"][0] and found.standing["steps made"][0] is None


def test_one_run_or_one_twice_is_refused(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", "gpt2-debug")
    with pytest.raises(UsageError, match="two runs or more"):
        run_comparison.compare([one])
    with pytest.raises(UsageError, match="named twice"):
        run_comparison.compare([one, one], n_tunes=0)


def test_runs_of_one_family_are_drawn_apart() -> None:
    assert palette.series(["gpt2", "mamba"]) == ["gpt2", "mamba"]
    names = palette.series(["gpt2", "gpt2", "mamba"])
    assert len({palette.ink(name).dash for name in names}) == 3
