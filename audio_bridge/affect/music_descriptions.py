"""A planned section of music in the words that MusicGen is given, and such words back to a plan.

This stands where other systems train a translator from stories to descriptions: the plan is known exactly, so its words
are written by rule, and what is written can be read back without loss (`understood(described(plan)) == plan`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from symbolic.affect import emotion_words
from symbolic.affect.composing.arrangement import DENSITIES, DYNAMICS, MODES, PATTERNS, Controls

_LEVELS = {"pp": "very soft", "p": "soft", "mp": "moderately soft", "mf": "medium loud", "f": "loud", "ff": "very loud"}
_OCTAVES = {-1: "low", 0: "middle", 1: "high"}
_TEXTURES = {
    "none": "a single melody without accompaniment", "drone": "melody over a drone",
    "block": "melody over long chords", "broken": "melody over broken chords", "pulse": "melody over pulsing chords",
    "march": "melody over bass and chords in turn", "dark": "melody over deep dark chords",
    "storm": "melody over thick low repeated chords", "bells": "melody under long high bell tones",
    "tritone": "melody over a held tritone", "cluster": "melody over repeated low clusters",
}  # fmt: skip
_TEMPOS = ((60, "very slow"), (80, "slow"), (110, "moderate"), (145, "fast"), (1000, "very fast"))
_DENSITIES = {"bare": "very few notes", "sparse": "few notes", "written": "flowing notes", "busy": "repeated notes"}
assert set(_DENSITIES) == set(DENSITIES)
assert set(_LEVELS) == set(DYNAMICS) and set(_TEXTURES) == set(PATTERNS)


@dataclass(frozen=True)
class Description:
    """What a text says of a section: its controls, mood words, and instruments."""

    controls: Controls
    mood: tuple[str, ...]
    instruments: tuple[str, ...]


def described(controls: Controls, mood: Sequence[str], instruments: Sequence[str] = ("piano",)) -> str:
    """The words for a section."""
    tempo = next(name for limit, name in _TEMPOS if controls.qpm < limit)
    touch = "staccato" if controls.staccato else "legato"
    return (
        f"{' and '.join(mood)} music, {tempo} at {controls.qpm} bpm, {controls.mode} key, "
        f"{_LEVELS[controls.dynamics]}, {_OCTAVES[controls.octave]} register, {touch}, "
        f"{_DENSITIES[controls.density]}, {_TEXTURES[controls.pattern]}, {' and '.join(instruments)}"
    )


def understood(text: str) -> Description | None:
    """The plan that `described` wrote; None for another text."""
    match = re.fullmatch(
        rf"(.+) music, [a-z ]+ at (\d+) bpm, ({'|'.join(MODES)}) key, ([a-z ]+), (low|middle|high) register, "
        r"(staccato|legato), ([a-z ]+), ([a-z ]+), (.+)",
        text.strip(),
    )
    if match is None:
        return None
    levels, textures = {v: k for k, v in _LEVELS.items()}, {v: k for k, v in _TEXTURES.items()}
    octaves = {v: k for k, v in _OCTAVES.items()}
    densities = {v: k for k, v in _DENSITIES.items()}
    if match[4] not in levels or match[7] not in densities or match[8] not in textures:
        return None
    controls = Controls(
        match[3], int(match[2]), octaves[match[5]], levels[match[4]], match[6] == "staccato", textures[match[8]],
        densities[match[7]],
    )  # fmt: skip
    return Description(controls, tuple(match[1].split(" and ")), tuple(match[9].split(" and ")))


def mood_of(text: str) -> tuple[float, float] | None:
    """The place on the plane of the mood words in a text; None where it has none of the table's."""
    return emotion_words.place_of(re.findall(r"[a-z]+", text.lower()))
