"""Rests are silent, notes begin anew, and what is between is left as it is."""

import numpy as np

from audio_bridge.musicgen import articulation
from audio_bridge.sound import analysis
from audio_bridge.sound.audio import Audio
from audio_bridge.sound.timed_note import TimedNote

RATE = 32_000


def test_the_envelope_by_hand() -> None:
    line = [TimedNote(0.0, 0.5, 60), TimedNote(0.5, 1.0, 60), TimedNote(1.5, 2.0, 62)]
    gains = articulation.envelope(line, 3 * RATE, RATE)
    assert gains.shape == (3 * RATE,) and 0.97 < gains.max() <= 1
    at = {seconds: round(float(gains[round(seconds * RATE)]), 3) for seconds in (0.25, 0.75, 1.25, 1.75, 2.5)}
    middle = round(articulation.SUSTAIN**0.5, 3)
    assert at == {0.25: middle, 0.75: middle, 1.25: 0, 1.75: middle, 2.5: 0}
    assert abs(gains[RATE // 2] - articulation.FLOOR) < 1e-6, "notes that touch do not fall silent"
    assert np.abs(np.diff(gains)).max() < 0.01, "no clicks"


def test_repeated_notes_of_a_held_tone_are_heard() -> None:
    held = (0.3 * np.sin(2 * np.pi * 660 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    starts = np.arange(8) * 0.5
    line = [TimedNote(float(start), float(start) + 0.5, 76) for start in starts]
    assert not any(0.1 < onset < 3.9 for onset in analysis.onsets(held))
    heard = analysis.onsets(articulation.articulated(Audio(held[None], RATE), line).samples[0])
    assert len(heard) == 8 and np.abs(heard - starts).max() < 0.05


def test_a_sound_that_ends_first_and_short_notes() -> None:
    line = [TimedNote(0.0, 0.02, 60), TimedNote(0.02, 0.021, 62), TimedNote(5.0, 6.0, 64)]
    sound = articulation.articulated(Audio(np.ones((2, RATE), dtype=np.float32), RATE), line)
    assert sound.samples.shape == (2, RATE) and sound.samples.dtype == np.float32
    assert np.isfinite(sound.samples).all() and np.abs(sound.samples).max() <= 1
