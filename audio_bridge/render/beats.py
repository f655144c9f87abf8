"""Where bar lines and beats of a tune fall, in ticks: of a score as it is played, or of a MIDI file.

Both are given as (bar lines, beats); bar lines begin with 0 and end with the end of the last bar, a beat is (tick,
whether it opens a full bar). Bars of a score are those of its notation, repeats unrolled and pick-ups kept; a MIDI
file's are counted from its time signatures.
"""

from typing import TYPE_CHECKING

from symbolic.notation.performance import unroll
from symbolic.notation.score import Bar, MeterChange, Note, Rest, Score

if TYPE_CHECKING:
    import mido

MOST_BARS = 20_000
Beats = tuple[list[int], list[tuple[int, bool]]]


def score_beats(score: Score, repeats: bool = True) -> Beats:
    """Return bar lines and beats along the first voice with notes."""
    voice = next((v for v in score.voices if any(isinstance(e, Note) for e in v.events)), score.voices[0])
    meter, tick, lines = score.meter, 0, [0]
    beats: list[tuple[int, bool]] = []
    for event in [*(unroll(voice) if repeats else voice.events), Bar("|")]:
        if isinstance(event, (Note, Rest)):
            tick += event.ticks
        elif isinstance(event, MeterChange):
            meter = event.meter
        elif isinstance(event, Bar) and tick > lines[-1]:
            beats += _beats(lines[-1], tick, meter.ticks, meter.beat_ticks, pickup=len(lines) == 1)
            lines.append(tick)
    return lines, beats


def midi_beats(made: "mido.MidiFile") -> Beats:
    """Return bar lines and beats by the file's time signatures, up to its end; 4/4 where it has none."""
    from symbolic.formats.midi import last_tick

    end = last_tick(made)
    changes = dict(timed_messages(made, "time_signature"))
    tick, lines, beats = 0, [0], list[tuple[int, bool]]()
    bar, beat = 4 * made.ticks_per_beat, made.ticks_per_beat
    while tick < end and len(lines) < MOST_BARS:
        if tick in changes:
            bar, beat = _signature(changes[tick], made.ticks_per_beat)
        following = min([tick + bar, *(change for change in changes if change > tick)])
        beats += [(one, one == tick) for one in range(tick, following, beat)]
        tick = following
        lines.append(tick)
    return lines, beats


def timed_messages(made: "mido.MidiFile", kind: str) -> list:
    """Return (tick, message) of all messages of a type in order of time."""
    found = []
    for track in made.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == kind:
                found.append((tick, message))
    return sorted(found, key=lambda pair: pair[0])


def _signature(message, ticks_per_beat: int) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """Ticks of a bar and of a beat."""
    unit = max(1, 4 * ticks_per_beat // message.denominator)
    is_compound = message.denominator == 8 and message.numerator % 3 == 0
    return max(1, message.numerator) * unit, 3 * unit if is_compound else unit


def _beats(start: int, end: int, bar_ticks: int, beat_ticks: int, *, pickup: bool) -> list[tuple[int, bool]]:
    """Beats of one bar; those of a short first bar are counted from its end."""
    if pickup and end - start < bar_ticks:
        return [(tick, False) for tick in range(end - beat_ticks, start - 1, -beat_ticks)][::-1]
    return [(tick, tick == start) for tick in range(start, end, beat_ticks)]
