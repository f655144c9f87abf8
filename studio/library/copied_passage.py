"""The longest passage that a take shares with a tune that its model learnt from.

A passage is successive notes of the written melody (the first voice), compared by pitch intervals: transposition and
rhythm do not matter, as in `symbolic.evaluate.metrics.novelty`. Of equal passages the first training tune is named.
Short ones are shared by chance: held-out human tunes of the bundled collections share 8 to 16 notes (median 13).

    DATA/cache/training-melodies/KEY.safetensors    intervals and ends of the training tunes; titles in its metadata

KEY is made of the digests of the collections that the model's record names. Their training part is read from the
folder that the model was trained on, where that lies here unchanged; of bundled collections it is prepared once, as
`symbolic prepare` does by default. Without either, nothing is compared.
"""

import contextlib
import functools
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.actions import models
from studio.library import take_files
from symbolic import files, runs
from symbolic.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHORTEST = 5  # notes of the shortest passage that is told
NO_INTERVAL = 127  # between two tunes; greater than any interval of MIDI pitches that is kept
MOST_INTERVAL = 126


@dataclass(frozen=True)
class SharedPassage:
    """`notes` in a row as in the tune of that title and collection; 0 where there are fewer than SHORTEST."""

    notes: int = 0
    tune: str = ""
    collection: str = ""


@dataclass(frozen=True)
class TrainingMelodies:
    """Pitch intervals of all tunes one after another, (n,) int8, and where each tune ends, (n_tunes,) int64."""

    intervals: "NDArray[np.int8]"
    ends: "NDArray[np.int64]"
    titles: Sequence[str]
    collections: Sequence[str]

    @functools.cached_property
    def places(self) -> "dict[int, NDArray[np.int64]]":
        """Where each interval stands."""
        import numpy as np

        order = np.argsort(self.intervals, kind="stable")
        values, first = np.unique(self.intervals[order], return_index=True)
        return dict(zip(values.tolist(), np.split(order, first[1:]), strict=True))

    def longest(self, pitches: Sequence[int]) -> SharedPassage:
        """The longest passage of a melody, MIDI pitches, that one of the tunes has too."""
        import numpy as np

        best, place = 0, 0
        length = np.zeros(len(self.intervals) + 1, np.int16)  # of the equal run that ends before each place,
        step = np.full(len(self.intervals) + 1, -1, np.int32)  # and the interval of the melody that it ended with
        for number, interval in enumerate(intervals_of(pitches).tolist()):
            equal = self.places.get(interval)
            if equal is None:
                continue
            runs = np.where(step[equal] == number - 1, length[equal], 0) + 1
            step[equal + 1], length[equal + 1] = number, runs
            first = int(runs.argmax())
            run, where = int(runs[first]), int(equal[first])
            if (run, -where) > (best, -place):
                best, place = run, where
        if best + 1 < SHORTEST:
            return SharedPassage()
        tune = int(np.searchsorted(self.ends, place, side="right"))
        return SharedPassage(best + 1, self.titles[tune], self.collections[tune])


def intervals_of(pitches: Sequence[int]) -> "NDArray[np.int8]":
    """Differences of successive MIDI pitches."""
    import numpy as np

    steps = np.diff(np.asarray(pitches, np.int64)) if len(pitches) > 1 else np.zeros(0, np.int64)
    return np.clip(steps, -MOST_INTERVAL, MOST_INTERVAL).astype(np.int8)


def melodies_of(tunes: Iterable[tuple[str, str, str]]) -> TrainingMelodies:
    """The melodies of (title, collection, canonical ABC)."""
    import numpy as np

    parts, titles, collections = [], [], []
    for title, collection, text in tunes:
        parts.append(np.append(intervals_of(_melody(text)), np.int8(NO_INTERVAL)))
        titles.append(title)
        collections.append(collection)
    ends = np.cumsum([len(part) for part in parts]).astype(np.int64)
    return TrainingMelodies(np.concatenate([np.zeros(0, np.int8), *parts]), ends, titles, collections)


def of_take(folder: Path, cache: Path, model: str) -> list[dict[str, Any]] | None:
    """{"file", "notes", "tune", "collection"} of each tune in a take's folder; None where nothing can be compared."""
    path = index_path(cache, model)
    names = [name for name in take_files.present(folder) if name.endswith(".abc") and name != "given.abc"]
    if path is None or not path.is_file() or not names:
        return None
    known = _load(path, path.stat().st_mtime_ns)
    found = []
    for name in sorted(names, key=lambda name: (len(name), name)):
        with contextlib.suppress(UserError):
            one = known.longest(_melody((folder / name).read_text(encoding="utf-8")))
            found.append({"file": name, "notes": one.notes, "tune": one.tune, "collection": one.collection})
    return found


def index_path(cache: Path, model: str) -> Path | None:
    """Where the melodies that a model learnt from are kept, None where its record names no collections."""
    terms = _terms(model)
    if not terms or not all(term.get("sha256") for term in terms):
        return None
    key = files.digest(json.dumps(sorted(term["sha256"] for term in terms)))
    return cache / "training-melodies" / f"{key[:16]}.safetensors"


def build(cache: Path, names: Iterable[str]) -> None:
    """Make what is missing for these models: some seconds of work for bundled collections, once."""
    for model in names:
        path = index_path(cache, model)
        if path is not None and not path.is_file():
            target = path.with_suffix(".prepared")
            folder = _prepared(model, target)
            if folder is not None:
                save(melodies_of(_training_tunes(folder)), path)
            shutil.rmtree(target, ignore_errors=True)


def save(known: TrainingMelodies, path: Path) -> None:
    """Write the melodies, whole or not at all."""
    from safetensors.numpy import save as as_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"titles": json.dumps(list(known.titles)), "collections": json.dumps(list(known.collections))}
    files.write_whole(path, as_bytes({"intervals": known.intervals, "ends": known.ends}, about))


@functools.lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> TrainingMelodies:
    """The melodies of a file; `changed` is when it was written."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as opened:
        about = opened.metadata()
        titles, collections = (json.loads(about[name]) for name in ("titles", "collections"))
        return TrainingMelodies(opened.get_tensor("intervals"), opened.get_tensor("ends"), titles, collections)


def _melody(text: str) -> list[int]:
    """MIDI pitches of the first voice. Raises NotationError."""
    from symbolic.notation.abc_parser import melody, parse

    return [pitch for pitch, _ in melody(parse(text))]


@functools.lru_cache(maxsize=16)
def _record(model: str) -> dict[str, Any]:
    """training.json of a model; {} where it has none."""
    if not model or runs.is_model(models.checkpoint_folder(model)):
        return {}
    path = runs.resolve(model) / "training.json"
    record: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    return record


def _terms(model: str) -> list[dict[str, Any]]:
    return [term for term in _record(model).get("terms", []) if isinstance(term, dict)]


def _prepared(model: str, target: Path) -> Path | None:
    """A folder of `prepare` with the tunes that a model learnt from, None where they are not to be had here."""
    from symbolic.corpus import corpora
    from symbolic.corpus.prepare import PrepareOptions, prepare

    terms = _terms(model)
    folder = Path(str(_record(model).get("config", {}).get("data", {}).get("folder", "")))
    if (folder / "tunes" / "train.jsonl").is_file() and (folder / "sources.json").is_file():
        digests = {record.get("sha256") for record in files.read_json(folder / "sources.json")}
        if digests == {term["sha256"] for term in terms}:
            return folder
    if not all(str(term.get("origin", "")).startswith(corpora.BUNDLED) for term in terms):
        return None
    names = [str(term["name"]) for term in terms]
    prepare(names, target, PrepareOptions(opt_in=tuple(names)))
    return target


def _training_tunes(folder: Path) -> Iterable[tuple[str, str, str]]:
    """(title, collection, canonical ABC) of the training part of a prepared folder."""
    for row in files.read_jsonl(folder / "tunes" / "train.jsonl"):
        yield str(row.get("title", "")), str(row.get("source", "")), row["text"]
