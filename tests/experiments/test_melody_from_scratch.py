"""That conditioning is trained: a tiny MusicGen-melody from random weights follows melodies it has not seen."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import melody_from_scratch, results


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_random_model_learns_to_follow_held_out_tunes(real_tunes: list[str], tmp_path: Path) -> None:
    """Tunes of `test` are in no other split; about two minutes of one idle core."""
    folder = tmp_path / "folk" / "tunes"
    folder.mkdir(parents=True)
    for i, split in enumerate(("train", "valid", "test")):
        rows = [json.dumps({"id": f"{split}/{n}", "text": text}) for n, text in enumerate(real_tunes[i::3][:400])]
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    options = ["--data", folder.parent, "--folder", tmp_path / "run", "--tunes", 30, "--held-out", 6, "--steps", 900]
    assert melody_from_scratch.main([*map(str, options), "-o", str(tmp_path / "result.json")]) == 0
    result = results.read(tmp_path / "result.json")

    def mean(sound: str, against: str, **keys: object) -> float:
        row = results.find(result, sound=sound, against=against, **keys)
        assert row is not None
        return float(np.mean(row["repeats"]))

    followed = mean("own melody", "own", guidance=3.0)
    assert followed > 0.35  # chance is 1/12
    assert followed > mean("own melody", "another tune", guidance=3.0) + 0.15
    assert followed > mean("no melody", "own") + 0.15
    assert mean("codec alone", "own") > 0.8
