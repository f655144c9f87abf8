"""The measures of songs: genres are told where they differ, a thread is told from none, people's songs are read."""

from itertools import islice

import numpy as np
import pytest

from experiments import songs


def test_genres_that_differ_are_told_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    labels = [name for _ in range(10) for name in "abcd"]
    noise = rng.normal(size=(40, 6))
    place = np.array([[4.0 * (label == name) for name in "abcd"] + [0, 0] for label in labels])
    assert songs.told(noise + place, labels) > 0.9
    assert songs.told(noise, labels) < 0.6


def test_a_thread_is_pairs_of_lines_that_share_a_theme() -> None:
    lines = ["the tide is turning", "by the harbour wall", "the fiddle and the drum", "nothing at all"]
    assert songs.thread(lines, "en") == pytest.approx(1 / 3)
    assert songs.thread(["nothing at all"], "en") == 0.0


def test_songs_are_of_all_genres_and_languages() -> None:
    chosen = [songs.options_of(number) for number in range(120)]
    assert len({one["genre"] for one in chosen}) == 12 and len({one["language"] for one in chosen}) == 3
    assert all(sum(one["genre"] == name for one in chosen) == 10 for name in {one["genre"] for one in chosen})


def test_human_melodies_are_real_songs() -> None:
    pytest.importorskip("music21")
    found = list(islice(songs.human_melodies(), 5))
    assert all(len(notes) >= songs.MIN_NOTES for notes in found)
    assert all(30 < note.midi < 90 for notes in found for note in notes)
