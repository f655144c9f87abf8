"""Grace notes as short notes: they begin on the beat and take their time from the note that they stand before.

Each lasts a thirty-second note, all of them together half of the main note at most. Those before a note that is tied
over, or before a rest, have no place and stay silent.
"""

from dataclasses import replace

from symbolic.notation.score import Event, Grace, Note, Rest, Score, Voice
from symbolic.notation.theory import TICKS_PER_WHOLE

GRACE_TICKS = TICKS_PER_WHOLE // 32


def with_played_graces(score: Score) -> Score:
    """Return the score with its grace notes written out as notes."""
    return replace(score, voices=[replace(voice, events=_played(voice)) for voice in score.voices])


def _played(voice: Voice) -> list[Event]:
    events: list[Event] = []
    waiting: Grace | None = None
    tied = False
    for event in voice.events:
        if isinstance(event, Grace):
            waiting = event
            continue
        if isinstance(event, Note):
            events += [event] if waiting is None or tied else _shared(waiting, event)
            tied = event.tie
        else:
            events.append(event)
        if isinstance(event, (Note, Rest)):
            waiting = None
            tied = tied and isinstance(event, Note)
    return events


def _shared(grace: Grace, note: Note) -> list[Event]:
    """The grace notes and what is left of the main note; the first keeps its marks."""
    each = min(GRACE_TICKS, note.ticks // (2 * len(grace.pitches)))
    if not each:
        return [note]
    left = note.ticks - each * len(grace.pitches)
    short: list[Event] = [Note((pitch,), each, each, marks=note.marks) for pitch in grace.pitches]
    return [*short, replace(note, ticks=left)]
