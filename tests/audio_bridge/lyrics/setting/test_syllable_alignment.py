"""The aligner against trying every placement, with the costs of its docstring added up by a second hand."""

import itertools
import math
from collections.abc import Iterator

import pytest

from audio_bridge.lyrics.prosody.stress import Syllable
from audio_bridge.lyrics.setting import syllable_alignment as aligner
from audio_bridge.lyrics.setting.sung_melody import SungNote
from audio_bridge.lyrics.setting.syllable_alignment import DEFAULT, AlignmentCosts, Placement
from symbolic.errors import UserError

EIGHTH = 5040
QUARTER = 2 * EIGHTH


def note(midi: int, ticks: int = EIGHTH, strength: int = 0, **more: object) -> SungNote:
    return SungNote((0,), 0, ticks, midi, strength, **more)  # type: ignore[arg-type]


def words(*stresses: int, ends_line: tuple[int, ...] = (), inside_word: tuple[int, ...] = ()) -> list[Syllable]:
    """Syllables of these stresses; each ends its word but those of `inside_word`, and the last ends its line."""
    last = len(stresses) - 1
    return [Syllable("x", s, i not in inside_word, i == last or i in ends_line) for i, s in enumerate(stresses)]


def placements(syllables: list[Syllable], n_notes: int) -> Iterator[list[tuple[int, int, int]]]:
    """Every row of (syllables, first note, last note): one syllable on a run of notes, several on one note, or none on
    one note before the first, after the last or between two lines."""

    def rest(i: int, j: int) -> Iterator[list[tuple[int, int, int]]]:
        if j == n_notes:
            if i == len(syllables):
                yield []
            return
        if i in (0, len(syllables)) or syllables[i - 1].ends_line:
            yield from ([(0, j, j), *more] for more in rest(i, j + 1))
        if i < len(syllables):
            for last in range(j, n_notes):
                yield from ([(1, j, last), *more] for more in rest(i + 1, last + 1))
        for k in range(2, min(4, len(syllables) - i) + 1):
            yield from ([(k, j, j), *more] for more in rest(i + k, j + 1))

    yield from rest(0, 0)


def cost_of(
    placing: list[tuple[int, int, int]], syllables: list[Syllable], notes: list[SungNote], w: AlignmentCosts
) -> float:
    """The costs of `AlignmentCosts`, one after another."""
    mean = sum(n.ticks for n in notes) / len(notes)
    below = [min(3.0, max(0.0, math.log2(mean / n.ticks))) for n in notes]  # halvings below the mean
    total, i = 0.0, 0
    for k, first, last in placing:
        if k == 0:
            total += w.silence
            continue
        syllable, start = syllables[i], notes[first]
        if syllable.stress == 2:
            doublings = min(2.0, max(-2.0, math.log2(start.ticks / mean)))
            total += w.off_beat[start.strength] - w.stress_length * doublings
        elif syllable.stress == 1:
            total += (w.off_beat[start.strength] + w.on_beat[start.strength]) / 4
        else:
            total += w.on_beat[start.strength]
        total += w.short * below[first] if start.strength == 0 else 0.0
        for place, (before, held) in enumerate(itertools.pairwise(notes[first : last + 1]), start=first + 1):
            leap = abs(held.midi - before.midi)
            if held.slurred:
                total += w.slurred
            else:
                total += w.melisma + w.held_beat * held.strength + (w.weak_melisma if syllable.stress == 0 else 0.0)
                total -= w.short * min(1.0, below[place]) if held.strength == 0 else 0.0
                total += w.same_pitch if leap == 0 else w.leap if leap > 4 else 0.0
            total += (w.rest if before.rest_after else 0.0) + w.line_end * before.boundary
        total += w.division * (k - 1)
        for inner in range(i, i + k):
            sung = syllables[inner]
            if inner > i and sung.stress == 2:
                total += w.off_beat[0]
            if inner < i + k - 1:
                total += w.line_end if sung.ends_line else 0.0
            elif sung.ends_line:
                total += w.line_end * (1 - notes[last].boundary)
            else:
                total += (w.line_end + (0.0 if sung.ends_word else w.word_cut)) * notes[last].boundary
        i += k
    return total


SCALE = [note(60, QUARTER, 3), note(62), note(64), note(65, QUARTER, 1), note(67, QUARTER, 2)]
CASES = {
    "one a note": (words(2, 0, 1, 2, 0), SCALE),
    "melismas by stress": (words(0, 2, 0), SCALE),
    "held repeats": (words(2, 1), [note(60, strength=3), note(60), note(62), note(62, strength=2), note(74)]),
    "slurred": (words(2, 0, 1), [note(60, strength=3), note(64, slurred=True), note(60), note(60, slurred=True)]),
    "slurs of the unstressed": (words(0, 0), [note(60, strength=3), note(64, slurred=True), note(67, slurred=True)]),
    "rests": (words(2, 2), [note(60, strength=3, rest_after=5), note(61), note(62, rest_after=9), note(64)]),
    "lines": (
        words(2, 0, 2, 0, ends_line=(1,), inside_word=(0, 2)),
        [note(60, strength=3), note(62, boundary=0.5), note(64, QUARTER, 2, boundary=1.0), note(65, QUARTER, 1),
         note(67, QUARTER, boundary=1.0)],
    ),
    "silences": (words(2, 2, ends_line=(0,)), [*[note(60)] * 2, note(72, QUARTER, 3), note(60), note(60, boundary=1)]),
    "shared notes": (words(2, 0, 1, 2, 0), [note(60, 4 * QUARTER, 3), note(62, QUARTER), note(64, 2 * QUARTER, 2)]),
    "lines on one note": (words(2, 2, 2, ends_line=(0,)), [note(60, 3 * QUARTER, 3, boundary=0.5)]),
    "long and short": (words(2, 1, 0), [note(60, 8 * QUARTER, 1), note(61, 630), note(62, QUARTER), note(63, 1260)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_cheapest_of_all_placements_is_found(name: str) -> None:
    syllables, notes = CASES[name]
    carried = [one for one in placements(syllables, len(notes)) if all(_carries(notes[j], k) for k, j, _ in one)]
    cheapest = min(cost_of(one, syllables, notes, DEFAULT) for one in carried)
    assert aligner.cost(syllables, notes) * len(syllables) == pytest.approx(cheapest)
    found = aligner.align(syllables, notes)
    assert cost_of(_grouped(found, len(notes)), syllables, notes, DEFAULT) == pytest.approx(cheapest)


def _carries(one: SungNote, k: int) -> bool:
    return k < 2 or (one.ticks % k == 0 and one.ticks // k in (2520, 3780, 5040, 7560, 10_080, 15_120, 20_160))


def _grouped(found: list[Placement], n_notes: int) -> list[tuple[int, int, int]]:
    """Placements in the form of `placements`."""
    groups = [(p.parts, p.first, p.last) for p in found if p.part == 0]
    sung = {j for _, first, last in groups for j in range(first, last + 1)}
    return sorted([*groups, *((0, j, j) for j in range(n_notes) if j not in sung)], key=lambda group: group[1])


@pytest.mark.parametrize("name", list(vars(DEFAULT)))
def test_every_cost_counts(name: str) -> None:
    """With one cost left out, or ten times as large, the cheapest placement is found; some case changes."""
    own = getattr(DEFAULT, name)
    n_changed = 0
    for factor in (0, 10):
        other = tuple(factor * one for one in own) if isinstance(own, tuple) else factor * own
        weights = AlignmentCosts(**{**vars(DEFAULT), name: other})
        for syllables, notes in CASES.values():
            carried = [
                one for one in placements(syllables, len(notes)) if all(_carries(notes[j], k) for k, j, _ in one)
            ]
            cheapest = min(cost_of(one, syllables, notes, weights) for one in carried)
            assert aligner.cost(syllables, notes, weights) * len(syllables) == pytest.approx(cheapest)
            n_changed += aligner.cost(syllables, notes, weights) != aligner.cost(syllables, notes)
    assert n_changed


def test_notes_are_cut_into_lengths_that_can_be_written_and_no_shorter_than_a_sixteenth() -> None:
    carried = {ticks: aligner.capacity([note(60, ticks)]) for ticks in (2520, 5040, 7560, 10_080, 15_120, 40_320)}
    assert carried == {2520: 1, 5040: 2, 7560: 3, 10_080: 4, 15_120: 4, 40_320: 4}
    assert aligner.capacity([note(60, 6300)]) == 1  # its half is no note value
    tied = SungNote((0, 1), 0, 40_320, 60, 3)
    assert aligner.capacity([tied]) == 1 and aligner.capacity([tied, note(60, 40_320)]) == 5


def test_what_cannot_be_set_costs_without_end_and_is_refused() -> None:
    short = [note(60, 2520), note(62, 2520)]
    assert aligner.cost(words(2, 0, 2), short) == aligner.cost([], short) == aligner.cost(words(2), []) == math.inf
    with pytest.raises(UserError, match="2 notes can carry 2 syllables at most, and the words have 3"):
        aligner.align(words(2, 0, 2), short)
    with pytest.raises(UserError, match="no syllables"):
        aligner.align([], short)
    with pytest.raises(UserError, match="no notes"):
        aligner.align(words(2), [])
    with pytest.raises(UserError, match="20,001 syllables; at most 20,000"):
        aligner.align(words(*[0] * 20_001), short)


def test_a_syllable_holds_up_to_thirty_two_notes_where_fewer_will_not_do() -> None:
    """Inside a line no note is left unsung: 2 syllables reach over at most 64 notes that fall."""
    inner = [note(100 - j, strength=3 if j == 0 else 0) for j in range(32)]
    placed = aligner.align(words(2, 2), inner + inner)
    assert all(p.last - p.first < 32 for p in placed)
    assert aligner.align(words(2), inner)[0].first == 0


def test_the_spread_follows_the_letters() -> None:
    """Five letters of six sound for five sixths of the time; one syllable a note while there are enough notes."""
    even = [SungNote((j,), j * EIGHTH, EIGHTH, 60, 0) for j in range(6)]
    two = [Syllable("heart", 2, True, False), Syllable("s", 0, True, True)]
    assert aligner.spread(two, even) == [Placement(0, 4), Placement(5, 5)]
    long = [Syllable("a", 2, True, i == 5) for i in range(6)]
    assert aligner.spread(long, even) == [Placement(j, j) for j in range(6)]
    halves = [SungNote((0,), 0, QUARTER, 60, 3), SungNote((1,), QUARTER, QUARTER, 62, 2)]
    assert aligner.spread(long[:4], halves) == [
        Placement(0, 0, 0, 2), Placement(0, 0, 1, 2), Placement(1, 1, 0, 2), Placement(1, 1, 1, 2),
    ]  # fmt: skip
    crowded = [Syllable("aaaaaaaaaaaa", 2, True, False), *long[:2]]
    assert [p.first for p in aligner.spread(crowded, even[:3])] == [0, 1, 2]
