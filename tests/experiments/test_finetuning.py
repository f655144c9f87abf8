"""The gain of fine-tuning: paired over tunes, against two models that differ from it in one thing each."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from experiments import finetuning
from symbolic import config


def test_the_interval_is_of_bits_per_byte() -> None:
    sizes = np.array([100, 300] * 50)
    gain = finetuning.interval(0.5 * sizes, sizes, seed=0)
    assert gain == {"mean": 0.5, "low": 0.5, "high": 0.5}
    mixed = finetuning.interval(np.array([40.0, -60.0] * 50), sizes, seed=0)
    assert mixed["mean"] == pytest.approx(-0.05) and mixed["low"] < -0.05 < mixed["high"]
    assert 0.01 < mixed["high"] - mixed["low"] < 0.2


def test_the_runs_differ_in_what_they_are_compared_by_only() -> None:
    args = argparse.Namespace(
        model="gpt2-6m", steps=20, batch_size=2, learning_rate=5e-4, seed=3, lora_rank=4, lora_learning_rate=1e-3
    )
    tuned, lora, scratch = (finetuning.make_config(args, Path("data"), arm) for arm in finetuning.ARMS)
    assert config.differences(tuned, scratch) == ["start"]
    assert sorted(config.differences(tuned, lora)) == ["train.learning_rate", "train.lora_rank"]
    for one in (tuned, lora):
        config.check(one)


def test_the_songs_are_where_they_are_looked_for() -> None:
    assert finetuning.essen_songs().read_text(encoding="latin-1").count("\nX:") > 500
