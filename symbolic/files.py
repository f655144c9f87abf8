"""Files written whole: a reader meets the old file or the new one, never half of either.

JSON is UTF-8, sorted only where the caller sorted it; JSON lines hold one object a line. Texts of others (`decoded`,
`open_text`) are UTF-8 with or without a byte order mark; bytes that are not UTF-8 are read as Windows-1252.
"""

import codecs
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from symbolic.errors import UserError

DELIMITERS = ",;\t"  # of CSV: spreadsheets write the second where the comma parts decimals
_WINDOWS = "windows-1252"  # the error handler's name


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Return what to read in place of bytes that are not UTF-8."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_WINDOWS, _as_windows)


def write_whole(path: Path | str, data: str | bytes) -> None:
    """Write `data` under a temporary name in the same folder, flush it to the disk, rename it to `path`.

    Raises UserError naming the path when the disk is full or the folder cannot be written.
    """
    path = Path(path)
    payload = data.encode("utf-8", "replace") if isinstance(data, str) else data  # half a surrogate pair becomes ?
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, whole."""
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read one JSON file; UserError names the file (and line) when it is absent or malformed."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, too long a number, nested without end
        raise UserError(f"{path} is not valid JSON ({error}). Make it again with the command that wrote it.") from error


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, whole."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; UserError names file and line of a bad one."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(line, f"{path}:{number}")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}).") from error


def decode(data: bytes) -> str:
    """Return the text of a file of others."""
    return data.decode("utf-8-sig", _WINDOWS)


def open_text(path: Path | str) -> TextIO:
    """Return a file of others opened for reading as `decoded` reads it, a piece at a time; line ends are kept for
    csv."""
    return open(path, encoding="utf-8-sig", errors=_WINDOWS, newline="")


def delimiter(header: str) -> str:
    """Return what parts the columns of a CSV file, by its first line: the one of DELIMITERS that is there most
    often."""
    return max(DELIMITERS, key=header.count)


def check_writable(path: Path) -> None:
    """Find out before the work that a file or folder cannot be made; UserError names what bars the way."""
    parent = next((folder for folder in path.absolute().parents if folder.exists()), Path("/"))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"cannot write {path}: {parent} is not a folder that you may write to. Choose another.")


@contextlib.contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling folder; rename it to `path` on success (replacing it), remove it on failure."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}. Choose another folder.") from error
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        _replace_folder(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path | str, doing: str) -> Iterator[None]:
    """Hold the file or folder `path` for this process; UserError where another one is `doing` the same to it.

    The lock is the hidden file .NAME.lock beside it, which is removed at the end. A file system without locks holds
    nothing.
    """
    import filelock

    path = Path(path)
    lock = path.absolute().with_name(f".{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(lock, timeout=0)
        held.acquire()
    except filelock.Timeout as error:
        message = f"another process is {doing} {path}: wait until it has ended, or choose another folder."
        raise UserError(message) from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}. Choose another folder.") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps a file that is open
            lock.unlink()
        held.release()


def names_in(folder: Path) -> list[str]:
    """Return names of what a folder holds; none where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def sha256(path: Path | str) -> str:
    """Return SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(data: str | bytes) -> str:
    """Return SHA-256 of a string (as UTF-8) or bytes, hexadecimal."""
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON ({getattr(error, 'msg', error)}).") from error
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(value).__name__}.")
    return value


def _replace_folder(new: Path, path: Path) -> None:
    """Rename is atomic only onto an absent or empty folder, so an old one steps aside first."""
    if not path.exists():
        os.rename(new, path)
        return
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
    os.rename(path, aside / "old")
    os.rename(new, path)
    shutil.rmtree(aside, ignore_errors=True)
