"""Played MIDI as written rhythm: jitter, swing and triplets come out as they were meant; written files stay exact."""

import random
from fractions import Fraction

import pytest

from symbolic.formats.quantise import EXACT, WrittenTimes, exact, is_played, written_times
from symbolic.formats.smf import MidiSong, SongNote, SongPart

TPQ = 480


def song(onsets: list[float], lengths: list[float], tpq: int = TPQ, jitter: float = 0, seed: int = 0) -> MidiSong:
    """Onsets and lengths in quarter notes, each onset up to `jitter` ticks early or late."""
    rng = random.Random(seed)
    found = []
    for number, (onset, length) in enumerate(zip(onsets, lengths)):
        start = max(0, round(onset * tpq + rng.uniform(-jitter, jitter)))
        found.append(SongNote(start, start + max(1, round(length * tpq * rng.uniform(0.8, 1))), 60 + number % 12, 80))
    return MidiSong(tpq, [SongPart("", 0, 0, tuple(found))], [(0, 500_000)], [(0, (4, 4))], [])


def places(times: WrittenTimes) -> list[Fraction]:
    return [times.places[tick] for tick in sorted(times.places)]


@pytest.mark.parametrize("seed", range(4))
def test_a_scale_in_quavers_played_with_jitter_is_quavers(seed: int) -> None:
    played = song([n / 2 for n in range(64)], [0.5] * 64, jitter=25, seed=seed)
    assert is_played(played)
    times = written_times(played)
    assert places(times) == [Fraction(n, 2) for n in range(64)]
    steps = [times.ends[key] - times.places[key[0]] for key in sorted(times.ends)]
    assert set(steps[:-1]) == {Fraction(1, 2)}  # the last has no note behind it that it would lead to
    assert 50 <= times.n_moved <= 64 and times.max_ms <= 32 and f"{times.max_ms:.0f} ms" in times.report()


def test_triplets_among_quavers_keep_both() -> None:
    onsets = [beat + part for beat in range(32) for part in ((0, 1 / 3, 2 / 3) if beat % 4 == 3 else (0, 1 / 2))]
    lengths = [1 / 3 if (place * 3) % 1 < 1e-6 and int(place) % 4 == 3 else 1 / 2 for place in onsets]
    times = written_times(song(onsets, lengths, jitter=12, seed=2))
    assert places(times) == [Fraction(place).limit_denominator(6) for place in onsets]


def test_swing_is_written_even_and_told() -> None:
    onsets = [beat + part for beat in range(32) for part in (0, 0.64)]
    times = written_times(song(onsets, [0.5] * 64, jitter=8, seed=1))
    assert times.swing == pytest.approx(0.64, abs=0.02) and "swing of 1.8 to 1" in times.report()
    assert places(times) == [Fraction(n, 2) for n in range(64)]


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16])
@pytest.mark.parametrize("tpq", [96, 100, 480, 1024])
def test_written_files_are_exact(parts: int, tpq: int) -> None:
    """Also where the ticks do not hold the fraction and the program rounded."""
    if parts == 7 and tpq <= 100:
        pytest.skip("two sevenths, rounded to such ticks, are nine 32nds or seven 24ths")
    onsets = [Fraction(n, parts) for n in range(24)]
    written = song([float(o) for o in onsets], [1 / parts] * 24, tpq=tpq)
    assert not is_played(written)
    assert places(written_times(written)) == onsets


def test_off_moves_nothing() -> None:
    played = song([n / 2 for n in range(64)], [0.5] * 64, jitter=25)
    times = written_times(played, "off")
    assert not times.is_played
    assert all(abs(float(place) - tick / TPQ) <= 0.5 / TPQ + 1e-9 for tick, place in times.places.items())
    assert written_times(song([0, 1, 2], [1] * 3), "on").is_played


def test_a_player_without_the_file_s_beat_is_followed() -> None:
    """A hundred crotchets at 132 a minute, recorded into a file that says 120."""
    played = song([n * 120 / 132 for n in range(100)], [0.8] * 100, jitter=6, seed=3)
    times = written_times(played)
    steps = [b - a for a, b in zip(places(times), places(times)[1:])]
    assert times.tempo == pytest.approx(132, rel=0.03)
    assert sum(step == 1 for step in steps) >= 90


def test_exact_fractions() -> None:
    assert exact(160, 480) == Fraction(1, 3) and exact(1, 480) is None
    assert all(exact(round(TPQ / parts), TPQ) == Fraction(1, parts) for parts in EXACT)
