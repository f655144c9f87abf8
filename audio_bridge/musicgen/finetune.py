"""Fine-tune MusicGen or MusicGen-melody on clips of a genre, with LoRA or all weights.

    python -m audio_bridge dataset RECORDINGS -o data/concertina
    python -m audio_bridge finetune configs/finetune/melody.yaml --data data/concertina
    python -m audio_bridge condition TUNE.abc --model runs/concertina/export --text "concertina" -o OUT.wav

Every key of the configuration is also an option. EnCodec's codes and the chroma of every clip are computed once. Each
epoch ends with the validation loss under the clips' own melodies, under those of other clips and without melody (a
model that follows its melody loses by the exchange), and with samples; training stops early where validation does not
fall. Loop, schedule (a cosine to a tenth), checkpoints and run folder are those of all training
(`symbolic.training.loop`): Ctrl-C saves, a kill loses at most `save_every` steps, --resume goes on with the same
losses.

The folder, besides the files of every run (`symbolic.runs`): best/ and checkpoints/ hold the trained weights alone;
samples/; and export/, a plain Hugging Face folder with LoRA merged in.
"""

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import TrainConfig, described, within
from symbolic.errors import UserError
from symbolic.progress import Console, clock
from symbolic.training import run_folder
from symbolic.training.loop import Interrupted, Loop, Plan, Watch, begin_fine_tuning, carry_out

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from audio_bridge.musicgen.clips import Clip
    from audio_bridge.musicgen.musicgen_model import MusicGen

LORA, FULL = "lora", "full"
LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")  # of the decoder
SPLITS = ("train", "valid")
LICENCE_NOTE = "Derived from {model}: its licence and the terms of the clips it was trained on both hold."
_STEP_SEED = 7919  # a prime: seeds of neighbouring runs do not meet
FREE_KEYS = ("name", "epochs", "patience", "save_every", "samples", "device")


_VARIANTS = {"exchanged": "exchanged melodies", "none": "none"}


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One fine-tuning run. A step sees batch_size * accumulation clips of at most `clip_seconds`; an epoch sees every
    clip `repeats` times, each time another crop of it.

    `drop_both`, `drop_melody`, `drop_text` are audiocraft's for melody models; guidance needs the first. `drop_codes`
    is for training from nothing (`clips.Dropout`).
    """

    name: str = described("name of the run, and of its folder under runs/")
    data: str = described("folder that `dataset` wrote")
    model: str = described("checkpoint to fine-tune: a folder or a hub name", default="facebook/musicgen-melody")
    method: Literal["lora", "full"] = described("what is trained: thin matrices, or all weights", default="lora")
    rank: int = within(1, 1024, help="LoRA: rank", default=16)
    alpha: float = within(0.01, help="LoRA: its products are weighed by alpha / rank", default=32.0)
    lora_dropout: float = within(0.0, 0.9, help="LoRA: share of its inputs dropped", default=0.05)
    clip_seconds: float = within(1.0, 30.0, help="longest stretch of a clip that is learnt from at once", default=30.0)
    epochs: int = within(1, help="most epochs", default=50)
    repeats: int = within(1, 1000, help="times that an epoch sees every clip, each another crop", default=1)
    batch_size: int = within(1, help="clips of a forward pass", default=2)
    accumulation: int = within(1, help="forward passes of an update", default=4)
    learning_rate: float = within(1e-8, 1.0, help="highest learning rate; it falls to a tenth", default=1e-4)
    warmup_steps: int = within(0, help="updates in which the learning rate rises", default=50)
    weight_decay: float = within(0.0, 10.0, help="of AdamW, on matrices", default=0.01)
    clip_norm: float = within(1e-6, help="largest norm of the gradient", default=1.0)
    drop_both: float = within(0.0, 1.0, help="chance that a clip loses text and melody", default=0.2)
    drop_melody: float = within(0.0, 1.0, help="chance that it loses its melody", default=0.5)
    drop_text: float = within(0.0, 1.0, help="chance that it loses its text", default=0.0)
    drop_codes: float = within(0.0, 1.0, help="largest share of frames that the decoder does not see", default=0.0)
    gradient_checkpointing: bool = described("less memory, a third more time, the same losses", default=True)
    patience: int = within(1, help="epochs without a better validation after which it stops", default=5)
    save_every: int = within(1, help="updates between two checkpoints", default=100)
    samples: int = within(0, 64, help="sounds made after each epoch", default=2)
    seed: int = within(0, 2**31 - 1, help="of order, crops and dropout", default=0)
    device: Literal["auto", "cpu", "cuda"] = described("where to compute", default="auto")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = described("type of matrix products", default="auto")

    def schedule(self, steps_per_epoch: int) -> TrainConfig:
        """The settings of the loop, which validates at the end of each epoch."""
        return TrainConfig(
            steps=self.epochs * steps_per_epoch,
            batch_size=self.batch_size,
            accumulation=self.accumulation,
            learning_rate=self.learning_rate,
            warmup_steps=self.warmup_steps,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            evaluate_every=steps_per_epoch,
            checkpoint_every=self.save_every,
            keep_checkpoints=1,
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration and every key of it."""
    parser.add_argument("config", metavar="CONFIG.yaml|RUN", help="for example configs/finetune/melody.yaml")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    parser.add_argument(
        *("-o", "--output", "--folder"), dest="folder", type=Path, metavar="FOLDER",
        help="run directory (default: runs/NAME)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="end with the summary as one line of JSON")
    configuration.add_overrides(parser, FinetuneConfig)


def run(args: argparse.Namespace) -> int:
    """Fine-tune as asked on the command line."""
    path, folder = runs.configuration(args.config)
    config = configuration.load_as(FinetuneConfig, path, configuration.overrides_of(args))
    try:
        summary = finetune(config, args.folder or folder or runs.run_folder(config.name), resume=args.resume)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    print(describe(summary))
    if args.json:
        print(json.dumps(summary))
    return 0


def finetune(
    config: FinetuneConfig, folder: Path, *, resume: bool = False, gen: "MusicGen | None" = None
) -> dict[str, Any]:
    """Train as `config` says and return the summary of run.json. `gen` is a model already in memory."""
    from audio_bridge.musicgen import clips

    run_folder.check_folder(folder, config, resume, free_keys=FREE_KEYS)
    for split in SPLITS:  # looked for before the model, which takes minutes to load
        clips.find(Path(config.data), split)
    with files.locked(folder, "training"):
        return _finetune(config, folder, resume, gen)


def _finetune(config: FinetuneConfig, folder: Path, resume: bool, gen: "MusicGen | None") -> dict[str, Any]:
    from audio_bridge.musicgen import clips

    console = Console()
    gen = gen or _load(config)
    if gen.n_channels != 1:
        raise UserError(
            f"{config.model} is a stereo model, whose pairs of codebooks are not trained here: take a mono one."
        )
    train, valid = (clips.load(Path(config.data), split, gen, console.say) for split in SPLITS)
    learner = ClipLearner(config, folder, gen, train, valid)
    at = begin_fine_tuning(folder, config, learner, resume, console)
    plan = Plan(
        name=config.name,
        folder=folder,
        settings=learner.settings,
        tokens_per_step=learner.codes_per_step,
        how_to_resume=f"Go on with: finetune {runs.config_file(folder)} --folder {folder} --resume",
        remedy=lambda kept: "Start a new run with a lower learning_rate, or in float32.",
        measure="loss",
        unit="nats a code",
        patience=config.patience,
        describe=_beside,
    )
    loop = carry_out(learner, plan, at, console)
    summary = _finish(learner, loop)
    run_folder.finish(folder, summary)
    return summary


def _load(config: FinetuneConfig) -> "MusicGen":
    import torch

    from audio_bridge.musicgen import musicgen_model
    from symbolic import machine

    device = machine.pick_device(config.device)
    dtype = torch.float32 if config.method == FULL else musicgen_model.pick_dtype(config.dtype, device)
    return musicgen_model.load(config.model, device, dtype)


def prepare(gen: "MusicGen", config: FinetuneConfig) -> dict[str, "torch.nn.Parameter"]:
    """Freeze what is not trained, put LoRA in place, and return the trained parameters by name."""
    import torch

    from audio_bridge.musicgen import musicgen_model
    from symbolic.training import lora

    torch.manual_seed(config.seed)
    gen.model.requires_grad_(False)
    if config.method == LORA:
        lora.attach(gen.model.decoder, LORA_LAYERS, config.rank, config.alpha, config.lora_dropout)
    else:
        for name, parameter in gen.model.named_parameters():
            parameter.requires_grad_(not name.startswith(("text_encoder.", "audio_encoder.")))
    if config.gradient_checkpointing:
        musicgen_model.checkpoint_activations(gen.model.decoder)
    return {name: parameter for name, parameter in gen.model.named_parameters() if parameter.requires_grad}


def memory_bytes(config: FinetuneConfig, gen: "MusicGen", n_trained: int) -> int:
    """Peak memory of training, by formula: weights, gradients and moments, and the activations of one batch.

    With checkpointing a layer keeps its input alone and one layer is computed again at a time.
    """
    from symbolic.training import optim

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
    return round(weights + optim.BYTES_A_TRAINED * n_trained + activations + logits)


def describe(summary: dict[str, Any]) -> str:
    """The summary for people."""
    lines = [
        f"{summary['name']}: {summary['steps']} steps in {clock(summary['seconds'])}, stopped because "
        f"{summary['stopped']}",
        f"validation {summary['best_loss']:.4f} nats a code at epoch {summary['best_epoch']}",
    ]
    if summary["nearest"]:
        worst = max(summary["nearest"], key=lambda row: row["agreement"])
        verdict = "a COPY" if worst["copied"] else "no copy"
        lines.append(
            f"nearest training clip of a sample: {worst['clip']}, {worst['agreement']:.2f} of bits ({verdict})"
        )
    return "\n".join([*lines, f"model: {summary['export']}"])


class ClipLearner:
    """MusicGen as the training loop sees it, with the clips that it learns from.

    Epochs are permutations of the clips by seed and epoch alone, so that a resumed run sees the same.
    """

    cost = peak = None

    def __init__(
        self, config: FinetuneConfig, folder: Path, gen: "MusicGen", train: "list[Clip]", valid: "list[Clip]"
    ) -> None:
        import torch

        from audio_bridge.musicgen import musicgen_model
        from symbolic.training import checkpoint, optim

        self.config, self.folder, self.gen, self.model = config, folder, gen, gen.model
        self.train, self.valid = train, valid
        self.trained = prepare(gen, config)
        n_seen, self.clips_per_step = len(self.train) * config.repeats, config.batch_size * config.accumulation
        self.steps_per_epoch = math.ceil(n_seen / self.clips_per_step)
        self.settings = config.schedule(self.steps_per_epoch)
        self.optimizer: torch.optim.Optimizer = optim.build(gen.model, self.settings)
        self.dtype = musicgen_model.pick_dtype(config.dtype, gen.device)
        self.scaler = torch.amp.GradScaler(gen.device.type) if self.dtype == torch.float16 else None
        self.origin = checkpoint.Origin(configuration.digest(config), "", [], asdict(config))

    @property
    def codes_per_step(self) -> float:
        """Codes that an update learns from, in the mean over an epoch."""
        longest = int(self.config.clip_seconds * self.gen.sample_rate) // self.gen.frame_samples
        frames = sum(min(longest, clip.codes.shape[1]) for clip in self.train)
        return frames * self.gen.n_codebooks * self.config.repeats / self.steps_per_epoch

    def batch(self, step: int) -> "list[Clip]":
        """The clips of an update; every clip is seen `repeats` times an epoch."""
        import numpy as np

        epoch, place = divmod(step, self.steps_per_epoch)
        n_seen = len(self.train) * self.config.repeats
        order = np.random.default_rng([self.config.seed, epoch]).permutation(n_seen) % len(self.train)
        return [self.train[i] for i in order[place * self.clips_per_step : (place + 1) * self.clips_per_step]]

    def gradients(self, step: int) -> "Tensor":
        """Add the gradient of the mean loss over all codes of all clips of an update, however they are grouped."""
        import numpy as np
        import torch

        from audio_bridge.musicgen import clips

        rng = np.random.default_rng([self.config.seed, 1, step])
        torch.manual_seed(self.config.seed + _STEP_SEED * step)  # the model's own dropout
        cropped = [clips.crop(clip, self.config.clip_seconds, self.gen, rng) for clip in self.batch(step)]
        size, total = self.config.batch_size, sum(clip.codes.shape[1] for clip in cropped)
        self.gen.model.decoder.train()
        mean = torch.zeros((), device=self.gen.device)
        for start in range(0, len(cropped), size):
            part = cropped[start : start + size]
            loss = self._loss(part, rng) * (sum(clip.codes.shape[1] for clip in part) / total)
            (self.scaler.scale(loss) if self.scaler else loss).backward()
            mean += loss.detach()
        return mean

    def evaluate(self, step: int, watch: Watch) -> dict[str, Any]:
        """Losses of the validation clips, and sounds under their melodies."""
        epoch, began = step // self.steps_per_epoch, time.perf_counter()
        losses = validation(self.gen, self.valid, self.config, self._autocast, watch)
        samples = [str(path) for path in self._samples(epoch)]
        return {**losses, "epoch": epoch, "samples": samples, "seconds": time.perf_counter() - began}

    def save(self, folder: Path, step: int, seconds: float, with_moments: bool) -> None:
        """Write the trained weights and, to go on from them, the optimiser's moments."""
        from symbolic.training import checkpoint

        here = checkpoint.TrainingProgress(step, round(step * self.codes_per_step), seconds)
        checkpoint.save_trained(folder, self.model, here, self.origin, self.optimizer if with_moments else None)

    def opening(self) -> str:
        """What will be trained on what, and whether it fits."""
        from symbolic import machine

        config, gen = self.config, self.gen
        n_trained = sum(p.numel() for p in self.trained.values())
        needed = memory_bytes(config, gen, n_trained)
        hours = sum(c.codes.shape[1] for c in self.train) * gen.frame_samples / gen.sample_rate / 3600
        n_all = sum(p.numel() for p in gen.model.parameters())
        remedy = "lower batch_size or clip_seconds, or take lora and gradient_checkpointing"
        return (
            f"{config.name}: {config.method}, {n_trained:,} of {n_all:,} parameters trained on {len(self.train)} clips "
            f"({hours:.2f} h), {len(self.valid)} held out; {machine.memory_text(needed, gen.device, remedy)}."
        )

    def _loss(self, part: "list[Clip]", rng: "np.random.Generator") -> "Tensor":
        from audio_bridge.musicgen import clips

        c = self.config
        dropout = clips.Dropout(c.drop_both, c.drop_melody, c.drop_text, c.drop_codes)
        with self._autocast():
            return clips.loss(self.gen, part, dropout, rng)

    def _autocast(self) -> Any:
        import torch

        return torch.autocast(self.gen.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _samples(self, epoch: int) -> list[Path]:
        """Sounds made under the melodies of the first validation clips."""
        from audio_bridge.sound.audio import Audio, write_audio

        sounds = sampled(self.gen, self.valid[: self.config.samples], self.config)
        paths = [self.folder / "samples" / f"epoch-{epoch:03d}-{i + 1}.wav" for i in range(len(sounds))]
        for path, sound in zip(paths, sounds, strict=True):
            write_audio(Audio(sound[None].clip(-1, 1), self.gen.sample_rate), path)
        return paths


def _beside(losses: dict[str, Any]) -> str:
    """What the status says of a validation after its loss: that under other melodies, and under none."""
    told = "".join(f", {what} {losses[name]:.4f}" for name, what in _VARIANTS.items() if name in losses)
    if "none" in losses and "exchanged" not in losses:
        told += ", exchanged melodies: one validation clip has nothing to exchange"
    return f"{told} (epoch {losses['epoch']})"


def validation(
    gen: "MusicGen", valid: "list[Clip]", config: FinetuneConfig,
    autocast: Callable[[], Any] = contextlib.nullcontext, watch: Watch = lambda done, total: None,
) -> dict[str, float]:  # fmt: skip
    """Loss of held-out clips under their own conditions; of a melody model also under another clip's melody
    (`exchanged`, left out where all clips have one melody) and under none (`none`).

    watch: hears of conditions done, and conditions in all.
    """
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
    losses = {}
    with torch.no_grad(), autocast():
        for done, (name, (own, dropout)) in enumerate(variants.items()):
            watch(done, len(variants))
            losses[name] = _mean_loss(gen, own, dropout, config, rng)
    return losses


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


def _finish(learner: ClipLearner, loop: Loop) -> dict[str, Any]:
    """Load the best weights, look for copies in what it plays, and export a plain folder."""
    from symbolic.training import checkpoint, lora

    checkpoint.load_trained(runs.best_folder(learner.folder), learner.model)
    if learner.config.method == LORA:
        lora.merge(learner.gen.model.decoder)
    learner.gen.model.eval()
    rows = list(_nearest_clips(learner))
    export(learner.gen, learner.folder / "export", learner.config)
    patience = f"validation has not fallen for {learner.config.patience} epochs"
    return {
        "name": learner.config.name,
        "steps": loop.step,
        "seconds": round(loop.log.seconds, 1),
        "stopped": patience if loop.is_out_of_patience else "all epochs were made",
        "best_loss": loop.log.best,
        "best_epoch": loop.log.best_step // learner.steps_per_epoch,
        "nearest": rows,
        "export": str(learner.folder / "export"),
    }


def _nearest_clips(learner: ClipLearner) -> Iterator[dict[str, Any]]:
    """For each sample of the finished model the training clip with most equal bits."""
    from audio_bridge.sound import fingerprints, recordings

    sounds = sampled(learner.gen, learner.valid[: learner.config.samples], learner.config)
    if not sounds:
        return
    paths = [Path(learner.config.data) / "train" / f"{clip.name}.wav" for clip in learner.train]
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
