"""A guide vocal: the words spoken by espeak-ng, moved onto the melody by a channel vocoder. A guide, not a singer.

Each word is spoken on its own; the smooth spectral envelope of its speech (cepstrum, low quefrencies) is kept and its
pitch is thrown away: a pulse train at the melody's pitch, with noise where the speech is unvoiced, is shaped by that
envelope, stretched so that the parts of the word fall on their notes. So pitch and time are exact by construction.

espeak-ng is used where its command is installed (or the PyPI package `espeakng-loader`, which carries its library); it
is free software (GPL-3.0) and never needed. It runs in a child process with limits. Audio is mono at RATE.
"""

import importlib.util
import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_bridge.lyrics.setting.word_setting import Timed
from audio_bridge.sound.audio import Audio, resampled
from symbolic.errors import UserError

RATE = 24_000
FRAME, HOP = 1024, 256  # samples: 43 ms, 11 ms
LIFTER = 40  # cepstral coefficients of the envelope: formants yes, harmonics no
VIBRATO_HZ, VIBRATO_CENTS = 5.2, 14.0
MOST_SECONDS = 15 * 60.0
_VOICES = {"en": "en-us", "pt": "pt-br", "es": "es"}
_WORD_SECONDS = 20  # that speaking one word may take
_UNVOICED = 0.35  # zero crossings a sample above which a frame is a hiss


@dataclass(frozen=True)
class Engine:
    """What speaks: `command` is the program, or '' for the library of `espeakng-loader`."""

    command: str
    name: str


def engine() -> Engine | None:
    """Return the engine on this machine, or None."""
    command = shutil.which("espeak-ng") or shutil.which("espeak")
    if command:
        return Engine(command, Path(command).name)
    return Engine("", "espeakng-loader") if importlib.util.find_spec("espeakng_loader") else None


def sing(syllables: Sequence[Timed], language: str, *, use: Engine | None = None) -> Audio:
    """Return the guide vocal, from the start of the score. Raises UserError where no engine is installed."""
    use = use or engine()
    if use is None:
        raise UserError("no espeak-ng on this machine: install it (Debian: apt install espeak-ng) for a guide vocal.")
    length = max(s.end for s in syllables)
    if length > MOST_SECONDS:
        raise UserError(f"the song lasts {length / 60:.1f} minutes; a guide is sung for at most {MOST_SECONDS / 60:g}.")
    out = np.zeros(round((length + 0.5) * RATE), dtype=np.float32)
    sung = words(syllables)
    speech = spoken([_plain(word) for word in sung], language, use)
    for word in sung:
        sound = sung_word(speech[_plain(word)], word)
        start = round(word[0].start * RATE)
        stop = min(len(out), start + len(sound))
        out[start:stop] += sound[: stop - start]
    peak = float(np.abs(out).max(initial=0.0)) or 1.0
    return Audio((out * np.float32(0.7 / peak))[None, :], RATE)


def words(syllables: Sequence[Timed]) -> list[list[Timed]]:
    """Return syllables by word."""
    found: list[list[Timed]] = [[]]
    for s in syllables:
        found[-1].append(s)
        if s.ends_word:
            found.append([])
    return [word for word in found if word]


def spoken(texts: Sequence[str], language: str, use: Engine) -> dict[str, bytes]:
    """Return each different text as WAV bytes. Texts are plain letters; no shell, no markup."""
    voice = _VOICES.get(language, language)
    different = list(dict.fromkeys(texts))
    if use.command:
        return {text: _spoken_by_command(use.command, voice, text) for text in different}
    from symbolic import subprocess_limits

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.wav" for i in range(len(different))]
        pairs = [item for text, path in zip(different, paths) for item in (text, str(path))]
        subprocess_limits.call(
            "audio_bridge.lyrics.export.espeak", [voice, *pairs], 60.0 + _WORD_SECONDS, "espeak-ng", ""
        )
        return {text: path.read_bytes() for text, path in zip(different, paths)}


def _plain(word: Sequence[Timed]) -> str:
    """Return a word's letters: what the engine is given."""
    return "".join(c for s in word for c in s.text if c.isalpha() or c in "'-").strip("'-") or "ah"


def sung_word(wav: bytes, word: Sequence[Timed]) -> NDArray[np.float32]:
    """Return one spoken word on its notes: (samples,) at RATE, from the word's start."""
    source = _trimmed(_mono(wav))
    envelopes, voiced, levels = analysed(source)
    start, seconds = word[0].start, word[-1].end - word[0].start
    n = max(1, round(seconds * RATE / HOP))
    frames = _warp(word, n, len(levels))
    hertz = _pitches(word, start, n)
    carrier = _carrier(np.repeat(hertz, HOP), np.repeat(voiced[frames], HOP))
    return _shaped(carrier, envelopes[frames], levels[frames])


def analysed(source: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the smooth spectral envelope (frames, FRAME / 2 + 1), voicing 0 to 1 and level of each frame."""
    padded = np.concatenate([source, np.zeros(FRAME, dtype=np.float32)])
    starts = range(0, max(1, len(source)), HOP)
    frames = np.stack([padded[s : s + FRAME] for s in starts]) * np.hanning(FRAME).astype(np.float32)
    spectrum = np.log(np.abs(np.fft.rfft(frames, axis=1)) + 1e-5)
    cepstrum = np.fft.irfft(spectrum, axis=1)
    cepstrum[:, LIFTER : FRAME - LIFTER] = 0.0
    envelope = np.exp(np.fft.rfft(cepstrum, axis=1).real)
    crossings = np.mean(np.abs(np.diff(np.signbit(frames).astype(np.int8), axis=1)), axis=1)
    voiced = np.clip((_UNVOICED - crossings) / 0.1, 0.0, 1.0)
    level = np.sqrt(np.mean(frames**2, axis=1))
    norm = np.sqrt(np.mean(envelope**2, axis=1, keepdims=True)) + 1e-9
    return (envelope / norm).astype(np.float32), voiced.astype(np.float32), level.astype(np.float32)


def _warp(word: Sequence[Timed], n: int, n_source: int) -> NDArray[np.int64]:
    """Return which frame of the speech sounds in each of n frames: each syllable has its share of the letters in the
    speech and its own time in the song; a long one dwells on its middle."""
    letters = np.cumsum([0, *(max(1, len(s.text)) for s in word)]) / sum(max(1, len(s.text)) for s in word)
    start, seconds = word[0].start, max(1e-6, word[-1].end - word[0].start)
    times = (np.arange(n) + 0.5) / n * seconds + start
    place = np.zeros(n)
    for i, s in enumerate(word):
        inside = (times >= s.start) & (times < s.end) if i < len(word) - 1 else times >= s.start
        share = np.clip((times[inside] - s.start) / max(1e-6, s.end - s.start), 0.0, 1.0)
        place[inside] = letters[i] + (letters[i + 1] - letters[i]) * _dwelling(share, s.end - s.start)
    return np.clip((place * n_source).astype(np.int64), 0, n_source - 1)


def _dwelling(share: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Map shares of a syllable so that consonants keep their speed (0.09 s at each end) and the vowel takes the
    rest."""
    edge = min(0.4, 0.09 / max(seconds, 0.09))
    return np.interp(share, [0.0, edge, 1.0 - edge, 1.0], [0.0, 0.4, 0.65, 1.0])


def _pitches(word: Sequence[Timed], start: float, n: int) -> NDArray[np.float64]:
    """Return hertz of each frame, with a little vibrato on long notes."""
    times = start + np.arange(n) * HOP / RATE
    midi = np.full(n, float(word[0].notes[0][0]))
    for s in word:
        for pitch, begin, end in s.notes:
            own = (times >= begin - 1e-9) & (times < end)
            late = np.clip((times[own] - begin - 0.25) / 0.2, 0.0, 1.0)
            wave = np.sin(2 * np.pi * VIBRATO_HZ * (times[own] - begin)) * VIBRATO_CENTS / 100
            midi[own] = pitch + wave * late
    return 440.0 * 2 ** ((midi - 69) / 12)


def _carrier(hertz: NDArray[np.float64], voiced: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a band-limited pulse train and noise of equal power, mixed by voicing."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    n_harmonics = np.maximum(1, (0.45 * RATE / hertz).astype(np.int64))
    # Closed form of sum cos(k phase), k = 1..N (Dirichlet's kernel).
    half = np.sin(phase / 2)
    safe = np.where(np.abs(half) < 1e-6, 1.0, half)
    pulses = np.where(np.abs(half) < 1e-6, n_harmonics, (np.sin((n_harmonics + 0.5) * phase) / safe - 1) / 2)
    pulses = pulses / np.sqrt(np.maximum(1, n_harmonics) / 2)
    noise = np.random.default_rng(0).standard_normal(len(hertz))
    return (pulses * voiced + noise * (1 - voiced)).astype(np.float32)


def _shaped(
    carrier: NDArray[np.float32], envelopes: NDArray[np.float32], levels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Filter the carrier frame by frame with the envelopes; overlap and add."""
    window = np.hanning(FRAME).astype(np.float32)
    padded = np.concatenate([np.zeros(FRAME // 2, np.float32), carrier, np.zeros(FRAME, np.float32)])
    out = np.zeros(len(padded) + FRAME, dtype=np.float32)
    for i, (envelope, level) in enumerate(zip(envelopes, levels, strict=True)):
        frame = padded[i * HOP : i * HOP + FRAME] * window
        shaped = np.fft.irfft(np.fft.rfft(frame) * envelope).astype(np.float32)
        power = float(np.sqrt(np.mean(shaped**2))) or 1.0
        out[i * HOP : i * HOP + FRAME] += shaped * window * (level / power)
    return out[FRAME // 2 : FRAME // 2 + len(carrier)]


def _mono(wav: bytes) -> NDArray[np.float32]:
    """Return samples at RATE of a WAV made by the engine (PCM 16; its own output, read without libsndfile)."""
    import wave

    try:
        with wave.open(io.BytesIO(wav)) as file:
            data = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
            rate, channels = file.getframerate(), file.getnchannels()
    except (wave.Error, EOFError, ValueError) as error:
        raise UserError(f"espeak-ng gave no sound ({error}).") from error
    mono = data.reshape(-1, channels).mean(axis=1) if channels > 1 else data
    return resampled(Audio(mono[None, :].astype(np.float32), rate), RATE).samples[0]


def _trimmed(source: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off the silence around the word."""
    loud = np.flatnonzero(np.abs(source) > 0.02 * float(np.abs(source).max(initial=0.0)))
    return source[loud[0] : loud[-1] + 1] if loud.size > FRAME else np.pad(source, (0, max(0, FRAME - len(source))))


def _spoken_by_command(command: str, voice: str, text: str) -> bytes:
    arguments = [command, "--stdin", "--stdout", "-v", voice, "-s", "150", "-p", "50"]
    try:
        done = subprocess.run(
            arguments, input=text.encode("utf-8"), capture_output=True, timeout=_WORD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"espeak-ng could not speak {text!r}: {error}.") from error
    if done.returncode or not done.stdout:
        raise UserError(f"espeak-ng could not speak {text!r}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    data = bytearray(done.stdout)  # written to a pipe, its header does not know its length
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    data[40:44] = (len(data) - 44).to_bytes(4, "little")
    return bytes(data)
