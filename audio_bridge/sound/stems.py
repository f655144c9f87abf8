"""Sounds that lie beside each other: a click on the beats, a mix, a loop's end, the seams between windows.

All are float32 (channels, samples) at one rate, and sample 0 is time zero of the score.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import Audio

CLICK_HZ, BAR_HZ = 1000.0, 1500.0
CLICK_SECONDS = 0.03
MIX_DB = {"conditioned": 0.0, "melody": -9.0, "click": -12.0}
SEAM_SECONDS = 0.064  # of sound compared on each side of a seam


def click(beats: Sequence[tuple[float, bool]], n_samples: int, sample_rate: int) -> Audio:
    """A short tone on every beat, higher where a bar begins; its first sample is the beat's."""
    samples = np.zeros(n_samples, dtype=np.float32)
    length = round(CLICK_SECONDS * sample_rate)
    time = np.arange(length) / sample_rate
    for seconds, strong in beats:
        start = round(seconds * sample_rate)
        tone = (
            np.cos(2 * np.pi * (BAR_HZ if strong else CLICK_HZ) * time) * np.exp(-time * 120) * (0.5 if strong else 0.3)
        )
        room = max(0, min(length, n_samples - start))
        samples[start : start + room] += tone[:room].astype(np.float32)
    return Audio(samples[None], sample_rate)


def fitted(audio: Audio, n_samples: int) -> Audio:
    """Cut or filled with silence to a length."""
    samples = audio.samples[:, :n_samples]
    return Audio(np.pad(samples, ((0, 0), (0, n_samples - samples.shape[1]))), audio.sample_rate)


def mixed(stems: dict[str, Audio]) -> Audio:
    """The sum at the levels of MIX_DB, on as many channels as the widest stem has."""
    channels = max(stem.samples.shape[0] for stem in stems.values())
    total = np.zeros((channels, next(iter(stems.values())).samples.shape[1]), dtype=np.float32)
    for name, stem in stems.items():
        total += stem.samples * np.float32(10 ** (MIX_DB[name] / 20))
    return Audio(total, next(iter(stems.values())).sample_rate)


def looped(audio: Audio, n_samples: int) -> Audio:
    """`n_samples` that repeat without a seam: what follows the end fades into the beginning (equal power).

    The sound must be longer than the loop; what is longer is the fade.
    """
    fade = min(audio.samples.shape[1] - n_samples, n_samples)
    assert fade > 0, "a loop needs some sound after its end"
    out = audio.samples[:, :n_samples].copy()
    angle = (np.arange(fade) + 0.5) / fade * np.pi / 2
    tail = audio.samples[:, n_samples : n_samples + fade]
    out[:, :fade] = out[:, :fade] * np.sin(angle) + tail * np.cos(angle)
    return Audio(out.astype(np.float32), audio.sample_rate)


def seam(samples: NDArray[np.float32], place: int, sample_rate: int) -> float:
    """How strong the change at a sample is among all places of the sound: 0.5 is like any other, 1 the strongest change
    of all. A change is the distance of the log spectra on both sides, or what sounds at the place alone (a
    click), whichever is more."""
    step = round(SEAM_SECONDS * sample_rate)
    places = np.arange(step, samples.size - step, step)
    if not places.size or not step <= place <= samples.size - step:
        return 0.0
    here = _change(samples, place, step)
    return float(np.mean([_change(samples, int(other), step) <= here for other in places]))


def _change(samples: NDArray[np.float32], place: int, step: int) -> float:
    window = np.hanning(step)
    before, here, after = (
        np.log10(1e-4 + np.abs(np.fft.rfft(samples[start : start + step] * window)))
        for start in (place - step, place - step // 2, place)
    )
    added = np.maximum(here - np.maximum(before, after), 0)
    return float(np.sqrt(max(np.mean((before - after) ** 2), np.mean(added**2))))
