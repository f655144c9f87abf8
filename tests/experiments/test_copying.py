"""The command on an untrained model: its rows add up to the whole text."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import result_file
from experiments import copying
from symbolic import models, tokens
from symbolic.config import GPT2Config
from symbolic.files import write_jsonl

TUNE = "M:4/4\nL:1/8\nK:C\nCDEFGABc|CDEFGABc|cBAGFEDC|CDEFGABc|]\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    models.save(models.build(GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=64)), folder)
    tokens.build("grammar").save(folder)
    return folder


def test_classes_add_up(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "valid", "test"):
        write_jsonl(tmp_path / "data" / "tunes" / f"{split}.jsonl", [{"text": TUNE}])
    target = tmp_path / "copying.json"
    assert copying.main([str(model), "--data", str(tmp_path / "data"), "-o", str(target)]) == 0
    rows: list[dict[str, Any]] = result_file.read(target)["rows"]
    assert [row["class"] for row in rows] == ["header", "first", "repeated"]
    assert sum(row["n_bytes"] for row in rows) == len(TUNE) and sum(row["share"] for row in rows) == pytest.approx(1)
    assert all(row["low"] <= row["repeats"][0] <= row["high"] for row in rows)
    assert "repeated" in capsys.readouterr().err


def test_two_models_are_compared_tune_by_tune(tmp_path: Path, model: Path) -> None:
    twin = tmp_path / "twin"
    torch.manual_seed(1)
    models.save(models.build(GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=64)), twin)
    tokens.build("grammar").save(twin)
    texts = [TUNE, TUNE.replace("CDEF", "GABc"), TUNE.replace("cBAG", "c2G2")]
    for split in ("train", "valid", "test"):
        write_jsonl(tmp_path / "data" / "tunes" / f"{split}.jsonl", [{"text": text} for text in texts])
    target = tmp_path / "copying.json"
    assert copying.main([str(model), str(twin), "--data", str(tmp_path / "data"), "-o", str(target)]) == 0
    result = result_file.read(target)
    differences = result_file.select(result, model=f"twin less {model.name}")
    assert [row["class"] for row in differences] == ["all", "header", "first", "repeated"]
    for row in differences[1:]:
        own = [result_file.find(result, model=name, **{"class": row["class"]}) for name in ("twin", model.name)]
        assert row["repeats"][0] == pytest.approx(own[0]["repeats"][0] - own[1]["repeats"][0])  # type: ignore[index]
        assert row["low"] - 1e-9 <= row["repeats"][0] <= row["high"] + 1e-9
