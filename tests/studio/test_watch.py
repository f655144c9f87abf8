"""Files dropped into a folder come back, and what cannot be done is told."""

import os
from pathlib import Path

import pytest

from studio import watch
from studio.server.local_studio import LocalStudio
from studio.watch import WatchRequest
from symbolic.errors import UsageError
from symbolic.notation.abc_parser import canonical, parse

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"
USUAL = WatchRequest("continue")


@pytest.mark.parametrize(
    ("name", "plain", "asked"),
    [
        ("idea.mid", "idea", USUAL), ("idea.vary.mid", "idea", WatchRequest("vary")),
        ("a.b.fill-5-8,12.abc", "a.b", WatchRequest("fill", "5-8,12")), ("x.filler.mid", "x.filler", USUAL),
        ("..mid", ".", USUAL),
    ],
)  # fmt: skip
def test_the_name_says_what_is_wanted(name: str, plain: str, asked: WatchRequest) -> None:
    assert watch.request_of(Path(name), USUAL) == (plain, asked)


def test_links_folders_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(TUNE)
    (tmp_path / "link.abc").symlink_to(tmp_path / "secret")
    (tmp_path / "folder.mid").mkdir()
    (tmp_path / "tune.abc").write_text(TUNE)
    (tmp_path / "notes.txt").write_text("x")
    assert [path.name for path in watch.dropped(tmp_path)] == ["tune.abc"]


def test_a_dropped_tune_comes_back_and_its_midi_goes_on_from_there(local_studio: LocalStudio, tmp_path: Path) -> None:
    path = tmp_path / "idea.abc"
    path.write_text(TUNE)
    assert "idea-harmonise.mid" in watch.answer(local_studio, path, WatchRequest("harmonise"))
    assert '"D"' in (tmp_path / "answers" / "idea-harmonise.abc").read_text()
    midi = tmp_path / "second.fill-2.mid"
    midi.write_bytes((tmp_path / "answers" / "idea-harmonise.mid").read_bytes())
    assert not watch.is_answered(midi, USUAL)
    told = watch.answer(local_studio, midi, WatchRequest("continue", n=2))
    assert watch.is_answered(midi, USUAL), told
    first, second = (tmp_path / "answers" / f"second-fill-2{number}.abc" for number in ("", "-2"))
    before = canonical(parse((tmp_path / "answers" / "idea-harmonise.abc").read_text()))
    assert first.is_file() and second.is_file() and "M:6/8" in before
    os.utime(midi, (2e9, 2e9))
    assert not watch.is_answered(midi, USUAL)


def test_what_cannot_be_read_is_told_in_a_file(local_studio: LocalStudio, tmp_path: Path) -> None:
    path = tmp_path / "broken.mid"
    path.write_bytes(b"MThd\x00\x00\x00\x06nothing")
    watch.answer(local_studio, path, USUAL)
    told = (tmp_path / "answers" / "broken-continue.txt").read_text()
    assert told.startswith("broken.mid: ") and len(told) > 20
    assert watch.is_answered(path, USUAL)


def test_wrong_options_are_named(tmp_path: Path) -> None:
    from argparse import ArgumentParser

    parser = ArgumentParser()
    watch.add_arguments(parser)
    for words, place in ((["nowhere"], "nowhere"), ([".", "--do", "fill"], "--bars"), ([".", "-n", "0"], "-n 0")):
        with pytest.raises(UsageError, match=place):
            watch.run(parser.parse_args(words))
