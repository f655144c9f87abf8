"""Models of PyTorch from and to Hugging Face directories, as `GPT2LMHeadModel`, `MambaForCausalLM` and
`Mamba2ForCausalLM` write and read them; `model_folder` says what such a directory holds and what is refused.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from symbolic.config import ModelConfig
from symbolic.files import write_json, write_whole
from symbolic.models.architectures import build
from symbolic.models.stored import model_folder
from symbolic.models.stored.model_folder import WIDE, library_config

if TYPE_CHECKING:
    from symbolic.models.architectures import Model


def save(model: "Model", folder: Path | str, metadata: dict[str, str] | None = None) -> None:
    """Write the two files, each whole, weights first; `metadata` joins the weights' header."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    if model.tied:
        del tensors["lm_head.weight"]
    data = safetensors_bytes(tensors, {"format": "pt", **(metadata or {})})
    write_whole(Path(folder) / "model.safetensors", _in_order(data))
    dtype = str(model.lm_head.weight.dtype).removeprefix("torch.")
    write_json(Path(folder) / "config.json", library_config(model.config, tied=model.tied, dtype=dtype))


def _in_order(data: bytes) -> bytes:
    """Return the bytes of a safetensors file with the metadata in order, so that equal models give equal files."""
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + n :]


def load(
    folder: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    attention: str = "auto",
    scan: str = "auto",
) -> tuple["Model", ModelConfig]:
    """Read a directory; `dtype` None means float32. The model is in evaluation mode."""
    folder = Path(folder)
    config, settings = model_folder.read_config(folder)
    model_folder.check_size(config, folder, _stored_shapes(folder))
    model = build(config, attention=attention, scan=scan, tied=model_folder.is_tied(config, settings))
    _fill(model, folder)
    _convert(model, dtype or torch.float32)
    return model.to(device).eval(), config


def _stored_shapes(folder: Path) -> list[tuple[int, ...]]:
    """Return the shapes of all tensors of a folder, by the headers of its files."""
    shapes: list[tuple[int, ...]] = []
    for file in model_folder.weight_files(folder):
        with _opened(file) as weights:
            shapes += [tuple(weights.get_slice(name).get_shape()) for name in weights.keys()]  # noqa: SIM118
    return shapes


def _fill(model: "Model", folder: Path) -> None:
    """Copy every tensor of the folder into the model; a missing, extra or misshapen one is named."""
    wanted = {name: t for name, t in model.state_dict().items() if not (model.tied and name == "lm_head.weight")}
    for file, stored_name, tensor in _tensors(folder):
        name = model_folder.fitting_name(stored_name, model.config.family, model.tied, wanted, file)
        if name is None:
            continue
        target = wanted.pop(name)
        model_folder.check_shape(file, name, tuple(tensor.shape), tuple(target.shape))
        target.copy_(tensor)
    model_folder.check_complete(folder, wanted)


def _tensors(folder: Path) -> Iterator[tuple[Path, str, Tensor]]:
    """Yield (file, name, tensor) of every tensor, from one file or from the shards its index names."""
    for file in model_folder.weight_files(folder):
        with _opened(file) as weights:
            for name in weights.keys():  # noqa: SIM118  (not a dict)
                yield file, name, weights.get_tensor(name)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield a file of weights; UserError where it is damaged."""
    try:
        with safe_open(file, framework="pt") as weights:
            yield weights
    except (SafetensorError, OSError) as error:
        raise model_folder.damaged(file, error) from error


def _convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights; the few that set decay rates stay in float32 or wider."""
    for name, parameter in model.named_parameters():
        keep = name.endswith(WIDE) and dtype.itemsize < 4
        parameter.data = parameter.data.to(torch.float32 if keep else dtype)
