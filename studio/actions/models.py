"""The models that may be asked for: a closed list, made at start from the ready-made ones and those of --model."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from symbolic import files, runs
from symbolic.errors import UserError


@dataclass(frozen=True)
class ModelEntry:
    """What a model can do: `notation` is abc, midi or audio; `infill` that it sees both sides of a bar."""

    name: str
    notation: str
    infill: bool = False
    codes: bool = False
    bits_per_byte: float | None = None
    terms: tuple[str, ...] = ()


@lru_cache(maxsize=4)
def catalogue(extra: tuple[str, ...] = ()) -> tuple[ModelEntry, ...]:
    """Every model that can be asked for, the ready-made ones first."""
    names = [path.name for path in runs.ready_made()]
    return tuple([_entry(name) for name in [*names, *extra]] + _checkpoints())


def choose(models: tuple[ModelEntry, ...], asked: str | None, *, infill: bool = False, notation: str = "abc") -> str:
    """The model asked for, or the first that suits; `infill` prefers one that was trained to fill in."""
    fitting = [entry for entry in models if entry.notation == notation]
    if asked is not None:
        if asked not in [entry.name for entry in fitting]:
            names = ", ".join(entry.name for entry in fitting) or "none"
            raise UserError(f"model {asked}: not one that can do this here. There are: {names}.")
        return asked
    if not fitting:
        raise UserError(f"there is no model of {notation} here.")
    best = sorted(fitting, key=lambda entry: (entry.infill is not infill, entry.codes, fitting.index(entry)))
    return best[0].name


def as_json(models: tuple[ModelEntry, ...]) -> list[dict[str, Any]]:
    """For GET /models."""
    return [asdict(entry) for entry in models]


def _entry(name: str) -> ModelEntry:
    folder = runs.resolve(name)
    path = folder / "training.json"
    record = files.read_json(path) if path.is_file() else {}
    config = record.get("config", {})
    data, kind = config.get("data", {}), config.get("tokenizer", {}).get("kind", "")
    terms = tuple(str(term.get("name", "")) for term in record.get("terms", []) if isinstance(term, dict))
    notation = "midi" if "midi" in kind or kind in ("remi", "tsd") else "abc"
    return ModelEntry(name, notation, data.get("infill", 0) > 0, data.get("control") == "codes", None, terms)


def _checkpoints() -> list[ModelEntry]:
    """MusicGen checkpoints that come with the package."""
    import audio_bridge

    root = Path(next(iter(audio_bridge.__path__))) / "musicgen" / "ready"
    folders = sorted(path for path in root.iterdir() if runs.is_model(path)) if root.is_dir() else []
    return [ModelEntry(path.name, "audio") for path in folders]


def checkpoint_folder(name: str) -> Path:
    """The folder of a MusicGen checkpoint of the catalogue."""
    import audio_bridge

    return Path(next(iter(audio_bridge.__path__))) / "musicgen" / "ready" / name
