"""What can be said of a voice only when all of it has been read: stray signs, endings, parts, names."""

import re
from collections.abc import Iterator
from itertools import count

from symbolic.notation.play_order import jump_signs
from symbolic.notation.reading.voice_reader import add_bar
from symbolic.notation.score import Bar, Direction, Event, Note, PartMark, Rest, Slur, Tuplet, Voice

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")
MAX_PARTS = 500  # in a play order


def tidy(events: list[Event]) -> list[Event]:
    """Drop slurs without a partner, tuplets without notes and numbers that are no endings; merge what is then one bar
    line."""
    dropped = _unpaired_slurs(events)
    place = len(events) - 1
    while place >= 0 and not isinstance(events[place], (Note, Rest)):
        dropped |= {place} if isinstance(events[place], Tuplet) else set()
        place -= 1
    if dropped:
        events = _with_merged_bars([event for index, event in enumerate(events) if index not in dropped])
    has_endings = any(isinstance(event, Bar) and (event.ending or not event.kind) for event in events)
    return _with_true_endings(events) if has_endings else events


def name_voices(voices: list[Voice]) -> None:
    """Give each voice a name that canonical text can hold: its own or a free number. A single voice has none, and no
    treble clef, which it has where nothing is said."""
    if len(voices) == 1:
        voices[0].name = ""
        voices[0].clef = voices[0].clef if voices[0].clef != "treble" else ""
        return
    taken = {voice.name for voice in voices if _SAFE_NAME.fullmatch(voice.name)}
    seen: set[str] = set()
    for voice in voices:
        if voice.name not in taken or voice.name in seen:
            voice.name = next(str(n) for n in count(1) if str(n) not in taken)
            taken.add(voice.name)
        seen.add(voice.name)


def share_marks(voices: list[Voice]) -> None:
    """Parts and jumps (D.C., Fine, ...) written in one voice hold for all: the others get them at the same time."""
    if len(voices) == 1:
        return
    for marks_of in (_parts_in, _jumps_in):
        found = [marks_of(voice) for voice in voices]
        source = next((marks for marks in found if marks), [])
        for voice, marks in zip(voices, found):
            if not marks:
                _insert(voice, source)


def part_order(text: str, voices: list[Voice]) -> tuple[str, ...]:
    """The parts that a P: header names, one a playing: `AABB`, `A2B2`, `(AB)3.C`; () where it does not fit."""
    names = {event.name for event in voices[0].events if isinstance(event, PartMark)}
    text = re.sub(r"[\s.,*\"-]", "", text)
    if not names or not re.fullmatch(r"[A-Za-z0-9()]*", text) or re.match(r"\d", text):
        return ()
    order = _parts(text)
    unnamed = sorted(set(order) - names)
    first = next((e for e in voices[0].events if isinstance(e, (PartMark, Note))), None)
    if len(unnamed) == 1 and isinstance(first, Note):  # music before the first P: is the part that has no mark
        for voice in voices:
            voice.events.insert(0, PartMark(unnamed[0]))
        unnamed = []
    return tuple(order) if not unnamed and len(order) <= MAX_PARTS else ()


def _parts(text: str) -> list[str]:
    """Part names with their counts and brackets resolved; at most MAX_PARTS + 1 of them."""
    stack: list[list[str]] = [[]]
    groups: list[list[str]] = [[]]  # by depth, what a number after it repeats
    for match in re.finditer(r"[A-Za-z]|\d{1,3}|[()]", text):
        sign = match[0]
        if sign == "(":
            stack.append([])
            groups.append([])
        elif sign == ")" and len(stack) > 1:
            groups.pop()
            groups[-1] = stack.pop()
            stack[-1] += groups[-1]
        elif sign.isdigit():
            stack[-1] += groups[-1] * (min(int(sign), MAX_PARTS) - 1)
        elif sign.isalpha():
            groups[-1] = [sign]
            stack[-1].append(sign)
        stack[-1] = stack[-1][: MAX_PARTS + 1]
    return [name for level in stack for name in level]


def _unpaired_slurs(events: list[Event]) -> set[int]:
    open_slurs: list[int] = []
    unpaired: set[int] = set()
    for index, event in enumerate(events):
        if isinstance(event, Slur) and event.opens:
            open_slurs.append(index)
        elif isinstance(event, Slur) and open_slurs:
            open_slurs.pop()
        elif isinstance(event, Slur):
            unpaired.add(index)
    return unpaired | set(open_slurs)


def _with_merged_bars(events: list[Event]) -> list[Event]:
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Bar):
            add_bar(kept, event)
        else:
            kept.append(event)
    return kept


def _with_true_endings(events: list[Event]) -> list[Event]:
    """An ending follows on those before it in its section; another number at a bar line is none."""
    kept: list[Event] = []
    last = 0  # highest number of the endings so far
    for event in events:
        if isinstance(event, Bar):
            numbers = [int(number) for number in re.findall(r"\d+", event.ending)]
            last = 0 if event.starts_repeat else last
            if numbers and (min(numbers) <= last + 1 or (last == 0 and min(numbers) == 2)):
                last = max(last, *numbers) if min(numbers) > 1 else max(numbers)
            elif numbers:
                event = Bar(event.kind, "", event.times, event.line_end)
        if not isinstance(event, Bar) or event.kind or event.ending:
            add_bar(kept, event) if isinstance(event, Bar) else kept.append(event)
    return kept


Place = tuple[int, int]  # ticks since the beginning as written, bar lines since the last note or rest


def _parts_in(voice: Voice) -> list[tuple[Place, Event]]:
    """The place of each part, after the bar line that it begins with."""
    return [((ticks, 1), event) for (ticks, _), event in _placed(voice) if isinstance(event, PartMark)]


def _jumps_in(voice: Voice) -> list[tuple[Place, Event]]:
    """The place of each sign of a jump or its aim."""
    return [(place, Direction(sign)) for place, event in _placed(voice) for sign in jump_signs(event)]


def _placed(voice: Voice) -> Iterator[tuple[Place, Event]]:
    ticks = n_bars = 0
    for event in voice.events:
        yield (ticks, n_bars), event
        if isinstance(event, (Note, Rest)):
            ticks, n_bars = ticks + event.ticks, 0
        n_bars += isinstance(event, Bar)


def _insert(voice: Voice, marks: list[tuple[Place, Event]]) -> None:
    """Put marks into a voice where as much time has passed, on the same side of a bar line."""
    place = ticks = n_bars = 0
    for when, mark in marks:
        while place < len(voice.events) and (ticks, n_bars) < when:
            event = voice.events[place]
            if isinstance(event, (Note, Rest)):
                if ticks >= when[0]:
                    break
                ticks, n_bars = ticks + event.ticks, 0
            n_bars += isinstance(event, Bar)
            place += 1
        voice.events.insert(place, mark)
        place += 1
