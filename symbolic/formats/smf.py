"""Standard MIDI files as bytes: events read from what people's programs wrote, and written again.

`read_events` forgives what the field's readers forgive and counts each kind in `losses`: a RIFF or MacBinary wrapper,
longer headers, unknown chunks, fewer tracks than the header says, tracks whose length is wrong or that lack their end,
running status over meta events, data bytes over 127 (clipped). A track that cannot be read on is read up to there.
Time in SMPTE frames becomes quarter notes of half a second. A type 2 file holds sequences of one track each, which are
pieces of their own: one is read at a time.
`read_song` gives the notes of each track and channel with programs, tempos, meters, keys and title. Times are ticks of
the file. Specification: midi.org, "Standard MIDI Files 1.0". Pure Python.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from symbolic import files
from symbolic.notation.theory import NotationError

DRUM_CHANNEL = 9  # General MIDI's percussion, counted from 0
MAX_EVENTS = 2_000_000
MAX_NOTES = 200_000
MAX_TITLE = 200  # characters
DEFAULT_TEMPO = 500_000  # microseconds a quarter note: 120 a minute, of a file that names no tempo
_WRAPPER = 1024  # bytes before MThd that a wrapper may take
_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_META_BYTES = {0x51: 3, 0x54: 5, 0x58: 4, 0x59: 2}  # lengths that a meta event must have
_EXPRESSION = {  # kind of message -> what a score leaves out
    0xA0: "aftertouch messages",
    0xB0: "controller messages (pedal, volume and the like)",
    0xD0: "aftertouch messages",
    0xE0: "pitch bends",
}
_NOT_IN_SCORES = {  # type of a meta event or system exclusive message -> what a score leaves out
    0x01: "text events",
    0x02: "copyright notices",
    0x06: "markers",
    0x07: "cue points",
    0xF0: "system exclusive messages",
    0xF7: "system exclusive messages",
}
_NOTES_OFF = frozenset([120, *range(123, 128)])  # controllers that end the notes of their channel
_LINE_SIGNS = ("\\", "/")  # what begins a line of karaoke words
TEXT, NAME, LYRIC, TEMPO, METER, KEY, END = 0x01, 0x03, 0x05, 0x51, 0x58, 0x59, 0x2F


class RawEvent(NamedTuple):
    """A message at a tick: a channel message's bytes, or a meta event's type (`meta`) and content."""

    tick: int
    meta: int  # -1 for a channel message, 0xF0 for a system exclusive one
    data: bytes


class SongNote(NamedTuple):
    """A note in the file's ticks, with its velocity."""

    onset: int
    end: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class SongPart:
    """The notes of one track, channel and program, by onset and pitch."""

    name: str
    channel: int
    program: int
    notes: tuple[SongNote, ...]

    @property
    def is_drums(self) -> bool:
        """True for General MIDI's percussion channel."""
        return self.channel == DRUM_CHANNEL


@dataclass
class MidiSong:
    """The music of a MIDI file. Tempos are microseconds a quarter note, keys (sharps, is minor). `expression` counts
    what shapes the sound of the notes and is in none of them (pedals, bends, volume), and texts beside the music."""

    ticks_per_quarter: int
    parts: list[SongPart]
    tempos: list[tuple[int, int]]
    meters: list[tuple[int, tuple[int, int]]]
    keys: list[tuple[int, tuple[int, bool]]]
    title: str = ""
    lyrics: list[tuple[int, str]] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)
    expression: Counter[str] = field(default_factory=Counter)

    @property
    def n_notes(self) -> int:
        """Notes of all parts."""
        return sum(len(part.notes) for part in self.parts)

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return max((note.end for part in self.parts for note in part.notes), default=0)


@dataclass
class EventFile:
    """All events of a file, track by track."""

    ticks_per_quarter: int
    tracks: list[list[RawEvent]]
    losses: Counter[str]


def read_song(data: bytes) -> MidiSong:
    """The music in a MIDI file's bytes. Raises NotationError: those of `read_events`, no_notes, too_long."""
    file = read_events(data)
    song = MidiSong(file.ticks_per_quarter, [], [], [], [], losses=file.losses)
    programs = _first_programs(file.tracks)
    for track in file.tracks:
        song.parts += _parts(track, programs, song.losses)
        song.expression.update(_EXPRESSION[e.data[0] & 0xF0] for e in track if _is_expression(e))
        song.expression.update(_NOT_IN_SCORES[e.meta] for e in track if e.meta in _NOT_IN_SCORES and e.data.strip())
        _read_conductor(song, track)
    if not song.parts and file.losses:
        raise NotationError("bad_midi", "its events cannot be read, and it has no notes before the damage.")
    if not song.parts:
        raise NotationError("no_notes", "the piece has no notes.")
    if song.n_notes > MAX_NOTES:
        raise NotationError("too_long", f"it has {song.n_notes:,} notes; at most {MAX_NOTES:,} are read.")
    song.title = _title(file.tracks, [part.name for part in song.parts])
    if not song.lyrics:
        _read_karaoke(song, file.tracks)
    for changes in (song.tempos, song.meters, song.keys, song.lyrics):
        changes.sort(key=lambda change: change[0])
    return song


def sequences(data: bytes) -> list[bytes]:
    """The pieces in a MIDI file's bytes, each a file: the tracks of type 2, else the one. Raises NotationError
    not_midi."""
    data = _unwrapped(data)
    if data[8:10] != b"\0\2":
        return [data]
    header = data[:8] + b"\0\1" + data[10 : _header_end(data)]
    return [header + data[start - 8 : end] for start, end in _chunks(data, len(header), Counter())] or [data]


def read_events(data: bytes) -> EventFile:
    """All events of a MIDI file's bytes; of a type 2 file those of the first of its `sequences`.

    Raises NotationError: not_midi, bad_division, too_long, bad_midi.
    """
    data = sequences(data)[0]
    division = int.from_bytes(data[12:14], "big")
    rate = _frame_rate(division)
    losses: Counter[str] = Counter()
    tracks = [_Track(data, start, end, losses).events() for start, end in _chunks(data, _header_end(data), losses)]
    if sum(map(len, tracks)) > MAX_EVENTS:
        raise NotationError("too_long", f"it has more than {MAX_EVENTS:,} events.")
    if not any(tracks):
        raise NotationError("bad_midi", "it has no track with events that can be read.")
    file = EventFile(division, tracks, losses)
    return _in_quarters(file, rate, division & 0xFF) if rate else file


def write_events(file: EventFile) -> bytes:
    """A type 1 file of these events; what was damaged is in order again."""
    chunks = [struct.pack(">4sIHHH", b"MThd", 6, 1, len(file.tracks), file.ticks_per_quarter)]
    for track in file.tracks:
        body, last = bytearray(), 0
        for event in [
            *(e for e in track if e.meta != END),
            RawEvent(max((e.tick for e in track), default=0), END, b""),
        ]:
            body += _variable(event.tick - last)
            body += event.data if event.meta == -1 else _framed(event)
            last = event.tick
        chunks.append(struct.pack(">4sI", b"MTrk", len(body)) + bytes(body))
    return b"".join(chunks)


def decoded_name(data: bytes) -> str:
    """Text of a MIDI file: UTF-8, else Shift-JIS where that gives Japanese syllables, else Windows-1252."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        japanese = data.decode("cp932")
    except UnicodeDecodeError:
        return files.decode(data)
    is_japanese = any("\u3040" <= sign <= "\u30ff" for sign in japanese) or (
        len(japanese) > 1 and all("\u3000" <= sign <= "\u9fff" for sign in japanese)
    )
    return japanese if is_japanese else files.decode(data)


# --- SMPTE frames ----------------------------------------------------------------------------------------------------


def _frame_rate(division: int) -> int:
    """Frames a second of a header's division, 0 where that counts ticks of a quarter note. Raises NotationError."""
    rate = 256 - (division >> 8) if division & 0x8000 else 0
    if division == 0 or (rate and not division & 0xFF):
        raise NotationError("bad_division", "its header names no unit of time (ticks of a quarter note or of a frame).")
    return rate


def _in_quarters(file: EventFile, rate: int, ticks_per_frame: int) -> EventFile:
    """A file whose ticks are parts of SMPTE frames, in quarter notes of half a second; 29 stands for 29.97 frames."""
    tempo = DEFAULT_TEMPO if rate != 29 else DEFAULT_TEMPO * 1001 // 1000
    tracks = [[event._replace(tick=2 * event.tick) for event in track if event.meta != TEMPO] for track in file.tracks]
    n_tempos = sum(map(len, file.tracks)) - sum(map(len, tracks))
    if n_tempos:
        file.losses["tempo of a file whose time is in seconds (SMPTE frames), left out"] += n_tempos
    tracks[0].insert(0, RawEvent(0, TEMPO, tempo.to_bytes(3, "big")))
    return EventFile((30 if rate == 29 else rate) * ticks_per_frame, tracks, file.losses)


# --- bytes -----------------------------------------------------------------------------------------------------------


def _unwrapped(data: bytes) -> bytes:
    """The file from its MThd on: out of a RIFF (.rmi) or MacBinary wrapper."""
    place = data.find(b"MThd", 0, _WRAPPER)
    if place < 0:
        raise NotationError("not_midi", "it does not begin as a MIDI file does (MThd).")
    if len(data) < place + 14:
        raise NotationError("not_midi", "it is cut or damaged.")
    return data[place:]


def _header_end(data: bytes) -> int:
    return 8 + max(6, int.from_bytes(data[4:8], "big"))


def _chunks(data: bytes, place: int, losses: Counter[str]) -> Iterator[tuple[int, int]]:
    """(start, end) of the content of each track; where a length leads nowhere the next track is looked for."""
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "big")
        end = place + 8 + size
        if name != b"MTrk":
            place = end if end <= len(data) and name.isalnum() else _next_track(data, place + 1)
            continue
        if end > len(data) or (end < len(data) and not _looks_like_chunk(data, end)):
            end = _next_track(data, place + 8)
            losses["track of a wrong length, read as far as it goes"] += 1
        yield place + 8, end
        place = end


def _next_track(data: bytes, place: int) -> int:
    found = data.find(b"MTrk", place)
    return found if found >= 0 else len(data)


def _looks_like_chunk(data: bytes, place: int) -> bool:
    """Whether a chunk, or nothing but a few loose bytes, follows."""
    rest = data[place : place + 8]
    return len(data) - place < 8 or (rest[:4].isalnum() and rest[:4].isascii()) or not data[place:].strip(b"\0")


class _Track:
    """Reads the events of one track."""

    def __init__(self, data: bytes, start: int, end: int, losses: Counter[str]) -> None:
        self.data = data
        self.place, self.end = start, end
        self.losses = losses

    def events(self) -> list[RawEvent]:
        """All events, up to the end of the track or to where it cannot be read."""
        found: list[RawEvent] = []
        tick = status = 0
        while self.place < self.end:
            try:
                tick += self.number()
                status, event = self.event(tick, status)
            except (IndexError, ValueError):
                self.losses["track that cannot be read to its end"] += 1
                break
            if event is not None:
                found.append(event)
                if event.meta == END:
                    break
        return found

    def event(self, tick: int, status: int) -> tuple[int, RawEvent | None]:
        """(running status, event) of the message at the place. ValueError where there is none."""
        byte = self.byte()
        if byte < 0x80:
            if not status:
                raise ValueError("data without a status")
            self.place -= 1
            byte = status
        if byte < 0xF0:
            data = bytes([byte, *(self.clipped() for _ in range(_DATA_BYTES[byte & 0xF0]))])
            return byte, RawEvent(tick, -1, data)
        if byte == 0xFF:
            kind = self.byte()
            content = self.content()
            if _is_sound(kind & 0x7F, content):
                return status, RawEvent(tick, kind & 0x7F, content)
            self.losses["setting of tempo, meter or key that MIDI does not know, left out"] += 1
            return status, None
        if byte in (0xF0, 0xF7):
            return status, RawEvent(tick, byte, self.content())
        self.place += _SYSTEM_BYTES.get(byte, 0)
        return status, None

    def byte(self) -> int:
        if self.place >= self.end:
            raise IndexError
        self.place += 1
        return self.data[self.place - 1]

    def clipped(self) -> int:
        """A data byte; one over 127 is 127."""
        byte = self.byte()
        if byte > 127:
            self.losses["data byte over 127, read as 127"] += 1
        return min(byte, 127)

    def number(self) -> int:
        """A number of seven bits a byte."""
        value = 0
        for _ in range(4):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        return value

    def content(self) -> bytes:
        size = self.number()
        if self.place + size > self.end:
            raise IndexError
        self.place += size
        return self.data[self.place - size : self.place]


def _is_sound(kind: int, content: bytes) -> bool:
    """Whether a meta event has the content that its type needs."""
    if len(content) < _META_BYTES.get(kind, 0):
        return False
    if kind == KEY:
        return -7 <= int.from_bytes(content[:1], "big", signed=True) <= 7 and content[1] <= 1
    return kind != METER or (content[0] > 0 and content[1] < 8)


def _variable(value: int) -> bytes:
    """A number as seven bits a byte."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))


def _framed(event: RawEvent) -> bytes:
    head = bytes([event.meta]) if event.meta in (0xF0, 0xF7) else bytes([0xFF, event.meta])
    return head + _variable(len(event.data)) + event.data


# --- notes -----------------------------------------------------------------------------------------------------------


def _first_programs(tracks: Iterable[list[RawEvent]]) -> dict[int, int]:
    """The program that each channel has before it sounds, whichever track says so."""
    found: dict[int, tuple[int, int]] = {}
    struck: dict[int, int] = {}  # the tick at which a channel sounds first
    for event in (event for track in tracks for event in track if event.meta == -1):
        kind, channel = event.data[0] & 0xF0, event.data[0] & 0x0F
        if kind == 0xC0 and (channel not in found or event.tick < found[channel][0]):
            found[channel] = (event.tick, event.data[1])
        elif kind == 0x90 and event.data[2]:
            struck[channel] = min(event.tick, struck.get(channel, event.tick))
    return {channel: program for channel, (tick, program) in found.items() if tick <= struck.get(channel, tick)}


def _parts(track: list[RawEvent], first_programs: dict[int, int], losses: Counter[str]) -> Iterator[SongPart]:
    """The parts of one track."""
    name = next((_one_line(decoded_name(event.data)) for event in track if event.meta == NAME), "")
    programs = dict(first_programs)
    strikes: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}  # channel, pitch: place, tick, force, program
    releases: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place, event in enumerate(track):
        if event.meta != -1:
            continue
        kind, channel = event.data[0] & 0xF0, event.data[0] & 0x0F
        if kind == 0xC0:
            programs[channel] = event.data[1]
        elif kind == 0x90 and event.data[2]:
            strike = (place, event.tick, event.data[2], programs.get(channel, 0))
            strikes.setdefault((channel, event.data[1]), []).append(strike)
        elif kind in (0x80, 0x90):
            releases.setdefault((channel, event.data[1]), []).append((place, event.tick))
        elif kind == 0xB0 and event.data[1] in _NOTES_OFF:
            for sounding in [one for one in strikes if one[0] == channel]:
                n_open = len(strikes[sounding]) - len(releases.get(sounding, []))
                releases.setdefault(sounding, []).extend([(place, event.tick)] * n_open)
    end = max((event.tick for event in track), default=0)
    notes: dict[tuple[int, int], list[SongNote]] = {}
    for (channel, pitch), struck in strikes.items():
        for onset, stop, velocity, program in _matched(struck, releases.get((channel, pitch), []), end):
            if stop > onset:
                notes.setdefault((channel, program), []).append(SongNote(onset, stop, pitch, velocity))
            else:
                losses["note without length"] += 1
    for (channel, program), found in sorted(notes.items()):
        yield SongPart(name, channel, program, tuple(sorted(found)))


def _is_expression(event: RawEvent) -> bool:
    """True for pedals, volume, bends and aftertouch; not for controllers that end notes, which are read."""
    if event.meta != -1 or event.data[0] & 0xF0 not in _EXPRESSION:
        return False
    return event.data[0] & 0xF0 != 0xB0 or event.data[1] not in _NOTES_OFF


def _matched(
    strikes: list[tuple[int, int, int, int]], releases: list[tuple[int, int]], end: int
) -> Iterator[tuple[int, int, int, int]]:
    """(onset, end, velocity, program) of the strikes of one pitch, which come with their place in the track, as the
    releases do. A release ends the oldest open strike; where there are fewer releases than strikes a strike also ends
    the one before. What is never released ends with its track."""
    used = 0
    for number, (place, onset, velocity, program) in enumerate(strikes):
        while used < len(releases) and releases[used][0] < place:
            used += 1
        stop = releases[used][1] if used < len(releases) else end
        following = strikes[number + 1][1] if number + 1 < len(strikes) else stop
        if len(releases) < len(strikes) and onset < following < stop:
            stop = following  # the release is left for the next strike
        else:
            used += 1
        yield onset, stop, velocity, program


def _read_conductor(song: MidiSong, track: list[RawEvent]) -> None:
    """Add the tempos, meters, keys and lyrics of a track."""
    for tick, meta, data in track:
        if meta == TEMPO:
            song.tempos.append((tick, int.from_bytes(data[:3], "big")))
        elif meta == METER:
            song.meters.append((tick, (data[0], 2 ** data[1])))
        elif meta == KEY:
            song.keys.append((tick, (int.from_bytes(data[:1], "big", signed=True), data[1] == 1)))
        elif meta == LYRIC:
            song.lyrics.append((tick, decoded_name(data)))


def _read_karaoke(song: MidiSong, tracks: list[list[RawEvent]]) -> None:
    """Add the words and the title of a karaoke file (.kar), whose words are text events: `\\` or `/` begins a line,
    `@T` is the title. The words are those of the first track with such lines, and no texts beside the music."""
    for track in tracks:
        texts = [(event.tick, decoded_name(event.data)) for event in track if event.meta == TEXT]
        words = [(tick, text) for tick, text in texts if text.strip() and not text.startswith("@")]
        if any(text.startswith(_LINE_SIGNS) for _, text in words) and len({tick for tick, _ in words}) > 1:
            break
    else:
        return
    following = [text for _, text in words[1:]] + [_LINE_SIGNS[0]]
    for (tick, text), after in zip(words, following, strict=True):
        ends_word = after.startswith((*_LINE_SIGNS, " "))
        song.lyrics.append((tick, text.lstrip("".join(_LINE_SIGNS)) + (" " if ends_word else "")))
    all_texts = (decoded_name(event.data) for track in tracks for event in track if event.meta == TEXT)
    title = next((_one_line(text[2:]) for text in all_texts if text.startswith("@T")), "")
    song.title = title or song.title
    song.expression[_NOT_IN_SCORES[TEXT]] -= len(words) + bool(title)
    song.expression = +song.expression


def _title(tracks: list[list[RawEvent]], parts: list[str]) -> str:
    """The name of the first track, which is that of the whole piece unless it names a part among others."""
    name = next((_one_line(decoded_name(event.data)) for event in tracks[0] if event.meta == NAME), "")
    playing = [place for place, track in enumerate(tracks) if any(event.meta == -1 for event in track)]
    return "" if name in parts and playing != [0] else name


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:MAX_TITLE]
