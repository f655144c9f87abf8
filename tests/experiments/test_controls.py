"""Every measure separates human tunes from every control that it claims to catch, on real tunes."""

import random
from typing import Any

import pytest

from benchmarks import result_file
from experiments import controls
from symbolic.evaluate.comparison import CONTROLS, HELD_OUT, MEASURES
from symbolic.files import write_jsonl

N = 100  # tunes of a set
MODEL_MEASURES = {one.key for one in MEASURES if one.key.startswith("model_")}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> dict[str, Any]:
    """The experiment without models on a random split: what is copied there is copied by people."""
    folder = tmp_path_factory.mktemp("controls")
    texts = random.Random(0).sample([text for text in real_tunes if len(text) > 120], 2 * N + 400)
    for split, some in (("test", texts[:N]), ("valid", texts[N : 2 * N]), ("train", texts[2 * N :])):
        rows = [{"id": f"{split}{i}", "title": "", "text": text} for i, text in enumerate(some)]
        write_jsonl(folder / "data" / "tunes" / f"{split}.jsonl", rows)
    words = ["--data", str(folder / "data"), "--models", "--likelihood", "", "--draws", "20"]
    assert controls.main([*words, "-o", str(folder / "controls.json")]) == 0  # 1 when a claim does not hold
    return result_file.read(folder / "controls.json")


@pytest.mark.slow
def test_every_claim_was_looked_at(result: dict[str, Any]) -> None:
    measured = {row["measure"] for row in result_file.select(result, set=HELD_OUT)}
    assert set(controls.claims()) - MODEL_MEASURES <= measured
    assert {row["set"] for row in result["rows"]} == {HELD_OUT, controls.SECOND, *CONTROLS}


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(set(controls.claims()) - MODEL_MEASURES))
def test_a_measure_catches_what_it_claims(result: dict[str, Any], measure: str) -> None:
    human = result_file.find(result, set=HELD_OUT, measure=measure)
    assert human is not None
    for control in controls.claims()[measure]:
        row = result_file.find(result, set=control, measure=measure)
        assert row is not None and (row["low"] > human["high"] or row["high"] < human["low"]), control


def test_every_control_is_caught_by_several() -> None:
    caught = [control for own in controls.claims().values() for control in own]
    assert all(caught.count(control) >= 3 for control in CONTROLS)


def test_measures_without_a_claim_are_descriptions() -> None:
    without = {one.key for one in MEASURES if not one.catches}
    described = {"n_tunes", "share_in_range", "n_sections", "bars_per_section", "n_notes_median", "bits_per_byte"}
    assert without == described | {"divergence_key", "divergence_meter", "share_with_odd_lengths"}


def test_a_broken_claim_is_an_error() -> None:
    figure = {"value": 1.0, "low": 0.9, "high": 1.1}
    found = {HELD_OUT: {"x": figure}, "shuffled": {"x": {**figure, "low": 1.05}}}
    assert not controls.separated(found, "x", "shuffled")
    found["shuffled"]["x"] = {"value": 2.0, "low": 1.5, "high": 2.5}
    assert controls.separated(found, "x", "shuffled") and not controls.separated(found, "y", "shuffled")
