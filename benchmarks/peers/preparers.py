"""Ways from a file of ABC tunes to token ids on disk; each runs once in a process of its own, whose memory is measured.

ours        prepare (parse, spell canonically, remove duplicates, split by family) and token shards, in one key
music21     parse to a Score, each note to (name, quarter length), pairs to ids: what tutorials do, in one process
datasets    `datasets` map of our tokenizer over the text as it stands: no parsing, no duplicates, no split
datasets, parsed   the same map, with our parser before the tokenizer
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from symbolic import machine, tokens
from symbolic.corpus import prepare
from symbolic.data import shards
from symbolic.notation import abc_parser


class Preparer:
    """One way; `run` returns tunes read and the largest resident memory, MiB, of this process or a child."""

    def __init__(self, kind: str, processes: int) -> None:
        self.kind, self.processes, self.about = kind, processes, {"kind": kind, "processes": processes}
        if kind == "music21":
            import music21  # noqa: F401  (its import is not what is measured)
        if kind.startswith("datasets"):
            import datasets

            datasets.disable_progress_bars()

    def run(self, source: str, folder: str) -> dict[str, Any]:
        """Read the tunes of `source`, write under `folder`."""
        work = {"ours": _ours, "music21": _music21, "datasets": _datasets, "datasets, parsed": _datasets_parsed}
        n_tunes = work[self.kind](Path(source), Path(folder), self.processes)
        return {"tunes": n_tunes, "peak_mib": machine.peak_mib()}


def make(**settings: Any) -> Preparer:
    """The worker's object."""
    return Preparer(**settings)


def _ours(source: Path, folder: Path, processes: int) -> int:
    summary = prepare.prepare([str(source)], folder / "data", prepare.PrepareOptions(processes=processes))
    shards.build(folder / "data", tokens.build("grammar"), range(0, 1))
    return int(summary["read"])


def _music21(source: Path, folder: Path, processes: int) -> int:
    import music21

    vocabulary: dict[tuple[str, str], int] = {}
    ids: list[int] = []
    n_tunes = 0
    for text in _tunes(source):
        score: Any = music21.converter.parseData(text, format="abc")
        for note in score.flatten().notes:
            name = ".".join(pitch.nameWithOctave for pitch in note.pitches)
            ids.append(vocabulary.setdefault((name, str(note.quarterLength)), len(vocabulary)))
        n_tunes += 1
    np.save(folder / "ids.npy", np.array(ids, dtype=np.uint16))
    return n_tunes


def _datasets(source: Path, folder: Path, processes: int) -> int:
    return _mapped(source, folder, processes, _encode)


def _datasets_parsed(source: Path, folder: Path, processes: int) -> int:
    return _mapped(source, folder, processes, _parse_and_encode)


def _mapped(source: Path, folder: Path, processes: int, function: Any) -> int:
    import datasets

    rows = datasets.Dataset.from_generator(_rows, gen_kwargs={"source": str(source)}, cache_dir=str(folder))
    made = rows.map(function, batched=True, num_proc=processes, remove_columns=["text"])
    made.save_to_disk(str(folder / "ids"))
    return len(made)


def _encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
    return {"ids": tokens.build("grammar").encode_many(batch["text"])}


def _parse_and_encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
    return _encode({"text": [abc_parser.canonical(abc_parser.parse(text)) for text in batch["text"]]})


def _rows(source: str) -> Iterator[dict[str, str]]:
    return ({"text": text} for text in _tunes(Path(source)))


def _tunes(source: Path) -> Iterator[str]:
    """The tunes of a file in which each ends with an empty line, one at a time."""
    lines: list[str] = []
    with open(source, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                lines.append(line)
            elif lines:
                yield "".join(lines)
                lines = []
    if lines:
        yield "".join(lines)
