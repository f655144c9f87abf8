"""Files of others are read up to the limit of their kind, and refused by name beyond it."""

from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.formats.file_bytes import MAX_BYTES, read_bytes


def test_the_limit_itself_is_read_and_one_byte_more_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mid"
    monkeypatch.setitem(MAX_BYTES, "midi", 10)
    path.write_bytes(bytes(10))
    assert read_bytes(path, "midi") == bytes(10)
    path.write_bytes(bytes(11))
    with pytest.raises(UserError, match=r"a\.mid is larger than"):
        read_bytes(path, "midi")


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mid"):
        with pytest.raises(UserError, match="cannot read"):
            read_bytes(path, "abc")
