"""Files of a take: their order on a page."""

from studio.library import take_files


def test_what_the_take_is_about_comes_first() -> None:
    names = ["backing.wav", "karaoke.html", "song.abc", "song.lrc", "song.mid", "song.mp3", "song.wav", "lyrics.txt"]
    order = [name for name, _ in take_files.in_order(dict.fromkeys(names, 1))]
    assert order[:5] == ["song.mp3", "song.wav", "song.mid", "song.abc", "song.lrc"] and order[5] == "backing.wav"
    names = ["tune-10.abc", "tune-2.abc", "tune.abc", "tune.mid", "given.abc"]
    order = [name for name, _ in take_files.in_order(dict.fromkeys(names, 1))]
    assert order == ["tune.mid", "tune.abc", "tune-2.abc", "tune-10.abc", "given.abc"]
