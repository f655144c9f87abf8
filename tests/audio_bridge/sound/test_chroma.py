"""The NumPy chroma against the reference extractor, written in torch after its source; the exact chroma by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers.audio_utils import chroma_filter_bank

from audio_bridge.render import render, timed_melody
from audio_bridge.sound import chroma, recordings
from audio_bridge.sound.timed_note import TimedNote
from symbolic.notation.abc_parser import parse

FRAME = chroma.FRAME_SECONDS


def reference(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    """`MusicgenMelodyFeatureExtractor` of transformers 5.23, with torchaudio's Spectrogram spelt out:
    stft (Hann, centre, mirrored), divided by the window's norm, squared."""
    wave = torch.from_numpy(samples)
    if len(wave) < 16384:
        missing = 16384 - len(wave)
        wave = torch.nn.functional.pad(wave, (missing // 2, missing // 2 + missing % 2))
    window = torch.hann_window(16384)
    spec = torch.stft(wave[None], 16384, 4096, 16384, window, center=True, pad_mode="reflect", return_complex=True)
    power = (spec / window.pow(2.0).sum().sqrt()).abs().pow(2.0)
    filters = torch.from_numpy(chroma_filter_bank(16384, 12, 32000, tuning=0)).float()
    raw = torch.einsum("cf,...ft->...ct", filters, power)
    normal = torch.nn.functional.normalize(raw, p=float("inf"), dim=-2, eps=1e-6).transpose(1, 2)
    return normal.argmax(-1)[0].numpy()


def test_the_filter_bank_is_librosa_s() -> None:
    expected = chroma_filter_bank(16384, 12, 32000, tuning=0)
    assert chroma.filter_bank() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_samples", [1, 4096, 5000, 16_383, 16_385, 100_000])
def test_every_frame_equals_the_reference_extractor(n_samples: int) -> None:
    rng = np.random.default_rng(n_samples)
    noise = rng.standard_normal(n_samples).astype(np.float32) * 0.1
    ours = chroma.of_audio(noise)
    assert ours.tolist() == reference(noise).tolist()
    if n_samples >= chroma.N_FFT:
        assert len(ours) == 1 + n_samples // 4096 == chroma.n_frames(n_samples / 32_000)


def test_a_rendered_tune_equals_the_reference_and_nearly_the_score() -> None:
    score = parse("X:1\nM:6/8\nL:1/8\nQ:3/8=80\nK:D\nA|d2e dcd|fed e2d|edc BAG|FED E3|\n")
    tune = timed_melody.of_score(score)
    sound = recordings.mono(render.render(score, sample_rate=32_000)).samples[0]
    heard = chroma.of_audio(sound)
    assert heard.tolist() == reference(sound).tolist()
    count = chroma.n_frames(tune.seconds)
    written = chroma.exact(timed_melody.line(tune), chroma.frame_times(0, count))
    assert (heard[:count] == written).mean() > 0.85


def test_silence_reads_as_c() -> None:
    assert set(chroma.of_audio(np.zeros(40_000, dtype=np.float32)).tolist()) == {chroma.NO_MELODY}


def test_exact_frames_by_hand() -> None:
    """Frames are centred at 0, 0.128, 0.256...: G to 0.2 s, a rest to 0.5 s, then D; the rest holds G."""
    line = [TimedNote(0.0, 0.2, 67), TimedNote(0.5, 0.9, 62)]
    assert chroma.exact(line, chroma.frame_times(0, 8)).tolist() == [7, 7, 7, 7, 2, 2, 2, 2]
    assert chroma.sounding(line, chroma.frame_times(0, 8)).tolist() == [True, True, False, False] + [True] * 4


def test_before_the_first_note_its_class_is_held() -> None:
    line = [TimedNote(1.0, 2.0, 69)]
    assert chroma.exact(line, chroma.frame_times(0, 30)).tolist() == [9] * 30


def test_sixteenths_at_117_fill_a_frame_each() -> None:
    """A note as long as a frame and centred on it is alone there; shifted by half a frame the old note wins."""
    pitches = [60, 62, 64, 65, 67, 69, 71, 72]
    centred = [TimedNote((i - 0.5) * FRAME, (i + 0.5) * FRAME, p) for i, p in enumerate(pitches)]
    shifted = [TimedNote(i * FRAME, (i + 1) * FRAME, p) for i, p in enumerate(pitches)]
    classes = [p % 12 for p in pitches]
    assert chroma.exact(centred, chroma.frame_times(0, 8)).tolist() == classes
    assert chroma.exact(shifted, chroma.frame_times(0, 9)).tolist() == [classes[0], *classes]


def test_transposition_turns_the_circle() -> None:
    rng = np.random.default_rng(0)
    edges = np.cumsum(rng.uniform(0.1, 0.6, 41))
    line = [TimedNote(a, b, int(p)) for a, b, p in zip(edges, edges[1:], rng.integers(50, 80, 40))]
    times = chroma.frame_times(0, 80)
    for semitones in (1, 7, 12):
        moved = [TimedNote(n.onset, n.end, n.midi + semitones) for n in line]
        assert ((chroma.exact(line, times) + semitones) % 12 == chroma.exact(moved, times)).all()


def test_a_short_melody_is_tiled_not_padded() -> None:
    assert chroma.tiled(np.array([1, 2, 3]), 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert chroma.tiled(np.array([1, 2, 3]), 4, first=2).tolist() == [3, 1, 2, 3]
    assert len(chroma.tiled(np.arange(10) % 12)) == 235
    assert chroma.one_hot(np.array([0, 11])).tolist() == [[1.0] + [0.0] * 11, [0.0] * 11 + [1.0]]
