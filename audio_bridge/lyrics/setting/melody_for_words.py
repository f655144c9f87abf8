"""A tune for given words: their rhythm is planned, and a language model of tunes draws the pitches.

The plan puts each syllable on a grid of eighths so that stresses fall on beats and every line fills its bars; where
several verses share a melody the plan serves all of them at once. The model (any ABC model of `symbolic`, gpt2-6m by
default) then continues the text `M:4/4 L:1/8 K:G ...` under a mask that forces every length, rest and bar line of the
plan and leaves the pitches to it: notes of the key within the singer's range, no leap over MOST_LEAP semitones in a
line, lines that end on the fifth, the second or the tonic, the last on the tonic. So one syllable has one note and the
rhythm holds by construction. Lines with the same plan as an earlier one may repeat its melody (first and third line),
as songs do.

Of several tunes drawn the likeliest with the most movement is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from audio_bridge.lyrics.prosody.stress import line_language, line_syllables
from audio_bridge.lyrics.setting.sung_melody import strength
from symbolic.decode.engine.mask import Mask
from symbolic.errors import UsageError, UserError
from symbolic.notation.theory import SEMITONES, UNIT_TICKS, Key, Meter, length_text, parse_key, parse_meter, pitch_name

if TYPE_CHECKING:
    from torch import Tensor

    from symbolic.decode.loaded_model import LoadedModel

DEFAULT_MODEL = "gpt2-6m"
CANDIDATES = 8
LOWEST, HIGHEST = 59, 76  # B below middle C to the E an octave above it: most voices have these
MOST_LEAP = 9
MOST_EIGHTHS = 6  # of a note inside a line
BARS = {"2/4": (4, 8), "4/4": (2, 4), "2/2": (2, 4), "3/4": (2, 4, 6), "6/8": (2, 4), "9/8": (2, 3), "12/8": (1, 2)}
_OFF = (1.5, 0.4, 0.0, 0.0)  # a stress, by metrical strength
_ON = (0.0, 0.1, 0.5, 0.9)  # an unstressed syllable
_GAPS = {1: 0.15, 2: 0.0, 3: 0.25, 4: 0.6, 5: 1.2, 6: 1.6}  # eighths from one syllable to the next


@dataclass(frozen=True)
class LinePlan:
    """Where a line's syllables start and end, in eighths from its first bar line; a pick-up starts below 0."""

    onsets: tuple[int, ...]
    end: int  # of the last syllable
    bars: int


@dataclass(frozen=True)
class SectionPlan:
    """The lines of a section; all begin `pickup` eighths before a bar line at the earliest."""

    lines: tuple[LinePlan, ...]
    pickup: int
    meter: Meter


@dataclass(frozen=True, slots=True)
class Slot:
    """One piece of the text to be written: `literal` as it is, or a pitch; `copies` is an earlier pitch to repeat."""

    literal: str = ""
    is_pitch: bool = False
    copies: int = -1
    finals: tuple[int, ...] = ()  # degrees of the scale (0 tonic) that it may be; all where empty


def plan(sections: Sequence[Sequence[Sequence[str]]], language: str, metre: str = "4/4") -> list[SectionPlan]:
    """A plan for each melody: `sections` holds, for each of them, the texts that are sung to it."""
    meter = parse_meter(metre)
    if meter.text not in BARS:
        raise UsageError(f"--metre {metre}: songs are written in {', '.join(BARS)}.")
    stresses = [_stresses(texts, language) for texts in sections]
    results = []
    for pickup in range(meter.beat_ticks // UNIT_TICKS + 1):  # one for all sections, so that they join in full bars
        made = [_section_plan(one, pickup, meter) for one in stresses]
        results.append((sum(cost for cost, _ in made), pickup, [one for _, one in made]))
    return min(results, key=lambda result: result[:2])[2]


def compose(
    plans: Sequence[SectionPlan],
    *,
    key: str = "C",
    model: str = DEFAULT_MODEL,
    seed: int = 0,
    candidates: int = CANDIDATES,
    temperature: float = 0.9,
) -> list[str]:
    """The melody of each section as canonical ABC; drawn as one text, so that a chorus knows its verse."""
    from symbolic.decode.engine import engine
    from symbolic.decode.engine.sampling import Sampling
    from symbolic.decode.loaded_model import load_source

    tonic = parse_key(key)
    source = load_source(model, "cpu", "float32", threads=1)
    header = f"M:{plans[0].meter.text}\nL:1/8\nK:{tonic.text}\n"
    slots = [slot for one in plans for slot in _slots(one)]
    mask = RhythmMask(source, slots, tonic, plans[0].meter)
    prompt = [source.tokenizer.bos, *source.tokenizer.encode(header)]
    drawn = engine.generate(
        source.model,
        [prompt] * candidates,
        max_new_tokens=mask.n_tokens,
        n_tokens=source.tokenizer.n_tokens,
        eos=None,
        sampling=Sampling(temperature=temperature),
        seed=seed,
        batch_size=candidates,
        mask=mask,
    )
    best = max(drawn, key=lambda tune: tune.log_probability / mask.n_tokens + _movement(mask.pitches_of(tune.tokens)))
    return _parted(mask, best.tokens, plans, header)


class RhythmMask(Mask):
    """Forces the literals of a plan, restricts its pitches; the engine's Mask."""

    def __init__(self, source: "LoadedModel", slots: Sequence[Slot], key: Key, meter: Meter) -> None:
        import torch

        self.torch, self.tokenizer = torch, source.tokenizer
        self.size = source.model.config.vocab_size
        self.key = key
        self.pitches = {id: midi for midi, name in scale(key).items() for id in self._single(name)}
        if len(self.pitches) < 5:
            raise UserError("this model's vocabulary has no single tokens for pitches: use a grammar or character one.")
        self.steps: list[int | Slot] = []
        for slot in slots:
            self.steps += [slot] if slot.is_pitch else list(self.tokenizer.encode(slot.literal))
        self.rows: dict[int, list[int]] = {}

    @property
    def n_tokens(self) -> int:
        """Tokens that a tune of the plan has."""
        return len(self.steps)

    def start(self, row: int, prompt: list[int]) -> None:
        """A new tune in a row."""
        self.rows[row] = []

    def advance(self, row: int, token: int) -> None:
        """A token was drawn."""
        self.rows[row].append(token)

    def allowed(self, row: int) -> "Tensor":
        """(V,) what may come."""
        mask = self.torch.zeros(self.size, dtype=self.torch.bool)
        step = self.steps[min(len(self.rows[row]), len(self.steps) - 1)]
        mask[step if isinstance(step, int) else self._choices(row, step)] = True
        return mask

    def pitches_of(self, tokens: Sequence[int]) -> list[int]:
        """The MIDI pitches of a tune's pitch slots."""
        return [self.pitches[t] for t, step in zip(tokens, self.steps) if isinstance(step, Slot)]

    def _choices(self, row: int, slot: Slot) -> list[int]:
        drawn = self.pitches_of(self.rows[row])
        if 0 <= slot.copies < len(drawn):
            return [id for id, midi in self.pitches.items() if midi == drawn[slot.copies]]
        near = [id for id, m in self.pitches.items() if not drawn or abs(m - drawn[-1]) <= MOST_LEAP]
        if len(drawn) > 1 and drawn[-1] == drawn[-2]:  # no monotone: a third equal note is not drawn
            near = [id for id in near if self.pitches[id] != drawn[-1]] if len(set(drawn[-3:])) == 1 else near
        ends = [id for id in near if _degree(self.pitches[id], self.key) in slot.finals] if slot.finals else near
        return ends or near

    def _single(self, name: str) -> list[int]:
        ids = self.tokenizer.encode(name)
        return ids if len(ids) == 1 else []


def scale(key: Key) -> dict[int, str]:
    """The key's notes in the singer's range: MIDI pitch -> ABC, with no accidental written."""
    found = {}
    for octave in range(2, 7):
        for letter, semitone in SEMITONES.items():
            midi = 12 * (octave + 1) + semitone + key.accidentals[letter]
            if LOWEST <= midi <= HIGHEST:
                found[midi] = pitch_name(letter, octave)
    return found


def _degree(midi: int, key: Key) -> int:
    """Semitones above the tonic, 0 to 11."""
    return (midi - key.tonic_pitch_class) % 12


# --- the rhythm ------------------------------------------------------------------------------------------------------


def _stresses(texts: Sequence[Sequence[str]], language: str) -> list[list[float]]:
    """The stress of each syllable of each line, averaged over the texts that are sung to it."""
    n_lines = max(len(text) for text in texts)
    return _shared([_mean_stress([text[i] for text in texts if i < len(text)], language) for i in range(n_lines)])


def _section_plan(stresses: Sequence[Sequence[float]], pickup: int, meter: Meter) -> tuple[float, SectionPlan]:
    """What the section costs with a pick-up of so many eighths, and its plan."""
    most = max(len(line) for line in stresses)
    eighths = meter.ticks // UNIT_TICKS
    options = [b for b in BARS[meter.text] if b * eighths >= 1.25 * most + 1] or [-(-2 * most // eighths)]
    lines = [_line_plan(tuple(line), options[0], pickup, meter) for line in stresses]
    return sum(cost for cost, _ in lines), SectionPlan(tuple(one for _, one in lines), pickup, meter)


def _shared(stresses: list[list[float]]) -> list[list[float]]:
    """The first and third line of four have one rhythm where they have as many syllables, so one melody can serve."""
    out = list(stresses)
    for i in range(0, len(out) - 2, 4):
        if len(out[i]) == len(out[i + 2]):
            out[i] = out[i + 2] = [(a + b) / 2 for a, b in zip(out[i], out[i + 2])]
    return out


def _mean_stress(lines: Sequence[str], language: str) -> list[float]:
    """Stress from 0 to 1 of each syllable, averaged over the lines that share a melody; the longest sets the number."""
    levels = [[s.stress / 2 for s in line_syllables(line, line_language(line, language))] for line in lines]
    n = max(len(level) for level in levels)
    same = [level for level in levels if len(level) == n]
    return [sum(column) / len(same) for column in zip(*same)]


@lru_cache(maxsize=512)
def _line_plan(stress: tuple[float, ...], bars: int, pickup: int, meter: Meter) -> tuple[float, LinePlan]:
    """Onsets on the grid by dynamic programming over (syllable, place)."""
    eighths = meter.ticks // UNIT_TICKS
    length = bars * eighths
    places = range(-pickup, length - pickup)
    fit = {p: strength((p % eighths) * UNIT_TICKS, meter) for p in places}
    n = len(stress)
    best: dict[int, tuple[float, tuple[int, ...]]] = {
        p: (_place_cost(stress[0], fit[p]) + 0.1 * abs(p) + (0.3 if p > 0 else 0.0), (p,)) for p in places
    }
    for i in range(1, n):
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for p, (cost, onsets) in best.items():
            for gap, price in _GAPS.items():
                q = p + gap
                if q not in fit:
                    continue
                crosses = 0.8 if p // eighths != q // eighths and q % eighths else 0.0
                total = cost + price + crosses + _place_cost(stress[i], fit[q])
                if q not in following or total < following[q][0]:
                    following[q] = (total, (*onsets, q))
        best = following
    if not best:
        raise UserError(f"a line of {n} syllables does not fit into {bars} bars of {meter.text}: shorten it.")
    ends = {p: cost + _end_cost(p, length - pickup, fit[p]) for p, (cost, _) in best.items()}
    last = min(ends, key=lambda p: (ends[p], p))
    end = min(length - pickup, last + MOST_EIGHTHS, (last // eighths + 1) * eighths)
    return ends[last], LinePlan(best[last][1], end, bars)


def _place_cost(stress: float, level: int) -> float:
    return stress * _OFF[level] + (1 - stress) * _ON[level]


def _end_cost(place: int, end: int, level: int) -> float:
    """The last syllable wants a strong beat and time to be held and to breathe."""
    return (0.0, -0.4, -1.0, -1.2)[level] + (2.0 if end - place < 2 else 0.3 if end - place < 3 else 0.0)


# --- the text --------------------------------------------------------------------------------------------------------


def _slots(section: SectionPlan) -> list[Slot]:
    """The section as pieces of ABC in which only pitches are open, ended by a double bar."""
    slots: list[Slot] = []
    starts = _copied_lines(section.lines)
    firsts: list[list[int]] = []
    eighths = section.meter.ticks // UNIT_TICKS
    clock, n_pitches = -section.pickup, 0
    for number, line in enumerate(section.lines):
        offset = sum(one.bars for one in section.lines[:number]) * eighths
        own: list[int] = []
        last_line = number == len(section.lines) - 1
        for i, onset in enumerate(line.onsets):
            end = offset + (line.onsets[i + 1] if i + 1 < len(line.onsets) else line.end)
            final = i == len(line.onsets) - 1
            finals = (0,) if final and last_line else (0, 2, 7) if final else ()
            copied = firsts[starts[number]][i] if starts[number] >= 0 and not (final and last_line) else -1
            slots += _rests(clock, offset + onset, eighths)
            slots.append(Slot(is_pitch=True, copies=copied, finals=finals))
            own.append(n_pitches)
            written, added = _held(offset + onset, end, eighths, n_pitches)
            slots += written
            n_pitches += 1 + added
            clock = end
        firsts.append(own)
    total = sum(line.bars for line in section.lines) * eighths
    slots += _rests(clock, total - section.pickup, eighths)
    if slots[-1] == Slot("|"):
        slots.pop()  # the double bar stands in its place
    return [*slots, Slot("||")]


def _copied_lines(lines: Sequence[LinePlan]) -> list[int]:
    """For each line the earlier one whose melody it repeats, or -1: the third is like the first where plans agree."""
    found = []
    for i, line in enumerate(lines):
        earlier = i - 2
        same = i % 4 == 2 and line.onsets == lines[earlier].onsets
        found.append(earlier if same else -1)
    return found


def _held(start: int, end: int, eighths: int, index: int) -> tuple[list[Slot], int]:
    """The length of a note behind its pitch; over a bar line it is tied, the same pitch again."""
    edge = (start // eighths + 1) * eighths
    if end <= edge:
        return [_literal(length_text((end - start) * UNIT_TICKS)), *_bar_line(end, eighths)], 0
    tied = [_literal(length_text((edge - start) * UNIT_TICKS) + "-"), Slot("|"), Slot(is_pitch=True, copies=index)]
    return [*tied, _literal(length_text((end - edge) * UNIT_TICKS)), *_bar_line(end, eighths)], 1


def _rests(start: int, end: int, eighths: int) -> list[Slot]:
    """Silence from start to end, cut at bar lines."""
    slots: list[Slot] = []
    while start < end:
        stop = min(end, (start // eighths + 1) * eighths)
        slots += [_literal("z" + length_text((stop - start) * UNIT_TICKS)), *_bar_line(stop, eighths)]
        start = stop
    return slots


def _bar_line(place: int, eighths: int) -> list[Slot]:
    return [Slot("|")] if place % eighths == 0 else []


def _literal(text: str) -> Slot:
    return Slot(text)


def _parted(mask: RhythmMask, tokens: Sequence[int], plans: Sequence[SectionPlan], header: str) -> list[str]:
    """The drawn text cut into its sections, each with the header and a final bar."""
    music = mask.tokenizer.decode(tokens)
    parts = [part.rstrip("|") for part in music.split("||") if part]
    assert len(parts) == len(plans)
    return [f"{header}{part}|]\n" for part in parts]


def _movement(pitches: Sequence[int]) -> float:
    """A small bonus for melodies that use several notes and few repeated ones."""
    repeated = sum(a == b for a, b in pairwise(pitches)) / max(1, len(pitches) - 1)
    return 0.05 * min(len(set(pitches)), 8) - 0.6 * max(0.0, repeated - 0.2)
