"""A small survey of two systems of recordings, made once."""

from pathlib import Path

import numpy as np
import pytest

from audio_bridge.sound.audio import Audio, write_audio
from studio.survey.survey_folder import Survey, make_survey
from studio.survey.survey_spec import SurveySpec


def write_tones(folder: Path, n: int, first_hz: float, seconds: float = 2.0) -> Path:
    """n recordings of one tone each."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in range(n):
        tone = 0.2 * np.sin(np.arange(round(seconds * 44_100)) * 2 * np.pi * (first_hz + 30 * item) / 44_100)
        write_audio(Audio(np.stack([tone, tone]).astype(np.float32), 44_100), folder / f"{item}.wav")
    return folder


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """zebrafish (AI) and quagga (human), four clips each and one for practice."""
    folder = tmp_path_factory.mktemp("survey")
    sources = {name: str(write_tones(folder / name, 5, hz)) for name, hz in (("zebrafish", 220.0), ("quagga", 227.0))}
    spec = SurveySpec("pilot", sources, human=("quagga",), items=4, seconds=2.0)
    return make_survey(spec, folder / "surveys" / "pilot")
