"""A score laid out as ABC for people: X: and T:, header fields, beams by the meter, four bars a line."""

import re
from collections.abc import Iterator, Mapping, Sequence

from symbolic.notation.canonical import event_text, text_with_ratio
from symbolic.notation.score import Bar, Event, MeterChange, Note, Rest, Score, Slur, Tuplet
from symbolic.notation.theory import Meter

BARS_PER_LINE = 4


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
        text += text_with_ratio(event) if is_last and isinstance(event, Tuplet) else event_text(event, meter)
        if isinstance(event, (Note, Rest)):
            position += event.ticks
            gap = position % meter.beat_ticks == 0
    return text
