"""Train any model of a configuration: one loop for all.

    python -m symbolic train configs/gpt2-6m.yaml --train.steps 2000
    python -m symbolic train gpt2-6m --resume                    # the run of that name, where it stopped
    torchrun --nproc-per-node 2 -m symbolic train configs/gpt2-60m.yaml --resume     (symbolic.training.distributed)

Every key of the configuration is also an option. The run directory, runs/NAME unless --folder names another, is
described file by file in `symbolic.runs`. Ctrl-C saves a checkpoint and exits with 130; --resume goes on from the
newest whole checkpoint, on one thread with bit-identical losses, and starts a run that has none. SIGTERM and SIGHUP do
the same; SIGUSR1 saves and goes on. With --resume and more train.steps a finished run goes on.

Conventions: loss in nats a token, mean over all tokens of a step (batch_size * accumulation rows of `context` tokens);
validation in bits per byte of the canonical text (`symbolic.training.likelihood`). A step is an optimiser update;
`step` is the number of updates made.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import Config
from symbolic.errors import UserError
from symbolic.training import metrics_log
from symbolic.training.metrics_log import Console, Journal, Reporter, Status
from symbolic.training.run_setup import Setup, build, check_folder, finished

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from symbolic.data.loader import Batches
    from symbolic.training.distributed import Group


STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # those that a system has
SAVE_SIGNAL = "SIGUSR1"  # what Slurm sends ahead of a time limit


class Interrupted(UserError):
    """Training stopped by a signal after it was saved; `status` is 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, what to do with its run directory, and every key."""
    parser.add_argument("config", metavar="CONFIG.yaml|RUN", help="a configuration, or a run that is there by its name")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    parser.add_argument(
        "-o",
        "--output",
        "--folder",
        dest="folder",
        type=Path,
        metavar="FOLDER",
        help="run directory (default: runs/NAME)",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="start", metavar="MODEL", help="begin with its weights and, of one kind, its tokenizer"
    )
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")
    configuration.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Train as asked on the command line."""
    path, folder = runs.configuration(args.config)
    overrides = configuration.overrides_of(args) + ([("start", args.start)] if args.start else [])
    config = configuration.load(path, overrides)
    try:
        summary = train(config, args.folder or folder, resume=args.resume)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    if os.environ.get("RANK", "0") != "0":  # of several processes the first speaks
        return 0
    print(describe(summary))
    if args.json:
        print(json.dumps(summary))
    return 0


def train(
    config: Config | Path | str,
    folder: Path | str | None = None,
    resume: bool = False,
    on_status: Reporter | None = None,
) -> dict[str, Any]:
    """Train as `config`, or the YAML file that it names, says and return the summary of run.json.

    folder: run directory (default: runs/NAME). resume: go on from its newest checkpoint. on_status: hears of progress
    instead of the status line on stderr. Of several processes the first writes.
    """
    from symbolic import machine
    from symbolic.training import distributed

    if not isinstance(config, Config):
        config = configuration.load(config)
    configuration.check(config)
    option = "--name" if folder is None else "--folder"
    folder = runs.run_folder(config.name) if folder is None else Path(folder)
    with (
        distributed.joined(machine.pick_device(config.device)) as group,
        files.locked(folder, "training") if group.leads else contextlib.nullcontext(),
    ):
        if group.leads:
            check_folder(folder, config, resume, option)
        summary = group.from_lead(finished(folder, config) if group.leads else None)
        return summary or _trained(config, folder, resume, on_status, group)


def _trained(config: Config, folder: Path, resume: bool, on_status: Reporter | None, group: "Group") -> dict[str, Any]:
    """Make what is left of the run; every process of the group does, and takes the same turns."""
    console = Console(group.stream)
    setup = build(config, folder, resume, group, console)
    n_tokens = setup.tokens_per_step
    with (
        contextlib.closing(console),
        _metrics_file(folder, group) as metrics,
        contextlib.closing(Journal(metrics, setup.at.step, setup.at.seconds, n_tokens)) as log,
        _stop_signals(console.say, group.world == 1) as stop,
    ):
        loop = Loop(setup, log, stop, console, on_status or console.status)
        loop.run()
    if loop.step < config.train.steps or loop.step not in log.validations:
        where = f"stopped and saved at step {loop.step}" if loop.step else "stopped before the first step"
        raise Interrupted(f"{where}. {_how_to_resume(folder, config)}", stop.number)
    summary = _summary(setup, log) if group.leads else {}
    if group.leads:
        files.write_json(runs.run_file(folder), {**files.read_json(runs.run_file(folder)), "summary": summary})
    return group.from_lead(summary)


class Loop:
    """The updates of a run, and what is due between two of them: agreement, validation, checkpoint."""

    def __init__(self, setup: Setup, log: Journal, stop: "Stop", console: Console, show: Reporter) -> None:
        self.setup, self.log, self.stop, self.console, self.show = setup, log, stop, console, show
        self.config, self.group, self.model = setup.config, setup.group, setup.model
        self.feed = Feed(setup.batches, setup.device, setup.group)
        self.step = self.first = self.saved = setup.at.step
        self.began = self.saved_at = time.perf_counter()

    def run(self) -> None:
        """Step until the last one, or until a signal."""
        from symbolic.training import distributed

        while True:
            if self.step % distributed.AGREE_EVERY == 0 or self.step == self.config.train.steps:
                self.stop.number = self.group.agreed(self.stop.asked)
                self.stop.must_save = bool(self.group.agreed(self.stop.asked_to_save or self._is_late()))
            if self._due(self.config.train.evaluate_every) and self.step not in self.log.validations:
                self.validate()
            is_due = self._due(self.config.train.checkpoint_every) or self.stop.number or self.stop.must_save
            if self.step != self.saved and is_due:
                self.checkpoint()
            if self.step == self.config.train.steps or self.stop.number:
                return
            self.update()
            self.report()

    def validate(self) -> None:
        """Score the validation tunes; keep the model when it is the best so far."""
        before, result = self.log.best, self._evaluated()
        if result is None:
            return
        self.log.validated(self.step, result)
        self.console.say(f"step {self.step}: validation {result['bits_per_byte']:.4f} bits/byte")
        if result["bits_per_byte"] < before:
            self._save(runs.best_folder(self.setup.folder), False)

    def checkpoint(self) -> None:
        """Save the state after this step and drop the oldest of the states kept."""
        from symbolic.training import checkpoint

        self._flush()  # a signal may have come after the last logging moment
        self._save(runs.checkpoint_folder(self.setup.folder, self.step), True)
        if self.group.leads:
            checkpoint.prune(self.setup.folder, self.config.train.keep_checkpoints)
        self.saved, self.saved_at = self.step, time.perf_counter()
        self.stop.asked_to_save = self.stop.must_save = False

    def update(self) -> None:
        """One optimiser step; nothing in it waits for the device."""
        import torch

        from symbolic.training import distributed, optim

        setup = self.setup
        if not self.log.pending:
            self.log.restart_clock()
        rate = optim.learning_rate(self.step, self.config.train)
        optim.set_learning_rate(setup.optimizer, rate)
        rows = self.feed.next()
        if self.step < self.config.train.short_steps:
            rows = shorter(rows, self.config.train.short_context)
        loss = self.group.mean(accumulate(setup.runner, rows, setup.n_parts, setup.dtype))
        clip = self.config.train.clip_norm
        norm = distributed.local(torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip))
        setup.optimizer.step()
        setup.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.log.add(self.step, loss, norm, rate)

    def report(self) -> None:
        """At a logging moment fetch the losses, the only time that the host waits for the device, and show them."""
        t = self.config.train
        saving = self._due(t.evaluate_every) or self._due(t.checkpoint_every) or self.stop.number
        if saving or self.log.due():
            self._flush()
            each = (time.perf_counter() - self.began) / (self.step - self.first)
            self.show(_status(self.config, self.log, self.step, each * (t.steps - self.step)))

    def _is_late(self) -> bool:
        """True when a checkpoint is due by the clock."""
        minutes = self.config.train.checkpoint_minutes
        return minutes > 0 and self.step != self.saved and time.perf_counter() - self.saved_at >= 60 * minutes

    def _due(self, every: int) -> bool:
        return self.step > 0 and (self.step % every == 0 or self.step == self.config.train.steps)

    def _flush(self) -> None:
        with _kept(self.setup.folder, self.saved):
            self.log.flush(self.setup.cost, self.setup.peak)

    def _save(self, where: Path, with_moments: bool) -> None:
        from symbolic.training import checkpoint, distributed

        setup, step = self.setup, self.step
        here = checkpoint.TrainingProgress(step, step * setup.tokens_per_step, self.log.seconds, self.feed.position)
        model, optimizer = distributed.whole(self.model, setup.optimizer, self.config, self.group)
        if self.group.leads:
            checkpoint.save(where, model, setup.tokenizer, here, setup.origin, optimizer if with_moments else None)

    def _evaluated(self) -> dict[str, Any] | None:
        """Validation figures for metrics.jsonl, of several processes each on its share of the tunes unless the model
        is sharded; None when a signal came meanwhile."""
        import torch

        from symbolic.training import distributed, likelihood

        def on_batch(done: int, total: int) -> None:
            if self.stop.number:
                raise _Leave
            self.console.working(f"validation {done}/{total}")

        setup, began = self.setup, time.perf_counter()
        share = self.group if self.config.sharding == "replicated" else distributed.Group()
        tunes, n_bytes = share.own(setup.tunes), share.own(setup.n_bytes)
        settings: dict[str, Any] = {"context": self.config.data.context, "dtype": setup.dtype, "on_batch": on_batch}
        try:
            with torch.compiler.set_stance("force_eager"):  # each batch has its own shape: compiling would not pay
                scores = likelihood.score(self.model, tunes, n_bytes, **settings)
                scores = share.together(scores)
        except _Leave:
            return None
        return {
            "bits_per_byte": likelihood.bits_per_byte(scores),
            "nats_per_token": likelihood.nats_per_token(scores),
            "n_tunes": len(scores),
            "n_bytes": sum(score.n_bytes for score in scores),
            "n_tokens": sum(score.n_tokens for score in scores),
            "seconds": time.perf_counter() - began,
        }


def accumulate(model: "nn.Module", rows: "Tensor", accumulation: int, dtype: "torch.dtype") -> "Tensor":
    """Add the gradient of the mean loss over all tokens of `rows` (B, T + 1), taken in `accumulation` equal parts.

    The parts hold equally many tokens, so that the mean of their means is the mean over all; it is returned.
    """
    import torch

    from symbolic.training.distributed import last_part_only

    assert len(rows) % accumulation == 0
    total = torch.zeros((), device=rows.device)
    for index, part in enumerate(rows.chunk(accumulation), start=1):
        with last_part_only(model, index == accumulation):
            with torch.autocast(rows.device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                logits = model(part[:, :-1])  # (B, T, V)
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten()) / accumulation
            loss.backward()
        total += loss.detach()
    return total


def shorter(rows: "Tensor", context: int) -> "Tensor":
    """Rows (B, T + 1) cut into rows (B T / context, context + 1) that share one id, as those of a stream do.

    Sequence length warm-up: Li, Zhang, He 2022 (arXiv:2108.06084).
    """
    return rows.unfold(1, context + 1, context).flatten(0, 1)


class Feed:
    """This process's rows of each batch on the device; on a GPU the next one is under way while this is computed."""

    def __init__(self, batches: "Batches", device: "torch.device", group: "Group") -> None:
        self.batches, self.device, self.group = batches, device, group
        self.position: dict[str, Any] = batches.state_dict()  # after the last batch handed out
        self.ahead: Tensor | None = None

    def next(self) -> "Tensor":
        rows = self._fetch() if self.ahead is None else self.ahead
        self.position = self.batches.state_dict()
        self.ahead = self._fetch() if self.device.type == "cuda" else None
        return rows

    def _fetch(self) -> "Tensor":
        import torch

        rows = torch.from_numpy(self.group.own(next(self.batches)))
        return rows if self.device.type == "cpu" else rows.pin_memory().to(self.device, non_blocking=True)


def describe(summary: dict[str, Any]) -> str:
    """The summary for people."""
    speed = f"{summary['median_tokens_per_second']:,.0f} tokens/s"
    speed += f" = {summary['model_flops_per_second'] / 1e9:,.1f} GFLOP/s"
    if summary["mfu"]:
        speed += f" ({summary['mfu']:.1%} of the device's peak)"
    return (
        f"{summary['name']}: {summary['steps']} steps, {summary['tokens']:,} tokens in "
        f"{metrics_log.clock(summary['seconds'])} of training ({speed})\n"
        f"validation {summary['bits_per_byte']:.4f} bits/byte, best {summary['best_bits_per_byte']:.4f} "
        f"at step {summary['best_step']}\n"
        f"run: {summary['folder']}"
    )


# --- in the loop -----------------------------------------------------------------------------------------------------


def _status(config: Config, log: Journal, step: int, seconds_left: float) -> Status:
    return Status(
        name=config.name,
        step=step,
        steps=config.train.steps,
        loss=log.loss,
        bits_per_byte=log.latest,
        learning_rate=log.learning_rate,
        tokens_per_second=log.tokens_per_second,
        seconds_left=seconds_left,
    )


@contextlib.contextmanager
def _metrics_file(folder: Path, group: "Group") -> Iterator[Path]:
    """Where a process keeps its journal: the run's, or a copy that is thrown away, to take the same turns by."""
    path = runs.metrics_file(folder)
    if group.world == 1:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="journal-") as scratch:
        if not group.leads and path.exists():
            shutil.copy(path, scratch)
        group.wait()
        yield path if group.leads else Path(scratch, path.name)


@contextlib.contextmanager
def _kept(folder: Path, saved: int) -> Iterator[None]:
    """Add to the message of a loss that is not finite what is left and what to do."""
    try:
        yield
    except UserError as error:
        kept = runs.checkpoint_folder(folder, saved) if saved else None
        left = f"The checkpoint {kept} is kept." if kept else "There is no checkpoint before it."
        begin = f" --from {kept}" if kept else ""
        raise UserError(
            f"{error} {left} Start a new run with a lower train.learning_rate or more train.warmup_steps: "
            f"train {runs.config_file(folder)}{begin} --name NAME --train.learning_rate RATE"
        ) from error


class _Leave(Exception):
    """Leave an evaluation: a signal came."""


class Stop:
    """The signal that asked training to stop: `asked` of this process, `number` when all processes know; 0 before. The
    same of a checkpoint: `asked_to_save`, `must_save`."""

    asked = number = 0
    asked_to_save = must_save = False


@contextlib.contextmanager
def _stop_signals(say: Callable[[str], None], alone: bool = True) -> Iterator[Stop]:
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


# --- after the loop --------------------------------------------------------------------------------------------------


def _how_to_resume(folder: Path, config: Config) -> str:
    same = "" if folder == runs.run_folder(config.name) else f" --folder {folder}"
    return f"Go on with: python -m symbolic train {runs.config_file(folder)}{same} --resume"


def _summary(setup: Setup, log: Journal) -> dict[str, Any]:
    """The figures of a finished run; the median speed is that without compilation and hiccups, and FLOP/s go by it."""
    from symbolic import models

    config, folder, cost, peak = setup.config, setup.folder, setup.cost, setup.peak
    tokens = config.train.steps * log.tokens_per_step
    rows = metrics_log.read(runs.metrics_file(folder))
    speed = statistics.median(row["tokens_per_second"] for row in rows if row["kind"] == "speed")
    best_step = min(log.validations, key=lambda step: (log.validations[step], step))
    return {
        "name": config.name,
        "folder": str(folder),
        "parameters": models.n_parameters(setup.model),
        "steps": config.train.steps,
        "tokens": tokens,
        "seconds": log.seconds,
        "tokens_per_second": tokens / log.seconds,
        "median_tokens_per_second": speed,
        "model_flops_per_second": cost * speed,
        "mfu": cost * speed / peak if peak else None,
        "loss": log.loss,
        "bits_per_byte": log.latest,
        "best_bits_per_byte": log.best,
        "best_step": best_step,
        "checkpoint": str(runs.checkpoint_folder(folder, config.train.steps)),
        "best": str(runs.best_folder(folder)),
    }
