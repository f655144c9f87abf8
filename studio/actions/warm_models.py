"""Models that stay loaded between jobs, and the guarded reader of other people's files."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel
    from symbolic.formats.sandbox import Guard

MAX_LOADED = 3
_loaded: "OrderedDict[str, LoadedModel]" = OrderedDict()
_guards: "list[Guard]" = []


def get(name: str) -> "LoadedModel":
    """The model of that name, loaded when first asked for; the least used one makes room."""
    from symbolic.decode.loaded_model import load_source

    if name not in _loaded:
        _loaded[name] = load_source(name, "cpu", "float32", 1, step="auto")
    _loaded.move_to_end(name)
    while len(_loaded) > MAX_LOADED:
        _loaded.popitem(last=False)
    return _loaded[name]


def read_guarded(kind: str, data: bytes, notation: str = "abc") -> dict[str, Any]:
    """Canonical text (`notation` abc or midi) and fields of a MIDI or MusicXML file, read in a process with limits.

    Raises NotationError.
    """
    from symbolic.formats.sandbox import Guard

    if not _guards:
        _guards.append(Guard())
    return _guards[0].read(kind, data, notation)


def close() -> None:
    """End the guarded reader."""
    while _guards:
        _guards.pop().close()


def warm(names: list[str]) -> None:
    """Import what jobs need, and load models, before the first job comes."""
    import symbolic.decode.continuation
    import symbolic.decode.editing.infilling
    import symbolic.formats.convert  # noqa: F401
    from audio_bridge.lyrics.writing import writers
    from audio_bridge.song import song

    for name in names:
        get(name)
    options = {**song.DEFAULTS, "language": "en"}
    writers.written(options, 0, None)  # reads the dictionaries
