"""Voice overlays (`&`, ABC 2.1, section 7.4) as voices of their own: rests where a bar has none, the same bar lines."""

from collections.abc import Iterator
from dataclasses import replace

from symbolic.notation.reading.respelling import StaffMove
from symbolic.notation.reading.voice_reader import VoiceReader
from symbolic.notation.score import Bar, Event, KeyChange, MeterChange, Note, PartMark, Rest, Voice


def overlay_voices(reader: VoiceReader) -> Iterator[Voice]:
    """Yield a voice for each overlay of a voice that has been read whole."""
    for overlay in reader.overlays:
        if any(isinstance(event, Note) for events in overlay.fragments.values() for event in events):
            events = list(_filled(reader.voice.events, overlay.fragments))
            yield Voice("", reader.voice.clef, events, reader.voice.title, program=reader.voice.program)


def _filled(main: list[Event], fragments: dict[int, list[Event]]) -> Iterator[Event]:
    """The bars of the main voice with the overlay's notes in them."""
    bar = ticks = 0
    for event in [*main, None]:
        if event is None or isinstance(event, Bar):
            yield from _bar(fragments.get(bar, []), ticks)
            bar, ticks = bar + 1, 0
        if isinstance(event, Bar):
            yield Bar(event.kind, event.ending, event.times)
        elif isinstance(event, (KeyChange, MeterChange, PartMark, StaffMove)):
            yield replace(event)  # its own, which transposition changes
        elif isinstance(event, (Note, Rest)):
            ticks += event.ticks


def _bar(events: list[Event], ticks: int) -> Iterator[Event]:
    """The notes of a bar of the overlay and a rest up to the bar's length."""
    yield from events
    missing = ticks - sum(event.ticks for event in events if isinstance(event, (Note, Rest)))
    if missing > 0:
        yield Rest(missing, missing, hidden=True)
