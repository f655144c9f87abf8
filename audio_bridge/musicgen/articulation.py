"""The rests and note beginnings of a score, put onto a sound that follows its pitches.

The melody condition is a pitch class a frame: a model holds rests and does not strike a repeated note again. The
envelope does it afterwards: a rise of ATTACK_SECONDS at a note's beginning, a slow fall to SUSTAIN over its length, a
fall to FLOOR before its end, and silence in rests. Meant for a sound with one line in it: accompaniment falls and rises
with it. The constants are those at which onsets were told best by `experiments.onsets`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import Audio
from audio_bridge.sound.timed_note import TimedNote

ATTACK_SECONDS = 0.005
SUSTAIN = 0.5  # -6 dB, at the end of a note: less of what flickers in a held tone
RELEASE_SECONDS = 0.1  # of a note; of a short one a third
FLOOR = 0.003  # -50 dB, between two notes that touch
MIN_REST_SECONDS = 0.03  # less is articulation of the score's own, and stays as between notes that touch


def articulated(audio: Audio, line: Sequence[TimedNote]) -> Audio:
    """The sound under the envelope of a line that begins at its first sample."""
    gains = envelope(line, audio.samples.shape[1], audio.sample_rate)
    return Audio((audio.samples * gains).astype(np.float32), audio.sample_rate)


def envelope(line: Sequence[TimedNote], n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Gains (n_samples,) from 0 in rests to 1 in notes; notes are in order of their onsets, in seconds."""
    gains = np.zeros(n_samples, dtype=np.float32)
    touched = False  # by the note before
    for i, note in enumerate(line):
        following = line[i + 1].onset if i + 1 < len(line) else np.inf
        touches = following - note.end < MIN_REST_SECONDS
        begin, end = (round(at * sample_rate) for at in (note.onset, following if touches else note.end))
        own = _of_note(end - begin, sample_rate, FLOOR * touched, FLOOR * touches)[: max(0, n_samples - begin)]
        gains[begin : begin + own.size] = own
        touched = touches
    return gains


def _of_note(n_samples: int, sample_rate: int, first: float, last: float) -> NDArray[np.float32]:
    """One note's rise from a first gain, hold and fall to a last one."""
    gains = np.geomspace(1, SUSTAIN, max(0, n_samples), dtype=np.float32)
    rise = min(gains.size, round(ATTACK_SECONDS * sample_rate))
    fall = min(gains.size // 3, round(RELEASE_SECONDS * sample_rate))
    gains[:rise] *= np.linspace(first, 1, rise, dtype=np.float32)
    gains[gains.size - fall :] *= np.linspace(1, last, fall, dtype=np.float32)
    return gains
