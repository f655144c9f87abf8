"""The experiment on reading."""

from pathlib import Path

from benchmarks import result_file
from experiments import affect_reading
from symbolic.affect.labels import rating_sets
from tests.symbolic.affect.affect_files import write_emobank


def test_floors_and_readers_have_a_row_each(tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    ship = tmp_path / "ready"
    ship.mkdir()
    data = f"emobank:{write_emobank(tmp_path)}"
    assert affect_reading.main(["--data", data, "-o", str(out), "--ship", str(ship)]) == 0
    rows = result_file.read(out)["rows"]
    models = {row["model"] for row in rows}
    assert {"mean of train", "shuffled ratings", "ngrams", "norms", "encoder", "errors of both readers"} <= models
    assert (ship / "text-second.safetensors").exists() and "EmoBank" in (ship / "text-second.md").read_text()


def test_the_second_reader_learns(tmp_path: Path) -> None:
    _, rated = rating_sets.load(f"emobank:{write_emobank(tmp_path)}")
    model = affect_reading.train_second(rated.items)
    glad, bad = model.predict(["The house was lovely in the morning.", "The house was terrible in the morning."])
    assert glad[0] > bad[0] + 0.2
