"""Fine-tune MusicGen or MusicGen-melody on clips of a genre, with LoRA or all weights.

    python -m audio_bridge dataset RECORDINGS -o data/concertina
    python -m audio_bridge finetune configs/finetune/melody.yaml --data data/concertina
    python -m audio_bridge condition TUNE.abc --model runs/concertina/export --text "concertina" -o OUT.wav

Every key of the configuration is also an option. EnCodec's codes and the chroma of every clip are computed once. Each
epoch ends with the validation loss under the clips' own melodies, under those of other clips and without melody (a
model that follows its melody loses by the exchange), and with samples; training stops early where validation does not
fall. Ctrl-C or a kill loses at most `save_every` steps: --resume goes on with the same losses.

The folder: config.yaml, run.json, metrics.jsonl, last/ (to resume), best/ (trained weights of the best epoch),
samples/, and export/, a plain Hugging Face folder with LoRA merged in.
"""

import argparse
import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from audio_bridge.musicgen import finetune_checkpoint
from symbolic import config as configuration
from symbolic import files
from symbolic.config import described, within
from symbolic.errors import UserError
from symbolic.progress import Console, clock

if TYPE_CHECKING:
    import numpy as np
    import torch

    from audio_bridge.musicgen.clips import Clip
    from audio_bridge.musicgen.musicgen_model import MusicGen

LORA, FULL = "lora", "full"
LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")  # of the decoder
SPLITS = ("train", "valid")
LICENCE_NOTE = "Derived from {model}: its licence and the terms of the clips it was trained on both hold."
FREE_KEYS = ("name", "epochs", "patience", "save_every", "samples", "device")


_VARIANTS = {"exchanged": "exchanged melodies", "none": "none"}


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One fine-tuning run. A step sees batch_size * accumulation clips of at most `clip_seconds`; an epoch sees every
    clip `repeats` times, each time another crop of it.

    `drop_both`, `drop_melody`, `drop_text` are audiocraft's for melody models; guidance needs the first. `drop_codes`
    is for training from nothing (`clips.Dropout`).
    """

    name: str = described("name of the run")
    data: str = described("folder that `dataset` wrote")
    model: str = "facebook/musicgen-melody"
    method: Literal["lora", "full"] = "lora"
    rank: int = within(1, 1024, default=16)
    alpha: float = within(0.01, default=32.0)
    lora_dropout: float = within(0.0, 0.9, default=0.05)
    clip_seconds: float = within(1.0, 30.0, default=30.0)
    epochs: int = within(1, default=50)
    repeats: int = within(1, 1000, default=1)
    batch_size: int = within(1, default=2)
    accumulation: int = within(1, default=4)
    learning_rate: float = within(1e-8, 1.0, default=1e-4)
    warmup_steps: int = within(0, default=50)
    weight_decay: float = within(0.0, 10.0, default=0.01)
    clip_norm: float = within(1e-6, default=1.0)
    drop_both: float = within(0.0, 1.0, default=0.2)
    drop_melody: float = within(0.0, 1.0, default=0.5)
    drop_text: float = within(0.0, 1.0, default=0.0)
    drop_codes: float = within(0.0, 1.0, default=0.0)
    gradient_checkpointing: bool = True
    patience: int = within(1, default=5)
    save_every: int = within(1, default=100)
    samples: int = within(0, 64, default=2)
    seed: int = within(0, 2**31 - 1, default=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass
class FinetuneState:
    """Where a run stands; written with every save."""

    step: int = 0
    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = -1
    seconds: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration and every key of it."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="for example configs/finetune/melody.yaml")
    parser.add_argument("--resume", action="store_true", help="go on where the run was saved last")
    parser.add_argument("--folder", type=Path, help="run directory (default: runs/NAME)")
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")
    configuration.add_overrides(parser, FinetuneConfig)


def run(args: argparse.Namespace) -> int:
    """Fine-tune as asked on the command line."""
    config = configuration.load_as(FinetuneConfig, args.config, configuration.overrides_of(args))
    summary = finetune(config, args.folder or Path("runs") / config.name, resume=args.resume)
    print(describe(summary))
    if args.json:
        print(json.dumps(summary))
    return 0


def finetune(
    config: FinetuneConfig, folder: Path, *, resume: bool = False, gen: "MusicGen | None" = None
) -> dict[str, Any]:
    """Train as `config` says and return the summary of run.json. `gen` is a model already in memory."""
    import torch

    from audio_bridge.musicgen import clips, musicgen_model
    from symbolic import machine

    console = Console()
    finetune_checkpoint.check(folder, config, resume, FREE_KEYS)
    for split in SPLITS:  # looked for before the model, which takes minutes to load
        clips.find(Path(config.data), split)
    device = machine.pick_device(config.device)
    dtype = musicgen_model.pick_dtype(config.dtype, device)
    if gen is None:
        gen = musicgen_model.load(config.model, device, torch.float32 if config.method == FULL else dtype)
    if gen.n_channels != 1:
        raise UserError(
            f"{config.model} is a stereo model, whose pairs of codebooks are not trained here: take a mono one."
        )
    train, valid = (clips.load(Path(config.data), split, gen, console.say) for split in SPLITS)
    trained = prepare(gen, config)
    finetune_checkpoint.claim(folder, config)
    console.say(_opening(config, gen, trained, train, valid, device))
    optimizer = torch.optim.AdamW(trained.values(), lr=config.learning_rate, betas=(0.9, 0.95))
    for group in optimizer.param_groups:
        group["weight_decay"] = config.weight_decay
    state = FinetuneState(**((finetune_checkpoint.restore(folder, trained, optimizer) if resume else None) or {}))
    loop = _Loop(config, folder, gen, trained, optimizer, train, valid, dtype, console)
    with contextlib.closing(console):
        loop.run(state)
    summary = _finish(loop, state)
    files.write_json(folder / "run.json", {**files.read_json(folder / "run.json"), "summary": summary})
    return summary


def prepare(gen: "MusicGen", config: FinetuneConfig) -> dict[str, "torch.nn.Parameter"]:
    """Freeze what is not trained, put LoRA in place, and return the trained parameters by name."""
    import torch

    from symbolic.training import lora

    torch.manual_seed(config.seed)
    gen.model.requires_grad_(False)
    if config.method == LORA:
        lora.attach(gen.model.decoder, LORA_LAYERS, config.rank, config.alpha, config.lora_dropout)
    else:
        for name, parameter in gen.model.named_parameters():
            parameter.requires_grad_(not name.startswith(("text_encoder.", "audio_encoder.")))
    if config.gradient_checkpointing:
        finetune_checkpoint.checkpoint_activations(gen.model.decoder)
    return {name: parameter for name, parameter in gen.model.named_parameters() if parameter.requires_grad}


def memory_bytes(config: FinetuneConfig, gen: "MusicGen", n_trained: int) -> int:
    """Peak memory of training, by formula: weights, gradients and moments, and the activations of one batch.

    With checkpointing a layer keeps its input alone and one layer is computed again at a time.
    """
    d = gen.model.config.decoder
    positions = config.clip_seconds * gen.sample_rate / gen.frame_samples + gen.chroma_frames + 64
    tokens = config.batch_size * positions
    a_layer = (
        tokens * (14 * d.hidden_size + 2 * d.ffn_dim) * 4 + config.batch_size * d.num_attention_heads * positions * 4
    )
    kept = tokens * d.hidden_size * 4 * d.num_hidden_layers + a_layer
    activations = kept if config.gradient_checkpointing else a_layer * d.num_hidden_layers
    logits = 3 * tokens * gen.n_codebooks * d.vocab_size * 4
    weights = sum(p.numel() * p.element_size() for p in gen.model.parameters())
    return round(weights + finetune_checkpoint.BYTES_A_TRAINED * n_trained + activations + logits)


def describe(summary: dict[str, Any]) -> str:
    """The summary for people."""
    lines = [
        f"{summary['name']}: {summary['steps']} steps in {clock(summary['seconds'])}, stopped because "
        f"{summary['stopped']}",
        f"validation {summary['best_loss']:.4f} nats a code at epoch {summary['best_epoch'] + 1}",
    ]
    if summary["nearest"]:
        worst = max(summary["nearest"], key=lambda row: row["agreement"])
        verdict = "a COPY" if worst["copied"] else "no copy"
        lines.append(
            f"nearest training clip of a sample: {worst['clip']}, {worst['agreement']:.2f} of bits ({verdict})"
        )
    return "\n".join([*lines, f"model: {summary['export']}"])


class _Loop:
    """Epochs, each a permutation of the clips by seed and epoch alone, so that a resumed run sees the same."""

    def __init__(
        self, config: FinetuneConfig, folder: Path, gen: "MusicGen", trained: dict[str, Any], optimizer: Any,
        train: "list[Clip]", valid: "list[Clip]", dtype: "torch.dtype", console: Console,
    ) -> None:  # fmt: skip
        import torch

        self.config, self.folder, self.gen, self.trained = config, folder, gen, trained
        self.optimizer, self.train, self.valid, self.dtype, self.console = optimizer, train, valid, dtype, console
        self.scaler = torch.amp.GradScaler(enabled=dtype == torch.float16)
        self.per_epoch = math.ceil(len(train) * config.repeats / (config.batch_size * config.accumulation))
        self.stopped = "all epochs were made"

    def run(self, state: FinetuneState) -> None:
        """Train until the last epoch or until validation has not fallen for `patience` epochs."""
        total = self.per_epoch * self.config.epochs
        began, first = time.perf_counter(), state.step
        before = state.seconds
        while state.step < total:
            batch = self.batch(state.step)
            loss = self.update(batch, state.step)
            state.step += 1
            state.seconds = before + time.perf_counter() - began
            left = (time.perf_counter() - began) / (state.step - first) * (total - state.step)
            finetune_checkpoint.note(self.folder, "train", step=state.step, loss=loss)
            self.console.working(f"step {state.step}/{total}  loss {loss:.3f}  {clock(left)} left at most")
            if state.step % self.per_epoch == 0:
                self._end_epoch(state)
                finetune_checkpoint.save(self.folder, self.trained, self.optimizer, asdict(state))
                if state.epoch - 1 - state.best_epoch >= self.config.patience:
                    self.stopped = f"validation has not fallen for {self.config.patience} epochs"
                    return
            elif state.step % self.config.save_every == 0:
                finetune_checkpoint.save(self.folder, self.trained, self.optimizer, asdict(state))

    def batch(self, step: int) -> "list[Clip]":
        """The clips of a step; every clip is seen `repeats` times an epoch."""
        import numpy as np

        epoch, place = divmod(step, self.per_epoch)
        n_seen = len(self.train) * self.config.repeats
        order = np.random.default_rng([self.config.seed, epoch]).permutation(n_seen) % len(self.train)
        size = self.config.batch_size * self.config.accumulation
        return [self.train[i] for i in order[place * size : (place + 1) * size]]

    def update(self, batch: "list[Clip]", step: int) -> float:
        """One step of the optimiser; the loss is the mean over all codes of all clips, however they are grouped."""
        import numpy as np
        import torch

        from audio_bridge.musicgen import clips

        rng = np.random.default_rng([self.config.seed, 1, step])
        torch.manual_seed(self.config.seed + 7919 * step)  # the model's own dropout
        cropped = [clips.crop(clip, self.config.clip_seconds, self.gen, rng) for clip in batch]
        size, total = self.config.batch_size, sum(clip.codes.shape[1] for clip in cropped)
        self.gen.model.decoder.train()
        mean = 0.0
        for start in range(0, len(cropped), size):
            part = cropped[start : start + size]
            share = sum(clip.codes.shape[1] for clip in part) / total
            loss = self._loss(part, rng) * share
            self.scaler.scale(loss).backward()
            mean += float(loss.detach())
        if not math.isfinite(mean):
            raise UserError(f"step {step + 1}: the loss is {mean}. Lower learning_rate, or train in float32.")
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.trained.values(), self.config.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return mean

    def _loss(self, part: "list[Clip]", rng: "np.random.Generator") -> "torch.Tensor":
        from audio_bridge.musicgen import clips

        c = self.config
        dropout = clips.Dropout(c.drop_both, c.drop_melody, c.drop_text, c.drop_codes)
        with self._autocast():
            return clips.loss(self.gen, part, dropout, rng)

    def _autocast(self) -> Any:
        import torch

        return torch.autocast(self.gen.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to a tenth."""
        c, total = self.config, self.per_epoch * self.config.epochs
        if step < c.warmup_steps:
            return c.learning_rate * (step + 1) / c.warmup_steps
        progress = (step - c.warmup_steps) / max(1, total - c.warmup_steps)
        return c.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(1.0, progress)))

    def _end_epoch(self, state: FinetuneState) -> None:
        losses = validation(self.gen, self.valid, self.config, self._autocast)
        paths = self._samples(state.epoch)
        finetune_checkpoint.note(
            self.folder, "validation", step=state.step, epoch=state.epoch, **losses, samples=[str(p) for p in paths]
        )
        melody = "".join(f", {what} {losses[name]:.4f}" for name, what in _VARIANTS.items() if name in losses)
        if "none" in losses and "exchanged" not in losses:
            melody += ", exchanged melodies: one validation clip has nothing to exchange"
        self.console.say(f"epoch {state.epoch + 1}: validation {losses['loss']:.4f} nats a code{melody}")
        if losses["loss"] < state.best_loss:
            state.best_loss, state.best_epoch = losses["loss"], state.epoch
            finetune_checkpoint.write(self.folder / "best", finetune_checkpoint.weights(self.trained), asdict(state))
        state.epoch += 1

    def _samples(self, epoch: int) -> list[Path]:
        """Sounds made under the melodies of the first validation clips."""
        from audio_bridge.sound.audio import Audio, write_audio

        sounds = sampled(self.gen, self.valid[: self.config.samples], self.config)
        paths = [self.folder / "samples" / f"epoch-{epoch + 1:03d}-{i + 1}.wav" for i in range(len(sounds))]
        for path, sound in zip(paths, sounds, strict=True):
            write_audio(Audio(sound[None].clip(-1, 1), self.gen.sample_rate), path)
        return paths


def validation(
    gen: "MusicGen", valid: "list[Clip]", config: FinetuneConfig, autocast: Callable[[], Any] = contextlib.nullcontext
) -> dict[str, float]:
    """Loss of held-out clips under their own conditions; of a melody model also under another clip's melody
    (`exchanged`, left out where all clips have one melody) and under none (`none`)."""
    import numpy as np
    import torch

    from audio_bridge.musicgen import clips

    gen.model.eval()
    rng = np.random.default_rng(config.seed)
    cut = [clips.crop(clip, config.clip_seconds, gen, rng) for clip in valid]
    variants = {"loss": (cut, clips.Dropout(0, 0, 0))}
    if gen.hears_melody:
        others = exchanged(cut)
        if others:
            variants["exchanged"] = (others, clips.Dropout(0, 0, 0))
        variants["none"] = (cut, clips.Dropout(0, 1, 0))
    with torch.no_grad(), autocast():
        return {name: _mean_loss(gen, own, dropout, config, rng) for name, (own, dropout) in variants.items()}


def exchanged(cut: "list[Clip]") -> "list[Clip]":
    """The clips that have another melody to be given, each with the next one that differs from its own."""
    import numpy as np

    found = []
    for i, clip in enumerate(cut):
        following = [*cut[i + 1 :], *cut[:i]]
        other = next((one for one in following if not np.array_equal(one.classes, clip.classes)), None)
        if other is not None:
            found.append(replace(clip, classes=other.classes))
    return found


def sampled(gen: "MusicGen", valid: "list[Clip]", config: FinetuneConfig) -> "list[np.ndarray]":
    """Sounds (samples,) under the melodies and texts of some clips."""
    import numpy as np

    from audio_bridge.musicgen import clips, generation

    if not valid:
        return []
    gen.model.eval()
    rng = np.random.default_rng(config.seed)
    cut = [clips.crop(clip, config.clip_seconds, gen, rng) for clip in valid]
    classes = np.stack([clips.chroma.tiled(clip.classes, max(1, gen.chroma_frames)) for clip in cut])
    melody = (lambda start, count: classes) if gen.hears_melody else None
    n_frames = max(clip.codes.shape[1] for clip in cut)
    seeds = [config.seed + i for i in range(len(cut))]
    codes, _ = generation.generate(gen, [clip.text for clip in cut], melody, n_frames, seeds)
    return list(gen.decode(codes)[:, 0])


def _mean_loss(
    gen: "MusicGen", own: "list[Clip]", dropout: Any, config: FinetuneConfig, rng: "np.random.Generator"
) -> float:
    from audio_bridge.musicgen import clips

    parts = [own[i : i + config.batch_size] for i in range(0, len(own), config.batch_size)]
    weights = [sum(clip.codes.shape[1] for clip in part) for part in parts]
    losses = [float(clips.loss(gen, part, dropout, rng)) for part in parts]
    return sum(w * one for w, one in zip(weights, losses, strict=True)) / sum(weights)


def _opening(
    config: FinetuneConfig, gen: "MusicGen", trained: dict[str, Any], train: "list[Clip]", valid: "list[Clip]",
    device: "torch.device",
) -> str:  # fmt: skip
    """What will be trained on what, and whether it fits."""
    from symbolic import machine

    n_trained = sum(p.numel() for p in trained.values())
    needed = memory_bytes(config, gen, n_trained)
    hours = sum(c.codes.shape[1] for c in train) * gen.frame_samples / gen.sample_rate / 3600
    n_all = sum(p.numel() for p in gen.model.parameters())
    remedy = "lower batch_size or clip_seconds, or take lora and gradient_checkpointing"
    return (
        f"{config.name}: {config.method}, {n_trained:,} of {n_all:,} parameters "
        f"trained on {len(train)} clips ({hours:.2f} h), {len(valid)} held out; "
        f"{machine.memory_text(needed, device, remedy)}."
    )


def _finish(loop: _Loop, state: FinetuneState) -> dict[str, Any]:
    """Load the best weights, look for copies in what it plays, and export a plain folder."""
    from symbolic.training import lora

    finetune_checkpoint.put(finetune_checkpoint.load(loop.folder / "best"), loop.trained)
    if loop.config.method == LORA:
        lora.merge(loop.gen.model.decoder)
    loop.gen.model.eval()
    rows = list(_nearest_clips(loop))
    export(loop.gen, loop.folder / "export", loop.config)
    return {
        "name": loop.config.name,
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "stopped": loop.stopped,
        "best_loss": state.best_loss,
        "best_epoch": state.best_epoch,
        "nearest": rows,
        "export": str(loop.folder / "export"),
    }


def _nearest_clips(loop: _Loop) -> Iterator[dict[str, Any]]:
    """For each sample of the finished model the training clip with most equal bits."""
    from audio_bridge.sound import fingerprints, recordings

    sounds = sampled(loop.gen, loop.valid[: loop.config.samples], loop.config)
    if not sounds:
        return
    paths = [Path(loop.config.data) / "train" / f"{clip.name}.wav" for clip in loop.train]
    known = [fingerprints.fingerprint(recordings.mono(recordings.read(path).audio).samples[0]) for path in paths]
    for number, sound in enumerate(sounds, start=1):
        index, share = fingerprints.nearest(fingerprints.fingerprint(sound), known)
        copied = share >= fingerprints.SAME
        yield {"sample": number, "clip": paths[index].name, "agreement": round(share, 3), "copied": copied}


def export(gen: "MusicGen", folder: Path, config: FinetuneConfig) -> None:
    """A folder that `condition` and plain transformers load."""
    from audio_bridge.musicgen import musicgen_model

    with files.whole_folder(folder) as temporary, musicgen_model.quiet():
        gen.model.save_pretrained(temporary)
        gen.tokenizer.save_pretrained(temporary)
        note = LICENCE_NOTE.format(model=config.model)
        text = f"# {config.name}\n\n{config.method} fine-tuning of {config.model} on {config.data}. {note}\n"
        files.write_whole(temporary / "README.md", text)
