"""Run directories: the only module that decides their paths.

    runs/NAME/                   one training run; NAME is the configuration's `name`
      config.yaml                the resolved configuration, overrides included; written first, read with `config.load`
      run.json                   machine card, digests of configuration and tokenizer, parameters, terms of the data,
                                 when it started; once finished also `summary`
      README.md                  the model's card, renewed at every evaluation (`symbolic.training.model_card`)
      metrics.jsonl              the truth of the run, one object a line, by `kind`; `step` counts finished updates:
                                   train       step, loss (nats a token), learning_rate, gradient_norm (unclipped)
                                   speed       step, tokens_per_second, model_flops_per_second, mfu, seconds (so far)
                                   validation  step, bits_per_byte, nats_per_token, n_tunes, n_bytes, n_tokens, seconds
      metrics.csv, tensorboard/  the same in other forms, where train.logs asks for them
      checkpoints/step-00000500/ the state after 500 steps, whole or absent; the newest `train.keep_checkpoints`
        config.json              model shape         } a Hugging Face directory: `from_pretrained` loads it
        model.safetensors        weights, float32    }
        tokenizer.json, tokenizer_config.json        }
        training.safetensors     optimiser moments and random-number states
        training.json            step, data position, digests, terms; sizes and SHA-256 of the other files
      best/                      a checkpoint without training.safetensors: the lowest validation bits per byte so far

Fine-tuning runs of `lyrics train` and `finetune` have the same files, but that a checkpoint holds trained.safetensors,
the weights that are trained, in place of a whole model.

`resolve` turns what a person types (a run's name, a run directory, a checkpoint, any Hugging Face directory, a
ready-made model's name) into the folder to load a model from; `configuration` into the YAML file to train by.
"""

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from symbolic.errors import UsageError

ROOT = Path("runs")
READY = Path(__file__).parent / "ready"  # models that come with the package, each with its card
STEP = re.compile(r"step-(\d{8,})")


def run_folder(name: str, root: Path | str = ROOT) -> Path:
    """Return the directory of the run called `name`."""
    return Path(root) / name


def config_file(folder: Path) -> Path:
    """Return the resolved configuration."""
    return Path(folder) / "config.yaml"


def run_file(folder: Path) -> Path:
    """Return machine, digests, terms, and the summary once finished."""
    return Path(folder) / "run.json"


def metrics_file(folder: Path) -> Path:
    """Return losses, speeds and validation results, one object a line."""
    return Path(folder) / "metrics.jsonl"


def csv_file(folder: Path) -> Path:
    """Return the metrics as a table."""
    return Path(folder) / "metrics.csv"


def tensorboard_folder(folder: Path) -> Path:
    """Return the metrics as event files of TensorBoard."""
    return Path(folder) / "tensorboard"


def card_file(folder: Path) -> Path:
    """Return the model's card."""
    return Path(folder) / "README.md"


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Return the checkpoint after `step` optimiser steps."""
    return Path(folder) / "checkpoints" / f"step-{step:08d}"


def best_folder(folder: Path) -> Path:
    """Return the model with the lowest validation bits per byte so far."""
    return Path(folder) / "best"


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, folder) of a run's checkpoints, oldest first."""
    parent = Path(folder) / "checkpoints"
    found = ((STEP.fullmatch(path.name), path) for path in parent.glob("step-*")) if parent.is_dir() else ()
    return sorted((int(match[1]), path) for match, path in found if match)


def is_model(folder: Path) -> bool:
    """Return whether a folder looks like a Hugging Face model directory."""
    return (Path(folder) / "config.json").is_file() and any(Path(folder).glob("*.safetensors"))


def is_run(folder: Path) -> bool:
    """Return whether a folder looks like a run directory."""
    return metrics_file(folder).is_file() or config_file(folder).is_file()


def ready_made() -> list[Path]:
    """Return the folders of the models that come with the package."""
    return sorted(path for path in READY.glob("*") if is_model(path))


def resolve(target: Path | str, root: Path | str = ROOT) -> Path:
    """Return the model folder meant by a run's name, a run directory, a checkpoint, any Hugging Face directory or the
    name of a ready-made model. Of a run it is `best/`, or the newest checkpoint before the first evaluation.

    The name of a ready-made model always means that model; a word on stderr says so where a run has the same name.
    """
    places = (Path(target), run_folder(str(target), root))
    for folder in ready_made():
        if folder.name == str(target):
            _tell_of_namesake(folder.name, places)
            return folder
    for folder in places:
        if is_model(folder):
            return folder
        if is_run(folder):
            return _model_of_run(folder)
    raise UsageError(_unresolved(Path(target), Path(root)))


def _tell_of_namesake(name: str, places: Sequence[Path]) -> None:
    other = next((folder for folder in places if _is_named(folder)), None)
    if other is not None:
        path = other if len(other.parts) > 1 else f"./{other}"
        print(f"note: {name} is the ready-made model; for your own of that name say {path}.", file=sys.stderr)


def configuration(target: Path | str, root: Path | str = ROOT) -> tuple[Path, Path | None]:
    """Return the YAML file meant by a path or by a run (its name or directory), and of a run its directory."""
    for folder in (Path(target), run_folder(str(target), root)):
        if folder.is_dir() and config_file(folder).is_file():
            return config_file(folder), folder
    return Path(target), None


def _model_of_run(folder: Path) -> Path:
    if is_model(best_folder(folder)):
        return best_folder(folder)
    for _, path in reversed(checkpoints(folder)):
        if is_model(path):
            return path
    raise UsageError(f"the run {folder} has no checkpoint yet: train it longer, or lower train.checkpoint_every.")


def _unresolved(target: Path, root: Path) -> str:
    """Say what is at `target` instead, and the nearest run."""
    for folder in (target, root / target):
        if folder.is_dir():
            inner = ", ".join(str(target / name) for name in _names_in(folder))
            what = (
                f"{folder} is neither a run (config.yaml, checkpoints/) nor a model (config.json, model.safetensors)."
            )
            return f"{what} It holds runs: name one of {inner}." if inner else what
    names, ready = _run_names(root), [path.name for path in ready_made()]
    near = [name for typed in (str(target), target.name) for name in difflib.get_close_matches(typed, [*names, *ready])]
    listed = f"Runs in {root}/: {', '.join(names) or 'none'}; ready-made: {', '.join(ready) or 'none'}."
    hint = f"Did you mean {near[0]}?" if near else listed
    return f"no run or checkpoint {str(target)!r}. {hint}"


def _run_names(root: Path) -> list[str]:
    """Return what `resolve` takes: the runs in `root`, and as FOLDER/NAME those in a folder of it that is no run
    itself."""
    groups = [path for path in root.iterdir() if path.is_dir() and not _is_named(path)] if root.is_dir() else []
    return sorted([*_names_in(root), *(f"{group.name}/{name}" for group in groups for name in _names_in(group))])


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if _is_named(path)) if folder.is_dir() else []


def _is_named(folder: Path) -> bool:
    return is_run(folder) or is_model(folder)
