"""A tune as events: what the parser returns, and what plays, counts and compares it.

A `Score` has voices; a `Voice` is a flat list of events in written order. `ticks` is the sounding length (a tuplet
already applied), `written` the length as spelled; TICKS_PER_WHOLE = 40,320.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from symbolic.notation.theory import Key, Meter, NotationError, Pitch

MAX_SOUNDS = 200_000  # a guard against repeats that multiply
MOST_PASSES = 16  # of one section; endings with a higher number count as this one


@dataclass(slots=True)
class Note:
    """One note or chord (several pitches). `marks` holds its decorations in canonical ABC."""

    pitches: tuple[Pitch, ...]
    ticks: int
    written: int
    tie: bool = False
    marks: str = ""


@dataclass(slots=True)
class Rest:
    """Silence of `ticks`."""

    ticks: int
    written: int


@dataclass(slots=True)
class Bar:
    """A bar line: `kind` is | || |] |: :| :: or '' (an ending with no bar line); `ending` is '', '1', '1,2'..."""

    kind: str
    ending: str = ""

    @property
    def starts_repeat(self) -> bool:
        """True at |: and ::"""
        return self.kind in ("|:", "::")

    @property
    def ends_repeat(self) -> bool:
        """True at :| and ::"""
        return self.kind in (":|", "::")


@dataclass(slots=True)
class Grace:
    """Grace notes before the next note; they take no time of the bar."""

    pitches: tuple[Pitch, ...]


@dataclass(slots=True)
class Tuplet:
    """The next `count` notes: `p` in the time of `q`."""

    p: int
    q: int
    count: int


@dataclass(slots=True)
class Slur:
    """A slur's beginning or end."""

    opens: bool


@dataclass(slots=True)
class ChordSymbol:
    """An accompaniment chord such as Am7, written above the staff."""

    text: str


@dataclass(slots=True)
class KeyChange:
    """[K:...] inside the tune."""

    key: Key


@dataclass(slots=True)
class MeterChange:
    """[M:...] inside the tune."""

    meter: Meter


Event = Note | Rest | Bar | Grace | Tuplet | Slur | ChordSymbol | KeyChange | MeterChange


@dataclass(slots=True)
class Voice:
    """One voice in written order; `name` is '' for a tune with a single unnamed voice."""

    name: str = ""
    clef: str = ""
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """A parsed tune. `fields` keeps every header field by letter, in order (T, R, C, Q, Z, ...)."""

    fields: dict[str, list[str]]
    meter: Meter
    key: Key
    voices: list[Voice]

    @property
    def title(self) -> str:
        """The first T: field, or ''."""
        return self.fields.get("T", [""])[0]


@dataclass(frozen=True, slots=True)
class WrittenBar:
    """What stands between two bar lines. `index` counts from 0; `meter_ticks` is 0 in free metre."""

    index: int
    ticks: int
    meter_ticks: int
    start: Bar | None
    end: Bar | None
    n_notes: int

    @property
    def is_full(self) -> bool:
        """True when the length equals the metre (always, in free metre)."""
        return self.meter_ticks in (0, self.ticks)


@dataclass(frozen=True, slots=True)
class Sound:
    """One sounding note of a performance; ties are merged."""

    voice: int
    onset_ticks: int
    ticks: int
    midi: int


def bars(voice: Voice, meter: Meter) -> list[WrittenBar]:
    """The measures of a voice, in written order. Bar lines with nothing between them make no measure."""
    measures: list[WrittenBar] = []
    start: Bar | None = None
    ticks = n_notes = 0
    next_meter = meter
    for event in [*voice.events, None]:
        if isinstance(event, (Note, Rest)):
            ticks += event.ticks
            n_notes += isinstance(event, Note)
        elif isinstance(event, MeterChange):  # inside a bar it is meant for the next one
            next_meter = event.meter
            meter = meter if ticks else next_meter
        elif event is None or isinstance(event, Bar):
            if ticks:
                measures.append(WrittenBar(len(measures), ticks, meter.ticks, start, event, n_notes))
                start, ticks, n_notes, meter = event, 0, 0, next_meter
            else:
                start = _combined(start, event)
    return measures


def melody(score: Score, voice: int = 0) -> list[tuple[int, int]]:
    """(MIDI pitch, ticks) of each note in written order: repeats not unrolled, ties merged, the top note of a chord,
    rests and graces left out. This is the sequence that phrases are compared on."""
    notes: list[tuple[int, int]] = []
    tied = False
    for event in score.voices[voice].events:
        if isinstance(event, Note):
            pitch = max(p.midi for p in event.pitches)
            if tied and notes and notes[-1][0] == pitch:
                notes[-1] = (pitch, notes[-1][1] + event.ticks)
            else:
                notes.append((pitch, event.ticks))
            tied = event.tie
        elif isinstance(event, Rest):
            tied = False
    return notes


def performance(score: Score, *, repeats: bool = True) -> list[Sound]:
    """The notes as they sound, by onset: repeats and endings unrolled, ties merged, graces left out.

    Raises NotationError `too_long` past MAX_SOUNDS.
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
    for place in _played(events) if repeats else range(len(events)):
        event = events[place]
        if in_force[place] != last:
            last = in_force[place]
            yield tick, *last
        tick += event.ticks if isinstance(event, (Note, Rest)) else 0


def unroll(voice: Voice) -> Iterator[Event]:
    """The events of a voice in playing order.

    A repeat goes back to the last |:, else to the end of the last repeat, else to the beginning. In pass n only the
    endings that name n are played.
    """
    yield from (voice.events[place] for place in _played(voice.events))


def _played(events: list[Event]) -> Iterator[int]:
    """Places of the events in playing order."""
    start = position = played = 0
    pass_number = 1
    passes = _last_passes(events)
    last_pass = passes[0]
    while position < len(events):
        event = events[position]
        played += 1
        if played > MAX_SOUNDS:
            raise NotationError("too_long", f"the tune unrolls to more than {MAX_SOUNDS:,} events.")
        yield position
        position += 1
        if not isinstance(event, Bar):
            continue
        if event.ends_repeat and pass_number < last_pass:
            position, pass_number = start, pass_number + 1
            continue
        if event.starts_repeat or event.ends_repeat:
            start, pass_number, last_pass = position, 1, passes[position]
            if event.ending:  # `:|2` after the last pass belongs to the section that just ended
                continue
        if event.ending and pass_number not in _ending_numbers(event.ending):
            position = _skip_ending(events, position, pass_number)


def _last_passes(events: list[Event]) -> list[int]:
    """How often the section that starts at each place is played: 2, or the highest ending number in it."""
    passes = [2] * (len(events) + 1)
    for place in range(len(events) - 1, -1, -1):
        event, last = events[place], passes[place + 1]
        if isinstance(event, Bar):
            numbers = _ending_numbers(event.ending)
            ends_here = event.starts_repeat or (event.ends_repeat and not numbers)
            last = max([2 if ends_here else last, *numbers])
        passes[place] = last
    return passes


def _ending_numbers(ending: str) -> list[int]:
    numbers: list[int] = []
    for part in ending.split(","):
        low, _, high = part.partition("-")
        if low.isdigit():
            first, last = (min(int(n), MOST_PASSES) for n in (low, high if high.isdigit() else low))
            numbers += range(first, last + 1)
    return numbers


def _skip_ending(events: list[Event], position: int, pass_number: int) -> int:
    """Where to go on when an ending is not for this pass: inside the next ending that is, or at the section's end."""
    for index in range(position, len(events)):
        event = events[index]
        if isinstance(event, Bar) and event.ending:
            if pass_number in _ending_numbers(event.ending):
                return index + 1
        elif isinstance(event, Bar) and (event.starts_repeat or event.ends_repeat):
            return index
    return len(events)


def _voice_sounds(index: int, voice: Voice, repeats: bool) -> list[Sound]:
    sounds: list[Sound] = []
    held: dict[int, int] = {}  # MIDI pitch -> index in sounds of a note whose tie is open
    onset = 0
    for event in unroll(voice) if repeats else voice.events:
        if isinstance(event, Note):
            still_held: dict[int, int] = {}
            for midi in {p.midi for p in event.pitches}:
                place = held.get(midi)
                if place is None:
                    place = len(sounds)
                    sounds.append(Sound(index, onset, event.ticks, midi))
                else:
                    first = sounds[place]
                    sounds[place] = Sound(index, first.onset_ticks, onset + event.ticks - first.onset_ticks, midi)
                if event.tie:
                    still_held[midi] = place
            held = still_held
            onset += event.ticks
        elif isinstance(event, Rest):
            held = {}
            onset += event.ticks
    return sounds


def _combined(first: Bar | None, second: Bar | None) -> Bar | None:
    """The bar line that opens a measure when two follow one another, for example || and then |:"""
    if first is None or second is None:
        return second or first
    if first.ends_repeat or second.starts_repeat:
        kind = "::" if first.ends_repeat and second.starts_repeat else ("|:" if second.starts_repeat else first.kind)
        return Bar(kind, second.ending or first.ending)
    return Bar(second.kind or first.kind, second.ending or first.ending)
