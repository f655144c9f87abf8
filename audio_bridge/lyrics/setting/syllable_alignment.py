"""Syllables placed on notes by dynamic programming: the setting of words to a tune.

Each syllable, in order, gets a run of one or more notes (a melisma), or shares a note with its neighbours, which then
is divided; notes may stay unsung between lines. The cheapest placing wins. What costs, in `Weights`:

    stress    a stressed syllable off the beat, an unstressed one on a strong beat (Halle and Lerdahl 1993)
    melisma   each note more than one of a syllable; less where the tune has a slur there or the note is short and off
              the beat, more where it leaps, and much more where it repeats the pitch (nobody would hear it)
    short     a syllable that begins on a short note off the beat
    division  a note cut for a second syllable
    line end  a line that ends where no phrase does, a phrase that ends inside a line or a word
    rest      a syllable held over a silence
    silence   a note that nobody sings

Time is O(syllables x notes x MOST_HELD) inside a band around the straight line from the first to the last.
`spread` is the alternative to compare with: lyrics laid linearly over the time of the tune (Dhariwal et al. 2020,
Jukebox, section 5).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audio_bridge.lyrics.prosody.stress import Syllable
from audio_bridge.lyrics.setting.sung_melody import SungNote
from symbolic.errors import UserError
from symbolic.notation.theory import TICKS_PER_WHOLE

MOST_HELD, LONGEST_HELD = 8, 32  # notes of one syllable: tried first, and where nothing is found
MOST_SHARING = 4  # syllables on one note
LEAST_TICKS = TICKS_PER_WHOLE // 16  # a divided note's parts are sixteenths at least
MOST_SYLLABLES = 20_000
LEAP = 4  # semitones
BAND = 48  # notes on each side of the straight line, at least


@dataclass(frozen=True)
class AlignmentCosts:
    """Costs, in the unit of one clear misplacement. See the module's docstring."""

    off_beat: tuple[float, float, float, float] = (1.4, 0.5, 0.1, 0.0)  # a main stress, by metrical strength
    on_beat: tuple[float, float, float, float] = (0.0, 0.1, 0.4, 0.8)  # an unstressed syllable
    stress_length: float = 0.25  # gained by a stress for each doubling of its note
    melisma: float = 0.9
    slurred: float = 0.1
    weak_melisma: float = 0.2  # added on an unstressed syllable
    same_pitch: float = 1.5  # added where a held note repeats the pitch
    leap: float = 0.3  # added where it leaps more than LEAP semitones
    held_beat: float = 0.25  # added for each level of metrical strength of a held note
    short: float = 0.5  # for each halving below the mean length, off the beat
    division: float = 4.0
    line_end: float = 2.5
    word_cut: float = 1.0  # added when a phrase ends inside a word
    rest: float = 2.0
    silence: float = 1.3


DEFAULT = AlignmentCosts()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one syllable is sung: notes first..last (indices), or part `part` of `parts` of a note."""

    first: int
    last: int
    part: int = 0
    parts: int = 1


def align(
    syllables: Sequence[Syllable], notes: Sequence[SungNote], weights: AlignmentCosts = DEFAULT
) -> list[Placement]:
    """Return the cheapest placement of every syllable. Raises UserError where the notes cannot carry them all."""
    _check(syllables, notes)
    table = _Table(syllables, notes, weights)
    table.fill()
    return table.placements()


def cost(syllables: Sequence[Syllable], notes: Sequence[SungNote], weights: AlignmentCosts = DEFAULT) -> float:
    """Return what the cheapest placement costs, per syllable: how well words and tune suit each other. inf: not at
    all."""
    if not syllables or not notes or len(syllables) > capacity(notes):
        return math.inf
    table = _Table(syllables, notes, weights)
    table.fill()
    return table.total / len(syllables)


def spread(syllables: Sequence[Syllable], notes: Sequence[SungNote]) -> list[Placement]:
    """Return the linear baseline: each syllable on the note that sounds when its share of the letters has passed, one
    note a syllable while there are enough, notes between held."""
    _check(syllables, notes)
    n, m = len(syllables), len(notes)
    letters = [max(1, len(s.text)) for s in syllables]
    start, end = notes[0].onset_ticks, notes[-1].end_ticks
    first: list[int] = []
    passed = 0
    for i, length in enumerate(letters):
        tick = start + (end - start) * passed / sum(letters)
        place = max(j for j, note in enumerate(notes) if note.onset_ticks <= tick or j == 0)
        lowest = min(first[-1] + 1, m - 1) if first else 0
        first.append(min(max(place, lowest), max(m - (n - i), lowest)) if n <= m else place)
        passed += length
    return _shared(first, m)


def capacity(notes: Sequence[SungNote]) -> int:
    """Return the most syllables that the notes can carry."""
    return sum(_most_parts(note) for note in notes)


def _check(syllables: Sequence[Syllable], notes: Sequence[SungNote]) -> None:
    if not syllables:
        raise UserError("there are no syllables to sing: give at least one line of words.")
    if not notes:
        raise UserError("the tune has no notes to sing on.")
    if len(syllables) > MOST_SYLLABLES:
        raise UserError(f"the words have {len(syllables):,} syllables; at most {MOST_SYLLABLES:,} are set. Split them.")
    if len(syllables) > capacity(notes):
        raise UserError(
            f"the tune's {len(notes)} notes can carry {capacity(notes)} syllables at most, and the words have "
            f"{len(syllables)}. Shorten the words, take a longer tune, or have it sung more often (--passes)."
        )


def _most_parts(note: SungNote) -> int:
    return max((k for k in range(1, MOST_SHARING + 1) if _divides(note, k)), default=1)


def _divides(note: SungNote, parts: int) -> bool:
    """Return whether a note can be cut so; a tied one is not, since its parts may lie in two bars."""
    if parts == 1:
        return True
    whole = note.ticks % parts == 0 and note.ticks // parts >= LEAST_TICKS
    return whole and len(note.events) == 1 and _is_written(note.ticks // parts)


def _is_written(ticks: int) -> bool:
    """Return whether a length is a plain or dotted note value: thirds of a note would need a tuplet."""
    return (TICKS_PER_WHOLE % ticks == 0 and (TICKS_PER_WHOLE // ticks) & (TICKS_PER_WHOLE // ticks - 1) == 0) or (
        ticks % 3 == 0 and TICKS_PER_WHOLE * 2 % (ticks // 3 * 2) == 0 and _power_of_two(TICKS_PER_WHOLE * 3, ticks)
    )


def _power_of_two(whole: int, ticks: int) -> bool:
    quotient, rest = divmod(whole, ticks)
    return rest == 0 and quotient & (quotient - 1) == 0


class _Table:
    """best[i][j]: the cheapest way to have placed i syllables on the first j notes, and the step that led there."""

    def __init__(self, syllables: Sequence[Syllable], notes: Sequence[SungNote], weights: AlignmentCosts) -> None:
        self.syllables, self.notes, self.weights = syllables, notes, weights
        self.mean = sum(n.ticks for n in notes) / len(notes)
        self.need = [1, 1] + [0] * MOST_SHARING
        n, m = len(syllables), len(notes)
        width = max(BAND, m // 4)
        self.bands = [(max(0, round(i * m / n) - width), min(m, round(i * m / n) + width)) for i in range(n + 1)]
        self.best: list[dict[int, tuple[float, int, int]]] = [{} for _ in range(n + 1)]
        self.best[0][0] = (0.0, -1, -1)
        self.most_held = MOST_HELD
        shortness = [max(0.0, min(3.0, math.log2(self.mean / note.ticks))) for note in notes]
        self.short = [weights.short * s if note.strength == 0 else 0.0 for s, note in zip(shortness, notes)]
        self.held = [0.0, *(self._hold(notes[k - 1], notes[k], shortness[k]) for k in range(1, m))]
        self.parts = [[k for k in range(2, MOST_SHARING + 1) if _divides(note, k)] for note in notes]

    @property
    def total(self) -> float:
        """Cost of the best placement; inf where there is none."""
        found = self.best[len(self.syllables)].get(len(self.notes))
        return found[0] if found else math.inf

    def fill(self) -> None:
        """Go through the table; where nothing is found, again without a band and with longer melismas."""
        self._pass()
        if self.total == math.inf:
            self.most_held = LONGEST_HELD
            self.bands = [(0, len(self.notes))] * len(self.bands)
            self.best = [{0: (0.0, -1, -1)}] + [{} for _ in self.syllables]
            self._pass()

    def _pass(self) -> None:
        n = len(self.syllables)
        for i in range(n + 1):
            row = self.best[i]
            may_rest = i in (0, n) or self.syllables[i - 1].ends_line
            for j in range(self.bands[i][0], self.bands[i][1] + 1):
                if j not in row or j == len(self.notes):
                    continue
                if may_rest:
                    self._relax(i, j + 1, row[j][0] + self.weights.silence, i, j)
                if i < n:
                    self._place(i, j, row[j][0])

    def _place(self, i: int, j: int, before: float) -> None:
        """Try every way to sing syllable i from note j on."""
        held = 0.0
        base = before + self._fit(i, j)
        for last in range(j, min(j + self.most_held, len(self.notes))):
            if last > j:
                held += self._held(i, last)
            self._relax(i + 1, last + 1, base + held + self._ending(i, last), i, j)
        for k in self.parts[j]:
            if i + k <= len(self.syllables):
                self._relax(i + k, j + 1, before + self._divided(i, j, k), i, j)

    def _relax(self, i: int, j: int, value: float, from_i: int, from_j: int) -> None:
        low, high = self.bands[i]
        if low <= j <= high:
            row = self.best[i]
            if j not in row or value < row[j][0]:
                row[j] = (value, from_i, from_j)

    def _fit(self, i: int, j: int) -> float:
        """Return the cost of a syllable's stress against its note's beat and length."""
        weights, stress, note = self.weights, self.syllables[i].stress, self.notes[j]
        if stress == 2:
            longer = math.log2(note.ticks / self.mean)
            return weights.off_beat[note.strength] - weights.stress_length * max(-2.0, min(2.0, longer)) + self.short[j]
        if stress == 1:
            return (weights.off_beat[note.strength] + weights.on_beat[note.strength]) / 4 + self.short[j]
        return weights.on_beat[note.strength] + self.short[j]

    def _held(self, i: int, last: int) -> float:
        """Return the cost of holding syllable i on to note `last`."""
        weights, before, note = self.weights, self.notes[last - 1], self.notes[last]
        value = weights.slurred if note.slurred else self.held[last]
        value += weights.weak_melisma if self.syllables[i].stress == 0 and not note.slurred else 0.0
        value += weights.rest if before.rest_after else 0.0
        return value + weights.line_end * before.boundary

    def _hold(self, before: SungNote, note: SungNote, shortness: float) -> float:
        """Return the cost of going on to a note without a new syllable."""
        weights, interval = self.weights, abs(note.midi - before.midi)
        value = weights.melisma - weights.short * min(1.0, shortness) * (note.strength == 0)
        value += weights.held_beat * note.strength
        return value + (weights.same_pitch if interval == 0 else weights.leap if interval > LEAP else 0.0)

    def _ending(self, i: int, last: int) -> float:
        """Return the cost of ending syllable i with note `last`: line ends should meet phrase ends."""
        syllable, boundary = self.syllables[i], self.notes[last].boundary
        if syllable.ends_line:
            return self.weights.line_end * (1.0 - boundary)
        return (self.weights.line_end + (0.0 if syllable.ends_word else self.weights.word_cut)) * boundary

    def _divided(self, i: int, j: int, k: int) -> float:
        """Return the cost of k syllables on note j: the first is where the note is, the others are off the beat."""
        inner = sum(self.weights.off_beat[0] for s in self.syllables[i + 1 : i + k] if s.stress == 2)
        cuts = sum(self.weights.line_end for s in self.syllables[i : i + k - 1] if s.ends_line)
        return self._fit(i, j) + self.weights.division * (k - 1) + inner + cuts + self._ending(i + k - 1, j)

    def placements(self) -> list[Placement]:
        """Read the table back."""
        i, j = len(self.syllables), len(self.notes)
        if self.total == math.inf:
            raise UserError(
                f"{len(self.syllables)} syllables cannot be set on these {len(self.notes)} notes: a syllable holds at "
                f"most {LONGEST_HELD} notes within its line. Give more words or a shorter tune."
            )
        found: list[Placement] = []
        while i or j:
            _, from_i, from_j = self.best[i][j]
            k = i - from_i
            if k == 1:
                found.append(Placement(from_j, j - 1))
            found += [Placement(from_j, from_j, part, k) for part in range(k - 1, -1, -1)] if k > 1 else []
            i, j = from_i, from_j
        return found[::-1]


def _shared(first: list[int], m: int) -> list[Placement]:
    """Return placements from first notes: a note of several syllables is divided, the notes up to the next are held."""
    found: list[Placement] = []
    for i, place in enumerate(first):
        sharing = first.count(place)
        later = next((one for one in first[i + 1 :] if one > place), m)
        part = first[:i].count(place)
        found.append(Placement(place, later - 1 if sharing == 1 else place, part, sharing))
    return found
