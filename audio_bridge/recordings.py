"""Audio files of others: decoded in a guarded child, as they are or as 32 kHz mono.

WAV, FLAC, MP3, OGG and AIFF are decoded by libsndfile; M4A and AAC by ffmpeg where it is installed.

The child is this module: python -m audio_bridge.recordings IN OUT.f32 CPU_SECONDS MEMORY_BYTES MOST_SECONDS
It writes raw float32 samples (interleaved channels) and prints a JSON header.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_bridge import guard
from symbolic.errors import UserError

if TYPE_CHECKING:
    from audio_bridge.audio import Audio

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff", ".m4a", ".aac")
FFMPEG_SUFFIXES = (".m4a", ".aac", ".mp4")
MOST_SECONDS = 3600.0
CPU_SECONDS = 60.0
MEMORY_BYTES = 8 * 2**30
TAGS = ("title", "artist", "genre", "album", "comment")


@dataclass(frozen=True)
class Recording:
    """A decoded file with the tags that it carries."""

    audio: "Audio"
    tags: dict[str, str]


def read(path: Path | str) -> Recording:
    """Decode any audio file of at most an hour. UserError names the file and what to do."""
    import numpy as np

    from audio_bridge.audio import Audio

    path = Path(path)
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file.")
    with tempfile.TemporaryDirectory(prefix="decode-") as folder:
        target = Path(folder, "samples.f32")
        advice = "Convert it to WAV or FLAC."
        arguments = [str(path), str(target), f"{CPU_SECONDS:.0f}", str(MEMORY_BYTES), str(MOST_SECONDS)]
        text = guard.call("audio_bridge.recordings", arguments, CPU_SECONDS, f"decoding {path}", advice)
        header = json.loads(text.splitlines()[-1])
        samples = np.fromfile(target, dtype=np.float32).reshape(-1, header["channels"])
    return Recording(Audio(np.ascontiguousarray(samples.T), header["sample_rate"]), header["tags"])


def mono(audio: "Audio", sample_rate: int = 32_000) -> "Audio":
    """The mean of the channels at another rate; values that are not finite become 0."""
    import numpy as np

    from audio_bridge.audio import Audio, resampled

    samples = np.nan_to_num(audio.samples.mean(axis=0, keepdims=True), nan=0.0, posinf=0.0, neginf=0.0)
    return resampled(Audio(samples.astype(np.float32), audio.sample_rate), sample_rate)


def find(folder: Path) -> list[Path]:
    """Every audio file below a folder, by name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def main(arguments: list[str]) -> int:
    """The child: limits first, then the decoder."""
    source, target, cpu_seconds, memory, most_seconds = arguments
    guard.limit(int(cpu_seconds), int(memory))
    if Path(source).suffix.lower() in FFMPEG_SUFFIXES:
        source = _by_ffmpeg(source, f"{target}.wav", most_seconds)
    import soundfile

    try:
        _decode(soundfile.SoundFile(source), target, float(most_seconds))
    except soundfile.LibsndfileError as error:
        raise SystemExit(f"it is damaged or no audio file ({error.error_string})") from error
    return 0


def _decode(file: Any, target: str, most_seconds: float) -> None:
    """Samples to `target`, the header to stdout."""
    with file:
        if file.frames > most_seconds * file.samplerate:
            raise SystemExit(f"it lasts more than {most_seconds / 60:.0f} minutes; cut it")
        tags = {name: str(value)[:200] for name, value in file.copy_metadata().items() if name in TAGS and value}
        with open(target, "wb") as out:
            for block in file.blocks(blocksize=1 << 20, dtype="float32", always_2d=True):
                out.write(block.tobytes())
        print(json.dumps({"channels": file.channels, "sample_rate": file.samplerate, "tags": tags}))


def _by_ffmpeg(source: str, target: str, most_seconds: str) -> str:
    """WAV made by ffmpeg, under the same limits."""
    if shutil.which("ffmpeg") is None:
        raise SystemExit("M4A and AAC need ffmpeg, which is not installed (apt install ffmpeg, brew install ffmpeg)")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", f"file:{source}", "-t", most_seconds, "-f", "wav"]
    done = subprocess.run([*command, target], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit("ffmpeg cannot decode it")
    return target


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
