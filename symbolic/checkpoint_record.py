"""The record of a checkpoint, `training.json`: size and SHA-256 of every other file in it, and its own digest.

    record = verify(folder)     # refuses a folder that was cut, changed or half copied

It is read without PyTorch, so that `generate` can check a model before it loads it. `checkpoint` writes and loads what
the record stands for.
"""

import json
import os
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError

FORMAT = 1
RECORD = "training.json"
SELF = "record_sha256"  # key of the record: its own digest


def write(folder: Path, contents: dict[str, Any]) -> None:
    """Write the record of a folder in which everything else is written."""
    record = {"format": FORMAT, **contents, "files": _manifest(folder)}
    files.write_json(folder / RECORD, {**record, SELF: _digest(record)})


def verify(folder: Path) -> dict[str, Any]:
    """Return the record of a whole checkpoint. Raises UserError naming the file that is absent, cut or changed."""
    try:
        return whole_record(folder)
    except UserError as error:
        raise UserError(f"{error} Copy {folder} again from where it is whole, or train again.") from error


def whole_record(folder: Path) -> dict[str, Any]:
    """Return the record of a checkpoint whose files are those written; the UserError says what is wrong, not what to
    do."""
    path = folder / RECORD
    if not path.is_file():
        raise UserError(f"{path} is missing.")
    try:
        record = files.read_json(path)
    except UserError as error:
        raise UserError(f"{path} is cut or damaged: it is not whole JSON.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UserError(f"{path} is not a record of this version.")
    if SELF in record and record[SELF] != _digest(record):
        raise UserError(f"{path} is damaged: its SHA-256 is not the one written.")
    written = record.get("files")
    if not isinstance(written, dict) or not all(_is_measure(one) for one in written.values()):
        raise UserError(f"{path} is damaged: it does not say which files were written.")
    for name, expected in written.items():
        _verify_file(folder / name, expected)
    return record


def _digest(record: dict[str, Any]) -> str:
    """Return the SHA-256 of a record but for its own digest."""
    others = {key: value for key, value in record.items() if key != SELF}
    return files.digest(json.dumps(others, sort_keys=True))


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of each file, once it is on the disk."""
    return {path.name: _measure(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _measure(path: Path) -> dict[str, Any]:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}


def _is_measure(value: object) -> bool:
    """True for what `_measure` says of a file."""
    return isinstance(value, dict) and isinstance(value.get("bytes"), int) and isinstance(value.get("sha256"), str)


def _verify_file(path: Path, expected: dict[str, Any]) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing.")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise UserError(f"{path} holds {size:,} bytes, but {expected['bytes']:,} were written: it is cut.")
    if files.sha256(path) != expected["sha256"]:
        raise UserError(f"{path} is damaged: its SHA-256 is not the one written.")
