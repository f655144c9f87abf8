"""The measures of songs: genres are told where they differ, a thread is told from none, people's songs are read."""

from itertools import islice

import numpy as np
import pytest

from audio_bridge.lyrics.setting.sung_melody import sung_notes
from experiments import songs
from symbolic.notation.abc_parser import parse
from symbolic.notation.theory import parse_meter


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
    assert all(len(notes) >= songs.MIN_NOTES and 0 <= tonic < 12 for notes, tonic, _ in found)
    assert all(30 < note.midi < 90 for notes, _, _ in found for note in notes)


def test_phrasing_by_hand() -> None:
    meter = parse_meter("4/4")
    plain = songs.phrasing(sung_notes(parse("X:1\nM:4/4\nL:1/8\nK:C\nC2D2E2F2|G6z2|A2G2F2E2|C6z2|]\n")), 0, meter)
    assert plain["last note on the tonic"] == 1 and plain["upbeat"] == plain["syncopated notes"] == 0
    assert plain["phrase ends longer than the mean note"] == plain["phrase ends on the tonic, third or fifth"] == 1
    held = songs.phrasing(sung_notes(parse("X:1\nM:4/4\nL:1/8\nK:C\nz6zE|CD2E2F2D|(3EFGG4C2|]\n")), 0, meter)
    assert held["upbeat"] == 1 and held["syncopated notes"] > 0
    assert held["thirds of a beat"] > plain["thirds of a beat"] == 0


def test_a_beat_of_a_compound_meter_has_thirds() -> None:
    notes = sung_notes(parse("X:1\nM:12/8\nL:1/8\nK:C\nC2D EFG E3 C3|]\n"))
    assert songs.phrasing(notes, 0, parse_meter("12/8"))["thirds of a beat"] == pytest.approx(5 / 6)
