"""Fine-tuning any causal language model on prepared lyrics, wholly or by LoRA.

    base: gpt2-medium            a folder or a hub name
    data: data/genius            written by `lyrics prepare`
    genre: rap                   '' for all, with genre control through the `Genre:` line

Loop, schedule, checkpoints and run folder are those of all training (`symbolic.training.loop`). Songs are read as one
stream in a new order each epoch, the tokenizer's end of text between them, cut into rows of `context`. The validation
songs are scored in bits per byte, before the first step, too; the best weights are kept in FOLDER/best, a Hugging Face
directory. The order of the songs and the model's dropout depend on seed and step alone, so that a run which goes on has
the losses of one that was never stopped.

LoRA (`symbolic.training.lora`) is put on every attention and feed-forward matrix and merged before saving.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import TrainConfig, described, within
from symbolic.errors import UserError
from symbolic.progress import Console
from symbolic.training import run_folder
from symbolic.training.loop import Loop, Plan, Watch, begin_fine_tuning, carry_out

if TYPE_CHECKING:
    from torch import Tensor, nn

LORA_LAYERS = (
    *("c_attn", "c_proj", "c_fc", "q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "fc1", "fc2", "up_proj"),
    *("down_proj", "gate_proj", "query_key_value", "dense", "in_proj", "x_proj"),
)  # of GPT-2, Llama and its kin, GPT-NeoX, OPT, Mamba
FREE_KEYS = ("name", "save_every")  # alter no loss
_STEP_SEED = 7919  # a prime: seeds of neighbouring runs do not meet
Song = tuple[list[int], int]  # ids, bytes of its text


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """One fine-tuning run; the defaults are the reference study's."""

    name: str = described("name of the run, and of its folder under runs/")
    base: str = described("causal model to fine-tune: a folder or a hub name")
    data: str = described("folder that `lyrics prepare` wrote")
    genre: str = described("songs of this genre only; empty: all", default="")
    epochs: int = within(1, help="times that every song is read", default=2)
    batch_size: int = within(1, help="rows of a forward pass", default=4)
    accumulation: int = within(1, help="forward passes of an update", default=4)
    learning_rate: float = within(1e-8, 1.0, help="highest learning rate; it falls on a straight line", default=3e-5)
    warmup_fraction: float = within(0.0, 1.0, help="share of the updates in which it rises", default=0.0)
    weight_decay: float = within(0.0, 10.0, help="of AdamW, on matrices", default=0.0)
    context: int = within(8, help="tokens of a row", default=512)
    evaluate_every: int = within(1, help="updates between two validations", default=500)
    save_every: int = within(1, help="updates between two checkpoints", default=500)
    gradient_checkpointing: bool = described("less memory, a third more time, the same losses", default=False)
    lora_rank: int = within(0, help="rank of LoRA; 0: all weights are trained", default=0)
    lora_alpha: float = within(0.0, help="LoRA: its products are weighed by alpha / rank", default=16.0)
    seed: int = within(0, 2**31 - 1, help="of order and dropout", default=0)

    def schedule(self, n_steps: int) -> TrainConfig:
        """Return the settings of the loop: a straight fall whose last update has what is left, as transformers'
        default."""
        warmup = round(self.warmup_fraction * n_steps)
        return TrainConfig(
            steps=n_steps,
            batch_size=self.batch_size,
            accumulation=self.accumulation,
            learning_rate=self.learning_rate,
            min_learning_rate_ratio=1 / max(1, n_steps - warmup),
            warmup_steps=warmup,
            decay="linear",
            weight_decay=self.weight_decay,
            beta2=0.999,
            evaluate_every=self.evaluate_every,
            checkpoint_every=self.save_every,
            keep_checkpoints=1,
        )


def finetune(config: FineTune, folder: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train as `config` says; the summary of run.json. UserError for data or a model that is not there."""
    run_folder.check_folder(folder, config, resume, free_keys=FREE_KEYS)
    with files.locked(folder, "training"):
        return _finetune(config, folder, resume)


def _finetune(config: FineTune, folder: Path, resume: bool) -> dict[str, Any]:
    console = Console()
    learner = LyricLearner(config)
    record = {"device": str(learner.device), "terms": learner.origin.terms}
    at = begin_fine_tuning(folder, config, learner, resume, console, **record)
    plan = Plan(
        name=config.name,
        folder=folder,
        settings=learner.settings,
        tokens_per_step=learner.tokens_per_step,
        how_to_resume=f"Go on with: lyrics train {runs.config_file(folder)} --folder {folder} --resume",
        remedy=lambda kept: "Start a new run with a lower learning_rate.",
        evaluate_first=True,
    )
    loop = carry_out(learner, plan, at, console)
    summary = _summary(config, folder, learner, loop)
    run_folder.finish(folder, summary)
    return summary


class LyricLearner:
    """A causal model of a library as the training loop sees it, with the songs that it learns from."""

    scaler = cost = peak = None

    def __init__(self, config: FineTune) -> None:
        import torch

        from audio_bridge.lyrics.training import causal_lm
        from symbolic import machine
        from symbolic.training import checkpoint, optim

        self.config = config
        torch.manual_seed(config.seed)
        self.tokenizer, self.model = causal_lm.load(config.base)
        self.device = machine.pick_device("auto")
        self.model.to(self.device)
        longest = int(getattr(self.model.config, "n_positions", config.context) or config.context)
        self.context = min(config.context, longest)
        self.songs, self.held_out = (_songs(config, split, self.tokenizer) for split in ("train", "valid"))
        self.n_trained = _prepare(self.model, config)
        self.rows_per_step = config.batch_size * config.accumulation
        n_tokens = sum(len(ids) for ids, _ in self.songs) - 1
        self.steps_per_epoch = max(1, n_tokens // self.context // self.rows_per_step)
        self.settings = config.schedule(config.epochs * self.steps_per_epoch)
        self.optimizer: torch.optim.Optimizer = optim.build(self.model, self.settings)
        self.origin = checkpoint.Origin(
            config_digest=configuration.digest(config),
            tokenizer_digest="",
            terms=files.read_json(Path(config.data) / "sources.json"),
            config=asdict(config),
        )
        self._epoch, self._rows = -1, torch.empty(0)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that an update learns from."""
        return self.rows_per_step * self.context

    def gradients(self, step: int) -> "Tensor":
        """Add the gradient of the rows of an update; its mean loss a token."""
        import torch

        from symbolic.training.train import accumulate

        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            n = self.rows_per_step * self.steps_per_epoch
            self._epoch, self._rows = epoch, _rows(self.songs, self.context, n, self.config.seed + epoch)
        torch.manual_seed(self.config.seed + _STEP_SEED * step)  # the model's own dropout
        self.model.train()
        batch = self._rows[place * self.rows_per_step : (place + 1) * self.rows_per_step].to(self.device)
        return accumulate(self._logits, batch, self.config.accumulation, torch.float32)

    def evaluate(self, step: int, watch: Watch) -> dict[str, Any]:
        """Return bits per byte of the validation songs."""
        began, t = time.perf_counter(), self.tokenizer
        start = t.bos_token_id if t.bos_token_id is not None else t.eos_token_id or 0
        value = bits_per_byte(self.model, self.held_out, self.context, start, watch)
        return {"bits_per_byte": value, "n_songs": len(self.held_out), "seconds": time.perf_counter() - began}

    def save(self, folder: Path, step: int, seconds: float, with_moments: bool) -> None:
        """Save with moments the trained weights, to go on from; without, a Hugging Face directory, to use."""
        from symbolic.training import checkpoint

        here = checkpoint.TrainingProgress(step, step * self.tokens_per_step, seconds)
        if with_moments:
            checkpoint.save_trained(folder, self.model, here, self.origin, self.optimizer)
        else:
            checkpoint.save_with(self._export, folder, self.model, here, self.origin)

    def opening(self) -> str:
        """Return what will be trained on what, and whether it fits."""
        from symbolic import machine

        n_all = sum(p.numel() for p in self.model.parameters())
        needed = memory_bytes(self.model, self.config, self.n_trained, self.context)
        remedy = "gradient_checkpointing, a smaller batch_size or lora_rank 16 need less"
        return (
            f"{self.config.name}: {self.n_trained:,} of {n_all:,} parameters trained on {self.device}, "
            f"{self.settings.steps} steps of {self.tokens_per_step:,} tokens; "
            f"{machine.memory_text(needed, self.device, remedy)}."
        )

    def _logits(self, ids: "Tensor") -> "Tensor":
        """Compute logits (B, T, V) of ids (B, T)."""
        return self.model(input_ids=ids).logits

    def _export(self, folder: Path) -> None:
        from audio_bridge.musicgen.musicgen_model import quiet
        from symbolic.training import lora

        weights = lora.merged_weights(self.model) if self.config.lora_rank else None
        with quiet():
            self.model.save_pretrained(folder, state_dict=weights)
            self.tokenizer.save_pretrained(folder)


def _summary(config: FineTune, folder: Path, learner: LyricLearner, loop: Loop) -> dict[str, Any]:
    return {
        "name": config.name,
        "steps": loop.step,
        "tokens": loop.step * learner.tokens_per_step,
        "bits_per_byte_before": loop.log.validations[0],
        "best_bits_per_byte": loop.log.best,
        "trained_parameters": learner.n_trained,
        "seconds": round(loop.log.seconds, 1),
        "folder": str(folder),
    }


def memory_bytes(model: Any, config: FineTune, n_trained: int, context: int) -> int:
    """Return peak memory of training in float32, by formula.

    Activations of a layer by Korthikanti et al. 2022 (arXiv 2205.05198), equation 1, at four bytes a number and one
    for dropout's masks; with checkpointing a layer keeps its input alone and one layer is computed again at a time.
    The logits are there three times: as they are, as log-probabilities, as their gradient.
    """
    from symbolic.training import optim

    c = model.config
    hidden, layers = int(c.hidden_size), int(c.num_hidden_layers)
    heads = int(getattr(c, "num_attention_heads", 1) or 1)
    tokens = config.batch_size * context
    a_layer = tokens * hidden * (66 + 9 * heads * context / hidden)
    kept = tokens * hidden * 4 * layers + a_layer if config.gradient_checkpointing else a_layer * layers
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return round(weights + optim.BYTES_A_TRAINED * n_trained + kept + 12 * tokens * int(c.vocab_size))


def bits_per_byte(
    model: "nn.Module", songs: list[Song], context: int, start: int, watch: Callable[[int, int], None] | None = None
) -> float:
    """Return bits per byte of whole songs, each alone, in windows that advance by half a context; every token is scored
    once.

    start: the id that a song is preceded by. watch: hears of songs done, and songs in all.
    """
    import torch
    from torch import nn

    model.eval()
    nats = 0.0
    device = next(model.parameters()).device
    with torch.inference_mode():
        for number, (ids, _) in enumerate(songs, start=1):
            framed = [start, *ids]
            for begin in range(0, max(1, len(framed) - 1), max(1, context // 2)):
                window = torch.tensor([framed[begin : begin + context + 1]], device=device)
                logits = model(input_ids=window[:, :-1]).logits[0].float()
                losses = nn.functional.cross_entropy(logits, window[0, 1:], reduction="none")
                seen = 0 if begin == 0 else context - context // 2
                nats += float(losses[seen:].double().sum())
                if begin + context + 1 >= len(framed):
                    break
            if watch:
                watch(number, len(songs))
    return nats / math.log(2) / max(1, sum(n_bytes for _, n_bytes in songs))


def _songs(config: FineTune, split: str, tokenizer: Any) -> list[Song]:
    """Return (ids with the end of text, bytes) of each song of a split and genre."""
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
    rows = files.read_jsonl(Path(config.data) / "tunes" / f"{split}.jsonl")
    own = [row for row in rows if not config.genre or row.get("genre") == config.genre]
    if not own:
        what = f"of the genre {config.genre!r} " if config.genre else ""
        raise UserError(f"{config.data} has no {split} songs {what}: prepare more, or leave the genre out.")
    ids = tokenizer([row["text"] for row in own], add_special_tokens=False)["input_ids"]
    return [([*one, end], len(row["text"].encode("utf-8"))) for one, row in zip(ids, own)]


def _rows(songs: list[Song], context: int, n: int, seed: int) -> "Tensor":
    """Return rows (n, context + 1) of the songs as one stream in the order of a seed; the last token of a row is the
    first of the next. A short stream is repeated."""
    import torch

    order = torch.randperm(len(songs), generator=torch.Generator().manual_seed(seed)).tolist()
    stream = torch.tensor([i for place in order for i in songs[place][0]])
    needed = n * context + 1
    return stream.repeat(-(-needed // len(stream)))[:needed].unfold(0, context + 1, context)


def _prepare(model: Any, config: FineTune) -> int:
    """Have the weights that are trained require a gradient, LoRA's or all; how many numbers they are."""
    from audio_bridge.musicgen.musicgen_model import checkpoint_activations
    from symbolic.training import lora

    if config.gradient_checkpointing:
        checkpoint_activations(model)
        model.config.use_cache = False
    if config.lora_rank:
        lora.attach(model, LORA_LAYERS, config.lora_rank, config.lora_alpha)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
