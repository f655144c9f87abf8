"""Data sets by name: `load("vgmidi:FOLDER")`, the form that `affect train` and `affect evaluate` take."""

from collections.abc import Callable
from pathlib import Path

from symbolic.affect.labels import recording_ratings, score_ratings, text_ratings
from symbolic.affect.labels.rated_items import RatedSet
from symbolic.affect.plane import Scale, scale_named
from symbolic.errors import UsageError, UserError

Loader = Callable[[Path, Scale | None], RatedSet]
LOADERS: dict[str, tuple[str, Loader]] = {
    "emobank": ("text", text_ratings.emobank),
    "sentences": ("text", text_ratings.own_sentences),
    "vgmidi": ("score", score_ratings.vgmidi),
    "emopia": ("score", score_ratings.emopia),
    "deam": ("sound", recording_ratings.deam),
    "deam-static": ("sound", recording_ratings.deam_static),
    "pmemo": ("sound", recording_ratings.pmemo),
    "emomusic": ("sound", recording_ratings.emomusic),
    "merge": ("sound", recording_ratings.merge),
}


def load(named: str) -> tuple[str, RatedSet]:
    """(kind, set) of NAME:PATH or NAME:SCALE:PATH; kind is text, score or sound."""
    name, _, place = named.partition(":")
    if name not in LOADERS or not place:
        raise UsageError(f"--data {named}: write NAME:PATH with one of {', '.join(LOADERS)}.")
    head, _, rest = place.partition(":")
    scale = scale_named(head) if rest and "/" not in head and "\\" not in head and len(head) > 1 else None
    path = Path(rest if scale else place)
    if not path.exists():
        raise UserError(f"--data {named}: there is no {path}.")
    kind, loader = LOADERS[name]
    found = loader(path, scale)
    if not found.items:
        raise UserError(f"--data {named}: no rated item was found there. {' '.join(found.remarks[:3])}")
    return kind, found
