"""A tune as events: what the parser returns, and what plays, counts, writes and compares it.

A `Score` has voices; a `Voice` is a flat list of events in written order. `ticks` is the sounding length (a tuplet
already applied), `written` the length as spelled; TICKS_PER_WHOLE = 40,320. Pitches are sounding pitches: the octave
signs of clefs and transposing instruments are applied, and `Voice.transposition` says by how much.

The canonical text (`symbolic.notation.canonical`) holds notes, rests, bars, graces, tuplets, slurs, chord symbols, keys
and metres. What a person wrote beside them (lyrics, annotations, tempo changes, directions, parts, beams, names of
voices) is in the score too, and is written by the formats that have a place for it.
"""

from collections import Counter
from dataclasses import dataclass, field

from symbolic.notation.theory import Key, Meter, Pitch


@dataclass(slots=True)
class Note:
    """One note or chord (several pitches). `marks` holds its decorations in canonical ABC.

    `untied` names the pitches (places in `pitches`) that do not go on where `tie` holds the others. `syllables` has one
    text a verse, "" where a verse has none: `hap-` goes on to the next note's, `_` holds the one before. `spaced` is
    True where a space follows in the source, which ends the beam.
    """

    pitches: tuple[Pitch, ...]
    ticks: int
    written: int
    tie: bool = False
    marks: str = ""
    untied: tuple[int, ...] = ()
    syllables: tuple[str, ...] = ()
    spaced: bool = False

    @property
    def tied_pitches(self) -> tuple[Pitch, ...]:
        """The pitches that go on into the next note."""
        if not self.tie:
            return ()
        return tuple(pitch for place, pitch in enumerate(self.pitches) if place not in self.untied)


@dataclass(slots=True)
class Rest:
    """Silence of `ticks`; `spaced` as for notes."""

    ticks: int
    written: int
    spaced: bool = False
    hidden: bool = False  # x and X of ABC: not printed


@dataclass(slots=True)
class Bar:
    """A bar line: `kind` is | || |] |: :| :: or '' (an ending with no bar line); `ending` is '', '1', '1,2'...

    `times` is how often the section that ends here is played: 2, or 3 at `::|`. `line_end` is True where the source
    begins a new line after it.
    """

    kind: str
    ending: str = ""
    times: int = 2
    line_end: bool = False

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
    slashed: bool = False  # {/a}: an acciaccatura


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


@dataclass(slots=True)
class Annotation:
    """Words at the staff, with ABC's sign for their place (^ above, _ below, < > @, or none) first."""

    text: str


@dataclass(slots=True)
class TempoChange:
    """A tempo inside the tune: the value of a Q: field, such as `1/4=90` or `"Allegro"`."""

    text: str


@dataclass(slots=True)
class Direction:
    """A decoration by name without its exclamation marks, which canonical text does not hold: `D.C.`, `crescendo(`."""

    name: str


@dataclass(slots=True)
class PartMark:
    """The beginning of the part `name`, a P: field inside the tune."""

    name: str


WrittenOnly = Annotation | TempoChange | Direction | PartMark  # not in canonical text
Event = Note | Rest | Bar | Grace | Tuplet | Slur | ChordSymbol | KeyChange | MeterChange | WrittenOnly


@dataclass(slots=True)
class Voice:
    """One voice in written order; `name` is its canonical one, '' for a tune with a single unnamed voice.

    `title` and `short_title` are its names for people, in any script. `clef` is treble, bass, alto, tenor, perc or '',
    with -8 or +8. `transposition` is sounding minus written pitch in semitones, an instrument's and the clef's octave
    together; it has been applied. `program` is General MIDI's, from 0; `drums` is True for channel 10. `part_order` is
    the order in which its parts are played, one name a playing; () where they are played as written.
    """

    name: str = ""
    clef: str = ""
    events: list[Event] = field(default_factory=list)
    title: str = ""
    short_title: str = ""
    transposition: int = 0
    program: int | None = None
    drums: bool = False
    part_order: tuple[str, ...] = ()


@dataclass(slots=True)
class Score:
    """A parsed tune. `fields` keeps every header field by letter, in order (T, R, C, Q, Z, W, ...).

    `losses` counts what was read and could not be
    kept, by a sentence for people without its number: `line of text after the tune`.
    """

    fields: dict[str, list[str]]
    meter: Meter
    key: Key
    voices: list[Voice]
    losses: Counter[str] = field(default_factory=Counter)

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


def _combined(first: Bar | None, second: Bar | None) -> Bar | None:
    """The bar line that opens a measure when two follow one another, for example || and then |:"""
    if first is None or second is None:
        return second or first
    if first.ends_repeat or second.starts_repeat:
        kind = "::" if first.ends_repeat and second.starts_repeat else ("|:" if second.starts_repeat else first.kind)
        return Bar(kind, second.ending or first.ending)
    return Bar(second.kind or first.kind, second.ending or first.ending)
