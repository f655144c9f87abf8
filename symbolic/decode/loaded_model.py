"""The model that writes tunes: found by name, loaded with the step that decodes, and what it learnt from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import runs
from symbolic.errors import UserError

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer


@dataclass(frozen=True)
class LoadedModel:
    """The model that writes: where it is, what it is called, what it learnt from."""

    folder: Path
    name: str
    terms: list[str]
    model: Any
    tokenizer: "Tokenizer"
    step: str = "torch float32"  # what decodes
    codes: bool = False  # trained with control codes
    infill: bool = False  # trained on tunes with bars taken out


NO_MODEL = LoadedModel(Path(), "no model", ["the tune that was given"], None, None, "")  # type: ignore[arg-type]


def load_source(
    target: str, device: str = "auto", dtype: str = "float32", threads: int = 0, *, step: str = "torch"
) -> LoadedModel:
    """The model, with the step that is to decode, and the tokenizer that `target` names. UserError when a file is
    absent, cut or changed."""
    import torch

    from symbolic import machine, models, tokens
    from symbolic.decode.engine import engine
    from symbolic.training import checkpoint

    if threads > 0:
        torch.set_num_threads(threads)
    folder = runs.resolve(target)
    record = checkpoint.verify(folder) if (folder / checkpoint.RECORD).exists() else {}
    where = machine.pick_device(device)
    tokenizer = tokens.load(folder)
    number_type = machine.pick_dtype("float32" if dtype == "int8" else dtype, where)
    model, _ = models.load(folder, device=where, dtype=number_type)
    if model.config.vocab_size < tokenizer.n_tokens:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.n_tokens} ids and the model {model.config.vocab_size}. "
            "They are not of one run: copy both from it again."
        )
    decoder = engine.prepare(model.eval(), step, "int8" if dtype == "int8" else "auto")
    trained = record.get("config", {})
    name = folder.name if folder in runs.ready_made() else str(trained.get("name") or folder.name)
    return LoadedModel(
        folder,
        name,
        [_term(term) for term in record.get("terms", [])],
        decoder,
        tokenizer,
        engine.path(decoder),
        codes=trained.get("data", {}).get("control") == "codes",
        infill=trained.get("data", {}).get("infill", 0) > 0,
    )


def _term(record: Any) -> str:
    """One line on a source of training data: its name, what it is, its terms."""
    if not isinstance(record, dict):
        return str(record)
    return "; ".join(str(record[key]) for key in ("name", "title", "terms", "redistribution") if record.get(key))
