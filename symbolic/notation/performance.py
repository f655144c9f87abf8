"""A score as it sounds: repeats and endings unrolled, ties merged.

Times are ticks, TICKS_PER_WHOLE = 40,320 to the whole note. Grace notes take no time and are left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from symbolic.notation.play_order import play_order
from symbolic.notation.score import Direction, Event, KeyChange, MeterChange, Note, Rest, Score, TempoChange, Voice
from symbolic.notation.theory import Key, Meter

# MIDI velocities of the dynamics, as abc2midi has them.
DYNAMICS = {"pppp": 30, "ppp": 30, "pp": 45, "p": 60, "mp": 75, "mf": 90, "f": 105, "ff": 120, "fff": 127, "ffff": 127}
DYNAMICS |= {"sf": 120, "sfz": 120}


@dataclass(frozen=True, slots=True)
class Sound:
    """One sounding note of a performance; ties are merged. `velocity` is None where no dynamics are written."""

    voice: int
    onset_ticks: int
    ticks: int
    midi: int
    velocity: int | None = None


def performance(score: Score, *, repeats: bool = True) -> list[Sound]:
    """The notes as they sound, by onset: repeats and endings unrolled, ties merged, graces left out.

    Raises NotationError `too_long` where repeats multiply too far.
    """
    sounds: list[Sound] = []
    for index, voice in enumerate(score.voices):
        sounds += _voice_sounds(index, voice, repeats)
    return sorted(sounds, key=lambda s: (s.onset_ticks, s.voice, s.midi))


def signatures(score: Score, *, repeats: bool = True) -> Iterator[tuple[int, Key, Meter]]:
    """(tick, key, metre) at the start and wherever one of them changes along the first voice, as it is played: a repeat
    goes back to the signatures of the place it goes back to."""
    events, key, meter = score.voices[0].events, score.key, score.meter
    in_force = []
    for event in events:
        key = event.key if isinstance(event, KeyChange) else key
        meter = event.meter if isinstance(event, MeterChange) else meter
        in_force.append((key, meter))
    tick, last = 0, (score.key, score.meter)
    yield tick, *last
    for place in play_order(score.voices[0]) if repeats else range(len(events)):
        event = events[place]
        if in_force[place] != last:
            last = in_force[place]
            yield tick, *last
        tick += event.ticks if isinstance(event, (Note, Rest)) else 0


def tempo_changes(score: Score, *, repeats: bool = True) -> list[tuple[int, str]]:
    """(tick, value of a Q: field) of the tempo changes inside the tune, as it is played; one voice's hold for all."""
    found: dict[int, str] = {}
    for voice in score.voices:
        tick = 0
        for event in unroll(voice) if repeats else voice.events:
            if isinstance(event, TempoChange):
                found.setdefault(tick, event.text)
            tick += event.ticks if isinstance(event, (Note, Rest)) else 0
    return sorted(found.items())


def unroll(voice: Voice) -> Iterator[Event]:
    """Yield the events of a voice in playing order, see `symbolic.notation.play_order`."""
    yield from (voice.events[place] for place in play_order(voice))


def _voice_sounds(index: int, voice: Voice, repeats: bool) -> list[Sound]:
    sounds: list[Sound] = []
    held: dict[int, int] = {}  # MIDI pitch -> index in sounds of a note whose tie is open
    onset = 0
    velocity: int | None = None
    before = -1
    for place in play_order(voice) if repeats else range(len(voice.events)):
        event = voice.events[place]
        if place <= before:  # a note at the end of a repeat is struck anew at its beginning
            held = {}
        before = place
        if isinstance(event, Note):
            velocity = _velocity(event.marks, velocity)
            held = _add_sounds(sounds, held, event, index, onset, velocity)
        elif isinstance(event, Rest):
            held = {}
        elif isinstance(event, Direction):
            velocity = DYNAMICS.get(event.name, velocity)
        onset += event.ticks if isinstance(event, (Note, Rest)) else 0
    return sounds


def _add_sounds(
    sounds: list[Sound], held: dict[int, int], note: Note, voice: int, onset: int, velocity: int | None
) -> dict[int, int]:
    """Add the sounds of a note or lengthen those it is tied to. Returns those that are tied on: pitch -> place."""
    places: dict[int, int] = {}
    for midi in {pitch.midi for pitch in note.pitches}:
        place = held.get(midi)
        if place is None:
            place = len(sounds)
            sounds.append(Sound(voice, onset, note.ticks, midi, velocity))
        else:
            sounds[place] = replace(sounds[place], ticks=onset + note.ticks - sounds[place].onset_ticks)
        places[midi] = place
    return {pitch.midi: places[pitch.midi] for pitch in note.tied_pitches}


def _velocity(marks: str, before: int | None) -> int | None:
    """The loudness that a note's decorations set, else the one before."""
    for name in re.findall(r"!([a-z]+)!", marks):
        before = DYNAMICS.get(name, before)
    return before
