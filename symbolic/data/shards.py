"""Token shards: the tunes of a split as one flat array of ids on disk, memory-mapped.

    DATA/tokens/<tokenizer>-<tunes>-<lowest>_<highest>[-<arrangement>]/    12 digits of SHA-256 digests, transpositions
        header.json           what it was made from, counts per split, terms of the sources
        train.bin             uint16, little-endian: the ids of all documents end to end, without BOS and EOS
        train.offsets.npy     int64, one more than documents: document d is ids[offsets[d]:offsets[d + 1]]
        train.bytes.npy       int32: UTF-8 bytes of each document's canonical text
        train.weights.npy     float32: how often a transposition is drawn where the keys of the corpus are preferred
        valid.*, test.*       the same, without weights

Weights are the square root of the share of the training tunes, as they stand, that are in the document's key: every key
is learnt, and those that people play in most. They are 1 for pieces of MIDI.

A document is one tune in one transposition; d = tune * n_transpositions + transposition, where transposition 0 is the
tune as it stands. Only the train split holds others, and only there tunes are rearranged (symbolic.data.augmentation).
A folder is written whole and used again as long as it is sound.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from symbolic import files
from symbolic.errors import UserError
from symbolic.formats import midi_text
from symbolic.notation import abc_parser
from symbolic.notation.theory import NotationError

SPLITS = ("train", "valid", "test")
DTYPE = "<u2"
MAX_IDS = 2**16
FORMAT = 2  # raise it when the meaning of a file changes: older folders are then made again
CHUNK_DOCUMENTS = 4096  # encoded at once: about 40 MB of ids, and enough to keep all cores busy
_MEND = "Delete the folder and train again: it is made anew."
SOURCES_FILE = "sources.json"  # written by prepare: name, terms and SHA-256 of each source

Progress = Callable[[int, int], None]  # tunes done, tunes in all
Row = dict[str, Any]  # of tunes/*.jsonl
Select = Callable[[Row], bool]
RARE_KEY = 0.04  # the least weight: that of a key with 0.16 % of the tunes


class Encoder(Protocol):
    """What shards need of a tokenizer (symbolic.tokens.Tokenizer)."""

    kind: str
    vocab_size: int
    bos: int
    eos: int

    @property
    def digest(self) -> str:
        """SHA-256 that identifies the tokenizer."""

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text."""


class Arrange(Protocol):
    """Signature: the training text of a tune in one transposition (symbolic.data.augmentation)."""

    @property
    def name(self) -> str:
        """Name of the arrangement, for the shards' record."""

    def __call__(self, text: str, row: Row) -> str: ...


@dataclass(frozen=True)
class Shard:
    """One split, memory-mapped. `n_bytes` and `n_tokens` are sums over all documents."""

    folder: Path
    split: str
    tokens: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    document_bytes: NDArray[np.int32]
    weights: NDArray[np.float32] | None  # of the train split
    transpositions: tuple[int, ...]  # semitones, 0 first
    tokenizer_digest: str
    tunes_digest: str
    bos: int
    eos: int

    @property
    def n_transpositions(self) -> int:
        """Number of transpositions of each tune that are held."""
        return len(self.transpositions)

    @property
    def n_tunes(self) -> int:
        """Number of tunes, each counted once."""
        return (len(self.offsets) - 1) // self.n_transpositions

    @property
    def n_tokens(self) -> int:
        """Number of ids of all documents."""
        return int(self.offsets[-1])

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of the text of all documents."""
        return int(self.document_bytes.sum(dtype=np.int64))

    def document(self, tune: int, transposition: int = 0) -> NDArray[np.uint16]:
        """Return the ids of one tune in its n-th transposition (an index, not semitones), without BOS and EOS."""
        index = self._index(tune, transposition)
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def bytes_of(self, tune: int, transposition: int = 0) -> int:
        """Return the UTF-8 bytes of the text of one document: what its bits are divided by."""
        return int(self.document_bytes[self._index(tune, transposition)])

    def _index(self, tune: int, transposition: int) -> int:
        if not (0 <= tune < self.n_tunes and 0 <= transposition < self.n_transpositions):
            raise IndexError(f"no document ({tune}, {transposition}) among {self.n_tunes} x {self.n_transpositions}")
        return tune * self.n_transpositions + transposition


def build(
    data_folder: Path | str,
    tokenizer: Encoder,
    transpositions: Iterable[int],
    progress: Progress | None = None,
    arrange: Arrange | None = None,
    select: Select | None = None,
) -> Path:
    """Return the folder of shards of `data_folder`/tunes, made when there is none that is sound.

    transpositions: semitones for the train split; 0 is always held, and first. select: which tunes that split takes
    (default: all). arrange: rewrites each document of it.
    """
    if tokenizer.vocab_size > MAX_IDS:
        raise UserError(f"tokenizer.vocab_size is {tokenizer.vocab_size}; shards hold ids below {MAX_IDS}. Lower it.")
    data_folder = Path(data_folder)
    semitones = [0] + sorted(set(transpositions) - {0})
    tunes_digest = _tunes_digest(data_folder)
    name = f"{tokenizer.digest[:12]}-{tunes_digest[:12]}-{min(semitones)}_{max(semitones)}"
    expected = _origin(tokenizer, tunes_digest, semitones)
    if arrange is not None:
        name, expected = f"{name}-{arrange.name}", expected | {"arrangement": arrange.name}
    if select is not None:
        name, expected = f"{name}-{select.__name__}", expected | {"selection": select.__name__}
    folder = data_folder / "tokens" / name
    if not _is_sound(folder, expected):
        with files.whole_folder(folder) as temporary:
            _write(temporary, data_folder, tokenizer, expected, progress, arrange, select)
    return folder


def load(folder: Path | str, split: str, tokenizer_digest: str) -> Shard:
    """Map one split of the shards in `folder`. Raises UserError when another tokenizer wrote them, or when they are
    damaged."""
    folder = Path(folder)
    header = files.read_json(folder / "header.json")
    if not isinstance(header, dict) or header.get("format") != FORMAT or split not in header.get("splits", {}):
        raise UserError(f"{folder}/header.json holds no {split} split of format {FORMAT}. {_MEND}")
    if header["tokenizer_digest"] != tokenizer_digest:
        raise UserError(
            f"the shards in {folder} were written by tokenizer {header['tokenizer_digest']} "
            f"({header['tokenizer_kind']}), not by {tokenizer_digest}. Build shards with the tokenizer of the run."
        )
    counts = header["splits"][split]
    if not _split_is_sound(folder, split, counts):
        raise UserError(f"the {split} shard in {folder} is damaged. {_MEND}")
    return Shard(
        folder=folder,
        split=split,
        tokens=_mapped(folder / f"{split}.bin", counts["n_tokens"]),
        offsets=np.load(folder / f"{split}.offsets.npy", mmap_mode="r"),
        document_bytes=np.load(folder / f"{split}.bytes.npy", mmap_mode="r"),
        weights=np.load(folder / "train.weights.npy", mmap_mode="r") if split == "train" else None,
        transpositions=tuple(counts["transpositions"]),
        tokenizer_digest=tokenizer_digest,
        tunes_digest=header["tunes_digest"],
        bos=header["bos"],
        eos=header["eos"],
    )


def _mapped(path: Path, n_tokens: int) -> NDArray[np.uint16]:
    """Map a file; an empty one, which the operating system cannot map, is read."""
    return np.memmap(path, dtype=DTYPE, mode="r", shape=(n_tokens,)) if n_tokens else np.zeros(0, dtype=DTYPE)


def _tunes_digest(data_folder: Path) -> str:
    for split in SPLITS:
        path = _tunes_path(data_folder, split)
        if not path.is_file():
            raise UserError(f"{path} is missing. Make it with `python -m symbolic prepare ... -o {data_folder}`.")
    return files.digest("".join(files.sha256(_tunes_path(data_folder, split)) for split in SPLITS))


def _tunes_path(data_folder: Path, split: str) -> Path:
    return data_folder / "tunes" / f"{split}.jsonl"


def _origin(tokenizer: Encoder, tunes_digest: str, semitones: list[int]) -> dict[str, Any]:
    """Return what a folder must have been made from to be used again."""
    return {
        "format": FORMAT,
        "tokenizer_digest": tokenizer.digest,
        "tokenizer_kind": tokenizer.kind,
        "bos": tokenizer.bos,
        "eos": tokenizer.eos,
        "tunes_digest": tunes_digest,
        "transpositions": semitones,
        "dtype": "uint16",
    }


def _is_sound(folder: Path, expected: dict[str, Any]) -> bool:
    try:
        header = files.read_json(folder / "header.json")
        made_from = {key: header.get(key) for key in expected}
        return made_from == expected and all(_split_is_sound(folder, s, header["splits"][s]) for s in SPLITS)
    except (UserError, AttributeError, KeyError, TypeError):
        return False


def _split_is_sound(folder: Path, split: str, counts: dict[str, Any]) -> bool:
    """Check the sizes of a split's files: reading every id back would cost as much as encoding them."""
    try:
        offsets = np.load(folder / f"{split}.offsets.npy", mmap_mode="r")
        document_bytes = np.load(folder / f"{split}.bytes.npy", mmap_mode="r")
        size = (folder / f"{split}.bin").stat().st_size
    except (OSError, ValueError, EOFError):
        return False
    n_documents = counts["n_tunes"] * len(counts["transpositions"])
    shapes = offsets.shape == (n_documents + 1,) and document_bytes.shape == (n_documents,)
    types = offsets.dtype == np.int64 and document_bytes.dtype == np.int32
    return bool(shapes and types and offsets[-1] == counts["n_tokens"] and size == 2 * counts["n_tokens"])


def _write(
    folder: Path,
    data_folder: Path,
    tokenizer: Encoder,
    origin: dict[str, Any],
    progress: Progress | None,
    arrange: Arrange | None,
    select: Select | None,
) -> None:
    total = sum(_count_lines(_tunes_path(data_folder, split)) for split in SPLITS)
    report = _Progress(progress, total)
    splits = {}
    for split in SPLITS:
        semitones = origin["transpositions"] if split == "train" else [0]
        rows = _rows(_tunes_path(data_folder, split))
        rows = filter(select, rows) if select is not None and split == "train" else rows
        rewrite = arrange if split == "train" else None
        splits[split] = _write_split(folder, split, rows, tokenizer, semitones, report, rewrite)
    sources = data_folder / SOURCES_FILE
    terms = files.read_json(sources) if sources.is_file() else []
    files.write_json(folder / "header.json", {**origin, "splits": splits, "sources": terms})


def _write_split(
    folder: Path,
    split: str,
    rows: Iterator[Row],
    tokenizer: Encoder,
    semitones: list[int],
    report: "_Progress",
    arrange: Arrange | None,
) -> dict[str, Any]:
    """Encode chunk by chunk, so that memory holds one chunk and the two small index arrays."""
    lengths: list[NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]
    sizes: list[NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
    keys: list[str] = []
    n_untransposed = 0
    with open(folder / f"{split}.bin", "wb") as file:
        while chunk := list(itertools.islice(rows, max(1, CHUNK_DOCUMENTS // len(semitones)))):
            texts, untransposed = _transpositions(chunk, semitones)
            documents = [text if arrange is None else arrange(text, row) for text, row in texts]
            keys += [_key_of(text) for text, _ in texts]
            lengths.append(_append(file, tokenizer.encode_many(documents)))
            sizes.append(np.array([len(text.encode("utf-8")) for text in documents], dtype=np.int32))
            n_untransposed += untransposed
            report.add(len(chunk))
    offsets, document_bytes = np.cumsum(np.concatenate(lengths)), np.concatenate(sizes)
    np.save(folder / f"{split}.offsets.npy", offsets)
    np.save(folder / f"{split}.bytes.npy", document_bytes)
    if split == "train":
        np.save(folder / f"{split}.weights.npy", _weights(keys, len(semitones)))
    return {
        "n_tunes": len(document_bytes) // len(semitones),
        "n_tokens": int(offsets[-1]),
        "n_bytes": int(document_bytes.sum(dtype=np.int64)),
        "n_untransposed": n_untransposed,
        "transpositions": semitones,
        "keys": dict(Counter(keys[:: len(semitones)]).most_common()),
    }


def _key_of(text: str) -> str:
    """Return the key of a tune, '' for a piece of MIDI."""
    found = re.search(r"^K:(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def _weights(keys: list[str], n_transpositions: int) -> NDArray[np.float32]:
    """Compute how often each document is drawn among the transpositions of its tune."""
    counts = Counter(keys[::n_transpositions])
    n_tunes = max(1, counts.total())
    return np.array([max(RARE_KEY, (counts[key] / n_tunes) ** 0.5) for key in keys], dtype=np.float32)


def _append(file: IO[bytes], documents: list[list[int]]) -> NDArray[np.int64]:
    lengths = np.array([len(ids) for ids in documents], dtype=np.int64)
    flat = np.fromiter(itertools.chain.from_iterable(documents), dtype=DTYPE, count=int(lengths.sum()))
    file.write(flat.tobytes())
    return lengths


def _transpositions(rows: list[Row], semitones: list[int]) -> tuple[list[tuple[str, Row]], int]:
    """Yield each tune in each transposition; the tune itself where one cannot be written (triple accidental), and how
    many cannot."""
    moved = [(row, _transposed(row["text"], n)) for row in rows for n in semitones]
    return [(row["text"] if new is None else new, row) for row, new in moved], sum(new is None for _, new in moved)


def _transposed(text: str, semitones: int) -> str | None:
    try:
        if midi_text.is_piece(text):
            return midi_text.canonical(midi_text.transposed(midi_text.parse(text), semitones)) if semitones else text
        return abc_parser.transpose(text, semitones)
    except NotationError:
        return None


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows, each with its canonical text."""
    for number, row in enumerate(files.read_jsonl(path), start=1):
        if not isinstance(row.get("text"), str):
            raise UserError(
                f'{path}: row {number} has no "text". Make the file again with `python -m symbolic prepare`.'
            )
        yield row


def _count_lines(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(1 for line in file if line.strip())


class _Progress:
    """Counts tunes done over all splits."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, n: int) -> None:
        self.done += n
        if self.progress is not None:
            self.progress(self.done, self.total)
