"""The script for a GPU machine: stages run from any folder, failures are told, logs and results are packed."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[2] / "benchmarks" / "cuda_suite.sh"


def run(folder: Path, *stages: str, python: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "OUT": str(folder / "out"),
        "RESULTS": str(folder / "results"),
        "PYTHON": python,
        "LIMIT": "20",
    }
    command = ["bash", SUITE.name, *stages]
    return subprocess.run(
        command, cwd=SUITE.parent, env=environment, capture_output=True, text=True, check=False, timeout=240
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
