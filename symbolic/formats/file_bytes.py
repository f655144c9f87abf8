"""How large a file from outside may be, by its kind, and its bytes: the one table of limits.

`render`, `convert`, `view`, `generate --tune`, `lyrics`, `evaluate` and `prepare` read through it.
"""

from pathlib import Path

from symbolic.errors import UserError

MAX_BYTES = {"abc": 64 * 2**20, "midi": 8 * 2**20, "musicxml": 16 * 2**20}


def read_bytes(path: Path | str, kind: str) -> bytes:
    """All bytes of a file of a kind. Raises UserError where it cannot be read or is larger than MAX_BYTES says."""
    limit = MAX_BYTES[kind]
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    if len(data) > limit:
        raise UserError(f"{path} is larger than {limit // 2**20} MiB, the most that is read of this kind of file.")
    return data
