"""The learning curve of a run: validation results against steps, tokens, seconds and FLOPs, read from its directory.

    curve = read("runs/gpt2-6m")          # finished or in progress
    curve.bits_per_byte, curve.flops      # lists of equal length, one item a validation
    at(curve.tokens, curve.bits_per_byte, 1e6)

Nothing is computed anew: config.yaml, run.json and metrics.jsonl say it all. Seconds are those of training alone, on
the machine that the run names; FLOPs are the model's own by `symbolic.models.costs`, so a run that was given more steps
or went on elsewhere has one curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import Config
from symbolic.errors import UserError
from symbolic.models import costs
from symbolic.training import metrics_log

AXES = ("steps", "tokens", "seconds", "flops")
MAX_POINTS = 400  # of the training loss, means of equal stretches


@dataclass(frozen=True)
class RunCurve:
    """One run. The lists have one item a validation; `training` holds [step, nats a token] of stretches of steps.

    record: run.json. last_step: updates made so far, as far as they are logged.
    """

    folder: Path
    config: Config
    record: dict[str, Any]
    bits_per_byte: list[float]
    steps: list[int]
    tokens: list[int]
    seconds: list[float]
    flops: list[float]
    training: list[list[float]]
    last_step: int

    @property
    def finished(self) -> bool:
        """True when the run has made all its steps."""
        return "summary" in self.record

    @property
    def model(self) -> str:
        """The run's name without its seed: gpt2-6m-seed3 -> gpt2-6m."""
        return seedless_name(self.config.name, self.config.seed)


def read(folder: Path | str) -> RunCurve:
    """Read a run directory; UserError where it is none, or where its files are damaged."""
    folder = Path(folder)
    if not runs.config_file(folder).is_file():
        raise UserError(f"{folder} is no run: it holds no config.yaml. Name a folder that `train` wrote.")
    config, rows = configuration.load(runs.config_file(folder)), metrics_log.read(runs.metrics_file(folder))
    validations = [row for row in rows if row["kind"] == "validation"]
    steps = [row["step"] for row in validations]
    tokens = [step * tokens_per_step(config) for step in steps]
    flops = costs.training_flops(config.model, config.data.context)
    return RunCurve(
        folder,
        config,
        record=files.read_json(runs.run_file(folder)) if runs.run_file(folder).is_file() else {},
        bits_per_byte=[row["bits_per_byte"] for row in validations],
        steps=steps,
        tokens=tokens,
        seconds=[seconds_at(rows, step) for step in steps],
        flops=[n * flops for n in tokens],
        training=_thinned([(row["step"], row["loss"]) for row in rows if row["kind"] == "train"]),
        last_step=max((row["step"] for row in rows), default=0),
    )


def tokens_per_step(config: Config) -> int:
    """Return tokens of an optimiser update."""
    return config.train.batch_size * config.train.accumulation * config.data.context


def seconds_at(rows: Sequence[dict[str, Any]], step: int) -> float:
    """Return seconds of training when `step` was reached: the last speed row up to it."""
    return max((row["seconds"] for row in rows if row["kind"] == "speed" and row["step"] <= step), default=0.0)


def seedless_name(name: str, seed: int) -> str:
    """Return a run's name without its seed: gpt2-6m-seed3 -> gpt2-6m."""
    for suffix in (f"-seed{seed}", f"-s{seed}"):
        name = name.removesuffix(suffix)
    return name


def at(x: Sequence[float], y: Sequence[float], place: float) -> float | None:
    """Return the value of a curve at `place`, straight between its points; None where the curve does not reach it."""
    for (x0, y0), (x1, y1) in pairwise(zip(x, y, strict=True)):
        if x0 <= place <= x1 and x1 > x0:
            return y0 + (y1 - y0) * (place - x0) / (x1 - x0)
    return y[0] if len(x) and x[0] == place else None


def _thinned(pairs: Sequence[tuple[int, float]]) -> list[list[float]]:
    """Return means of equal stretches of steps."""
    size = -(-len(pairs) // MAX_POINTS) if pairs else 1
    stretches = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    return [[stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)] for stretch in stretches]
