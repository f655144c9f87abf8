"""The training loop: one for tune models, lyric models and MusicGen.

A `Learner` knows its model and data: how a batch becomes a gradient, how the model is scored on held-out data, how it
is saved. The loop does the rest: the learning rate, clipping, the optimiser's step, what is due when (validation,
checkpoint, metrics), signals, and the status line.

    run = carry_out(learner, plan, at, console)       # from where `at` stands to the last step
    run.log.best, run.log.best_step                   # of the validation

SIGINT, SIGTERM and SIGHUP save a checkpoint and end in `Interrupted`; a second one acts at once. SIGUSR1 saves and goes
on. A step is an optimiser update; `step` is the number of updates made.
"""

import contextlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from symbolic import runs
from symbolic.config import TrainConfig
from symbolic.errors import UserError
from symbolic.progress import Console
from symbolic.training.metrics_log import Journal, Reporter, Status

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from symbolic.training.checkpoint import Origin, TrainingProgress
    from symbolic.training.distributed import Group

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # those that a system has
SAVE_SIGNAL = "SIGUSR1"  # what Slurm sends ahead of a time limit
Watch = Callable[[int, int], None]  # called with batches done and in all while a model is scored


class Interrupted(UserError):
    """Training stopped by a signal after it was saved; `status` is 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


class Learner(Protocol):
    """A model in training. `model` holds the weights; its trained parameters are those that require a gradient."""

    @property
    def model(self) -> "nn.Module":
        """What is trained."""

    @property
    def optimizer(self) -> "torch.optim.Optimizer":
        """What steps it."""

    @property
    def scaler(self) -> "torch.amp.GradScaler | None":
        """The scaler of float16; None elsewhere."""

    @property
    def cost(self) -> float | None:
        """Model FLOP a token, forward and backward, where known."""

    @property
    def peak(self) -> float | None:
        """FLOP/s of the device, where known."""

    def gradients(self, step: int) -> "Tensor":
        """Add the gradient of the mean loss over the batch of update `step`; the loss, left on the device."""

    def evaluate(self, step: int, watch: Watch) -> dict[str, Any]:
        """Return figures of the held-out data, one of them the plan's measure; `watch` hears of progress and may
        raise."""

    def save(self, folder: Path, step: int, seconds: float, with_moments: bool) -> None:
        """Write a checkpoint, whole; without moments one to use, not to go on from. Every process calls it."""


class FineTuner(Learner, Protocol):
    """A learner of a library's model, which goes on from weights that are there."""

    @property
    def origin(self) -> "Origin":
        """Where the weights come from, and from what data."""

    def opening(self) -> str:
        """Say what will be trained on what, and whether it fits."""


@dataclass(frozen=True)
class Plan:
    """What the loop needs to know of a run besides its learner."""

    name: str
    folder: Path
    settings: TrainConfig
    tokens_per_step: float  # of all processes together
    how_to_resume: str
    remedy: Callable[[Path | None], str]  # what to do, by the last checkpoint, where the loss is not finite
    measure: str = "bits_per_byte"  # key of the validation figure that is to fall
    unit: str = "bits/byte"
    evaluate_first: bool = False  # before the first step, too
    patience: int = 0  # validations without a new best after which the run is over; 0: it goes to its last step
    describe: Callable[[dict[str, Any]], str] = lambda values: ""  # what else to say of a validation


def begin_fine_tuning(
    folder: Path, config: Any, learner: FineTuner, resume: bool, console: Console, **record: Any
) -> "TrainingProgress":
    """Load the newest checkpoint where the run goes on, claim its folder, and say what will be trained.

    config: the dataclass of the run's settings. record: further entries of run.json. Returns where training stands.
    """
    from symbolic.training import checkpoint, run_folder

    at = checkpoint.go_on(folder, learner.model, learner.optimizer, resume, console.say)
    digest = learner.origin.config_digest
    run_folder.claim(folder, config, {"from_step": at.step, **record, "config_digest": digest})
    console.say(learner.opening())
    return at


def carry_out(
    learner: Learner,
    plan: Plan,
    at: "TrainingProgress",
    console: Console,
    show: Reporter | None = None,
    group: "Group | None" = None,
) -> "Loop":
    """Make what is left of a run. Raises Interrupted where a signal came, UserError where the loss is not finite.

    show: hears of progress instead of the status line. Of several processes each takes the same turns.
    """
    from symbolic.training.distributed import Group

    group = group or Group()
    with (
        contextlib.closing(console),
        _metrics_file(plan.folder, group) as metrics,
        contextlib.closing(
            Journal(metrics, at.step, at.seconds, plan.tokens_per_step, plan.measure, plan.settings.logs * group.leads)
        ) as log,
        stop_signals(console.say, group.world == 1) as stop,
    ):
        loop = Loop(learner, plan, at, log, stop, console, show or (lambda status: status.show(console)), group)
        loop.run()
    if not loop.is_over or loop.step not in log.validations:
        where = f"stopped and saved at step {loop.step}" if loop.step else "stopped before the first step"
        raise Interrupted(f"{where}. {plan.how_to_resume}", stop.number)
    return loop


class Loop:
    """The updates of a run, and what is due between two of them: agreement, validation, checkpoint."""

    def __init__(
        self, learner: Learner, plan: Plan, at: "TrainingProgress", log: Journal, stop: "Stop", console: Console,
        show: Reporter, group: "Group",
    ) -> None:  # fmt: skip
        self.learner, self.plan, self.settings = learner, plan, plan.settings
        self.log, self.stop, self.console, self.show, self.group = log, stop, console, show, group
        self.step = self.first = self.saved = at.step
        self.began = self.saved_at = time.perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether the last step is made, or validation has not fallen for `patience` times."""
        return self.step == self.settings.steps or self.is_out_of_patience

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the last `patience` validations were no better than one before them."""
        if not self.plan.patience or not self.log.validations:
            return False
        return sum(step > self.log.best_step for step in self.log.validations) >= self.plan.patience

    def run(self) -> None:
        """Step until the run is over, or until a signal."""
        from symbolic.training import distributed

        if self.plan.evaluate_first and not self.step:
            self.validate()
        while True:
            if self.step % distributed.AGREE_EVERY == 0 or self.step == self.settings.steps:
                self.stop.number = self.group.agreed(self.stop.asked)
                self.stop.must_save = bool(self.group.agreed(self.stop.asked_to_save or self._is_late()))
            if self._due(self.settings.evaluate_every) and self.step not in self.log.validations:
                self.validate()
            is_due = self._due(self.settings.checkpoint_every) or self.stop.number or self.stop.must_save
            if self.step != self.saved and (is_due or self.is_over):
                self.checkpoint()
            if self.is_over or self.stop.number:
                return
            self.update()
            self.report()

    def validate(self) -> None:
        """Score the held-out data; keep the model when it is the best so far."""
        before = self.log.best
        try:
            values = self.learner.evaluate(self.step, self._watch)
        except _Leave:
            return
        self.log.validated(self.step, values)
        value = values[self.plan.measure]
        told = f"step {self.step}: validation {value:.4f} {self.plan.unit}{self.plan.describe(values)}"
        self.console.say(told)
        if value < before:
            self.learner.save(runs.best_folder(self.plan.folder), self.step, self.log.seconds, False)

    def checkpoint(self) -> None:
        """Save the state after this step and drop the oldest of the states kept."""
        from symbolic.training import checkpoint

        self._flush()  # a signal may have come after the last logging moment
        self.learner.save(runs.checkpoint_folder(self.plan.folder, self.step), self.step, self.log.seconds, True)
        if self.group.leads:
            checkpoint.prune(self.plan.folder, self.settings.keep_checkpoints)
        self.saved, self.saved_at = self.step, time.perf_counter()
        self.stop.asked_to_save = self.stop.must_save = False

    def update(self) -> None:
        """Make one optimiser step; nothing in it waits for the device."""
        import torch

        from symbolic.training import distributed, optim

        if not self.log.pending:
            self.log.restart_clock()
        learner = self.learner
        rate = optim.learning_rate(self.step, self.settings)
        optim.set_learning_rate(learner.optimizer, rate)
        loss = learner.gradients(self.step)
        if learner.scaler:
            learner.scaler.unscale_(learner.optimizer)
        clip = self.settings.clip_norm
        norm = distributed.local(torch.nn.utils.clip_grad_norm_(learner.model.parameters(), clip))
        if learner.scaler:
            learner.scaler.step(learner.optimizer)
            learner.scaler.update()
            norm = norm.nan_to_num(0.0, 0.0)  # of a step that the scaler leaves out
        else:
            learner.optimizer.step()
        learner.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.log.add(self.step, loss, norm, rate)

    def report(self) -> None:
        """Fetch the losses at a logging moment, the only time that the host waits for the device, and show them."""
        s = self.settings
        saving = self._due(s.evaluate_every) or self._due(s.checkpoint_every) or self.stop.number
        if saving or self.log.due():
            self._flush()
            each = (time.perf_counter() - self.began) / (self.step - self.first)
            self.show(self._status(each * (s.steps - self.step)))

    def _status(self, seconds_left: float) -> Status:
        return Status(
            name=self.plan.name,
            step=self.step,
            steps=self.settings.steps,
            loss=self.log.loss,
            validation=self.log.latest,
            learning_rate=self.log.learning_rate,
            tokens_per_second=self.log.tokens_per_second,
            seconds_left=seconds_left,
            unit=self.plan.unit,
        )

    def _is_late(self) -> bool:
        """True when a checkpoint is due by the clock."""
        minutes = self.settings.checkpoint_minutes
        return minutes > 0 and self.step != self.saved and time.perf_counter() - self.saved_at >= 60 * minutes

    def _due(self, every: int) -> bool:
        return self.step > 0 and (self.step % every == 0 or self.step == self.settings.steps)

    def _flush(self) -> None:
        """Write the losses; where one is not finite, say what is left and what to do."""
        try:
            self.log.flush(self.learner.cost, self.learner.peak)
        except UserError as error:
            kept = runs.checkpoint_folder(self.plan.folder, self.saved) if self.saved else None
            left = f"The checkpoint {kept} is kept." if kept else "There is no checkpoint before it."
            raise UserError(f"{error} {left} {self.plan.remedy(kept)}") from error

    def _watch(self, done: int, total: int) -> None:
        if self.stop.number:
            raise _Leave
        self.console.working(f"validation {done}/{total}")


class _Leave(Exception):
    """Leave an evaluation: a signal came."""


class Stop:
    """The signal that asked training to stop: `asked` of this process, `number` when all processes know; 0 before. The
    same of a checkpoint: `asked_to_save`, `must_save`."""

    asked = number = 0
    asked_to_save = must_save = False


@contextlib.contextmanager
def stop_signals(say: Callable[[str], None], alone: bool = True) -> Iterator[Stop]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them, a second one acts at once; and SIGUSR1, to save."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield stop
        return
    numbers = [getattr(signal, name) for name in (*STOP_SIGNALS, SAVE_SIGNAL) if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, frame: Any) -> None:
        if number == getattr(signal, SAVE_SIGNAL, None):
            stop.asked_to_save = True
            stop.must_save = alone
            return
        stop.asked = number
        stop.number = number if alone else stop.number
        _restore(before)
        say("stopping after this step to save; once more to stop at once")

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        _restore(before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def _metrics_file(folder: Path, group: "Group") -> Iterator[Path]:
    """Open the metrics file: rank 0 writes the run's; other ranks write to a temporary copy, so that control flow stays
    identical."""
    path = runs.metrics_file(folder)
    if group.world == 1:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="journal-") as scratch:
        if not group.leads and path.exists():
            shutil.copy(path, scratch)
        group.wait()
        yield path if group.leads else Path(scratch, path.name)
