"""How a score is written as ABC: the canonical text, and the same music laid out for people.

The conventions are those of `symbolic.notation.abc_parser`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

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
)
from symbolic.notation.theory import Meter, length_text

DECORATIONS = ".~HLMOPSTuv"
BARS_PER_LINE = 4
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
            header += f"V:{voice.name}" + (f" clef={voice.clef}" if voice.clef else "") + "\n"
    return header


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
            text = _with_ratio(event)
        parts.append(text)
    return "".join(parts)


def _with_ratio(event: Tuplet) -> str:
    """In full where a bar line follows: "(3::" would be read as its ratio."""
    return f"({event.p}:{event.q}:{event.count}"


def _begins_with_colon(events: list[Event]) -> bool:
    return any(isinstance(event, Bar) and event.kind.startswith(":") for event in events)


def event_text(event: Event, meter: Meter) -> str:
    """The canonical spelling of one event."""
    match event:
        case Note():
            names = "".join(pitch.text for pitch in event.pitches)
            chord = names if len(event.pitches) == 1 else f"[{names}]"
            return event.marks + chord + length_text(event.written) + ("-" if event.tie else "")
        case Bar():
            return event.kind + event.ending if event.kind else f"[{event.ending}"
        case Rest():
            return "z" + length_text(event.written)
        case Grace():
            return "{" + "".join(pitch.text for pitch in event.pitches) + "}"
        case Tuplet():
            default = event.count == event.p and event.q == tuplet_time(event.p, meter)
            return f"({event.p}" if default else _with_ratio(event)
        case Slur():
            return "(" if event.opens else ")"
        case ChordSymbol():
            return f'"{event.text}"'
        case KeyChange():
            return f"[K:{event.key.text}]"
        case MeterChange():
            return f"[M:{event.meter.text}]"


def tuplet_time(p: int, meter: Meter) -> int:
    """q of a bare (p in ABC 2.1, section 4.13: p notes in the time of q."""
    return _TUPLET_TIME.get(p, 3 if meter.is_compound else 2)


def laid_out(score: Score, *, number: int, title: str, fields: Mapping[str, str | Sequence[str]]) -> str:
    """ABC for people: X:, T:, `fields`, beams by the metre, four bars a line. Ends with a line end."""
    header = [*information(number, title, fields), f"M:{score.meter.text}", "L:1/8"]
    named = len(score.voices) > 1 or bool(score.voices[0].name)
    if named:
        header += [f"V:{v.name}" + (f" clef={v.clef}" if v.clef else "") for v in score.voices]
    lines = [*header, f"K:{score.key.text}"]
    for voice in score.voices:
        lines += [f"V:{voice.name}"] if named else []
        lines.append(_beamed(voice.events, score.meter))
    return "\n".join(lines) + "\n"


def information(number: int, title: str, fields: Mapping[str, str | Sequence[str]]) -> list[str]:
    """The lines X:, T: and those of `fields`, each of one value or several; the letter % makes a comment."""
    lines = [f"X:{number}", f"T:{_one_line(title) or 'untitled'}"]
    for letter, values in fields.items():
        begin = "% " if letter == "%" else f"{letter}:"
        lines += [begin + _one_line(value) for value in ([values] if isinstance(values, str) else values)]
    return lines


def _one_line(text: str) -> str:
    """Free text that cannot end its field: no line ends, no comment sign."""
    return re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f%]", " ", text)).strip()


def _beamed(events: list[Event], meter: Meter) -> str:
    parts: list[str] = []
    n_bars = 0
    measures = list(_measures(events))
    for place, measure in enumerate(measures):
        opening = measure[0] if isinstance(measure[0], Bar) else None
        if opening is not None:
            parts.append(event_text(opening, meter))
            n_bars += 1
            if n_bars % BARS_PER_LINE == 0 and not opening.ending and opening.kind != "|:" and len(measure) > 1:
                parts.append("\n")
            else:
                parts.append(" ")
        meter = next((e.meter for e in measure if isinstance(e, MeterChange)), meter)
        closing = measures[place + 1][0] if place + 1 < len(measures) else None
        may_lead = _may_be_pickup(opening if place else None, closing)
        parts.append(_beamed_measure(measure[opening is not None :], meter, may_lead))
    return "".join(parts).strip()


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


def _beamed_measure(events: list[Event], meter: Meter, may_lead: bool) -> str:
    """One measure with a space at each beat; in a pick-up beats are counted from the bar line that it leads to."""
    total = sum(e.ticks for e in events if isinstance(e, (Note, Rest)))
    position = (-total) % meter.beat_ticks if may_lead and total < meter.ticks else 0
    text, gap = "", False
    for event in events:
        if gap and not (isinstance(event, Slur) and not event.opens):
            text, gap = text + " ", False
        is_last = event is events[-1]
        text += _with_ratio(event) if is_last and isinstance(event, Tuplet) else event_text(event, meter)
        if isinstance(event, (Note, Rest)):
            position += event.ticks
            gap = position % meter.beat_ticks == 0
    return text
