"""Melodies for MusicGen-melody to follow, read from ABC, MIDI or audio files.

A score's melody is a line of notes in seconds; its pitch classes (0 = C, one a frame of 0.128 s) are taken from the
notes (`exact`) or heard in a rendering by the extractor that the model was trained with (`rendered`). An audio file is
always heard (`audio`). The condition carries one pitch class a frame and no more: `condition_losses` counts what of a
line it cannot say.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen.melody_adherence import MelodyChoice, voice_of
from audio_bridge.sound.audio import MUSICGEN_RATE
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from audio_bridge.render.render import RenderJob
    from audio_bridge.render.timed_melody import Melody
    from audio_bridge.sound.audio import Audio
    from audio_bridge.sound.timed_note import TimedNote

MODES = ("exact", "rendered", "audio")
MAX_SECONDS = 300.0
SILENCE = 1e-3  # of full scale
MIN_GAP_SECONDS = 0.064  # half a frame: a shorter silence is articulation, not a rest


@dataclass(frozen=True)
class MelodyRequest:
    """Which melody of a file, how it is heard (`exact` or `rendered`, by which instrument), and how much of it: at most
    so many bars and seconds (None: all)."""

    choice: MelodyChoice = field(default_factory=MelodyChoice)
    chroma: str = "exact"
    instrument: str = "violin"
    bars: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class MelodySource:
    """A melody to follow: pitch classes at any time of a length in seconds; `melody` and `line` of a score."""

    path: Path
    tune: int | None
    mode: str
    seconds: float
    pitch_classes: NDArray[np.int64]  # (frames,) of an audio file or a rendering; empty where exact
    melody: "Melody | None" = None
    line: "tuple[TimedNote, ...]" = ()

    def classes(self, start: float, count: int) -> NDArray[np.int64]:
        """(count,) frames from a time on; after its end the melody begins again."""
        from audio_bridge.sound import chroma

        if self.mode == "exact":
            return chroma.exact(self.line, (start + chroma.frame_times(0, count)) % self.seconds)
        return chroma.tiled(self.pitch_classes, count, round(start / chroma.FRAME_SECONDS))


def read_sources(path: Path, request: MelodyRequest) -> list[MelodySource]:
    """Read the melodies of a file: one of an audio or MIDI file, one for each tune of an ABC file.

    Raises UserError for a file that cannot be followed, UsageError for a request that means nothing for it.
    """
    from audio_bridge.render import render
    from audio_bridge.sound import recordings

    if path.suffix.lower() in recordings.SUFFIXES:
        return [_audio_source(path, request)]
    return [_score_source(path, piece, request) for piece in render.pieces_of(path, None, request.choice.tune)]


def rendered_melody(melody: "Melody", instrument: str, seconds: float) -> "Audio":
    """A melody played by an instrument: 32 kHz, cut or padded to so many seconds."""
    from audio_bridge.render import render
    from audio_bridge.sound import stems

    audio = render.render(melody.midi, sample_rate=MUSICGEN_RATE, instrument=instrument, loudness_lufs=None)
    return stems.fitted(audio, round(seconds * MUSICGEN_RATE))


def condition_losses(line: "Sequence[TimedNote]") -> list[str]:
    """Tell what of a line one pitch class a frame cannot carry: octave leaps, repeated notes, rests, short notes."""
    from audio_bridge.sound.chroma import FRAME_SECONDS

    same_class = [(a, b) for a, b in pairwise(line) if a.midi % 12 == b.midi % 12 and b.onset - a.end < MIN_GAP_SECONDS]
    begins_late = bool(line) and line[0].onset >= MIN_GAP_SECONDS
    counts = {
        "octave leap": sum(a.midi != b.midi for a, b in same_class),
        "repeated note": sum(a.midi == b.midi for a, b in same_class),
        "rest": begins_late + sum(b.onset - a.end >= MIN_GAP_SECONDS for a, b in pairwise(line)),
    }
    n_short = sum(note.end - note.onset < FRAME_SECONDS for note in line)
    told = [f"{n} {what}{'s' * (n > 1)}" for what, n in counts.items() if n]
    return told + [f"{n_short} notes shorter than a frame ({FRAME_SECONDS:g} s)"] * (n_short > 0)


def _audio_source(path: Path, request: MelodyRequest) -> MelodySource:
    from audio_bridge.sound import chroma, recordings

    _refuse_score_options(path, request)
    sound = recordings.mono(recordings.read(path).audio)
    if sound.seconds < 1.0:
        raise UserError(f"{path} lasts {sound.seconds:.2f} s: a melody to follow takes 1 s or more.")
    if np.abs(sound.samples).max() < SILENCE:
        print(f"{path} is silent: there is no melody in it to follow.", file=sys.stderr)
    return MelodySource(path, None, "audio", _length(path, sound.seconds, request), chroma.of_audio(sound.samples[0]))


def _score_source(path: Path, piece: "RenderJob", request: MelodyRequest) -> MelodySource:
    from audio_bridge.render import timed_melody
    from audio_bridge.sound import chroma

    choice = request.choice
    whole = timed_melody.load(piece, tempo_qpm=choice.tempo, transpose=choice.transpose, repeats=choice.repeats)
    seconds = timed_melody.first_bars(whole, request.bars) if request.bars else whole.seconds
    seconds = _length(path, seconds, request)
    line = tuple(note for note in timed_melody.line(whole, voice_of(choice.voice)) if note.onset < seconds)
    if not line:
        raise UserError(f"{path}: the melody has no note in its first {seconds:.1f} s; make it longer.")
    heard = np.zeros(0, dtype=np.int64)
    if request.chroma == "rendered":
        heard = chroma.of_audio(rendered_melody(whole, request.instrument, seconds).samples.mean(axis=0))
    return MelodySource(path, piece.number, request.chroma, seconds, heard, whole, line)


def _refuse_score_options(path: Path, request: MelodyRequest) -> None:
    choice = request.choice
    given = {"tune": choice.tune, "tempo": choice.tempo, "bars": request.bars, "transpose": choice.transpose}
    wrong = next((name for name, value in given.items() if value), None)
    if wrong is not None:
        raise UsageError(f"{path} is audio, which has no notes to count or move: leave --{wrong} out.")
    if request.chroma == "rendered":
        raise UsageError(f"{path} is audio: leave --chroma out, its melody is heard as it is.")


def _length(path: Path, seconds: float, request: MelodyRequest) -> float:
    if request.seconds is not None:
        seconds = min(seconds, request.seconds)
    if seconds > MAX_SECONDS:
        raise UserError(
            f"{path} lasts {seconds:.0f} s; at most {MAX_SECONDS:.0f} s are made. Choose --bars or --seconds."
        )
    return seconds
