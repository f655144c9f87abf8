"""Fine-tuning any causal language model on prepared lyrics, wholly or by LoRA.

    base: gpt2-medium            a folder or a hub name
    data: data/genius            written by `lyrics prepare`
    genre: rap                   '' for all, with genre control through the `Genre:` line

One flat loop; the step is that of `symbolic.training.train`. Songs are read as one stream in a new order each epoch,
the tokenizer's end of text between them, cut into rows of `context`. Every `evaluate_every` steps the validation songs
are scored in bits per byte; the best weights are kept in FOLDER/best, a Hugging Face directory (safetensors), with
metrics.jsonl and run.json beside it. A kill loses at most `save_every` steps: the order of the songs and the model's
dropout depend on seed and step alone, so that a run which goes on has the losses of one that was never stopped.

LoRA (`symbolic.training.lora`) is put on every attention and feed-forward matrix and merged before saving.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audio_bridge.lyrics.training import causal_lm
from audio_bridge.musicgen import finetune_checkpoint
from audio_bridge.musicgen.musicgen_model import quiet
from symbolic import files, machine
from symbolic.config import within
from symbolic.errors import UserError
from symbolic.progress import Console, clock
from symbolic.training import lora, metrics_log
from symbolic.training.optim import set_learning_rate
from symbolic.training.train import accumulate

LORA_LAYERS = (
    *("c_attn", "c_proj", "c_fc", "q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "fc1", "fc2", "up_proj"),
    *("down_proj", "gate_proj", "query_key_value", "dense", "in_proj", "x_proj"),
)  # of GPT-2, Llama and its kin, GPT-NeoX, OPT, Mamba
FREE_KEYS = ("name", "save_every")  # alter no loss
_STEP_SEED = 7919  # a prime: seeds of neighbouring runs do not meet


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """One fine-tuning run; the defaults are the reference study's."""

    name: str
    base: str
    data: str
    genre: str = ""
    epochs: int = within(1, default=2)
    batch_size: int = within(1, default=4)
    accumulation: int = within(1, default=4)
    learning_rate: float = within(1e-8, 1.0, default=3e-5)
    warmup_fraction: float = within(0.0, 1.0, default=0.0)
    weight_decay: float = within(0.0, 10.0, default=0.0)
    context: int = within(8, default=512)
    evaluate_every: int = within(1, default=500)
    save_every: int = within(1, default=500)
    gradient_checkpointing: bool = False  # less memory, a third more time, the same losses
    lora_rank: int = within(0, default=0)  # 0: all weights
    lora_alpha: float = within(0.0, default=16.0)
    seed: int = within(0, 2**31 - 1, default=0)


@dataclass
class LyricFinetuneState:
    """Where a run stands: optimiser steps made, the best validation so far, seconds spent."""

    step: int = 0
    best: float = math.inf
    seconds: float = 0.0


def finetune(config: FineTune, folder: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train as `config` says; the summary of run.json. UserError for data or a model that is not there."""
    console = Console()
    finetune_checkpoint.check(folder, config, resume, FREE_KEYS)
    torch.manual_seed(config.seed)
    tokenizer, model = causal_lm.load(config.base)
    device = machine.pick_device("auto")
    model.to(device)
    context = min(config.context, int(getattr(model.config, "n_positions", config.context) or config.context))
    training, validation = (_songs(config, split, tokenizer) for split in ("train", "valid"))
    trained = _prepared(model, config)
    finetune_checkpoint.claim(folder, config)
    optimizer = torch.optim.AdamW(trained.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    size = config.batch_size * config.accumulation
    per_epoch = max(1, (sum(len(ids) for ids, _ in training) - 1) // context // size)
    n_steps = config.epochs * per_epoch
    console.say(_opening(config, model, trained, n_steps, context, device))
    state = LyricFinetuneState(**((finetune_checkpoint.restore(folder, trained, optimizer) if resume else None) or {}))
    before, began, first = state.seconds, time.monotonic(), state.step
    if state.step == 0:
        _evaluate(model, tokenizer, validation, context, state, folder)
    for step in range(state.step, n_steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0 or step == first:
            rows = _rows(training, context, size * per_epoch, config.seed + epoch)
        torch.manual_seed(config.seed + _STEP_SEED * step)  # the model's own dropout
        set_learning_rate(optimizer, _rate(step, n_steps, config))
        model.train()
        batch = rows[place * size : (place + 1) * size].to(device)
        loss = float(accumulate(_Logits(model), batch, config.accumulation, torch.float32))
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state.step, state.seconds = step + 1, before + time.monotonic() - began
        finetune_checkpoint.note(folder, "train", step=state.step, loss=loss)
        left = (time.monotonic() - began) / (state.step - first) * (n_steps - state.step)
        console.working(f"{config.name}  step {state.step}/{n_steps}  loss {loss:.3f}  {clock(left)} left")
        if state.step % config.evaluate_every == 0 or state.step == n_steps:
            value = _evaluate(model, tokenizer, validation, context, state, folder)
            console.say(f"step {state.step}: validation {value:.4f} bits/byte")
        if state.step % config.save_every == 0 or state.step == n_steps:
            finetune_checkpoint.save(folder, trained, optimizer, asdict(state))
    console.close()
    return _finish(config, folder, state, size * context, trained)


def _finish(
    config: FineTune, folder: Path, state: LyricFinetuneState, n_tokens: int, trained: Mapping[str, nn.Parameter]
) -> dict[str, Any]:
    """The summary, into run.json with the terms of the songs."""
    rows = metrics_log.read(folder / finetune_checkpoint.METRICS)
    summary = {
        "name": config.name, "steps": state.step, "tokens": state.step * n_tokens,
        "bits_per_byte_before": next(row["bits_per_byte"] for row in rows if row["kind"] == "validation"),
        "best_bits_per_byte": state.best, "trained_parameters": sum(p.numel() for p in trained.values()),
        "seconds": round(state.seconds, 1), "folder": str(folder),
    }  # fmt: skip
    record = files.read_json(folder / finetune_checkpoint.RECORD)
    terms = files.read_json(Path(config.data) / "sources.json")
    files.write_json(folder / finetune_checkpoint.RECORD, {**record, "terms": terms, "summary": summary})
    return summary


def memory_bytes(model: Any, config: FineTune, n_trained: int, context: int) -> int:
    """Peak memory of training in float32, by formula.

    Activations of a layer by Korthikanti et al. 2022 (arXiv 2205.05198), equation 1, at four bytes a number and one
    for dropout's masks; with checkpointing a layer keeps its input alone and one layer is computed again at a time.
    The logits are there three times: as they are, as log-probabilities, as their gradient.
    """
    c = model.config
    hidden, layers = int(c.hidden_size), int(c.num_hidden_layers)
    heads = int(getattr(c, "num_attention_heads", 1) or 1)
    tokens = config.batch_size * context
    a_layer = tokens * hidden * (66 + 9 * heads * context / hidden)
    kept = tokens * hidden * 4 * layers + a_layer if config.gradient_checkpointing else a_layer * layers
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return round(weights + finetune_checkpoint.BYTES_A_TRAINED * n_trained + kept + 12 * tokens * int(c.vocab_size))


class _Logits(nn.Module):
    """The model as `accumulate` calls it: ids (B, T) to logits (B, T, V)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(input_ids=ids).logits


def bits_per_byte(model: nn.Module, songs: list[tuple[list[int], int]], context: int, start: int) -> float:
    """Of whole songs, each alone, in windows that advance by half a context; every token is scored once."""
    model.eval()
    nats = 0.0
    device = next(model.parameters()).device
    with torch.inference_mode():
        for ids, _ in songs:
            framed = [start, *ids]
            for begin in range(0, max(1, len(framed) - 1), max(1, context // 2)):
                window = torch.tensor([framed[begin : begin + context + 1]], device=device)
                logits = model(input_ids=window[:, :-1]).logits[0].float()
                losses = nn.functional.cross_entropy(logits, window[0, 1:], reduction="none")
                seen = 0 if begin == 0 else context - context // 2
                nats += float(losses[seen:].double().sum())
                if begin + context + 1 >= len(framed):
                    break
    return nats / math.log(2) / max(1, sum(n_bytes for _, n_bytes in songs))


def _songs(config: FineTune, split: str, tokenizer: Any) -> list[tuple[list[int], int]]:
    """(ids with the end of text, bytes) of each song of a split and genre."""
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
    rows = files.read_jsonl(Path(config.data) / "tunes" / f"{split}.jsonl")
    own = [row for row in rows if not config.genre or row.get("genre") == config.genre]
    if not own:
        what = f"of the genre {config.genre!r} " if config.genre else ""
        raise UserError(f"{config.data} has no {split} songs {what}: prepare more, or leave the genre out.")
    ids = tokenizer([row["text"] for row in own], add_special_tokens=False)["input_ids"]
    return [([*one, end], len(row["text"].encode("utf-8"))) for one, row in zip(ids, own)]


def _rows(songs: list[tuple[list[int], int]], context: int, n: int, seed: int) -> Tensor:
    """Rows (n, context + 1) of the songs as one stream in the order of a seed; the last token of a row is the first of
    the next. A short stream is repeated."""
    order = torch.randperm(len(songs), generator=torch.Generator().manual_seed(seed)).tolist()
    stream = torch.tensor([i for place in order for i in songs[place][0]])
    needed = n * context + 1
    return stream.repeat(-(-needed // len(stream)))[:needed].unfold(0, context + 1, context)


def _prepared(model: Any, config: FineTune) -> dict[str, nn.Parameter]:
    """The parameters to train by name: all, or LoRA's."""
    if config.gradient_checkpointing:
        finetune_checkpoint.checkpoint_activations(model)
        model.config.use_cache = False
    if config.lora_rank:
        lora.attach(model, LORA_LAYERS, config.lora_rank, config.lora_alpha)
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _rate(step: int, n_steps: int, config: FineTune) -> float:
    """Linear warm-up, then a straight fall to zero, as transformers' default schedule."""
    warmup = round(config.warmup_fraction * n_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * (n_steps - step) / max(1, n_steps - warmup)


def _evaluate(
    model: Any,
    tokenizer: Any,
    songs: list[tuple[list[int], int]],
    context: int,
    state: LyricFinetuneState,
    folder: Path,
) -> float:
    """Score the validation songs; keep the weights if they are the best so far."""
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id or 0
    value = bits_per_byte(model, songs, context, start)
    finetune_checkpoint.note(folder, "validation", step=state.step, bits_per_byte=value, n_songs=len(songs))
    if value < state.best:
        state.best = value
        with files.whole_folder(folder / "best") as temporary, quiet():
            model.save_pretrained(temporary, state_dict=lora.merged_weights(model))
            tokenizer.save_pretrained(temporary)
    return value


def _opening(
    config: FineTune, model: Any, trained: Mapping[str, nn.Parameter], n_steps: int, context: int, device: torch.device
) -> str:
    """What will be trained on what, and whether it fits."""
    n_trained, n_all = sum(p.numel() for p in trained.values()), sum(p.numel() for p in model.parameters())
    needed = memory_bytes(model, config, n_trained, context)
    remedy = "gradient_checkpointing, a smaller batch_size or lora_rank 16 need less"
    return (
        f"{config.name}: {n_trained:,} of {n_all:,} parameters trained on {device}, {n_steps} steps of "
        f"{config.batch_size * config.accumulation * context:,} tokens; {machine.memory_text(needed, device, remedy)}."
    )
