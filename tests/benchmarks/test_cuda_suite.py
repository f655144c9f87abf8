"""The script for a GPU machine: stages run from any folder, failures are told, logs, results and runs are packed; all
of it runs on a pretended device.
"""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

import symbolic
from tests import pretended_python

SUITE = Path(__file__).parents[2] / "benchmarks" / "cuda_suite.sh"


def run(folder: Path, *stages: str, python: str, seconds: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "OUT": str(folder / "out"),
        "RUNS": str(folder / "runs"),
        "RESULTS": str(folder / "results"),
        "PYTHON": python,
        **more,
    }
    command = ["bash", SUITE.name, *stages]
    return subprocess.run(
        command, cwd=SUITE.parent, env=environment, capture_output=True, text=True, check=False, timeout=seconds
    )


@pytest.mark.parametrize(("python", "status"), [("true", 0), ("false", 1)])
def test_a_stage_runs_from_its_own_folder_and_is_packed(tmp_path: Path, python: str, status: int) -> None:
    done = run(tmp_path, "decode", python=python)
    assert done.returncode == status, done.stderr
    assert ("failed: decode" in done.stderr) == (status == 1)
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as archive:
        assert any(name.endswith("decode.log") for name in archive.getnames())


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "everything", python="true")
    assert done.returncode == 2 and "no stage everything; stages: kernels" in done.stderr


def test_stages_share_the_time(tmp_path: Path) -> None:
    """Of two trainings the first gets half of the hour, the second what the first left; none begins without time."""
    done = run(tmp_path, "train-gpt2-6m", "train-60m", python="true", MINUTES="60")
    first, second = (int(seconds) for seconds in re.findall(r"== train-\S+, up to (\d+) s", done.stderr))
    assert 1500 <= first <= 1800 and 3000 <= second <= 3600
    done = run(tmp_path, "decode", python="true", MINUTES="0")
    assert done.returncode == 1 and "decode: no time left" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_everything_runs_on_a_pretended_device(tmp_path: Path, real_tunes: list[str]) -> None:
    """All stages but the tests for a real GPU, at their smallest: results of each, runs that are finished."""
    python = str(pretended_python.script(tmp_path))
    tunes = tmp_path / "tunes.abc"
    tunes.write_text("\n".join(f"X:{n}\n{text}" for n, text in enumerate(real_tunes[:300], 1)))
    symbolic.prepare([str(tunes)], tmp_path / "data")
    stages = [
        *("kernels", "data", "rates", "decode", "scaling"),
        *("train-gpt2-6m", "train-mamba-6m", "train-mamba2-6m", "train-60m"),
    ]
    done = run(tmp_path, *stages, python=python, seconds=1400, TRIAL="1", COMPILE="false", DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr + done.stdout
    for name in ("training_time", "training", "decoding", "scaling"):
        result = json.loads((tmp_path / "results" / f"{name}.json").read_text())
        measured = [row for row in result["rows"] if "repeats" in row]
        assert result["machine"]["gpu"] == "pretended H200" and measured
    for name in ("gpt2-debug", "mamba-debug", "mamba2-debug", "lstm-debug"):
        assert "summary" in json.loads((tmp_path / "runs" / name / "run.json").read_text())
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as archive:
        names = archive.getnames()
    assert any(name.endswith("mamba2-debug/best/model.safetensors") for name in names)
    assert any(name.endswith("results/decoding.json") for name in names)
    assert not any(name.endswith("training.safetensors") for name in names)
