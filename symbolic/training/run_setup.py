"""Set-up of a training run: its parts are checked and built before the first step, and nothing is written before.

A run is begun anew, or goes on from its newest whole checkpoint. Of several processes rank 0 looks at the folder,
encodes the corpus and claims the run directory; every rank has the whole model (`symbolic.training.distributed` spreads
it).
"""

import dataclasses
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files
from symbolic.config import Config
from symbolic.errors import UsageError, UserError
from symbolic.progress import Console
from symbolic.training import extra_logs, run_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

    from symbolic.data.loader import Batches
    from symbolic.data.shards import Shard
    from symbolic.formats.midi_text import TempoSpread
    from symbolic.models import Model
    from symbolic.tokens import Tokenizer
    from symbolic.training.checkpoint import Origin, TrainingProgress
    from symbolic.training.distributed import Group
    from symbolic.training.warm_start import Start


@dataclass
class Setup:
    """The parts of a run; `model` holds the weights, `runner` is what is called, which may exchange gradients."""

    config: Config
    folder: Path
    group: "Group"
    device: "torch.device"
    dtype: "torch.dtype"
    n_parts: int  # of this rank's rows of a step
    tokenizer: "Tokenizer"
    batches: "Batches"
    tunes: list[list[int]]  # validation: ids
    n_bytes: list[int]  # and bytes of canonical text
    model: "Model"
    runner: "nn.Module"
    optimizer: "torch.optim.Optimizer"
    at: "TrainingProgress"
    origin: "Origin"
    cost: float  # model FLOP a token, forward and backward
    peak: float | None  # FLOP/s of the device, where known

    @property
    def tokens_per_step(self) -> int:
        """Tokens of an update, of all ranks together."""
        t = self.config.train
        return t.batch_size * t.accumulation * self.config.data.context


def build(config: Config, folder: Path, resume: bool, group: "Group", console: Console) -> Setup:
    """Build the parts of the run and claim its directory."""
    import torch

    from symbolic import machine, tokens
    from symbolic.data import loader
    from symbolic.models import costs
    from symbolic.training import checkpoint, distributed

    t = config.train
    extra_logs.check(t.logs)
    device = group.device(machine.pick_device(config.device))
    dtype = machine.pick_dtype(config.dtype, device)
    n_parts = group.parts(t.batch_size, t.accumulation)
    if config.threads:
        torch.set_num_threads(config.threads)
    machine.keep_freed_memory()
    torch.manual_seed(config.seed)
    _check_notation(config)
    source = group.from_lead(checkpoint.newest(folder, console.say) if resume and group.leads else None)
    start = _start(config) if not source or t.lora_rank else None
    tokenizer = tokens.load(source) if source else _build_tokenizer(config, start)
    with group.first():
        training, validation = _shards(config, tokenizer, console)
    batches = loader.Batches(
        training, t.batch_size * t.accumulation, config.data.context, config.seed, config.data.packing, config.data.keys
    )
    tunes, n_bytes = _validation_tunes(validation, t.evaluate_tunes)
    model, optimizer, at = _state(config, source, device, batches, tokenizer, start)
    if config.compile:
        _compile_blocks(model, device)
    made = Setup(
        config=config,
        folder=folder,
        group=group,
        device=device,
        dtype=dtype,
        n_parts=n_parts,
        tokenizer=tokenizer,
        batches=batches,
        tunes=tunes,
        n_bytes=n_bytes,
        model=model,
        runner=model,
        optimizer=optimizer,
        at=at,
        origin=_origin(config, tokenizer, training, start, source),
        cost=costs.training_flops(config.model, config.data.context),
        peak=machine.peak_flops(device, dtype),
    )
    _announce(made, console)
    if group.leads:
        run_folder.claim(folder, config, _record(made))
        checkpoint.discard_after(folder, at.step)
    made.runner, made.optimizer = distributed.spread(model, optimizer, config, group, device)
    if group.world > 1:
        console.say(f"{group.world} processes, {config.sharding}, {n_parts} parts of a step on each")
        torch.manual_seed(zlib.crc32(f"{config.seed} {at.step} {group.rank}".encode()))  # dropout of its own
    return made


def _announce(setup: Setup, console: Console) -> None:
    """Say what is trained on what, and which weights and positions are not trained."""
    config = setup.config
    console.say(_opening(setup))
    if config.train.lora_rank:
        n_trained = sum(p.numel() for p in setup.model.parameters() if p.requires_grad)
        rank = config.train.lora_rank
        console.say(f"LoRA of rank {rank}: {n_trained:,} numbers are trained beside the weights of {config.start}")
    n_positions = getattr(config.model, "n_positions", 0)
    if n_positions > config.data.context:
        span = f"{config.data.context + 1} to {n_positions}"
        console.say(f"positions {span} are not trained, so tunes end at {config.data.context} tokens.")


def _start(config: Config) -> "Start | None":
    """Read the model whose weights the run begins with."""
    from symbolic.training import warm_start

    return warm_start.read(config.start) if config.start else None


def _state(
    config: Config,
    source: Path | None,
    device: "torch.device",
    batches: "Batches",
    tokenizer: "Tokenizer",
    start: "Start | None",
) -> "tuple[Model, torch.optim.Optimizer, TrainingProgress]":
    """Load model, optimiser and progress from a checkpoint, with `batches` set to go on there; or make new ones."""
    from symbolic import models
    from symbolic.training import checkpoint, optim, warm_start

    if source and not config.train.lora_rank:
        model, optimizer, at = checkpoint.load(source, device, lambda model: optim.build(model, config.train))
    else:
        model = models.build(config.model)
        if start:
            warm_start.fill(model, tokenizer, start)
        if start and config.train.lora_rank:
            warm_start.adapt(model, tokenizer, start, config.train.lora_rank, source)
        model = model.to(device)
        optimizer = optim.build(model, config.train)
        at = checkpoint.load_trained(source, model, optimizer) if source else checkpoint.TrainingProgress(0)
    if source:
        batches.load_state_dict(at.data)
    model.train()
    return model, optimizer, at


def _check_notation(config: Config) -> None:
    """Refuse a tokenizer of MIDI on ABC, and the other way round: the one would fail, the other read letters."""
    from symbolic.formats import midi_text

    path = Path(config.data.folder) / "tunes" / "train.jsonl"
    first = next(iter(files.read_jsonl(path)), {"text": ""})["text"]
    kind, is_midi = config.tokenizer.kind, midi_text.is_piece(first)
    if first and is_midi != (kind in configuration.MIDI_KINDS):
        held, way = ("MIDI", "without --as midi") if is_midi else ("ABC", "with --as midi")
        raise UsageError(
            f"{config.data.folder} holds {held}, which tokenizer.kind {kind} does not read: choose another kind, or "
            f"prepare another folder {way}."
        )


def _build_tokenizer(config: Config, start: "Start | None") -> "Tokenizer":
    """Build the tokenizer of the configuration; take that of the model the run begins with where it is of the same
    kind."""
    from symbolic import tokens
    from symbolic.data import augmentation

    if start and (start.tokenizer.kind, start.tokenizer.vocab_size) == (
        config.tokenizer.kind,
        config.tokenizer.vocab_size,
    ):
        return start.tokenizer

    texts = (row["text"] for row in files.read_jsonl(Path(config.data.folder) / "tunes" / "train.jsonl"))
    lines = augmentation.lines(config.data)
    return tokens.build(config.tokenizer.kind, config.tokenizer.vocab_size, texts, lines)


def _shards(config: Config, tokenizer: "Tokenizer", console: Console) -> tuple["Shard", "Shard"]:
    """Encode the training and validation splits."""
    from symbolic.data import augmentation, shards
    from symbolic.notation import validity

    semitones = range(config.data.transpose_low, config.data.transpose_high + 1)
    folder = shards.build(
        config.data.folder,
        tokenizer,
        semitones,
        lambda done, total: console.working(f"encoding tunes {done}/{total}"),
        _tempo_spread(config) or augmentation.of(config.data, config.seed),
        validity.has_right_bars if config.data.tunes == "right" else None,
    )
    return shards.load(folder, "train", tokenizer.digest), shards.load(folder, "valid", tokenizer.digest)


def _tempo_spread(config: Config) -> "TempoSpread | None":
    from symbolic.formats.midi_text import TempoSpread

    is_midi = config.tokenizer.kind in configuration.MIDI_KINDS
    return TempoSpread(config.data.tempo_spread, config.seed) if is_midi and config.data.tempo_spread else None


def _validation_tunes(shard: "Shard", n: int) -> tuple[list[list[int]], list[int]]:
    """Return ids and bytes of `n` tunes spread evenly over the split (0: of all)."""
    if shard.n_tunes == 0:
        raise UserError(f"the validation split in {shard.folder} is empty: prepare more tunes.")
    n = min(n or shard.n_tunes, shard.n_tunes)
    chosen = [index * shard.n_tunes // n for index in range(n)]
    return [shard.document(tune).tolist() for tune in chosen], [shard.bytes_of(tune) for tune in chosen]


def _origin(
    config: Config, tokenizer: "Tokenizer", shard: "Shard", start: "Start | None", source: Path | None
) -> "Origin":
    """Record what the run is made from; the terms of the model it begins with are terms of its own.

    A run that goes on keeps what its checkpoint `source` says of its start: the model of that name may be another now.
    """
    from symbolic.training.checkpoint import Origin, verify

    before = verify(source) if source else {}
    origin = before.get("start", {}) if source else (start.origin if start else {})
    terms = files.read_json(shard.folder / "header.json").get("sources", [])
    known = before.get("terms", []) if source else (start.terms if start else [])
    terms += [term for term in known if term not in terms]
    return Origin(configuration.digest(config), tokenizer.digest, terms, dataclasses.asdict(config), origin)


def _record(made: Setup) -> dict[str, Any]:
    """Return what run.json says of what the run is made from and how it is computed."""
    from symbolic import models

    record = {
        "from_step": made.at.step,
        "device": str(made.device),
        "dtype": str(made.dtype).removeprefix("torch."),
        "paths": models.paths(made.model),
        "config_digest": made.origin.config_digest,
        "tokenizer_digest": made.origin.tokenizer_digest,
        "parameters": models.n_parameters(made.model),
        "terms": made.origin.terms,
    }
    if made.origin.start:
        record["start"] = made.origin.start
    return record


def _compile_blocks(model: "Model", device: "torch.device") -> None:
    """Compile each block in place: as fast as compiling the whole model, and several times quicker to compile."""
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        raise UsageError("compile: true needs a C++ compiler (g++) on a CPU: install one, or write `compile: false`.")
    for block in model.blocks:
        block.compile()


def _opening(made: Setup) -> str:
    """Word the line printed before the first step."""
    from symbolic import models

    forms = ", ".join(f"{kind} {form}" for kind, form in models.paths(made.model).items())
    n_steps = made.config.train.steps
    n_tokens = n_steps * made.tokens_per_step
    return (
        f"{made.folder}: {models.n_parameters(made.model):,} parameters on {made.device} in "
        f"{str(made.dtype).removeprefix('torch.')} ({forms}); step {made.at.step} of {n_steps}; {n_tokens:,} tokens in "
        f"all, {made.cost * n_tokens:.2g} FLOP"
    )
