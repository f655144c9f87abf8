"""Notes to written music: spelling of pitches, accidentals, tuplets.

What a measure holds (`Sign`) is put into the events of `symbolic.notation.score`, whose canonical ABC reads back as the
same notes and lengths.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symbolic.notation.score import Event, Grace, KeyChange, Note, Rest, Tuplet
from symbolic.notation.theory import FIFTHS, LETTERS, SEMITONES, TICKS_PER_WHOLE, Key, Pitch

Spelled = tuple[str, int, int]  # letter, octave (4 holds middle C), alteration -2..2
TUPLETS = ((3, 2), (5, 4), (7, 4), (6, 4), (9, 8), (15, 8))  # p notes in the time of q
SHORTEST = TICKS_PER_WHOLE // 128
_SHORTEST_PIECE = TICKS_PER_WHOLE // 32  # of a note that is cut where the tempo changes
MOVED_TEMPO = "changes of tempo inside a note that cannot be cut there, moved to its beginning"
ROUNDED_TUPLETS = ((11, 8), (13, 8), (17, 16), (19, 16))  # whose notes are no whole number of ticks


@dataclass(frozen=True, slots=True)
class Sign:
    """One note, chord or rest (no pitches) of a measure, with what is written at it.

    `tie` leads to the next sign; `before` are events that stand before its graces (chord symbols, changes of key, slurs
    that open), `after` those that stand behind it (slurs that close); `marks` are decorations in canonical ABC;
    `untied` and `syllables` are those of `notation.score.Note`, `has_slash` is that of its graces.
    """

    ticks: int
    pitches: tuple[Spelled, ...] = ()
    tie: bool = False
    before: tuple[Event, ...] = ()
    graces: tuple[Spelled, ...] = ()
    marks: str = ""
    after: tuple[Event, ...] = ()
    untied: tuple[int, ...] = ()
    syllables: tuple[str, ...] = ()
    has_slash: bool = False


def divided(start: int, end: int, places: Iterable[int]) -> list[tuple[int, int]]:
    """(start, end) of the pieces of a note or rest, cut at each of `places` (ticks, ascending) that stands a whole
    number of 32nds from its beginning and its end."""
    cuts = [start]
    for place in places:
        if cuts[-1] < place < end and not ((place - start) % _SHORTEST_PIECE or (end - place) % _SHORTEST_PIECE):
            cuts.append(place)
    return list(zip(cuts, [*cuts[1:], end]))


def measure_events(signs: Sequence[Sign], key: Key) -> list[Event]:
    """The events of one measure: accidentals where the key or the bar so far say otherwise, tuplets where a length
    needs one."""
    speller = _BarSpeller(key)
    events: list[Event] = []
    for p, q, group in _tuplet_groups(signs):
        written = _written(group, (p, q)) or [sign.ticks for sign in group]
        for place, sign in enumerate(group):
            events += sign.before
            speller.see(sign.before)
            if sign.graces:
                events.append(Grace(tuple(map(speller.pitch, sign.graces)), sign.has_slash))
            if p != q and not place:
                events.append(Tuplet(p, q, len(group)))
            events.append(_timed(sign, written[place], speller))
            events += sign.after
    return events


def _timed(sign: Sign, written: int, speller: "_BarSpeller") -> Note | Rest:
    if not sign.pitches:
        return Rest(sign.ticks, written)
    pitches = tuple(map(speller.pitch, dict.fromkeys(sign.pitches)))
    return Note(pitches, sign.ticks, written, sign.tie, sign.marks, sign.untied, sign.syllables)


class _BarSpeller:
    """Accidentals of one measure: those of the key, and those written so far, which hold in all octaves."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.in_bar: dict[str, int] = {}

    def see(self, events: Iterable[Event]) -> None:
        """Take over changes of key."""
        for event in events:
            self.key = event.key if isinstance(event, KeyChange) else self.key

    def pitch(self, spelled: Spelled) -> Pitch:
        """The written pitch, with an accidental where it needs one."""
        letter, octave, alter = spelled
        midi = 12 * (octave + 1) + SEMITONES[letter] + alter
        if self.in_bar.get(letter, self.key.accidentals[letter]) == alter:
            return Pitch(letter, octave, None, midi)
        self.in_bar[letter] = alter
        return Pitch(letter, octave, alter, midi)


def spelled(midi: int, key: Key) -> Spelled:
    """Letter, octave and alteration of a pitch: the name nearest to the key on the line of fifths."""
    names = [(letter, alter) for letter in LETTERS for alter in (-1, 0, 1)]
    fitting = [one for one in names if (SEMITONES[one[0]] + one[1] - midi) % 12 == 0]
    letter, alter = min(fitting, key=lambda one: abs(FIFTHS.index(one[0]) - 1 + 7 * one[1] - key.sharps - 2))
    return letter, (midi - alter - SEMITONES[letter]) // 12 - 1, alter


# --- lengths ---------------------------------------------------------------------------------------------------------


def _tuplet_groups(signs: Sequence[Sign]) -> Iterator[tuple[int, int, list[Sign]]]:
    """(p, q, signs) of runs that share a ratio; a run is closed when it fills a beat of its own, or at 32 signs."""
    group: list[Sign] = []
    ratio = (1, 1)
    for sign in signs:
        own = _ratio(sign.ticks)
        if group and (own != ratio or len(group) == 32 or _is_whole(group, ratio)):
            yield *_kept_ratio(group, ratio), group
            group = []
        ratio = own
        group.append(sign)
    if group:
        yield *_kept_ratio(group, ratio), group


def _kept_ratio(group: list[Sign], ratio: tuple[int, int]) -> tuple[int, int]:
    """The ratio of a group if its notes are read back as long as they are, and a tuplet whose notes ticks only round is
    complete, which chance hardly makes it; else none."""
    if ratio in ROUNDED_TUPLETS and not _is_whole(group, ratio):
        return 1, 1
    return ratio if _written(group, ratio) else (1, 1)


def _is_whole(group: list[Sign], ratio: tuple[int, int]) -> bool:
    """Whether a tuplet has as much as p of its shortest notes, so that it ends where plain notes can go on."""
    p, q = ratio
    written = [_nearest_written(sign.ticks, ratio) for sign in group]
    return p != q and sum(written) % (p * min(written)) == 0


def _ratio(ticks: int) -> tuple[int, int]:
    """The tuplet that a length needs: (1, 1) for dyadic ones, and for those that no tuplet makes dyadic."""
    if _is_dyadic(ticks):
        return 1, 1
    exact = next(((p, q) for p, q in TUPLETS if ticks * p % q == 0 and _is_dyadic(ticks * p // q)), None)
    if exact is not None:
        return exact
    return next(
        ((p, q) for p, q in ROUNDED_TUPLETS if 0 < abs(ticks * p - _nearest_written(ticks, (p, q)) * q) < p), (1, 1)
    )


def _nearest_written(ticks: int, ratio: tuple[int, int]) -> int:
    """The written length of a note of a tuplet, a whole number of 128th notes unless the tuplet has its ticks
    exactly."""
    p, q = ratio
    if ratio not in ROUNDED_TUPLETS:
        return ticks * p // q
    return max(1, round(ticks * p / (q * SHORTEST))) * SHORTEST


def _written(group: list[Sign], ratio: tuple[int, int]) -> list[int]:
    """The written lengths of a tuplet; [] where reading them, each rounded to a tick, would give other lengths."""
    p, q = ratio
    written = [_nearest_written(sign.ticks, ratio) for sign in group]
    before = sounding = 0
    for sign, length in zip(group, written):
        before, sounding = before + length, sounding + sign.ticks
        if round(Fraction(before * q, p)) != sounding:
            return []
    return written


def _is_dyadic(ticks: int) -> bool:
    """Whether a length is a whole number of 128th notes."""
    return ticks % SHORTEST == 0
