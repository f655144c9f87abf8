"""Sources of tunes: records and terms, every container, encodings, and hostile files."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from symbolic.corpus import archives, corpora
from symbolic.corpus.corpora import RECORDS, Found, Rejection, read, resolve
from symbolic.errors import UserError

TUNE = "X:1\nT:Café\nM:4/4\nL:1/8\nK:G\nGABc dedB|c2A2 A2G2|\n"
TWO = "M:3/4\nL:1/4\n\nX:7\nK:C\nCDE|\n\nX:8\nK:D\nDEF|\n"


def everything(source: Path | str, **options: object) -> list[Found | Rejection]:
    return list(read(str(source), **options))  # type: ignore[arg-type]


def reasons(source: Path | str) -> list[str]:
    return [one.reason if isinstance(one, Rejection) else "ok" for one in everything(source)]


@pytest.mark.parametrize("name", ["aird", "oneill", "ryan", "essen", "nottingham"])
def test_bundled_corpora_are_those_of_their_records(name: str) -> None:
    warnings: list[str] = []
    found = list(read(name, opt_in=[name], warn=warnings.append))
    assert len(found) == RECORDS[name].n_tunes
    assert all(isinstance(one, Found) and one.source == name for one in found)
    assert warnings == []
    assert corpora.measure_files(RECORDS[name]) == RECORDS[name]


def test_changed_bundled_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    record = replace(RECORDS["nottingham"], sha256="0" * 64, opt_in="")
    monkeypatch.setitem(RECORDS, "nottingham", record)
    warnings: list[str] = []
    assert len(list(read("nottingham", warn=warnings.append))) == 2
    assert len(warnings) == 1 and "not those of the record" in warnings[0]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("essen", "non-commercial"),
        ("irishman", "language-model training"),
        ("nottingham", "no terms"),
        ("hf:sander-wood/irishman", "The Session"),
    ],
)
def test_opt_in_is_explained(name: str, word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        resolve(name)
    assert f"--opt-in {name.replace('hf:sander-wood/', '')}" in str(caught.value)


def test_every_record_states_its_terms() -> None:
    for record in RECORDS.values():
        assert record.terms and record.licence and record.redistribution and record.url.startswith("https://")


def test_music21_is_not_imported() -> None:
    code = (
        "import sys; from symbolic.corpus.corpora import read; next(iter(read('aird')))"
        "; print('music21' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_provenance_counts_lines_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "two.abc").write_text(TWO)
    found = everything(tmp_path)
    assert [(one.file, one.line) for one in found] == [("two.abc", 4), ("two.abc", 8)]
    assert all(isinstance(one, Found) and "M:3/4" in one.text for one in found)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.abc", TWO.encode() + b"".join(b"%% note\r\nX:%d\r\nK:C\r\nCDE|\r\n" % n for n in range(90))),
        ("b.abc", "".join(TUNE.replace("X:1", f"X:{n}") for n in range(50)).encode("latin-1")),
        ("c.abc", TUNE.encode("utf-16")),
        ("d.txt", "".join(f"X:{n}\nK:G\nGAB|\n" for n in range(60)).replace("\n", "\r").encode()),
        ("e.jsonl", "".join(json.dumps({"abc notation": TUNE}) + "\n\n" for _ in range(30)).encode() + b"{nonsense}\n"),
        ("f.json", json.dumps([{"abc notation": TUNE}] * 30).encode()),
        ("g.abc", b"K:C\n" + b"CDEF|\n" * 300),
    ],
)
def test_a_long_text_is_read_in_parts_as_it_would_be_whole(
    name: str, data: bytes, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    whole = everything(path)
    assert whole
    for size in (64, 301, 1000):
        monkeypatch.setattr(archives, "PART_BYTES", size)
        assert everything(path) == whole
    parts = list(archives.documents([path], path))
    is_cut = name[0] in "abe"
    assert (len(parts) > 1) == is_cut


def test_line_ends_and_encodings(tmp_path: Path) -> None:
    (tmp_path / "a-crlf.abc").write_bytes(TUNE.replace("\n", "\r\n").encode())
    (tmp_path / "b-latin.abc").write_bytes(TUNE.encode("latin-1"))
    (tmp_path / "c-bom.abc").write_bytes(b"\xef\xbb\xbf" + TUNE.encode())
    (tmp_path / "d-utf16.abc").write_bytes(TUNE.encode("utf-16"))
    (tmp_path / "e-mac.abc").write_bytes(TUNE.replace("\n", "\r").encode())
    notes: list[str] = []
    found = everything(tmp_path, warn=notes.append)
    assert len({one.text for one in found if isinstance(one, Found)}) == 1
    assert [one.title for one in found] == ["Café"] * 5
    assert len(notes) == 1 and "b-latin.abc is not UTF-8" in notes[0]


def test_a_separator_in_latin_1_does_not_shift_lines(tmp_path: Path) -> None:
    (tmp_path / "x.abc").write_bytes(b"% dots \x85 and \x0b a tab\nX:1\nM:4/4\nK:C\nCDEF|\n")
    assert [one.line for one in everything(tmp_path)] == [2]


def test_archives_are_read_in_place(tmp_path: Path) -> None:
    source, outside = tmp_path / "in", tmp_path / "evil.abc"
    source.mkdir()
    with zipfile.ZipFile(source / "a.zip", "w") as archive:
        archive.writestr("../evil.abc", TUNE)
        archive.writestr("deep/er/tune.abc", TUNE)
        archive.writestr("__MACOSX/._tune.abc", b"\0\1\2")
        archive.writestr("cover.png", b"\0\1\2")
    with tarfile.open(source / "b.tar.gz", "w:gz") as archive:
        for name in ("../../evil.abc", "good.abc"):
            member = tarfile.TarInfo(name)
            member.size = len(TUNE.encode())
            archive.addfile(member, io.BytesIO(TUNE.encode()))
    (source / "c.abc.gz").write_bytes(gzip.compress(TUNE.encode()))
    found = everything(source)
    names = ["a.zip/evil.abc", "a.zip/deep/er/tune.abc", "b.tar.gz/evil.abc", "b.tar.gz/good.abc", "c.abc.gz"]
    assert [one.file for one in found] == names
    assert all(isinstance(one, Found) for one in found)
    assert not outside.exists() and sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    bomb = b"X:1\nK:C\n" + b"CDEF|" * 200_000
    (tmp_path / "a.abc.gz").write_bytes(gzip.compress(bomb, 9))
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.abc", bomb)
    member = tarfile.TarInfo("bomb.abc")
    member.size = len(bomb)
    with tarfile.open(tmp_path / "c.tgz", "w:gz") as archive:
        archive.addfile(member, io.BytesIO(bomb))
    (tmp_path / "d.abc").write_text(TUNE)
    assert reasons(tmp_path) == ["too_large", "too_large", "too_large", "ok"]


def test_zip_members_share_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    monkeypatch.setattr(archives, "MAX_EXPANSION", 1)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.abc", TUNE + "%" * 40_000)
    assert reasons(tmp_path) == ["ok", "ok", "too_large"]


def test_damaged_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    (tmp_path / "b.abc.gz").write_bytes(gzip.compress(TUNE.encode())[:-12])
    (tmp_path / "c.tar.gz").write_bytes(b"\x1f\x8b garbage")
    (tmp_path / "d.abc").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "e.abc").write_text("some prose")
    (tmp_path / "f.abc").symlink_to(tmp_path / "nowhere")
    assert reasons(tmp_path) == ["unreadable", "unreadable", "unreadable", "binary", "no_tune"]
    rejections = everything(tmp_path)
    assert all(isinstance(one, Rejection) and one.file in one.message for one in rejections)
    [absent] = archives.documents([tmp_path / "absent.abc"], tmp_path)
    assert absent.problem == ("unreadable", "it cannot be read: No such file or directory.")


def test_json_rows(tmp_path: Path) -> None:
    rows = [{"abc notation": TUNE, "control code": "S:2\nB:9\n"}, {"abc": TUNE}, {"abc notation": None}, 3]
    lines = [json.dumps(row) for row in rows] + ["{broken", '{"abc notation": "prose"}']
    (tmp_path / "rows.jsonl").write_text("\n\n".join(lines))
    found = everything(tmp_path)
    wanted = ["ok", "no_column", "no_column", "no_column", "bad_json", "no_tune"]
    assert reasons(tmp_path) == wanted
    assert [one.line for one in found] == [1, 3, 5, 7, 9, 11]
    assert isinstance(found[0], Found) and found[0].extra == {"control code": "S:2\nB:9\n"}
    assert isinstance(found[1], Rejection) and "its columns are abc" in found[1].message
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "array.json").write_text(json.dumps(rows))
    assert reasons(tmp_path) == wanted[:4]
    (tmp_path / "array.json").write_text("[" * 100_000)
    assert reasons(tmp_path) == ["bad_json"]


def test_irishman_columns_bring_its_terms(tmp_path: Path) -> None:
    row = json.dumps({"abc notation": TUNE, "control code": "S:1"}) + "\n"
    (tmp_path / "train.json").write_text(row * 3)
    notes: list[str] = []
    assert len(everything(tmp_path, warn=notes.append)) == 3
    assert len(notes) == 1 and "The Session" in notes[0]


@pytest.mark.parametrize(("make", "message"), [
    (lambda folder: None, "It is empty"),
    (lambda folder: (folder / "cover.png").write_bytes(b"\x89PNG"), r"only \.png files"),
])  # fmt: skip
def test_folders_without_tunes(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        everything(tmp_path)


def test_texts_without_tunes_are_skipped_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("about these tunes")
    (tmp_path / "tune.abc").write_text(TUNE)
    notes: list[str] = []
    assert [type(one) for one in everything(tmp_path, warn=notes.append)] == [Found]
    assert "README.txt holds no tune" in notes[0]


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'oneill'"):
        resolve("oneil")
    with pytest.raises(UserError, match="The names are aird, "):
        resolve("nothing")
    with pytest.raises(UserError, match="hf:OWNER/NAME"):
        resolve("hf:../../etc")


def test_the_hub_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'abc-symbolic\[hub\]'"):
        everything("hf:someone/tunes")


def test_hub_rows_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, streaming: bool) -> dict[str, list[dict[str, str]]]:
        if name == "someone/absent":
            raise FileNotFoundError("no such dataset")
        assert streaming
        return {"validation": [{"abc notation": TUNE}], "train": [{"abc notation": TUNE}, {"text": ""}]}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load))
    found = everything("hf:someone/tunes")
    assert [(one.file, one.line) for one in found] == [("train", 1), ("train", 2), ("validation", 1)]
    assert isinstance(found[1], Rejection) and found[1].reason == "no_column"
    with pytest.raises(UserError, match=r"no such dataset.*network"):
        everything("hf:someone/absent")
