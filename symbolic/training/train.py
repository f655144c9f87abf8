"""Train any model of a configuration: one loop for all.

    python -m symbolic train configs/gpt2-6m.yaml --train.steps 2000
    python -m symbolic train gpt2-6m --resume                    # the run of that name, where it stopped
    torchrun --nproc-per-node 2 -m symbolic train configs/gpt2-60m.yaml --resume     (symbolic.training.distributed)

Every key of the configuration is also an option. The run directory, runs/NAME unless --folder names another, is
described file by file in `symbolic.runs`. Ctrl-C saves a checkpoint and exits with 130; --resume goes on from the
newest whole checkpoint, on one thread with bit-identical losses, and starts a run that has none. SIGTERM and SIGHUP do
the same; SIGUSR1 saves and goes on. With --resume and more train.steps a finished run goes on,
and with fewer one that is not finished ends earlier.

Conventions: loss in nats a token, mean over all tokens of a step (batch_size * accumulation rows of `context` tokens);
validation in bits per byte of the canonical text (`symbolic.training.likelihood`). A step is an optimiser update;
`step` is the number of updates made.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import Config
from symbolic.progress import Console, clock
from symbolic.training import metrics_log, run_folder
from symbolic.training.loop import Interrupted, Plan, Watch, carry_out
from symbolic.training.metrics_log import Journal, Reporter
from symbolic.training.run_setup import Setup, build

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from symbolic.data.loader import Batches
    from symbolic.training.distributed import Group


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the configuration, what to do with its run directory, and every key."""
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
        distributed.join_group(machine.pick_device(config.device)) as group,
        files.locked(folder, "training") if group.leads else contextlib.nullcontext(),
    ):
        if group.leads:
            run_folder.check_folder(folder, config, resume, option)
        summary = group.from_lead(run_folder.finished_summary(folder, config) if group.leads else None)
        return summary or _trained(config, folder, resume, on_status, group)


def _trained(config: Config, folder: Path, resume: bool, on_status: Reporter | None, group: "Group") -> dict[str, Any]:
    """Make what is left of the run; every process of the group does, and takes the same turns."""
    from symbolic.training import model_card

    console = Console(group.stream)
    setup = build(config, folder, resume, group, console)
    plan = Plan(
        name=config.name,
        folder=folder,
        settings=config.train,
        tokens_per_step=setup.tokens_per_step,
        how_to_resume=_how_to_resume(folder, config),
        remedy=lambda kept: _remedy(folder, kept),
    )
    run = carry_out(TuneLearner(setup), plan, setup.at, console, on_status, group)
    summary = _summary(setup, run.log) if group.leads else {}
    if group.leads:
        run_folder.finish(folder, summary)
        model_card.write(folder)
    return group.from_lead(summary)


class TuneLearner:
    """A model of tunes as the loop sees it (`symbolic.training.loop.Learner`), built from a run's parts."""

    scaler = None

    def __init__(self, setup: Setup) -> None:
        self.setup, self.config, self.group = setup, setup.config, setup.group
        self.model, self.optimizer = setup.model, setup.optimizer
        self.cost, self.peak = setup.cost, setup.peak
        self.feed = Feed(setup.batches, setup.device, setup.group)

    def gradients(self, step: int) -> "Tensor":
        """Add the gradient of the next batch; the loss over all processes' rows."""
        rows = self.feed.next()
        if step < self.config.train.short_steps:
            rows = shorter(rows, self.config.train.short_context)
        return self.group.mean(accumulate(self.setup.runner, rows, self.setup.n_parts, self.setup.dtype))

    def save(self, folder: Path, step: int, seconds: float, with_moments: bool) -> None:
        """Write a checkpoint; of several processes the first writes, all take part."""
        from symbolic.training import checkpoint, distributed, model_card

        setup = self.setup
        here = checkpoint.TrainingProgress(step, step * setup.tokens_per_step, seconds, self.feed.position)
        model, optimizer = distributed.whole(setup.model, setup.optimizer, self.config, self.group)
        if self.group.leads:
            checkpoint.save(folder, model, setup.tokenizer, here, setup.origin, optimizer if with_moments else None)
            model_card.write(setup.folder)

    def evaluate(self, step: int, watch: Watch) -> dict[str, Any]:
        """Score the validation tunes, of several processes each its share of them unless the model is sharded."""
        import torch

        from symbolic.training import distributed, likelihood

        setup, began = self.setup, time.perf_counter()
        share = self.group if self.config.sharding == "replicated" else distributed.Group()
        tunes, n_bytes = share.own(setup.tunes), share.own(setup.n_bytes)
        settings: dict[str, Any] = {"context": self.config.data.context, "dtype": setup.dtype, "on_batch": watch}
        with torch.compiler.set_stance("force_eager"):  # each batch has its own shape: compiling would not pay
            scores = likelihood.score(setup.model, tunes, n_bytes, **settings)
            scores = share.together(scores)
        return {
            "bits_per_byte": likelihood.bits_per_byte(scores),
            "nats_per_token": likelihood.nats_per_token(scores),
            "n_tunes": len(scores),
            "n_bytes": sum(score.n_bytes for score in scores),
            "n_tokens": sum(score.n_tokens for score in scores),
            "seconds": time.perf_counter() - began,
        }


def accumulate(
    model: "Callable[[Tensor], Tensor]", rows: "Tensor", accumulation: int, dtype: "torch.dtype"
) -> "Tensor":
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
    """Return rows (B, T + 1) cut into rows (B T / context, context + 1) that share one id, as those of a stream do.

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
        """Return rows of the next batch; on CUDA the one after it is fetched ahead."""
        rows = self._fetch() if self.ahead is None else self.ahead
        self.position = self.batches.state_dict()
        self.ahead = self._fetch() if self.device.type == "cuda" else None
        return rows

    def _fetch(self) -> "Tensor":
        import torch

        rows = torch.from_numpy(self.group.own(next(self.batches)))
        return rows if self.device.type == "cpu" else rows.pin_memory().to(self.device, non_blocking=True)


def describe(summary: dict[str, Any]) -> str:
    """Return the summary for people."""
    speed = f"{summary['median_tokens_per_second']:,.0f} tokens/s"
    speed += f" = {summary['model_flops_per_second'] / 1e9:,.1f} GFLOP/s"
    if summary["mfu"]:
        speed += f" ({summary['mfu']:.1%} of the device's peak)"
    return (
        f"{summary['name']}: {summary['steps']} steps, {summary['tokens']:,} tokens in "
        f"{clock(summary['seconds'])} of training ({speed})\n"
        f"validation {summary['bits_per_byte']:.4f} bits/byte, best {summary['best_bits_per_byte']:.4f} "
        f"at step {summary['best_step']}\n"
        f"run: {summary['folder']}"
    )


# --- after the loop --------------------------------------------------------------------------------------------------


def _how_to_resume(folder: Path, config: Config) -> str:
    same = "" if folder == runs.run_folder(config.name) else f" --folder {folder}"
    return f"Go on with: python -m symbolic train {runs.config_file(folder)}{same} --resume"


def _remedy(folder: Path, kept: Path | None) -> str:
    """Return what to do where the loss is not finite."""
    begin = f" --from {kept}" if kept else ""
    return (
        "Start a new run with a lower train.learning_rate or more train.warmup_steps: "
        f"train {runs.config_file(folder)}{begin} --name NAME --train.learning_rate RATE"
    )


def _summary(setup: Setup, log: Journal) -> dict[str, Any]:
    """Return the figures of a finished run; the median speed is that without compilation and hiccups, and FLOP/s go by
    it."""
    from symbolic import models

    config, folder, cost, peak = setup.config, setup.folder, setup.cost, setup.peak
    tokens = config.train.steps * log.tokens_per_step
    rows = metrics_log.read(runs.metrics_file(folder))
    speed = statistics.median(row["tokens_per_second"] for row in rows if row["kind"] == "speed")
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
        "best_step": log.best_step,
        "checkpoint": str(runs.checkpoint_folder(folder, config.train.steps)),
        "best": str(runs.best_folder(folder)),
    }
