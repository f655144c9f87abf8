"""Models of the Hugging Face hub: found on this machine, else fetched.

The hub is asked once whether the model is there before anything is fetched: without a network that fails at once, while
the client's own downloads try again for minutes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

ASK_SECONDS = 10.0


def cached(name: str, patterns: Sequence[str]) -> Path | None:
    """The folder of a model that was fetched before."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(patterns), local_files_only=True))
    except Exception:  # not fetched: the client lets the faults of three libraries through
        return None


def folder(name: str, patterns: Sequence[str], announce: Callable[[], None] = lambda: None) -> Path:
    """The folder of a model, fetched where it is not here; whatever the client raises where it cannot be."""
    import huggingface_hub

    found = cached(name, patterns)
    if found is not None:
        return found
    huggingface_hub.model_info(name, timeout=ASK_SECONDS)
    announce()
    return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(patterns)))
