"""Single notes of an instrument as MP3, for playback in the page: made from the installed SoundFont, kept in a cache.

Every third semitone is made; the page plays the others by the nearest at another speed. A sample is 2.5 s long, mono.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from symbolic import files

if TYPE_CHECKING:
    import mido

LOWEST, HIGHEST, STEP = 36, 96, 3  # MIDI pitches
NOTE_SECONDS, SAMPLE_SECONDS, GAP_SECONDS = 2.0, 2.5, 3.0
SAMPLE_RATE = 44_100


def pitches() -> list[int]:
    """The MIDI pitches that there are samples of."""
    return list(range(LOWEST, HIGHEST + 1, STEP))


def path_of(cache: Path, program: int, pitch: int) -> Path | None:
    """Where the sample of a pitch lies once `make` has made its folder; None where there is none of that pitch."""
    if pitch not in pitches() or not 0 <= program <= 127:
        return None
    return cache / f"samples-{program}" / f"{pitch}.mp3"


def make(folder: Path, program: int) -> None:
    """Render all notes of an instrument one after another in one pass, and cut them apart into `folder`."""
    import numpy as np

    from audio_bridge.render.render import render
    from audio_bridge.sound.audio import Audio, encoded

    sound = render(_scale(), instrument=program, loudness_lufs=-20.0, sample_rate=SAMPLE_RATE)
    mono = sound.samples.mean(axis=0, keepdims=True)
    with files.whole_folder(folder) as target:
        for place, pitch in enumerate(pitches()):
            start = round(place * GAP_SECONDS * SAMPLE_RATE)
            part = mono[:, start : start + round(SAMPLE_SECONDS * SAMPLE_RATE)].astype(np.float32).copy()
            fade = np.linspace(1.0, 0.0, SAMPLE_RATE // 10, dtype=np.float32)[: part.shape[1]]
            part[:, -len(fade) :] *= fade
            path = target / f"{pitch}.mp3"
            path.write_bytes(encoded(Audio(part, SAMPLE_RATE), path))


def _scale() -> "mido.MidiFile":
    """A MIDI file of the notes, each NOTE_SECONDS long, one every GAP_SECONDS."""
    import mido

    made = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    made.tracks.append(track)
    on, off = round(NOTE_SECONDS * 960), round((GAP_SECONDS - NOTE_SECONDS) * 960)  # 120 quarters a minute
    for place, pitch in enumerate(pitches()):
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=off if place else 0))
        track.append(mido.Message("note_off", note=pitch, velocity=0, time=on))
    return made
