"""Sounds longer than a window, in the real format: 32 kHz, 50 codes a second, 235 frames of chroma in 30 s."""

from typing import Any

import numpy as np
import pytest
import torch

from audio_bridge.musicgen import generation, musicgen_model
from audio_bridge.musicgen.generation import MusicGenSampling
from audio_bridge.sound import chroma
from audio_bridge.sound.timed_note import TimedNote

pytestmark = pytest.mark.slow
SCALE = (62, 64, 66, 67, 69, 71, 73, 74)


def melody(seconds: float, each: float) -> list[TimedNote]:
    """A scale up and again, without end."""
    return [TimedNote(i * each, (i + 1) * each, SCALE[i % 8]) for i in range(round(seconds / each))]


def test_the_melody_goes_on_over_a_seam_at_thirty_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Window 2 begins at 18 s: it reads the melody from there on, and its first 12 s are the codes of window 1."""
    gen = musicgen_model.debug_model()
    assert (gen.sample_rate, gen.frame_samples, gen.chroma_frames, gen.window_seconds) == (32_000, 640, 235, 30.0)
    line, heard = melody(40.0, 0.7), []

    def at(start: float, count: int) -> np.ndarray:
        classes = chroma.exact(line, start + chroma.frame_times(0, count))
        heard.append((start, classes))
        return classes[None]

    windows, continued = [], generation.continued

    def watched(*given: Any) -> torch.Tensor:
        windows.append(continued(*given))
        return windows[-1]

    monkeypatch.setattr(generation, "continued", watched)
    codes, seams = generation.generate(gen, ["air"], at, 1700, [5], MusicGenSampling(guidance=1.0, top_k=20))
    assert codes.shape == (1, 4, 1700) and seams == [1500]
    assert [one.shape[-1] for one in windows] == [1500, 800]
    assert torch.equal(codes[..., :1500], windows[0]) and torch.equal(codes[..., 900:], windows[1])
    assert [start for start, _ in heard] == [0.0, 18.0] and all(len(one) == 235 for _, one in heard)
    for start, classes in heard:  # each frame of either window is the note of its own time in the whole
        middles = start + chroma.frame_times(0, 235)
        inside = (middles % 0.7 > 0.1) & (middles % 0.7 < 0.6) & (middles < 39)
        expected = [SCALE[int(t / 0.7) % 8] % 12 for t in middles[inside]]
        assert classes[inside].tolist() == expected
    sound = gen.decode(codes)
    assert sound.shape == (1, 1, 1700 * 640) and np.isfinite(sound).all()


def test_a_trained_model_follows_the_melody_as_well_at_its_seams_as_elsewhere() -> None:
    """The shipped model hears 2.56 s at a time: eight seams in twelve seconds."""
    from audio_bridge.musicgen import melody_adherence

    gen = musicgen_model.load("ocarina", torch.device("cpu"), torch.float32)
    line = melody(12.0, 0.5)

    def at(start: float, count: int) -> np.ndarray:
        return chroma.exact(line, start + chroma.frame_times(0, count))[None]

    codes, seams = generation.generate(gen, ["ocarina"], at, 600, [1], MusicGenSampling(guidance=3.0))
    sound = gen.decode(codes)[0, 0]
    assert len(seams) >= 5 and len(sound) == 600 * 640
    near = [(s / 50 - 0.5, s / 50 + 0.5) for s in seams]
    parts = [sound[round(a * 32_000) : round(b * 32_000)] for a, b in near]
    lines = [[TimedNote(max(0.0, n.onset - a), min(1.0, n.end - a), n.midi) for n in line if a < n.end and n.onset < b]
             for a, b in near]  # fmt: skip
    at_seams = np.mean([melody_adherence.chroma_match(part, own) for part, own in zip(parts, lines, strict=True)])
    whole = melody_adherence.chroma_match(sound, line)
    assert whole > 0.6 and at_seams > whole - 0.15, (whole, at_seams)
    steps = np.abs(np.diff(sound))
    jumps = [steps[s * 640 - 64 : s * 640 + 64].max() for s in seams]
    assert max(jumps) <= np.quantile(steps, 0.9999) * 1.5  # no click where a window begins
