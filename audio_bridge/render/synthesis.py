"""A MIDI file and a SoundFont to samples, by a native synthesiser in a process of its own.

The synthesisers are compiled code fed with files of others, so each run is a child process with limits on processor
time, memory and file size; a crash, a panic or a time-out there is a UserError here. All backends give 48 kHz stereo.

The child is this module: python -m audio_bridge.render.synthesis BACKEND FONT.sf2 IN.mid OUT.wav CPU_SECONDS
MEMORY_BYTES
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from symbolic import subprocess_limits
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from audio_bridge.sound.audio import Audio

NATIVE_RATE = 48_000  # hertz; the only rate of midirenderer
CHANNELS = 2
BACKENDS = ("midirenderer", "fluidsynth")
FLUIDSYNTH_GAIN = 0.5  # brings its level near midirenderer's
BASE_SECONDS, SECONDS_PER_SECOND = 20.0, 0.5  # processor time allowed: a slow machine renders at >50x real time
BASE_MEMORY_BYTES = 2**30
_FIX = {
    "midirenderer": "pip install midirenderer",
    "fluidsynth": "install FluidSynth (apt install fluidsynth, brew install fluid-synth) or leave --backend out",
}


def synthesise(midi: bytes, soundfont: Path | str, seconds: float, backend: str = "midirenderer") -> "Audio":
    """The sound (48 kHz, stereo, 16-bit precision) of a MIDI file that lasts `seconds`.

    UserError when the child fails or the backend is absent.
    """
    from audio_bridge.sound.audio import read_wav  # here, so that the child does not load NumPy

    engine = available(backend)
    cpu_seconds = BASE_SECONDS + SECONDS_PER_SECOND * seconds
    n_bytes = round(seconds * NATIVE_RATE) * CHANNELS * 4
    memory = BASE_MEMORY_BYTES + 4 * n_bytes + 8 * Path(soundfont).stat().st_size
    with tempfile.TemporaryDirectory(prefix="render-") as folder:
        source, target = Path(folder, "in.mid"), Path(folder, "out.wav")
        source.write_bytes(midi)
        arguments = [engine, str(soundfont), str(source), str(target), f"{cpu_seconds:.0f}", str(memory)]
        advice = "Try another SoundFont, or --backend."
        subprocess_limits.call(
            "audio_bridge.render.synthesis", arguments, cpu_seconds, f"the synthesiser {engine}", advice
        )
        sound = read_wav(target)
    if not sound.samples.shape[1]:
        raise UserError(f"the synthesiser {engine} returned no sound for this music.")
    return sound


def available(backend: str) -> str:
    """The engine behind a backend: midirenderer, fluidsynth (the command) or pyfluidsynth; UserError when absent."""
    if backend not in BACKENDS:
        raise UsageError(f"there is no backend '{backend}'; choose {' or '.join(BACKENDS)}.")
    if backend == "midirenderer" and importlib.util.find_spec("midirenderer"):
        return "midirenderer"
    if backend == "fluidsynth" and shutil.which("fluidsynth"):
        return "fluidsynth"
    if backend == "fluidsynth" and importlib.util.find_spec("fluidsynth"):
        from ctypes.util import find_library

        if find_library("fluidsynth"):
            return "pyfluidsynth"
    raise UserError(f"the backend {backend} is not installed: {_FIX[backend]}.")


def version(backend: str) -> str:
    """Engine and version, for the record of a rendering."""
    from importlib.metadata import version as installed

    engine = available(backend)
    if engine == "fluidsynth":
        shown = subprocess.run(["fluidsynth", "--version"], capture_output=True, text=True, timeout=10, check=False)
        numbers = [word for word in shown.stdout.split() if word[:1].isdigit()]
        return f"fluidsynth {numbers[0] if numbers else 'unknown'}"
    return f"{engine} {installed(engine)}"


def main(arguments: list[str]) -> int:
    """The child: set the limits, then hand the files to the synthesiser."""
    engine, soundfont, source, target, cpu_seconds, memory = arguments
    subprocess_limits.limit(int(cpu_seconds), int(memory))
    {"midirenderer": _midirenderer, "fluidsynth": _fluidsynth, "pyfluidsynth": _pyfluidsynth}[engine](
        soundfont, source, target
    )
    return 0


def _midirenderer(soundfont: str, source: str, target: str) -> None:
    import midirenderer

    Path(target).write_bytes(midirenderer.render_wave_from(Path(soundfont).read_bytes(), Path(source).read_bytes()))


def _fluidsynth(soundfont: str, source: str, target: str) -> None:
    """The command takes this process's place, limits included."""
    options = [
        "-n",
        "-i",
        "-q",
        "-T",
        "wav",
        "-O",
        "s16",
        "-r",
        str(NATIVE_RATE),
        "-g",
        str(FLUIDSYNTH_GAIN),
        "-F",
        target,
    ]
    os.execvp("fluidsynth", ["fluidsynth", *options, soundfont, source])


def _pyfluidsynth(soundfont: str, source: str, target: str) -> None:
    """The library has no offline player, so messages are sent between blocks of samples."""
    import wave

    import fluidsynth
    import mido

    synth = fluidsynth.Synth(gain=FLUIDSYNTH_GAIN, samplerate=float(NATIVE_RATE))
    font = synth.sfload(soundfont)
    if font < 0:
        raise SystemExit("the SoundFont cannot be loaded")
    for channel in range(16):
        synth.program_select(channel, font, 128 if channel == 9 else 0, 0)
    with wave.open(target, "wb") as file:
        file.setparams((CHANNELS, 2, NATIVE_RATE, 0, "NONE", ""))
        played, clock = 0, 0.0
        for message in mido.MidiFile(source):
            clock += message.time
            n_samples = round(clock * NATIVE_RATE) - played
            if n_samples:
                file.writeframes(synth.get_samples(n_samples).tobytes())
            played += n_samples
            _send(synth, message)


def _send(synth: object, message: object) -> None:
    """One channel message; `synth` is a fluidsynth.Synth, `message` a mido.Message, neither of which has types."""
    send = {
        "note_on": lambda s, m: s.noteon(m.channel, m.note, m.velocity),
        "note_off": lambda s, m: s.noteoff(m.channel, m.note),
        "program_change": lambda s, m: s.program_change(m.channel, m.program),
        "control_change": lambda s, m: s.cc(m.channel, m.control, m.value),
        "pitchwheel": lambda s, m: s.pitch_bend(m.channel, m.pitch),
    }.get(getattr(message, "type", ""))
    if send is not None:
        send(synth, message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
