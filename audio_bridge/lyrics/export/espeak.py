"""Speaks words with the espeak-ng library that the PyPI package `espeakng-loader` carries; run by `vocal` as a child.

python -m audio_bridge.lyrics.export.espeak VOICE TEXT OUT.wav [TEXT OUT.wav ...]
"""

import ctypes
import sys
import wave
from pathlib import Path

from symbolic import subprocess_limits
from symbolic.errors import UserError

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS of speak_lib.h
_UTF8 = 1
_MEMORY = 2**30
_CPU_SECONDS = 600


def main(arguments: list[str]) -> int:
    """Speak each text to its file."""
    subprocess_limits.limit(_CPU_SECONDS, _MEMORY)
    voice, *pairs = arguments
    library, rate = _library(voice)
    for text, path in zip(pairs[::2], pairs[1::2]):
        samples = _spoken(library, text)
        with wave.open(str(Path(path)), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples)
    return 0


def _library(voice: str) -> tuple[ctypes.CDLL, int]:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode("utf-8"), 0)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode("utf-8")):
        raise UserError(f"espeak-ng has no voice {voice!r}.")
    return library, int(rate)


def _spoken(library: ctypes.CDLL, text: str) -> bytes:
    """Return 16-bit samples of a text."""
    chunks: list[bytes] = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def take(samples: "ctypes._Pointer[ctypes.c_short]", n: int, _: object) -> int:
        if samples and n > 0:
            chunks.append(ctypes.string_at(samples, 2 * n))
        return 0

    callback = kind(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode("utf-8") + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return b"".join(chunks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
