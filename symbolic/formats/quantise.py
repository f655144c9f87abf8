"""Played MIDI as written rhythm: each onset goes to a place of its beat, and it is told how far.

A file is *written* where its onsets stand on simple fractions of the quarter note, as notation programs export them;
these fractions are taken exactly. Else it was *played*, and each beat gets the grid (halves, quarters, eighths of it;
thirds, sixths) that explains its onsets best: squared distances against a prior by depth of subdivision, after Cemgil,
Desain and Kappen, "Rhythm quantization for transcription" (Computer Music Journal 24:2, 2000). Swing (off-beats late in
most beats) is written even. Where the beat of the file is not the player's, beats are found by dynamic programming
(Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 36:1, 2007).

Times come in ticks of the file and go out as fractions of a quarter note.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median

from symbolic.formats.smf import DEFAULT_TEMPO, MidiSong

MODES = ("auto", "on", "off")
EXACT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 5, 10, 7, 9, 15, 20, 14, 11, 13)  # parts of a quarter that written files use
ENDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 32)  # of these, where notes end
FINEST = 24  # where none of them fits
PLAYED = 0.4  # of the onsets that chance would leave off the simple fractions
MIN_ONSETS = 8
GRIDS = ((1, 2, 4, 8), (3, 6))  # parts of a beat, each finer one with the coarser
DEPTH = {1: 0.0, 2: 1.0, 4: 2.0, 8: 4.0, 3: 2.0, 6: 4.0}  # cost of a place that needs this many parts
TERNARY = 1.5  # cost of a beat in thirds
COLLISION = 4.0  # cost of two onsets in one place that were apart
APART = 0.09  # quarter notes
SIGMA = 0.05  # of the player, in quarter notes, to begin with
SWING = (0.57, 0.72)  # where the off-beat of a swung beat lies
COHERENT = 0.25  # of the unit vectors of onsets on the grid of halves or thirds of quarters
MIN_BEAT_ONSETS = 24  # from which a beat is looked for
FRAME = 0.01  # seconds
NEAR = 0.1  # quarter notes: errors that a drift is followed by
FOLLOW, FOLLOW_RATE = 0.25, 0.03  # of such an error, at once and for each quarter note from then on


@dataclass(frozen=True)
class WrittenTimes:
    """The time line of a song as notation has it, and what was done."""

    places: dict[int, Fraction]  # tick of an onset -> quarter notes
    ends: dict[tuple[int, int], Fraction]  # (onset, end) in ticks -> quarter notes of the end
    is_played: bool
    swing: float | None
    tempo: float | None  # quarter notes a minute, where the beat was found anew
    n_moved: int
    mean_ms: float
    max_ms: float
    n_ends_moved: int = 0  # notes whose end was moved, of a file that was not played

    def report(self) -> str:
        """What is told of it, without the number of onsets moved, which stands before."""
        told = f"of {len(self.places):,} onsets moved to written places, by {self.mean_ms:.0f} ms on average and "
        told += f"{self.max_ms:.0f} ms at most"
        told += f"; swing of {self.swing / (1 - self.swing):.1f} to 1 written even" if self.swing else ""
        return told + (f"; a beat of {self.tempo:.0f} a minute found" if self.tempo else "")


def written_times(song: MidiSong, mode: str = "auto") -> WrittenTimes:
    """Places for all onsets and ends of a song; `mode` "auto" quantises what was played, "on" all, "off" nothing."""
    onsets = sorted({note.onset for part in song.parts for note in part.notes})
    played = mode == "on" or (mode == "auto" and is_played(song))
    if not played:
        return _exact_times(song, onsets, snaps=mode != "off")
    return _played_times(song, onsets)


def is_played(song: MidiSong) -> bool:
    """True where the onsets stand on simple fractions hardly more often than chance would have them."""
    tpq = song.ticks_per_quarter
    onsets = {note.onset for part in song.parts for note in part.notes}
    if len(onsets) < MIN_ONSETS:
        return False
    off = sum(exact(tick, tpq) is None for tick in onsets) / len(onsets)
    by_chance = sum(exact(tick, tpq) is None for tick in range(min(tpq, 2000))) / min(tpq, 2000)
    return by_chance > 0 and off > PLAYED * by_chance


def exact(tick: int, ticks_per_quarter: int) -> Fraction | None:
    """The simple fraction that a tick stands for; one that the ticks do not hold exactly may be rounded. None: none."""
    for parts in EXACT:
        place, rest = divmod(tick * parts, ticks_per_quarter)
        if not rest:
            return Fraction(place, parts)
        if ticks_per_quarter % parts and ticks_per_quarter >= 4 * FINEST:
            nearest = round(Fraction(tick * parts, ticks_per_quarter))
            if abs(Fraction(nearest * ticks_per_quarter, parts) - tick) <= Fraction(1, 2):
                return Fraction(nearest, parts)
    return None


# --- written files ---------------------------------------------------------------------------------------------------


def _exact_times(song: MidiSong, onsets: Sequence[int], snaps: bool) -> WrittenTimes:
    """Simple fractions where ticks stand for them; else the nearest written place (`snaps`), or the tick itself."""
    tpq = song.ticks_per_quarter
    known: dict[int, Fraction] = {}

    def place(tick: int) -> Fraction:
        if tick not in known:
            near = Fraction(round(Fraction(tick * FINEST, tpq)), FINEST) if snaps else Fraction(tick, tpq)
            known[tick] = exact(tick, tpq) or near
        return known[tick]

    places = {tick: place(tick) for tick in onsets}
    ends = {}
    for part in song.parts:
        starts = sorted({note.onset for note in part.notes})
        following = {tick: places[after] for tick, after in pairwise(starts)}
        for note in part.notes:
            end = place(note.end)
            if snaps and end.denominator not in (*ENDS, places[note.onset].denominator):
                end = _near_end(end, places[note.onset], following.get(note.onset))
            least = Fraction(1, FINEST) if snaps else Fraction(1, tpq)
            ends[note.onset, note.end] = end if end > places[note.onset] else places[note.onset] + least
    moved = [abs(float(places[tick] * tpq) - tick) for tick in onsets]
    milliseconds = [ticks * _ms_per_tick(song) for ticks in moved if ticks > 0.5]
    n_ends = sum(abs(float(ends[note.onset, note.end] * tpq) - note.end) > 0.5 for p in song.parts for note in p.notes)
    return WrittenTimes(places, ends, False, None, None, len(milliseconds), *_spread(milliseconds), n_ends)


def _near_end(end: Fraction, onset: Fraction, following: Fraction | None) -> Fraction:
    """The end of a note that its program cut short or long: the next onset where it comes near, else an eighth of a
    quarter."""
    if following is not None and abs(following - end) <= (following - onset) * Fraction(1, 8):
        return following
    return Fraction(round(end * 8), 8)


def _ms_per_tick(song: MidiSong) -> float:
    tempo = song.tempos[0][1] if song.tempos and song.tempos[0][1] else DEFAULT_TEMPO
    return tempo / 1000 / song.ticks_per_quarter


def _spread(milliseconds: Sequence[float]) -> tuple[float, float]:
    return (sum(milliseconds) / len(milliseconds), max(milliseconds)) if milliseconds else (0.0, 0.0)


# --- played files ----------------------------------------------------------------------------------------------------


def _played_times(song: MidiSong, onsets: Sequence[int]) -> WrittenTimes:
    tpq = song.ticks_per_quarter
    line = _beat_line(song, onsets)
    position = (lambda tick: tick / tpq) if line is None else line.position
    positions = [position(tick) for tick in onsets]
    drift = _drift(positions)
    positions = [place + moved for place, moved in zip(positions, drift)]
    swing = _swing(positions)
    straight = [_even(place, swing) for place in positions]
    sigma, found = SIGMA, {}
    for _ in range(2):
        found = _quantised(straight, sigma)
        errors = [found[place][0] - place for place in straight]
        sigma = min(0.07, max(0.02, 1.2 * math.sqrt(sum(float(e) ** 2 for e in errors) / len(errors))))
    places = {tick: found[place][0] for tick, place in zip(onsets, straight)}
    steps = {tick: found[place][1] for tick, place in zip(onsets, straight)}

    def followed(tick: int) -> float:
        """The place of any tick, with the drift at the onset before it."""
        return _even(position(tick) + drift[max(0, bisect_right(onsets, tick) - 1)], swing)

    ends = _ends(song, places, steps, followed)
    tempo = line.qpm if line is not None else None
    ms = 60_000 / tempo if tempo else _ms_per_tick(song) * tpq
    moves = [abs(float(found[place][0]) - place) * ms for place in straight]
    return WrittenTimes(places, ends, True, swing, tempo, sum(move > 0.5 for move in moves), *_spread(moves))


def _drift(positions: Sequence[float]) -> list[float]:
    """How far the player is ahead of the file's beat at each onset, in quarter notes: a loop of the second order that
    follows the onsets near halves of beats."""
    moved = rate = 0.0
    found, last = [], 0.0
    for place in positions:
        moved += rate * min(place - last, 4.0)
        last = place
        error = round(2 * (place + moved)) / 2 - (place + moved)
        if abs(error) < NEAR:
            moved += FOLLOW * error
            rate += FOLLOW_RATE * error
        found.append(moved)
    return found


def _swing(positions: Sequence[float]) -> float | None:
    """Where the off-beats lie if most beats of two onsets are swung; None if they are even or in thirds."""
    beats: dict[int, list[float]] = {}
    for place in positions:
        beat = math.floor(place + 0.125)
        beats.setdefault(beat, []).append(place - beat)
    offs = [max(own) for own in beats.values() if len(own) == 2 and min(own) < 0.12]
    thirds = sum(any(abs(place - 1 / 3) < 0.06 for place in own) for own in beats.values())
    late = [place for place in offs if SWING[0] <= place <= SWING[1]]
    if len(late) < MIN_ONSETS // 2 or len(late) < 0.8 * len(offs) or thirds > 0.1 * len(beats):
        return None
    return median(late)


def _even(place: float, swing: float | None) -> float:
    """A place in quarter notes with the swing taken out."""
    if swing is None:
        return place
    beat = math.floor(place)
    inside = place - beat
    return beat + (inside / swing / 2 if inside < swing else 0.5 + (inside - swing) / (1 - swing) / 2)


def _quantised(positions: Sequence[float], sigma: float) -> dict[float, tuple[Fraction, int]]:
    """(place, parts of its beat's grid) of each position."""
    beats: dict[int, list[float]] = {}
    for place in positions:
        beats.setdefault(math.floor(place + 0.125), []).append(place)
    found: dict[float, tuple[Fraction, int]] = {}
    for beat, own in beats.items():
        _, places, parts = min((_explained(beat, own, grid, sigma) for grid in GRIDS), key=lambda one: one[0])
        found |= {position: (place, parts) for position, place in zip(own, places)}
    return found


def _explained(
    beat: int, positions: Sequence[float], grid: Sequence[int], sigma: float
) -> tuple[float, list[Fraction], int]:
    """(cost, places, parts of the grid used) of the onsets of a beat on a grid and its coarser ones."""
    candidates = {Fraction(n, grid[-1]) for n in range(grid[-1] + 1)}
    cost = TERNARY if grid[0] == 3 else 0.0
    places: list[Fraction] = []
    for position in positions:
        inside = position - beat
        best = min(candidates, key=lambda place: (float(place) - inside) ** 2 / (2 * sigma**2) + _depth(place))
        cost += (float(best) - inside) ** 2 / (2 * sigma**2) + _depth(best)
        if places and places[-1] == beat + best and position - positions[len(places) - 1] > APART:
            cost += COLLISION
        places.append(beat + best)
    return cost, places, max((place - beat).denominator for place in places)


def _depth(place: Fraction) -> float:
    return DEPTH.get(place.denominator, 0.0)


def _ends(
    song: MidiSong, places: dict[int, Fraction], steps: dict[int, int], position: Callable[[int], float]
) -> dict[tuple[int, int], Fraction]:
    """Where notes end: at the next onset of their part if they come near it, else on a quarter or third of a beat."""
    ends: dict[tuple[int, int], Fraction] = {}
    for part in song.parts:
        onsets = sorted({places[note.onset] for note in part.notes})
        for note in part.notes:
            begin, end = places[note.onset], Fraction(position(note.end)).limit_denominator(960)
            step = Fraction(1, 3 if steps[note.onset] % 3 == 0 else 4)
            step = min(step, Fraction(1, steps[note.onset]))
            after = bisect_right(onsets, begin)
            following = onsets[after] if after < len(onsets) else None
            if following is not None and abs(following - end) <= max(
                (following - begin) * Fraction(2, 5), Fraction(1, 8)
            ):
                stop = following
            else:
                stop = max(round(end / step) * step, begin + step)
            known = ends.get((note.onset, note.end))
            ends[note.onset, note.end] = stop if known is None else max(known, stop)
    return ends


# --- the beat --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BeatLine:
    """Beats found in a performance, as times in seconds, and how ticks become times."""

    beats: tuple[float, ...]
    tempos: tuple[tuple[int, float, float], ...]  # tick, seconds there, seconds a tick

    def position(self, tick: float) -> float:
        """Quarter notes from the first beat on; before and after the beats go on as they were."""
        time = _seconds(self.tempos, tick)
        place = min(max(bisect_right(self.beats, time) - 1, 0), len(self.beats) - 2)
        return place + (time - self.beats[place]) / (self.beats[place + 1] - self.beats[place])

    @property
    def qpm(self) -> float:
        """Quarter notes a minute: that of the median beat."""
        return 60 / median(b - a for a, b in zip(self.beats, self.beats[1:]))


def _beat_line(song: MidiSong, onsets: Sequence[int]) -> BeatLine | None:
    """The player's beats where those of the file are not; None where they are, or where there are too few onsets."""
    tpq = song.ticks_per_quarter
    coherence = max(
        abs(sum(complex(math.cos(a), math.sin(a)) for a in (2 * math.pi * parts * tick / tpq for tick in onsets)))
        for parts in (2, 3, 4)
    ) / len(onsets)
    if coherence > COHERENT or len(onsets) < MIN_BEAT_ONSETS:
        return None
    tempos = _tempo_line(song)
    times = [_seconds(tempos, tick) for tick in onsets]
    beats = _tracked(times)
    if len(beats) < 4:
        return None
    first = 2 * beats[0] - beats[1]
    return BeatLine((first, *beats) if first > times[0] - 0.5 and first > 0 else tuple(beats), tempos)


def _tempo_line(song: MidiSong) -> tuple[tuple[int, float, float], ...]:
    changes = dict([(0, DEFAULT_TEMPO), *((tick, tempo) for tick, tempo in song.tempos if tempo)])
    found: list[tuple[int, float, float]] = []
    for tick in sorted(changes):
        at = found[-1][1] + (tick - found[-1][0]) * found[-1][2] if found else 0.0
        found.append((tick, at, changes[tick] / 1e6 / song.ticks_per_quarter))
    return tuple(found)


def _seconds(tempos: Sequence[tuple[int, float, float]], tick: float) -> float:
    start, at, length = tempos[max(0, bisect_right(tempos, tick, key=lambda one: one[0]) - 1)]
    return at + (tick - start) * length


def _tracked(times: Sequence[float]) -> list[float]:
    """Beats (seconds) through onsets: Ellis's dynamic programme over onset strength, with one period."""
    import numpy as np

    strength = np.zeros(int((times[-1] - times[0] + 2) / FRAME))
    for time in times:
        strength[int((time - times[0]) / FRAME)] += 1
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2.5) ** 2)
    strength = np.convolve(strength, kernel, "same")
    lags = np.arange(int(0.25 / FRAME), min(int(1.5 / FRAME), len(strength) // 2))
    if not len(lags):
        return []
    likely = np.exp(-0.5 * (np.log2(lags * FRAME / 0.5) / 0.9) ** 2)
    period = int(lags[np.argmax([strength[lag:] @ strength[:-lag] for lag in lags] * likely)])
    score, before = strength.copy(), np.full(len(strength), -1)
    steps = np.arange(-2 * period, -period // 2)
    penalty = -6.0 * np.log(-steps / period) ** 2
    for frame in range(2 * period, len(strength)):
        reached = score[frame + steps] + penalty
        best = int(np.argmax(reached))
        score[frame] += reached[best]
        before[frame] = frame + steps[best]
    place = int(len(score) - 2 * period + np.argmax(score[-2 * period :]))
    beats = []
    while place >= 0:
        beats.append(place * FRAME + times[0])
        place = int(before[place])
    return beats[::-1]
