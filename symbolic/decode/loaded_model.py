"""A model loaded for decoding, with its tokenizer, its name and the terms of its training data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import runs
from symbolic.errors import UserError

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer


@dataclass(frozen=True)
class LoadedModel:
    """A model that writes tunes: its folder and name, the terms of its training data, the model and tokenizer."""

    folder: Path
    name: str
    terms: list[str]
    model: Any
    tokenizer: "Tokenizer"
    step: str = "torch float32"  # what decodes
    dtype: str = "float32"  # number type of the weights, as asked for
    codes: bool = False  # trained with control codes
    infill: bool = False  # trained on tunes with bars taken out
    styles: bool = False  # trained with lines that name styles


NO_MODEL = LoadedModel(Path(), "no model", ["the tune that was given"], None, None, "")  # type: ignore[arg-type]


def load_source(
    target: str, device: str = "auto", dtype: str = "float32", threads: int = 0, *, step: str = "torch"
) -> LoadedModel:
    """Load the model and tokenizer that `target` names, a run, checkpoint or folder, with the step that decodes.

    device: auto, cpu, cuda. dtype: float32, bfloat16, int8, auto. threads: of the CPU, 0 for PyTorch's choice.
    step: native, torch, graph, auto. Raises UserError when a file is absent, cut or changed.
    """
    from symbolic import checkpoint_record, tokens
    from symbolic.decode.engine import engine

    folder = runs.resolve(target)
    record = checkpoint_record.verify(folder) if (folder / checkpoint_record.RECORD).exists() else {}
    tokenizer = tokens.load(folder)
    trained = record.get("config", {})
    n_trained = trained.get("data", {}).get("context")
    decoder = _native(folder, device, dtype, threads, step, n_trained) or _torch(
        folder, device, dtype, threads, step, n_trained
    )
    if decoder.config.vocab_size < tokenizer.n_tokens:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.n_tokens} ids and the model {decoder.config.vocab_size}. "
            "They are not of one run: copy both from it again."
        )
    name = folder.name if folder in runs.ready_made() else str(trained.get("name") or folder.name)
    return LoadedModel(
        folder,
        name,
        [_term(term) for term in record.get("terms", [])],
        decoder,
        tokenizer,
        engine.step_name(decoder),
        dtype,
        codes=trained.get("data", {}).get("control") == "codes",
        infill=trained.get("data", {}).get("infill", 0) > 0,
        styles=trained.get("data", {}).get("control") == "style",
    )


def _native(folder: Path, device: str, dtype: str, threads: int, step: str, n_trained: int | None) -> Any:
    """Return the model beside the native step, loaded without PyTorch; None where another step runs."""
    from symbolic import machine
    from symbolic.decode.engine import native_step, packing
    from symbolic.models.stored import model_folder

    native_step.check_name(step)
    if step not in ("auto", "native") or not (device == "cpu" or (device == "auto" and not machine.has_gpu())):
        return None
    config, _ = model_folder.read_config(folder)
    if config.family not in packing.FAMILIES or native_step.problem() is not None:
        return None
    number_type = machine.cpu_number_type("float32" if dtype == "int8" else dtype)
    stored = model_folder.read_model(folder, number_type)
    stored = replace(stored, config=trained_shape(stored.config, n_trained))
    return native_step.NativeModel(stored, weights="int8" if dtype == "int8" else "auto", threads=threads)


def _torch(folder: Path, device: str, dtype: str, threads: int, step: str, n_trained: int | None) -> Any:
    """Return the model in PyTorch, ready to decode; UserError where the step that was asked for cannot run."""
    import torch

    from symbolic import machine, models
    from symbolic.decode.engine import engine

    if threads > 0:
        torch.set_num_threads(threads)
    where = machine.pick_device(device)
    number_type = machine.pick_dtype("float32" if dtype == "int8" else dtype, where)
    model, _ = models.load(folder, device=where, dtype=number_type)
    model.config = trained_shape(model.config, n_trained)
    return engine.prepare(model.eval(), step, "int8" if dtype == "int8" else "auto")


def trained_shape(config: Any, n_trained: int | None) -> Any:
    """Return the shape with as many positions as were trained: a GPT-2 writes noise at a position that it has never
    seen."""
    if n_trained is None or getattr(config, "n_positions", 0) <= n_trained:
        return config
    return replace(config, n_positions=n_trained)


def _term(record: Any) -> str:
    """Return one line on a source of training data: its name, what it is, its terms."""
    if not isinstance(record, dict):
        return str(record)
    return "; ".join(str(record[key]) for key in ("name", "title", "terms", "redistribution") if record.get(key))
