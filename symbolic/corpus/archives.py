"""Tune files as bytes, from a file, a folder (recursively), or gzip, zip and tar archives of them.

Nothing is ever extracted to disk: a member's name is a label, so `../` in it has nowhere to lead. What one file may
unpack to is limited (a zip bomb becomes a `too_large` problem, not a full memory), and a long text comes in parts that
begin where a tune or a row begins. Archives inside archives are left alone. Order is that of the sorted names, so the
same files always come in the same order.
"""

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

TUNE_SUFFIXES = (".abc", ".txt", ".json", ".jsonl")
SCORE_SUFFIXES = {
    ".mid": "midi",
    ".midi": "midi",
    ".kar": "midi",
    ".mxl": "musicxml",
    ".musicxml": "musicxml",
    ".xml": "musicxml",
}
ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
MAX_FILE_BYTES = 2**30  # one text, unpacked: five times the largest ABC collection known to us
MAX_EXPANSION = 200  # repetitive ABC packs 20 to 1, a bomb 1,000 to 1
PART_BYTES = 2**24  # of a long text, at once in memory
FREE_BYTES = 2**24  # what may always be unpacked, however small the archive
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    NotImplementedError,
)


class Document(NamedTuple):
    """One file's bytes, or the (reason, message) for which they could not be had; of a long text a part, before which
    the file has `line` lines."""

    file: str
    data: bytes
    problem: tuple[str, str] | None = None
    line: int = 0


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _TooLarge(Exception):
    """More was unpacked than the limit."""


def score_kind(name: str) -> str:
    """Return "midi" or "musicxml" by a file's name, "" for all others."""
    lowered = name.lower().removesuffix(".gz")
    return next((kind for suffix, kind in SCORE_SUFFIXES.items() if lowered.endswith(suffix)), "")


def tune_files(path: Path, kinds: Collection[str] = ()) -> list[Path]:
    """Return the files under `path` that can hold tunes, and the scores of `kinds` (see `score_kind`), sorted; a file
    named outright is taken whatever its suffix."""
    if not path.is_dir():
        return [path]
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, name) for name in names if is_tune_file(name, kinds)]
    return sorted(one for one in found if one.is_file())


def is_tune_file(name: str, kinds: Collection[str] = ()) -> bool:
    """Return whether a file's name says that it holds tunes, is a score of `kinds`, or is an archive."""
    return not name.startswith(".") and (_is_wanted(name, kinds) or name.lower().endswith(ZIP_SUFFIXES + TAR_SUFFIXES))


def documents(paths: Iterable[Path], root: Path, kinds: Collection[str] = ()) -> Iterator[Document]:
    """Yield the texts in `paths`, and the scores of `kinds`, with names relative to `root`; a member of an archive is
    named `archive.zip/member.abc`."""
    for path in paths:
        label = path.relative_to(root).as_posix() if path != root else path.name
        try:
            yield from _unpacked(path, label, kinds)
        except _TooLarge:
            yield Document(label, b"", ("too_large", f"it unpacks to over {_limit(path):,} bytes; unpack it yourself."))
        except _DAMAGED as error:
            reason = getattr(error, "strerror", None) or error or type(error).__name__  # strerror names no path
            yield Document(label, b"", ("unreadable", f"it cannot be read: {reason}."))


def _unpacked(path: Path, label: str, kinds: Collection[str]) -> Iterator[Document]:
    name = path.name.lower()
    if name.endswith(ZIP_SUFFIXES):
        yield from _zip_members(path, label, kinds)
    elif name.endswith(TAR_SUFFIXES):
        yield from _tar_members(path, label, kinds)
    elif name.endswith(".gz"):
        with gzip.open(path) as stream:
            yield from _parts(_Limited(stream, _limit(path)), label)
    else:
        with open(path, "rb") as stream:
            yield from _parts(_Limited(stream, MAX_FILE_BYTES), label)


def _parts(stream: "_Limited", label: str) -> Iterator[Document]:
    """Yield a long text in parts of about PART_BYTES, cut before an X: field or, of JSON lines, before a line. What
    stands before the first X: is put before each part, for all tunes inherit it. Whole come scores, UTF-16, a JSON
    array."""
    name = label.lower().removesuffix(".gz")
    mark = b"\n" if name.endswith((".json", ".jsonl")) else b"\nX:"
    rest, header, line = stream.read(PART_BYTES), b"", 0
    is_whole = score_kind(name) or rest[:2] in (b"\xff\xfe", b"\xfe\xff") or rest.lstrip()[:1] == b"["
    if mark == b"\nX:" and not rest.startswith(b"X:"):
        header = rest[: rest.find(mark) + 1]
    while block := stream.read(-1 if is_whole else PART_BYTES):
        rest += block
        place = -1 if is_whole else rest.rfind(mark, len(header)) + 1
        if place > len(header):
            yield Document(label, rest[:place], line=line)
            line += rest.count(b"\n", 0, place) - header.count(b"\n")
            rest = header + rest[place:]
    yield Document(label, rest, line=line)


def _limit(path: Path) -> int:
    """Return bytes that an archive may unpack to in all."""
    return max(FREE_BYTES, min(MAX_FILE_BYTES, MAX_EXPANSION * path.stat().st_size))


def _zip_members(path: Path, label: str, kinds: Collection[str]) -> Iterator[Document]:
    left = _limit(path)
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.filename):
            if member.is_dir() or not _is_member(member.filename, kinds):
                continue
            with archive.open(member) as stream:
                data = _Limited(stream, left).read()
            left -= len(data)
            yield Document(f"{label}/{_safe(member.filename)}", data)


def _tar_members(path: Path, label: str, kinds: Collection[str]) -> Iterator[Document]:
    """Yield the members of a tar; a stream is read in its own order, since going back would unpack it again."""
    packed = path.name.lower().endswith("gz")
    with gzip.open(path) if packed else open(path, "rb") as stream:
        limited = _Limited(stream, _limit(path) if packed else 8 * MAX_FILE_BYTES)
        with tarfile.open(fileobj=limited, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if member.isfile() and _is_member(member.name, kinds):
                    content = archive.extractfile(member)
                    yield Document(f"{label}/{_safe(member.name)}", content.read() if content else b"")


def _is_member(name: str, kinds: Collection[str]) -> bool:
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return not base.startswith(".") and not base.lower().endswith(".gz") and _is_wanted(base, kinds)


def _is_wanted(name: str, kinds: Collection[str]) -> bool:
    return name.lower().removesuffix(".gz").endswith(TUNE_SUFFIXES) or score_kind(name) in kinds


def _safe(name: str) -> str:
    """Return a member's name without the parts that climb, and printable."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "".join(c if c.isprintable() else "?" for c in "/".join(parts))


class _Limited:
    """A stream that raises when more than `left` bytes have come out of it."""

    def __init__(self, stream: _Readable, left: int) -> None:
        self.stream, self.left = stream, left

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or all."""
        data = self.stream.read(self.left + 1 if size < 0 else size)
        self.left -= len(data)
        if self.left < 0:
            raise _TooLarge
        return data
