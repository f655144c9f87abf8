"""Accidentals as canonical text needs them: in force up to the bar line in all octaves, and through ties.

Where a tune had other rules (accidentals in its key, %%propagate-accidentals, a transposing instrument), every note
gets the accidental that makes it sound as it did.
"""

from symbolic.notation.score import Bar, ChordSymbol, Event, Grace, KeyChange, Note, Rest
from symbolic.notation.theory import LETTERS, SEMITONES, Key, Pitch
from symbolic.notation.transposition import moved_chord, moved_pitch, transposed_key


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

    Call `respell` afterwards.
    """
    first = transposed_key(key, semitones)
    for event in events:
        if isinstance(event, KeyChange):
            key = event.key
            event.key = transposed_key(key, semitones)
        elif isinstance(event, ChordSymbol):
            event.text = moved_chord(event.text, key, semitones)
        elif isinstance(event, (Note, Grace)):
            event.pitches = tuple(moved_pitch(pitch, key, semitones) for pitch in event.pitches)
    return first


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
