"""On-disk index of interval n-grams for finding duplicates and families; needs tens of bytes of memory per tune.

    NAME.partial/index/        in the staging folder; rebuilt from its batches by every run of `prepare`
        cards.jsonl            one tune per line: id, source, file, line, title
        runs.bin               uint64: each tune's different 7-note runs, sorted, one tune after another
        phrases/00.bin, ...    records (phrase uint64, tune uint32, start uint32) of all 17-note phrases, partitioned by
                               hash: equal phrases share a bucket, and one bucket fits into memory

Runs and phrases are 64-bit hashes of pitch intervals (symbolic.corpus.families). Tunes are numbered in the order of the
input. Held in memory, for each tune: its key (16 bytes), numbers of notes and bytes, where its card and runs begin.
"""

import hashlib
import io
import json
import shutil
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic.corpus import families
from symbolic.corpus.cleaning import RUN_NOTES, CleanTune

BUCKETS = 64  # of phrases: two million tunes of a hundred notes make buckets of 50 MB
RECORD = np.dtype([("phrase", "<u8"), ("tune", "<u4"), ("start", "<u4")])
_CARD = ("id", "source", "file", "line", "title")


class PhraseIndex:
    """Index of the accepted tunes, numbered from 0 in input order: filled by `add`, then read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "phrases").mkdir(parents=True)
        self._readers: dict[str, io.FileIO] = {}
        self._keys = bytearray()
        self._ids = array("Q")  # hashes
        self._card_ends, self._run_ends, self._n_notes, self._n_bytes = (array(code) for code in "QqIQ")
        self._sources: dict[str, int] = {}
        self._source = array("H")

    def __len__(self) -> int:
        return len(self._ids)

    def __enter__(self) -> "PhraseIndex":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, tunes: Sequence[CleanTune]) -> None:
        """Append the next tunes of the input."""
        first, melodies = len(self), [tune.pitches for tune in tunes]
        cards: list[bytes] = []
        for tune in tunes:
            card = json.dumps([getattr(tune, name) for name in _CARD]).encode() + b"\n"
            self._card_ends.append((self._card_ends[-1] if self._card_ends else 0) + len(card))
            cards.append(card)
            self._keys += bytes.fromhex(tune.key)
            self._ids.append(int.from_bytes(hashlib.blake2b(tune.id.encode(), digest_size=8).digest()))
            self._n_notes.append(tune.n_notes)
            self._n_bytes.append(tune.n_bytes)
            self._source.append(self._sources.setdefault(tune.source, len(self._sources)))
        self._append("cards.jsonl", b"".join(cards))
        self._write_runs(families.windows(melodies, RUN_NOTES), len(tunes))
        self._write_phrases(families.windows(melodies), first)

    def close(self) -> None:
        """Close the files opened for reading."""
        for file in self._readers.values():
            file.close()

    # --- single tunes ------------------------------------------------------------------------------------------------

    def card(self, tune: int) -> dict[str, Any]:
        """Return id, source, file, line and title of a tune; repeated ids get the suffix -2, -3, ..."""
        begin = self._card_ends[tune - 1] if tune else 0
        line = self._part("cards.jsonl", begin, self._card_ends[tune] - begin)
        card = dict(zip(_CARD, json.loads(line), strict=True))
        return {**card, "id": self.unique_id(tune, card["id"])}

    def unique_id(self, tune: int, id: str) -> str:
        """Make `id` unique: a suffix -2, -3, ... if an earlier tune has it (one JSON row can hold several tunes)."""
        nth = int(self._repeated_ids.get(tune, 0))
        return f"{id}-{nth + 1}" if nth else id

    def key(self, tune: int) -> str:
        """Return the melody key of a tune, 32 hex digits (cleaning.melody_key)."""
        return self._keys[16 * tune : 16 * tune + 16].hex()

    def source(self, tune: int) -> str:
        """Return the name of the source that a tune came from."""
        return list(self._sources)[self._source[tune]]

    # --- columns -----------------------------------------------------------------------------------------------------

    @cached_property
    def n_notes(self) -> NDArray[np.int64]:
        """Notes per tune, int64, shape (n,)."""
        return np.frombuffer(self._n_notes, dtype=np.uint32).astype(np.int64)

    @property
    def n_bytes(self) -> NDArray[np.uint64]:
        """Bytes of canonical text per tune, uint64, shape (n,)."""
        return np.frombuffer(self._n_bytes, dtype=np.uint64)

    @property
    def sources(self) -> NDArray[np.uint16]:
        """Source per tune as an index into `source_names`, uint16, shape (n,)."""
        return np.frombuffer(self._source, dtype=np.uint16)

    @property
    def source_names(self) -> list[str]:
        """Names of the sources, in order of first appearance."""
        return list(self._sources)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Melody keys as big-endian pairs, uint64, shape (n, 2); pairs sort as the keys do."""
        return np.frombuffer(bytes(self._keys), dtype=">u8").astype(np.uint64).reshape(-1, 2)

    @cached_property
    def run_ends(self) -> NDArray[np.int64]:
        """End of each tune's runs in the concatenation of all runs, int64, shape (n,)."""
        return np.frombuffer(self._run_ends, dtype=np.int64)

    def n_runs(self, tunes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of distinct runs of each of `tunes`, shape (len(tunes),)."""
        return self.run_ends[tunes] - np.where(tunes > 0, self.run_ends[tunes - 1], 0)

    def runs(self, first: int, last: int) -> NDArray[np.uint64]:
        """Return runs of tunes `first` to `last` inclusive, concatenated, uint64."""
        begin, end = int(self.run_ends[first - 1]) if first else 0, int(self.run_ends[last])
        return np.frombuffer(self._part("runs.bin", 8 * begin, 8 * (end - begin)), dtype=np.uint64)

    def phrases(self) -> Iterator[families.PhrasePart]:
        """Yield all phrases of all tunes, one bucket at a time, sorted by phrase."""
        for number in range(BUCKETS):
            bucket = np.fromfile(self.folder / _bucket(number), dtype=RECORD)
            if len(bucket):
                bucket = bucket[np.argsort(bucket["phrase"], kind="stable")]
                yield families.PhrasePart(bucket["phrase"].copy(), bucket["tune"].copy(), bucket["start"].copy())

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write_runs(self, found: families.Windows, n_tunes: int) -> None:
        order = np.lexsort((found.hash, found.tune))
        tune, run = found.tune[order], found.hash[order]
        first = np.ones(len(run), dtype=bool)
        first[1:] = (tune[1:] != tune[:-1]) | (run[1:] != run[:-1])
        before = self._run_ends[-1] if self._run_ends else 0
        counts = np.bincount(tune[first], minlength=n_tunes)
        self._run_ends.frombytes((before + np.cumsum(counts, dtype=np.int64)).tobytes())
        self._append("runs.bin", run[first].tobytes())

    def _write_phrases(self, found: families.Windows, first: int) -> None:
        records = np.empty(len(found.hash), dtype=RECORD)
        records["phrase"], records["tune"], records["start"] = found.hash, found.tune + first, found.start
        place = (found.hash % np.uint64(BUCKETS)).astype(np.uint8)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=BUCKETS))
        for bucket, part in enumerate(np.split(records[order], ends[:-1])):
            self._append(_bucket(bucket), part.tobytes())

    def _append(self, name: str, data: bytes) -> None:
        with open(self.folder / name, "ab") as file:
            file.write(data)

    def _part(self, name: str, begin: int, n: int) -> bytes:
        """Read `n` bytes at `begin`. Not memory-mapped: mapped pages would count as this process's memory."""
        if name not in self._readers:
            self._readers[name] = io.FileIO(self.folder / name)
        self._readers[name].seek(begin)
        return self._readers[name].read(n)

    @cached_property
    def _repeated_ids(self) -> dict[int, int]:
        """Map each tune whose id occurred earlier to the number of earlier occurrences."""
        ids = np.frombuffer(self._ids, dtype=np.uint64)
        order = np.argsort(ids, kind="stable")
        again = np.flatnonzero(ids[order][1:] == ids[order][:-1]) + 1  # places in `order`
        nth: dict[int, int] = {}
        for place in again.tolist():
            nth[int(order[place])] = nth.get(int(order[place - 1]), 0) + 1
        return nth


def _bucket(number: int) -> str:
    return f"phrases/{number:02d}.bin"
