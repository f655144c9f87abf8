"""Learning curves and times read from run directories; crossings; corpora to sample from."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_file
from experiments import inference, learning_curves, representations, seeds, training_time, vocabularies
from symbolic import config as configuration
from symbolic import files, runs
from symbolic.errors import UsageError, UserError
from symbolic.training import learning_curve

CONFIG = Path("configs/gpt2-debug.yaml")


def write_run(folder: Path, *, finished: bool = True) -> configuration.Config:
    config = configuration.load(CONFIG, [("name", "gpt2-debug-seed3"), ("seed", "3"), ("data.folder", str(folder))])
    files.write_whole(runs.config_file(folder), configuration.dump(config))
    record: dict[str, Any] = {"config_digest": "11", "machine": {"cpu": "x"}}
    if finished:
        record["summary"] = {"steps": 40, "seconds": 80.0}
    files.write_json(runs.run_file(folder), record)
    rows: list[dict[str, Any]] = []
    for step in range(1, 41):
        rows.append({"kind": "train", "step": step, "loss": 5.0 - step / 20})
        if step % 10 == 0:
            rows.append({"kind": "speed", "step": step, "seconds": 2.0 * step})
            rows.append({"kind": "validation", "step": step, "bits_per_byte": 3.0 - step / 40})
    files.write_jsonl(runs.metrics_file(folder), rows)
    return config


def test_a_curve_has_its_place_on_every_axis(tmp_path: Path) -> None:
    config = write_run(tmp_path)
    curve = learning_curves.read_curve(tmp_path)
    per_step = config.train.batch_size * config.train.accumulation * config.data.context
    assert curve["bits_per_byte"] == [2.75, 2.5, 2.25, 2.0]
    assert curve["steps"] == [10, 20, 30, 40] and curve["seconds"] == [20.0, 40.0, 60.0, 80.0]
    assert curve["tokens"] == [step * per_step for step in curve["steps"]]
    assert curve["flops"][1] == 2 * curve["flops"][0] > 0
    assert curve["model"] == "gpt2-debug" and curve["seed"] == 3 and curve["finished"]


def test_a_run_without_an_evaluation_says_so(tmp_path: Path) -> None:
    write_run(tmp_path)
    files.write_jsonl(runs.metrics_file(tmp_path), [{"kind": "train", "step": 1, "loss": 2.0}])
    with pytest.raises(UserError, match="no evaluation yet"):
        learning_curves.read_curve(tmp_path)


def test_learning_curves_end_in_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run")
    study = result_file.EXPERIMENTS / "learning_curves.json"
    before = study.read_bytes()
    assert learning_curves.main([str(tmp_path / "run")]) == 0 and study.read_bytes() == before
    assert "bits" in capsys.readouterr().out
    assert learning_curves.main([str(tmp_path / "run"), "-o", str(tmp_path / "out.json")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == files.read_json(tmp_path / "out.json")


def test_a_projection_is_the_rate_multiplied_out() -> None:
    assert training_time.hours(100_000 / 3600) == pytest.approx(1.0)
    assert training_time.hours(2.0, 7200) == pytest.approx(1.0)


def test_a_finished_run_is_measured_and_an_unfinished_one_not_run(tmp_path: Path) -> None:
    write_run(tmp_path / "done")
    write_run(tmp_path / "going", finished=False)
    out = tmp_path / "time.json"
    folders = [str(tmp_path / name) for name in ("done", "going")]
    assert training_time.main(["--models", "--runs", *folders, "-o", str(out)]) == 0
    done, going = files.read_json(out)["rows"]
    assert done["repeats"] == [0.5] and done["measured_hours"] == pytest.approx(80 / 3600)
    assert going["not_run"] == "the run is not finished"


def test_crossings_are_marked_where_they_are_measured() -> None:
    rows = []
    for family, seconds in (("gpt2", (1.0, 2.0, 8.0)), ("mamba", (2.0, 2.0, 2.0)), ("mamba2", (9.0, 9.0, 9.0))):
        for tokens, value in zip((128, 512, 2048), seconds, strict=True):
            keys = {"model": family, "family": family, "path": "torch", "quantity": "step", "line": "length"}
            rows.append({**keys, "tokens": tokens, "unit": "s/step", "repeats": [value]})
    found = {row["model"]: row for row in inference.crossings({"rows": rows}) if row["quantity"] == "step"}
    assert found["mamba"]["repeats"] == [pytest.approx(512)]
    assert found["mamba2"]["not_run"] == "slower at every measured length, 128 to 2,048"


def test_a_sample_of_the_corpus_is_the_same_for_a_seed(tmp_path: Path) -> None:
    for split, names in (("train", "abcdef"), ("valid", "gh"), ("test", "ij")):
        files.write_jsonl(tmp_path / "tunes" / f"{split}.jsonl", [{"text": name} for name in names])
    assert sorted(representations.sample(tmp_path, 0, 0)) == list("abcdefghij")
    first = representations.sample(tmp_path, 4, 7)
    assert first == representations.sample(tmp_path, 4, 7) and len(set(first)) == 4


def test_vocabularies_differ_in_tokenizer_name_and_seed_only() -> None:
    args = vocabularies.parser().parse_args([])
    one, two = (vocabularies.make_config(args, kind, 0) for kind in ("characters", "grammar"))
    assert set(configuration.differences(one, two)) == {"name", "tokenizer.kind"}


def test_the_interval_of_a_mean_is_students() -> None:
    spread = learning_curves.interval([1.0, 2.0, 3.0])
    assert spread.median == 2.0
    assert (spread.high - 2.0) == pytest.approx(4.303 / 3**0.5) == pytest.approx(2.0 - spread.low)
    assert learning_curves.interval([1.0, 2.0]) == result_file.Spread(1.5, 1.0, 2.0)
    assert learning_curves.interval([0.0, 1.0] * 50).high == pytest.approx(0.5 + 1.96 * 0.5025 / 10, abs=1e-3)


def test_seeds_of_paired_models_differ_in_nothing_else() -> None:
    args = seeds.parser().parse_args(["--steps", "40", "--data", "elsewhere"])
    planned = [seeds.make_config(args, name, seed) for name in seeds.FAMILIES for seed in args.seeds]
    assert len({config.name for config in planned}) == len(planned) == 12
    assert {config.train.steps for config in planned} == {40} and planned[0].data.folder == "elsewhere"
    assert learning_curve.seedless_name(planned[0].name, 0) == "gpt2-1m-40"
    seeds.check_equal(planned)
    with pytest.raises(UsageError, match=r"differ in .*train\.steps"):
        seeds.check_equal([planned[0], configuration.load(CONFIG)])


def test_a_difference_counts_where_its_pairs_over_seeds_leave_zero_out() -> None:
    """b is above a in every seed by the same, though their intervals overlap; c and b change places."""
    made = result_file.Recorder("seeds")
    for model, ends in {"a": (1.0, 1.1, 1.2), "b": (1.02, 1.12, 1.221), "c": (1.2, 1.05, 1.4)}.items():
        for seed, end in enumerate(ends):
            made.measured([2.0, end], "bits/byte", model=model, seed=seed, seconds=[1.0, 2.0])
    first, second, third = seeds.table(made.result()).splitlines()[1:]
    assert first.startswith("a ") and first.endswith("2") and not first.endswith("apart")
    assert second.endswith("0.020 (0.019–0.022)") and third.endswith("not told apart")
    assert learning_curves.paired_interval({0: 1.0}, {1: 2.0}) is None
    assert learning_curves.paired_interval({0: 1.0, 1: 3.0, 2: 9.0}, {1: 2.0, 2: 6.0, 0: 0.0}) is not None
