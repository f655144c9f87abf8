"""Damaged files of every kind do no harm; right ones are read. The whole run is `python -m experiments.fuzz --all`."""

import random
from pathlib import Path

import pytest

from experiments import fuzz, fuzz_files
from symbolic.files import write_jsonl

N = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("fuzz-files")
    some = random.Random(0).sample([text for text in real_tunes if len(text) > 150], 12)
    write_jsonl(folder / "tunes" / "train.jsonl", [{"id": str(i), "text": text} for i, text in enumerate(some)])
    return folder


def test_every_kind_has_a_share() -> None:
    assert set(fuzz.SHARES) == {"abc", *fuzz_files.KINDS} and sum(fuzz.SHARES.values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzz_files.KINDS)
def test_no_damage_does_harm(kind: str, data: Path) -> None:
    found = fuzz_files.tried(kind, range(N), 1, data)
    assert found["faults"] == []
    counts = {name: count for _, name, count in found["outcomes"]}
    assert sum(counts.values()) == N and len(counts) > 1  # some are refused, some are read


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["musicxml", "yaml", "wav"])
def test_right_files_are_read(kind: str, data: Path, tmp_path: Path) -> None:
    one = fuzz_files.made(kind, data, tmp_path)
    outcomes = [one.read(text) for text in one.bases]
    assert outcomes.count("read") >= 0.8 * len(outcomes)


def test_damage_is_repeatable_varied_and_bounded() -> None:
    bases = [b"name: a\nsteps: 10\n" * 5, b"RIFF" + bytes(100)]
    texts = [fuzz_files.damaged(bases, f"yaml:0:{number}") for number in range(200)]
    assert texts[7] == fuzz_files.damaged(bases, "yaml:0:7") and len(set(texts)) > 180
    assert max(map(len, texts)) <= fuzz_files.MAX_FILE_BYTES
