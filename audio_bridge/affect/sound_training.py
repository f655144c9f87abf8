"""Training and grouped evaluation of the sound model, on rated recordings or on rated scores that are played."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.affect import sound_features
from audio_bridge.affect.sound_affect import TIME_CONSTANT, SoundModel
from audio_bridge.sound import recordings
from symbolic.affect import ridge
from symbolic.affect.labels.rated_items import RatedItem, RatedSet
from symbolic.affect.plane import integrated
from symbolic.errors import UserError

if TYPE_CHECKING:
    import mido

Floats = NDArray[np.float64]
SAMPLES = NDArray[np.float32]
LEVEL_PENALTY = 10.0
DEVIATION_PENALTY = 300.0
PLAYED_SECONDS = 40.0  # of each rated score
TICKS_PER_SECOND = 2000  # at MIDI's 120 quarter notes a minute


@dataclass(frozen=True)
class HeardSound:
    """A rated recording with its features: (13,) of the whole, (n, 13) of windows, and ratings (n, 2) of the windows;
    no rows of either where only the level was rated. `target` is the mean rating of what was heard."""

    item: RatedItem
    features: Floats
    rows: Floats
    ratings: Floats
    target: tuple[float, float]


def heard_recordings(rated: RatedSet, progress: Callable[[int, int], None] = lambda *_: None) -> list[HeardSound]:
    """The items that have ratings and an audio file; one that cannot be decoded is told and left out."""
    found = []
    usable = [item for item in rated.items if item.path is not None and np.isfinite(item.target).all()]
    for number, item in enumerate(usable):
        assert item.path is not None
        try:
            audio = recordings.mono(recordings.read(item.path).audio, sound_features.RATE)
            found.append(heard_sound(item, audio.samples[0], item.at))
        except UserError as error:
            print(f"{rated.name}, {item.id}: {error}", file=sys.stderr)
        progress(number + 1, len(usable))
    if not found:
        raise UserError(
            f"{rated.name}: none of the {len(rated.items)} items has ratings and an audio file that can be heard."
        )
    return found


def played_scores(
    rated: RatedSet,
    soundfont: Path | None = None,
    program: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
    jobs: int = 1,
) -> list[HeardSound]:
    """Rated MIDI files as they sound by our synthesiser, with the ratings of the bars that sound; `jobs` at a time."""
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            parts = [replace(rated, items=(item,)) for item in rated.items]
            played = pool.map(played_scores, parts, repeat(soundfont), repeat(program))
            return [one for part in played for one in part]
    from symbolic.affect.hearing import note_table

    found = []
    for number, item in enumerate(rated.items):
        if item.path is not None and item.arc is not None:
            table = note_table.read(item.path)
            starts = np.interp(
                np.linspace(0, 1, len(item.arc) + 1), np.linspace(0, 1, table.n_bars + 1), table.bar_starts
            )
            found.append(heard_sound(item, play(item.path, soundfont, program), starts[:-1]))
        progress(number + 1, len(rated.items))
    return found


def play(
    path: Path, soundfont: Path | None = None, program: int | None = None, seconds: float = PLAYED_SECONDS
) -> SAMPLES:
    """Mono samples at 16 kHz of the first `seconds` of a MIDI file; all on General MIDI `program` where it is given."""
    from audio_bridge.render import soundfonts, synthesis
    from symbolic.formats import midi

    shortened = _beginning(midi.read_midi(path), seconds, program)
    sound = synthesis.synthesise(midi.to_bytes(shortened), soundfonts.find(soundfont).path, seconds + 2)
    return recordings.mono(sound, sound_features.RATE).samples[0][: round(seconds * sound_features.RATE)]


def _beginning(whole: "mido.MidiFile", seconds: float, program: int | None) -> "mido.MidiFile":
    """One track with the messages of the first `seconds`; notes that still sound there end there."""
    import mido

    made, track = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_SECOND // 2), mido.MidiTrack()
    sounding: set[tuple[int, int]] = set()
    clock, last = 0.0, 0
    for message in whole:  # times in seconds
        clock += message.time
        if clock > seconds:
            break
        if message.is_meta or (program is not None and message.type == "program_change"):
            continue
        tick = round(clock * TICKS_PER_SECOND)
        track.append(message.copy(time=tick - last))
        last = tick
        if message.type in ("note_on", "note_off"):
            place = (message.channel, message.note)
            sounding = sounding | {place} if message.type == "note_on" and message.velocity else sounding - {place}
    track += [mido.Message("note_off", channel=c, note=n, time=0) for c, n in sorted(sounding)]
    programs = (
        [] if program is None else [mido.Message("program_change", channel=c, program=program) for c in range(16)]
    )
    made.tracks.append(mido.MidiTrack([*programs, *track]))
    return made


def heard_sound(item: RatedItem, samples: SAMPLES, at: NDArray[np.float64] | None) -> HeardSound:
    """Features of one recording; `at` are the times in seconds of the item's ratings."""
    spectra = sound_features.Spectra(samples)
    whole = sound_features.whole(spectra)
    if item.arc is None or at is None:
        return HeardSound(item, whole, np.zeros((0, len(sound_features.NAMES))), np.zeros((0, 2)), item.target)
    starts, rows = sound_features.windows(spectra)
    middle = starts + sound_features.WINDOW_SECONDS / 2
    rated = (middle >= at[0]) & (middle <= at[-1] + 2.0)  # DEAM's first 15 s are heard, not rated
    rated = rated if rated.any() else np.ones(len(starts), dtype=bool)
    ratings = np.column_stack([np.interp(middle[rated], at, item.arc[:, column]) for column in range(2)])
    valence, arousal = ratings.mean(axis=0)
    return HeardSound(item, whole, integrated(rows, TIME_CONSTANT)[rated], ratings, (float(valence), float(arousal)))


def train(sounds: Sequence[HeardSound], record: dict[str, Any]) -> SoundModel:
    """Level and deviation models; intervals from grouped out-of-fold predictions."""
    features, targets = _features(sounds), _targets(sounds)
    level = ridge.fit(features, targets, sound_features.NAMES, LEVEL_PENALTY)
    residuals = targets - level_out_of_fold(sounds)
    return SoundModel(ridge.with_domain(level, features, residuals), deviation_model(sounds), record)


def level_out_of_fold(sounds: Sequence[HeardSound], columns: Sequence[int] | None = None) -> Floats:
    """(n, 2) levels, each by a model that heard no recording of its group."""
    features, targets = _features(sounds), _targets(sounds)
    features = features if columns is None else features[:, list(columns)]
    names = [str(i) for i in range(features.shape[1])]
    predicted = np.zeros_like(targets)
    for train_rows, test_rows in ridge.folds([sound.item.group for sound in sounds], 10):
        model = ridge.fit(features[train_rows], targets[train_rows], names, LEVEL_PENALTY)
        predicted[test_rows] = model.predict_known(features[test_rows])
    return predicted


def mean_out_of_fold(sounds: Sequence[HeardSound]) -> Floats:
    """(n, 2) of the mean predictor."""
    targets = _targets(sounds)
    predicted = np.zeros_like(targets)
    for train_rows, test_rows in ridge.folds([sound.item.group for sound in sounds], 10):
        predicted[test_rows] = targets[train_rows].mean(axis=0)
    return predicted


def deviation_model(sounds: Sequence[HeardSound]) -> ridge.Ridge:
    """How windows depart from their recording's mean; all zero where no ratings over time are there."""
    moving = [sound for sound in sounds if len(sound.ratings) > 1]
    names = sound_features.NAMES
    if not moving:
        zero = np.zeros((2, len(names)))
        return ridge.fit(zero, np.zeros((2, 2)), names, 1.0)
    rows = np.vstack([sound.rows - sound.rows.mean(axis=0) for sound in moving])
    ratings = np.vstack([sound.ratings - sound.ratings.mean(axis=0) for sound in moving])
    return ridge.fit(rows, ratings, names, DEVIATION_PENALTY)


def deviations_out_of_fold(sounds: Sequence[HeardSound]) -> list[Floats]:
    """(n, 2) departures of each recording by a model that heard none of its group; no rows where only the level was
    rated."""
    found: list[Floats] = [np.zeros((0, 2))] * len(sounds)
    for train_rows, test_rows in ridge.folds([sound.item.group for sound in sounds], 10):
        model = deviation_model([sounds[i] for i in train_rows])
        for i in test_rows:
            if len(sounds[i].rows):
                found[i] = model.predict_known(sounds[i].rows - sounds[i].rows.mean(axis=0))
    return found


def _features(sounds: Sequence[HeardSound]) -> Floats:
    return np.stack([sound.features for sound in sounds])


def _targets(sounds: Sequence[HeardSound]) -> Floats:
    return np.array([sound.target for sound in sounds])
