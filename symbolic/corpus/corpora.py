"""Where tunes come from: the record of every known corpus (terms, size, SHA-256), and one reader for all sources.

    for found in read("oneill"): ...

A source is the name of a record below; a file or folder (recursively) of .abc, .txt, .json, .jsonl, plain or gzipped,
or zip and tar archives of them; or `hf:OWNER/NAME`, a dataset of the Hugging Face hub, the only one that needs a
network. JSON rows hold a tune under `abc notation` and may hold `control code`, as in IrishMAN. Scores (MIDI: .mid,
.midi, .kar; MusicXML: .musicxml, .xml, .mxl) are found where their kind is asked for, and handed on as bytes: nothing
here reads them. A hub dataset holds MIDI in any column of bytes that begin as a MIDI file does.

What can be read comes as `Found` with source, file and line; what cannot comes as `Rejection`; nothing is swallowed.
A record's SHA-256 is that of the bytes of its sorted files, one after the other. Text is UTF-8, else Latin-1.
"""

import difflib
import functools
import hashlib
import importlib.util
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from symbolic.corpus import archives
from symbolic.corpus.archives import Document
from symbolic.errors import UsageError, UserError
from symbolic.notation.abc_parser import split_tunes

COLUMN = "abc notation"
CONTROL_COLUMN = "control code"
HUB = "hf:"
BUNDLED = "music21:"
_HEAD_BYTES = 2**16  # of a file that tell whether it holds tunes
_PEEK = 16  # members of an archive whose names tell what it holds
SCORES = ("midi", "musicxml")  # kinds of files that are handed on as bytes

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Corpus:
    """What is known of a corpus. Sizes and SHA-256 are 0 and '' where they were not measured."""

    name: str
    title: str
    origin: str  # music21:FOLDER, hf:OWNER/NAME, or a path (of which `without_path` leaves the name)
    url: str
    terms: str
    licence: str
    redistribution: str
    n_tunes: int = 0
    n_bytes: int = 0
    sha256: str = ""
    opt_in: str = ""  # why it is used only when asked for by name; '' when it needs no asking


_MUSIC21 = "https://github.com/cuthbertLab/music21/tree/master/music21/corpus/"
_PERMITTED = (
    "The tunes are in the public domain; the encodings are distributed with music21 by permission of the encoders."
)
_KEEP_CREDIT = "Name the encoders (the Z: fields, kept in `fields` of each tune); music21 distributes the files."

_SCORES_PERMITTED = (
    "The music is in the public domain; the encodings are distributed with music21 by permission of the encoders, and "
    "some may not be used commercially (its corpus/license.txt; these files state no terms of their own)."
)
_KEEP_CREDIT_OF_SCORES = "With music21's corpus/license.txt; ask its maintainers before commercial use."

_RECORDS = (
    Corpus(
        "aird",
        "James Aird, A Selection of Scotch, English, Irish and Foreign Airs, 6 volumes, Glasgow 1778-1801; "
        "encoded by Jack Campin (www.campin.me.uk), 2009",
        BUNDLED + "airdsAirs",
        _MUSIC21 + "airdsAirs",
        _PERMITTED,
        "public domain (tunes), by permission (encodings)",
        _KEEP_CREDIT,
        1180,
        422_263,
        "bb7b8af608f400e9af30e9b27931ac8d5f48d01bd0457c65407f6f4cd03024d2",
    ),
    Corpus(
        "oneill",
        "Francis O'Neill, Music of Ireland: Eighteen Hundred and Fifty Melodies, Chicago 1903; "
        "encoded by volunteers (John Chambers, Henrik Norbeck and others)",
        BUNDLED + "oneills1850",
        _MUSIC21 + "oneills1850",
        _PERMITTED,
        "public domain (tunes), by permission (encodings)",
        _KEEP_CREDIT,
        2009,
        781_984,
        "c45fbfa139a40a00dd465badff3f99dc9177877d00cb7cb7b696e9cdf4fd942e",
    ),
    Corpus(
        "ryan",
        "William Bradbury Ryan, Ryan's Mammoth Collection, Boston 1883; "
        "encoded by volunteers (Ray Davies, John Chambers and others)",
        BUNDLED + "ryansMammoth",
        _MUSIC21 + "ryansMammoth",
        _PERMITTED,
        "public domain (tunes), by permission (encodings)",
        _KEEP_CREDIT,
        1059,
        438_823,
        "3ea75e2db64cdbb5c57a0953097c13646ba9a670d3d1cdfc0d6a91f2fe7f50fc",
    ),
    Corpus(
        "essen",
        "Essen Folksong Collection, Helmut Schaffrath and Ewa Dahlig-Turek; ABC by Seymour Shlien",
        BUNDLED + "essenFolksong",
        "https://www.esac-data.org",
        "Legal status unclear, since many people entered the data; permission was given for non-commercial "
        "distribution and use in music21 (its corpus/essenFolksong/license.txt).",
        "non-commercial",
        "Non-commercial only.",
        8514,
        2_625_784,
        "9a97ade8282e51902d377a93c6d59254ddddaae9c433a5a6f0dcdc46d91a9cd4",
        opt_in="it may be used for non-commercial purposes only, and so may what is trained on it",
    ),
    Corpus(
        "chorales",
        "Johann Sebastian Bach, four-part chorales (410 files of music21's corpus/bach)",
        BUNDLED + "bach",
        _MUSIC21 + "bach",
        _SCORES_PERMITTED,
        "public domain (music), by permission (encodings)",
        _KEEP_CREDIT_OF_SCORES,
        410,
        2_336_997,
        "2b133fe2b04e1149c0566e43c912a52884ace043d16de85c0711d67cd42976d1",
    ),
    Corpus(
        "haydn",
        "Joseph Haydn, movements of string quartets (music21's corpus/haydn)",
        BUNDLED + "haydn",
        _MUSIC21 + "haydn",
        _SCORES_PERMITTED,
        "public domain (music), by permission (encodings)",
        _KEEP_CREDIT_OF_SCORES,
        9,
        140_368,
        "a3716f907eea38bd56c46d1e89754e1c398fde60a98da060f0f8cc9b39aa77b6",
    ),
    Corpus(
        "mozart",
        "Wolfgang Amadeus Mozart, movements of string quartets and a piano sonata (music21's corpus/mozart)",
        BUNDLED + "mozart",
        _MUSIC21 + "mozart",
        _SCORES_PERMITTED,
        "public domain (music), by permission (encodings)",
        _KEEP_CREDIT_OF_SCORES,
        16,
        217_067,
        "32494c92676bc3f0e5be5a8a5310593bf133360369b4a52ea48d79c82e75a467",
    ),
    Corpus(
        "nottingham",
        "Two tunes of the Nottingham Music Database, as music21 carries them",
        BUNDLED + "nottingham-dataset",
        _MUSIC21 + "nottingham-dataset",
        "The files state no terms.",
        "not stated",
        "Not stated: do not redistribute without asking.",
        2,
        831,
        "00b644ec86052ec1053fd5afee2111203167b403e88706ba03ff40fa314ee285",
        opt_in="its files state no terms of use",
    ),
    Corpus(
        "irishman",
        "IrishMAN, Irish Massive ABC Notation, Wu et al. 2023 (TunesFormer)",
        HUB + "sander-wood/irishman",
        "https://huggingface.co/datasets/sander-wood/irishman",
        "The dataset card says MIT and calls the tunes public domain; they were collected from thesession.org and "
        "abcnotation.com. The Session's data has forbidden language-model training since 2025-10-08.",
        "MIT by its card; part derives from data that forbids language-model training",
        "MIT by its card; the terms of The Session's data stand beside it.",
        216_284,
        opt_in="part of it derives from The Session, whose data has forbidden language-model training since 2025-10-08",
    ),
)
RECORDS = {record.name: record for record in _RECORDS}


@dataclass(frozen=True, slots=True)
class Found:
    """One tune as found: `line` is the 1-based line of its X: field, or the number of its JSON row."""

    source: str
    file: str
    line: int
    text: str
    first_line: int  # of `text` in the file: before `line` by the fields that a file header lends
    extra: dict[str, str] = field(default_factory=dict)
    data: bytes = b""  # of a score, whose `text` is empty
    kind: str = ""  # "midi" or "musicxml" of a score

    @property
    def id(self) -> str:
        """`source/file:line`; a source that is one file is named once."""
        is_in_name = self.file == self.source or self.file.startswith(f"{self.source}/")
        return f"{self.file}:{self.line}" if is_in_name else f"{self.source}/{self.file}:{self.line}"

    @property
    def title(self) -> str:
        """Its first T: field, or ''."""
        match = re.search(r"^T:[ \t]*(.*?)[ \t]*$", self.text, re.MULTILINE)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One tune or file that is not used: `reason` is a slug to count by, `of` the tune that a duplicate repeats."""

    source: str
    file: str
    line: int | None
    reason: str
    message: str
    title: str = ""
    of: str = ""


def resolve(source: str, opt_in: Collection[str] = ()) -> Corpus:
    """Return the record of what `source` names, with the measured size and SHA-256 of files that are here.

    Raises UserError for an unknown source, an empty folder, and a corpus that is opt-in and not opted in.
    """
    record = RECORDS.get(source) or _hub_record(source) or _path_record(source)
    if record.opt_in and record.name not in opt_in:
        raise UsageError(
            f"{record.name} is used only when asked for: {record.opt_in}. Terms: {record.terms} "
            f"To accept them, add --opt-in {record.name}."
        )
    return record


def read(
    source: str | Corpus,
    opt_in: Collection[str] = (),
    warn: Warn = lambda message: None,
    kinds: Collection[str] = (),
) -> Iterator[Found | Rejection]:
    """Yield every tune of a source in a fixed order, and a Rejection for what cannot be read; `warn` hears of oddities.

    `kinds` are the scores (SCORES) to look for in files of the user.
    """
    record = resolve(source, opt_in) if isinstance(source, str) else source
    if record.origin.startswith(HUB):
        yield from _read_hub(record)
        return
    files = _tune_files(record, kinds)
    if record.origin.startswith(BUNDLED):
        _verify(record, fingerprint(files)[0], warn)
    has_scores = bool(set(kinds) & holds(record)) if kinds else False
    warn = functools.cache(warn)  # of each part of a long file once
    for document in archives.documents(files, _root(record), kinds):
        if has_scores and not document.problem and not _kind(document):  # tables and licences beside the scores
            warn(f"{record.name}: {document.file} holds no tune; skipped.")
        else:
            yield from _read_document(record.name, document, warn)


def holds(record: Corpus) -> set[str]:
    """Of "abc", "midi" and "musicxml": the kinds of files of a source; of a hub dataset none. Beside scores, .json and
    .txt files count only if they begin as tunes do: collections come with tables and licences."""
    if record.origin.startswith(HUB):
        return set()
    found: set[str] = set()
    others: list[Path] = []
    for path in _tune_files(record, SCORES):
        if path.name.lower().endswith(archives.ZIP_SUFFIXES + archives.TAR_SUFFIXES):
            members = list(itertools.islice(archives.documents([path], path, SCORES), _PEEK))
            kinds = {_kind(member) for member in members}
            found |= kinds - {""} or ({"abc"} if members else set())
        elif kind := archives.score_kind(path.name):
            found.add(kind)
        elif path.name.lower().removesuffix(".gz").endswith(".abc"):
            found.add("abc")
        else:
            others.append(path)
    if found & set(SCORES):
        others = [one for one in others if any(map(_kind, archives.documents([one], one)))]
    return found | ({"abc"} if others else set())


def _kind(document: Document) -> str:
    """Of one file, "" where it is no score and does not begin as tunes in ABC or JSON do."""
    kind = archives.score_kind(document.file)
    if kind or document.file.lower().removesuffix(".gz").endswith(".abc"):
        return kind or "abc"
    head = document.data[:_HEAD_BYTES]
    return "abc" if f'"{COLUMN}"'.encode() in head or re.search(rb"^X:", head, re.MULTILINE) else ""


def measure_files(record: Corpus, kinds: Collection[str] = ()) -> Corpus:
    """Return the record with the size and SHA-256 of the files as they are on this machine; a hub dataset stays as it
    is."""
    if record.origin.startswith(HUB):
        return record
    sha256, n_bytes = fingerprint(_tune_files(record, kinds))
    return replace(record, sha256=sha256, n_bytes=n_bytes)


def distinctly_named(records: Iterable[Corpus]) -> list[Corpus]:
    """Return the records, those of user files numbered (-2, -3, ...) where they share a name or have a known
    corpus's."""
    taken = set(RECORDS)
    renamed = []
    for record in records:
        name, number = record.name, 1
        while _is_path(record) and name in taken:
            number += 1
            name = f"{record.name}-{number}"
        taken.add(name)
        renamed.append(replace(record, name=name))
    return renamed


def without_path(record: Corpus) -> Corpus:
    """Return the record to pass on: of user files it keeps the name, not where they lie on this machine."""
    return replace(record, origin=record.name) if _is_path(record) else record


def fingerprint(files: list[Path]) -> tuple[str, int]:
    """Return SHA-256 over the bytes of the files, one after the other, and their total size."""
    digest, n_bytes = hashlib.sha256(), 0
    for path in files:
        try:
            with open(path, "rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
                    n_bytes += len(block)
        except OSError:
            continue  # reading it for tunes reports it
    return digest.hexdigest(), n_bytes


# --- finding ---------------------------------------------------------------------------------------------------------


def _hub_record(source: str) -> Corpus | None:
    if not source.startswith(HUB):
        return None
    known = next((record for record in _RECORDS if record.origin == source), None)
    if known:
        return known
    if not re.fullmatch(r"hf:[\w.-]+(/[\w.-]+)?", source):
        raise UserError(f"{source!r} is not the name of a hub dataset: write hf:OWNER/NAME.")
    url = f"https://huggingface.co/datasets/{source.removeprefix(HUB)}"
    terms = f"See the dataset's card: {url}"
    return Corpus(source, source.removeprefix(HUB), source, url, terms, "see the card", "see the card")


def _path_record(source: str) -> Corpus:
    path = Path(source)
    if not path.exists():
        near = difflib.get_close_matches(source, RECORDS, n=1, cutoff=0.75)
        hint = f"Did you mean {near[0]!r}?" if near else f"The names are {', '.join(RECORDS)}."
        raise UserError(f"no corpus, file or folder {source!r}. {hint} A hub dataset is written hf:OWNER/NAME.")
    terms = "Brought by the user: its terms are not known to this program."
    name = path.resolve().name or "files"
    return Corpus(name, name, path.as_posix(), "", terms, "not known", "not known")


def _is_path(record: Corpus) -> bool:
    return not record.origin.startswith((BUNDLED, HUB))


def _root(record: Corpus) -> Path:
    if not record.origin.startswith(BUNDLED):
        return Path(record.origin)
    spec = importlib.util.find_spec("music21")  # does not import it, which would take seconds
    folder = Path(spec.origin).parent / "corpus" if spec and spec.origin else None
    if folder is None or not (folder / record.origin.removeprefix(BUNDLED)).is_dir():
        raise UserError(f"the corpus {record.name} comes with music21, which is not here: pip install 'music21>=10.5'.")
    return folder / record.origin.removeprefix(BUNDLED)


def _tune_files(record: Corpus, kinds: Collection[str] = ()) -> list[Path]:
    """Return the files of a source; of a bundled one only the tunes, not the licence texts beside them."""
    root = _root(record)
    try:
        files = archives.tune_files(root, SCORES if record.origin.startswith(BUNDLED) else kinds)
    except OSError as error:
        raise UserError(f"cannot read {root}: {error.strerror or error}.") from error
    if record.origin.startswith(BUNDLED):
        return [path for path in files if path.suffix in (".abc", ".mxl", ".xml")]
    if not files:
        raise UserError(
            f"{root} holds no tunes: looked for {', '.join(_looked_for(kinds))}, plain or .gz, and .zip, .tar.gz. "
            f"{_contents(root)}"
        )
    return files


def _looked_for(kinds: Collection[str]) -> list[str]:
    return [*archives.TUNE_SUFFIXES, *(suffix for suffix, kind in archives.SCORE_SUFFIXES.items() if kind in kinds)]


def _contents(root: Path) -> str:
    others = sorted({path.suffix or path.name for path in root.rglob("*") if path.is_file()})
    return f"It holds only {', '.join(others[:8])} files." if others else "It is empty."


def _verify(record: Corpus, sha256: str, warn: Warn) -> None:
    if sha256 != record.sha256:
        warn(
            f"{record.name}: the files are not those of the record (SHA-256 {sha256[:12]}, recorded "
            f"{record.sha256[:12]}; music21 10.5.1); counts may differ from published ones."
        )


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_document(source: str, document: Document, warn: Warn) -> Iterator[Found | Rejection]:
    file = document.file
    if document.problem:
        yield Rejection(source, file, None, document.problem[0], f"{file}: {document.problem[1]}")
        return
    if kind := archives.score_kind(file):
        yield Found(source, file, 1, "", 1, data=document.data, kind=kind)
        return
    text = _decoded(document.data)
    if text is None:
        yield Rejection(source, file, None, "binary", f"{file} {_binary_sign(document.data)}: give ABC text or JSON.")
        return
    if not _is_utf8(document.data):
        warn(f"{source}: {file} is not UTF-8; read as Latin-1.")
    name = file.lower().removesuffix(".gz")
    if name.endswith((".json", ".jsonl")):
        yield from _read_json(source, file, text, document.line, warn)
    else:
        yield from _read_abc(source, file, text, document.line, warn)


def _decoded(data: bytes) -> str | None:
    """Return the text with plain line ends; None for a binary file."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    elif _is_binary(data):
        return None
    else:
        text = data.decode("utf-8-sig") if _is_utf8(data) else data.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", " ", text)  # line ends to Python, but not to an editor


def _is_binary(data: bytes) -> bool:
    head = data[:65536]
    controls = len(head) - len(head.translate(None, bytes(set(range(32)) - {9, 10, 11, 12, 13, 27})))
    return b"\0" in head or controls > len(head) // 100


def _binary_sign(data: bytes) -> str:
    """Return by what a binary file was known, and where."""
    place = data.find(b"\0")
    if place < 0:
        return "is not a text file, being full of control characters"
    line = data.count(b"\n", 0, place) + 1
    return f"is not a text file, having a NUL byte in line {line}"


def _is_utf8(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True  # UTF-16 by its own mark: nothing was guessed
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_abc(source: str, file: str, text: str, lines_before: int, warn: Warn) -> Iterator[Found | Rejection]:
    tunes = split_tunes(text)
    for raw in tunes:
        line = lines_before + raw.line
        yield Found(source, file, line + _lines_before_x(raw.text), raw.text, line)
    if not tunes and file.lower().endswith((".txt", ".txt.gz")):
        warn(f"{source}: {file} holds no tune (no X: or K: field); skipped.")
    elif not tunes:
        message = f"{file} holds no tune: a tune starts with an X: field, and a K: field ends its header."
        yield Rejection(source, file, 1, "no_tune", message)


def _lines_before_x(text: str) -> int:
    match = re.search(r"^X:", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) if match else 0


def _read_json(source: str, file: str, text: str, lines_before: int, warn: Warn) -> Iterator[Found | Rejection]:
    warned = False
    for number, row in _json_rows(text):
        line = lines_before + number
        if isinstance(row, dict) and CONTROL_COLUMN in row and not warned:
            warned = True
            warn(f"{source}: {file} has IrishMAN's columns. {RECORDS['irishman'].terms}")
        yield from _read_row(source, file, line, row)


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Yield (line or row number, value) of a JSON array or of JSON lines; a malformed one comes as its
    JSONDecodeError."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except (ValueError, RecursionError) as error:
            yield getattr(error, "lineno", 1), error
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


def _read_row(source: str, file: str, line: int, row: Any) -> Iterator[Found | Rejection]:
    if isinstance(row, Exception):
        yield Rejection(source, file, line, "bad_json", f"{file}:{line}: not valid JSON ({row}).")
    elif isinstance(row, dict) and (data := _midi_column(row)):
        yield Found(source, file, line, "", line, data=data, kind="midi")
    elif not isinstance(row, dict) or not isinstance(row.get(COLUMN), str):
        has = f"its columns are {', '.join(map(str, row))[:200]}" if isinstance(row, dict) else "it is no JSON object"
        message = f"{file}:{line}: the row has no text under {COLUMN!r}; {has}."
        yield Rejection(source, file, line, "no_column", message)
    else:
        yield from _row_tunes(source, file, line, row)


def _midi_column(row: dict[str, Any]) -> bytes:
    """Return the MIDI file in a row: in bytes, or in {"bytes": ...} as `datasets` keeps files."""
    values = (value.get("bytes") if isinstance(value, dict) else value for value in row.values())
    return next((bytes(v) for v in values if isinstance(v, (bytes, bytearray)) and v[:4] == b"MThd"), b"")


def _row_tunes(source: str, file: str, line: int, row: dict[str, Any]) -> Iterator[Found | Rejection]:
    code = row.get(CONTROL_COLUMN)
    extra = {CONTROL_COLUMN: code} if isinstance(code, str) else {}
    tunes = split_tunes(row[COLUMN])
    for raw in tunes:
        yield Found(source, file, line, raw.text, line, extra)
    if not tunes:
        yield Rejection(source, file, line, "no_tune", f"{file}:{line}: {COLUMN!r} holds no X: or K: field.")


def _read_hub(record: Corpus) -> Iterator[Found | Rejection]:
    name = record.origin.removeprefix(HUB)
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"reading {record.origin} needs `datasets`: pip install 'abc-symbolic[hub]'.") from error
    try:
        for split, rows in sorted(datasets.load_dataset(name, streaming=True).items()):
            for number, row in enumerate(rows, start=1):
                yield from _read_row(record.name, str(split), number, row)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {record.origin}: {error}. Check the name and the network, or download it and give the folder."
        ) from error
