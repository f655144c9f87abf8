"""One voice of ABC from symbols to events: pitches and accidentals, lengths, tuplets, ties, chords, graces (section 4).

What a symbol means depends on those before it; `VoiceReader` is that state. Overlays (`&`) are read by readers of their
own, a bar at a time, and become voices when the tune is finished (`symbolic.notation.reading.overlays`).
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from symbolic.notation.canonical import DECORATIONS, tuplet_time
from symbolic.notation.reading.lexer import CHORD_SYMBOL, matches
from symbolic.notation.score import (
    Annotation,
    Bar,
    ChordSymbol,
    Direction,
    Event,
    Grace,
    KeyChange,
    MeterChange,
    Note,
    Rest,
    Slur,
    Tuplet,
    Voice,
    WrittenOnly,
)
from symbolic.notation.theory import (
    ACCIDENTAL_VALUE,
    SEMITONES,
    TICKS_PER_WHOLE,
    UNIT_TICKS,
    Key,
    Meter,
    NotationError,
    Pitch,
)

MAX_WHOLE_NOTES = 64  # of one note or rest
MAX_TUPLET = 64  # notes
MAX_TIMES = 16  # a section is played
_NAMED = {"trill": "T", "fermata": "H", "roll": "~", "staccato": ".", "upbow": "u", "downbow": "v", "accent": "L",
          "lowermordent": "M", "mordent": "M", "uppermordent": "P", "pralltriller": "P", "coda": "O", "segno": "S",
          "emphasis": "L", ">": "L"}  # fmt: skip
_ENDING_NUMBERS = re.compile(r"[ \t]*\[?\d.*")
_NUMBERS = re.compile(r"\d+(?:[,.\-]\s*\d+)*")  # of an ending, before words such as "1st time"
NO_LENGTH = "note of no length (C0)"
OTHER_LENGTH = "note of a chord with another length than the first, given that one's"
_AT_BAR_LINES = {"H": "fermata", "O": "coda", "S": "segno"}  # decorations that may stand at a bar line


@dataclass
class ReadingRules:
    """What the fields of a tune set for all its voices: U: symbols and how far an accidental holds."""

    propagation: str = "pitch"  # "pitch": in all octaves, "octave": in its own, "not": on its note only
    symbols: dict[str, str] = field(default_factory=dict)  # letter -> a decoration with its ! or a quoted annotation
    strict: bool = False  # reserved signs, and bar lines that are none, are errors
    losses: Counter[str] = field(default_factory=Counter)


@dataclass
class VoiceReader:
    """What a voice carries from symbol to symbol."""

    voice: Voice
    key: Key
    meter: Meter
    unit: int
    rules: ReadingRules
    key_accidentals: dict[str, int] = field(default_factory=dict)  # beside the key's own
    octaves: int = 0  # added to what is written
    semitones: int = 0  # of transpose=, applied when the tune is finished
    bar_accidentals: dict[tuple[str, int | None], int] = field(default_factory=dict)
    tied: dict[tuple[str, int], Pitch] = field(default_factory=dict)
    tied_into_endings: dict[tuple[str, int], Pitch] = field(default_factory=dict)
    marks: str = ""
    tuplet: tuple[int, int, int] = (1, 1, 0)  # p, q, notes left
    tuplet_rest: Fraction = Fraction(0)  # of a tick, carried from note to note where lengths do not divide
    broken: int = 0  # > counts up, < counts down; waits for the next note
    times: int = 2  # that a |:: began
    chord: list[Pitch] | None = None
    chord_length: int = 0
    chord_ties: set[int] = field(default_factory=set)
    grace: list[Pitch] | None = None
    grace_slashed: bool = False
    overlays: list["VoiceReader"] = field(default_factory=list)
    fragments: dict[int, list[Event]] = field(default_factory=dict)  # of an overlay: bar number -> its events
    overlay: "VoiceReader | None" = None  # being read
    needs_respelling: bool = False  # accidentals hold otherwise than in canonical text

    @property
    def has_notes(self) -> bool:
        """True after the first note."""
        return any(isinstance(event, Note) for event in self.voice.events)

    def read_symbol(self, kind: str, match: re.Match[str], number: int) -> None:
        """Read one symbol of line `number`. Raises NotationError, see `symbolic.notation.abc_parser.parse`."""
        if kind == "note" and self.overlay is None:
            _read_note(self, match, number)
        elif kind == "overlay":
            self._open_overlay(match[0])
        elif kind == "colon" or (kind == "chord_close" and not self.in_chord):
            self._read_odd_bar(match, number)
        elif kind == "bar" or kind == "ending":
            self.overlay = None
            ending = match["ending"] if kind == "bar" else match["number"] or match["named"]
            numbers = _NUMBERS.match(ending or "")
            _read_bar(self, match[0] if kind == "bar" else "", numbers[0] if numbers else "")
        elif self.overlay is not None:
            self.overlay.read_symbol(kind, match, number)
        elif self.grace is not None and kind not in ("note", "grace_open", "grace_close"):
            pass  # lengths, ties, slurs and chords of graces are theirs alone
        else:
            _READERS[kind](self, match, number)

    @property
    def in_chord(self) -> bool:
        """True between the brackets of a chord, also of an overlay."""
        return (self.overlay or self).chord is not None

    def _read_odd_bar(self, match: re.Match[str], number: int) -> None:
        """A bar line in pieces (`| :`, `: |`), a colon or a bracket as one (`ab:cd`, `ab]`)."""
        if self.rules.strict and match[0][0] == ":":
            raise NotationError("unknown_symbol", f"column {match.start() + 1}: ':' is not ABC music.", number)
        if self.rules.strict:
            raise NotationError("unbalanced_chord", "']' closes no chord.", number)
        self.overlay = None
        follows_bar = bool(self.voice.events) and isinstance(self.voice.events[-1], Bar)
        kind = "|]" if match[0][0] == "]" else ":|" if match["closing"] else "|:" if follows_bar else "|"
        _read_bar(self, kind, "")

    def end_line(self, number: int) -> None:
        """Check that chords and graces are closed where their line ends."""
        for reader in (self, *self.overlays):
            if reader.chord is not None:
                raise NotationError("unbalanced_chord", "a chord '[' is not closed on its line.", number)
            if reader.grace is not None:
                raise NotationError("unbalanced_grace", "grace notes '{' are not closed on their line.", number)
        if self.voice.events and isinstance(last := self.voice.events[-1], Bar):
            last.line_end = True
        _mark_space(self)

    def set_key(self, key: Key, accidentals: dict[str, int]) -> None:
        """A key from here on."""
        if key != self.key or self.voice.events:
            _append_change(self.voice.events, KeyChange(key))
        self.key, self.key_accidentals = key, accidentals
        self.needs_respelling |= bool(accidentals)

    def set_meter(self, meter: Meter) -> None:
        """A meter from here on."""
        if meter != self.meter:
            self.meter = meter
            _append_change(self.voice.events, MeterChange(meter))

    def _open_overlay(self, sign: str) -> None:
        """`&`: what follows sounds from the beginning of the bar, in a further voice."""
        if sign == "&)":
            return
        place = 0 if self.overlay is None else self.overlays.index(self.overlay) + 1
        if place == len(self.overlays):
            self.overlays.append(VoiceReader(Voice(), self.key, self.meter, self.unit, self.rules))
        reader = self.overlays[place]
        reader.key, reader.meter, reader.unit = self.key, self.meter, self.unit
        reader.key_accidentals, reader.octaves, reader.bar_accidentals = self.key_accidentals, self.octaves, {}
        bar = sum(isinstance(event, Bar) for event in self.voice.events)
        reader.voice.events = reader.fragments.setdefault(bar, [])
        self.overlay = reader


def _read_note(state: VoiceReader, match: re.Match[str], number: int) -> None:
    accidental, letter, marks, length = match.group("accidental", "letter", "marks", "length")
    pitch = _pitch(state, accidental, letter, marks)
    if state.grace is not None:
        state.grace.append(pitch)
        return
    written = _length(length, state.unit, number) if length else state.unit
    if state.chord is None:
        _add_timed(state, Note((pitch,), written, written), number)
        return
    state.chord_length = state.chord_length or written
    state.rules.losses[OTHER_LENGTH] += written != state.chord_length
    if pitch not in state.chord:
        state.chord.append(pitch)


def _pitch(state: VoiceReader, accidental: str | None, letter: str, marks: str) -> Pitch:
    name = letter.upper()
    octave = (4 if name == letter else 5) + state.octaves
    if marks:
        octave += marks.count("'") - marks.count(",")
    if not -1 <= octave <= 9:
        raise NotationError("bad_pitch", f"the pitch {letter}{marks} lies outside MIDI's range.")
    base = 12 * (octave + 1) + SEMITONES[name]
    place = (name, octave if state.rules.propagation == "octave" else None)
    if accidental is not None:
        value = ACCIDENTAL_VALUE[accidental]
        if state.rules.propagation != "not":
            state.bar_accidentals[place] = value
        return _made_pitch(name, octave, value, base + value)
    if state.tied and (held := state.tied.get((name, octave))) is not None:
        return _made_pitch(name, octave, None, held.midi)  # a tie carries its accidental over the bar line
    of_bar = state.bar_accidentals.get(place) if state.bar_accidentals else None
    if of_bar is None:
        of_bar = state.key_accidentals.get(name) if state.key_accidentals else None
    return _made_pitch(name, octave, None, base + (state.key.accidentals[name] if of_bar is None else of_bar))


_made_pitch = lru_cache(maxsize=1024)(Pitch)  # pitches are never changed, so that equal ones may be one


def _length(text: str, unit: int, number: int) -> int:
    """The ticks of a note; 0 for a length of `0`, which takes no time."""
    if not text:
        return unit
    ticks = _counted(text, unit)
    if not ticks and text != "0":
        raise NotationError("bad_length", f"the note length {text!r} cannot be counted.", number)
    if ticks > MAX_WHOLE_NOTES * TICKS_PER_WHOLE:
        raise NotationError("bad_length", f"the note length {text!r} is over {MAX_WHOLE_NOTES} whole notes.", number)
    return ticks


@lru_cache(maxsize=4096)
def _counted(text: str, unit: int) -> int:
    """The ticks of a length such as `3/2`; 0 where it is no whole number of them."""
    head, slash, tail = text.partition("/")
    extra = len(tail) - len(tail.lstrip("/"))
    tail = tail.lstrip("/")
    numerator = int(head or 1)
    denominator = (int(tail) if tail else 2 ** (extra + 1)) if slash else 1
    if denominator == 0 or (unit * numerator) % denominator:
        return 0
    return unit * numerator // denominator


def _read_rest(state: VoiceReader, match: re.Match[str], number: int) -> None:
    written = _length(match["rest_length"], state.unit, number)
    if state.chord is None:  # in a chord a rest takes no time of its own
        _add_timed(state, Rest(written, written, hidden=match[0][0] == "x"), number)


def _read_bar_rest(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """Z3 is three bars of rest, written out; in free meter a bar is a whole note."""
    n_bars = int(match["n_bars"] or 1)
    if not 1 <= n_bars <= MAX_WHOLE_NOTES * 4:
        raise NotationError("bad_length", f"Z{n_bars}: bars of rest are counted from 1 to 256.", number)
    for index in range(n_bars):
        if index:
            _read_bar(state, "|", "")
        ticks = state.meter.ticks or TICKS_PER_WHOLE
        _add_timed(state, Rest(ticks, ticks, hidden=match[0][0] == "X"), number)


def _add_timed(state: VoiceReader, event: Note | Rest, number: int) -> None:
    """Append a note or rest: decorations, broken rhythm and tuplets that wait for it are applied. What has no length is
    left out."""
    if not event.written:
        if state.rules.strict:
            raise NotationError("bad_length", "the note length '0' cannot be counted.", number)
        state.rules.losses[NO_LENGTH] += isinstance(event, Note)
        return
    if state.broken:
        event.written = _scaled(event.written, state.broken < 0, abs(state.broken), number)
        state.broken = 0
    event.ticks = event.written
    p, q, left = state.tuplet
    if left:
        exact = Fraction(event.written * q, p) + state.tuplet_rest
        event.ticks = max(1, round(exact))
        state.tuplet, state.tuplet_rest = (p, q, left - 1), exact - event.ticks
    if state.marks and isinstance(event, Note):
        event.marks, state.marks = state.marks, ""
    if state.tied:
        state.tied = {}
    state.voice.events.append(event)


def _scaled(written: int, lengthen: bool, count: int, number: int) -> int:
    """Broken rhythm: with n marks one note takes 2 - 1/2^n of its length, the other 1/2^n."""
    scaled, rest = divmod(written * (2 ** (count + 1) - 1 if lengthen else 1), 2**count)
    if rest:
        raise NotationError("bad_length", "broken rhythm makes a note too short to count.", number)
    return scaled


def _read_broken(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """Apply > or < to the note before it, also over a bar line; the sign waits for the note after it."""
    last = next((e for e in reversed(state.voice.events) if isinstance(e, (Note, Rest))), None)
    if last is None:
        return  # nothing to lengthen: a stray sign
    state.broken = len(match[0]) if match[0][0] == ">" else -len(match[0])
    scaled = _scaled(last.written, state.broken > 0, abs(state.broken), number)
    if last.ticks == last.written:
        last.ticks = last.written = scaled
        return
    p, q, _ = state.tuplet  # of the note before the sign
    exact = last.ticks + state.tuplet_rest + Fraction((scaled - last.written) * q, p)
    last.ticks, last.written = max(1, round(exact)), scaled
    state.tuplet_rest = exact - last.ticks


def _read_bar(state: VoiceReader, text: str, ending: str) -> None:
    kind, closing, opening = bar_kind(text)
    times = max(closing + 1, state.times) if closing else 2
    _flush_marks(state)
    state.bar_accidentals = {}
    if ending:
        ending = ",".join(part for part in re.split(r"[,.]", ending) if part.strip("- ")).replace(" ", "")
        first = _first_number(ending) == 1
        state.tied_into_endings = dict(state.tied) if first else state.tied_into_endings
        state.tied = state.tied if first else state.tied_into_endings | state.tied
    if closing or opening:
        state.times = min(opening + 1, MAX_TIMES) if opening else 2
    add_bar(state.voice.events, Bar(kind, ending, min(times, MAX_TIMES)))


def add_bar(events: list[Event], bar: Bar) -> None:
    """Append a bar line, or merge it with one that only words and signs stand between."""
    place = len(events) - 1
    while place >= 0 and isinstance(events[place], WrittenOnly):
        place -= 1
    last = events[place] if place >= 0 else None
    if isinstance(last, Bar) and not last.ending:
        kind, times = merged_kind(last.kind, bar.kind), max(last.times, bar.times)
        events[place] = Bar(kind, bar.ending, times, last.line_end or bar.line_end)
    else:
        events.append(bar)


@lru_cache(maxsize=1024)
def bar_kind(text: str) -> tuple[str, int, int]:
    """The canonical kind of a bar line without its ending, and its colons before and after the line."""
    head = _ENDING_NUMBERS.sub("", text.lstrip("."))
    if not head:
        return "", 0, 0
    if not head.strip(":"):
        return "::", max(1, len(head) // 2), max(1, len(head) // 2)
    closing, opening = len(head) - len(head.lstrip(":")), len(head) - len(head.rstrip(":"))
    inner = head.strip(":").replace("[", "")
    if ":" in inner:  # such as |:| or :||:|
        closing = opening = 0
        inner = inner.replace(":", "")
    if closing or opening:
        return "::" if opening and closing else ("|:" if opening else ":|"), closing, opening
    if head == "[|]":
        return "|", 0, 0
    return (inner if inner in ("|", "|]") and head != "[|" else "||"), 0, 0


def merged_kind(first: str, second: str) -> str:
    """The kind of two bar lines with nothing between them."""
    opens, closes = second in ("|:", "::") or first in ("|:", "::"), first in (":|", "::") or second in (":|", "::")
    if opens or closes:
        return "::" if opens and closes else ("|:" if opens else ":|")
    return next(kind for kind in ("|]", "||", "|", "") if kind in (first, second))


def _first_number(ending: str) -> int:
    match = re.match(r"\d+", ending)
    return int(match[0]) if match else 0


def _flush_marks(state: VoiceReader) -> None:
    """Decorations that wait for a note stand at the bar line when none comes before it."""
    for mark in re.findall(r"![^!]*!|.", state.marks):
        name = mark.strip("!") if mark[0] == "!" else _AT_BAR_LINES.get(mark, "")
        if name:
            state.voice.events.append(Direction(name))
    state.marks = ""


def _read_tuplet(state: VoiceReader, match: re.Match[str], number: int) -> None:
    p = int(match["p"])
    q = int(match["q"] or 0) or tuplet_time(p, state.meter)
    count = int(match["r"] or 0) or p
    if p < 2 or max(p, q, count) > MAX_TUPLET:
        raise NotationError(
            "bad_tuplet", f"{match[0]!r} is not a tuplet; write (3, or (p:q:r with numbers from 2 to 64.", number
        )
    state.tuplet, state.tuplet_rest = (p, q, count), Fraction(0)
    state.voice.events.append(Tuplet(p, q, count))


def _read_slur(state: VoiceReader, match: re.Match[str], number: int) -> None:
    state.voice.events.append(Slur(match[0] == "("))


def _read_tie(state: VoiceReader, match: re.Match[str], number: int) -> None:
    if state.chord is not None:
        state.chord_ties |= {len(state.chord) - 1} if state.chord else set()
        return
    last = next((e for e in reversed(state.voice.events) if isinstance(e, (Note, Rest, Grace))), None)
    if isinstance(last, Note):
        last.tie = True
        state.tied = {(p.letter, p.octave): p for p in last.tied_pitches}


def _read_decoration(state: VoiceReader, match: re.Match[str], number: int) -> None:
    name = match["name"] or match["plus"]
    if name is None and match[0] in state.rules.symbols:
        for kind, symbol in matches(state.rules.symbols[match[0]], number):
            if kind in ("decoration", "quoted") and symbol[0] != match[0]:
                _READERS[kind](state, symbol, number)
        return
    mark = _NAMED.get(name, f"!{name}!") if name else match[0]
    if mark.startswith("!") and not re.fullmatch(r"![a-z]{1,20}!", mark):
        state.voice.events.append(Direction(name))
    elif (mark.startswith("!") or mark in DECORATIONS) and mark not in state.marks:
        state.marks += mark


def _read_quoted(state: VoiceReader, match: re.Match[str], number: int) -> None:
    text = match[0][1:-1].strip()
    symbol = text.replace("♯", "#").replace("♭", "b")
    if state.chord is not None or not text:
        return
    is_symbol = re.fullmatch(CHORD_SYMBOL, symbol) is not None
    state.voice.events.append(ChordSymbol(symbol) if is_symbol else Annotation(text))


def _open_chord(state: VoiceReader, match: re.Match[str], number: int) -> None:
    if state.chord is not None:
        raise NotationError("unbalanced_chord", "a chord '[' opens inside another.", number)
    state.chord, state.chord_length, state.chord_ties = [], 0, set()


def _close_chord(state: VoiceReader, match: re.Match[str], number: int) -> None:
    pitches, state.chord = tuple(state.chord or ()), None
    if not pitches:
        return
    outer = _length(match["chord_length"], UNIT_TICKS, number)
    written, rest = divmod(state.chord_length * outer, UNIT_TICKS)
    if rest:
        raise NotationError("bad_length", f"the chord length {match['chord_length']!r} cannot be counted.", number)
    note = Note(pitches, written, written)
    _add_timed(state, note, number)
    if state.chord_ties:
        note.untied = tuple(place for place in range(len(pitches)) if place not in state.chord_ties)
        _read_tie(state, match, number)


def _read_old_chord(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """+CEG+ is a chord of the first ABC."""
    state.chord, state.chord_length, state.chord_ties = [], 0, set()
    for kind, symbol in matches(match["plus"].replace(" ", ""), number):
        if kind in ("note", "tie"):
            _READERS[kind](state, symbol, number)
    pitches, state.chord = tuple(state.chord), None
    outer = _length(match["plus_length"], UNIT_TICKS, number)
    written = max(1, state.chord_length * outer // UNIT_TICKS)
    _add_timed(state, Note(pitches, written, written), number)


def _open_grace(state: VoiceReader, match: re.Match[str], number: int) -> None:
    if state.grace is not None:
        raise NotationError("unbalanced_grace", "grace notes '{' open inside others.", number)
    state.grace, state.grace_slashed = [], match[0].endswith("/")


def _close_grace(state: VoiceReader, match: re.Match[str], number: int) -> None:
    if state.grace is None and state.rules.strict:
        raise NotationError("unbalanced_grace", "'}' closes no grace notes.", number)
    if state.grace:
        state.voice.events.append(Grace(tuple(state.grace), state.grace_slashed))
    state.grace = None


def _refuse_microtone(state: VoiceReader, match: re.Match[str], number: int) -> None:
    raise NotationError(
        "microtone", f"column {match.start() + 1}: {match[0]!r} is a microtone; notes here are semitones.", number
    )


def _read_stray(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """An accidental before no note is passed over and counted."""
    if state.rules.strict:
        raise NotationError(
            "unknown_symbol", f"column {match.start() + 1}: {match[0]!r} stands before no note.", number
        )
    state.rules.losses["accidental without a note"] += 1


def _read_number(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """A number at the beginning of a line: an ending after a bar line."""
    if state.rules.strict or not (state.voice.events and isinstance(state.voice.events[-1], Bar)):
        text = match[0].strip()
        raise NotationError("unknown_symbol", f"column {match.end()}: {text!r} is not ABC music.", number)
    _read_bar(state, "", match[0].strip(" \t."))


def _read_named_ending(state: VoiceReader, match: re.Match[str], number: int) -> None:
    """The bracket of ["Coda" or ["last time": its words are read as an annotation."""
    if state.rules.strict:
        raise NotationError("unbalanced_chord", "a chord '[' is not closed on its line.", number)


def _read_space(state: VoiceReader, match: re.Match[str], number: int) -> None:
    if match[0].isspace():
        if state.chord is None:
            _mark_space(state)
    elif state.rules.strict and (reserved := re.search("[#@+,']", match[0])):
        column = match.start() + reserved.start() + 1
        raise NotationError("unknown_symbol", f"column {column}: {reserved[0]!r} is not ABC music.", number)


def _mark_space(state: VoiceReader) -> None:
    """A space after a note ends its beam."""
    events = state.voice.events
    place = len(events) - 1
    while place >= 0 and isinstance(events[place], Slur):
        place -= 1
    if place >= 0 and isinstance(last := events[place], (Note, Rest)):
        last.spaced = True


def _append_change(events: list[Event], change: KeyChange | MeterChange) -> None:
    """A change right after another of its kind replaces it."""
    if events and type(events[-1]) is type(change):
        events[-1] = change
    else:
        events.append(change)


_READERS = {
    "note": _read_note,
    "rest": _read_rest,
    "bar_rest": _read_bar_rest,
    "tuplet": _read_tuplet,
    "slur_open": _read_slur,
    "slur_close": _read_slur,
    "tie": _read_tie,
    "broken": _read_broken,
    "decoration": _read_decoration,
    "quoted": _read_quoted,
    "chord_open": _open_chord,
    "chord_close": _close_chord,
    "old_chord": _read_old_chord,
    "grace_open": _open_grace,
    "grace_close": _close_grace,
    "microtone": _refuse_microtone,
    "stray": _read_stray,
    "named_ending": _read_named_ending,
    "number": _read_number,
    "space": _read_space,
}
