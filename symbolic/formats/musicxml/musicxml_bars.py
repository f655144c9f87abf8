"""A voice cut into the measures of MusicXML, with the repeats and endings that play what ABC plays.

Programs go back from a backward repeat to the last forward one, else to the beginning. ABC goes back to a double bar as
well, and forgives a forgotten `:|`, so that both signs are written from the order of playing
(`symbolic.notation.play_order`), not only where the score has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from symbolic.notation.play_order import ending_numbers, sections
from symbolic.notation.score import Bar, Event, MeterChange, Note, Rest, Slur, Voice, WrittenOnly
from symbolic.notation.theory import Meter


@dataclass
class Measure:
    """The events between two bar lines of a voice, with the meter in force and the bar lines beside it.

    `places` are those of its notes and rests among the voice's events; `times` is how often a repeat that ends here is
    played, 0 where none does.
    """

    events: list[Event]
    meter: Meter
    places: list[int]
    right: Bar | None = None
    starts_repeat: bool = False
    times: int = 0
    ending: str = ""
    ended: str = ""  # the number of an ending that ends here

    @property
    def ticks(self) -> int:
        """Its length."""
        return sum(event.ticks for event in self.events if isinstance(event, (Note, Rest)))


def measures_of(voice: Voice, meter: Meter) -> list[Measure]:
    """The measures of a voice; bar lines with nothing between them are one."""
    measures: list[Measure] = []
    measure = Measure([], meter, [])
    for place, event in enumerate(voice.events):
        if isinstance(event, Bar):
            measure = _close(measures, measure, event)
            continue
        if isinstance(event, MeterChange) and not measure.ticks:
            measure.meter = event.meter
        if isinstance(event, (Note, Rest)):
            measure.places.append(place)
        measure.events.append(event)
    if measure.ticks:
        measures.append(measure)
    elif measures:
        measures[-1].events += [event for event in measure.events if isinstance(event, (Slur, WrittenOnly))]
    _mark_repeats(measures, voice)
    _end_endings(measures)
    return measures


def add_left_barline(element: Element, measure: Measure) -> None:
    """Repeats and endings that begin with a measure."""
    if not measure.starts_repeat and not measure.ending:
        return
    barline = SubElement(element, "barline", location="left")
    if measure.starts_repeat:
        SubElement(barline, "bar-style").text = "heavy-light"
    if measure.ending:
        SubElement(barline, "ending", number=_ending_text(measure.ending), type="start")
    if measure.starts_repeat:
        SubElement(barline, "repeat", direction="forward")


def add_right_barline(element: Element, measure: Measure) -> None:
    """The style of the bar line, repeats and endings that end with a measure."""
    kind = measure.right.kind if measure.right is not None else ""
    style = {"||": "light-light", "|]": "light-heavy"}.get(kind)
    if measure.times or (measure.ended and kind in (":|", "::")):
        style = "light-heavy"
    if style is None and not measure.ended:
        return
    barline = SubElement(element, "barline", location="right")
    SubElement(barline, "bar-style").text = style or "regular"
    if measure.ended:
        kind_of_end = "stop" if measure.times else "discontinue"
        SubElement(barline, "ending", number=_ending_text(measure.ended), type=kind_of_end)
    if measure.times:
        repeat = SubElement(barline, "repeat", direction="backward")
        if measure.times > 2:
            repeat.set("times", str(measure.times))


def _close(measures: list[Measure], measure: Measure, bar: Bar) -> Measure:
    """Put a bar line behind a measure that has begun, else before it; return the open measure."""
    if measure.ticks:
        measure.right = bar
        measures.append(measure)
        changes = [event.meter for event in measure.events if isinstance(event, MeterChange)]
        measure = Measure([], changes[-1] if changes else measure.meter, [])
    elif bar.ends_repeat and measures:
        last = measures[-1].right
        measures[-1].right = bar if last is None or not last.ends_repeat else last
    measure.starts_repeat = measure.starts_repeat or bar.starts_repeat
    measure.ending = bar.ending or measure.ending
    return measure


def _mark_repeats(measures: Sequence[Measure], voice: Voice) -> None:
    """Write |: and :| where the order of playing goes back."""
    for section in sections(voice.events):
        if section.passes < 2:
            continue
        first = _measure_from(measures, section.begin)
        if first is None or first.places[0] >= section.stop:
            continue
        first.starts_repeat = first.starts_repeat or first is not measures[0]
        endings = sorted(section.endings, key=lambda ending: ending[1])
        for numbers, start, stop in endings:
            last = _measure_before(measures, stop, start)
            if last is not None and max(numbers) < section.passes:
                last.times = 2
        last = _measure_before(measures, section.stop, section.begin)
        if last is not None and not endings:
            last.times = section.passes


def _measure_from(measures: Sequence[Measure], place: int) -> Measure | None:
    return next((measure for measure in measures if measure.places and measure.places[-1] >= place), None)


def _measure_before(measures: Sequence[Measure], stop: int, start: int) -> Measure | None:
    """The last measure with a note between two places."""
    return next(
        (one for one in reversed(measures) if one.places and one.places[0] < stop and one.places[-1] >= start), None
    )


def _end_endings(measures: Sequence[Measure]) -> None:
    """An ending goes to the next bar line that is not a plain one, to the next ending, or to the last measure."""
    number = ""
    for index, measure in enumerate(measures):
        number = measure.ending or number
        beyond = measures[index + 1] if index + 1 < len(measures) else None
        special = measure.right is not None and measure.right.kind not in ("|", "")
        if number and (special or measure.times or beyond is None or beyond.ending or beyond.starts_repeat):
            measure.ended, number = number, ""


def _ending_text(ending: str) -> str:
    """Ending numbers as MusicXML has them: a list with commas."""
    return ",".join(map(str, sorted(ending_numbers(ending)))) or "1"
