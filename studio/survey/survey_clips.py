"""Pieces to clips that differ in nothing but the music: one recipe, one length, one loudness, one file size, no tags.

Every clip is stereo MP3 of constant bit rate at SAMPLE_RATE, exactly as long as the others (so that not even the size
of a file tells a system), faded at its end, at one integrated loudness (ITU-R BS.1770): the target, or lower for all
where the peak of one would pass -1 dBTP. A piece that is shorter is played again.
"""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audio_bridge.sound import loudness
from audio_bridge.sound.audio import Audio, resampled
from studio.survey.survey_sources import MIDI_SUFFIXES, SurveyPiece
from symbolic.errors import UserError

SAMPLE_RATE = 44_100
FADE_SECONDS = 0.8
MIN_SECONDS = 1.0
_SILENCE_LUFS = -60.0


def sound_of(piece: SurveyPiece, instrument: str) -> Audio:
    """The whole of a piece as stereo sound. UserError for one that cannot be read or is silent."""
    whole = _stereo(_played(piece, instrument))
    if whole.seconds < MIN_SECONDS or loudness.integrated_lufs(whole) < _SILENCE_LUFS:
        raise UserError(f"{piece.label}: too short or silent; it cannot be rated.")
    return whole


def of_length(sound: Audio, seconds: float) -> Audio:
    """Exactly `seconds`, from the start, again from the start where it ends earlier, with a fade at the end."""
    n = round(seconds * sound.sample_rate)
    times = -(-n // sound.samples.shape[1])
    samples = np.tile(sound.samples, (1, times))[:, :n].copy()
    fade = min(n, round(FADE_SECONDS * sound.sample_rate))
    samples[:, n - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    return replace(sound, samples=samples)


def level_together(sounds: Sequence[Audio], target_lufs: float) -> tuple[list[Audio], float]:
    """The sounds at one loudness, and that loudness in LUFS: the target, or less where a peak would clip."""
    measures = [loudness.measured(sound) for sound in sounds]
    room = [target_lufs - m.loudness_lufs - (loudness.PEAK_LIMIT_DBTP - m.peak_dbtp) for m in measures]
    common = target_lufs - max(0.0, max(room, default=0.0))
    gains = [common - m.loudness_lufs for m in measures]
    louder = [replace(s, samples=s.samples * np.float32(10 ** (g / 20))) for s, g in zip(sounds, gains, strict=True)]
    return louder, common


def mp3_bytes(sound: Audio) -> bytes:
    """The clip's file: constant bit rate, so that clips of one length are files of one size."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(
        buffer, sound.samples.T, sound.sample_rate, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=0.2, bitrate_mode="CONSTANT",
    )  # fmt: skip
    return buffer.getvalue()


def low_passed(sound: Audio, hertz: float) -> Audio:
    """The sound without what lies above `hertz`: the anchors of MUSHRA (3,500 and 7,000 Hz)."""
    from scipy.signal import firwin, oaconvolve

    taps = firwin(511, hertz, fs=sound.sample_rate).astype(np.float32)
    filtered = np.stack([oaconvolve(channel, taps, mode="same") for channel in sound.samples])
    return replace(sound, samples=filtered.astype(np.float32))


def _played(piece: SurveyPiece, instrument: str) -> Audio:
    from audio_bridge.render.render import render
    from audio_bridge.sound import recordings
    from symbolic.formats import midi
    from symbolic.notation.abc_parser import parse

    if piece.path is None:
        return render(parse(piece.abc), instrument=instrument, sample_rate=SAMPLE_RATE)
    if piece.path.suffix.lower() in MIDI_SUFFIXES:
        return render(midi.read_midi(piece.path), sample_rate=SAMPLE_RATE)
    return recordings.read(piece.path).audio


def _stereo(sound: Audio) -> Audio:
    sound = resampled(sound, SAMPLE_RATE)
    samples = (
        sound.samples if len(sound.samples) == 2 else np.repeat(sound.samples.mean(axis=0, keepdims=True), 2, axis=0)
    )
    return replace(sound, samples=np.ascontiguousarray(samples, np.float32))
