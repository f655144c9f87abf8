"""Weights to begin a run with: those of another model, its embedding rows given to the tokens that mean the same.

    python -m symbolic train configs/gpt2-6m-counted.yaml --from gpt2-6m --name mine --data.folder data/mine

The body must have the same shape. Of two vocabularies each token takes the row of the token with its bytes; a token
with marks (symbolic.tokens.counted) that of its bytes without them, and a little noise that parts those of one row. A
token that the other model has no row for, and positions that it has not, begin as in a new model. Moments and the
learning-rate schedule begin anew.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from symbolic import files, models, runs, tokens
from symbolic.config import ModelConfig
from symbolic.errors import UserError
from symbolic.training import checkpoint, lora

if TYPE_CHECKING:
    from symbolic.models import Model
    from symbolic.tokens import Tokenizer

_TOKENS = ("wte.weight", "embeddings.weight", "lm_head.weight")  # tensors with a row for each token
N_SPECIAL = 3  # padding, beginning and end: the first ids of every vocabulary
FREE = {"vocab_size", "n_positions", "dropout", "chunk_size"}  # keys of a shape in which the two models may differ


@dataclasses.dataclass(frozen=True)
class Start:
    """The model that a run begins with: its folder, what it was made from, and its tokenizer."""

    folder: Path
    record: dict[str, Any]
    tokenizer: "Tokenizer"

    @property
    def origin(self) -> dict[str, Any]:
        """What the run's records say of the model: name, steps, digest of its weights."""
        return {
            "model": str(self.record.get("config", {}).get("name") or self.folder.name),
            "step": self.record.get("step"),
            "weights_sha256": files.sha256(self.folder / "model.safetensors"),
        }

    @property
    def terms(self) -> list[Any]:
        """Terms of the data that the model was trained on."""
        return list(self.record.get("terms", []))


def read(target: str) -> Start:
    """Find a model by name or folder (`runs.resolve`) and read its record; UserError if a file is absent or damaged."""
    folder = runs.resolve(target)
    record = checkpoint.verify(folder) if (folder / checkpoint.RECORD).exists() else {}
    return Start(folder, record, tokens.load(folder))


@torch.no_grad()
def fill(model: "Model", tokenizer: "Tokenizer", start: Start) -> None:
    """Copy the weights of `start` into a fresh model; UserError if the two have different bodies."""
    other, shape = models.load(start.folder, dtype=torch.float32)
    _check_shape(model.config, shape, start.folder)
    theirs, is_same = other.state_dict(), tokenizer.digest == start.tokenizer.digest
    for name, tensor in model.state_dict().items():
        if name.endswith(_TOKENS) and not is_same:
            if name != "lm_head.weight" or not model.tied:
                _copy_rows(tensor, theirs[name], matches(tokenizer, start.tokenizer))
        else:
            n_rows = min(len(tensor), len(theirs[name]))  # of positions and ids; all others have one shape
            tensor[:n_rows] = theirs[name][:n_rows]


def adapt(model: "Model", tokenizer: "Tokenizer", start: Start, rank: int, source: Path | None) -> None:
    """Put LoRA on a model that `fill` has filled; `source` is the checkpoint from which the run goes on, if it does.

    Raises UserError where the embedding, which LoRA leaves as it is, has rows to learn, or where the weights of `start`
    are no longer those that the run began with.
    """
    if tokenizer.digest != start.tokenizer.digest:
        raise UserError(
            f"train.lora_rank leaves the embedding of {start.folder} as it is, and the tokens here are others: take "
            "its tokenizer.kind and tokenizer.vocab_size, or leave train.lora_rank out."
        )
    if source and checkpoint.verify(source)["start"].get("weights_sha256") != start.origin["weights_sha256"]:
        raise UserError(
            f"the weights of {start.folder} have changed since the run began: put them back, or begin anew."
        )
    lora.adapt(model, rank)


def matches(ours: "Tokenizer", theirs: "Tokenizer") -> dict[int, tuple[int, bool]]:
    """Map each id of `ours` that `theirs` has a row for to their id, and whether the bytes are equal with all marks."""
    known: dict[bytes, int] = {}
    for id in range(theirs.n_tokens):
        known.setdefault(theirs.engine_bytes(id), id)
    found = {}
    for id in range(ours.n_tokens):
        exact, plain = ours.engine_bytes(id), ours.token_bytes(id)
        if id < N_SPECIAL:
            found[id] = (id, True)
        elif exact in known:
            found[id] = (known[exact], True)
        elif plain and plain in known:
            found[id] = (known[plain], False)
    return found


def _copy_rows(target: Tensor, source: Tensor, pairs: dict[int, tuple[int, bool]]) -> None:
    """Copy rows (V, D) by pairs; one that is shared keeps the noise of its first weights."""
    for id, (other, is_exact) in pairs.items():
        target[id] = source[other] if is_exact else source[other] + target[id]


def _check_shape(ours: ModelConfig, theirs: ModelConfig, folder: Path) -> None:
    one, other = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    different = [key for key in one | other if key not in FREE and one.get(key) != other.get(key)]
    if different:
        told = ", ".join(f"model.{key} is {one.get(key)} here and {other.get(key)} there" for key in different)
        raise UserError(f"cannot begin with {folder}: {told}. Take its shape, or leave out --from.")
