"""The machine card, devices and number types."""

import json
import subprocess
import sys

import pytest
import torch

from symbolic import machine
from symbolic.errors import UsageError


def test_the_card_is_json_and_names_what_matters() -> None:
    card = json.loads(json.dumps(machine.card()))
    assert {"cpu", "cores", "memory_gib", "gpu", "os", "python", "torch", "transformers", "commit"} == set(card)
    assert card["torch"] == torch.__version__
    assert card["cores"] >= 1 and card["cpu"]


def test_named_devices_and_types_are_taken() -> None:
    cpu = machine.pick_device("cpu")
    assert cpu == torch.device("cpu")
    assert machine.pick_dtype("float32", cpu) == torch.float32
    assert machine.pick_dtype("bfloat16", cpu) == torch.bfloat16


def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, dtype in (
        ("fpu avx512_bf16", torch.bfloat16),
        ("amx_bf16", torch.bfloat16),
        ("avx2", torch.float32),
    ):
        monkeypatch.setattr(machine, "_cpuinfo_line", lambda key, flags=flags: flags)
        assert machine.pick_dtype("auto", torch.device("cpu")) == dtype


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.pick_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.pick_device("auto").type == "cuda"


def test_an_absent_gpu_is_an_error_that_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"install a CUDA build|nvidia-smi"):
        machine.pick_device("cuda")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="not one of auto, cpu, cuda"):
        machine.pick_device("tpu")
    with pytest.raises(UsageError, match="not one of auto, bfloat16, float32"):
        machine.pick_dtype("float16", torch.device("cpu"))


def test_peaks_are_known_by_the_device_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert machine.peak_flops(torch.device("cuda"), torch.bfloat16) == 989e12
    assert machine.peak_flops(torch.device("cuda"), torch.float32) is None
    assert machine.peak_flops(torch.device("cpu"), torch.bfloat16) is None


def test_an_absent_package_has_no_version() -> None:
    assert machine.version("no-such-package-here") is None


def test_peak_memory_is_that_of_the_process_itself() -> None:
    """A child does not inherit the mark of a parent that was larger."""
    held = bytearray(200 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    own = machine.peak_mib()
    command = [sys.executable, "-c", "from symbolic import machine; print(machine.peak_mib())"]
    child = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert own > 200 and 5 < child < 150
