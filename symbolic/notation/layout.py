"""A score laid out as ABC for people, with all that its writer put beside the notes.

Header fields, names and sounds of voices, lyrics, annotations, tempo changes, directions and parts stand where the
score has them. Beams and lines are the writer's own where the source had them; else beams go by the meter and four bars
stand on a line. A voice with an octave clef is written an octave off, as ABC has it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from symbolic.notation.canonical import event_text, text_with_ratio
from symbolic.notation.performance import DYNAMICS
from symbolic.notation.play_order import jump_signs
from symbolic.notation.reading.lexer import CHORD_SYMBOL
from symbolic.notation.reading.lyric_lines import lyric_text
from symbolic.notation.reading.text_strings import encode
from symbolic.notation.score import (
    Annotation,
    Bar,
    Direction,
    Event,
    Grace,
    MeterChange,
    Note,
    PartMark,
    Rest,
    Score,
    Slur,
    TempoChange,
    Tuplet,
    Voice,
    WrittenOnly,
)
from symbolic.notation.theory import Meter

BARS_PER_LINE = 4
_AFTER_MUSIC = "W"  # words that stand below the tune


def laid_out(score: Score, *, number: int, title: str, fields: Mapping[str, str | Sequence[str]]) -> str:
    """ABC for people: X:, T:, `fields`, the voices with what is written beside their notes. Ends with a line end.

    Reading it gives a score with the same canonical text.
    """
    above = {letter: values for letter, values in fields.items() if letter != _AFTER_MUSIC}
    lines = [*information(number, title, above), f"M:{score.meter.text}", "L:1/8"]
    several = len(score.voices) > 1 or bool(score.voices[0].name)
    lines += [line for voice in score.voices for line in _voice_lines(voice, several)]
    lines.append(f"K:{score.key.text}")
    for place, voice in enumerate(score.voices):
        lines += [f"V:{voice.name}"] if several else []
        lines += _Layout(voice, score.meter, place > 0 and _is_marked(score.voices[0])).lines()
    words = fields.get(_AFTER_MUSIC, ())
    lines += [f"{_AFTER_MUSIC}:{_text_string(value)}" for value in ([words] if isinstance(words, str) else words)]
    return "\n".join(lines) + "\n"


def has_own_beams(events: Sequence[Event]) -> bool:
    """True where the source says by spaces which notes are beamed together."""
    return any(
        isinstance(event, (Note, Rest)) and event.spaced and not isinstance(after, Bar)
        for event, after in pairwise(events)
    )


def information(number: int, title: str, fields: Mapping[str, str | Sequence[str]]) -> list[str]:
    """The lines X:, T: and those of `fields`, each of one value or several; the letter % makes a comment."""
    lines = [f"X:{number}", f"T:{_text_string(title) or 'untitled'}"]
    for letter, values in fields.items():
        begin = "% " if letter == "%" else f"{letter}:"
        as_line = _one_line if letter in "%F" else _text_string
        lines += [begin + as_line(value) for value in ([values] if isinstance(values, str) else values)]
    return lines


def _one_line(text: str) -> str:
    """Free text that cannot end its field: no line ends, and no comment's beginning."""
    return re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f]", " ", text)).strip().replace("%", r"\%")


def _text_string(text: str) -> str:
    """Free text that cannot end its field and is read back as it is."""
    return _one_line(encode(text))


def _voice_lines(voice: Voice, several: bool) -> list[str]:
    """The V: field of the header with clef and names, and its program; none for a voice of which nothing is said."""
    said = [f"clef={voice.clef}"] if voice.clef else []
    for name, text in (("name", voice.title), ("snm", voice.short_title)):
        said += [f'{name}="{_quotable(text)}"'] if text else []
    sound = [f"%%MIDI program {voice.program}"] if voice.program is not None else []
    sound += ["%%MIDI channel 10"] if voice.drums else []
    return [" ".join([f"V:{voice.name or 1}", *said]), *sound] if several or said or sound else []


def _quotable(text: str) -> str:
    return _text_string(text.replace('"', "'"))


def _is_marked(voice: Voice) -> bool:
    """True where a voice has parts or jumps, which hold for all voices and are written once."""
    return any(isinstance(event, PartMark) or jump_signs(event) for event in voice.events)


class _Layout:
    """One voice as lines of music, with its lyrics below each."""

    def __init__(self, voice: Voice, meter: Meter, marked_elsewhere: bool) -> None:
        octaves = {"-8": 1, "+8": -1}.get(voice.clef[-2:], 0)
        events = [event for event in voice.events if not (marked_elsewhere and _is_shared(event))]
        self.events = [_moved(event, octaves) for event in events] if octaves else events
        self.meter = meter
        self.has_own_beams = has_own_beams(self.events)
        bars = [event for event in self.events[:-1] if isinstance(event, Bar)]
        n_lines = sum(bar.line_end for bar in bars)
        self.has_own_lines = 0 < 2 * n_lines <= len(bars)

    def lines(self) -> Iterator[str]:
        """Yield the lines of music and w: fields."""
        text, notes = "", list[Note]()
        for part in self._parts():
            if isinstance(part, Note):
                notes.append(part)
            elif part == "\n":
                yield from _with_lyrics(text.strip(), notes)
                text, notes = "", []
            else:
                text += part
        yield from _with_lyrics(text.strip(), notes)

    def _parts(self) -> Iterator[str | Note]:
        """Yield pieces of text, each bar's notes after it, and line ends."""
        n_bars, meter = 0, self.meter
        measures = list(_measures(self.events))
        for place, measure in enumerate(measures):
            opening = measure[0] if isinstance(measure[0], Bar) else None
            if opening is not None:
                n_bars += 1
                yield from self._bar_line(opening, n_bars, is_last=len(measure) == 1, meter=meter)
            meter = next((e.meter for e in measure if isinstance(e, MeterChange)), meter)
            closing = measures[place + 1][0] if place + 1 < len(measures) else None
            may_lead = _may_be_pickup(opening if place else None, closing)
            yield self._beamed_measure(measure[opening is not None :], meter, may_lead)
            yield from (event for event in measure if isinstance(event, Note))

    def _bar_line(self, bar: Bar, n_bars: int, *, is_last: bool, meter: Meter) -> Iterator[str]:
        """Yield a bar line and the space or line end at it."""
        text = event_text(bar, meter)
        if self.has_own_lines and bar.line_end and not is_last:
            yield from self._at_line_end(bar, text)
        elif self.has_own_lines:
            yield text + " "
        else:
            breaks = n_bars % BARS_PER_LINE == 0 and not bar.ending and bar.kind != "|:" and not is_last
            yield text
            yield "\n" if breaks else " "

    def _at_line_end(self, bar: Bar, text: str) -> Iterator[str]:
        """Yield a bar line with the line end in it: what ends a section stays, what begins one goes to the next."""
        if bar.kind == "::" and bar.times == 2 and not bar.ending:
            yield from (":|", "\n", "|: ")
        elif bar.kind == "|:" and not bar.ending:
            yield from ("\n", "|: ")
        elif bar.ending and bar.kind not in ("|:", "::"):
            yield from (text.removesuffix(bar.ending), "\n", f"[{bar.ending} ")
        else:
            yield from (text, "\n")

    def _beamed_measure(self, events: list[Event], meter: Meter, may_lead: bool) -> str:
        """One measure with a space between beams: the writer's, else at each beat; in a pick-up beats are counted from
        the bar line that it leads to."""
        total = sum(e.ticks for e in events if isinstance(e, (Note, Rest)))
        position = (-total) % meter.beat_ticks if may_lead and total < meter.ticks else 0
        text, gap = "", False
        for place, event in enumerate(events):
            if gap and not (isinstance(event, Slur) and not event.opens):
                text, gap = text + " ", False
            text += _text(event, meter, is_last=all(isinstance(e, WrittenOnly) for e in events[place + 1 :]))
            if isinstance(event, (Note, Rest)):
                position += event.ticks
                gap = event.spaced if self.has_own_beams else position % meter.beat_ticks == 0
        return text


def _with_lyrics(text: str, notes: list[Note]) -> Iterator[str]:
    """Yield a line of music and its w: fields."""
    yield text
    n_verses = max((len(note.syllables) for note in notes), default=0)
    for verse in range(n_verses):
        yield "w: " + (lyric_text(notes, verse).replace("%", r"\%") or "*")


def _is_shared(event: Event) -> bool:
    return isinstance(event, PartMark) or (isinstance(event, Direction) and bool(jump_signs(event)))


def _moved(event: Event, octaves: int) -> Event:
    """A note as it is written for an octave clef."""
    if not isinstance(event, (Note, Grace)):
        return event
    return replace(event, pitches=tuple(replace(pitch, octave=pitch.octave + octaves) for pitch in event.pitches))


def _text(event: Event, meter: Meter, is_last: bool) -> str:
    """An event in ABC for people; `is_last` before a bar line."""
    match event:
        case Annotation(text):
            sign = "^" if re.fullmatch(CHORD_SYMBOL, text) else ""
            return f'"{sign}{_quotable(text)}"'
        case TempoChange(text):
            return f"[Q:{_one_line(text).replace(']', ')')}]"
        case PartMark(name):
            return f"[P:{_one_line(name).replace(']', ')')}]"
        case Direction(name):
            free = is_last or name in DYNAMICS or not re.fullmatch("[a-z]{1,20}", name)
            return f"!{name}!" if free else f'"^{_quotable(name)}"'  # before a note it would be a decoration
        case Rest() if event.hidden:
            return "x" + event_text(event, meter)[1:]
        case Grace() if event.slashed:
            return "{/" + event_text(event, meter)[1:]
        case Tuplet() if is_last:
            return text_with_ratio(event)
        case _:
            return event_text(event, meter)


def _measures(events: list[Event]) -> Iterator[list[Event]]:
    """Groups of events, each begun by its bar line (the first may have none)."""
    group: list[Event] = []
    for event in events:
        if isinstance(event, Bar) and group:
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _may_be_pickup(opening: Bar | None, closing: Event | None) -> bool:
    """Whether a measure, if short, leads into the next one: it begins a section or the tune, and does not end it."""
    begins = opening is None or (opening.kind != "|" and not opening.ending)
    return begins and isinstance(closing, Bar) and closing.kind not in (":|", "::", "|]")
