"""The backing of a song: chords from `symbolic.notation.harmony`, played as broken chords with a bass, under the
melody.

Chord symbols of the tune are kept where it has them. The pattern is one chord tone an eighth and a bass note on each
strong beat; voice 0 is the melody, 1 the chords, 2 the bass, each with an instrument of the genre.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from audio_bridge.lyrics.setting.sung_melody import strength
from audio_bridge.lyrics.setting.word_setting import Setting
from audio_bridge.lyrics.writing.song_forms import genre_key
from symbolic.notation.abc_parser import canonical, parse
from symbolic.notation.performance import Sound, performance
from symbolic.notation.score import Bar, ChordSymbol, Event, Note, Rest, Score, Voice
from symbolic.notation.theory import SEMITONES, UNIT_TICKS, Pitch

if TYPE_CHECKING:
    import mido

# General MIDI programs of melody, chords and bass, counted from 0: flute, nylon guitar, acoustic bass; clarinet,
# electric piano, fingered bass; trumpet, clean electric guitar, picked bass; vibraphone, electric piano 2, synth bass.
PROGRAMS = {"folk": (73, 24, 32), "pop": (71, 4, 33), "rock": (56, 27, 34), "rap": (11, 5, 38)}
VELOCITIES = (96, 54, 70)
_CHORDS_FROM, _BASS_FROM, _BLOCK_FROM = 52, 36, 48  # lowest roots, MIDI pitches
_INTERVALS = {"": (4, 7), "m": (3, 7), "7": (4, 7, 10), "m7": (3, 7, 10), "dim": (3, 6)}
_BROKEN = (0, 2, 1, 2)


def with_chords(setting: Setting) -> Setting:
    """The setting with chord symbols; its own where it has any."""
    from symbolic.notation.harmony import harmonised

    if any(isinstance(e, ChordSymbol) for e in setting.score.voices[0].events):
        return setting
    score = parse(harmonised(setting.text))
    score.fields = setting.score.fields
    return replace(setting, score=score)


def chord_spans(score: Score) -> list[tuple[int, int, str]]:
    """(onset, ticks, chord) for each measure that has a chord; a chord holds until the next symbol."""
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


def backing(score: Score, qpm: float, genre: str, *, melody: bool = True) -> "mido.MidiFile":
    """Chords, bass and (if wanted) the melody as MIDI, each on its own instrument."""
    from symbolic.formats import midi

    key = genre_key(genre)
    tune = [s for s in performance(score, repeats=False) if s.voice == 0] if melody else []
    sounds = tune + [sound for span in chord_spans(score) for sound in _span_sounds(span, score)]
    built = midi.build(sounds, tempo_qpm=qpm)
    for voice, track in zip(sorted({s.voice for s in sounds}), built.tracks[1:]):
        for message in track:
            if message.type == "program_change":
                message.program = PROGRAMS[key][voice]
            elif message.type == "note_on" and message.velocity:
                message.velocity = VELOCITIES[voice]
    return built


def two_voices(setting: Setting) -> str:
    """Canonical ABC with the voices `Vocal` (the melody) and `Ins` (the chords, one a measure)."""
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
    """MIDI pitches of a chord in close position, its root at or above `lowest`; a quality not known is a triad."""
    accidental = {"#": 1, "b": -1}.get(name[1:2], 0)
    root = (SEMITONES[name[0]] + accidental) % 12
    quality = name[1 + abs(accidental) :].partition("/")[0]
    intervals = _INTERVALS.get(quality, (3, 7) if quality.startswith("m") and quality[:3] != "maj" else (4, 7))
    base = lowest + (root - lowest) % 12
    return [base, *(base + interval for interval in intervals)]


def _block(name: str, ticks: int) -> Note:
    """A whole measure's chord, low, spelled with sharps."""
    letters = {semitone: letter for letter, semitone in SEMITONES.items()}
    made = []
    for midi in pitches(name, _BLOCK_FROM):
        letter = letters.get(midi % 12) or letters[midi % 12 - 1]
        octave = midi // 12 - 1
        made.append(Pitch(letter, octave, midi % 12 - SEMITONES[letter], midi))
    return Note(tuple(made), ticks, ticks)


def _span_sounds(span: tuple[int, int, str], score: Score) -> list[Sound]:
    """One measure: broken chord and bass. A short first measure is a pick-up and ends where the first full one
    begins."""
    onset, length, name = span
    tones, low = pitches(name, _CHORDS_FROM), pitches(name, _BASS_FROM)
    offset = score.meter.ticks - length if onset == 0 and length < score.meter.ticks else 0
    sounds = []
    for k, tick in enumerate(range(0, length, UNIT_TICKS)):
        sounds.append(Sound(1, onset + tick, min(UNIT_TICKS, length - tick), tones[_BROKEN[k % 4]]))
        level = strength(tick + offset, score.meter)
        if level >= 2:
            sounds.append(Sound(2, onset + tick, min(length - tick, 3 * UNIT_TICKS), low[0 if level == 3 else 2]))
    return sounds
