"""MusicXML from canonical ABC, written by music21.

The tune is read by our own parser, so the file says what the rest of the project plays and counts; music21 only lays it
out. Lengths are quarter notes as fractions (ticks / 10,080). Carried over: notes, chords, rests, ties, tuplets, graces,
slurs, bar lines, repeats and endings, key, metre and their changes, clefs, voices (a part each), chord symbols, and the
decorations in MARKS; other decorations are left out. The same text gives the same bytes.

music21 takes seconds to import and about 50 ms a tune. MusicXML 4.0: w3.org/2021/06/musicxml40.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

from symbolic.data import notation
from symbolic.data.music import SEMITONES, TICKS_PER_WHOLE, Key, Meter, NotationError, Pitch
from symbolic.data.score import Bar, ChordSymbol, Event, Grace, KeyChange, MeterChange, Note, Rest, Slur, Voice

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


def to_musicxml(text: str, *, title: str = "") -> str:
    """MusicXML of a tune in canonical ABC. Raises NotationError, `inexpressible` where a length has no note value."""
    import music21

    score = notation.parse(text)
    sheet = music21.stream.Score()
    sheet.metadata = music21.metadata.Metadata(title=title or score.title or "untitled")
    for voice in score.voices:
        sheet.insert(0, _Part(voice, score.key, score.meter).build())
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
    """A harmony where music21 knows the name, else words above the staff."""
    from music21 import exceptions21, expressions, harmony

    root = text[0] + ("-" if text[1:2] == "b" else text[1:2]) + text[2:]
    try:
        return harmony.ChordSymbol(root)
    except (exceptions21.Music21Exception, ValueError, KeyError):
        return expressions.TextExpression(text)


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
