"""The canonical spelling of a score: one text for equal music.

The conventions are those of `symbolic.notation.abc_parser`.
"""

from collections.abc import Iterator

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
    PartMark,
    Rest,
    Score,
    Slur,
    TempoChange,
    Tuplet,
    Voice,
)
from symbolic.notation.theory import Meter, length_text

DECORATIONS = ".~HLMOPSTuv"
MAX_BARE_TUPLET = 9  # notes of a tuplet that needs no ratio
_TUPLET_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


def canonical(score: Score) -> str:
    """The one spelling of a score, as the module's docstring fixes it."""
    header = _header(score)
    if len(score.voices) == 1 and not score.voices[0].name:
        return header + music_line(score.voices[0].events, score.meter) + "\n"
    return header + "".join(f"V:{v.name}\n{music_line(v.events, score.meter)}\n" for v in score.voices)


def _header(score: Score) -> str:
    header = f"M:{score.meter.text}\nL:1/8\nK:{score.key.text}\n"
    if len(score.voices) > 1 or score.voices[0].name:
        for voice in score.voices:
            header += f"V:{voice.name}" + (f" clef={clef}" if (clef := plain_clef(voice)) else "") + "\n"
    return header


def plain_clef(voice: Voice) -> str:
    """The clef without its octave sign: canonical text is in sounding pitch. '' for the clef of drums."""
    return voice.clef.rstrip("+-8").replace("perc", "")


def interleaved(score: Score) -> str:
    """The canonical spelling bar by bar, so that the voices of a bar stand together: for each bar, for each voice, a
    line `V:1` and the line of that bar. A score of one voice is spelled as `canonical` does; both read back equal."""
    if len(score.voices) == 1:
        return canonical(score)
    header = _header(score)
    bars = [list(_bar_texts(voice.events, score.meter)) for voice in score.voices]
    lines = []
    for index in range(max(map(len, bars))):
        for voice, own in zip(score.voices, bars, strict=True):
            lines += [f"V:{voice.name}\n{own[index]}\n"] if index < len(own) else []
    return header + "".join(lines)


def _bar_texts(events: list[Event], meter: Meter) -> Iterator[str]:
    """The text of each bar, its closing bar line included."""
    group: list[Event] = []
    for event in events:
        group.append(event)
        if isinstance(event, Bar) and any(isinstance(one, (Note, Rest)) for one in group):
            yield music_line(group, meter)
            meter = next((one.meter for one in reversed(group) if isinstance(one, MeterChange)), meter)
            group = []
    if group:
        yield music_line(group, meter)


def music_line(events: list[Event], meter: Meter) -> str:
    """The canonical music of one voice; `meter` decides which tuplets need no ratio."""
    parts: list[str] = []
    for place, event in enumerate(events):
        if isinstance(event, MeterChange):
            meter = event.meter
        text = event_text(event, meter)
        if isinstance(event, Tuplet) and _begins_with_colon(events[place + 1 : place + 2]):
            text = text_with_ratio(event)
        parts.append(text)
    return "".join(parts)


def text_with_ratio(event: Tuplet) -> str:
    """In full where a bar line follows: "(3::" would be read as its ratio."""
    return f"({event.p}:{event.q}:{event.count}"


def _begins_with_colon(events: list[Event]) -> bool:
    return any(isinstance(event, Bar) and event.kind.startswith(":") for event in events)


def event_text(event: Event, meter: Meter) -> str:
    """The canonical spelling of one event."""
    match event:
        case Note():
            chord, tie = chord_text(event)
            return event.marks + chord + length_text(event.written) + tie
        case Bar():
            return bar_text(event) + event.ending if event.kind else f"[{event.ending}"
        case Rest():
            return "z" + length_text(event.written)
        case Grace():
            return "{" + "".join(pitch.text for pitch in event.pitches) + "}"
        case Tuplet():
            default = event.count == event.p and event.q == tuplet_time(event.p, meter) and event.p <= MAX_BARE_TUPLET
            return f"({event.p}" if default else text_with_ratio(event)
        case Slur():
            return "(" if event.opens else ")"
        case ChordSymbol():
            return f'"{event.text}"'
        case KeyChange():
            return f"[K:{event.key.text}]"
        case MeterChange():
            return f"[M:{event.meter.text}]"
        case Annotation() | TempoChange() | Direction() | PartMark():
            return ""


def chord_text(note: Note) -> tuple[str, str]:
    """The pitches of a note or chord, and its tie: after the length, or inside the chord where only some go on."""
    if len(note.pitches) == 1:
        return note.pitches[0].text, "-" if note.tie else ""
    if not (note.tie and note.untied):
        return "[" + "".join(pitch.text for pitch in note.pitches) + "]", "-" if note.tie else ""
    signs = ("" if place in note.untied else "-" for place in range(len(note.pitches)))
    return "[" + "".join(pitch.text + sign for pitch, sign in zip(note.pitches, signs)) + "]", ""


def bar_text(bar: Bar) -> str:
    """A bar line; a colon more for each time more than two."""
    if bar.times == 2 or not bar.ends_repeat:
        return bar.kind
    return ":" * (bar.times - 1) + ("|:" if bar.starts_repeat else "|")


def tuplet_time(p: int, meter: Meter) -> int:
    """q of a bare (p in ABC 2.1, section 4.13: p notes in the time of q; from ten on the power of two below p."""
    if p > MAX_BARE_TUPLET:
        return int(2 ** ((p - 1).bit_length() - 1))
    return _TUPLET_TIME.get(p, 3 if meter.is_compound else 2)
