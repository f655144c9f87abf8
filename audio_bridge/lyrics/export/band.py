"""The band of a song: a genre's chords, bass and drums under the melody, as MIDI.

Patterns are the genre's (`genre_styles`), a bar of equal steps each; where a chord changes inside a held note it is
struck again. Chords are voiced close to the one before. A pick-up is unaccompanied; the last full bar is held.
Channels: 1 the melody, 2 chords, 3 bass, 10 drums. Times are ticks of the score, which are those of the MIDI file.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from audio_bridge.lyrics.genre_styles import DRUMS, GenreStyle, InstrumentPart, steps_of
from audio_bridge.lyrics.setting.word_setting import Setting, labelled_notes
from symbolic.notation.chord_symbols import ChordName, parse_chord
from symbolic.notation.score import Bar, ChordSymbol, MeterChange, Note, Rest
from symbolic.notation.theory import Meter, parse_meter

if TYPE_CHECKING:
    import mido

CHORD_CHANNEL, BASS_CHANNEL = 1, 2
_CHORD_CENTRE, _LOWEST_CHORD, _LOWEST_BASS = 60, 52, 31  # MIDI pitches
_ACCENT, _SOFT = 16, -26  # velocities beside an instrument's own
_DRUM_VELOCITY = {"X": 108, "x": 88, "o": 58}


@dataclass(frozen=True)
class BandBar:
    """A bar to accompany: its place and length in ticks, chords by their place in it, and `verse` or `chorus`."""

    start: int
    ticks: int
    meter: Meter
    chords: tuple[tuple[int, ChordName], ...]
    role: str = "verse"

    def chord_at(self, tick: int) -> ChordName | None:
        """Return the chord that sounds so many ticks after the bar line."""
        return next((chord for at, chord in reversed(self.chords) if at <= tick), None)


@dataclass(frozen=True)
class BandNote:
    """A note of the band, in ticks."""

    onset: int
    ticks: int
    midi: int
    velocity: int


def arrangement(setting: Setting, qpm: float, style: GenreStyle, *, melody: bool = True) -> "mido.MidiFile":
    """Return the song with its band; the score has chord symbols. Without `melody` its track stays empty."""
    import mido

    from audio_bridge.render.instruments import program
    from symbolic.formats import midi

    own = style.melody
    built = midi.build(
        setting.score, tempo_qpm=qpm, program=program(own.instrument), velocity=own.velocity, repeats=False
    )
    built.tracks[1] = mido.MidiTrack(m for m in built.tracks[1] if m.type != "track_name")
    built.tracks[1].insert(0, mido.MetaMessage("track_name", name="Melody"))
    if not melody:
        built.tracks[1] = mido.MidiTrack(m for m in built.tracks[1] if m.type not in ("note_on", "note_off"))
    bars = band_bars(setting)
    parts = (
        ("Chords", CHORD_CHANNEL, program(style.chords.instrument), chord_notes(bars, style)),
        ("Bass", BASS_CHANNEL, program(style.bass.instrument), bass_notes(bars, style)),
        ("Drums", midi.DRUM_CHANNEL, None, drum_notes(bars, style)),
    )
    built.tracks += [_track(name, channel, number, notes) for name, channel, number, notes in parts if notes]
    return built


def band_bars(setting: Setting) -> list[BandBar]:
    """Return the bars of a setting with their chords; a short first bar is left out."""
    found: list[BandBar] = []
    tick = start = 0
    meter, current = setting.score.meter, None
    chords: list[tuple[int, ChordName]] = []
    for event in [*setting.score.voices[0].events, Bar("|]")]:
        if isinstance(event, ChordSymbol):
            named = parse_chord(event.text)
            current = named or current
            if named:
                chords = [one for one in chords if one[0] < tick - start] + [(tick - start, named)]
        elif isinstance(event, MeterChange):
            meter = event.meter
        elif isinstance(event, (Note, Rest)):
            tick += event.ticks
        elif isinstance(event, Bar) and tick > start:
            if found or tick - start >= meter.ticks:
                found.append(BandBar(start, tick - start, meter, tuple(chords)))
            start, chords = tick, [(0, current)] if current else []
    return _with_roles(found, section_starts(setting))


def section_starts(setting: Setting) -> list[tuple[int, str]]:
    """Return (tick, kind) at which each section of the lyrics begins to be sung."""
    onsets: dict[int, int] = {}
    for label, _, onset, _ in labelled_notes(setting):
        if label is not None:
            onsets.setdefault(label.syllable.line, onset)
    found, line = [], 0
    for section in setting.lyrics.sections:
        if section.lines and line in onsets:
            found.append((onsets[line], section.kind))
        line += len(section.lines)
    return found


def chord_notes(bars: Sequence[BandBar], style: GenreStyle) -> list[BandNote]:
    """Return the chords in the genre's pattern."""
    notes: list[BandNote] = []
    voicing: tuple[int, ...] = ()
    for bar in bars:
        last = bar is bars[-1] and bar.ticks >= bar.meter.ticks
        for onset, ticks, sign, chord in _struck(bar, style.chords, style, held=last):
            voicing = voiced(chord, voicing)
            tones = voicing if sign in "xX" else (voicing[(int(sign) - 1) % len(voicing)],)
            tones = tuple(p + 12 * (sign.isdigit() and int(sign) > len(voicing)) for p in tones)
            velocity = style.chords.velocity + (_ACCENT if sign == "X" else 0)
            notes += [BandNote(onset, ticks, midi, min(127, velocity)) for midi in tones]
    return notes


def bass_notes(bars: Sequence[BandBar], style: GenreStyle) -> list[BandNote]:
    """Return the bass in the genre's pattern."""
    notes: list[BandNote] = []
    following = [*bars[1:], None]
    for bar, after in zip(bars, following):
        last = after is None and bar.ticks >= bar.meter.ticks
        for onset, ticks, sign, chord in _struck(bar, style.bass, style, held=last):
            root = _LOWEST_BASS + (chord.bass - _LOWEST_BASS) % 12
            if sign == "a":
                to = after.chord_at(0) if after else None
                midi = _LOWEST_BASS + ((to or chord).bass - _LOWEST_BASS) % 12 - 1
            else:
                midi = root + _bass_interval(sign, chord)
            notes.append(BandNote(onset, ticks, midi, style.bass.velocity))
    return notes


def drum_notes(bars: Sequence[BandBar], style: GenreStyle) -> list[BandNote]:
    """Return the drums of verse and chorus; the last bar is one stroke."""
    notes: list[BandNote] = []
    for bar in bars:
        last = bar is bars[-1] and bar.ticks >= bar.meter.ticks
        for name, pattern in style.drums[bar.role].items():
            for tick, step, sign in steps_of(pattern, parse_meter(style.meter), bar.meter):
                if sign in _DRUM_VELOCITY and tick < bar.ticks and not (last and tick):
                    notes.append(BandNote(bar.start + tick, step, DRUMS[name], _DRUM_VELOCITY[sign]))
    return notes


def voiced(chord: ChordName, before: Sequence[int] = ()) -> tuple[int, ...]:
    """Close position of a chord's tones (four at most) whose tones are nearest those of the chord before."""
    classes = sorted(set(chord.classes), key=chord.classes.index)
    if len(classes) > 4:
        classes = [c for c in classes if (c - chord.root) % 12 != 7][:4]
    centre = sum(before) / len(before) if before else _CHORD_CENTRE
    choices = []
    for i in range(len(classes)):
        low = _LOWEST_CHORD + (classes[i] - _LOWEST_CHORD) % 12
        choices.append(tuple(sorted(low + (c - classes[i]) % 12 for c in classes)))

    def distance(tones: tuple[int, ...]) -> float:
        mean = sum(tones) / len(tones)
        return abs(mean - centre) + 0.5 * abs(mean - _CHORD_CENTRE)

    return min(choices, key=distance)


def _struck(
    bar: BandBar, part: InstrumentPart, style: GenreStyle, *, held: bool
) -> Iterator[tuple[int, int, str, ChordName]]:
    """Yield (onset, ticks, sign, chord) of each note of a pattern in a bar; one for the whole bar where it is
    `held`."""
    if held and (chord := bar.chord_at(0)) is not None:
        yield bar.start, bar.ticks, "x" if part is style.chords else "1", chord
        return
    sounding: tuple[int, str, ChordName] | None = None
    for tick, _, sign in steps_of(part.pattern, parse_meter(style.meter), bar.meter):
        if tick >= bar.ticks:
            break
        chord = bar.chord_at(tick)
        if sign == "-" and (sounding is None or sounding[2] == chord):
            continue
        if sounding is not None:
            yield bar.start + sounding[0], tick - sounding[0], sounding[1], sounding[2]
        sign = ("x" if part is style.chords else "1") if sign == "-" else sign
        sounding = (tick, sign, chord) if sign != "." and chord is not None else None
    if sounding is not None:
        yield bar.start + sounding[0], bar.ticks - sounding[0], sounding[1], sounding[2]


def _bass_interval(sign: str, chord: ChordName) -> int:
    wanted = {"3": (3, 4), "5": (6, 7, 8), "8": (0,)}.get(sign, (0,))
    interval = next((i for i in wanted if i in chord.intervals), 7 if sign == "5" else 0)
    return interval + (12 if sign == "8" else 0)


def _with_roles(bars: list[BandBar], starts: Sequence[tuple[int, str]]) -> list[BandBar]:
    """Return bars with the role of the section that they are in: a section that begins within a beat of a bar line
    begins with that bar."""
    out = []
    for bar in bars:
        kinds = [
            kind for tick, kind in starts if tick - bar.start < bar.ticks - bar.meter.beat_ticks or tick <= bar.start
        ]
        out.append(replace(bar, role="chorus" if kinds and kinds[-1] == "chorus" else "verse"))
    return out


def _track(name: str, channel: int, number: int | None, notes: Sequence[BandNote]) -> "mido.MidiTrack":
    """Return a MIDI track; a pitch that is struck again while it sounds ends first."""
    import mido

    by_pitch: dict[int, list[BandNote]] = {}
    for note in sorted(notes, key=lambda n: n.onset):
        by_pitch.setdefault(note.midi, []).append(note)
    events: list[tuple[int, int, mido.Message]] = []
    for own in by_pitch.values():
        following = [*(note.onset for note in own[1:]), math.inf]
        for note, limit in zip(own, following):
            end = int(min(note.onset + note.ticks, limit))
            if end > note.onset:
                on = mido.Message("note_on", channel=channel, note=note.midi, velocity=note.velocity)
                off = mido.Message("note_off", channel=channel, note=note.midi, velocity=0)
                events += [(note.onset, 1, on), (end, 0, off)]
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    if number is not None:
        track.append(mido.Message("program_change", channel=channel, program=number))
    last = 0
    for tick, _, message in sorted(events, key=lambda e: (e[0], e[1], e[2].note)):
        track.append(message.copy(skip_checks=True, time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track
