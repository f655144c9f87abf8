"""Audio in memory and on the disk: float32 samples (channels, samples) with their sample rate in hertz.

Full scale is 1. Files are WAV (16-bit, 24-bit or float) and FLAC, encoded in memory by libsndfile, and MP3 (`mp3`);
they are written whole.
"""

import base64
import io
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbolic.errors import UsageError, UserError
from symbolic.files import write_whole

SAMPLE_RATES = (8_000, 192_000)  # lowest and highest, hertz
MUSICGEN_RATE = 32_000  # hertz: what MusicGen and its codec hear, and the rate of every analysis here
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3"}
MP3 = "MPEG_LAYER_III"
SAMPLE_FORMATS = {"pcm16": "PCM_16", "pcm24": "PCM_24", "float": "FLOAT"}
_ZERO_CROSSINGS = 64  # of the resampling filter, each side: pass band to 0.45 of the lower rate, -100 dB from 0.5
_KAISER_BETA = 10.0


@dataclass(frozen=True)
class Audio:
    """`samples` is float32 (channels, samples)."""

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate

    def _repr_html_(self) -> str:
        """A player, as a notebook shows it."""
        data = base64.b64encode(encoded(self, Path("sound.mp3"))).decode("ascii")
        return f'<audio controls src="data:audio/mpeg;base64,{data}"></audio>'


def read_wav(path: Path | str) -> Audio:
    """Any file that libsndfile reads. UserError names the file."""
    import soundfile

    try:
        samples, sample_rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return Audio(np.ascontiguousarray(samples.T), int(sample_rate))


def write_audio(audio: Audio, path: Path | str, sample_format: str | None = None) -> None:
    """Write WAV, FLAC or MP3 by the suffix, whole. `sample_format` is a key of SAMPLE_FORMATS (default pcm16)."""
    write_whole(path, encoded(audio, Path(path), sample_format))


def encoded(audio: Audio, path: Path, sample_format: str | None = None) -> bytes:
    """The bytes of the file that `path` will be."""
    import soundfile

    subtype = check_format(path, audio.sample_rate, sample_format)
    if subtype == MP3:
        from audio_bridge.sound import mp3

        return mp3.encode(audio.samples, audio.sample_rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples.T, audio.sample_rate, format=FORMATS[path.suffix.lower()], subtype=subtype)
    return buffer.getvalue()


def check_format(path: Path, sample_rate: int, sample_format: str | None = None) -> str:
    """libsndfile's subtype for a file. UsageError when suffix, sample rate and sample format do not go together."""
    import soundfile

    container = FORMATS.get(path.suffix.lower())
    if container is None:
        raise UsageError(f"{path}: audio is written as {', '.join(FORMATS)}; choose one of these endings.")
    if not SAMPLE_RATES[0] <= sample_rate <= SAMPLE_RATES[1]:
        raise UsageError(f"sample rate {sample_rate} Hz: choose {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]}.")
    if container == "MP3":
        if sample_format is not None:
            raise UsageError("MP3 has no sample format of its own; leave --sample-format out.")
        if sample_rate not in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000):
            raise UsageError(
                f"MP3 does not exist at {sample_rate} Hz; choose 32000, 44100 or 48000, or write .wav or .flac."
            )
        return MP3
    subtype = SAMPLE_FORMATS[sample_format or "pcm16"]
    if not soundfile.check_format(container, subtype):
        raise UsageError(f"{container} cannot hold {sample_format} samples; choose pcm16 or pcm24, or write .wav.")
    return subtype


def resampled(audio: Audio, sample_rate: int) -> Audio:
    """The same sound at another rate: one polyphase filter with linear phase, so nothing moves in time."""
    if sample_rate == audio.sample_rate:
        return audio
    from scipy.signal import firwin, resample_poly

    common = gcd(sample_rate, audio.sample_rate)
    up, down = sample_rate // common, audio.sample_rate // common
    widest = max(up, down)
    taps = firwin(2 * _ZERO_CROSSINGS * widest + 1, 0.95 / widest, window=("kaiser", _KAISER_BETA)).astype(np.float32)
    samples = np.stack([resample_poly(channel, up, down, window=taps) for channel in audio.samples])
    return Audio(samples.astype(np.float32, copy=False), sample_rate)


def trimmed(audio: Audio, least_seconds: float, *, floor_db: float = -60.0, fade_seconds: float = 0.02) -> Audio:
    """Cut the silence at the end (below `floor_db` of the peak), never before `least_seconds`, with a short fade."""
    peak = float(np.abs(audio.samples).max(initial=0.0))
    loud = np.flatnonzero(np.abs(audio.samples).max(axis=0, initial=0.0) > peak * 10 ** (floor_db / 20))
    fade = round(fade_seconds * audio.sample_rate)
    last = int(loud[-1]) + 1 + fade if loud.size else 0
    end = min(audio.samples.shape[1], max(last, round(least_seconds * audio.sample_rate)))
    samples = audio.samples[:, :end].copy()
    if end >= fade > 0:
        samples[:, end - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return Audio(samples, audio.sample_rate)
