"""What a soak calls broken, left behind and growing; one short soak of the fast steps."""

import json
import random
import signal
import struct
from pathlib import Path

import pytest

from experiments import soak


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_every_kind_of_cut_file_is_found_and_whole_ones_are_not(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    whole = {
        "a.json": b"{}", "b.jsonl": b'{"a": 1}\n{"a": 2}\n', "c.abc": "X:1\nT:é\n".encode(),
        "d.safetensors": struct.pack("<Q", len(header)) + header + bytes(8),
        "e.wav": b"RIFF" + struct.pack("<I", 36) + bytes(36), "f.mid": b"MThd" + bytes(20) + b"\xff\x2f\x00",
    }  # fmt: skip
    for name, data in whole.items():
        write(tmp_path / "whole" / name, data)
    assert list(soak.broken(tmp_path)) == []
    for name, data in whole.items():
        write(tmp_path / "cut" / name, data[: -3 if name == "c.abc" else -1])
        write(tmp_path / ".hidden" / name, data[:-1])  # not published
    found = {line.split(":")[0] for line in soak.broken(tmp_path)}
    assert found == {f"cut/{name}" for name in whole if name not in ("b.jsonl", "c.abc")}
    write(tmp_path / "cut" / "b.jsonl", b'{"a": 1}\n{"a"')
    write(tmp_path / "cut" / "c.abc", b"T:\xc3")
    assert len(list(soak.broken(tmp_path))) == len(whole)
    assert next(soak.left_over(tmp_path)) == Path(".hidden")


def test_growth_is_judged_by_thirds() -> None:
    assert not soak.grows([100.0, 900.0, 100.0]) and not soak.grows([100, 110, 105, 100, 104, 109])
    assert soak.grows([100, 100, 120, 130, 160, 170]) and not soak.grows([100, 100, 120, 130, 120, 124])


@pytest.mark.slow
def test_prepare_survives_every_ordeal(tmp_path: Path) -> None:
    short = soak.Soak(tmp_path, random.Random(1))
    for number in range(4):
        short.step(soak.STEPS["prepare"], number)
    assert short.faults == [] and sum(short.counts.values()) == 4


@pytest.mark.slow
def test_the_studio_is_used_until_its_job_is_done(tmp_path: Path) -> None:
    short = soak.Soak(tmp_path, random.Random(1))
    status, tail, seconds, _ = short._make(soak.STEPS["serve"], 0, "none")
    assert (status, short.faults) == (-signal.SIGTERM, []) and seconds < soak.STEP_SECONDS / 4, tail
    assert any(path.name == "take.json" for path in tmp_path.rglob("*.json"))
