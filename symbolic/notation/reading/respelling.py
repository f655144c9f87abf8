"""Accidentals as canonical text needs them: in force up to the bar line in all octaves, and through ties.

Where a tune had other rules (accidentals in its key, %%propagate-accidentals, a transposing instrument), every note
gets the accidental that makes it sound as it did.
"""

from dataclasses import dataclass

from symbolic.notation.score import Bar, ChordSymbol, Direction, Event, Grace, KeyChange, Note, Rest
from symbolic.notation.theory import LETTERS, SEMITONES, Key, Pitch
from symbolic.notation.transposition import moved_chord, moved_pitch, transposed_key


@dataclass(slots=True)
class StaffMove(Direction):
    """transpose= inside the music: the notes after it sound `semitones` higher than written.

    It stands among the events of a voice only while its tune is read; `transpose_events` takes it out.
    """

    semitones: int = 0


def respell(events: list[Event], key: Key) -> None:
    """Write the accidentals that the notes of a voice need, in place; those that it has stay."""
    in_bar: dict[str, int] = {}
    tied: dict[tuple[str, int], int] = {}
    for event in events:
        if isinstance(event, KeyChange):
            key = event.key
        elif isinstance(event, Bar):
            in_bar = {}
        elif isinstance(event, (Note, Grace)):
            event.pitches = tuple(_spelled(pitch, key, in_bar, tied) for pitch in event.pitches)
        if isinstance(event, (Note, Rest)):
            tied = {(p.letter, p.octave): p.midi for p in event.tied_pitches} if isinstance(event, Note) else {}


def transpose_events(events: list[Event], key: Key, semitones: int) -> Key:
    """Move the notes, keys and chord symbols of a voice, in place; `key` is its first key. Returns that key moved.

    From a `StaffMove` on, its semitones hold, and the key as it sounds is written. Call `respell` afterwards.
    """
    first = sounding = _moved_key(key, semitones)
    found: list[Event] = []
    for event in events:
        if isinstance(event, StaffMove):
            semitones = event.semitones
            if _moved_key(key, semitones) == sounding:
                continue
            event = KeyChange(key)
        found.append(event)
        if isinstance(event, KeyChange):
            key = event.key
            event.key = sounding = _moved_key(key, semitones)
        elif not semitones:
            continue
        elif isinstance(event, ChordSymbol):
            event.text = moved_chord(event.text, key, semitones)
        elif isinstance(event, (Note, Grace)):
            event.pitches = tuple(moved_pitch(pitch, key, semitones) for pitch in event.pitches)
    events[:] = _without_doubled_keys(found)
    return first


def _moved_key(key: Key, semitones: int) -> Key:
    return transposed_key(key, semitones) if semitones else key


def _without_doubled_keys(events: list[Event]) -> list[Event]:
    """The events without changes of key that another follows at once."""
    followed = zip(events, [*events[1:], None])
    return [event for event, after in followed if not (isinstance(event, KeyChange) and isinstance(after, KeyChange))]


def _spelled(pitch: Pitch, key: Key, in_bar: dict[str, int], tied: dict[tuple[str, int], int]) -> Pitch:
    """The pitch with an accidental if it needs one; `in_bar` learns it."""
    base = 12 * (pitch.octave + 1) + SEMITONES[pitch.letter]
    if pitch.accidental is None:
        held = tied.get((pitch.letter, pitch.octave), base + in_bar.get(pitch.letter, key.accidentals[pitch.letter]))
        if held == pitch.midi:
            return pitch
        pitch = Pitch(pitch.letter, pitch.octave, pitch.midi - base, pitch.midi)
    if not -2 <= (pitch.accidental or 0) <= 2:
        pitch = _nearest_letter(pitch.midi, key)
    assert pitch.accidental is not None
    in_bar[pitch.letter] = pitch.accidental
    return pitch


def _nearest_letter(midi: int, key: Key) -> Pitch:
    """A spelling with at most one accidental."""
    octave, pitch_class = midi // 12 - 1, midi % 12
    letters = sorted(LETTERS, key=lambda letter: abs(pitch_class - SEMITONES[letter]))
    letter = next((one for one in letters if SEMITONES[one] + key.accidentals[one] == pitch_class), letters[0])
    return Pitch(letter, octave, pitch_class - SEMITONES[letter], midi)
