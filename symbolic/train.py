"""Train any model of a configuration: one loop for all.

    python -m symbolic train configs/gpt2-6m.yaml --train.steps 2000
    python -m symbolic train configs/gpt2-6m.yaml --train.steps 2000 --resume
    torchrun --nproc-per-node 2 -m symbolic train configs/gpt2-60m.yaml --resume     (symbolic.distributed)

Every key of the configuration is also an option. The run directory, runs/NAME unless --folder names another, is
described file by file in `symbolic.runs`. Ctrl-C saves a checkpoint and exits with 130; --resume goes on from the
newest whole checkpoint, on one thread with bit-identical losses, and starts a run that has none.

Conventions: loss in nats a token, mean over all tokens of a step (batch_size * accumulation rows of `context` tokens);
validation in bits per byte of the canonical text (`symbolic.likelihood`). A step is an optimiser update; `step` is the
number of updates made.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files, journal, runs
from symbolic.config import Config
from symbolic.errors import UsageError, UserError
from symbolic.journal import Console, Journal, Reporter, Status

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from symbolic.checkpoint import Origin
    from symbolic.data.loader import Batches
    from symbolic.data.pieces import TempoSpread
    from symbolic.data.shards import Shard
    from symbolic.distributed import Group
    from symbolic.models import Model
    from symbolic.tokens import Tokenizer

# Keys that a resumed run may change: they alter no loss.
FREE_KEYS = {"name", "device", "compile", "threads", "sharding", "data.folder"} | {
    f"train.{key}" for key in ("evaluate_every", "evaluate_tunes", "checkpoint_every", "keep_checkpoints")
}


class Interrupted(UserError):
    """Training stopped by a signal after it was saved; `status` is 128 + the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, what to do with its run directory, and every key."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="the run, for example configs/gpt2-6m.yaml")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    parser.add_argument("--folder", type=Path, help="run directory (default: runs/NAME)")
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")
    configuration.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Train as asked on the command line."""
    config = configuration.load(args.config, configuration.overrides_of(args))
    try:
        summary = train(config, args.folder, resume=args.resume)
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
    config: Config, folder: Path | str | None = None, resume: bool = False, on_status: Reporter | None = None
) -> dict[str, Any]:
    """Train as `config` says in the run directory `folder` (default: runs/NAME) and return the summary of run.json;
    of several processes the first does.

    `on_status` hears of progress instead of the status line on stderr.
    """
    from symbolic import distributed, machine

    configuration.check(config)
    option = "--name" if folder is None else "--folder"
    folder = runs.run_folder(config.name) if folder is None else Path(folder)
    with distributed.joined(machine.pick_device(config.device)) as group:
        if group.leads:
            _check_folder(folder, config, resume, option)
        finished = group.from_lead(_finished(folder, config) if group.leads else None)
        return finished or _trained(config, folder, resume, on_status, group)


def _trained(config: Config, folder: Path, resume: bool, on_status: Reporter | None, group: "Group") -> dict[str, Any]:
    """The loop: every process of the group runs it, and takes the same turns."""
    import torch

    from symbolic import checkpoint, distributed, machine, models, optim, tokens
    from symbolic.data import loader
    from symbolic.models import costs

    console = Console(group.stream)
    show, t = on_status or console.status, config.train

    # What the run is made of: nothing is written before all of it is known to fit.
    device = group.device(machine.pick_device(config.device))
    dtype = machine.pick_dtype(config.dtype, device)
    n_parts = group.parts(t.batch_size, t.accumulation)
    if config.threads:
        torch.set_num_threads(config.threads)
    machine.keep_freed_memory()
    torch.manual_seed(config.seed)
    source = group.from_lead(checkpoint.newest(folder, console.say) if resume and group.leads else None)
    tokenizer = tokens.load(source) if source else _build_tokenizer(config)
    with group.first():
        training, validation = _shards(config, tokenizer, console)
    batches = loader.Batches(
        training, t.batch_size * t.accumulation, config.data.context, config.seed, config.data.packing
    )
    tunes, n_bytes = _validation_tunes(validation, t.evaluate_tunes)

    # The state: as a checkpoint left it, or new.
    if source:
        model, optimizer, at = checkpoint.load(source, device, lambda model: optim.build(model, t))
        batches.load_state_dict(at.data)
    else:
        model = models.build(config.model).to(device)
        optimizer, at = optim.build(model, t), checkpoint.Progress(0)
    model.train()
    feed = Feed(batches, device, group)
    origin = _origin(config, tokenizer, training)
    cost = costs.training_flops(config.model, config.data.context)
    peak = machine.peak_flops(device, dtype)
    if config.compile:
        _compile_blocks(model, device)
    console.say(_opening(config, folder, model, device, dtype, at.step, cost))
    if group.leads:
        _claim(folder, config, origin, model, device, dtype, at.step)
        checkpoint.discard_after(folder, at.step)
    runner, optimizer = distributed.spread(model, optimizer, config, group, device)
    if group.world > 1:
        console.say(f"{group.world} processes, {config.sharding}, {n_parts} parts of a step on each")
        torch.manual_seed(zlib.crc32(f"{config.seed} {at.step} {group.rank}".encode()))  # dropout of its own

    def save(where: Path, with_moments: bool) -> None:
        here = checkpoint.Progress(step, step * tokens_per_step, log.seconds, feed.position)
        whole = distributed.whole(model, optimizer, config, group)
        if group.leads:
            checkpoint.save(where, whole[0], tokenizer, here, origin, whole[1] if with_moments else None)

    step, began, first, saved = at.step, time.perf_counter(), at.step, at.step
    tokens_per_step = t.batch_size * t.accumulation * config.data.context
    with (
        contextlib.closing(console),
        _metrics_file(folder, group) as metrics,
        contextlib.closing(Journal(metrics, step, at.seconds, tokens_per_step)) as log,
        _stop_signals(console.say, group.world == 1) as stop,
    ):
        while True:
            if step % distributed.AGREE_EVERY == 0 or step == t.steps:
                stop.number = group.agreed(stop.asked)
            if _due(step, t.evaluate_every, t.steps) and step not in log.validations:
                before = log.best
                result = _evaluate(model, tunes, n_bytes, config, dtype, stop, console, group)
                if result is not None:
                    log.validated(step, result)
                    console.say(f"step {step}: validation {result['bits_per_byte']:.4f} bits/byte")
                    if result["bits_per_byte"] < before:
                        save(runs.best_folder(folder), False)
            if step != saved and (_due(step, t.checkpoint_every, t.steps) or stop.number):
                with _kept(folder, saved):
                    log.flush(cost, peak)  # a signal may have come after the last logging moment
                save(runs.checkpoint_folder(folder, step), True)
                if group.leads:
                    checkpoint.prune(folder, t.keep_checkpoints)
                saved = step
            if step == t.steps or stop.number:
                break
            if not log.pending:
                log.restart_clock()

            rate = optim.learning_rate(step, t)
            optim.set_learning_rate(optimizer, rate)
            loss = group.mean(accumulate(runner, feed.next(), n_parts, dtype))
            norm = distributed.local(torch.nn.utils.clip_grad_norm_(model.parameters(), t.clip_norm))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            log.add(step, loss, norm, rate)

            saving = _due(step, t.evaluate_every, t.steps) or _due(step, t.checkpoint_every, t.steps) or stop.number
            if saving or log.due():  # the only place where the host waits for the device
                with _kept(folder, saved):
                    log.flush(cost, peak)
                left = (time.perf_counter() - began) / (step - first) * (t.steps - step)
                show(_status(config, log, step, left))

    if step < t.steps or step not in log.validations:
        where = f"stopped and saved at step {step}" if step else "stopped before the first step"
        raise Interrupted(f"{where}. {_how_to_resume(folder, config)}", stop.number)
    summary = _summary(config, folder, model, log, cost, peak) if group.leads else {}
    if group.leads:
        files.write_json(runs.run_file(folder), {**files.read_json(runs.run_file(folder)), "summary": summary})
    return group.from_lead(summary)


def accumulate(model: "nn.Module", rows: "Tensor", accumulation: int, dtype: "torch.dtype") -> "Tensor":
    """Add the gradient of the mean loss over all tokens of `rows` (B, T + 1), taken in `accumulation` equal parts.

    The parts hold equally many tokens, so that the mean of their means is the mean over all; it is returned.
    """
    import torch

    from symbolic.distributed import last_part_only

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
        f"{journal.clock(summary['seconds'])} of training ({speed})\n"
        f"validation {summary['bits_per_byte']:.4f} bits/byte, best {summary['best_bits_per_byte']:.4f} "
        f"at step {summary['best_step']}\n"
        f"run: {summary['folder']}"
    )


# --- before the loop -------------------------------------------------------------------------------------------------


def _check_folder(folder: Path, config: Config, resume: bool, option: str) -> None:
    """Refuse to overwrite anything, and to go on with a run under another configuration; `option` names the folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another {option}.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not _is_ours(folder):
        raise UsageError(f"{folder} is not empty and holds no run: choose another {option}, a new or empty folder.")
    if not resume:
        raise UsageError(f"the run {folder} exists. Add --resume to go on with it, or choose another {option}.")
    if not runs.config_file(folder).exists() or not runs.checkpoints(
        folder
    ):  # nothing to go on from: a fresh start under any configuration
        return
    before = configuration.load(runs.config_file(folder))
    changed = [key for key in configuration.differences(before, config) if key not in FREE_KEYS]
    if changed:
        raise UsageError(
            f"cannot resume {folder}: {', '.join(changed)} {'differs' if len(changed) == 1 else 'differ'} from "
            f"{runs.config_file(folder)}. Take the run's values, or start another with {option}."
        )


def _is_ours(folder: Path) -> bool:
    """Whether a folder is a run, if only just begun; other programs have a config.yaml, too."""
    if runs.run_file(folder).is_file():
        return True
    try:
        configuration.load(runs.config_file(folder))
    except UsageError:
        return False
    return True


def _finished(folder: Path, config: Config) -> dict[str, Any] | None:
    """The summary of a run that made all its steps and whose model is there."""
    if not runs.run_file(folder).exists() or not runs.is_model(runs.best_folder(folder)):
        return None
    summary = files.read_json(runs.run_file(folder)).get("summary")
    return summary if summary and summary["steps"] == config.train.steps else None


def _build_tokenizer(config: Config) -> "Tokenizer":
    from symbolic import tokens
    from symbolic.data import arrangements

    texts = (row["text"] for row in files.read_jsonl(Path(config.data.folder) / "tunes" / "train.jsonl"))
    lines = arrangements.lines(config.data)
    return tokens.build(config.tokenizer.kind, config.tokenizer.vocab_size, texts, lines)


def _shards(config: Config, tokenizer: "Tokenizer", console: Console) -> tuple["Shard", "Shard"]:
    """The training and validation splits as tokens."""
    from symbolic.data import arrangements, shards

    semitones = range(config.data.transpose_low, config.data.transpose_high + 1)
    folder = shards.build(
        config.data.folder,
        tokenizer,
        semitones,
        lambda done, total: console.working(f"encoding tunes {done}/{total}"),
        _tempo_spread(config) or arrangements.of(config.data, config.seed),
    )
    return shards.load(folder, "train", tokenizer.digest), shards.load(folder, "valid", tokenizer.digest)


def _tempo_spread(config: Config) -> "TempoSpread | None":
    from symbolic.data.pieces import TempoSpread

    is_midi = config.tokenizer.kind in configuration.MIDI_KINDS
    return TempoSpread(config.data.tempo_spread, config.seed) if is_midi and config.data.tempo_spread else None


def _validation_tunes(shard: "Shard", n: int) -> tuple[list[list[int]], list[int]]:
    """Ids and bytes of `n` tunes spread evenly over the split (0: of all)."""
    if shard.n_tunes == 0:
        raise UserError(f"the validation split in {shard.folder} is empty: prepare more tunes.")
    n = min(n or shard.n_tunes, shard.n_tunes)
    chosen = [index * shard.n_tunes // n for index in range(n)]
    return [shard.document(tune).tolist() for tune in chosen], [shard.bytes_of(tune) for tune in chosen]


def _origin(config: Config, tokenizer: "Tokenizer", shard: "Shard") -> "Origin":
    from symbolic.checkpoint import Origin

    terms = files.read_json(shard.folder / "header.json").get("sources", [])
    return Origin(configuration.digest(config), tokenizer.digest, terms, dataclasses.asdict(config))


def _claim(
    folder: Path,
    config: Config,
    origin: "Origin",
    model: "Model",
    device: "torch.device",
    dtype: "torch.dtype",
    step: int,
) -> None:
    """Write the resolved configuration and what the run is made on."""
    from symbolic import machine, models

    files.write_whole(runs.config_file(folder), configuration.dump(config))
    record = {
        "name": config.name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "from_step": step,
        "machine": machine.card(),
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "paths": models.paths(model),
        "config_digest": origin.config_digest,
        "tokenizer_digest": origin.tokenizer_digest,
        "parameters": _n_parameters(model),
        "terms": origin.terms,
    }
    files.write_json(runs.run_file(folder), record)


def _compile_blocks(model: "Model", device: "torch.device") -> None:
    """Compile each block in place: as fast as compiling the whole model, and several times quicker to compile."""
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        raise UsageError("compile: true needs a C++ compiler (g++) on a CPU: install one, or write `compile: false`.")
    for block in model.blocks:
        block.compile()


def _opening(
    config: Config,
    folder: Path,
    model: "Model",
    device: "torch.device",
    dtype: "torch.dtype",
    step: int,
    cost: float,
) -> str:
    from symbolic import models

    t = config.train
    forms = ", ".join(f"{kind} {form}" for kind, form in models.paths(model).items())
    tokens = t.steps * t.batch_size * t.accumulation * config.data.context
    return (
        f"{folder}: {_n_parameters(model):,} parameters on {device} in {str(dtype).removeprefix('torch.')} ({forms}); "
        f"step {step} of {t.steps}; {tokens:,} tokens in all, {cost * tokens:.2g} FLOP"
    )


def _n_parameters(model: "Model") -> int:
    return sum(p.numel() for p in model.parameters())


# --- in the loop -----------------------------------------------------------------------------------------------------


def _due(step: int, every: int, steps: int) -> bool:
    return step > 0 and (step % every == 0 or step == steps)


def _evaluate(
    model: "Model",
    tunes: list[list[int]],
    n_bytes: list[int],
    config: Config,
    dtype: "torch.dtype",
    stop: "Stop",
    console: Console,
    group: "Group",
) -> dict[str, Any] | None:
    """Validation figures for metrics.jsonl, of several processes each on its share of the tunes unless the model is
    sharded; None when a signal came meanwhile."""
    import torch

    from symbolic import likelihood

    def on_batch(done: int, total: int) -> None:
        if stop.number:
            raise _Leave
        console.working(f"validation {done}/{total}")

    began, dealt = time.perf_counter(), config.sharding == "replicated"
    mine, bytes_of_mine = (group.own(tunes), group.own(n_bytes)) if dealt else (tunes, n_bytes)
    settings: dict[str, Any] = {"context": config.data.context, "dtype": dtype, "on_batch": on_batch}
    try:
        with torch.compiler.set_stance("force_eager"):  # each batch has its own shape: compiling them would not pay
            scores = likelihood.score(model, mine, bytes_of_mine, **settings)
            scores = group.together(scores) if dealt else scores
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
        raise UserError(f"{error} {left} Try a lower train.learning_rate or more train.warmup_steps.") from error


class _Leave(Exception):
    """Leave an evaluation: a signal came."""


class Stop:
    """The signal that asked training to stop: `asked` of this process, `number` when all processes know; 0 before."""

    asked = number = 0


@contextlib.contextmanager
def _stop_signals(say: Callable[[str], None], alone: bool = True) -> Iterator[Stop]:
    """Note SIGINT and SIGTERM instead of dying of them; a second one acts at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
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


def _summary(
    config: Config, folder: Path, model: "Model", log: Journal, cost: float, peak: float | None
) -> dict[str, Any]:
    """The figures of a finished run; the median speed is that without compilation and hiccups, and FLOP/s go by it."""
    tokens = config.train.steps * log.tokens_per_step
    rows = journal.read(runs.metrics_file(folder))
    speed = statistics.median(row["tokens_per_second"] for row in rows if row["kind"] == "speed")
    best_step = min(log.validations, key=lambda step: (log.validations[step], step))
    return {
        "name": config.name,
        "folder": str(folder),
        "parameters": _n_parameters(model),
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
