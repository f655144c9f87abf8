"""Fine-tuning any causal language model on prepared lyrics, wholly or by LoRA.

    base: gpt2-medium            a folder or a hub name
    data: data/genius            written by `lyrics prepare`
    genre: rap                   '' for all, with genre control through the `Genre:` line

One flat loop; the step is that of `symbolic.train`. Songs are read as one stream in a new order each epoch, the
tokenizer's end of text between them, cut into rows of `context`. Every `evaluate_every` steps the validation songs are
scored in bits per byte; the best weights are kept in FOLDER/best, a Hugging Face directory (safetensors), with
metrics.jsonl and run.json beside it. LoRA (Hu et al. 2021, arXiv 2106.09685) adds a trained product of two thin
matrices to every attention and feed-forward matrix and is merged before saving, so the result needs nothing of it.
"""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from symbolic import files, machine
from symbolic.errors import UsageError, UserError
from symbolic.journal import Console
from symbolic.optim import set_learning_rate
from symbolic.train import accumulate

LORA_LAYERS = ("c_attn", "c_proj", "c_fc", "q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "fc1", "fc2",
               "up_proj", "down_proj", "gate_proj", "query_key_value", "dense", "in_proj", "x_proj")  # fmt: skip


def _within(low: float, high: float = math.inf, **default: Any) -> Any:
    return field(metadata={"low": low, "high": high}, **default)


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """One fine-tuning run; the defaults are the reference study's."""

    name: str
    base: str
    data: str
    genre: str = ""
    epochs: int = _within(1, default=2)
    batch_size: int = _within(1, default=4)
    accumulation: int = _within(1, default=4)
    learning_rate: float = _within(1e-8, 1.0, default=3e-5)
    warmup_fraction: float = _within(0.0, 1.0, default=0.0)
    weight_decay: float = _within(0.0, 10.0, default=0.0)
    context: int = _within(8, default=512)
    evaluate_every: int = _within(1, default=500)
    lora_rank: int = _within(0, default=0)  # 0: all weights
    lora_alpha: float = _within(0.0, default=16.0)
    seed: int = _within(0, 2**31 - 1, default=0)


class LowRank(nn.Module):
    """W + (alpha / rank) A B as a parametrization, for layers whose weight is (in, out) or (out, in)."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.randn(rows, rank) / math.sqrt(rank))
        self.b = nn.Parameter(torch.zeros(rank, columns))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.scale * (self.a @ self.b)).to(weight.dtype)


def finetune(config: FineTune, folder: Path) -> dict[str, Any]:
    """Train as `config` says; the summary of run.json. UserError for data or a model that is not there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists: choose another --folder.")
    torch.manual_seed(config.seed)
    console = Console()
    tokenizer, model = _loaded(config.base)
    device = machine.pick_device("auto")
    model.to(device)
    context = min(config.context, int(getattr(model.config, "n_positions", config.context) or config.context))
    training, validation = (_songs(config, split, tokenizer) for split in ("train", "valid"))
    trained = _with_lora(model, config) if config.lora_rank else list(model.parameters())
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    size = config.batch_size * config.accumulation
    per_epoch = max(1, (sum(len(ids) for ids, _ in training) - 1) // context // size)
    metrics: list[dict[str, Any]] = []
    n_steps, best, step = config.epochs * per_epoch, math.inf, 0
    started = time.monotonic()
    for epoch in range(config.epochs):
        for rows in _batches(training, context, size, per_epoch, config.seed + epoch):
            if step % config.evaluate_every == 0:
                best = _evaluated(model, tokenizer, validation, context, step, metrics, best, folder)
            set_learning_rate(optimizer, _rate(step, n_steps, config))
            model.train()
            loss = accumulate(_Logits(model), rows.to(device), config.accumulation, torch.float32)
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            metrics.append({"kind": "train", "step": step, "loss": float(loss)})
            console.working(f"{config.name}  step {step}/{n_steps}  loss {float(loss):.3f}")
    best = _evaluated(model, tokenizer, validation, context, step, metrics, best, folder)
    console.close()
    first = next(m["bits_per_byte"] for m in metrics if m["kind"] == "validation")
    summary = {
        "name": config.name, "steps": step, "tokens": step * size * context, "bits_per_byte_before": first,
        "best_bits_per_byte": best, "trained_parameters": sum(p.numel() for p in trained),
        "seconds": round(time.monotonic() - started, 1), "folder": str(folder),
    }  # fmt: skip
    sources = files.read_json(Path(config.data) / "sources.json")
    files.write_jsonl(folder / "metrics.jsonl", metrics)
    files.write_json(folder / "run.json", {"config": asdict(config), "terms": sources, "summary": summary})
    return summary


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


def _loaded(base: str) -> tuple[Any, Any]:
    import transformers

    transformers.logging.set_verbosity_error()
    try:
        return (
            transformers.AutoTokenizer.from_pretrained(base),
            transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot load the model {base!r}: give a folder with config.json and model.safetensors, or a hub name and "
            f"a network. ({str(error).strip().splitlines()[0]})"
        ) from error


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


def _batches(songs: list[tuple[list[int], int]], context: int, size: int, n: int, seed: int) -> Any:
    """Batches (size, context + 1) from the songs as one stream in the order of a seed; a short stream is repeated."""
    order = torch.randperm(len(songs), generator=torch.Generator().manual_seed(seed)).tolist()
    stream = [i for place in order for i in songs[place][0]]
    needed = n * size * context + 1
    stream = (stream * (needed // max(1, len(stream)) + 1))[:needed]
    for k in range(n):
        rows = [stream[(k * size + r) * context : (k * size + r + 1) * context + 1] for r in range(size)]
        yield torch.tensor(rows)


def _with_lora(model: nn.Module, config: FineTune) -> list[nn.Parameter]:
    """Freeze the model and put LowRank on its layers; the parameters to train."""
    model.requires_grad_(False)
    for name, layer in list(model.named_modules()):
        if name.rpartition(".")[2] in LORA_LAYERS and getattr(getattr(layer, "weight", None), "ndim", 0) == 2:
            parametrize.register_parametrization(
                layer, "weight", LowRank(layer.weight, config.lora_rank, config.lora_alpha)
            )
    trained = [p for name, p in model.named_parameters() if name.endswith((".a", ".b")) and "parametrizations" in name]
    if not trained:
        raise UserError("no layer of this model is known to LoRA: set lora_rank to 0 and train all weights.")
    for p in trained:
        p.requires_grad_(True)
    return trained


def _rate(step: int, n_steps: int, config: FineTune) -> float:
    """Linear warm-up, then a straight fall to zero, as transformers' default schedule."""
    warmup = round(config.warmup_fraction * n_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * (n_steps - step) / max(1, n_steps - warmup)


def _evaluated(
    model: Any, tokenizer: Any, songs: list[tuple[list[int], int]], context: int, step: int,
    metrics: list[dict[str, Any]], best: float, folder: Path,
) -> float:  # fmt: skip
    """Score the validation songs; keep the weights if they are the best so far."""
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id or 0
    value = bits_per_byte(model, songs, context, start)
    metrics.append({"kind": "validation", "step": step, "bits_per_byte": value, "n_songs": len(songs)})
    if value >= best:
        return best
    with files.whole_folder(folder / "best") as temporary:
        model.save_pretrained(temporary, state_dict=_merged_state(model))
        tokenizer.save_pretrained(temporary)
    return value


def _merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights under their plain names, LoRA added in."""
    merged = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    for name, layer in model.named_modules():
        if parametrize.is_parametrized(layer):
            merged[f"{name}.weight"] = layer.weight.detach().clone()
    return merged
