"""Clicks for players: a bar or more before the music (count-in), and one on each beat of it.

Clicks are wood blocks of General MIDI's percussion, the high one on the first beat of a bar.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from symbolic.formats.midi import DRUM_CHANNEL

if TYPE_CHECKING:
    import mido

    from audio_bridge.render.beats import Beats

MAX_COUNT_IN = 8  # bars
HIGH, LOW = 76, 77  # wood blocks
_VELOCITIES = {HIGH: 110, LOW: 90}


def with_clicks(
    source: "mido.MidiFile", beats: "Beats", *, count_in: int = 0, metronome: bool = True
) -> "mido.MidiFile":
    """Return the file with clicks on its beats and `count_in` bars of them before it.

    A tune that begins with a pick-up is counted in for the rest of the bar besides: one, two, three, four, one, two,
    three, (tune).
    """
    import mido

    lines, own = beats
    bar, beat, pickup = _first_bar(lines, own)
    offset = count_in * bar + ((bar - pickup) if pickup and count_in else 0)
    clicks = [(tick, HIGH if tick % bar == 0 else LOW) for tick in range(0, offset, beat)]
    if metronome:
        clicks += [(tick + offset, HIGH if strong else LOW) for tick, strong in own]
    made = mido.MidiFile(type=1, ticks_per_beat=source.ticks_per_beat, charset=source.charset)
    made.tracks += [_moved(track, offset) for track in source.tracks]
    made.tracks.append(_click_track(clicks, source.ticks_per_beat // 8))
    return made


def _first_bar(lines: list[int], beats: list[tuple[int, bool]]) -> tuple[int, int, int]:
    """Ticks of the first full bar, of its beat, and of the pick-up (0: none)."""
    lengths = [end - start for start, end in pairwise(lines)]
    pickup = lengths[0] if len(lengths) > 1 and lengths[0] < lengths[1] else 0
    bar = lengths[1] if pickup else lengths[0]
    ticks = [tick for tick, _ in beats if tick >= pickup]
    return bar, min(bar, ticks[1] - ticks[0]) if len(ticks) > 1 else bar, pickup


def _moved(track: "mido.MidiTrack", offset: int) -> "mido.MidiTrack":
    """The track later by so many ticks; what is set at its start (tempo, meter, program) is set at the start still."""
    import mido

    moved, tick, waiting = mido.MidiTrack(), 0, offset
    for message in track:
        tick += message.time
        is_music = tick > 0 or message.type in ("note_on", "note_off")
        moved.append(message.copy(time=message.time + (waiting if is_music else 0)))
        waiting = 0 if is_music else waiting
    return moved


def _click_track(clicks: list[tuple[int, int]], ticks: int) -> "mido.MidiTrack":
    import mido

    track, last = mido.MidiTrack([mido.MetaMessage("track_name", name="Metronome")]), 0
    for tick, note in clicks:
        velocity = _VELOCITIES[note]
        track.append(mido.Message("note_on", channel=DRUM_CHANNEL, note=note, velocity=velocity, time=tick - last))
        track.append(mido.Message("note_off", channel=DRUM_CHANNEL, note=note, time=ticks))
        last = tick + ticks
    return track
