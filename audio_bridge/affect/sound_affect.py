"""The arc of a recording: level by one model, departures of 4-second windows by another, as `symbolic.affect` does for
scores.

The bundled weights learnt from VGMIDI's pieces played by this project's synthesiser (piano, one SoundFont): recordings
of other sound are judged outside what was rated, and that is said; features of theirs that no rated recording has are
left out. `affect train --data deam:FOLDER` makes others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.affect import sound_features
from audio_bridge.sound import recordings
from symbolic.affect import ridge
from symbolic.affect.plane import Arc, arc, integrated
from symbolic.affect.ridge import Ridge

Floats = NDArray[np.float64]
WEIGHTS = Path(__file__).parent / "ready" / "sound-va.safetensors"
TIME_CONSTANT = 8.0  # seconds, one window each
MAX_SECONDS = 3600.0


@dataclass(frozen=True)
class SoundModel:
    """Level and deviation models of (valence, arousal), and the record of what they learnt from."""

    level: Ridge
    deviation: Ridge
    record: dict[str, Any]


def recording_arc(path: Path, model: SoundModel | None = None) -> Arc:
    """The arc of an audio file, one point a second. UserError for silence, under 4 s or over an hour."""
    audio = recordings.mono(recordings.read(path).audio, sound_features.RATE)
    return sound_arc(audio.samples[0], model)


def sound_arc(samples: NDArray[np.float32], model: SoundModel | None = None) -> Arc:
    """The arc of mono samples at 16 kHz, with 90 % intervals."""
    spectra = sound_features.Spectra(samples)
    model = model or bundled()
    features = sound_features.whole(spectra)
    starts, rows = sound_features.windows(spectra)
    level = model.level.predict_known(features)[0]
    points = level + departures(rows, model.deviation)
    share = float(model.level.distance(features)[0] / model.level.farthest)
    record = {
        "level": [round(float(v), 4) for v in level],
        "domain": "out" if share > 1 else "in",
        "model": "sound-va",
        "remarks": _remarks(features, model, share, spectra.seconds),
        "sha256": model.record.get("sha256", ""),
    }
    half = model.level.half_width
    found = arc("seconds", starts.tolist(), points, spectra.seconds, domain="sound", record=record)
    low, high = np.clip(points - half, -1, 1).round(4), np.clip(points + half, -1, 1).round(4)
    return replace(found, low=_pairs(low), high=_pairs(high))


def departures(rows: Floats, model: Ridge) -> Floats:
    """(n, 2) by which windows depart from the recording's level; their mean is 0."""
    features = integrated(rows, TIME_CONSTANT)
    found = model.predict_known(features - features.mean(axis=0))
    return found - found.mean(axis=0)


@cache
def bundled() -> SoundModel:
    """The model that the package carries."""
    return load(WEIGHTS)


def load(path: Path) -> SoundModel:
    """A model written by `save`. UserError where it cannot be read."""
    tensors, record = ridge.read_tensors(path)
    names = sound_features.NAMES
    return SoundModel(ridge.load(tensors, "level", names), ridge.load(tensors, "deviation", names), record)


def save(model: SoundModel, path: Path) -> None:
    """Write the model as safetensors."""
    ridge.save_tensors(path, model.level.tensors("level") | model.deviation.tensors("deviation"), model.record)


def _remarks(features: Floats, model: SoundModel, share: float, seconds: float) -> list[str]:
    found = []
    if share > 1:
        z = np.abs((features - model.level.mean) / model.level.sd)
        oddest: Sequence[str] = [sound_features.NAMES[i] for i in np.argsort(-z)[:3]]
        found.append(f"unlike the recordings that were rated in {', '.join(oddest)}: take the values with care")
    if seconds < 15:
        found.append(f"only {seconds:.0f} s of music: raters heard 30 s or more")
    return found


def _pairs(array: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((float(v), float(a)) for v, a in array)
