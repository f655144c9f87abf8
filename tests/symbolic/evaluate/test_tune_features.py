"""What is read of single tunes, against the modules that define it."""

import math
import random

import numpy as np

from symbolic.evaluate.metrics import histograms
from symbolic.evaluate.tune_features import VALUES, observe, observe_all
from symbolic.notation.abc_parser import transpose

TUNE = "X:1\nM:4/4\nL:1/4\nK:G\nG|GABc|dcBA|GABc|d3:|\nd|dBGB|dBGB|dcBA|G3|]\n"


def test_a_tune_by_hand() -> None:
    values = observe(TUNE).values
    assert (values["n_notes"], values["lowest"], values["highest"], values["compass"]) == (28, 67, 74, 7)
    assert (values["n_sections"], values["n_square_sections"], values["bars_per_section"]) == (2, 2, 4)
    assert values["ends_on_tonic"] == 1 and values["scale_consistency"] == 1 and values["key_fit"] > 0.6


def test_what_does_not_parse_has_its_place() -> None:
    seen = observe_all([TUNE, "nonsense", TUNE])
    assert [check.parses for check in seen.checks] == [True, False, True] and len(seen.parsed) == 2
    assert seen.histograms["interval"][1].sum() == 0 and all(math.isnan(seen.values[name][1]) for name in VALUES)
    assert seen.melodies[1] == [] and seen.tunes[1].key == ""
    assert seen.take([2, 1]).checks == [seen.checks[2], seen.checks[1]]


def test_transposition_moves_pitch_and_nothing_else(real_tunes: list[str]) -> None:
    for text in random.Random(0).sample(real_tunes, 40):
        here, there = observe(text), observe(transpose(text, 2))
        moved = {"mean_pitch", "lowest", "highest"}
        for name in VALUES:
            expected = here.values[name] + (2 if name in moved else 0)
            assert np.isclose(there.values[name], expected, equal_nan=True), (name, text)
        for name in histograms.FEATURES:
            assert here.histograms[name].tolist() == there.histograms[name].tolist()
        assert here.key == there.key


def test_key_meter_and_lengths_are_as_written() -> None:
    seen = observe_all([TUNE, "nonsense", transpose(TUNE, 2)])
    assert seen.labels == {"key": {"G": 1, "A": 1}, "meter": {"4/4": 2}}
    eighth = 5040
    assert seen.tunes[0].lengths == {2 * eighth, 6 * eighth} and seen.tunes[1].lengths == frozenset()
