"""Files from outside: kinds, limits, and the scores in them."""

from pathlib import Path

import pytest

from symbolic.errors import UsageError, UserError
from symbolic.formats import file_bytes
from symbolic.formats.documents import kind_of, read_tunes, told
from tests.symbolic.formats.musicxml_pages import attributes, document, notes

BOOK = "X:5\nT:Five\nM:2/4\nL:1/8\nK:G\nGABc|\n\nX:9\nT:Nine\nM:2/4\nL:1/8\nK:G\nGA§§|\n\nX:2\nT:Two\nM:2/4\nK:C\nc2|\n"


def test_kinds() -> None:
    kinds = {kind_of(Path(f"a{ending}")) for ending in (".MID", ".kar", ".midi", ".rmi")}
    assert kinds == {"midi"} and kind_of(Path("a.XML")) == "musicxml"
    with pytest.raises(UsageError, match="must end in"):
        kind_of(Path("a.pdf"))


@pytest.mark.parametrize("kind", ["syllable of lyrics", "syllables of lyrics"])
def test_losses_are_counted_in_words_whatever_number_their_name_has(kind: str) -> None:
    assert told(1, kind) == "1 syllable of lyrics"
    assert told(1200, kind) == "1,200 syllables of lyrics"
    assert told(2, "grace notes") == "2 grace notes"


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        ("information fields", "1 information field", "2 information fields"),
        ("pitch bends", "1 pitch bend", "2 pitch bends"),
        ("accidental without a note", "1 accidental without a note", "2 accidentals without a note"),
        ("meter that is not known", "1 meter that is not known", "2 meters that are not known"),
        ("cue notes, which are silent", "1 cue note, which is silent", "2 cue notes, which are silent"),
        ("macro that is none (m:)", "1 macro that is none (m:)", "2 macros that are none (m:)"),
        ("of 9 onsets moved", "1 of 9 onsets moved", "2 of 9 onsets moved"),
        (
            "notes that double another of their chord, written once",
            "1 note that doubles another of its chord, written once",
            "2 notes that double another of their chord, written once",
        ),
        (
            "decoration that MusicXML has no sign for",
            "1 decoration that MusicXML has no sign for",
            "2 decorations that MusicXML has no sign for",
        ),
    ],
)
def test_what_is_said_of_a_loss_agrees_with_its_number(kind: str, one: str, two: str) -> None:
    assert (told(1, kind), told(2, kind)) == (one, two)


def test_tunes_of_a_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "book.abc"
    path.write_bytes(b"\xef\xbb\xbf" + BOOK.replace("\n", "\r\n").encode())
    found = list(read_tunes(path))
    assert [tune.score.title if tune.score else tune.fault.reason for tune in found if tune.score or tune.fault] == [
        *("Five", "unknown_symbol", "Two")
    ]
    assert [tune.score.title for tune in read_tunes(path, 2) if tune.score] == ["Two"]  # X:2, not the second
    assert "tune X:2" in capsys.readouterr().err
    assert [tune.score.title for tune in read_tunes(path, 1) if tune.score] == ["Five"]
    assert "the 1st tune of 3" in capsys.readouterr().err
    with pytest.raises(UsageError, match="holds 3 tunes"):
        list(read_tunes(path, 8))


def test_musicxml_is_one_tune(tmp_path: Path) -> None:
    path = tmp_path / "a.musicxml"
    path.write_bytes(document([attributes() + notes("C4 D4 E4 F4")]))
    [tune] = read_tunes(path)
    assert tune.score is not None and not tune.losses
    with pytest.raises(UsageError, match="holds 1 tune"):
        list(read_tunes(path, 3))


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data, message in (
        ("a.abc", b"words", "no tune"),
        ("b.abc", b"X:1\0\0", "binary"),
        ("c.mxl", b"PK", "damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=message):
            list(read_tunes(tmp_path / name))
    with pytest.raises(UserError, match="cannot read"):
        list(read_tunes(tmp_path / "none.abc"))
    monkeypatch.setitem(file_bytes.MAX_BYTES, "abc", 3)
    with pytest.raises(UserError, match="larger"):
        list(read_tunes(tmp_path / "a.abc"))
