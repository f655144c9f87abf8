"""The record of a checkpoint: what was written is whole; what was changed since is named."""

from pathlib import Path

import pytest

from symbolic import checkpoint_record, files
from symbolic.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(b"12345")
    checkpoint_record.write(tmp_path, {"step": 7})
    return tmp_path


def test_a_whole_folder_is_verified(folder: Path) -> None:
    record = checkpoint_record.verify(folder)
    assert record["step"] == 7 and record["files"]["weights"]["bytes"] == 5


def test_what_changed_is_named(folder: Path) -> None:
    (folder / "weights").write_bytes(b"12346")
    with pytest.raises(UserError, match=r"weights is damaged.*Copy .* again"):
        checkpoint_record.verify(folder)
    (folder / "weights").write_bytes(b"123")
    with pytest.raises(UserError, match="3 bytes, but 5 were written"):
        checkpoint_record.whole_record(folder)
    (folder / "weights").unlink()
    with pytest.raises(UserError, match="weights is missing"):
        checkpoint_record.whole_record(folder)


def test_the_record_knows_its_own_digest(folder: Path) -> None:
    record = files.read_json(folder / checkpoint_record.RECORD)
    files.write_json(folder / checkpoint_record.RECORD, record | {"step": 8})
    with pytest.raises(UserError, match="SHA-256 is not the one written"):
        checkpoint_record.verify(folder)
