"""Cleaned tunes on disk, batch by batch: a corpus that is being prepared need not fit into memory, and a run that was
killed goes on where it stopped, with no piece twice and none lost.

    .NAME.partial/             beside the folder NAME that `prepare` is writing; gone when it is written
        identity.json          digest of sources and options: a spool of others is thrown away
        000000.jsonl, ...      what became of each batch of items, in their order, each file written whole
        register/              what duplicates and families are found by (symbolic.corpus.phrase_index)

A line of a batch is {"tune": ...} or {"rejection": ...}; batches are read twice: for the register, and for the splits.
"""

import shutil
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.corpus.cleaning import CleanTune
from symbolic.corpus.corpora import Rejection
from symbolic.errors import UserError

IDENTITY = "identity.json"


class Spool:
    """The spool beside `folder`; it holds the batches of an earlier run of the same `identity`."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder.absolute().with_name(f".{folder.name}.partial")
        if self._identity() != identity:
            shutil.rmtree(self.folder, ignore_errors=True)
            files.write_json(self.folder / IDENTITY, {"identity": identity})

    def has(self, number: int) -> bool:
        """Whether batch `number` was finished before."""
        return self._path(number).is_file()

    def write(self, number: int, results: Sequence[CleanTune | Rejection]) -> None:
        """Keep what became of a batch."""
        files.write_jsonl(self._path(number), map(_record, results))

    def read(self, number: int) -> Iterator[CleanTune | Rejection]:
        """What became of a batch."""
        for record in files.read_jsonl(self._path(number)):
            if "rejection" in record:
                yield Rejection(**record["rejection"])
            else:
                pitches = tuple(array("h", voice) for voice in record["tune"].pop("pitches"))
                yield CleanTune(**record["tune"], pitches=pitches)

    def remove(self) -> None:
        """Throw the spool away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.jsonl"

    def _identity(self) -> str | None:
        try:
            return str(files.read_json(self.folder / IDENTITY)["identity"])
        except (UserError, KeyError, TypeError):
            return None


def _record(one: CleanTune | Rejection) -> dict[str, Any]:
    if isinstance(one, Rejection):
        return {"rejection": asdict(one)}
    plain = {name: getattr(one, name) for name in CleanTune.__slots__}
    return {"tune": {**plain, "pitches": [voice.tolist() for voice in one.pitches]}}
