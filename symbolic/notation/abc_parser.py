"""ABC notation: the one lexer and parser, and the one canonical spelling.

Reads ABC 2.1 as people write it (abcnotation.com/wiki/abc:standard:v2.1) and spells every tune one way, so that equal
music is equal text. The canonical text of a tune with one voice is three header lines and one line of music:

    M:6/8
    L:1/8
    K:Em
    B|E3/2G/2E GEG|...        (without the space: the canonical music line has none)

- the unit length is always L:1/8; lengths are `2`, `3/2`, `/2`, `3/4`; broken rhythm is written out;
- no spaces, line ends or line continuations inside a voice; beams are put back by `pretty`;
- changes inside the tune are [K:D] and [M:9/8]; a change of unit length is folded away;
- bar lines are | || |] |: :| :: with endings |1 :|2; a bar line that ends a line and one that begins the next are one;
- tuplets are (3 where the standard's defaults hold, else (p:q:r; graces {ab}; ties -; slurs ( and );
- decorations . ~ H L M O P S T u v and !name!; chord symbols "Am"; annotations, words and page layout are left out;
- several voices: lines `V:1 clef=bass` after K:, then for each voice a line `V:1` and its line of music.

`canonical(parse(canonical(parse(x)))) == canonical(parse(x))`, and `canonical(parse(pretty(c))) == c` for canonical c.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from symbolic.notation.canonical import DECORATIONS, canonical, tuplet_time
from symbolic.notation.layout import laid_out
from symbolic.notation.performance import Sound, performance
from symbolic.notation.score import (
    Bar,
    ChordSymbol,
    Event,
    Grace,
    KeyChange,
    MeterChange,
    Note,
    Rest,
    Score,
    Slur,
    Tuplet,
    Voice,
    WrittenBar,
    bars,
    melody,
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
    parse_key,
    parse_meter,
)
from symbolic.notation.transposition import transpose

__all__ = [
    "TICKS_PER_WHOLE",
    "Bar",
    "Key",
    "Meter",
    "NotationError",
    "Note",
    "Pitch",
    "RawTune",
    "Rest",
    "Score",
    "Sound",
    "Token",
    "Voice",
    "WrittenBar",
    "bars",
    "canonical",
    "lex",
    "melody",
    "parse",
    "performance",
    "pretty",
    "split_tunes",
    "transpose",
]

MAX_TUNE_BYTES = 200_000
CHORD_SYMBOL = r"[A-G][#b]?(?:maj|min|m|M|dim|aug|sus|add|\+|-|\d|\(|\)|#|b)*(?:/[A-G][#b]?)?"
_NAMED = {"trill": "T", "fermata": "H", "roll": "~", "staccato": ".", "upbow": "u", "downbow": "v", "accent": "L",
          "lowermordent": "M", "mordent": "M", "uppermordent": "P", "pralltriller": "P", "coda": "O", "segno": "S",
          "emphasis": "L", ">": "L"}  # fmt: skip
_LENGTH = r"(?:\d{1,4})?(?:/+\d{0,4})?"
_SYMBOLS = (
    ("field", r"\[[A-Za-z]:[^\]]*\]"),
    ("quoted", r'"[^"]*"'),
    ("bar", r"\.?(?::*\|[|:\]]*|\[\|[|:\]]*|::+)(?:[ \t]*\[?(?P<ending>\d[\d,.\-]*))?"),
    ("decoration", r"!(?P<name>[^!\s|]+)!|\+(?P<plus>[a-z]+)\+|\.(?![(\-])|[~H-WYh-w]"),
    ("ending", r"\[[ \t]*(?P<number>\d[\d,.\-]*)"),
    ("note", rf"(?P<accidental>\^{{1,2}}|_{{1,2}}|=)?(?P<letter>[A-Ga-g])(?P<marks>[,']*)(?P<length>{_LENGTH})"),
    ("rest", rf"[zx](?P<rest_length>{_LENGTH})"),
    ("bar_rest", r"[ZX](?P<n_bars>\d{0,3})"),
    ("tuplet", r"\((?P<p>\d)(?::(?P<q>\d{0,2}))?(?::(?P<r>\d{0,2}))?"),
    ("slur_open", r"\("),
    ("slur_close", r"\)"),
    ("chord_open", r"\["),
    ("chord_close", rf"\](?P<chord_length>{_LENGTH})"),
    ("grace_open", r"\{/?"),
    ("grace_close", r"\}"),
    ("broken", r">{1,3}|<{1,3}"),
    ("tie", r"-"),
    ("space", r"[\s`\\*$;]+|y\d*|!|\?|\."),
)
_LEXER = re.compile("|".join(f"(?P<{kind}_>{pattern})" for kind, pattern in _SYMBOLS))
_FIELD_LINE = re.compile(r"([A-Za-z]):(?![|:])(.*)", re.DOTALL)
_BODY_FIELDS = frozenset("HIKLMmNOPQRrSsTUVWwXYZ")


class RawTune(NamedTuple):
    """The text of one tune as found, file-header fields included, and the 1-based line of its X: field."""

    text: str
    line: int


class Token(NamedTuple):
    """One lexical symbol of a music line: its kind (see _SYMBOLS), text and column (0-based)."""

    kind: str
    text: str
    start: int


def split_tunes(text: str) -> list[RawTune]:
    """Cut a file into tunes at its X: fields. Fields before the first X: are the file header, inherited by every tune.

    A text without any X: field is one tune if it has a K: field, else there is none.
    """
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("X:")]
    if not starts:
        return [RawTune(text, 1)] if re.search(r"^K:", text, re.MULTILINE) else []
    header = [line for line in lines[: starts[0]] if re.match(r"[A-Za-z]:", line) and line[0] in "MLQRZCOBSDFGHN"]
    tunes = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = "\n".join(lines[start:end]).rstrip()
        own = {line[0] for line in lines[start:end] if line[1:2] == ":"}
        inherited = "".join(line + "\n" for line in header if line[0] not in own)
        tunes.append(RawTune(inherited + body + "\n", start + 1 - inherited.count("\n")))
    return tunes


def lex(line: str, line_number: int | None = None) -> Iterator[Token]:
    """The symbols of one line of music. Raises NotationError `unknown_symbol` with the column."""
    for kind, match in _matches(line, line_number):
        yield Token(kind, match[0], match.start())


def parse(text: str, line: int = 1) -> Score:
    """Read one tune, canonical or as people write it. `line` is the number of its first line, for messages.

    Raises NotationError with a reason slug: no_key, bad_key, key_accidentals, no_metre, bad_metre, no_notes,
    unknown_symbol, bad_length, bad_tuplet, unbalanced_chord, unbalanced_grace, overlay, too_long, bad_field.
    """
    if len(text) > MAX_TUNE_BYTES:
        raise NotationError(
            "too_long", f"the tune has {len(text):,} characters; the limit is {MAX_TUNE_BYTES:,}.", line
        )
    reader = _Reader()
    for number, raw in enumerate(text.splitlines(), start=line):
        reader.read_line(raw, number)
    return reader.finish(line)


def pretty(
    text: str, *, number: int = 1, title: str = "", fields: Mapping[str, str | Sequence[str]] | None = None
) -> str:
    """ABC for people from canonical text: X: and T:, beams by the metre, four bars a line.

    `fields` are further header fields by letter (R, C, Q, Z, ...), of one line or several, and `%` for comments.
    Reading the result back gives the same canonical text.
    """
    return laid_out(parse(text), number=number, title=title, fields=fields or {})


def _matches(line: str, line_number: int | None) -> Iterator[tuple[str, re.Match[str]]]:
    position = 0
    while position < len(line):
        match = _LEXER.match(line, position)
        if match is None:
            raise _unknown(line, position, line_number)
        position = match.end()
        yield match.lastgroup[:-1], match  # type: ignore[index]


def _unknown(line: str, position: int, line_number: int | None) -> NotationError:
    near = line[max(0, position - 8) : position + 8].strip()
    if line[position] == "&":
        return NotationError(
            "overlay", f"column {position + 1}: voice overlay '&' is not read; use V: voices.", line_number
        )
    return NotationError(
        "unknown_symbol", f"column {position + 1}: {line[position]!r} (in {near!r}) is not ABC music.", line_number
    )


@dataclass
class _VoiceReader:
    """What a voice carries from symbol to symbol."""

    voice: Voice
    key: Key
    meter: Meter
    unit: int
    bar_accidentals: dict[str, int] = field(default_factory=dict)  # ABC 2.1: hold in all octaves until the bar line
    tied: dict[tuple[str, int], Pitch] = field(default_factory=dict)
    marks: str = ""
    tuplet: tuple[int, int, int] = (1, 1, 0)  # p, q, notes left
    broken: int = 0  # > counts up, < counts down; waits for the next note
    chord: list[Pitch] | None = None
    chord_length: int = 0
    chord_tie: bool = False
    grace: list[Pitch] | None = None


class _Reader:
    """Reads a tune line by line into a Score."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.meter: Meter | None = None
        self.key: Key | None = None
        self.unit: int | None = None
        self.clefs: dict[str, str] = {}
        self.voices: dict[str, _VoiceReader] = {}
        self.current: _VoiceReader | None = None

    def read_line(self, raw: str, number: int) -> None:
        line = re.split(r"(?<!\\)%", raw, maxsplit=1)[0].rstrip()
        match = _FIELD_LINE.match(line)
        if match and (self.key is None or match[1] in _BODY_FIELDS):
            self.read_field(match[1], match[2].strip(), number)
        elif line.strip() and self.key is not None:
            self.read_music(line, number)

    def read_field(self, letter: str, value: str, number: int) -> None:
        if letter == "K":
            self.set_key(parse_key(value, number))
        elif letter == "M":
            self.set_meter(parse_meter(value, number))
        elif letter == "L":
            self.set_unit(value, number)
        elif letter == "V":
            self.read_voice(value)
        else:
            self.fields.setdefault(letter, []).append(value)

    def set_key(self, key: Key) -> None:
        if self.key is None:
            self.key = key
        elif self.voice().voice.events or self.voice().key != key:
            self.voice().key = key
            _append_change(self.voice().voice.events, KeyChange(key))

    def set_meter(self, meter: Meter) -> None:
        if self.key is None:
            self.meter = meter
        elif self.voice().meter != meter:
            self.voice().meter = meter
            _append_change(self.voice().voice.events, MeterChange(meter))

    def set_unit(self, value: str, number: int) -> None:
        match = re.fullmatch(r"\s*1\s*/\s*(1|2|4|8|16|32|64)\s*|\s*1\s*", value)
        if match is None:
            raise NotationError("bad_length", f"L:{value} is not a unit note length; write for example L:1/8.", number)
        unit = TICKS_PER_WHOLE // int(match[1] or 1)
        if self.key is None:
            self.unit = unit
        else:
            self.voice().unit = unit

    def read_voice(self, value: str) -> None:
        match = re.match(r"(\S+)\s*(.*)", value)
        if match is None:
            return
        name = re.sub(r"[^A-Za-z0-9_-]", "", match[1])[:16] or "1"
        clef = re.search(r"(?:clef=)?\"?\b(treble|bass|alto|tenor)([+-]8)?", match[2])
        if clef:
            self.clefs[name] = clef[1] + (clef[2] or "")
        if self.key is None:
            self.clefs.setdefault(name, "")
        else:
            self.current = self.voice(name)

    def voice(self, name: str | None = None) -> _VoiceReader:
        """The reader of the named voice, or of the one that is being read; made when first asked for."""
        if name is None and self.current is not None:
            return self.current
        if name is None:
            name = next(iter(self.clefs), "")
        if name not in self.voices:
            assert self.key is not None
            meter = self.meter or Meter(0, 1)
            self.voices[name] = _VoiceReader(Voice(name), self.key, meter, self.unit or _default_unit(meter))
        self.current = self.voices[name]
        return self.current

    def read_music(self, line: str, number: int) -> None:
        for kind, match in _matches(line, number):
            if kind == "space":
                continue
            if kind == "field":
                self.read_inline(match[0], number)
            else:
                _read_symbol(self.voice(), kind, match, number)
        state = self.voice()
        if state.chord is not None:
            raise NotationError("unbalanced_chord", "a chord '[' is not closed on its line.", number)
        if state.grace is not None:
            raise NotationError("unbalanced_grace", "grace notes '{' are not closed on their line.", number)

    def read_inline(self, text: str, number: int) -> None:
        letter, value = text[1], text[3:-1].strip()
        if letter in "KMLV":
            self.read_field(letter, value, number)

    def finish(self, line: int) -> Score:
        if self.key is None:
            raise NotationError("no_key", "the tune has no K: field, which ends the header; add for example K:G.", line)
        if self.meter is None:
            raise NotationError("no_metre", "the tune has no M: field; add for example M:6/8, or M:none.", line)
        readers = [reader for reader in self.voices.values() if any(isinstance(e, Note) for e in reader.voice.events)]
        if not readers:
            raise NotationError("no_notes", "the tune has no notes.", line)
        for reader in readers:
            reader.voice.clef = self.clefs.get(reader.voice.name, "")
            reader.voice.events = _tidy(reader.voice.events)
        if len(readers) == 1:
            readers[0].voice.name = readers[0].voice.clef = ""
        elif "" in self.voices:  # music before the first V:
            self.voices[""].voice.name = next(str(n) for n in count(1) if str(n) not in self.voices)
        return Score(self.fields, self.meter, self.key, [reader.voice for reader in readers])


def _default_unit(meter: Meter) -> int:
    """ABC 2.1, section 3.1.7: 1/16 when the metre is below 3/4, else 1/8."""
    small = not meter.is_free and 4 * meter.numerator < 3 * meter.denominator
    return TICKS_PER_WHOLE // (16 if small else 8)


def _read_symbol(state: _VoiceReader, kind: str, match: re.Match[str], number: int) -> None:
    events = state.voice.events
    if kind == "note":
        _read_note(state, match, number)
    elif kind == "bar":
        _read_bar(state, match[0], match["ending"] or "")
    elif kind == "ending":
        _read_bar(state, "", match["number"])
    elif kind == "rest":
        written = _length(match["rest_length"], state.unit, number)
        _add_timed(state, Rest(written, written), number)
    elif kind == "bar_rest":
        _read_bar_rest(state, int(match["n_bars"] or 1), number)
    elif kind == "tuplet":
        _read_tuplet(state, match, number)
    elif kind in ("slur_open", "slur_close"):
        events.append(Slur(kind == "slur_open"))
    elif kind == "tie":
        _read_tie(state)
    elif kind == "broken":
        state.broken = len(match[0]) if match[0][0] == ">" else -len(match[0])
        _lengthen_last(state, number)
    elif kind == "decoration":
        _read_decoration(state, match)
    elif kind == "quoted":
        _read_quoted(state, match[0][1:-1])
    else:
        _read_bracket(state, kind, match, number)


def _read_note(state: _VoiceReader, match: re.Match[str], number: int) -> None:
    pitch = _pitch(state, match["accidental"], match["letter"], match["marks"])
    if state.grace is not None:
        state.grace.append(pitch)
        return
    written = _length(match["length"], state.unit, number)
    if state.chord is None:
        _add_timed(state, Note((pitch,), written, written), number)
        return
    state.chord_length = state.chord_length or written
    if pitch not in state.chord:
        state.chord.append(pitch)


def _pitch(state: _VoiceReader, accidental: str | None, letter: str, marks: str) -> Pitch:
    octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
    name = letter.upper()
    if not 0 <= octave <= 9:
        raise NotationError("bad_pitch", f"the pitch {letter}{marks} lies outside MIDI's range.")
    base = 12 * (octave + 1) + SEMITONES[name]
    if accidental is not None:
        value = ACCIDENTAL_VALUE[accidental]
        state.bar_accidentals[name] = value
        return Pitch(name, octave, value, base + value)
    held = state.tied.get((name, octave))
    if held is not None:  # a tie carries its accidental over the bar line
        return Pitch(name, octave, None, held.midi)
    return Pitch(name, octave, None, base + state.bar_accidentals.get(name, state.key.accidentals[name]))


def _length(text: str, unit: int, number: int) -> int:
    if not text:
        return unit
    head, slash, tail = text.partition("/")
    extra = len(tail) - len(tail.lstrip("/"))
    tail = tail.lstrip("/")
    numerator = int(head or 1)
    denominator = (int(tail) if tail else 2 ** (extra + 1)) if slash else 1
    if numerator == 0 or denominator == 0 or denominator > 1024 or (unit * numerator) % denominator:
        raise NotationError("bad_length", f"the note length {text!r} cannot be counted.", number)
    ticks = unit * numerator // denominator
    if ticks > 64 * TICKS_PER_WHOLE:
        raise NotationError("bad_length", f"the note length {text!r} is over 64 whole notes.", number)
    return ticks


def _add_timed(state: _VoiceReader, event: Note | Rest, number: int) -> None:
    """Append a note or rest: decorations, broken rhythm and tuplets that wait for it are applied."""
    if state.broken:
        event.written = _scaled(event.written, state.broken < 0, abs(state.broken), number)
        state.broken = 0
    event.ticks = event.written
    p, q, left = state.tuplet
    if left:
        state.tuplet = (p, q, left - 1)
        event.ticks = _tuplet_ticks(event.written, p, q, number)
    if isinstance(event, Note):
        event.marks, state.marks = state.marks, ""
    state.tied = {}
    state.voice.events.append(event)


def _scaled(written: int, lengthen: bool, count: int, number: int) -> int:
    """Broken rhythm: with n marks one note takes 2 - 1/2^n of its length, the other 1/2^n."""
    scaled, rest = divmod(written * (2 ** (count + 1) - 1 if lengthen else 1), 2**count)
    if rest:
        raise NotationError("bad_length", "broken rhythm makes a note too short to count.", number)
    return scaled


def _tuplet_ticks(written: int, p: int, q: int, number: int) -> int:
    ticks, rest = divmod(written * q, p)
    if rest:
        raise NotationError("bad_tuplet", f"a note in a tuplet of {p} in the time of {q} cannot be counted.", number)
    return ticks


def _lengthen_last(state: _VoiceReader, number: int) -> None:
    """Apply > or < to the note before it; the sign waits in `state.broken` for the note after it."""
    last = next((e for e in reversed(state.voice.events) if isinstance(e, (Note, Rest, Bar))), None)
    if last is None or isinstance(last, Bar):
        state.broken = 0  # nothing to lengthen: a stray sign
        return
    scaled = _scaled(last.written, state.broken > 0, abs(state.broken), number)
    if (last.ticks * scaled) % last.written:
        raise NotationError("bad_length", "broken rhythm makes a note too short to count.", number)
    last.ticks, last.written = last.ticks * scaled // last.written, scaled


def _read_bar(state: _VoiceReader, text: str, ending: str) -> None:
    kind = _bar_kind(text)
    ending = ",".join(part for part in re.split(r"[,.]", ending) if part.strip("-"))
    state.bar_accidentals = {}
    state.marks = ""
    state.broken = 0
    events = state.voice.events
    if events and isinstance(events[-1], Bar) and not events[-1].ending:
        events[-1] = Bar(_merged_kind(events[-1].kind, kind), ending)
    else:
        events.append(Bar(kind, ending))


def _bar_kind(text: str) -> str:
    head, tail = text.lstrip("."), ""
    head = re.sub(r"[ \t]*\[?\d.*", "", head)
    if not head:
        return ""
    stripped = head.strip(":")
    opens, closes = head.endswith(":"), head.startswith(":")
    if not stripped:
        return "::"
    tail = stripped.replace("[", "")
    if ":" in tail:  # such as |:| or :||:|
        opens = closes = False
        tail = tail.replace(":", "")
    if opens or closes:
        return "::" if opens and closes else ("|:" if opens else ":|")
    return {"|": "|", "|]": "|]"}.get(tail, "||") if stripped != "[|]" else "|"


def _merged_kind(first: str, second: str) -> str:
    opens, closes = second in ("|:", "::") or first in ("|:", "::"), first in (":|", "::") or second in (":|", "::")
    if opens or closes:
        return "::" if opens and closes else ("|:" if opens else ":|")
    return next(kind for kind in ("|]", "||", "|", "") if kind in (first, second))


def _read_bar_rest(state: _VoiceReader, n_bars: int, number: int) -> None:
    """Z3 is three bars of rest, written out."""
    if state.meter.is_free or not 1 <= n_bars <= 64:
        raise NotationError("bad_length", f"Z{n_bars}: bars of rest need a metre and a count from 1 to 64.", number)
    for index in range(n_bars):
        if index:
            _read_bar(state, "|", "")
        _add_timed(state, Rest(state.meter.ticks, state.meter.ticks), number)


def _read_tuplet(state: _VoiceReader, match: re.Match[str], number: int) -> None:
    p = int(match["p"])
    q = int(match["q"] or 0) or tuplet_time(p, state.meter)
    count = int(match["r"] or 0) or p
    if p < 2 or q > 16 or count > 32:
        raise NotationError(
            "bad_tuplet", f"{match[0]!r} is not a tuplet; write (3, or (p:q:r with p from 2 to 9.", number
        )
    state.tuplet = (p, q, count)
    state.voice.events.append(Tuplet(p, q, count))


def _read_tie(state: _VoiceReader) -> None:
    if state.chord is not None:
        state.chord_tie = True
        return
    last = next((e for e in reversed(state.voice.events) if not isinstance(e, Slur)), None)
    if isinstance(last, Note):
        last.tie = True
        state.tied = {(p.letter, p.octave): p for p in last.pitches}


def _read_decoration(state: _VoiceReader, match: re.Match[str]) -> None:
    name = match["name"] or match["plus"]
    mark = _NAMED.get(name, f"!{name}!" if re.fullmatch(r"[a-z]{1,20}", name) else "") if name else match[0]
    known = mark.startswith("!") or mark in DECORATIONS
    if mark and known and mark not in state.marks and state.grace is None:
        state.marks += mark


def _read_quoted(state: _VoiceReader, text: str) -> None:
    symbol = text.strip().replace("♯", "#").replace("♭", "b")
    if re.fullmatch(CHORD_SYMBOL, symbol) and state.chord is None and state.grace is None:
        state.voice.events.append(ChordSymbol(symbol))


def _read_bracket(state: _VoiceReader, kind: str, match: re.Match[str], number: int) -> None:
    if kind == "chord_open":
        if state.chord is not None or state.grace is not None:
            raise NotationError("unbalanced_chord", "a chord '[' opens inside another.", number)
        state.chord, state.chord_length, state.chord_tie = [], 0, False
    elif kind == "chord_close":
        _close_chord(state, match["chord_length"], number)
    elif kind == "grace_open":
        if state.grace is not None:
            raise NotationError("unbalanced_grace", "grace notes '{' open inside others.", number)
        state.grace = []
    elif kind == "grace_close":
        if state.grace is None:
            raise NotationError("unbalanced_grace", "'}' closes no grace notes.", number)
        if state.grace:
            state.voice.events.append(Grace(tuple(state.grace)))
        state.grace = None


def _close_chord(state: _VoiceReader, length: str, number: int) -> None:
    if state.chord is None:
        raise NotationError("unbalanced_chord", "']' closes no chord.", number)
    pitches, state.chord = tuple(state.chord), None
    if not pitches:
        return
    outer = _length(length, UNIT_TICKS, number)
    written, rest = divmod(state.chord_length * outer, UNIT_TICKS)
    if rest:
        raise NotationError("bad_length", f"the chord length {length!r} cannot be counted.", number)
    tie = state.chord_tie
    _add_timed(state, Note(pitches, written, written), number)
    if tie:
        _read_tie(state)


def _append_change(events: list[Event], change: KeyChange | MeterChange) -> None:
    """A change right after another of its kind replaces it."""
    if events and type(events[-1]) is type(change):
        events[-1] = change
    else:
        events.append(change)


def _tidy(events: list[Event]) -> list[Event]:
    """Drop slurs without a partner, tuplets without notes, and what stands before the music for nothing."""
    open_slurs: list[int] = []
    dropped: set[int] = set()
    for index, event in enumerate(events):
        if isinstance(event, Slur) and event.opens:
            open_slurs.append(index)
        elif isinstance(event, Slur):
            if open_slurs:
                open_slurs.pop()
            else:
                dropped.add(index)
        elif isinstance(event, Tuplet) and not any(isinstance(e, (Note, Rest)) for e in events[index + 1 :]):
            dropped.add(index)
    dropped.update(open_slurs)
    kept: list[Event] = []
    for index, event in enumerate(events):
        before = kept[-1] if kept else None
        if index in dropped:
            continue
        if isinstance(event, Bar) and isinstance(before, Bar) and not before.ending:  # a stray slur stood between
            kept[-1] = Bar(_merged_kind(before.kind, event.kind), event.ending)
        else:
            kept.append(event)
    return kept
