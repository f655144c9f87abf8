"""A story to sound."""

import io
import wave
from itertools import pairwise

import numpy as np
import pytest

from audio_bridge.affect import soundtrack
from audio_bridge.lyrics.export import guide_vocal
from audio_bridge.sound.audio import Audio
from symbolic.affect.composing import composer
from symbolic.errors import UserError
from tests.symbolic.affect.composing.test_melody_pool import TUNE

TEXT = "They were happy and sang all day. Then the terrible storm killed two men, and everyone screamed in panic!"
MADE = composer.compose(TEXT, tunes=[TUNE], bars=2)


def test_the_mix_lasts_as_long_as_the_score_and_has_its_level() -> None:
    found = soundtrack.soundtrack(MADE)
    assert found.mix.seconds == pytest.approx(MADE.starts[-1] + soundtrack.TAIL_SECONDS, abs=0.01)
    assert found.record["loudness_lufs"] == pytest.approx(soundtrack.LOUDNESS_LUFS, abs=0.6)
    assert "melody" in found.stems and all(s.samples.shape == found.mix.samples.shape for s in found.stems.values())
    assert len(found.record["descriptions"]) == len(MADE.plans)


def test_music_is_lower_under_speech_and_comes_back() -> None:
    rate = soundtrack.RATE
    gain = soundtrack.ducking([(1.0, 2.0)], 4 * rate)
    low = 10 ** (soundtrack.DUCK_DB / 20)
    assert gain[: rate // 2] == pytest.approx(1) and gain[rate : 2 * rate] == pytest.approx(low)
    assert gain[3 * rate :] == pytest.approx(1) and np.abs(np.diff(gain)).max() < 0.001
    assert len(soundtrack.ducking([(0.0, 5.0)], 4 * rate)) == 4 * rate


def test_parts_are_fitted_and_faded_where_they_meet() -> None:
    ones = [Audio(np.ones((1, n), np.float32), soundtrack.RATE) for n in (90_000, 40_000)]
    found = soundtrack.joined(ones, [50_000, 60_000])
    assert found.samples.shape == (2, 110_000)
    assert found.samples[0, 49_999] == found.samples[0, 50_000] == 0 and found.samples[0, 25_000] == 1
    assert found.samples[0, 95_000] == 0  # the second part was shorter than its section


def _wav(seconds: float) -> bytes:
    """A tone as WAV bytes at 22,050 Hz, as a voice gives it."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        tone = 8000 * np.sin(np.arange(round(seconds * 22_050)) * 0.05)
        file.writeframes(tone.astype("<i2").tobytes())
    return buffer.getvalue()


def test_sentences_are_spoken_in_their_section_and_never_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guide_vocal, "engine", lambda: guide_vocal.Engine("x", "x"))
    monkeypatch.setattr(guide_vocal, "spoken", lambda texts, *_: {text: _wav(1.5) for text in texts})
    voice, spoken = soundtrack.narration(MADE)
    assert len(spoken) == sum(len(section.sentences) for section in MADE.sections)
    assert all(end < later for (_, end), (later, _) in pairwise(spoken))
    assert all(start >= edge for (start, _), edge in zip(spoken, MADE.starts))
    assert np.abs(voice.samples[:, round(spoken[0][0] * soundtrack.RATE) + 100 :][:, :10_000]).max() > 0.01


def test_music_is_heard_beside_a_voice_and_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guide_vocal, "engine", lambda: guide_vocal.Engine("x", "x"))
    monkeypatch.setattr(guide_vocal, "spoken", lambda texts, *_: {text: _wav(1.0) for text in texts})
    found = soundtrack.soundtrack(MADE, narrated=True)
    music = np.sum([stem.samples for name, stem in found.stems.items() if name != "narration"], axis=0)
    plain = np.sum([stem.samples for stem in soundtrack.soundtrack(MADE).stems.values()], axis=0)
    for start, end in found.record["narrated"]:
        a, b = round(start * soundtrack.RATE), round(end * soundtrack.RATE)
        lower = _decibels(music[:, a:b]) - _decibels(plain[:, a:b])
        assert lower == pytest.approx(soundtrack.DUCK_DB, abs=0.1)
    a, b = (round(second * soundtrack.RATE) for second in found.record["narrated"][0])
    assert 3 < _decibels(found.stems["narration"].samples[:, a:b]) - _decibels(music[:, a:b]) < 25
    assert soundtrack.music_gain({"music": Audio(np.zeros((2, 4 * soundtrack.RATE), np.float32), soundtrack.RATE)}) == 1


def _decibels(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-12))


def test_without_a_voice_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guide_vocal, "engine", lambda: None)
    with pytest.raises(UserError, match="espeak-ng"):
        soundtrack.narration(MADE)
