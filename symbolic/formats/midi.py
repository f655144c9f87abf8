"""Standard MIDI files: a score or its sounds to a file, a file to sounds.

Written files are type 1, 10,080 ticks to a quarter note (TICKS_PER_WHOLE / 4, so every length is exact): a conductor
track with title, tempo, key and time signatures, then one track and one channel a voice. The same music gives the same
bytes. Repeats are unrolled, since MIDI has none. Tempo is in quarter notes a minute (`qpm`).

Files that are read may come from anywhere: size, notes, length and tempo are limited, and every fault is a UserError
that names the file. `mido` is pure Python, so a hostile file cannot do more than fail.
"""

import io
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import mido

from symbolic.errors import UserError
from symbolic.files import write_whole
from symbolic.formats.file_bytes import read_bytes
from symbolic.formats.smf import DRUM_CHANNEL, read_events, sequences, write_events
from symbolic.notation.performance import Sound, performance, signatures, unroll
from symbolic.notation.score import Direction, Event, Note, Rest, Score, TempoChange, Voice, bars
from symbolic.notation.theory import TICKS_PER_QUARTER, Key, Meter, NotationError

PITCHED_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
DEFAULT_VELOCITY = 90
DYNAMICS = {"pppp": 16, "ppp": 26, "pp": 38, "p": 52, "mp": 66, "mf": 80, "f": 96, "ff": 110, "fff": 120, "ffff": 127}
MIN_QPM, MAX_QPM = 5.0, 3000.0
DEFAULT_TEMPO = 500_000  # microseconds a quarter note: 120 qpm, of a MIDI file that names no tempo
MAX_NOTES = 200_000
MAX_SECONDS = 6 * 3600.0

# Quarter notes a minute where a tune names no tempo, at the speed the dance is played for listening; first match wins.
RHYTHM_QPM = {
    "slip jig": 165.0,
    "slipjig": 165.0,
    "slide": 180.0,
    "jig": 165.0,
    "reel": 180.0,
    "hornpipe": 150.0,
    "clog": 140.0,
    "fling": 140.0,
    "strathspey": 120.0,
    "polka": 130.0,
    "waltz": 140.0,
    "march": 110.0,
    "air": 80.0,
}
COMPOUND_QPM = 165.0  # 110 dotted quarters
HALVES_QPM = 180.0  # 90 halves in 2/2, 3/2
SIMPLE_QPM = 120.0
# A Q: field of words alone, the metronome's usual middle; first match wins, so longer words stand first.
WORD_QPM = {
    "prestissimo": 200.0,
    "presto": 180.0,
    "vivace": 160.0,
    "allegretto": 112.0,
    "allegro": 132.0,
    "moderato": 108.0,
    "andantino": 88.0,
    "andante": 84.0,
    "adagio": 66.0,
    "larghetto": 60.0,
    "largo": 50.0,
}
_MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")  # -7 to 7 sharps
_MINOR = ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m")


def write_midi(
    music: Score | Sequence[Sound],
    path: Path | str,
    *,
    tempo_qpm: float | None = None,
    program: int = 0,
    velocity: int = DEFAULT_VELOCITY,
    repeats: bool = True,
) -> None:
    """Write a score, or sounds, as a MIDI file, whole. See `build` for the options."""
    write_whole(path, to_bytes(build(music, tempo_qpm=tempo_qpm, program=program, velocity=velocity, repeats=repeats)))


def build(
    music: Score | Sequence[Sound],
    *,
    tempo_qpm: float | None = None,
    program: int = 0,
    velocity: int = DEFAULT_VELOCITY,
    repeats: bool = True,
) -> mido.MidiFile:
    """The MIDI file of a score or of sounds, in memory.

    `tempo_qpm` overrides the score's own tempo (`score_qpm`), to which its changes of tempo are in proportion; sounds
    alone are played at 120. `program` (General MIDI's, counted from 0) and `velocity` are those of voices that name
    none. UserError when there is no note to write.
    """
    score = music if isinstance(music, Score) else None
    sounds = performance(music, repeats=repeats) if isinstance(music, Score) else list(music)
    if not sounds:
        raise UserError("the tune has no notes, so there is nothing to play.")
    if tempo_qpm is None:
        tempo_qpm = score_qpm(score) if score else SIMPLE_QPM
    midi = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, charset="utf-8")
    midi.tracks.append(_conductor(score, tempo_qpm, repeats))
    voices: dict[int, list[Sound]] = defaultdict(list)
    for sound in _untangled(sounds):
        voices[sound.voice].append(sound)
    channels = _channels(score, max(voices))
    for index, own in sorted(voices.items()):
        voice = score.voices[index] if score is not None and index < len(score.voices) else Voice()
        chosen = voice.program if voice.program is not None else program
        loudness = _Loudness(voice, velocity, repeats)
        midi.tracks.append(_voice_track(voice, own, channels[index], chosen, loudness))
    return midi


def to_midi(score: Score, *, repeats: bool = True) -> bytes:
    """A MIDI file's bytes whose bars are the score's: a pick-up has a time signature of its own."""
    built = build(score, repeats=repeats)
    measures = bars(score.voices[0], score.meter)
    if len(measures) > 1 and 0 < measures[0].ticks < score.meter.ticks:
        _mark_pickup(built, measures[0].ticks)
    return to_bytes(built)


def _mark_pickup(built: mido.MidiFile, ticks: int) -> None:
    """Give the first bar the meter of its length, and the tune's meter where that bar ends."""
    track = built.tracks[0]
    place = next(i for i, message in enumerate(track) if message.type == "time_signature")
    whole = track[place]
    for denominator in (4, 8, 16, 32):
        beats, rest = divmod(ticks * denominator, 4 * TICKS_PER_QUARTER)
        if not rest:
            following = track[place + 1]
            if following.time and following.time < ticks and following.type != "end_of_track":
                return  # a change inside the pick-up: leave the file as it is
            short = mido.MetaMessage("time_signature", numerator=beats, denominator=denominator, time=whole.time)
            track[place : place + 1] = [short, whole.copy(time=ticks)]
            if following.type != "end_of_track":
                track[place + 2] = following.copy(time=max(0, following.time - ticks))
            return


def to_bytes(midi: mido.MidiFile) -> bytes:
    """The file's bytes, as they would stand on the disk."""
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def score_qpm(score: Score) -> float:
    """Quarter notes a minute: the first readable Q: field, else by rhythm (R:), else by metre.

    Read are `1/4=120`, `3/8=120`, `1/4 3/8=40` (the sum), `"Allegro" 1/4=96`, `"Allegro"`, and `120` alone as
    quarter notes (the reader of ABC has made unit notes of it a note value).
    Raises NotationError `bad_tempo` when the number is absurd.
    """
    stated = stated_qpm(score)
    if stated is not None:
        return stated
    rhythm = " ".join(score.fields.get("R", [])).lower()
    for name, qpm in RHYTHM_QPM.items():
        if name in rhythm:
            return qpm
    return _meter_qpm(score.meter)


def stated_qpm(score: Score) -> float | None:
    """Quarter notes a minute of the first readable Q: field; None where there is none. Raises as `score_qpm`."""
    for text in score.fields.get("Q", []):
        qpm = quarters_a_minute(text)
        if qpm is not None:
            if not MIN_QPM <= qpm <= MAX_QPM:
                raise NotationError("bad_tempo", f"Q:{text.strip()} is no playable tempo; write for example Q:1/4=120.")
            return qpm
    return None


def read_notes(path: Path | str) -> list[Sound]:
    """The pitched notes of a MIDI file by onset, at TICKS_PER_WHOLE; a voice is a channel of a track, numbered from 0.

    Percussion (channel 10) is left out, a note that is never released ends with its track, and tempo is not kept.
    """
    midi = read_midi(path)
    voices: dict[tuple[int, int], int] = {}
    sounds = []
    for track_index, track in enumerate(midi.tracks):
        for channel, pitch, start, end in _track_notes(track):
            if channel != DRUM_CHANNEL:
                voice = voices.setdefault((track_index, channel), len(voices))
                onset, stop = (round(Fraction(t * TICKS_PER_QUARTER, midi.ticks_per_beat)) for t in (start, end))
                sounds.append(Sound(voice, onset, stop - onset, pitch))
    return sorted(sounds, key=lambda s: (s.onset_ticks, s.voice, s.midi))


def read_midi(path: Path | str) -> mido.MidiFile:
    """A MIDI file within this module's limits, put in order by `symbolic.formats.smf` as every reader here does.

    UserError names the file and the fault.
    """
    data = read_bytes(path, "midi")
    try:
        n_pieces, events = len(sequences(data)), read_events(data)
        midi = mido.MidiFile(file=io.BytesIO(write_events(events)), clip=True)
    except NotationError as error:
        raise UserError(f"{path} is not a readable MIDI file: {error} Export it again.") from error
    except Exception as error:  # mido lets whatever its parser meets through: EOFError, KeyError, ValueError, ...
        raise UserError(f"{path} is not a readable MIDI file: it is damaged. Export it again.") from error
    if n_pieces > 1:
        raise UserError(
            f"{path} is type 2 MIDI of {n_pieces} sequences, each a piece of its own; write them to files with "
            f"symbolic convert {path} -o PIECE.mid."
        )
    fault = _fault(midi)
    if fault:
        raise UserError(f"{path}: {fault}")
    return midi


def seconds(midi: mido.MidiFile) -> float:
    """From the start to the last event, by the file's own tempo changes."""
    tempo, last, total = DEFAULT_TEMPO, 0, 0.0
    for tick, new_tempo in [*_tempo_changes(midi), (last_tick(midi), 0)]:
        total += (tick - last) / midi.ticks_per_beat * tempo / 1e6
        tempo, last = new_tempo, tick
    return total


def last_tick(midi: mido.MidiFile) -> int:
    """The tick at which the longest track ends."""
    return max((sum(message.time for message in track) for track in midi.tracks), default=0)


def first_tempo(midi: mido.MidiFile) -> int:
    """Microseconds a quarter note at the start."""
    return [change for change in [(0, DEFAULT_TEMPO), *_tempo_changes(midi)] if change[0] == 0][-1][1]


def last_tempo(midi: mido.MidiFile) -> int:
    """Microseconds a quarter note at the end."""
    return [(0, DEFAULT_TEMPO), *_tempo_changes(midi)][-1][1]


def microseconds(qpm: float) -> int:
    """MIDI's tempo, microseconds a quarter note. UserError outside MIN_QPM to MAX_QPM."""
    if not MIN_QPM <= qpm <= MAX_QPM:
        raise UserError(f"a tempo of {qpm:g} quarter notes a minute cannot be played; use {MIN_QPM:g} to {MAX_QPM:g}.")
    return round(60e6 / qpm)


def _conductor(score: Score | None, qpm: float, repeats: bool) -> mido.MidiTrack:
    track = mido.MidiTrack()
    if score is not None and score.title:
        track.append(mido.MetaMessage("track_name", name=score.title))
    track.append(mido.MetaMessage("set_tempo", tempo=microseconds(qpm)))
    if score is not None:
        own = score_qpm(score)
        changes = [
            (tick, mido.MetaMessage("set_tempo", tempo=microseconds(new * qpm / own)))
            for tick, new in tempo_changes(score, repeats=repeats)
        ]
        last = 0
        for tick, message in sorted([*_signatures(score, repeats), *changes], key=lambda change: change[0]):
            track.append(message.copy(time=tick - last))
            last = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track


def tempo_changes(score: Score, *, repeats: bool = True) -> list[tuple[int, float]]:
    """(tick, quarter notes a minute) of the changes of tempo inside a tune as it is played, of the first voice that
    has any; a text that names no tempo is passed over."""
    for voice in score.voices:
        found = []
        for tick, event in _timed_events(voice, repeats):
            if isinstance(event, TempoChange) and (qpm := quarters_a_minute(event.text)) and MIN_QPM <= qpm <= MAX_QPM:
                found.append((tick, qpm))
        if found:
            return found
    return []


def _timed_events(voice: Voice, repeats: bool) -> Iterator[tuple[int, Event]]:
    """(tick, event) in the order of playing."""
    tick = 0
    for event in unroll(voice) if repeats else voice.events:
        yield tick, event
        tick += event.ticks if isinstance(event, (Note, Rest)) else 0


class _Loudness:
    """The velocity at each tick of a voice: of its last dynamic mark, from !pppp! to !ffff!, else a given one."""

    def __init__(self, voice: Voice, velocity: int, repeats: bool) -> None:
        self.ticks, self.velocities = [-1], [velocity]
        for tick, event in _timed_events(voice, repeats):
            names = re.findall(r"!(\w+)!", event.marks) if isinstance(event, Note) else []
            names += [event.name] if isinstance(event, Direction) else []
            for name in names:
                if name in DYNAMICS:
                    self.ticks.append(tick)
                    self.velocities.append(DYNAMICS[name])

    def at(self, tick: int) -> int:
        """The velocity of a note that begins there."""
        return self.velocities[bisect_right(self.ticks, tick) - 1]


def _channels(score: Score | None, last: int) -> list[int]:
    """The channel of each voice: percussion's own, one each while there are enough, else one for each program."""
    voices = score.voices if score is not None else []
    pitched = [index for index in range(last + 1) if not (index < len(voices) and voices[index].drums)]
    keys: dict[object, int] = {}
    found = [DRUM_CHANNEL] * (last + 1)
    for index in pitched:
        key = voices[index].program if len(pitched) > len(PITCHED_CHANNELS) and index < len(voices) else index
        found[index] = PITCHED_CHANNELS[keys.setdefault(key, len(keys)) % len(PITCHED_CHANNELS)]
    return found


def _signatures(score: Score, repeats: bool) -> Iterator[tuple[int, mido.MetaMessage]]:
    """(tick, message) of key and time signatures along the first voice, as played; free metre has none."""
    last_key, last_meter = None, None
    for tick, key, meter in signatures(score, repeats=repeats):
        if key != last_key:
            yield tick, _key_message(key)
        if meter != last_meter and not meter.is_free:
            yield tick, _meter_message(meter)
        last_key, last_meter = key, meter


def _key_message(key: Key) -> mido.MetaMessage:
    """MIDI knows major and minor only: a mode is written as the major key of its signature."""
    names = _MINOR if key.mode == "m" else _MAJOR
    return mido.MetaMessage("key_signature", key=names[key.sharps + 7])


def _meter_message(meter: Meter) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=meter.numerator, denominator=meter.denominator)


def _voice_track(voice: Voice, sounds: list[Sound], channel: int, program: int, loudness: _Loudness) -> mido.MidiTrack:
    track = mido.MidiTrack()
    if voice.title or voice.name:
        track.append(mido.MetaMessage("track_name", name=voice.title or voice.name))
    track.append(mido.Message("program_change", channel=channel, program=program))
    events = []
    for sound in sounds:
        events.append((sound.onset_ticks, 1, sound.midi))
        events.append((sound.onset_ticks + sound.ticks, 0, sound.midi))
    last = 0
    for tick, on, pitch in sorted(events):  # at one tick the offs come first, so a repeated note sounds again
        kind, force = ("note_on", loudness.at(tick)) if on else ("note_off", 0)
        track.append(mido.Message(kind, channel=channel, note=pitch, velocity=force, time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track


def _untangled(sounds: list[Sound]) -> list[Sound]:
    """No pitch sounds twice at once in a track, where one release would end both: the later note cuts the earlier."""
    _check_range(sounds)
    chosen: dict[tuple[int, int], list[Sound]] = defaultdict(list)
    for sound in sorted(sounds, key=lambda s: (s.onset_ticks, -s.ticks, s.voice)):
        own = chosen[sound.voice, sound.midi]
        if own and own[-1].onset_ticks == sound.onset_ticks:
            continue
        if own and own[-1].onset_ticks + own[-1].ticks > sound.onset_ticks:
            last = own[-1]
            own[-1] = Sound(last.voice, last.onset_ticks, sound.onset_ticks - last.onset_ticks, last.midi)
        own.append(sound)
    return sorted((s for own in chosen.values() for s in own), key=lambda s: (s.onset_ticks, s.voice, s.midi))


def _check_range(sounds: list[Sound]) -> None:
    for sound in sounds:
        if not 0 <= sound.midi <= 127:
            raise UserError(f"MIDI pitch {sound.midi} lies outside 0 to 127; transpose the tune.")
        if sound.onset_ticks < 0 or sound.ticks <= 0:
            raise UserError(
                f"a sound at tick {sound.onset_ticks} lasts {sound.ticks} ticks; MIDI needs time that passes."
            )


def quarters_a_minute(text: str) -> float | None:
    """Quarter notes a minute of the value of a Q: field; None where it says nothing of it."""
    words = " ".join(re.findall(r'"([^"]*)"', text)) or text
    bare = re.sub(r'"[^"]*"', " ", text).strip()
    match = re.fullmatch(r"((?:\d{1,4}/\d{1,4}\s*)+)=\s*(\d{1,12}(?:\.\d{1,6})?)", bare)
    if match:
        beats = [part.split("/") for part in match[1].split()]
        if all(int(denominator) for _, denominator in beats):
            return 4 * float(sum(Fraction(int(n), int(d)) for n, d in beats)) * float(match[2])
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", bare):
        return float(bare)
    return next((qpm for word, qpm in WORD_QPM.items() if word in words.lower()), None)


def _meter_qpm(meter: Meter) -> float:
    if meter.is_compound:
        return COMPOUND_QPM
    return HALVES_QPM if meter.denominator == 2 else SIMPLE_QPM


def _fault(midi: mido.MidiFile) -> str:
    """Why a file that was parsed should not be used; '' when it may be."""
    slowest, fastest = 60e6 / MIN_QPM, 60e6 / MAX_QPM
    for tick, tempo in _tempo_changes(midi):
        if not fastest <= tempo <= slowest:
            playable = f"{fastest:g} to {slowest:g} can be played."
            return f"the tempo at tick {tick} is {tempo} microseconds a quarter note; {playable}"
    n_notes = sum(message.type == "note_on" for track in midi.tracks for message in track)
    if n_notes > MAX_NOTES:
        return f"it has {n_notes:,} notes; at most {MAX_NOTES:,} are read."
    length = seconds(midi)
    if length > MAX_SECONDS:
        return f"it lasts {length / 3600:,.1f} hours; at most {MAX_SECONDS / 3600:g} are read."
    return ""


def _tempo_changes(midi: mido.MidiFile) -> list[tuple[int, int]]:
    """(tick, microseconds a quarter note) in order; the last of several at one tick holds."""
    changes = []
    for track in midi.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                changes.append((tick, message.tempo))
    return sorted(changes, key=lambda change: change[0])


def _track_notes(track: mido.MidiTrack) -> Iterator[tuple[int, int, int, int]]:
    """(channel, pitch, start, end) in the file's ticks; a release ends the oldest open note of its pitch."""
    tick = 0
    open_notes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        starts = open_notes[message.channel, message.note]
        if message.type == "note_on" and message.velocity:
            starts.append(tick)
        elif starts:
            yield from _note(message.channel, message.note, starts.pop(0), tick)
    for (channel, pitch), starts in open_notes.items():
        for start in starts:
            yield from _note(channel, pitch, start, tick)


def _note(channel: int, pitch: int, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    if end > start:
        yield channel, pitch, start, end
