"""MusicXML from canonical ABC and back, written and read by music21.

The tune is read by our own parser, so the file says what the rest of the project plays and counts; music21 only lays it
out. Lengths are quarter notes as fractions (ticks / 10,080). Carried over: notes, chords, rests, ties, tuplets, graces,
slurs, bar lines, repeats and endings, key, metre and their changes, clefs, voices (a part each), chord symbols, and the
decorations in MARKS; other decorations are left out. The same text gives the same bytes.

Read back are the same but slurs, graces and decorations; lyrics, words, dynamics and all that only concerns the page
are left out too. Chord symbols are spelled as ABC has them, by the text that the file shows; one that stands inside a
note moves to the beginning of that note. A part's voices become voices of their own, its chord symbols stand in the
first, and a measure in which a voice is silent is a rest of its length. Reading other people's files belongs into a
guarded process (`symbolic.formats.sandbox`).

music21 takes seconds to import and about 50 ms a tune. MusicXML 4.0: w3.org/2021/06/musicxml40.
"""

import io
import re
import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any, cast

from symbolic.formats.engraving import Sign, measure_events
from symbolic.notation import abc_parser
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
    Voice,
)
from symbolic.notation.theory import LETTERS, SEMITONES, TICKS_PER_WHOLE, Key, Meter, NotationError, Pitch, parse_meter

TICKS_PER_QUARTER = TICKS_PER_WHOLE // 4
MODES = {
    "": "major",
    "m": "minor",
    "dor": "dorian",
    "phr": "phrygian",
    "lyd": "lydian",
    "mix": "mixolydian",
    "loc": "locrian",
}
MARKS = {  # ABC decoration -> module and class of music21
    ".": ("articulations", "Staccato"),
    "L": ("articulations", "Accent"),
    "u": ("articulations", "UpBow"),
    "v": ("articulations", "DownBow"),
    "H": ("expressions", "Fermata"),
    "T": ("expressions", "Trill"),
    "~": ("expressions", "Turn"),
    "M": ("expressions", "Mordent"),
    "P": ("expressions", "InvertedMordent"),
}
# What music21 writes of its own: the date, its version, itself as the composer.
_ADDED = re.compile(
    r"\s*<encoding-date>[^<]*</encoding-date>|\s*<software>[^<]*</software>"
    r'|\s*<creator type="composer">Music21</creator>'
)
# Kinds of chord as other programs and music21 abbreviate them -> as ABC's chord symbols do.
_KINDS = {"ø": "m7b5", "ø7": "m7b5", "°": "dim", "o": "dim", "°7": "dim7", "o7": "dim7", "Δ": "maj7", "Δ7": "maj7"}
_KINDS |= {"power": "5", "pedal": "", "dom7dim5": "7b5"}
_CHORD_PARTS = re.compile(r"([A-G][#b]?)([^/]*)(?:/([A-G][#b]?))?")
MOST_UNPACKED = 64 * 2**20  # bytes of a compressed file's score


def from_musicxml(data: bytes) -> Score:
    """The score in a MusicXML file's bytes, compressed (.mxl) or not: call it in a guarded process.

    Raises NotationError: bad_musicxml, too_large, no_notes, bad_metre, bad_key, bad_length.
    """
    import music21

    text = (_unzipped(data) if data[:2] == b"PK" else data).decode("utf-8-sig", errors="replace")
    if re.search(r"<!ENTITY", text[:4096]):
        raise NotationError("bad_musicxml", "it declares entities, which no score needs.")
    try:
        sheet = music21.converter.parseData(text, format="musicxml")
    except Exception as error:  # music21 and expat raise of many kinds
        raise NotationError("bad_musicxml", f"music21 cannot read it ({str(error)[:100]}).") from error
    return _Sheet(sheet).score()


def to_musicxml(text: str, *, title: str = "", composer: str = "", qpm: float | None = None) -> str:
    """MusicXML of a tune in canonical ABC, with what that leaves out: title, composer, quarter notes a minute.

    Raises NotationError, `inexpressible` where a length has no note value.
    """
    import music21

    score = abc_parser.parse(text)
    sheet = music21.stream.Score()
    sheet.metadata = music21.metadata.Metadata(title=title or score.title or "untitled")
    if composer:
        sheet.metadata.composer = composer
    parts = [_Part(voice, score.key, score.meter).build() for voice in score.voices]
    if qpm is not None:
        parts[0].recurse().getElementsByClass("Measure").first().insert(0, music21.tempo.MetronomeMark(number=qpm))
    for part in parts:
        sheet.insert(0, part)
    try:
        data = music21.musicxml.m21ToXml.GeneralObjectExporter(sheet).parse()
    except music21.exceptions21.Music21Exception as error:
        raise NotationError("inexpressible", f"music21 cannot write this tune as MusicXML: {error}") from error
    return _stable(data)


class _Part:
    """Lays out one voice, event by event."""

    def __init__(self, voice: Voice, key: Key, meter: Meter) -> None:
        import music21

        self.m21 = music21
        self.voice = voice
        self.part = music21.stream.Part()
        self.part.partName = voice.name
        self.measures: list[Any] = []
        self.measure = self.new_measure()
        self.measure.append(_clef(voice.clef))
        self.measure.append(_key(key))
        self.meter = meter
        if not meter.is_free:
            self.measure.append(music21.meter.TimeSignature(meter.text))
        self.ending: tuple[str, int] | None = None  # number, index of its first measure
        self.slurs: list[Any] = []
        self.opening = 0  # slurs that wait for their first note
        self.last: Any = None

    def build(self) -> Any:
        """The part, with measures, endings and slurs."""
        ties = _ties(self.voice)
        for index, event in enumerate(self.voice.events):
            self.add(event, ties)
            if isinstance(event, Bar) and _repeats_from_here(event, self.voice.events[index + 1 :]):
                self.measure.leftBarline = self.m21.bar.Repeat("start")
        self.close_ending()
        if len(self.measure.notesAndRests):
            self.finish_measure()
        for measure in self.measures:
            self.part.append(measure)
        self.number_measures()
        return self.part

    def add(self, event: Event, ties: Iterator[list[str]]) -> None:
        """Add one event to the open measure."""
        if isinstance(event, Note):
            self.add_note(event, next(ties))
        elif isinstance(event, Rest):
            self.measure.append(self.m21.note.Rest(quarterLength=_quarters(event.ticks)))
        elif isinstance(event, Grace):
            for pitch in event.pitches:
                self.measure.append(self.m21.note.Note(_pitch(pitch), quarterLength=0.5).getGrace())
        elif isinstance(event, Bar):
            self.add_bar(event)
        elif isinstance(event, Slur):
            self.add_slur(event)
        elif isinstance(event, KeyChange):
            self.measure.append(_key(event.key))
        elif isinstance(event, MeterChange) and not event.meter.is_free:
            self.measure.append(self.m21.meter.TimeSignature(event.meter.text))
        elif isinstance(event, ChordSymbol):
            self.measure.append(_chord_symbol(event.text))

    def add_note(self, event: Note, ties: list[str]) -> None:
        notes = [self.m21.note.Note(_pitch(pitch), quarterLength=_quarters(event.ticks)) for pitch in event.pitches]
        for note, tie in zip(notes, ties, strict=True):
            note.tie = self.m21.tie.Tie(tie) if tie else None
        sign = notes[0] if len(notes) == 1 else self.m21.chord.Chord(notes, quarterLength=_quarters(event.ticks))
        for mark in event.marks:
            self.decorate(sign, mark)
        self.measure.append(sign)
        for _ in range(self.opening):
            self.slurs.append(self.m21.spanner.Slur(sign))
        self.opening = 0
        self.last = sign

    def decorate(self, sign: Any, mark: str) -> None:
        if mark in MARKS:
            module, name = MARKS[mark]
            group = sign.articulations if module == "articulations" else sign.expressions
            group.append(getattr(getattr(self.m21, module), name)())

    def add_slur(self, event: Slur) -> None:
        if event.opens:
            self.opening += 1
        elif self.opening:
            self.opening -= 1
        elif self.slurs and self.last is not None:
            slur = self.slurs.pop()
            slur.addSpannedElements(self.last)
            self.part.insert(0, slur)

    def add_bar(self, event: Bar) -> None:
        """Close the open measure and begin the next; repeats and endings are put where MusicXML has them."""
        repeat = self.m21.bar.Repeat
        if len(self.measure.notesAndRests):
            self.measure.rightBarline = repeat("end") if event.ends_repeat else self.m21.bar.Barline(_style(event.kind))
            self.finish_measure()
        elif event.ends_repeat and self.measures:
            self.measures[-1].rightBarline = repeat("end")
        if event.starts_repeat:
            self.measure.leftBarline = repeat("start")
        if event.ending or event.kind not in ("|", ""):
            self.close_ending()
        if event.ending:
            self.ending = (event.ending, len(self.measures))

    def finish_measure(self) -> None:
        self.measures.append(self.measure)
        self.measure = self.new_measure()

    def new_measure(self) -> Any:
        return self.m21.stream.Measure()

    def close_ending(self) -> None:
        """Put the bracket over the measures of the ending that is open."""
        if self.ending is None:
            return
        number, first = self.ending
        measures = self.measures[first:] + ([self.measure] if len(self.measure.notesAndRests) else [])
        if measures:
            self.part.insert(0, self.m21.spanner.RepeatBracket(measures, number=number))
        self.ending = None

    def number_measures(self) -> None:
        """From 1; a pick-up is number 0."""
        full = _quarters(self.meter.ticks) if not self.meter.is_free else 0
        pickup = bool(self.measures) and len(self.measures) > 1 and 0 < self.measures[0].duration.quarterLength < full
        if pickup:
            self.measures[0].paddingLeft = full - self.measures[0].duration.quarterLength
            self.measures[0].showNumber = self.m21.stream.enums.ShowNumber.NEVER
        for number, measure in enumerate(self.measures, start=0 if pickup else 1):
            measure.number = number


def _repeats_from_here(bar: Bar, rest: list[Event]) -> bool:
    """Whether after :| a section ends in :| with no |: of its own: ABC implies that one, MusicXML does not."""
    following = next((e for e in rest if isinstance(e, Bar) and (e.starts_repeat or e.ends_repeat)), None)
    return bar.kind == ":|" and not bar.ending and following is not None and following.ends_repeat


def _quarters(ticks: int) -> Fraction:
    return Fraction(ticks, TICKS_PER_QUARTER)


def _pitch(pitch: Pitch) -> Any:
    from music21.pitch import Pitch as SheetPitch

    natural = 12 * (pitch.octave + 1) + SEMITONES[pitch.letter]
    alteration = pitch.midi - natural
    return SheetPitch(step=cast(Any, pitch.letter), octave=pitch.octave, accidental=alteration or None)


def _key(key: Key) -> Any:
    from music21.key import Key as SheetKey

    return SheetKey(key.tonic.replace("b", "-"), MODES[key.mode])


def _clef(name: str) -> Any:
    from music21 import clef

    return clef.clefFromString(name.replace("+8", "8va").replace("-8", "8vb") or "treble")


def _chord_symbol(text: str) -> Any:
    """A harmony with our own text of its kind; one that music21 does not know is of the kind "other"."""
    from music21 import exceptions21, harmony

    parts = _CHORD_PARTS.fullmatch(text)
    assert parts is not None  # the parser takes nothing else for a chord symbol
    root, suffix, bass = parts[1].replace("b", "-"), parts[2], (parts[3] or "").replace("b", "-")
    try:
        symbol = harmony.ChordSymbol(root + suffix.replace("-", "m") + (f"/{bass}" if bass else ""))
    except (exceptions21.Music21Exception, ValueError, KeyError):
        symbol = None
    if symbol is None or symbol.chordKind in ("", "none") or symbol.root().name != root:
        symbol = harmony.ChordSymbol(root=root, bass=bass or None, kind="other")
    symbol.chordKindStr = suffix
    return symbol


def _style(kind: str) -> str:
    return {"||": "double", "|]": "final", "": "none"}.get(kind, "regular")


def _ties(voice: Voice) -> Iterator[list[str]]:
    """For each note, for each pitch: '', 'start', 'continue' or 'stop'. A tie needs its pitch on both sides."""
    groups: list[Note | None] = [
        e if isinstance(e, Note) else None for e in voice.events if isinstance(e, (Note, Rest))
    ]
    for before, note, after in zip([None, *groups], groups, [*groups[1:], None], strict=False):
        if note is None:
            continue
        left = {p.midi for p in before.pitches} if before and before.tie else set()
        right = {p.midi for p in after.pitches} if after and note.tie else set()
        yield [_tie(p.midi in left, p.midi in right) for p in note.pitches]


def _tie(from_left: bool, to_right: bool) -> str:
    if from_left and to_right:
        return "continue"
    return "stop" if from_left else ("start" if to_right else "")


def _stable(data: bytes) -> str:
    """Without what changes from run to run: the date, and the parts' names, which music21 draws at random."""
    text = _ADDED.sub("", data.decode("utf-8"))
    names = dict.fromkeys(re.findall(r'id="([IP][0-9a-f]{8,})"', text))
    for number, name in enumerate(names, start=1):
        text = text.replace(name, f"{name[0]}{number}")
    return text


# --- reading ---------------------------------------------------------------------------------------------------------


def _unzipped(data: bytes) -> bytes:
    """The score of a .mxl archive: the member that its container names, else its first XML member."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [one for one in archive.namelist() if one.lower().endswith((".xml", ".musicxml"))]
            scores = [one for one in names if not one.startswith("META-INF")]
            if not scores:
                raise NotationError("bad_musicxml", "the archive holds no score.")
            with archive.open(scores[0]) as stream:
                unpacked = stream.read(MOST_UNPACKED + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise NotationError("bad_musicxml", f"the archive is damaged ({error}).") from error
    if len(unpacked) > MOST_UNPACKED:
        raise NotationError("too_large", f"it unpacks to over {MOST_UNPACKED // 2**20} MiB.")
    return unpacked


class _Sheet:
    """Reads music21's score into ours."""

    def __init__(self, sheet: Any) -> None:
        import music21

        self.m21 = music21
        self.sheet = sheet
        self.parts = list(sheet.parts)

    def score(self) -> Score:
        """Key and metre of the first measure stand in the header."""
        first = next((measure for part in self.parts for measure in part.getElementsByClass("Measure")), None)
        if first is None:
            raise NotationError("no_notes", "it has no measures.")
        self.key, self.meter = _sheet_key(first) or Key("C"), _sheet_meter(first) or Meter(0, 1)
        voices = [voice for part in self.parts for voice in self.voices(part)]
        voices = [voice for voice in voices if any(isinstance(event, Note) for event in voice.events)]
        if not voices:
            raise NotationError("no_notes", "it has no notes.")
        for number, voice in enumerate(voices, start=1):
            voice.name = str(number) if len(voices) > 1 else ""
            voice.clef = voice.clef if len(voices) > 1 else ""
        return Score(self.fields(), self.meter, self.key, voices)

    def fields(self) -> dict[str, list[str]]:
        """Title, composer and tempo as header fields."""
        data = self.sheet.metadata
        named = {"T": getattr(data, "bestTitle", None), "C": getattr(data, "composer", None)}
        marks = self.sheet.recurse().getElementsByClass(self.m21.tempo.MetronomeMark)
        qpm = next((mark.getQuarterBPM() for mark in marks), None)
        named["Q"] = f"1/4={qpm:g}" if qpm else None
        return {letter: [" ".join(str(value).split())] for letter, value in named.items() if value}

    def voices(self, part: Any) -> Iterator[Voice]:
        """Each voice of a part, the first one with what belongs to all."""
        measures = list(part.getElementsByClass("Measure"))
        names = sorted({str(voice.id) for measure in measures for voice in measure.voices}) or [""]
        endings = self.endings(part)
        for index, name in enumerate(names):
            yield Voice("", _sheet_clef(part), self.events(measures, name, index == 0, endings))

    def events(self, measures: list[Any], name: str, is_first: bool, endings: dict[int, str]) -> list[Event]:
        key, meter = self.key, self.meter
        events: list[Event] = []
        for measure in measures:
            new_key, new_meter = _sheet_key(measure) or key, _sheet_meter(measure) or meter
            events += [KeyChange(new_key)] if new_key != key else []
            events += [MeterChange(new_meter)] if new_meter != meter else []
            key, meter = new_key, new_meter
            starts = isinstance(measure.leftBarline, self.m21.bar.Repeat)
            ending = endings.get(id(measure), "")
            if starts or ending:
                _open_bar(events, "|:" if starts else "", ending)
            signs = list(self.signs(measure, name, is_first))
            events += measure_events(self.accompanied(measure, signs) if is_first else signs, key)
            events.append(Bar(self.right_bar(measure)))
        return events

    def signs(self, measure: Any, name: str, is_first: bool) -> Iterator[Sign]:
        """The notes, chords and rests of one voice, gaps filled with rests."""
        voices = {str(voice.id): voice for voice in measure.voices}
        source = voices.get(name, measure if is_first and not voices else None)
        end = 0
        for one in source.notesAndRests if source is not None else ():
            if one.duration.isGrace or isinstance(one, self.m21.harmony.Harmony) or _is_hidden(one):
                continue
            start = _ticks(one.offset)
            if start > end:
                yield Sign(start - end)
            ticks = _ticks(one.duration.quarterLength) - max(0, end - start)
            if ticks > 0:
                yield Sign(ticks, tuple(_sheet_pitch(p) for p in getattr(one, "pitches", ())), _leads_on(one))
                end = max(start, end) + ticks
        whole = max((_ticks(one.offset + one.duration.quarterLength) for one in self.shown(measure)), default=0)
        if whole > end:
            yield Sign(whole - end)

    def accompanied(self, measure: Any, signs: list[Sign]) -> list[Sign]:
        """The signs of a measure, each with the chord symbols that stand at it or before the next."""
        starts = list(accumulate((sign.ticks for sign in signs), initial=0))[:-1]
        symbols: list[list[str]] = [[] for _ in signs]
        for one in measure.recurse().getElementsByClass(self.m21.harmony.Harmony) if signs else ():
            text = _chord_text(one)
            if text:
                symbols[bisect_right(starts, _ticks(one.getOffsetInHierarchy(measure))) - 1].append(text)
        return [replace(sign, symbols=tuple(own)) for sign, own in zip(signs, symbols, strict=True)]

    def shown(self, measure: Any) -> Iterator[Any]:
        """The notes and rests of all voices; hidden rests fill up bars that are meant to be short, as pick-ups are."""
        for source in measure.voices or [measure]:
            yield from (one for one in source.notesAndRests if not _is_hidden(one))

    def endings(self, part: Any) -> dict[int, str]:
        """The number of each ending by the identity of its first measure."""
        brackets = part.recurse().getElementsByClass(self.m21.spanner.RepeatBracket)
        return {id(bracket.getFirst()): ",".join(map(str, bracket.numberRange)) for bracket in brackets}

    def right_bar(self, measure: Any) -> str:
        line = measure.rightBarline
        if isinstance(line, self.m21.bar.Repeat) and line.direction == "end":
            return ":|"
        return {"final": "|]", "double": "||"}.get(getattr(line, "type", ""), "|")


def _open_bar(events: list[Event], kind: str, ending: str) -> None:
    """The bar line that a measure begins with, made one with that before it."""
    before = events[-1] if events and isinstance(events[-1], Bar) else None
    if before is None:
        events.append(Bar(kind, ending))
    elif kind:
        events[-1] = Bar("::" if before.kind == ":|" else "|:", ending)
    else:
        events[-1] = Bar(before.kind, ending)


def _ticks(quarters: Any) -> int:
    return round(Fraction(quarters).limit_denominator(10_080) * TICKS_PER_QUARTER)


def _sheet_key(measure: Any) -> Key | None:
    found = measure.keySignature
    if found is None:
        return None
    if getattr(found, "tonic", None) is None:
        found = found.asKey("major")
    modes = {name: mode for mode, name in MODES.items()}
    key = Key(found.tonic.name.replace("-", "b"), modes.get(found.mode, ""))
    if len(key.tonic) > 2 or abs(key.sharps) > 7:
        raise NotationError("bad_key", f"the key {found} has more than seven accidentals.")
    return key


def _sheet_meter(measure: Any) -> Meter | None:
    found = measure.timeSignature
    return parse_meter(f"{found.numerator}/{found.denominator}") if found is not None else None


def _chord_text(one: Any) -> str:
    """A harmony as ABC spells it: root, the kind as the file shows it, degrees that this does not name, bass. '' for
    "no chord", and where it has no root."""
    from music21 import harmony

    if one.chordKind == "none" or one.root() is None:
        return ""
    root, bass = (pitch.name.replace("-", "b") for pitch in (one.root(), one.bass()))
    named = "" if one.chordKind == "other" else harmony.getCurrentAbbreviationFor(one.chordKind) or ""
    under = f"/{bass}" if bass != root else ""
    for kind in (re.sub(r"\s", "", one.chordKindStr or named), named, ""):
        kind = _KINDS.get(kind, kind)
        text = root + kind + _degrees(one, kind) + under
        if re.fullmatch(abc_parser.CHORD_SYMBOL, text):
            return text
    return ""


def _degrees(one: Any, kind: str) -> str:
    """The degrees that are added or altered and not in the name of the kind: add9, #11, b5."""
    text = ""
    for step in one.getChordStepModifications():
        if step.modType != "subtract" and str(step.degree) not in kind:
            alteration = round(step.interval.semitones if step.interval is not None else 0)
            text += ({-1: "b", 1: "#"}.get(alteration, "add")) + str(step.degree)
    return text


def _sheet_clef(part: Any) -> str:
    """The first clef, of those that ABC text here names."""
    from music21 import clef

    found = next(iter(part.recurse().getElementsByClass(clef.Clef)), None)
    named = {"Treble8vbClef": "treble-8", "Treble8vaClef": "treble+8", "BassClef": "bass", "AltoClef": "alto"}
    return named.get(type(found).__name__, "tenor" if type(found).__name__ == "TenorClef" else "treble")


def _sheet_pitch(pitch: Any) -> tuple[str, int, int]:
    """Quarter tones are rounded; triple accidentals are refused."""
    alter = round(pitch.accidental.alter) if pitch.accidental is not None else 0
    if pitch.step not in LETTERS or not -2 <= alter <= 2 or pitch.octave is None or not 0 <= pitch.octave <= 9:
        raise NotationError("bad_pitch", f"the pitch {pitch} cannot be written in ABC.")
    return pitch.step, pitch.octave, alter


def _is_hidden(one: Any) -> bool:
    return bool(one.isRest and one.hasStyleInformation and one.style.hideObjectOnPrint)


def _leads_on(one: Any) -> bool:
    """Whether a note, or any note of a chord, is tied to the next."""
    ties = [one.tie, *(note.tie for note in getattr(one, "notes", ()))]
    return any(tie is not None and tie.type in ("start", "continue") for tie in ties)
