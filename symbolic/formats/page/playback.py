"""What a page plays: notes in seconds, the bars and the written note heads that sound at each moment.

The times are those of the MIDI file that the score is written as, so that page and file sound alike.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from symbolic.formats.midi import score_qpm, to_midi
from symbolic.formats.smf import DEFAULT_TEMPO, MidiSong, read_song
from symbolic.notation.performance import performance, unroll
from symbolic.notation.score import Bar, Note, Rest, Score, Voice, bars

MAX_NOTES = 50_000  # of one tune on a page


def playback(score: Score) -> dict[str, Any]:
    """The data of the page's player, in seconds at the score's tempo, repeats played.

    `notes`: [onset, length, pitch, velocity, voice]; `heads`: [onset, length, voice, number of the written note in its
    voice]; `bars`: [onset, number of the written bar], both from 0; `voices`: {name, drums}; `qpm`; `first`: the number
    that people give the first bar, 0 for a pick-up. Raises NotationError and UserError as the writer of MIDI.
    """
    song = read_song(to_midi(score))
    clock = Clock(song)
    sounding = sorted({sound.voice for sound in performance(score)})
    notes = [
        [clock.seconds(note.onset), clock.length(note.onset, note.end), note.pitch, note.velocity, voice]
        for voice, part in zip(sounding, song.parts)
        for note in part.notes
    ]
    written = bars(score.voices[0], score.meter)
    has_pickup = len(written) > 1 and 0 < written[0].ticks < written[0].meter_ticks
    return {
        "notes": sorted(notes)[:MAX_NOTES],
        "heads": sorted(head for number, voice in enumerate(score.voices) for head in _heads(number, voice, clock)),
        "bars": list(_bar_starts(score.voices[0], clock)),
        "voices": [{"name": voice_name(score, number), "drums": v.drums} for number, v in enumerate(score.voices)],
        "qpm": round(score_qpm(score), 2),
        "first": 0 if has_pickup else 1,
    }


def voice_name(score: Score, number: int) -> str:
    """The name of a voice for people."""
    voice = score.voices[number]
    return voice.title or (f"Voice {voice.name}" if voice.name else "Melody")


class Clock:
    """Seconds of ticks, by the tempos of a file."""

    def __init__(self, song: MidiSong) -> None:
        self.ticks_per_quarter = song.ticks_per_quarter
        tempos = dict([(0, DEFAULT_TEMPO), *song.tempos])
        ticks = sorted(tempos)
        self.changes = [(0, 0.0, tempos[0])]
        for before, tick in pairwise(ticks):
            at = self.changes[-1][1] + (tick - before) * tempos[before] / 1e6 / self.ticks_per_quarter
            self.changes.append((tick, at, tempos[tick]))

    def seconds(self, tick: int) -> float:
        """From the beginning, to the tenth of a millisecond."""
        start, at, tempo = max(change for change in self.changes if change[0] <= tick)
        return round(at + (tick - start) * tempo / 1e6 / self.ticks_per_quarter, 4)

    def length(self, start: int, end: int) -> float:
        """Between two ticks."""
        return round(self.seconds(end) - self.seconds(start), 4)


def _heads(number: int, voice: Voice, clock: Clock) -> Iterator[list[float]]:
    """The written notes of a voice in the order of playing, each with its place among them."""
    places = {id(event): place for place, event in enumerate(e for e in voice.events if isinstance(e, Note))}
    tick = 0
    for event in unroll(voice):
        if isinstance(event, Note):
            yield [clock.seconds(tick), clock.length(tick, tick + event.ticks), number, places[id(event)]]
        tick += event.ticks if isinstance(event, (Note, Rest)) else 0


def _bar_starts(voice: Voice, clock: Clock) -> Iterator[list[float]]:
    """Where each bar begins to sound, and which written bar it is."""
    numbers: dict[int, int] = {}
    bar, is_filled = 0, False
    for event in voice.events:
        if isinstance(event, Bar) and is_filled:
            bar, is_filled = bar + 1, False
        elif isinstance(event, (Note, Rest)):
            numbers[id(event)] = bar
            is_filled = True
    tick, last, is_new = 0, -1, True
    for event in unroll(voice):
        is_new |= isinstance(event, Bar)
        if isinstance(event, (Note, Rest)):
            own = numbers[id(event)]
            if own != last or is_new:
                yield [clock.seconds(tick), own]
            last, is_new = own, False
            tick += event.ticks
