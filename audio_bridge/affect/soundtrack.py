"""A story to sound: music composed for its sections, played by the synthesiser or by MusicGen, perhaps with narration.

Stems are float32 (channels, samples) at one rate from time zero: `melody` and `accompaniment` by the synthesiser, or
`music` by MusicGen, and `narration`. MusicGen follows the exact melody of each section and is given a description of
it; sections are fitted to the score's seconds and joined with a short fade. The music is brought to MUSIC_LUFS as a
whole, so that its own dynamics stay and a soft piece is still heard; under narration it is DUCK_DB lower.
"""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import mido
import numpy as np

from audio_bridge.affect import music_descriptions
from audio_bridge.sound import audio, loudness, stems
from audio_bridge.sound.audio import Audio
from symbolic.affect import emotion_words
from symbolic.affect.composing import section_writer
from symbolic.affect.composing.composer import Composition
from symbolic.affect.plane import DOMAINS
from symbolic.errors import UserError

RATE = 44_100  # hertz
LOUDNESS_LUFS = -16.0
FADE_SECONDS = 0.05  # where sections of MusicGen meet
DUCK_DB, DUCK_SECONDS = -9.0, 0.3  # of the music under narration, and how fast it goes down and comes back
PAUSE_SECONDS = 0.25  # between spoken sentences
TAIL_SECONDS = 2.5
NARRATION_LUFS, MUSIC_LUFS = -17.0, -18.0


@dataclass(frozen=True)
class Soundtrack:
    """The mix, its stems by name, and the record."""

    mix: Audio
    stems: dict[str, Audio]
    record: dict[str, Any]


def descriptions(made: Composition, instruments: Sequence[str] = ("piano",)) -> list[str]:
    """The words for each section."""
    moods = emotion_words.nearest(made.arcs()["target"], DOMAINS["sections"])
    return [music_descriptions.described(plan.controls, [mood], instruments) for plan, mood in zip(made.plans, moods)]


def soundtrack(
    made: Composition,
    model: str | None = None,
    instruments: Sequence[str | int] = ("piano", "piano"),
    narrated: bool = False,
    seed: int = 0,
) -> Soundtrack:
    """The sound of a composition. `model` is a MusicGen by name, None the synthesiser. UserError where a synthesiser,
    model or voice is not there."""
    n_samples = round((made.starts[-1] + TAIL_SECONDS) * RATE)
    found = _conditioned(made, model, seed) if model else _played(made, instruments)
    found = {name: stems.fitted(_stereo(stem), n_samples) for name, stem in found.items()}
    gain = music_gain(found)
    found = {name: Audio(stem.samples * gain, RATE) for name, stem in found.items()}
    spoken: list[tuple[float, float]] = []
    if narrated:
        voice, spoken = narration(made)
        n_samples = max(n_samples, voice.samples.shape[1])
        found = {name: stems.fitted(stem, n_samples) for name, stem in found.items()}
        lower = ducking(spoken, n_samples)
        found = {name: Audio(stem.samples * lower, RATE) for name, stem in found.items()}
        found["narration"] = stems.fitted(_stereo(voice), n_samples)
    mix, levels = loudness.normalised(_sum(found), LOUDNESS_LUFS)
    record = {
        "seconds": round(mix.seconds, 3), "score_seconds": round(made.starts[-1], 3), "starts": made.starts,
        "loudness_lufs": round(levels.loudness_lufs, 2), "peak_dbtp": round(levels.peak_dbtp, 2),
        "model": model or "synthesiser", "descriptions": descriptions(made), "stems": sorted(found),
        "narrated": [[round(a, 3), round(b, 3)] for a, b in spoken], "plan": made.record(),
    }  # fmt: skip
    return Soundtrack(mix, found, record)


def music_gain(parts: dict[str, Audio]) -> np.float32:
    """The gain of all parts alike that brings their sum to MUSIC_LUFS; 1 for silence."""
    level = loudness.integrated_lufs(_sum(parts))
    return np.float32(10 ** ((MUSIC_LUFS - level) / 20) if np.isfinite(level) else 1.0)


def ducking(spoken: Sequence[tuple[float, float]], n_samples: int) -> np.ndarray:
    """(n_samples,) gain of the music: 1, and DUCK_DB lower while somebody speaks."""
    low, width = 10 ** (DUCK_DB / 20), round(DUCK_SECONDS * RATE)
    gain = np.ones(n_samples, dtype=np.float32)
    for start, end in spoken:
        a, b = round(start * RATE), round(end * RATE)
        down = np.linspace(1.0, low, width, dtype=np.float32)
        first = max(0, a - width)
        gain[first:a] = np.minimum(gain[first:a], down[width - (a - first) :])
        gain[a:b] = low
        up = down[::-1][: max(0, n_samples - b)]
        gain[b : b + width] = np.minimum(gain[b : b + width], up)
    return gain


def narration(made: Composition) -> tuple[Audio, list[tuple[float, float]]]:
    """The story spoken, each section's sentences from its beginning on, and (start, end) of each in seconds."""
    from audio_bridge.lyrics.export import guide_vocal

    engine = guide_vocal.engine()
    if engine is None:
        raise UserError("no espeak-ng on this machine: apt install espeak-ng, or pip install espeakng-loader.")
    texts = [text for section in made.sections for text in section.sentences]
    voices = guide_vocal.spoken(texts, "en", engine)
    placed: list[tuple[float, Audio]] = []
    clock = 0.0
    for section, start in zip(made.sections, made.starts):
        clock = max(clock, start + PAUSE_SECONDS)
        for text in section.sentences:
            placed.append((clock, _wave(voices[text])))
            clock += placed[-1][1].seconds + PAUSE_SECONDS
    samples = np.zeros((1, round((clock + 0.5) * RATE)), dtype=np.float32)
    for start, voice in placed:
        place = round(start * RATE)
        samples[:, place : place + voice.samples.shape[1]] += voice.samples
    spoken = [(start, start + voice.seconds) for start, voice in placed]
    return loudness.normalised(Audio(samples, RATE), NARRATION_LUFS)[0], spoken


def _wave(data: bytes) -> Audio:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spoken.wav")
        path.write_bytes(data)
        return audio.resampled(audio.read_wav(path), RATE)


def _played(made: Composition, instruments: Sequence[str | int]) -> dict[str, Audio]:
    from audio_bridge.render.instruments import program
    from audio_bridge.render.render import render

    programs = [program(name) for name in instruments]
    whole = mido.MidiFile(file=io.BytesIO(section_writer.piece_midi(made.text, programs)))
    found = {}
    for name, track in zip(("melody", "accompaniment"), whole.tracks[1:]):
        if any(message.type == "note_on" for message in track):
            part = mido.MidiFile(type=1, ticks_per_beat=whole.ticks_per_beat)
            part.tracks += [whole.tracks[0], track]
            found[name] = render(part, sample_rate=RATE, loudness_lufs=None)
    return found


def _conditioned(made: Composition, model: str, seed: int) -> dict[str, Audio]:
    from audio_bridge.musicgen.condition import ConditionOptions, condition
    from audio_bridge.sound import recordings

    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (plan, text) in enumerate(zip(made.plans, descriptions(made))):
            source, target = Path(folder, f"{number}.mid"), Path(folder, f"{number}.wav")
            source.write_bytes(section_writer.piece_midi(section_writer.piece_text([plan], "")))
            condition(source, target, ConditionOptions(texts=(text,), model=model, seed=seed + number))
            parts.append(audio.resampled(recordings.read(target).audio, RATE))
    lengths = [round((end - start) * RATE) for start, end in pairwise(made.starts)]
    return {"music": joined(parts, lengths)}


def joined(parts: Sequence[Audio], lengths: Sequence[int]) -> Audio:
    """Parts one after the other, each cut or filled to its length, with FADE_SECONDS down and up where two meet."""
    fade = np.linspace(0, 1, round(FADE_SECONDS * RATE), dtype=np.float32)
    found = []
    for number, (part, length) in enumerate(zip(parts, lengths)):
        samples = stems.fitted(_stereo(part), length).samples.copy()
        if number:
            samples[:, : len(fade)] *= fade[: samples.shape[1]]
        if number < len(parts) - 1:
            samples[:, -len(fade) :] *= fade[::-1][-samples.shape[1] :]
        found.append(samples)
    return Audio(np.hstack(found), RATE)


def _sum(parts: dict[str, Audio]) -> Audio:
    return Audio(np.stack([part.samples for part in parts.values()]).sum(axis=0, dtype=np.float32), RATE)


def _stereo(sound: Audio) -> Audio:
    return Audio(np.repeat(sound.samples, 2, axis=0), sound.sample_rate) if len(sound.samples) == 1 else sound
