"""The study of training from nothing, very small: clips, a model in the library's format, training, measures, card."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import melody_from_scratch as study
from symbolic import files


@pytest.fixture(scope="module")
def data(real_tunes: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for start, split in ((0, "train"), (300, "valid"), (600, "test")):
        rows = [{"id": f"{split}-{i}", "text": text} for i, text in enumerate(real_tunes[start : start + 30])]
        files.write_jsonl(folder / "tunes" / f"{split}.jsonl", rows)
    return folder


def test_beginnings_are_slowed_and_end_in_time(data: Path) -> None:
    chosen = study._beginnings(data, "train", 3, seed=1)
    again = study._beginnings(data, "train", 3, seed=1)
    assert [name for name, _ in chosen] == [name for name, _ in again] and len({name for name, _ in chosen}) == 3
    for _, sounds in chosen:
        assert len(sounds) >= 8 and all(study._seconds(s.onset_ticks + s.ticks) <= study.SECONDS for s in sounds)
    with pytest.raises(study.UserError, match="lower --tunes"):
        study._beginnings(data, "train", 1000, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_study_runs_and_measures(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SECONDS", 4.0)
    monkeypatch.setattr(study, "REPEATS", 2)
    monkeypatch.setattr(study, "READY", tmp_path / "ready")
    arguments = ["--data", str(data), "--folder", str(tmp_path / "run"), "--tunes", "3", "--held-out", "2"]
    arguments += ["--hidden", "16", "--layers", "1", "--steps", "2", "--clip-seconds", "1.28", "--ship", "small"]
    assert study.main([*arguments, "-o", str(tmp_path / "m.json")]) == 0
    result = result_file.read(tmp_path / "m.json")
    means = {(row["sound"], row["against"]): sum(row["repeats"]) / 2 for row in result["rows"] if "guidance" not in row}
    assert means["rendered", "own"] > 0.7 > means["rendered", "another tune"] + 0.3
    assert means["codec alone", "own"] > means["codec alone", "another tune"] + 0.2
    heard = result_file.find(result, sound="own melody", against="own", guidance=3.0)
    assert heard is not None and len(heard["repeats"]) == 2
    card = (tmp_path / "ready" / "small" / "README.md").read_text(encoding="utf-8")
    assert "another tune's score" in card and (tmp_path / "ready" / "small" / "model.safetensors").is_file()
