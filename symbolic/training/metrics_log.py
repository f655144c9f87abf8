"""Training metrics: `metrics.jsonl` for programs, a status line on the console for people.

The losses of steps stay on the device until a logging moment, when all since the last one are fetched in one transfer:
the step itself never waits for the host. Rows are listed in `symbolic.runs`; `seconds` count training only, without
evaluation and checkpoints, and go on over a resume.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files
from symbolic.errors import UserError
from symbolic.progress import Console, clock
from symbolic.training import extra_logs

if TYPE_CHECKING:
    from torch import Tensor

FLUSH_SECONDS = 0.5  # between logging moments
_NEEDED = {"train": ("loss",), "speed": ("seconds",), "validation": ("bits_per_byte", "loss")}  # one of them, by kind


@dataclass(frozen=True)
class Status:
    """Where training stands, for the status line; loss in nats a token, mean since the last status. `validation` is the
    last figure of the validation set, in `unit`."""

    name: str
    step: int
    steps: int
    loss: float
    validation: float | None
    learning_rate: float
    tokens_per_second: float
    seconds_left: float
    unit: str = "bits/byte"

    def line(self) -> str:
        """Write the status as one line, for example `gpt2-6m step 1200/100000 loss 1.234 bits/byte 1.432 lr 9.8e-04
        12,345 tokens/s 1:02:03 left`."""
        figure = "-" if self.validation is None else f"{self.validation:.3f}"
        return (
            f"{self.name}  step {self.step}/{self.steps}  loss {self.loss:.3f}  {self.unit} {figure}  "
            f"lr {self.learning_rate:.1e}  {self.tokens_per_second:,.0f} tokens/s  {clock(self.seconds_left)} left"
        )

    def narrow(self) -> str:
        """Write the same for a terminal of 80 columns."""
        words = self.line().removeprefix(f"{self.name}  step ").replace("tokens/s", "tok/s")
        return " ".join(words.split())

    def show(self, console: Console) -> None:
        """Show it as the live line of a console."""
        console.show(self.line(), self.narrow(), is_last=self.step == self.steps)


class Journal:
    """The metrics of one run, from update `step` on; rows of later steps, left by a killed process, are dropped.

    `measure` is the key of the validation figure that is to fall; `logs` names other forms to write beside `path`
    (`symbolic.training.extra_logs`).
    """

    def __init__(
        self,
        path: Path,
        step: int,
        seconds: float,
        tokens_per_step: float,
        measure: str = "bits_per_byte",
        logs: str = "",
    ) -> None:
        kept = [row for row in read(path) if row["step"] <= step] if step else []
        files.write_jsonl(path, kept)
        self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self.measure, self.others = measure, extra_logs.open_logs(logs, path.parent, kept)
        self.validations = {row["step"]: row[measure] for row in kept if row["kind"] == "validation"}
        self.step, self.seconds, self.tokens_per_step = step, seconds, tokens_per_step
        self.loss = next((row["loss"] for row in reversed(kept) if row["kind"] == "train"), math.nan)
        self.learning_rate = self.tokens_per_second = 0.0
        self.pending: list[tuple[int, Tensor, Tensor, float]] = []
        self.mark = time.perf_counter()

    @property
    def best(self) -> float:
        """The lowest validation figure so far."""
        return min(self.validations.values(), default=math.inf)

    @property
    def best_step(self) -> int:
        """The first step with the lowest validation figure."""
        return min(self.validations, key=lambda step: (self.validations[step], step))

    @property
    def latest(self) -> float | None:
        """The last validation figure."""
        return self.validations[max(self.validations)] if self.validations else None

    def add(self, step: int, loss: "Tensor", gradient_norm: "Tensor", rate: float) -> None:
        """Note a step; the tensors are not read yet."""
        self.pending.append((step, loss, gradient_norm, rate))

    def due(self) -> bool:
        """Return True if a logging moment has come."""
        return time.perf_counter() - self.mark >= FLUSH_SECONDS

    def flush(self, flops_per_token: float | None, peak_flops: float | None = None) -> None:
        """Fetch and write the steps since the last time. Raises UserError at the first loss that is not finite."""
        if not self.pending:
            return
        import torch

        fetched = torch.stack([torch.stack((loss.float(), norm.float())) for _, loss, norm, _ in self.pending]).tolist()
        for (step, _, _, rate), (loss, norm) in zip(self.pending, fetched, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(f"step {step}: the loss is {loss} and the gradient's norm {norm}, not finite.")
            self._append("train", step, loss=loss, learning_rate=rate, gradient_norm=norm)
        self.loss = sum(loss for loss, _ in fetched) / len(fetched)
        self.step, self.learning_rate = self.pending[-1][0], self.pending[-1][3]
        self._measure_speed(len(fetched), flops_per_token, peak_flops)
        self.pending = []

    def validated(self, step: int, values: dict[str, Any]) -> None:
        """Write the result of an evaluation; `values` has the measure."""
        self.validations[step] = values[self.measure]
        self._append("validation", step, **values)
        self._write_out()

    def restart_clock(self) -> None:
        """Leave out of the speed what passed since the last flush: evaluation, checkpoints."""
        self.mark = time.perf_counter()

    def close(self) -> None:
        """Close all outputs; one that cannot be closed has been told before."""
        for file in self._outputs:
            with contextlib.suppress(OSError):  # said already by _write_out
                file.close()

    def _measure_speed(self, n_steps: int, flops_per_token: float | None, peak_flops: float | None) -> None:
        elapsed = time.perf_counter() - self.mark
        self.seconds += elapsed
        self.tokens_per_second = n_steps * self.tokens_per_step / elapsed
        flops = None if flops_per_token is None else flops_per_token * self.tokens_per_second
        mfu = flops / peak_flops if flops is not None and peak_flops else None
        speed = {"tokens_per_second": self.tokens_per_second, "model_flops_per_second": flops, "mfu": mfu}
        self._append("speed", self.step, **speed, seconds=self.seconds)
        self._write_out()
        self.restart_clock()

    def _append(self, kind: str, step: int, **values: Any) -> None:
        row = {"kind": kind, "step": step, **values}
        self.file.write(json.dumps(row) + "\n")
        for other in self.others:
            other.add(row)

    @property
    def _outputs(self) -> list[Any]:
        """metrics.jsonl and the logs beside it."""
        return [self.file, *self.others]

    def _write_out(self) -> None:
        try:
            for file in self._outputs:
                file.flush()
        except OSError as error:
            raise UserError(f"cannot write {self.file.name}: {error.strerror}. Free space, then --resume.") from error


def read(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics file but those that a killed process or a disk has damaged; [] where there is none."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [row for row in map(_row, lines) if row is not None]


def _row(line: str) -> dict[str, Any] | None:
    """Parse a row with its kind and step; None for a line that holds none."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("step"), int) and row.get("kind") in _NEEDED
    return row if is_row and any(key in row for key in _NEEDED[row["kind"]]) else None


Reporter = Callable[[Status], None]
