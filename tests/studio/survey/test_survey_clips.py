"""Clips differ in the music only: one length, one loudness, one size, no tags."""

import io

import numpy as np
import pytest
import soundfile

from audio_bridge.sound import loudness
from audio_bridge.sound.audio import Audio
from studio.survey import survey_clips
from studio.survey.survey_sources import SurveyPiece
from symbolic.errors import UserError

TUNE = "X:1\nT:Secret\nM:4/4\nL:1/8\nQ:1/4=120\nK:G\nGABc d2e2|g4 d4|\n"


def tone(hz: float, level: float, seconds: float = 3.0) -> Audio:
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * 44_100)) / 44_100)
    return Audio(np.stack([wave, wave]).astype(np.float32), 44_100)


def test_clips_have_one_length_loudness_and_size() -> None:
    sounds = [
        survey_clips.of_length(s, 5.0)
        for s in (tone(220, 0.05), tone(440, 0.4, 9.0), survey_clips.sound_of(SurveyPiece("t", TUNE), "flute"))
    ]
    levelled, common = survey_clips.level_together(sounds, -16.0)
    assert [s.samples.shape for s in levelled] == [(2, 5 * 44_100)] * 3
    assert [loudness.integrated_lufs(s) for s in levelled] == pytest.approx([common] * 3, abs=0.1)
    assert max(loudness.true_peak_dbtp(s) for s in levelled) <= -0.9
    data = [survey_clips.mp3_bytes(s) for s in levelled]
    assert len({len(d) for d in data}) == 1 and not any(b"Secret" in d or b"TAG" in d[-128:] for d in data)
    read, rate = soundfile.read(io.BytesIO(data[1]))
    assert rate == 44_100 and len(read) == pytest.approx(5 * 44_100, abs=2500)


def test_a_loud_peak_lowers_all() -> None:
    spiky = tone(220, 0.02)
    spiky.samples[:, 5000] = 1.0
    levelled, common = survey_clips.level_together([spiky, tone(330, 0.1)], -16.0)
    assert common < -16.0 and loudness.integrated_lufs(levelled[1]) == pytest.approx(common, abs=0.1)


def test_short_pieces_are_played_again_and_the_end_fades() -> None:
    long = survey_clips.of_length(tone(220, 0.3, 1.0), 2.5)
    assert np.allclose(long.samples[:, :44_100], long.samples[:, 44_100 : 2 * 44_100][:, :44_100], atol=0.31)
    assert abs(long.samples[:, -1]).max() < 1e-3


def test_silence_cannot_be_rated() -> None:
    with pytest.raises(UserError, match="no notes"):
        survey_clips.sound_of(SurveyPiece("rests", "X:1\nM:4/4\nL:1/8\nK:C\nz8|z8|\n"), "violin")


def test_anchors_lose_what_lies_above() -> None:
    low, high = (survey_clips.low_passed(tone(hz, 0.5), 3500.0) for hz in (1000.0, 8000.0))
    assert (
        np.abs(low.samples).max() == pytest.approx(0.5, abs=0.02) and np.abs(high.samples[:, 2000:-2000]).max() < 0.01
    )
