"""Audio files of others: decoded in a guarded child, as they are or as 32 kHz mono.

WAV, FLAC, MP3, OGG, Opus and AIFF are decoded by libsndfile; M4A and AAC by PyAV or by ffmpeg, whichever is installed.

The child is this module: python -m audio_bridge.sound.recordings IN OUT.f32 CPU_SECONDS MEMORY_BYTES MOST_SECONDS
It writes raw float32 samples (interleaved channels) and prints a JSON header.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_bridge.sound.audio import MUSICGEN_RATE
from symbolic import subprocess_limits
from symbolic.errors import UserError

if TYPE_CHECKING:
    from audio_bridge.sound.audio import Audio

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".m4a", ".aac")
AAC_SUFFIXES = (".m4a", ".aac", ".mp4")
MOST_SECONDS = 3600.0
CPU_SECONDS = 60.0
MEMORY_BYTES = 8 * 2**30
BLOCK_FRAMES = 1 << 20
TAGS = ("title", "artist", "genre", "album", "comment")


@dataclass(frozen=True)
class Recording:
    """A decoded file with the tags that it carries, and how long its header says it is."""

    audio: "Audio"
    tags: dict[str, str]
    claimed_seconds: float = 0.0  # 0: the header does not say


def read(path: Path | str) -> Recording:
    """Decode any audio file of at most an hour. UserError names the file and what to do."""
    import numpy as np

    from audio_bridge.sound.audio import Audio

    path = Path(path)
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file.")
    with tempfile.TemporaryDirectory(prefix="decode-") as folder:
        target = Path(folder, "samples.f32")
        advice = "Convert it to WAV or FLAC."
        arguments = [str(path), str(target), f"{CPU_SECONDS:.0f}", str(MEMORY_BYTES), str(MOST_SECONDS)]
        text = subprocess_limits.call(
            "audio_bridge.sound.recordings", arguments, CPU_SECONDS, f"decoding {path}", advice
        )
        header = json.loads(text.splitlines()[-1])
        samples = np.fromfile(target, dtype=np.float32).reshape(-1, header["channels"])
    audio = Audio(np.ascontiguousarray(samples.T), header["sample_rate"])
    return Recording(audio, header["tags"], header["claimed_seconds"])


def mono(audio: "Audio", sample_rate: int = MUSICGEN_RATE) -> "Audio":
    """The mean of the channels at another rate; values that are not finite become 0."""
    import numpy as np

    from audio_bridge.sound.audio import Audio, resampled

    samples = np.nan_to_num(audio.samples.mean(axis=0, keepdims=True), nan=0.0, posinf=0.0, neginf=0.0)
    return resampled(Audio(samples.astype(np.float32), audio.sample_rate), sample_rate)


def find(folder: Path) -> list[Path]:
    """Every audio file below a folder, by name; hidden ones, and those in hidden folders, are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def main(arguments: list[str]) -> int:
    """The child: limits first, then the decoder."""
    source, target, cpu_seconds, memory, most_seconds = arguments
    subprocess_limits.limit(int(cpu_seconds), int(memory))
    if Path(source).suffix.lower() in AAC_SUFFIXES:
        if importlib.util.find_spec("av"):
            _by_pyav(source, target, float(most_seconds))
            return 0
        source = _by_ffmpeg(source, f"{target}.wav", float(most_seconds))
    import soundfile

    try:
        _decode(soundfile.SoundFile(source), target, float(most_seconds))
    except soundfile.LibsndfileError as error:
        raise SystemExit(f"it is damaged or no audio file ({error.error_string})") from error
    return 0


def _decode(file: Any, target: str, most_seconds: float) -> None:
    """Samples to `target` until the file gives no more, whatever its header says; the header to stdout."""
    with file:
        if file.frames > most_seconds * file.samplerate:
            raise SystemExit(_too_long(most_seconds))
        with open(target, "wb") as out:
            while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                out.write(block.tobytes())
        _tell(file.channels, file.samplerate, file.copy_metadata(), file.frames / file.samplerate)


def _by_pyav(source: str, target: str, most_seconds: float) -> None:
    """The same with FFmpeg's libraries, as the PyAV wheel has them."""
    import av

    try:
        with av.open(source) as container, open(target, "wb") as out:
            if not container.streams.audio:
                raise SystemExit("it has no sound")
            stream = container.streams.audio[0]
            packed = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
            n_samples = 0
            for frame in container.decode(stream):
                for part in packed.resample(frame):
                    n_samples += part.samples
                    out.write(part.to_ndarray().tobytes())
                if n_samples > most_seconds * stream.rate:
                    raise SystemExit(_too_long(most_seconds))
            if not n_samples:
                raise SystemExit("it has no sound")
            _tell(stream.channels, stream.rate, {**container.metadata, **stream.metadata})
    except av.error.FFmpegError as error:
        raise SystemExit(f"it is damaged or no audio file ({error.strerror})") from error


def _tell(channels: int, sample_rate: int, tags: Mapping[str, str], claimed_seconds: float = 0.0) -> None:
    """The header, to stdout."""
    known = {name.lower(): str(value)[:200] for name, value in tags.items() if value}
    kept = {name: known[name] for name in TAGS if name in known}
    header = {"channels": channels, "sample_rate": sample_rate, "tags": kept, "claimed_seconds": claimed_seconds}
    print(json.dumps(header))


def _too_long(most_seconds: float) -> str:
    return f"it lasts more than {most_seconds / 60:.0f} minutes; cut it"


def _by_ffmpeg(source: str, target: str, most_seconds: float) -> str:
    """WAV made by ffmpeg, under the same limits; a little more than allowed, so that what is too long is seen."""
    if shutil.which("ffmpeg") is None:
        raise SystemExit(
            "M4A and AAC need PyAV (pip install 'abc-symbolic[m4a]') or ffmpeg (apt install ffmpeg, brew install "
            "ffmpeg), and neither is installed"
        )
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", f"file:{source}", "-t", f"{most_seconds + 1}", "-f", "wav"]
    done = subprocess.run([*command, target], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit("ffmpeg cannot decode it")
    return target


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
