"""Damaged tunes do no harm; the whole run is `python -m experiments.fuzz -n 20000`."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_file
from experiments import fuzz, fuzz_outcomes
from symbolic.files import write_jsonl

N = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    some = random.Random(0).sample([text for text in real_tunes if len(text) > 150], 60)
    rows = [{"id": str(i), "title": f"Tune {i}", "text": text} for i, text in enumerate(some)]
    for split, own in (("train", rows[:30]), ("valid", rows[30:40]), ("test", rows[40:])):
        write_jsonl(folder / "tunes" / f"{split}.jsonl", own)
    return folder


def test_damage_is_repeatable_and_varied(real_tunes: list[str]) -> None:
    texts = [fuzz.damaged(real_tunes[:50], 0, number) for number in range(N)]
    assert texts[7] == fuzz.damaged(real_tunes[:50], 0, 7) and len(set(texts)) == N
    assert max(map(len, texts)) <= 400_000


def test_no_damage_does_harm(data: Path, real_tunes: list[str]) -> None:
    stages = {"prepare": fuzz.prepare, "evaluate": fuzz.evaluate, "mask": fuzz.mask_stage()}
    texts = [fuzz.damaged(real_tunes, 1, number) for number in range(N)]
    outcomes: dict[str, list[str]] = {}
    for name, through in stages.items():
        outcomes[name] = [fuzz_outcomes.guarded(lambda t=text, f=through: f(t), 20.0)[1] for text in texts]
    faults = [(name, number, one) for name, own in outcomes.items() for number, one in enumerate(own) if "FAULT" in one]
    assert faults == []
    assert {"kept", "measured"} <= {one for own in outcomes.values() for one in own}  # damage does not kill everything
    measured = fuzz.sets_stage([{"id": i, "title": "", "text": text} for i, text in enumerate(real_tunes[:30])])
    assert fuzz_outcomes.guarded(lambda: measured(texts), 120.0)[1] == "measured"


def test_kinds_take_turns_and_have_their_shares() -> None:
    found = list(fuzz.chunks(["abc", "wav"], 1000, 5, 250))
    assert found == [("abc", 5, 250), ("wav", 5, 250), ("abc", 255, 250), ("wav", 255, 150), ("abc", 505, 100)]
    assert list(fuzz.chunks(["abc", "wav"], 1000, 5, 250, {"abc": 500})) == [
        ("abc", 505, 100), ("wav", 5, 250), ("wav", 255, 150),
    ]  # fmt: skip
    whole = list(fuzz.chunks(list(fuzz.SHARES), 100_000, 0, 500))
    assert sum(n for _, _, n in whole) == 100_000 and {kind for kind, _, _ in whole} == set(fuzz.SHARES)


@pytest.mark.slow
def test_children_do_the_work(data: Path, tmp_path: Path) -> None:
    words = ["-n", "30", "--chunk", "20", "--data", str(data), "-o", str(tmp_path / "fuzz.json")]
    assert fuzz.main(words) == 0
    rows: list[dict[str, Any]] = result_file.read(tmp_path / "fuzz.json")["rows"]
    for stage in fuzz.STAGES:
        assert sum(row["repeats"][0] for row in rows if row.get("stage") == stage) == 30
    assert result_file.find({"rows": rows}, kind="abc", measure="inputs tried")["repeats"] == [30]  # type: ignore[index]
    peak = result_file.find({"rows": rows}, measure="peak memory of a child")
    assert peak is not None and 50 < peak["repeats"][0] < fuzz.MEMORY_BYTES / 2**20


def test_turns_add_up(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in two turns tries what one run does, and tells it of both."""
    asked: list[tuple[str, int, int]] = []
    clock = [0.0]

    def chunk(args: Any, kind: str, first: int, n: int) -> dict[str, Any]:
        asked.append((kind, first, n))
        clock[0] += 60.0
        found = {"outcomes": [["prepare", "kept", n]], "faults": [f"{kind} {first}"] if first == 20 else []}
        return {**found, "peak_mib": float(first), "slowest_seconds": 1.0}

    monkeypatch.setattr(fuzz, "_chunk", chunk)
    monkeypatch.setattr(fuzz.time, "monotonic", lambda: clock[0])
    words = ["--data", str(data), "--chunk", "20", "-n", "40"]
    assert fuzz.main([*words, "-o", str(tmp_path / "whole.json")]) == 1
    turn = [*words, "-o", str(tmp_path / "turns.json"), "--resume", "--minutes", "0.5"]
    assert [fuzz.main(turn) for _ in range(2)] == [0, 1]
    assert asked == [("abc", 0, 20), ("abc", 20, 20)] * 2
    whole, turns = (result_file.read(tmp_path / f"{name}.json") for name in ("whole", "turns"))
    assert turns["rows"] == whole["rows"] and turns["settings"] == whole["settings"]
    assert [len(one["earlier"]) for one in (whole, turns)] == [0, 1]


def test_a_child_that_dies_is_a_fault(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tunes").mkdir()
    words = ["-n", "5", "--data", str(tmp_path), "-o", str(tmp_path / "fuzz.json")]
    assert fuzz.main(words) == 1
    assert "fault: the child died after its start" in capsys.readouterr().err
    assert json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))["rows"][-1]["repeats"] == [1]
