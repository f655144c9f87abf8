"""A note in seconds, and the highest line through many of them."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class TimedNote:
    """One sounding note: from `onset` to `end` in seconds, MIDI pitch, voice counted from 0."""

    onset: float
    end: float
    midi: int
    voice: int = 0


def skyline(notes: Sequence[TimedNote]) -> list[TimedNote]:
    """The highest of the notes that sound at each moment; a note that is covered for a while goes on after it."""
    pending = sorted(notes, key=lambda note: note.onset)
    times = sorted({time for note in notes for time in (note.onset, note.end)})
    heap: list[tuple[int, float, TimedNote]] = []
    pieces: list[TimedNote] = []
    position = 0
    for start, end in pairwise(times):
        while position < len(pending) and pending[position].onset <= start:
            heapq.heappush(heap, (-pending[position].midi, -pending[position].onset, pending[position]))
            position += 1
        while heap and heap[0][2].end <= start:
            heapq.heappop(heap)
        if heap:
            top = heap[0][2]
            joined = pieces and pieces[-1].end == start and pieces[-1].midi == top.midi and top.onset < start
            pieces[-1:] = (
                [replace(pieces[-1], end=end)] if joined else [*pieces[-1:], replace(top, onset=start, end=end)]
            )
    return pieces
