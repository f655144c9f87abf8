"""Sources by name: tunes, MIDI, recordings, songs, damaged tunes, pairs."""

from pathlib import Path

import pytest

from studio.survey.survey_sources import read_source
from symbolic.errors import UsageError, UserError
from symbolic.notation.abc_parser import parse
from tests.studio.survey.conftest import write_tones

TUNES = "".join(f"X:{i}\nT:Tune {i}\nM:4/4\nL:1/8\nK:G\n|:GABc d2{'ef'[i % 2]}2|g4 d4:|\n\n" for i in range(1, 7))


@pytest.fixture
def tunes(tmp_path: Path) -> Path:
    (tmp_path / "tunes.abc").write_text(TUNES + "X:9\nT:bad\nK:G\nAB[[c??|\n\n")
    return tmp_path / "tunes.abc"


def test_tunes_that_can_be_played_in_an_order_by_seed(tunes: Path) -> None:
    one, again, other = (read_source(str(tunes), 8, seed) for seed in (0, 0, 1))
    assert one == again != other and {p.label for p in one} == {f"Tune {i}" for i in range(1, 7)}
    assert len(read_source(str(tunes), 1, 0)) == 4


def test_damaged_tunes_keep_their_rhythm_only(tunes: Path) -> None:
    damaged = read_source(f"damaged:{tunes}", 8, 0)
    whole = {p.label: p for p in read_source(str(tunes), 8, 1)}
    for piece in damaged:
        before, after = (parse(text).voices[0].events for text in (whole[piece.label].abc, piece.abc))
        assert [getattr(e, "ticks", 0) for e in before] == [getattr(e, "ticks", 0) for e in after] and before != after


def test_folders_of_recordings_midi_and_songs(tmp_path: Path) -> None:
    write_tones(tmp_path / "a", 2, 200.0)
    (tmp_path / "a" / "song").mkdir()
    (tmp_path / "a" / "song" / "backing.wav").write_bytes((tmp_path / "a" / "0.wav").read_bytes())
    (tmp_path / "a" / "x.mid").write_bytes(b"MThd")
    (tmp_path / "a" / "notes.txt").write_text("?")
    assert [p.label for p in read_source(str(tmp_path / "a"), 8, 0)] == ["0", "1", "song", "x"]


def test_pairs_have_words_and_music(tmp_path: Path) -> None:
    write_tones(tmp_path, 1, 200.0)
    (tmp_path / "0.txt").write_text("A storm.\n")
    (tmp_path / "tune.txt").write_text("Calm.")
    (tmp_path / "tune.abc").write_text(TUNES)
    pairs = read_source(f"pairs:{tmp_path}", 8, 0)
    assert [(p.label, p.text, bool(p.abc)) for p in pairs] == [("0", "A storm.", False), ("tune", "Calm.", True)]
    (tmp_path / "lost.txt").write_text("?")
    with pytest.raises(UserError, match=r"lost\.wav"):
        read_source(f"pairs:{tmp_path}", 8, 0)


def test_stories_are_written_for_tunes(tunes: Path) -> None:
    long = TUNES.replace("g4 d4:|", "g4 d4|" * 12 + "g4 d4:|")
    tunes.write_text(long)
    pieces = [next(iter(read_source(f"story:{tunes}", 1, 3, seconds))) for seconds in (1.0, 60.0)]
    brief, whole = (piece.text for piece in pieces)
    assert pieces[0].abc == pieces[1].abc != "" and whole.startswith(brief) and brief.count(".") == 1 < whole.count(".")
    with pytest.raises(UsageError, match="holds none"):
        next(iter(read_source(f"story:{write_tones(tunes.parent / 'tones', 1, 220.0)}", 1, 0)))


@pytest.mark.slow
def test_songs_have_their_words(tmp_path: Path) -> None:
    songs = iter(read_source("song:folk", 1, 3, 20.0))
    song = next(songs)
    assert song.path is not None and song.path.stat().st_size > 10_000 and 0 < len(song.text.splitlines()) < 12
    path = song.path
    songs.close()  # type: ignore[attr-defined]
    assert not path.exists()


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no nothing/x\.abc"):
        read_source("nothing/x.abc", 2, 0)
    with pytest.raises(UsageError, match="no split 'test'"):
        read_source(f"{tmp_path}:test", 2, 0)
