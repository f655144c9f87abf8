"""Checkpoints: a folder of weights that also holds what training needs to go on bit for bit.

Of a model of ours it is a Hugging Face directory (`save`, `load`). Of a model of a library, fine-tuned, it holds the
trained weights alone, under their own names (`save_trained`, `load_trained`): the others stand where the model came
from.

A folder appears under its name only when everything in it is written, and `training.json`, written last, holds the
size and SHA-256 of every other file: `verify` refuses a folder that was cut, changed or half copied. Weights and
moments are float32 safetensors, numbers JSON; nothing is pickled. Random numbers come from PyTorch's generators
(dropout), kept here, and from the data loader's, kept in its position. The files are listed in `symbolic.runs`.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from symbolic import checkpoint_record, files, models, runs
from symbolic.errors import UserError
from symbolic.training import lora, optim

if TYPE_CHECKING:
    from symbolic.models import Model
    from symbolic.tokens import Tokenizer

RECORD, verify = checkpoint_record.RECORD, checkpoint_record.verify
TENSORS = "training.safetensors"
TRAINED = "trained.safetensors"  # of a model of a library, or with LoRA: what was trained of it


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands: updates made, tokens seen, seconds of training, and the data loader's position."""

    step: int
    tokens: int = 0
    seconds: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What a checkpoint was made from: digests, the terms of its data, the configuration itself, and of the model whose
    weights the run began with its name, steps and digest."""

    config_digest: str
    tokenizer_digest: str
    terms: list[dict[str, Any]]
    config: dict[str, Any]
    start: dict[str, Any] = field(default_factory=dict)


def save(
    folder: Path,
    model: "Model",
    tokenizer: "Tokenizer",
    progress: TrainingProgress,
    origin: Origin,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Write a checkpoint, whole or not at all; without an optimiser one to use, not to go on from.

    Of a model that carries LoRA the products are added into the weights; the factors stand beside them, to go on from.
    """
    merged = lora.plain(model)

    def write_model(temporary: Path) -> None:
        models.save(merged, temporary, _metadata(progress, origin))
        tokenizer.save(temporary)
        if merged is not model and optimizer is not None:
            save_file(_trained_tensors(model), temporary / TRAINED)

    save_with(write_model, folder, model, progress, origin, optimizer)


def save_trained(
    folder: Path,
    model: nn.Module,
    progress: TrainingProgress,
    origin: Origin,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Save as `save` does for a model of a library: the parameters that require a gradient, in float32."""

    def write_model(temporary: Path) -> None:
        save_file(_trained_tensors(model), temporary / TRAINED, _metadata(progress, origin))

    save_with(write_model, folder, model, progress, origin, optimizer)


def save_with(
    write_model: Callable[[Path], None],
    folder: Path,
    model: nn.Module,
    progress: TrainingProgress,
    origin: Origin,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Save as `save` does, with the weights as `write_model` writes them into the folder that it is given."""
    with files.whole_folder(folder) as temporary:
        try:
            write_model(temporary)
            if optimizer is not None:
                save_file(_training_tensors(model, optimizer), temporary / TENSORS)
        except SafetensorError as error:  # a full disk, as safetensors words it
            raise UserError(f"cannot write {folder}: {error}. Free some space, then --resume.") from error
        checkpoint_record.write(temporary, {**asdict(progress), **asdict(origin)})


def newest(folder: Path, say: Callable[[str], None]) -> Path | None:
    """Find the newest whole checkpoint of a run, None where it has none; `say` hears of each broken one passed over."""
    found = runs.checkpoints(folder)
    for position, (_, path) in reversed(list(enumerate(found))):
        try:
            checkpoint_record.whole_record(path)
            return path
        except UserError as error:
            say(f"{error} Trying the checkpoint before it." if position else str(error))
    if found:
        raise UserError(f"no checkpoint in {folder} is whole, so it cannot be resumed. {_what_is_left(folder)}")
    return None


def load(
    folder: Path, device: torch.device | str, make_optimizer: "Callable[[Model], torch.optim.Optimizer]"
) -> "tuple[Model, torch.optim.Optimizer, TrainingProgress]":
    """Load model, optimiser and progress of a checkpoint; random-number states are put back as they were."""
    record = _record_to_go_on_from(folder)
    model, _ = models.load(folder, device=device, dtype=torch.float32)
    optimizer = make_optimizer(model)
    _load_moments(folder, model, optimizer)
    return model, optimizer, _progress(record)


def load_trained(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> TrainingProgress:
    """Copy the trained weights of `save_trained` into a model and, with an optimiser, its moments, to go on from."""
    record = _record_to_go_on_from(folder) if optimizer is not None else verify(folder)
    tensors = load_file(folder / TRAINED)
    trained = _trained(model)
    if tensors.keys() != trained.keys():
        raise UserError(f"{folder / TRAINED} is of another model than the one that is trained here. Train again.")
    with torch.no_grad():
        for name, p in trained.items():
            p.copy_(tensors[name])
    if optimizer is not None:
        _load_moments(folder, model, optimizer)
    return _progress(record)


def go_on(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, resume: bool, say: Callable[[str], None]
) -> TrainingProgress:
    """Load the newest whole checkpoint of a library's model, where the run goes on, and return where it stands; else
    its start.

    folder: the run's. Checkpoints later than that one are deleted.
    """
    source = newest(folder, say) if resume else None
    at = load_trained(source, model, optimizer) if source else TrainingProgress(0)
    discard_after(folder, at.step)
    return at


def _record_to_go_on_from(folder: Path) -> dict[str, Any]:
    record = verify(folder)
    if not (folder / TENSORS).exists():
        raise UserError(f"{folder} holds no optimiser state ({TENSORS}): resume from a folder in checkpoints/.")
    return record


def _load_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put moments and the states of PyTorch's generators back."""
    tensors = load_file(folder / TENSORS)
    try:
        optim.load_state(model, optimizer, tensors)
    except KeyError as error:
        raise UserError(f"{folder / TENSORS} lacks {error}: it is of another model. Train again.") from error
    _restore_random(tensors)


def _progress(record: dict[str, Any]) -> TrainingProgress:
    return TrainingProgress(record["step"], record["tokens"], record["seconds"], record["data"])


def _trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().float().cpu().contiguous() for name, p in _trained(model).items()}


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that require a gradient, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints of a run."""
    for _, path in runs.checkpoints(folder)[:-keep]:
        _remove(path)


def _remove(path: Path) -> None:
    """Delete a checkpoint, which loses its name first: a kill meanwhile leaves none that is half there."""
    doomed = path.with_name(f".{path.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def discard_after(folder: Path, step: int) -> None:
    """Delete checkpoints later than `step` and what a killed process left half-written."""
    for later, path in runs.checkpoints(folder):
        if later > step:
            _remove(path)
    for pattern in ("checkpoints/.step-*", ".best.*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _metadata(progress: TrainingProgress, origin: Origin) -> dict[str, str]:
    """Return what the header of the weights says, so that they are known even when parted from their folder."""
    config = json.dumps(origin.config)
    return {"step": str(progress.step), "tokenizer_digest": origin.tokenizer_digest, "config": config}


def _training_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return moments by parameter, and the states of PyTorch's generators."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in optim.state(model, optimizer).items()}
    tensors["random.torch"] = torch.get_rng_state()
    if torch.cuda.is_initialized():  # a run on the CPU starts CUDA on no GPU
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random.cuda.{index}"] = state
    return tensors


def _restore_random(tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["random.torch"])
    cuda = [tensors[name] for name in sorted(tensors) if name.startswith("random.cuda.")]
    if torch.cuda.is_initialized() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)


def _what_is_left(folder: Path) -> str:
    """Word what to do with a run that has no whole checkpoint."""
    best = runs.best_folder(folder)
    try:
        checkpoint_record.whole_record(best)
    except UserError:
        return f"Delete {folder} and train again."
    use = "`generate` takes it" if runs.is_model(best) else "its weights can be used"
    return f"{best} is whole: {use}. To train further, start a new run in another folder."
