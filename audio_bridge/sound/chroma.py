"""Melody as MusicGen-melody hears it: one of 12 pitch classes (0 = C) a frame, and no octave.

Frames are 4096 samples apart at 32 kHz (0.128 s); frame i is centred at i * 0.128 s, so n samples give
1 + floor(n / 4096) frames. The model reads 235 of them (30 s), one-hot: arrays (frames, 12).

`of_audio` is the reference extractor (`MusicgenMelodyFeatureExtractor` of transformers, audiocraft's `ChromaExtractor`)
in NumPy: power spectrogram with a Hann window of 16384, librosa's chroma filters (Ellis, "Chroma feature analysis and
synthesis", 2007), division by the largest class, arg max. `exact` takes the classes from the notes instead. The model
reads silence, padding and "no melody" as a held C, so `exact` holds a pitch through rests.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE
from audio_bridge.sound.timed_note import TimedNote

SAMPLE_RATE = MUSICGEN_RATE
HOP = 4096
N_FFT = 16_384
N_CHROMA = 12
WINDOW_FRAMES = 235
FRAME_SECONDS = HOP / SAMPLE_RATE
NO_MELODY = 0  # class that the model was trained to read as no melody: C
_A0 = 440.0 / 16  # hertz: octaves are counted from here
_CENTRE_OCTAVE, _OCTAVE_WIDTH = 5.0, 2.0  # of the weighting over octaves
_TIE = 1e-3  # more weight for a frame's first half: of two notes that share it evenly the old one wins, as in sound,
# where a note takes some 20 ms to speak (experiments/LOG.md)

Classes = NDArray[np.int64]


def n_frames(seconds: float) -> int:
    """Frames of a sound of this length."""
    return 1 + int(round(seconds * SAMPLE_RATE) // HOP)


def frame_times(first: int, count: int) -> NDArray[np.float64]:
    """Centres of frames in seconds."""
    return np.arange(first, first + count, dtype=np.float64) * FRAME_SECONDS


def exact(line: Sequence[TimedNote], times: NDArray[np.float64]) -> Classes:
    """The class of each frame by the notes: the one that sounds longest within the frame's 0.128 s.

    Through rests the last class is held, before the first note the first one.
    """
    assert line, "a line without notes has no pitch classes"
    half = FRAME_SECONDS / 2
    shares = np.stack([_sounding(line, c, times, half) for c in range(N_CHROMA)], axis=1)  # (frames, 12)
    classes = shares.argmax(axis=1)
    return _held(classes, shares.max(axis=1) > 0, times, line)


def sounding(line: Sequence[TimedNote], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether notes sound for at least half of each frame."""
    half = FRAME_SECONDS / 2
    return sum((_sounding(line, c, times, half) for c in range(N_CHROMA)), np.zeros(len(times))) > half - 1e-9


def of_audio(samples: NDArray[np.float32]) -> Classes:
    """The class of each frame of mono samples at 32 kHz, as the reference extractor chooses it."""
    return energies(samples).argmax(axis=1)


def energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Energy of the 12 classes in each frame (frames, 12), divided by the largest of its frame; 0 for silence."""
    from scipy.fft import rfft

    assert samples.ndim == 1
    signal = _padded(samples.astype(np.float32, copy=False))
    window = _hann()
    frames = np.lib.stride_tricks.sliding_window_view(signal, N_FFT)[::HOP]
    filters = filter_bank()
    raw = np.empty((len(frames), N_CHROMA), dtype=np.float32)
    for start in range(0, len(frames), 64):  # bounds memory: 64 frames are 4 MB
        spectrum = rfft(frames[start : start + 64] * window, axis=1) / np.sqrt((window**2).sum(), dtype=np.float32)
        raw[start : start + 64] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ filters.T
    return raw / np.maximum(raw.max(axis=1, keepdims=True), np.float32(1e-6))


def one_hot(classes: Classes) -> NDArray[np.float32]:
    """(frames,) classes as the model's input (frames, 12)."""
    return np.eye(N_CHROMA, dtype=np.float32)[classes]


def tiled(classes: Classes, count: int = WINDOW_FRAMES, first: int = 0) -> Classes:
    """`count` frames from `first` on, beginning again at the end: the model repeats a short melody, it does not pad."""
    return classes[np.arange(first, first + count) % len(classes)]


@cache
def filter_bank() -> NDArray[np.float32]:
    """(12, 8193): the weight of each frequency in each class; librosa.filters.chroma with its defaults at 32 kHz."""
    frequencies = np.linspace(0, SAMPLE_RATE, N_FFT, endpoint=False)[1:]
    bins = N_CHROMA * np.log2(frequencies / _A0)
    bins = np.concatenate(([bins[0] - 1.5 * N_CHROMA], bins))  # 0 Hz: an octave and a half below the next
    widths = np.concatenate((np.maximum(np.diff(bins), 1.0), [1.0]))
    half = round(N_CHROMA / 2)
    distance = np.remainder(np.subtract.outer(bins, np.arange(N_CHROMA)).T + half + 10 * N_CHROMA, N_CHROMA) - half
    weights = np.exp(-0.5 * (2 * distance / widths) ** 2)
    weights /= np.sqrt((weights**2).sum(axis=0, keepdims=True))
    weights *= np.exp(-0.5 * ((bins / N_CHROMA - _CENTRE_OCTAVE) / _OCTAVE_WIDTH) ** 2)
    weights = np.roll(weights, -3, axis=0)  # from A to C
    return np.ascontiguousarray(weights[:, : 1 + N_FFT // 2]).astype(np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    from scipy.signal import get_window

    return get_window("hann", N_FFT, fftbins=True).astype(np.float32)


def _padded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """At least one window long (zeros on both sides), then half a window mirrored on each side."""
    missing = N_FFT - samples.size
    if missing > 0:
        samples = np.pad(samples, (missing // 2, missing - missing // 2))
    return np.pad(samples, N_FFT // 2, mode="reflect")


def _sounding(
    line: Sequence[TimedNote], pitch_class: int, times: NDArray[np.float64], half: float
) -> NDArray[np.float64]:
    """Seconds for which a class sounds within `half` of each time; the first half counts a little more."""
    own = [note for note in line if note.midi % N_CHROMA == pitch_class]
    if not own:
        return np.zeros(len(times))
    edges = np.array([edge for note in own for edge in (note.onset, note.end)])
    lengths = np.array([length for note in own for length in (0.0, note.end - note.onset)])
    passed = np.cumsum(lengths)

    def until(moments: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(moments, edges, passed)

    early = until(times - half)
    return until(times + half) - early + _TIE * (until(times) - early)


def _held(classes: Classes, known: NDArray[np.bool_], times: NDArray[np.float64], line: Sequence[TimedNote]) -> Classes:
    """Frames without a note take the class of the last note that has begun, else of the first."""
    starts = np.array([note.onset for note in line])
    last = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
    spoken = np.array([note.midi % N_CHROMA for note in line])[last]
    return np.where(known, classes, spoken)
