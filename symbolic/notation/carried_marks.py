"""What a person wrote beside the notes, carried over to an edit of the tune.

An edit (transposed, harmonised, some bars anew, continued) is made on canonical text, which has only the music. Bars
are matched in order. Annotations, tempo changes, directions and parts go to the same time in the bar; lyrics, hidden
rests and the writer's beams to bars of the same rhythm. Names and sounds of voices and the order of parts come along.
"""

from collections.abc import Iterator
from itertools import zip_longest

from symbolic.notation.score import Bar, Event, Grace, Note, Rest, Score, Voice, WrittenOnly

LOST_SYLLABLES = "syllable of bars that have another rhythm now (w:)"


def carry_marks(source: Score, edited: Score, n_bars: int | None = None) -> None:
    """Put the marks of `source` into `edited`, in place; with `n_bars` those of its first bars only.

    Syllables that have no place are counted in `edited.losses`. Nothing is done where the voices are not as many.
    """
    if len(source.voices) != len(edited.voices):
        return
    for own, new in zip(source.voices, edited.voices):
        new.title, new.short_title, new.program, new.drums = own.title, own.short_title, own.program, own.drums
        new.clef = new.clef or own.clef
        new.part_order = own.part_order if n_bars is None else ()
        lost = _carry(own, new, n_bars)
        if lost:
            edited.losses[LOST_SYLLABLES] += lost


def _carry(source: Voice, edited: Voice, n_bars: int | None) -> int:
    """Carry the marks of a voice. Returns the number of syllables left out."""
    events: list[Event] = []
    n_lost = 0
    old_bars = list(_bars(source.events))
    kept = old_bars if n_bars is None else old_bars[:n_bars]
    for old, new in zip_longest(kept, list(_bars(edited.events)), fillvalue=list[Event]()):
        if _rhythm(old) == _rhythm(new):
            _carry_to_notes(old, new)
        else:
            n_lost += sum(bool(text) for event in old if isinstance(event, Note) for text in event.syllables)
        events += _with_words(old, new) if new else ()
    edited.events = events
    return n_lost


def _bars(events: list[Event]) -> Iterator[list[Event]]:
    """The events of each bar; bar lines that follow one another go with the bar before them."""
    bar: list[Event] = []
    for place, event in enumerate(events):
        bar.append(event)
        following = events[place + 1] if place + 1 < len(events) else None
        timed = any(isinstance(one, (Note, Rest)) for one in bar)
        if isinstance(event, Bar) and timed and not isinstance(following, Bar):
            yield bar
            bar = []
    if bar:
        yield bar


def _rhythm(bar: list[Event]) -> list[tuple[bool, int]]:
    return [(isinstance(event, Note), event.ticks) for event in bar if isinstance(event, (Note, Rest))]


def _carry_to_notes(old: list[Event], new: list[Event]) -> None:
    """Syllables, beams, hidden rests and line ends, for bars of one rhythm."""
    for kind in (Note, Rest, Grace, Bar):
        for before, after in zip(*([event for event in bar if isinstance(event, kind)] for bar in (old, new))):
            if isinstance(before, Note) and isinstance(after, Note):
                after.syllables, after.spaced = before.syllables, before.spaced
            elif isinstance(before, Rest) and isinstance(after, Rest):
                after.hidden, after.spaced = before.hidden, before.spaced
            elif isinstance(before, Grace) and isinstance(after, Grace):
                after.slashed = before.slashed
            elif isinstance(before, Bar) and isinstance(after, Bar):
                after.line_end = before.line_end


def _with_words(old: list[Event], new: list[Event]) -> Iterator[Event]:
    """Yield the new bar with the old one's words, each before the note at its time or, after the last, the bar line."""
    words: list[tuple[int, Event]] = []
    ticks = 0
    for event in old:
        if isinstance(event, WrittenOnly):
            words.append((ticks, event))
        ticks += event.ticks if isinstance(event, (Note, Rest)) else 0
    ticks, started = 0, False
    for event in new:
        if isinstance(event, (Note, Rest)):
            started = True
        takes = isinstance(event, (Note, Rest, Grace)) or (started and isinstance(event, Bar))
        while takes and words and (words[0][0] <= ticks or isinstance(event, Bar)):
            yield words.pop(0)[1]
        yield event
        ticks += event.ticks if isinstance(event, (Note, Rest)) else 0
    yield from (event for _, event in words)
