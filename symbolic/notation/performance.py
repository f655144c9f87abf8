"""A score as it sounds: repeats and endings unrolled, ties merged.

Times are ticks, TICKS_PER_WHOLE = 40,320 to the whole note. Grace notes take no time and are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from symbolic.notation.score import Bar, Event, KeyChange, MeterChange, Note, Rest, Score, Voice
from symbolic.notation.theory import Key, Meter, NotationError

MAX_SOUNDS = 200_000  # a guard against repeats that multiply
MOST_PASSES = 16  # of one section; endings with a higher number count as this one


@dataclass(frozen=True, slots=True)
class Sound:
    """One sounding note of a performance; ties are merged."""

    voice: int
    onset_ticks: int
    ticks: int
    midi: int


def performance(score: Score, *, repeats: bool = True) -> list[Sound]:
    """The notes as they sound, by onset: repeats and endings unrolled, ties merged, graces left out.

    Raises NotationError `too_long` past MAX_SOUNDS.
    """
    sounds: list[Sound] = []
    for index, voice in enumerate(score.voices):
        sounds += _voice_sounds(index, voice, repeats)
    return sorted(sounds, key=lambda s: (s.onset_ticks, s.voice, s.midi))


def signatures(score: Score, *, repeats: bool = True) -> Iterator[tuple[int, Key, Meter]]:
    """(tick, key, metre) at the start and wherever one of them changes along the first voice, as it is played: a repeat
    goes back to the signatures of the place it goes back to."""
    events, key, meter = score.voices[0].events, score.key, score.meter
    in_force = []
    for event in events:
        key = event.key if isinstance(event, KeyChange) else key
        meter = event.meter if isinstance(event, MeterChange) else meter
        in_force.append((key, meter))
    tick, last = 0, (score.key, score.meter)
    yield tick, *last
    for place in _played(events) if repeats else range(len(events)):
        event = events[place]
        if in_force[place] != last:
            last = in_force[place]
            yield tick, *last
        tick += event.ticks if isinstance(event, (Note, Rest)) else 0


def unroll(voice: Voice) -> Iterator[Event]:
    """The events of a voice in playing order.

    A repeat goes back to the last |:, else to the end of the last repeat, else to the beginning. In pass n only the
    endings that name n are played.
    """
    yield from (voice.events[place] for place in _played(voice.events))


def _played(events: list[Event]) -> Iterator[int]:
    """Places of the events in playing order."""
    start = position = played = 0
    pass_number = 1
    passes = _last_passes(events)
    last_pass = passes[0]
    while position < len(events):
        event = events[position]
        played += 1
        if played > MAX_SOUNDS:
            raise NotationError("too_long", f"the tune unrolls to more than {MAX_SOUNDS:,} events.")
        yield position
        position += 1
        if not isinstance(event, Bar):
            continue
        if event.ends_repeat and pass_number < last_pass:
            position, pass_number = start, pass_number + 1
            continue
        if event.starts_repeat or event.ends_repeat:
            start, pass_number, last_pass = position, 1, passes[position]
            if event.ending:  # `:|2` after the last pass belongs to the section that just ended
                continue
        if event.ending and pass_number not in _ending_numbers(event.ending):
            position = _skip_ending(events, position, pass_number)


def _last_passes(events: list[Event]) -> list[int]:
    """How often the section that starts at each place is played: 2, or the highest ending number in it."""
    passes = [2] * (len(events) + 1)
    for place in range(len(events) - 1, -1, -1):
        event, last = events[place], passes[place + 1]
        if isinstance(event, Bar):
            numbers = _ending_numbers(event.ending)
            ends_here = event.starts_repeat or (event.ends_repeat and not numbers)
            last = max([2 if ends_here else last, *numbers])
        passes[place] = last
    return passes


def _ending_numbers(ending: str) -> list[int]:
    numbers: list[int] = []
    for part in ending.split(","):
        low, _, high = part.partition("-")
        if low.isdigit():
            first, last = (min(int(n), MOST_PASSES) for n in (low, high if high.isdigit() else low))
            numbers += range(first, last + 1)
    return numbers


def _skip_ending(events: list[Event], position: int, pass_number: int) -> int:
    """Where to go on when an ending is not for this pass: inside the next ending that is, or at the section's end."""
    for index in range(position, len(events)):
        event = events[index]
        if isinstance(event, Bar) and event.ending:
            if pass_number in _ending_numbers(event.ending):
                return index + 1
        elif isinstance(event, Bar) and (event.starts_repeat or event.ends_repeat):
            return index
    return len(events)


def _voice_sounds(index: int, voice: Voice, repeats: bool) -> list[Sound]:
    sounds: list[Sound] = []
    held: dict[int, int] = {}  # MIDI pitch -> index in sounds of a note whose tie is open
    onset = 0
    for event in unroll(voice) if repeats else voice.events:
        if isinstance(event, Note):
            still_held: dict[int, int] = {}
            for midi in {p.midi for p in event.pitches}:
                place = held.get(midi)
                if place is None:
                    place = len(sounds)
                    sounds.append(Sound(index, onset, event.ticks, midi))
                else:
                    first = sounds[place]
                    sounds[place] = Sound(index, first.onset_ticks, onset + event.ticks - first.onset_ticks, midi)
                if event.tie:
                    still_held[midi] = place
            held = still_held
            onset += event.ticks
        elif isinstance(event, Rest):
            held = {}
            onset += event.ticks
    return sounds
