"""Benchmarks: the cost is told before measuring, classes of precision, tables, varied corpora. Nothing is timed."""

import argparse
import contextlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import decoding, preparing, result_file, scaling, speed_tables, training, weights
from benchmarks.peers import Absent, trainers
from symbolic import config as configuration
from symbolic.errors import UserError
from symbolic.notation import abc_parser


def speed_row(path: str, repeats: list[float], **extra: Any) -> result_file.Row:
    engine, precision = path.rsplit(", ", 1)
    keys = {"model": "gpt2-6m", "threads": 1, "batch": 1, "quantity": "speed", **extra}
    return {**keys, "path": path, "engine": engine, "precision": precision, "unit": "tokens/s", "repeats": repeats}


def decoding_result() -> dict[str, Any]:
    made = result_file.Recorder("decoding", settings={}).result()
    absent = speed_row("llama.cpp, bfloat16", [1.0])
    del absent["repeats"], absent["unit"]
    made["rows"] = [
        speed_row("ours, native step, float32", [1600.0, 1500.0]),
        speed_row("ours, native step, bfloat16", [3300.0, 3100.0]),
        speed_row("ours, native step, int8", [4000.0, 4400.0]),
        speed_row("transformers, dynamic cache, float32", [400.0, 300.0]),
        speed_row("CTranslate2, float32", [1000.0, 1000.0]),
        speed_row("CTranslate2, int8", [2000.0, 2000.0]),
        {**absent, "not_run": "the package llama_cpp is not installed"},
    ]
    return made


@pytest.mark.parametrize("module", [decoding, training, preparing])
def test_the_cost_is_an_estimate_of_the_work(module: Any) -> None:
    small = module.parser().parse_args(["--repeats", "1"])
    large = module.parser().parse_args(["--repeats", "10"])
    assert 0 < cost(module, small) < cost(module, large)
    assert result_file.cost_text(600.0).startswith("this takes about 10 min")


def cost(module: Any, args: argparse.Namespace) -> float:
    if module is decoding:
        return float(module.cost_seconds(args, module.PATHS))
    return float(module.cost_seconds(args, args.sizes) if module is preparing else module.cost_seconds(args))


def test_rounds_of_decoding_fit_their_minutes() -> None:
    args = decoding.parser().parse_args([])
    assert decoding.share_seconds(args) == pytest.approx(10 * 60 / 24)
    assert decoding.cost_seconds(args, decoding.PATHS) < 32 * 60
    longer = decoding.parser().parse_args(["--minutes", "60", "--repeats", "9"])
    assert decoding.cost_seconds(longer, decoding.PATHS) > 30 * 60


class Answering:
    """A worker that takes a tenth of a second a token, twice that when its threads spin, or ends when it is asked."""

    def __init__(self, policy: str, ends: bool) -> None:
        self.about: dict[str, Any] = {}
        self.rate, self.ends, self.is_open = 5 if policy == "active" else 10, ends, True

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> None:
        assert self.is_open

    def close(self) -> None:
        self.is_open = False

    def ask(self, method: str, prompts: list[list[int]], n: int) -> dict[str, Any]:
        assert self.is_open
        if self.ends:
            raise Absent("ended with status -11: no message")
        value = [[0] * n for _ in prompts]
        return {"value": value, "seconds": n / self.rate, "core_seconds": n / 20, "peak_mib": 1.0}


@pytest.mark.parametrize(("model", "tokens"), [("mamba-6m", decoding.LEAST_TOKENS), ("gpt2-6m", 512)])
def test_all_paths_make_as_many_tokens_as_the_slowest_and_the_cold_round_is_kept_apart(
    model: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, other = decoding.REFERENCE, decoding.PATHS[-1]
    monkeypatch.setattr(decoding, "_worker", lambda path, chosen, threads, policy: Answering(policy, path is other))
    recorder, args = result_file.Recorder("decoding"), decoding.parser().parse_args(["--repeats", "2"])
    chosen = weights.Weights(model, configuration.load(Path(f"configs/{model}.yaml")), Path("nowhere"), "random")
    keys = {"model": model, "threads": 2, "batch": 2}
    with contextlib.ExitStack() as stack:
        (seat,) = decoding._seats(recorder, chosen, [library, other], [[1], [1]], keys, 512, stack)
        fast = decoding.RunningEngine(decoding.PATHS[0], seat.worker, None, 512)
        seats = decoding._equal(iter([fast, seat]))
        decoding._rounds(recorder, seats, [[1], [1]], keys, args)
    absent, *rows = recorder.rows  # the other has a row that says why
    assert absent["not_run"].startswith("ended with status -11") and absent["path"] == other.name
    for row in rows:
        assert (row["tokens"], row["repeats"], row["core"]) == (tokens, [20.0, 20.0], [40.0, 40.0])
        assert row["cold"] == 20.0
    assert [row["wait_policy"] for row in rows] == [None, "passive"]


def test_the_floor_is_the_longer_of_reading_and_reckoning() -> None:
    assert decoding.floor_rate(1, 24e6, 12e9, 12e6, 60e9) == pytest.approx(500)  # 2 ms of reading, 0.2 of operations
    assert decoding.floor_rate(32, 24e6, 12e9, 12e6, 60e9) == pytest.approx(5000)  # 2 ms, 6.4 of operations
    result = decoding_result()
    result["rows"].append(speed_row("floor, float32", [4000.0], quantity="floor"))
    rows = result_file.select(result, quantity="speed")
    assert decoding.floor_text(result, rows[0]) == "39 %" and decoding.floor_text(result, rows[1]) == "–"
    assert " 39 %  " in decoding.table(result)


def test_weights_held_in_16_bits_are_a_row_of_their_own() -> None:
    rows = [speed_row("ours, native step, float32", [1000.0]), speed_row(f"{decoding.HELD}, float32", [2000.0])]
    best = decoding.best_of_ours(rows, "float32")
    assert best is not None and best["path"] == "ours, native step, float32"


def test_peers_run_at_their_best_without_an_option() -> None:
    names = {path.name for path in decoding.PATHS}
    assert {"transformers, compiled, float32", "ONNX Runtime, float32"} <= names
    loop = inspect.getsource(trainers.PlainLoop.__init__), inspect.getsource(trainers.Trainer.steps)
    assert "fused=True" in loop[0] and 'optim="adamw_torch_fused"' in loop[1]


def test_float32_is_compared_with_float32_and_the_fast_modes_together() -> None:
    rows = decoding_result()["rows"]
    single, fast = (decoding.best_of_ours(rows, precision) for precision in ("float32", "int8"))
    assert single is not None and single["path"] == "ours, native step, float32"
    assert fast is not None and fast["path"] == "ours, native step, int8"
    assert decoding.best_of_ours(rows, "bfloat16") == fast


def test_the_decoding_table_names_what_was_not_run() -> None:
    text = decoding.table(decoding_result())
    line = next(line for line in text.splitlines() if "llama.cpp" in line)
    assert "not run" in line and "llama_cpp is not installed" in line and " 0" not in line
    line = next(line for line in text.splitlines() if "CTranslate2, int8" in line)
    assert "x2.10 (2.00–2.20)" in line


def test_common_beginnings_stop_at_the_end_of_the_tune() -> None:
    end = decoding.EOS
    theirs = [[5, 6, end, 9], [5, 6, 7, 8]]
    ours = [[5, 6, end, 4], [5, 6, 8, 8]]
    assert decoding.common_beginnings(ours, theirs) == {"equal_rows": 0.5, "common_tokens": 2.5}
    assert decoding.largest_difference([[1.0, 2.0]], [[1.5, 2.25]]) == 0.5


def test_ways_of_training_that_take_minutes_are_left_out_unless_asked_for() -> None:
    def left_out(*options: str, name: str = "mamba-6m") -> set[str]:
        args = training.parser().parse_args(list(options))
        return {way.name for way, reason in training.ways(name, name.split("-")[0], args) if reason}

    compiled = "library with mambapy, plain loop, compiled"
    assert compiled in left_out() and "ours" not in left_out()
    assert left_out("--full") == {compiled} and left_out("--full", "--slow") == set()
    assert left_out(name="gpt2-60m") == {"transformers.Trainer, compiled"}


def test_training_fits_its_minutes() -> None:
    parse = training.parser().parse_args
    assert training.cost_seconds(parse(["--threads", "2", "--steps", "2"])) < 6 * 60
    assert training.cost_seconds(parse(["--threads", "2", "--full"])) < 12 * 60
    assert training.names(parse([])) == list(training.MODELS) != training.names(parse(["--full"]))
    assert training.rows_and_steps("gpt2-60m", parse([])) == (1, 1)


def test_varied_tunes_are_tunes_and_differ() -> None:
    text = 'M:4/4\nL:1/8\nK:D\n|:"D"d2fd A2d2|[K:G]g2!fine!bg (3ded d2:|\n'
    made = list(preparing.varied([text], 6, seed=1))
    assert made[0] == f"X:1\n{text}" and len({tune.partition("K:")[2] for tune in made}) == 6
    for number, tune in enumerate(made, start=1):
        assert tune.startswith(f"X:{number}\n")
        assert len(abc_parser.parse(tune).voices[0].events) == len(abc_parser.parse(text).voices[0].events)
    assert made == list(preparing.varied([text], 6, seed=1))


def test_curves_are_measured_from_their_cheap_end() -> None:
    found = [p.tokens for p in scaling.points([512, 128], [1]) if (p.quantity, p.line) == ("step", "length")]
    assert found == [128, 512]


def test_crossover_is_interpolated_on_logarithmic_axes() -> None:
    assert scaling.crossover([100, 400], [2.0, 2.0], [1.0, 4.0]) == pytest.approx(200)
    assert scaling.crossover([100, 400], [2.0, 2.0], [1.0, 1.0]) is None
    assert scaling.crossover([100, 400], [1.0, 1.0], [2.0, 2.0]) is None  # faster throughout: nothing is crossed


def test_tables_show_ratios_over_the_peers_of_each_class(tmp_path: Path) -> None:
    result_file.write(tmp_path / "decoding.json", decoding_result())
    once = speed_tables.section(tmp_path)
    line = next(line for line in once.splitlines() if line.startswith("| gpt2-6m, batch 1 | 1 | float32"))
    assert "1.55 (1.50–1.60)" in line and "4.50 (4.00–5.00)" in line  # over CTranslate2, over transformers
    line = next(line for line in once.splitlines() if line.startswith("| gpt2-6m, batch 1 | 1 | bfloat16 |"))
    assert "native step, bfloat16" in line and "not run" in line  # no peer with bfloat16 was measured
    line = next(line for line in once.splitlines() if line.startswith("| gpt2-6m, batch 1 | 1 | bfloat16, int8 |"))
    assert "2.10 (2.00–2.20)" in line  # int8 over CTranslate2's
    assert "`python -m benchmarks.training` | not run" in once


def test_weights_option_and_random_weights(tmp_path: Path) -> None:
    assert weights.read_option("gpt2-6m=runs/x") == ("gpt2-6m", Path("runs/x"))
    with pytest.raises(UserError, match="NAME=FOLDER"):
        weights.read_option("runs/x")
    chosen = weights.choose("gpt2-debug", {}, tmp_path)
    assert not chosen.is_trained and (chosen.folder / "model.safetensors").exists()
    again = weights.choose("gpt2-debug", {"gpt2-debug": chosen.folder}, tmp_path / "copies")
    assert again.is_trained and again.folder != chosen.folder
    with pytest.raises(UserError, match="has not the shape"):
        weights.choose("mamba-debug", {"mamba-debug": chosen.folder}, tmp_path / "others")


def test_results_end_stdout_in_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = result_file.Recorder("x")
    recorder.measured([1.0], "s")
    recorder.write(tmp_path / "x.json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["name"] == "x"
