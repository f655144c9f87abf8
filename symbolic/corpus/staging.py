"""Cleaned tunes staged on disk in batches, so that a corpus need not fit into memory and a killed `prepare` resumes.

    .NAME.partial/             beside the folder NAME that `prepare` is writing; gone when it is written
        identity.json          digest of sources and options; staged batches of other options are deleted
        000000.jsonl, ...      results of each batch in input order: accepted tunes and rejections; written atomically
        index/                 the index for duplicates and families (symbolic.corpus.phrase_index)

A line of a batch is {"tune": ...} or {"rejection": ...}; batches are read twice: to build the index, and to
write the splits.
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


class Staging:
    """Staging folder beside the output `folder`; batches of an earlier run are reused if its `identity` is the same."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder.absolute().with_name(f".{folder.name}.partial")
        if self._identity() != identity:
            shutil.rmtree(self.folder, ignore_errors=True)
            files.write_json(self.folder / IDENTITY, {"identity": identity})

    def has(self, number: int) -> bool:
        """Return whether batch `number` was finished before."""
        return self._path(number).is_file()

    def write(self, number: int, results: Sequence[CleanTune | Rejection]) -> None:
        """Write the results of batch `number`."""
        files.write_jsonl(self._path(number), map(_record, results))

    def read(self, number: int) -> Iterator[CleanTune | Rejection]:
        """Read the results of batch `number`, in input order."""
        for record in files.read_jsonl(self._path(number)):
            if "rejection" in record:
                yield Rejection(**record["rejection"])
            else:
                pitches = tuple(array("h", voice) for voice in record["tune"].pop("pitches"))
                yield CleanTune(**record["tune"], pitches=pitches)

    def remove(self) -> None:
        """Delete the staging folder."""
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
