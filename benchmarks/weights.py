"""The weights and prompts that every peer of a benchmark gets: trained where there are any, else random."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.config import Config
from symbolic.errors import UserError

CONFIGS = Path("configs")
PREFERRED = {"gpt2-6m": ("gpt2-6m-folk", "gpt2-6m"), "mamba2-6m": ("mamba2-6m-folk", "mamba2-6m")}


@dataclass(frozen=True)
class Weights:
    """A model folder for one configuration; `source` says where its weights come from."""

    name: str
    config: Config
    folder: Path
    source: str

    @property
    def is_trained(self) -> bool:
        """False for random weights, whose speed says nothing of speculation or early ends."""
        return self.source != "random"


def choose(name: str, given: dict[str, Path], scratch: Path) -> Weights:
    """The folder given, a trained run or ready-made model of the same shape, or fresh random weights in `scratch`."""
    config = configuration.load(CONFIGS / f"{name}.yaml")
    candidates: tuple[str, ...] = PREFERRED.get(name, (name,))
    for target in (str(given[name]),) if name in given else candidates:
        folder = _resolved(target, required=name in given)
        if folder is not None and _same_shape(folder, config, required=name in given):
            copy = _copied(folder, scratch / name)
            return Weights(name, config, copy, f"{target}, SHA-256 {files.sha256(copy / 'model.safetensors')}")
    return Weights(name, config, _random(config, scratch / name), "random")


def read_option(text: str) -> tuple[str, Path]:
    """`gpt2-6m=FOLDER` of a command line."""
    name, equals, folder = text.partition("=")
    if not equals:
        raise UserError(f"--weights {text}: write NAME=FOLDER, for example gpt2-6m=runs/gpt2-6m-folk.")
    return name, Path(folder)


def prompts(data: Path, n: int, length: int) -> list[list[int]]:
    """The first `length` ids, BOS included, of n held-out tunes, in grammar tokens: the same for all peers."""
    from symbolic import tokens

    tokenizer = tokens.build("grammar")
    found = [[tokens.BOS, *ids] for ids in map(tokenizer.encode, _texts(data))]
    long_enough = [ids[:length] for ids in found if len(ids) >= length]
    if not long_enough:
        raise UserError(f"{data}: no held-out tune has {length} tokens. Prepare it: {_HOW}")
    return [long_enough[i % len(long_enough)] for i in range(n)]


_HOW = "python -m symbolic prepare aird oneill ryan -o data/folk"


def _texts(data: Path) -> Iterator[str]:
    path = data / "tunes" / "valid.jsonl"
    if not path.exists():
        raise UserError(f"{path} is not there. Prepare it: {_HOW}")
    return (row["text"] for row in files.read_jsonl(path))


def _resolved(target: str, *, required: bool) -> Path | None:
    try:
        return runs.resolve(target)
    except UserError:
        if required:
            raise
        return None


def _same_shape(folder: Path, config: Config, *, required: bool) -> bool:
    from symbolic.models.stored import model_folder

    found = model_folder.model_config(files.read_json(folder / "config.json"), folder)
    if found != config.model and required:
        raise UserError(f"{folder} has not the shape of {config.name}: {found}.")
    return found == config.model


def _copied(folder: Path, target: Path) -> Path:
    """A copy, so that every peer reads the same even while a run goes on writing there."""
    target.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(folder / name, target / name)
    return target


def _random(config: Config, folder: Path) -> Path:
    """Fresh weights of this shape as a model folder."""
    import torch

    from symbolic import models

    torch.manual_seed(config.seed)
    models.save(models.build(config.model), folder)
    return folder
