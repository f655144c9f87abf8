"""Where lyrics come from: one reader for CSV, Parquet, JSON and JSON lines, folders of text, and hub datasets.

Columns are those of `genius-song-lyrics` (sebastiandizon/genius-song-lyrics and its kin): title, tag (the genre),
artist, year, views, lyrics, language; only `lyrics` must be there, and the names in ALIASES are read, too. Rows are
streamed: a file larger than the memory is read a piece at a time. Columns of CSV are parted by `,`, `;` or tabs, as its
first line has them; texts are UTF-8 or Windows-1252 (`symbolic.files`). A source is a path, `hf:OWNER/NAME`, or
`bundled`, the verses that were written for this project (data/songs_*.txt, CC0).

A text file is a song; `Title: …`, `Artist: …`, `Genre: …`, `Language: …` lines at its head are read as fields.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_bridge.lyrics.lyric_text import MAX_CHARACTERS, code_of, headed
from symbolic import files
from symbolic.errors import UserError

BUNDLED = "bundled"
HUB = "hf:"
DATA = Path(__file__).parents[1] / "data"
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".json", ".txt", ".lrc")
ALIASES = {
    "lyrics": ("lyrics", "lyric", "text", "song_lyrics", "letra"),
    "title": ("title", "song", "track_name", "song_name", "name", "titulo"),
    "artist": ("artist", "artist_name", "singer", "artista"),
    "genre": ("tag", "genre", "genres", "playlist_genre", "genero"),
    "language": ("language", "lang", "language_cld3", "language_ft", "idioma"),
    "year": ("year", "release_year", "ano"),
    "views": ("views", "popularity"),
}
MAX_TEXT_FILE = 4 * MAX_CHARACTERS
_BATCH_ROWS = 512


@dataclass(frozen=True)
class Song:
    """A song as it was found; `where` is file and row."""

    source: str
    where: str
    lyrics: str
    title: str = ""
    artist: str = ""
    genre: str = ""
    language: str = ""
    year: int | None = None
    views: int | None = None


@dataclass(frozen=True)
class LyricRejection:
    """What could not be read or was left out: `reason` is a slug to count by."""

    source: str
    where: str
    reason: str
    message: str
    title: str = ""


@dataclass(frozen=True)
class Record:
    """What is known of a source."""

    name: str
    origin: str
    terms: str
    licence: str
    url: str = ""


def record(source: str) -> Record:
    """Return the record of a source. Raises UserError where there is no such source."""
    if source == BUNDLED:
        terms = "Verses written for this project in 2026, dedicated to the public domain."
        return Record(BUNDLED, BUNDLED, terms, "CC0 1.0")
    if source.startswith(HUB):
        if not re.fullmatch(r"hf:[\w.-]+(/[\w.-]+)?", source):
            raise UserError(f"{source!r} is not the name of a hub dataset: write hf:OWNER/NAME.")
        url = f"https://huggingface.co/datasets/{source.removeprefix(HUB)}"
        return Record(
            source, source, f"See the dataset's card: {url}. Lyrics are mostly under copyright.", "see the card", url
        )
    path = Path(source)
    if not path.exists():
        raise UserError(f"no file or folder {source!r}. Give CSV, Parquet, JSON, text, hf:OWNER/NAME or `{BUNDLED}`.")
    name = path.resolve().name
    return Record(name, name, "Brought by the user: its terms are not known to this program.", "not known")


def read(source: str) -> Iterator[Song | LyricRejection]:
    """Stream every song of a source."""
    if source == BUNDLED:
        yield from bundled()
    elif source.startswith(HUB):
        yield from _hub(source)
    elif Path(source).is_dir():
        yield from _folder(Path(source), record(source).name)
    else:
        yield from _file(Path(source), record(source).name)


def bundled() -> Iterator[Song]:
    """Yield the verses that come with the project."""
    for path in sorted(DATA.glob("songs_*.txt")):
        language = path.stem.removeprefix("songs_")
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for number, block in enumerate(re.split(r"^== ", text, flags=re.MULTILINE)[1:], start=1):
            head, _, body = block.partition("\n")
            title, genre, artist = (part.strip() for part in head.split("|"))
            yield Song(BUNDLED, f"{path.name}:{number}", body.strip(), title, artist, genre, language)


def _folder(folder: Path, source: str) -> Iterator[Song | LyricRejection]:
    """Yield every file of lyrics below a folder; one that cannot be read is a rejection."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise UserError(f"{folder} holds no lyrics: looked for {', '.join(SUFFIXES)}.")
    for path in found:
        try:
            yield from _file(path, source)
        except UserError as error:
            yield LyricRejection(source, path.name, "unreadable", str(error))


def _file(path: Path, source: str) -> Iterator[Song | LyricRejection]:
    suffix = path.suffix.lower()
    readers = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".jsonl": _jsonl, ".json": _json}
    if suffix in (".txt", ".lrc"):
        yield _text(path, source)
        return
    if suffix not in readers:
        raise UserError(f"{path}: lyrics are read from {', '.join(SUFFIXES)}.")
    try:
        for number, row in readers[suffix](path):
            yield _song(row, source, f"{path.name}:{number}")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error


def _song(row: object, source: str, where: str) -> Song | LyricRejection:
    if isinstance(row, LyricRejection):
        return LyricRejection(source, where, row.reason, f"{where}: {row.message}")
    if not isinstance(row, Mapping):
        return LyricRejection(source, where, "no_row", f"{where}: the row is no object with columns.")
    columns = {str(name).strip().lower(): value for name, value in row.items() if name is not None}
    value = {name: next((columns[a] for a in names if a in columns), None) for name, names in ALIASES.items()}
    if not isinstance(value["lyrics"], str):
        has = ", ".join(list(columns)[:8])
        return LyricRejection(source, where, "no_lyrics", f"{where}: no text under `lyrics`; the columns are {has}.")
    return Song(
        source, where, value["lyrics"], _plain(value["title"]), _plain(value["artist"]), _plain(value["genre"]).lower(),
        code_of(_plain(value["language"])), _number(value["year"]), _number(value["views"]),
    )  # fmt: skip


def _plain(value: object) -> str:
    return "" if value is None or value != value else str(value).strip()[:300]


def _number(value: object) -> int | None:
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with files.open_text(path) as file:
        head = file.read(4096)
        if "\0" in head:
            raise UserError(f"{path} is a binary file, not CSV.")
        file.seek(0)
        lines = (line.replace("\0", "") for line in file)
        header = head.partition("\n")[0]
        rows = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else files.delimiter(header))
        number = 1
        while True:
            number += 1
            try:
                yield number, next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, LyricRejection("", "", "bad_csv", f"not readable as CSV ({error}).")


def _jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    with files.open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    yield number, LyricRejection("", "", "bad_json", f"not valid JSON ({error}).")


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        value = json.loads(files.decode(path.read_bytes()))
    except (json.JSONDecodeError, RecursionError) as error:
        yield 1, LyricRejection("", "", "bad_json", f"not valid JSON ({error}).")
        return
    yield from enumerate(value if isinstance(value, list) else [value], start=1)


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"reading {path} needs pyarrow: pip install 'abc-symbolic[hub]'.") from error
    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(_BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a readable Parquet file: {error}.") from error


def _text(path: Path, source: str) -> Song | LyricRejection:
    """Read a text file as a song; without a title in it the file's name is one."""
    if path.stat().st_size > MAX_TEXT_FILE:
        return LyricRejection(source, path.name, "too_long", f"{path} is larger than any song.")
    data = path.read_bytes()
    if b"\0" in data:
        return LyricRejection(source, path.name, "binary", f"{path} is a binary file.")
    fields, text = headed(files.decode(data).replace("\r\n", "\n"))
    if path.suffix.lower() == ".lrc":
        text = re.sub(r"^\[[a-z]+:.*\]$|[\[<]\d+:\d+(?:\.\d+)?[\]>]", "", text, flags=re.MULTILINE)
    title = fields["title"] or path.stem.replace("_", " ")
    return Song(source, path.name, text, title, fields["artist"], fields["genre"], fields["language"])


def _hub(source: str) -> Iterator[Song | LyricRejection]:
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"reading {source} needs `datasets`: pip install 'abc-symbolic[hub]'.") from error
    name = source.removeprefix(HUB)
    try:
        for split, rows in sorted(datasets.load_dataset(name, streaming=True).items()):
            for number, row in enumerate(rows, start=1):
                yield _song(row, source, f"{split}:{number}")
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {source}: {error}. Check the name and the network, or download it and give the file."
        ) from error
