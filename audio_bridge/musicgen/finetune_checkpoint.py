"""A fine-tuning run in a folder, which can go on after a kill: its claim, its last and best weights, its metrics.

    config.yaml     the settings; a resumed run must have the same, but for those that alter no loss
    metrics.jsonl   one row a step or an evaluation, each with its `step`
    last/, best/    tensors.safetensors and state.json; they appear whole or not at all

`last/` holds the trained weights under their own names and the optimiser's moments under KIND.NAME. Rows of
metrics.jsonl that are later than `last/` are forgotten when a run goes on from there, for they are made again.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import config as configuration
from symbolic import files
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    import torch

    Parameters = Mapping[str, torch.nn.Parameter]

BYTES_A_TRAINED = 12  # gradient and two moments of a trained number, float32; its weight is counted with the others
LAST, METRICS, CONFIG, RECORD = "last", "metrics.jsonl", "config.yaml", "run.json"


def check(folder: Path, config: Any, resume: bool, free_keys: Collection[str]) -> None:
    """Refuse to overwrite a run, to go on with one under other settings, and a folder that cannot be written; nothing
    is written."""
    path = folder / CONFIG
    if path.exists() and not resume:
        raise UsageError(f"the run {folder} exists. Add --resume to go on with it, or choose another --folder.")
    if path.exists():
        before = asdict(configuration.load_as(type(config), path))
        changed = [key for key, value in asdict(config).items() if before[key] != value and key not in free_keys]
        if changed:
            raise UsageError(f"cannot resume {folder}: {', '.join(changed)} differs from {path}.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty and holds no run: choose another --folder.")
    files.check_writable(path)


def claim(folder: Path, config: Any) -> None:
    """Write the settings, once all that the run needs was found."""
    from symbolic import machine

    files.write_whole(folder / CONFIG, configuration.dump(config))
    files.write_json(folder / RECORD, {"machine": machine.card(), "config": asdict(config)})


def checkpoint_activations(model: Any) -> None:
    """Have each layer of a model of `transformers` keep its input alone and compute the rest again on the way back."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def weights(trained: "Parameters") -> dict[str, "torch.Tensor"]:
    """The trained weights in float32, on the CPU."""
    return {name: p.detach().float().cpu().contiguous() for name, p in trained.items()}


def write(folder: Path, tensors: "Mapping[str, torch.Tensor]", state: Mapping[str, Any]) -> None:
    """Tensors and state as one folder that appears whole."""
    from safetensors.torch import save_file

    with files.whole_folder(folder) as temporary:
        save_file(dict(tensors), temporary / "tensors.safetensors")
        files.write_json(temporary / "state.json", state)


def save(folder: Path, trained: "Parameters", optimizer: "torch.optim.Optimizer", state: Mapping[str, Any]) -> None:
    """What going on needs, into FOLDER/last."""
    tensors = weights(trained)
    for name, p in trained.items():
        for kind, value in optimizer.state[p].items():
            tensors[f"{kind}.{name}"] = value.detach().cpu().contiguous()
    write(folder / LAST, tensors, state)


def restore(folder: Path, trained: "Parameters", optimizer: "torch.optim.Optimizer") -> dict[str, Any] | None:
    """Put weights and moments of the last save in place and return its state; None where the run was never saved."""
    last = folder / LAST
    if not last.is_dir():
        forget_after(folder, -1)
        return None
    tensors = load(last)
    put(tensors, trained)
    for name, p in trained.items():
        kinds = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in tensors]
        optimizer.state[p] = {kind: tensors[f"{kind}.{name}"].to(p.device) for kind in kinds}
    state: dict[str, Any] = files.read_json(last / "state.json")
    forget_after(folder, state["step"])
    return state


def load(folder: Path) -> dict[str, "torch.Tensor"]:
    """The tensors of `write`. UserError where the file is damaged or gone."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "tensors.safetensors"
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged ({error}). Put back a copy of {folder}, or remove {folder.parent} and train anew."
        ) from error


def put(tensors: "Mapping[str, torch.Tensor]", trained: "Parameters") -> None:
    """Copy weights into the parameters of their names."""
    import torch

    with torch.no_grad():
        for name, p in trained.items():
            p.copy_(tensors[name])


def note(folder: Path, kind: str, **values: Any) -> None:
    """Add a row to the metrics."""
    with open(folder / METRICS, "a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **values}) + "\n")


def forget_after(folder: Path, step: int) -> None:
    """Leave out the rows of the metrics that are later than a step."""
    from symbolic.training import metrics_log

    path = folder / METRICS
    if path.exists():
        files.write_jsonl(path, [row for row in metrics_log.read(path) if row["step"] <= step])
