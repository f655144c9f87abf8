"""Two processes make the same steps as one, whole or sharded, and a run whose process is killed goes on."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from symbolic import config as configuration
from symbolic import runs
from symbolic.corpus import prepare
from symbolic.errors import UsageError
from symbolic.training import metrics_log, train
from symbolic.training.distributed import Group, join_group, start_name

ROOT = Path(__file__).parents[3]
CHANGES = {
    "device": "cpu",
    "dtype": "float32",
    "data.transpose_low": 0,
    "data.transpose_high": 0,
    "train.steps": 8,
    "train.batch_size": 2,
    "train.accumulation": 2,
    "train.warmup_steps": 2,
    "train.evaluate_every": 4,
    "train.checkpoint_every": 4,
    "train.evaluate_tunes": 6,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "ryan"
    prepare.prepare(["ryan"], folder, prepare.PrepareOptions(processes=1))
    return folder


def arguments(data: Path, **changes: Any) -> list[str]:
    given = {"data.folder": data, **CHANGES, **{name.replace("_in_", "."): value for name, value in changes.items()}}
    return [str(ROOT / "configs/gpt2-debug.yaml"), *(f"--{key}={value}" for key, value in given.items())]


def torchrun(data: Path, folder: Path, *more: str, **changes: Any) -> "subprocess.Popen[str]":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command = [
        *launcher,
        *more,
        "-m",
        "symbolic",
        "train",
        *arguments(data, **changes),
        f"--folder={folder}",
        "--resume",
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )


def finished(run: "subprocess.Popen[str]") -> tuple[str, str]:
    """Output and messages of a launcher that ended, or was ended with its workers."""
    try:
        return run.communicate(timeout=280)
    except subprocess.TimeoutExpired:
        run.terminate()
        run.communicate(timeout=60)
        raise


def workers(launcher: int) -> list[int]:
    """Processes that a launcher started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            head, _, rest = path.read_text().rpartition(")")
            found += [int(head.split()[0])] if int(rest.split()[1]) == launcher else []
    return found


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in metrics_log.read(runs.metrics_file(folder)) if row["kind"] == "train"]


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    overrides = [(one[2:].split("=")[0], one.split("=")[1]) for one in arguments(data)[1:]]
    train.train(configuration.load(ROOT / "configs/gpt2-debug.yaml", overrides), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["replicated", "full"])
def test_two_processes_make_the_steps_of_one(sharding: str, data: Path, alone: Path, tmp_path: Path) -> None:
    run = torchrun(data, tmp_path / "two", sharding=sharding)
    _, messages = finished(run)
    assert run.returncode == 0, messages
    assert losses(tmp_path / "two") == pytest.approx(losses(alone), rel=1e-5)
    from safetensors.torch import load_file

    one, two = (load_file(runs.checkpoint_folder(f, 8) / "model.safetensors") for f in (alone, tmp_path / "two"))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=2e-5) for name in one)


@pytest.mark.slow
def test_a_killed_rank_restarts_from_the_last_checkpoint(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    brief = {"train_in_steps": 120, "train_in_checkpoint_every": 20, "train_in_evaluate_every": 120}
    run = torchrun(data, folder, "--max-restarts", "1", **brief)
    deadline = time.monotonic() + 200
    while not runs.checkpoints(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(workers(run.pid)[-1], signal.SIGKILL)
    _, messages = finished(run)
    assert run.returncode == 0, messages
    assert len(losses(folder)) == 120
    begun = [int(step) for step in re.findall(r"step (\d+) of 120;", messages)]
    assert begun[0] == 0
    assert begun[-1] >= 20


def test_a_new_start_takes_nothing_from_an_earlier_one() -> None:
    server = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True)
    with ThreadPoolExecutor(3) as pool:

        def start(ranks: list[int]) -> set[str]:
            def asked(rank: int) -> str:
                return start_name(torch.distributed.TCPStore("127.0.0.1", server.port, is_master=False), rank, 3)

            return {future.result(60) for future in [pool.submit(asked, rank) for rank in ranks]}

        server.set("asking/1", "left by a dead process")
        first, second, third = start([0, 1, 2]), start([2, 1, 0]), start([1, 0, 2])
    assert [len(names) for names in (first, second, third)] == [1, 1, 1]
    assert len(first | second | third) == 3


def test_rows_are_dealt_out_evenly() -> None:
    groups = [Group(rank, 3) for rank in range(3)]
    rows = torch.arange(12)
    assert sorted(torch.cat([group.own(rows) for group in groups]).tolist()) == rows.tolist()
    assert [Group().parts(4, 2), Group(0, 2).parts(4, 2), Group(0, 4).parts(4, 2)] == [2, 1, 1]
    assert Group(0, 2).parts(3, 4) == 2  # 6 rows in parts of 3
    with pytest.raises(UsageError, match="multiple of 3"):
        Group(0, 3).parts(4, 2)


def test_alone_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_group(torch.device("cpu")) as group:
        assert group == Group()
        assert (group.leads, group.agreed(15), group.from_lead("x"), group.together([1])) == (True, 15, "x", [1])
        assert not torch.distributed.is_initialized()
