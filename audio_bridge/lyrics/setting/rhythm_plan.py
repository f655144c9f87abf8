"""The rhythm of a melody for given words: each syllable on a grid, stresses on beats, every line filling its bars.

Where several verses share a melody the plan serves all of them at once. A genre's `RhythmStyle` says what distances
between syllables it likes, whether lines begin before the bar, whether syllables anticipate a beat, and whether three
may share one. The cheapest rhythm of a line is found by dynamic programming over (syllable, place, last distance).

Times are ticks from a line's first bar line; a pick-up starts below 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from audio_bridge.lyrics.genre_styles import RhythmStyle
from audio_bridge.lyrics.prosody.stress import line_language, line_syllables
from audio_bridge.lyrics.setting.sung_melody import strength
from symbolic.errors import UsageError, UserError
from symbolic.notation.theory import TICKS_PER_QUARTER, UNIT_TICKS, Meter, parse_meter

MAX_HELD = 6 * UNIT_TICKS  # of a line's last note
BARS = {"2/4": (4, 8), "4/4": (2, 4), "2/2": (2, 4), "3/4": (2, 4, 6), "6/8": (2, 4), "9/8": (2, 3), "12/8": (1, 2)}
_OFF = (1.5, 0.4, 0.0, 0.0)  # a stress, by metrical strength
_ON = (0.0, 0.1, 0.5, 0.9)  # an unstressed syllable
_CROSSING = 0.8  # a note held over a bar line
_SILENT_BAR = 1.5  # a line that leaves its first or last bar silent
_LATE, _EARLY = 0.3, 0.02  # a line that begins after the bar's first beat; each step before it
PLAIN = RhythmStyle()


@dataclass(frozen=True)
class LinePlan:
    """Where a line's syllables start and the last one ends, in ticks; `triplets` are the onsets at which three
    syllables share a beat."""

    onsets: tuple[int, ...]
    end: int
    bars: int
    triplets: frozenset[int] = frozenset()


@dataclass(frozen=True)
class SectionPlan:
    """The lines of a section; all begin `pickup` ticks before a bar line at the earliest."""

    lines: tuple[LinePlan, ...]
    pickup: int
    meter: Meter

    @property
    def n_bars(self) -> int:
        """Bars of the section."""
        return sum(line.bars for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Path:
    """The cheapest way to a state: its cost, the onsets, the places of triplets."""

    cost: float
    onsets: tuple[int, ...]
    triplets: tuple[int, ...] = ()


def plan(
    sections: Sequence[Sequence[Sequence[str]]], language: str, metre: str = "4/4", style: RhythmStyle = PLAIN
) -> list[SectionPlan]:
    """Return a plan for each melody: `sections` holds, for each of them, the texts that are sung to it."""
    meter = parse_meter(metre)
    if meter.text not in BARS:
        raise UsageError(f"--metre {metre}: songs are written in {', '.join(BARS)}.")
    stresses = [_stresses(texts, language) for texts in sections]
    results = []
    for pickup in range(0, meter.beat_ticks + 1, max(style.unit_ticks, UNIT_TICKS)):  # one for all, so that they join
        made = [_section_plan(one, pickup, meter, style) for one in stresses]
        n_lines = sum(len(one.lines) for _, one in made)
        cost = sum(cost for cost, _ in made) + (style.pickup * n_lines if pickup else 0.0)
        results.append((cost, pickup, [one for _, one in made]))
    return min(results, key=lambda result: result[:2])[2]


def _stresses(texts: Sequence[Sequence[str]], language: str) -> list[list[float]]:
    """Return the stress of each syllable of each line, averaged over the texts that are sung to it."""
    n_lines = max(len(text) for text in texts)
    return _shared([_mean_stress([text[i] for text in texts if i < len(text)], language) for i in range(n_lines)])


def _shared(stresses: list[list[float]]) -> list[list[float]]:
    """Give the first and third line of four one rhythm where they have as many syllables, so one melody can serve."""
    out = list(stresses)
    for i in range(0, len(out) - 2, 4):
        if len(out[i]) == len(out[i + 2]):
            out[i] = out[i + 2] = [(a + b) / 2 for a, b in zip(out[i], out[i + 2])]
    return out


def _mean_stress(lines: Sequence[str], language: str) -> list[float]:
    """Return the stress from 0 to 1 of each syllable, averaged over the lines that share a melody; the longest sets the
    number."""
    levels = [[s.stress / 2 for s in line_syllables(line, line_language(line, language))] for line in lines]
    n = max(len(level) for level in levels)
    same = [level for level in levels if len(level) == n]
    return [sum(column) / len(same) for column in zip(*same)]


def _section_plan(
    stresses: Sequence[Sequence[float]], pickup: int, meter: Meter, style: RhythmStyle
) -> tuple[float, SectionPlan]:
    """Return what the section costs with a pick-up of so many ticks, and its plan."""
    longest = max(len(line) for line in stresses)
    room = meter.ticks // UNIT_TICKS  # eighths
    options = [b for b in BARS[meter.text] if b * room >= style.room * longest + 1] or [-(-2 * longest // room)]
    lines = [_line_plan(tuple(line), options[0], pickup, meter, style) for line in stresses]
    return sum(cost for cost, _ in lines), SectionPlan(tuple(one for _, one in lines), pickup, meter)


@lru_cache(maxsize=2048)
def _line_plan(
    stress: tuple[float, ...], bars: int, pickup: int, meter: Meter, style: RhythmStyle
) -> tuple[float, LinePlan]:
    """Return onsets on the grid by dynamic programming over (syllable, place, last distance)."""
    unit, length, figures = style.unit_ticks, bars * meter.ticks, dict(style.figures)
    fit = {p: strength(p % meter.ticks, meter) for p in range(-pickup, length - pickup, unit)}
    first = {(p, 0): _Path(_place_cost(stress[0], fit[p]) + _start_cost(p, unit, meter), (p,)) for p in fit}
    layers: list[dict[tuple[int, int], _Path]] = [first, *({} for _ in stress[1:])]
    for i in range(len(stress)):
        for (place, gap), path in layers[i].items():
            for n, following, step, cost, triplets in _moves(stress, i, place, gap, fit, meter, style, figures):
                state = (following[-1], step)
                best = layers[i + n].get(state)
                if best is None or path.cost + cost < best.cost:
                    layers[i + n][state] = _Path(
                        path.cost + cost, (*path.onsets, *following), (*path.triplets, *triplets)
                    )
    if not layers[-1]:
        raise UserError(f"a line of {len(stress)} syllables does not fit into {bars} bars of {meter.text}: shorten it.")
    end = length - pickup
    costs = {
        state: path.cost + _end_cost(state[0], end, fit[state[0]]) + _silence_cost(state[0], end, meter)
        for state, path in layers[-1].items()
    }
    best_state = min(costs, key=lambda state: (costs[state], state))
    path, last = layers[-1][best_state], best_state[0]
    bar_end = (last // meter.ticks + 1) * meter.ticks
    return costs[best_state], LinePlan(path.onsets, min(end, last + MAX_HELD, bar_end), bars, frozenset(path.triplets))


def _moves(
    stress: tuple[float, ...],
    i: int,
    place: int,
    gap: int,
    fit: dict[int, int],
    meter: Meter,
    style: RhythmStyle,
    figures: dict[tuple[int, int], float],
) -> Iterator[tuple[int, tuple[int, ...], int, float, tuple[int, ...]]]:
    """Yield (syllables, their onsets, last distance in steps, cost, triplets) of what may follow syllable i at a
    place."""
    if i + 1 < len(stress):
        for steps, price in style.gaps:
            q = place + steps * style.unit_ticks
            if q in fit:
                cost = price + figures.get((gap, steps), 0.0) + _held_cost(place, q, fit, meter, style)
                yield 1, (q,), steps, cost + _place_cost(stress[i + 1], fit[q]), ()
    on_beat = place % TICKS_PER_QUARTER == 0 and not meter.is_compound
    if style.triplets is not None and on_beat and i + 3 < len(stress) and place + TICKS_PER_QUARTER in fit:
        third = TICKS_PER_QUARTER // 3
        cost = style.triplets + sum(_place_cost(stress[i + k], 0) for k in (1, 2))
        cost += _place_cost(stress[i + 3], fit[place + TICKS_PER_QUARTER])
        yield 3, (place + third, place + 2 * third, place + TICKS_PER_QUARTER), 0, cost, (place,)


def _held_cost(place: int, following: int, fit: dict[int, int], meter: Meter, style: RhythmStyle) -> float:
    """Return what a note from one place to the next costs for the beats that it holds over."""
    cost = 0.0
    if place // meter.ticks != following // meter.ticks and following % meter.ticks:
        cost += _CROSSING if style.syncopation >= 0 else 0.0
    beat = meter.beat_ticks
    next_beat = (place // beat + 1) * beat
    if fit[place] == 0 and next_beat < following and fit[next_beat] >= 1:
        cost += style.syncopation
    return cost


def _place_cost(stress: float, level: int) -> float:
    return stress * _OFF[level] + (1 - stress) * _ON[level]


def _start_cost(place: int, unit: int, meter: Meter) -> float:
    late = _SILENT_BAR if place >= meter.ticks else _LATE if place > 0 else 0.0
    return late + _EARLY * abs(place) / unit


def _end_cost(place: int, end: int, level: int) -> float:
    """Return the cost of the last syllable's place: a strong beat, and time to be held and to breathe, are cheap."""
    room = (end - place) / UNIT_TICKS
    return (0.0, -0.4, -1.0, -1.2)[level] + (2.0 if room < 2 else 0.3 if room < 3 else 0.0)


def _silence_cost(place: int, end: int, meter: Meter) -> float:
    """Return what a last syllable costs after whose bar there is only silence, but for the next line's pick-up."""
    silent = end - (place // meter.ticks + 1) * meter.ticks
    return _SILENT_BAR if silent >= meter.ticks - meter.beat_ticks else 0.0
