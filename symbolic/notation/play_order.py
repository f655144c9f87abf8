"""In which order the music of a voice is played: repeats, endings, parts and jumps.

A repeat goes back to its |:, else to the latest of a double bar, a thick bar line and the end of the last repeat, else
to the beginning (ABC 2.1, section 4.8). An ending belongs to the section that it follows, also where its `:|` was
forgotten or a change of key or meter stands before it. Every note is played at least once, except those of parts that
a P: header leaves out.

D.C. and D.S. are taken at the end of their bar, without repeats, up to Fine or the way to the coda; they may be
decorations (`!D.C.!`, `!dacapo!`), or words over the staff ("D.C. al Fine").
"""

import re
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

from symbolic.notation.score import (
    Annotation,
    Bar,
    Direction,
    Event,
    KeyChange,
    MeterChange,
    Note,
    PartMark,
    Rest,
    Score,
    Voice,
)
from symbolic.notation.theory import Key, Meter, NotationError

MAX_EVENTS = 1_000_000  # a guard against repeats that multiply
MAX_PASSES = 16  # of one section; endings with a higher number count as this one
CLOSING_SHARE = 1.5  # a last ending at most so much longer than the first one is closed by its :|
_SIGNS = {
    "fine": "fine",
    "segno": "segno",
    "coda": "coda",
    "dacoda": "tocoda",
    "tocoda": "tocoda",
    "dacapo": "dacapo",
    "dc": "dacapo",
    "dalsegno": "dalsegno",
    "ds": "dalsegno",
    "end": "fine",
}
_SIGN = re.compile("(dacapo|dalsegno|dc|ds|dacoda|tocoda|fine|end|segno|coda)(?:al(?:la)?(fine|coda))?")
_LETTER_SIGNS = {"S": "segno", "O": "coda"}


@dataclass(frozen=True)
class RepeatedSection:
    """Music between `start` and `stop` (places of events). What stands before `begin` is played once; then come
    `passes` times the body, up to `body_stop`, and the ending of that number."""

    start: int
    begin: int
    body_stop: int
    stop: int
    passes: int = 1
    endings: tuple[tuple[frozenset[int], int, int], ...] = ()  # numbers, start, stop

    def places(self, repeats: bool = True) -> Iterator[int]:
        """Yield the places of the section in playing order; without repeats the last time only."""
        yield from range(self.start, self.begin)
        for number in range(1 if repeats else self.passes, self.passes + 1):
            yield from range(self.begin, self.body_stop)
            for numbers, start, stop in self.endings:
                if number in numbers:
                    yield from range(start, stop)


def play_order(voice: Voice) -> list[int]:
    """Places of the events of a voice in playing order. Raises NotationError `too_long` past MAX_EVENTS."""
    places = _by_parts(voice.events, voice.part_order) if voice.part_order else _with_jumps(voice.events)
    order = list(islice(places, MAX_EVENTS + 1))
    if len(order) > MAX_EVENTS:
        raise NotationError("too_long", f"the tune unrolls to more than {MAX_EVENTS:,} events.")
    return order


def sections(events: list[Event], start: int = 0, stop: int | None = None) -> Iterator[RepeatedSection]:
    """Yield the sections of a voice, or of a part of it, in written order; they leave nothing out."""
    stop, explicit = len(events) if stop is None else stop, False
    while start < stop:
        section = _SectionReader(events, start, stop, explicit).read()
        yield section
        start = section.stop
        last = events[start - 1]
        explicit = isinstance(last, Bar) and last.kind == "::"


def jump_signs(event: Event) -> list[str]:
    """What an event says of jumps: fine, segno, coda, tocoda, dacapo, dalsegno; the last two with `al fine` or
    `al coda` where it says so."""
    if isinstance(event, Note) and event.marks:
        names = re.findall(r"!([^!]*)!", event.marks)
        letters = re.sub(r"![^!]*!", "", event.marks)
        return [sign for name in names for sign in _named_sign(name)] + [
            _LETTER_SIGNS[letter] for letter in letters if letter in _LETTER_SIGNS
        ]
    if isinstance(event, Direction):
        return _named_sign(event.name)
    return _named_sign(event.text) if isinstance(event, Annotation) else []


def _named_sign(name: str) -> list[str]:
    match = _SIGN.fullmatch(re.sub(r"[\s.^_<>@!*()]", "", name).lower())
    return [_SIGNS[match[1]] + (f" al {match[2]}" if match[2] else "")] if match else []


class _SectionReader:
    """Follows bar lines from `start` until one of them ends the section."""

    def __init__(self, events: list[Event], start: int, stop: int, explicit: bool) -> None:
        self.events, self.start, self.stop = events, start, stop
        self.begin = start
        self.explicit = explicit  # begun by |: or ::, so that a double bar inside is only one
        self.repeats = False  # a :| stood in it
        self.endings: list[tuple[frozenset[int], int]] = []  # numbers, place

    def read(self) -> RepeatedSection:
        """The section."""
        for place in range(self.start, self.stop):
            event = self.events[place]
            if isinstance(event, Bar) and (section := self._read_bar(place, event)):
                return section
        return self._ended(self.stop)

    def _read_bar(self, place: int, bar: Bar) -> RepeatedSection | None:
        """The section if it ends at this bar line."""
        numbers = ending_numbers(bar.ending)
        if bar.kind == "|:":
            return self._read_start(place)
        if numbers and bar.kind != "::":
            return self._read_ending(place, bar, numbers)
        if bar.ends_repeat:
            return self._read_repeat_end(place, bar)
        return self._read_double_bar(place) if bar.kind in ("||", "|]") else None

    def _read_start(self, place: int) -> RepeatedSection | None:
        if self.endings or self._ticks(self.begin, place):
            return self._ended(place)
        self.begin, self.explicit = place + 1, True
        return None

    def _read_ending(self, place: int, bar: Bar, numbers: frozenset[int]) -> RepeatedSection | None:
        if not self._goes_on(numbers):  # the first ending of a section that begins after the last repeat's end
            return self._without_last_ending(self.endings[-1][1] + 1)
        if bar.ends_repeat:
            self.repeats = True
            if not self.endings and 1 not in numbers:  # `A :|2 B`: there is no first ending
                self.endings.append((frozenset(range(1, min(numbers))), place))
        self.endings.append((numbers, place))
        return None

    def _read_repeat_end(self, place: int, bar: Bar) -> RepeatedSection | None:
        following = self._next_ending(place + 1, across_notes=False)
        if bar.kind == ":|" and following and self._goes_on(following):
            self.repeats = True
            if not self.endings and 1 not in following:
                self.endings.append((frozenset(range(1, min(following))), place))
            return None
        if self.repeats and len(self.endings) > 1 and self._last_ending_is_long(place):
            return self._without_last_ending(self.endings[-1][1] + 1)
        self.repeats = True
        return self._ended(place + 1, bar.times)

    def _read_double_bar(self, place: int) -> RepeatedSection | None:
        if self.endings:
            following = self._next_ending(place + 1, across_notes=True)
            return None if following and self._goes_on(following) else self._ended(place + 1)
        return None if self.explicit else self._ended(place + 1)

    def _goes_on(self, numbers: frozenset[int]) -> bool:
        """True for numbers of an ending of this section."""
        seen = frozenset[int]().union(*(before for before, _ in self.endings))
        return not self.endings or (1 not in numbers and not numbers & seen)

    def _next_ending(self, place: int, across_notes: bool) -> frozenset[int]:
        """The numbers of the next ending before another section."""
        for event in self.events[place : self.stop]:
            if isinstance(event, Bar) and event.ending:
                return ending_numbers(event.ending)
            if isinstance(event, (Note, Rest)) and not across_notes:
                break
            if isinstance(event, Bar) and event.starts_repeat:
                break
        return frozenset()

    def _last_ending_is_long(self, place: int) -> bool:
        """True where the music before a second :| is longer than an ending: a section of its own, without its |:."""
        (_, first), (_, second) = self.endings[0], self.endings[1]
        return self._ticks(self.endings[-1][1], place) > CLOSING_SHARE * max(1, self._ticks(first, second))

    def _ticks(self, start: int, stop: int) -> int:
        return sum(event.ticks for event in self.events[start:stop] if isinstance(event, (Note, Rest)))

    def _without_last_ending(self, stop: int) -> RepeatedSection:
        """End the section where its last ending begins; what follows is a section of its own."""
        *self.endings, (numbers, _) = self.endings
        section = self._ended(stop)
        return replace(section, passes=max(section.passes, *numbers))

    def _ended(self, stop: int, times: int = 2) -> RepeatedSection:
        places = [place for _, place in self.endings]
        ends = [max(end, place + 1) for place, end in zip(places, [*(next_ + 1 for next_ in places[1:]), stop])]
        endings = tuple((n, place, min(end, stop)) for (n, place), end in zip(self.endings, ends))
        highest = max((max(numbers) for numbers, _ in self.endings), default=0)
        passes = max(highest, (times if not self.endings else 2) if self.repeats else 1)
        return RepeatedSection(self.start, self.begin, places[0] if places else stop, stop, passes, endings)


def ending_numbers(ending: str) -> frozenset[int]:
    """The passes that an ending names: "1,3" and "1-3"; empty for ''."""
    numbers: set[int] = set()
    for part in ending.split(","):
        low, _, high = part.partition("-")
        if low.isdigit():
            first, last = (min(int(n), MAX_PASSES) for n in (low, high if high.isdigit() else low))
            numbers.update(range(first, last + 1))
    return frozenset(numbers - {0})


def played_parts(score: Score) -> Score:
    """A score whose parts stand in the order in which a P: header has them played, for formats that know no such
    order. Each begins a section, with the key and the meter that it has where it was written."""
    return replace(score, voices=[_in_order(voice, score.key, score.meter) for voice in score.voices])


def _in_order(voice: Voice, key: Key, meter: Meter) -> Voice:
    in_force = []
    last = key, meter
    for event in voice.events:
        in_force.append((key, meter))
        key = event.key if isinstance(event, KeyChange) else key
        meter = event.meter if isinstance(event, MeterChange) else meter
    events: list[Event] = []
    for start, stop in _spans(voice.events, voice.part_order):
        own = in_force[start]
        events += [KeyChange(own[0])] if own[0] != last[0] else []
        events += [MeterChange(own[1])] if own[1] != last[1] else []
        events += map(copy, voice.events[start:stop])
        last = in_force[stop] if stop < len(in_force) else (key, meter)
        if not isinstance(events[-1], Bar):
            events.append(Bar("||"))
        elif events[-1].kind == "|":
            events[-1].kind = "||"
    return replace(voice, events=events, part_order=())


def _by_parts(events: list[Event], order: tuple[str, ...]) -> Iterator[int]:
    """Yield the parts in the order of the P: header."""
    for start, stop in _spans(events, order):
        yield from _repeated(events, start, stop)


def _spans(events: list[Event], order: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """(start, stop) of each part as often as it is played, after what stands before the first one. Of several parts of
    one name each playing takes the next."""
    marks = [(place, event.name) for place, event in enumerate(events) if isinstance(event, PartMark)]
    ends = [*(place for place, _ in marks[1:]), len(events)]
    of_name: dict[str, list[tuple[int, int]]] = {}
    for (place, name), end in zip(marks, ends):
        of_name.setdefault(name, []).append((place, end))
    before = marks[0][0] if marks else len(events)
    if before:
        yield 0, before
    played: Counter[str] = Counter()
    for name in order:
        places = of_name.get(name, [])
        if places:
            yield places[min(played[name], len(places) - 1)]
            played[name] += 1


def _repeated(events: list[Event], start: int, stop: int, repeats: bool = True) -> Iterator[int]:
    for section in sections(events, start, stop):
        yield from section.places(repeats)


def _with_jumps(events: list[Event]) -> Iterator[int]:
    """The repeats, and then D.C. or D.S.; music after it that has not been played follows."""
    signs = [(sign, place) for place, event in enumerate(events) for sign in jump_signs(event)]
    jump = next(
        (one for one in signs if one[0].startswith(("dacapo", "dalsegno")) and _can_be_taken(one, signs, events)), None
    )
    if jump is None:
        yield from _repeated(events, 0, len(events))
        return
    first = list(islice(_repeated(events, 0, len(events)), MAX_EVENTS + 1))
    end = _bar_after(events, jump[1])
    cut = max((i for i, place in enumerate(first) if place == end), default=len(first) - 1)
    again = list(_replay(events, jump, signs, end))
    yield from first[: cut + 1]
    yield from again
    yield from (place for place in first[cut + 1 :] if place not in set(again))


def _can_be_taken(jump: tuple[str, int], signs: list[tuple[str, int]], events: list[Event]) -> bool:
    """True where the tune has the Fine or coda that ends the jump, or the jump stands at the end."""
    names = [sign for sign, _ in signs]
    if jump[0].endswith((" al fine", " al coda")):
        return jump[0].split()[-1] in names
    at_end = not any(isinstance(event, Note) for event in events[_bar_after(events, jump[1]) :])
    return at_end or "fine" in names or "coda" in names


def _replay(events: list[Event], jump: tuple[str, int], signs: list[tuple[str, int]], end: int) -> Iterator[int]:
    """What is played after a jump: up to Fine, or to the way to the coda and then the coda, or as far as the jump."""
    places = {sign: [place for own, place in signs if own == sign] for sign, _ in signs}
    target = places.get("segno", [0])[0] if jump[0].startswith("dalsegno") else 0
    codas = places.get("coda", [])
    leave = places.get("tocoda", codas[:-1])[:1]
    coda = codas[-1] if codas and leave and codas[-1] > leave[0] else None
    if coda is not None:
        last = _bar_after(events, leave[0])
    elif "fine" in places:
        last = _bar_after(events, places["fine"][0])
    else:
        last = end
    for place in _repeated(events, 0, len(events), repeats=False):
        if place >= target:
            yield place
        if place == last:
            break
    if coda is not None:
        yield from (place for place in _repeated(events, 0, len(events)) if place >= coda)


def _bar_after(events: list[Event], place: int) -> int:
    """The place of the bar line that ends the bar of an event; of the last event where there is none."""
    return next((i for i in range(place, len(events)) if isinstance(events[i], Bar)), len(events) - 1)
