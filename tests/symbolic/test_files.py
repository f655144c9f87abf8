"""Texts of others, in the encodings that people have, and places that cannot be written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbolic import files
from symbolic.errors import UserError


@given(st.text())
def test_utf_8_is_read_as_it_is_with_or_without_a_mark(text: str) -> None:
    assert files.decode(("\ufeff" + text).encode()) == text
    assert files.decode(text.encode()) == text.removeprefix("\ufeff")


def test_what_is_not_utf_8_is_windows_1252_a_byte_at_a_time() -> None:
    text = "Não há canção – “você”, Müller, señor … €5"
    assert files.decode(text.encode("cp1252")) == text
    assert files.decode("é".encode() + "é".encode("cp1252")) == "éé"


def test_a_long_file_is_read_in_pieces_as_it_is_in_one(tmp_path: Path) -> None:
    data = ("ção e pão; " * 5000).encode("cp1252") + b"x" + ("ção e pão\r\n" * 5000).encode()
    (tmp_path / "a.csv").write_bytes(data)
    with files.open_text(tmp_path / "a.csv") as file:
        assert file.read() == files.decode(data)
        file.seek(0)
        assert file.readline().endswith("ção e pão\r\n")


def test_the_delimiter_is_the_one_of_the_first_line() -> None:
    found = {line: files.delimiter(line) for line in ("title,lyrics", "title;lyrics", "title\tlyrics", "lyrics", "")}
    assert list(found.values()) == [",", ";", "\t", ",", ","]


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    files.check_writable(tmp_path / "new" / "deep" / "out.abc")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match="file is not a folder that you may write to"):
        files.check_writable(tmp_path / "file" / "deep" / "out.abc")


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with (
        files.locked(folder, "training"),
        pytest.raises(UserError, match=r"another process is training .*new: wait"),
        files.locked(folder, "training"),
    ):
        pass
    with files.locked(folder, "preparing"):
        pass


def test_a_lock_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "new", "training"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"), files.locked(tmp_path / "file" / "run", "training"):
        pass


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000, '{"a": "\x00"}', ""])
def test_json_of_others_is_refused_by_name_whatever_is_in_it(text: str, tmp_path: Path) -> None:
    for name, read in (("a.json", files.read_json), ("a.jsonl", lambda path: list(files.read_jsonl(path)))):
        (tmp_path / name).write_text(text, encoding="utf-8")
        if text or name == "a.json":
            with pytest.raises(UserError, match=rf"{name}.*not valid JSON"):
                read(tmp_path / name)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not valid JSON"):
        files.read_json(tmp_path / "a.json")
