"""The chords of a setting: written by `symbolic.notation.harmony`, or one's own; and the setting with them as a voice.

Chord symbols of the tune are kept where it has them and none are given.
"""

from dataclasses import replace

from audio_bridge.lyrics.setting.word_setting import Setting
from symbolic.notation.abc_parser import canonical, parse
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.score import Bar, ChordSymbol, Event, Note, Rest, Score, Voice
from symbolic.notation.theory import SEMITONES, Pitch

_BLOCK_FROM = 48  # lowest root, MIDI pitch


def with_chords(setting: Setting, progression: list[list[str]] | None = None) -> Setting:
    """Return the setting with chord symbols: those of a progression (symbols of each bar), its own, or written for
    it."""
    from symbolic.notation.harmony import harmonised, with_progression

    if progression is None and any(isinstance(e, ChordSymbol) for e in setting.score.voices[0].events):
        return setting
    text = setting.text
    score = parse(harmonised(text) if progression is None else with_progression(text, progression))
    score.fields = setting.score.fields
    return replace(setting, score=score)


def chord_spans(score: Score) -> list[tuple[int, int, str]]:
    """Return (onset, ticks, chord) for each measure that has a chord; a chord holds until the next symbol."""
    spans: list[tuple[int, int, str]] = []
    start, ticks, current, first = 0, 0, "", ""
    for event in [*score.voices[0].events, Bar("|]")]:
        if isinstance(event, ChordSymbol):
            current = event.text
            first = first or current
        elif isinstance(event, (Note, Rest)):
            first = first or current
            ticks += event.ticks
        elif isinstance(event, Bar) and ticks:
            if first:
                spans.append((start, ticks, first))
            start, ticks, first = start + ticks, 0, ""
    return spans


def two_voices(setting: Setting) -> str:
    """Return canonical ABC with the voices `Vocal` (the melody) and `Ins` (the chords, one a measure)."""
    spans = {onset: (ticks, name) for onset, ticks, name in chord_spans(setting.score)}
    events: list[Event] = []
    start = ticks = 0
    for event in setting.score.voices[0].events:
        if isinstance(event, (Note, Rest)):
            ticks += event.ticks
        elif isinstance(event, Bar):
            if ticks:
                events.append(_block(spans[start][1], ticks) if start in spans else Rest(ticks, ticks))
            events.append(event)
            start, ticks = start + ticks, 0
    vocal: list[Event] = [e for e in setting.score.voices[0].events if not isinstance(e, ChordSymbol)]
    voices = [Voice("Vocal", "treble", vocal), Voice("Ins", "bass", events)]
    return canonical(Score({}, setting.score.meter, setting.score.key, voices))


def pitches(name: str, lowest: int) -> list[int]:
    """Return MIDI pitches of a chord in close position, its root at or above `lowest`; what is no chord is a major
    triad on its letter."""
    chord = parse_chord(name) or parse_chord(name[:1]) or parse_chord("C")
    assert chord is not None
    base = lowest + (chord.root - lowest) % 12
    return [base + interval for interval in sorted(chord.intervals)]


def _block(name: str, ticks: int) -> Note:
    """Return a whole measure's chord, low, spelled with sharps."""
    letters = {semitone: letter for letter, semitone in SEMITONES.items()}
    made = []
    for midi in pitches(name, _BLOCK_FROM):
        letter = letters.get(midi % 12) or letters[midi % 12 - 1]
        octave = midi // 12 - 1
        made.append(Pitch(letter, octave, midi % 12 - SEMITONES[letter], midi))
    return Note(tuple(made), ticks, ticks)
