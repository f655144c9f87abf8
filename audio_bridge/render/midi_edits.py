"""Edits of a MIDI file before it is played: instrument, tempo, transposition; volume and a tail for the synthesiser.

Every function returns a new file and leaves its argument alone. Percussion (channel 10) keeps its kit and its notes.
System-exclusive messages are dropped: they address devices, and a reset among them would undo the volume.
"""

from collections.abc import Iterable, Mapping, Sequence

import mido

from symbolic.errors import UserError
from symbolic.formats.midi import DRUM_CHANNEL, PITCHED_CHANNELS, last_tempo, last_tick, microseconds, to_bytes

VOLUME_CONTROL = 7
DEFAULT_VOLUME = 100  # General MIDI's, of a channel that says nothing


def arranged(
    source: mido.MidiFile, *, program: int | None = None, tempo_qpm: float | None = None, transpose: int = 0
) -> mido.MidiFile:
    """One instrument for all pitched channels, one tempo, pitched notes moved by semitones; None keeps the file's own.

    UserError when the file has no notes, or when one would leave MIDI's range.
    """
    if not any(message.type == "note_on" and message.velocity for track in source.tracks for message in track):
        raise UserError("the music has no notes, so there is nothing to play.")
    head, dropped = [], {"sysex"}
    if tempo_qpm is not None:
        dropped.add("set_tempo")
        head.append(mido.MetaMessage("set_tempo", tempo=microseconds(tempo_qpm)))
    if program is not None:
        dropped.add("program_change")
        head += [mido.Message("program_change", channel=channel, program=program) for channel in PITCHED_CHANNELS]
    tracks = ([_moved(message, transpose) for message in _kept(track, dropped)] for track in source.tracks)
    return _file(source, head, tracks)


def played_by(source: mido.MidiFile, programs: Sequence[int]) -> mido.MidiFile:
    """The pitched channels, in the order in which they first have notes, each with its instrument of `programs`.

    The last instrument plays the channels that are left; instruments that are left double the first channel.
    UserError where the file has no free channel for them, or no notes.
    """
    if len(programs) == 1:
        return arranged(source, program=programs[0])
    voices = list(dict.fromkeys(
        m.channel for track in source.tracks for m in track if m.type == "note_on" and m.channel != DRUM_CHANNEL
    ))  # fmt: skip
    used = {getattr(m, "channel", None) for track in source.tracks for m in track}
    free = [channel for channel in PITCHED_CHANNELS if channel not in used]
    n_doubled = max(0, len(programs) - len(voices))
    if not voices or n_doubled > len(free):
        raise UserError(f"{len(programs)} instruments need more channels than the music has free; name fewer.")
    chosen = {channel: programs[min(i, len(programs) - 1)] for i, channel in enumerate(voices)}
    doubles = dict(zip(free, programs[len(voices) :]))
    tracks = [_kept(track, {"sysex", "program_change"}) for track in source.tracks]
    tracks += [_copied(source, voices[0], channel) for channel in doubles]
    head = [mido.Message("program_change", channel=c, program=p) for c, p in (chosen | doubles).items()]
    return _file(source, head, tracks)


def _copied(source: mido.MidiFile, channel: int, to: int) -> list[mido.Message]:
    """Everything of one channel, on another."""
    found: list[tuple[int, mido.Message]] = []
    for track in source.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type != "program_change" and getattr(message, "channel", None) == channel:
                found.append((tick, message.copy(channel=to)))
    found.sort(key=lambda pair: pair[0])
    starts = [0, *(tick for tick, _ in found)]
    return [message.copy(time=tick - before) for (tick, message), before in zip(found, starts)]


def tuned(
    source: mido.MidiFile, replaced: Mapping[int, int], cents: Mapping[int, Sequence[tuple[int, float]]]
) -> mido.MidiFile:
    """Programs in place of others, and notes of instruments that are off bent to their pitch.

    `cents` says of a program by how much it is off, from each MIDI note on. A channel with pitch bends of its own is
    left as it is; a note that begins while another of its channel sounds keeps that one's bend.
    """
    bent = {m.channel for track in source.tracks for m in track if m.type == "pitchwheel"}
    programs: dict[int, int] = {}
    tracks = []
    for track in source.tracks:
        out, sounding, bend = [], dict[int, set[int]](), dict[int, int]()
        for message in track:
            if message.type == "program_change":
                programs[message.channel] = message.program
                message = message.copy(program=replaced.get(message.program, message.program))
            elif message.type in ("note_on", "note_off") and message.channel != DRUM_CHANNEL:
                own = sounding.setdefault(message.channel, set())
                if message.type == "note_on" and message.velocity:
                    wanted = _bend(cents.get(programs.get(message.channel, 0), ()), message.note)
                    if not own and message.channel not in bent and bend.get(message.channel, 0) != wanted:
                        out.append(mido.Message("pitchwheel", channel=message.channel, pitch=wanted, time=message.time))
                        message = message.copy(time=0)
                        bend[message.channel] = wanted
                    own.add(message.note)
                else:
                    own.discard(message.note)
            out.append(message)
        tracks.append(out)
    return _file(source, [], tracks)


def _bend(zones: Sequence[tuple[int, float]], note: int) -> int:
    """The pitch bend, of 8,192 for two semitones, that takes back what a note is off."""
    off = next((cents for lowest, cents in reversed(zones) if note >= lowest), 0.0)
    return round(-off / 200 * 8192)


def for_synthesis(source: mido.MidiFile, *, volume: float, tail_seconds: float) -> bytes:
    """The file's bytes with each channel's volume control multiplied by `volume` (at most 1), and time after the last
    event in which the sound can die away."""
    head = [
        mido.Message("control_change", channel=c, control=VOLUME_CONTROL, value=_scaled(DEFAULT_VOLUME, volume))
        for c in range(16)
    ]
    tracks = [[_quieter(message, volume) for message in track] for track in source.tracks]
    tail = round(tail_seconds * 1e6 / last_tempo(source) * source.ticks_per_beat)
    tracks.append([mido.MetaMessage("end_of_track", time=last_tick(source) + tail)])
    return to_bytes(_file(source, head, tracks))


def _file(like: mido.MidiFile, head: list[mido.Message], tracks: Iterable[list[mido.Message]]) -> mido.MidiFile:
    """A type 1 file whose first track holds `head` at tick 0."""
    copy = mido.MidiFile(type=1, ticks_per_beat=like.ticks_per_beat, charset=like.charset)
    copy.tracks.append(mido.MidiTrack(head))
    copy.tracks += [mido.MidiTrack(track) for track in tracks]
    return copy


def _kept(track: mido.MidiTrack, dropped: set[str]) -> list[mido.Message]:
    """The other messages; the time of a dropped one is carried to the next."""
    kept, waiting = [], 0
    for message in track:
        waiting += message.time
        if message.type not in dropped:
            kept.append(message if waiting == message.time else message.copy(time=waiting))
            waiting = 0
    return kept


def _moved(message: mido.Message, transpose: int) -> mido.Message:
    if not transpose or message.type not in ("note_on", "note_off", "polytouch") or message.channel == DRUM_CHANNEL:
        return message
    if not 0 <= message.note + transpose <= 127:
        raise UserError(f"a transposition by {transpose} moves MIDI pitch {message.note} outside 0 to 127.")
    return message.copy(note=message.note + transpose)


def _quieter(message: mido.Message, volume: float) -> mido.Message:
    if message.type == "control_change" and message.control == VOLUME_CONTROL:
        return message.copy(value=_scaled(message.value, volume))
    return message


def _scaled(value: int, volume: float) -> int:
    return round(value * volume)
